/* tls-expiry.c - how many days certificates and revocation lists are still good for: in server.statistics,
 * and in the log in time. */
#include <string.h>

#include "tls-private.h"

enum { HOUR_MS = 60 * 60 * 1000, DAY_S = 24 * 60 * 60, NOTHING_WARNED = 1000, FILES_MAX = 500 };

typedef struct {
    uint64_t days_left;
    time_t not_after;
    bool is_list;
    bool in_use;
    int warned; /* the threshold that was told of; NOTHING_WARNED: none */
} Expiry;

static void hour_is_over(void *data, void *unused);
static void note_use(Tls *self);
static void warn(Tls *self, const char *path, Expiry *expiry, int64_t seconds);
static int threshold(const Expiry *expiry, int64_t seconds);

void
tls_expiry_init(Tls *self)
{
    self->expiries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    self->expiry_timer = conf_timer(self->plugin, HOUR_MS, hour_is_over, NULL);
}

void
tls_expiry_free(Tls *self)
{
    g_hash_table_unref(self->expiries);
}

void
tls_expiry_note(Tls *self, const TlsCredentials *credentials)
{
    for (unsigned i = 0; i < credentials->dates->len; i++) {
        const TlsDate *date = &g_array_index(credentials->dates, TlsDate, i);
        Expiry *expiry = g_hash_table_lookup(self->expiries, date->path);
        if (expiry == NULL) {
            if (g_hash_table_size(self->expiries) >= FILES_MAX)
                continue;
            expiry = g_new0(Expiry, 1);
            expiry->warned = NOTHING_WARNED;
            g_hash_table_insert(self->expiries, g_strdup(date->path), expiry);
            g_autofree char *name = g_strconcat("daysLeft ", date->path, NULL);
            conf_plugin_statistic(self->plugin, name, &expiry->days_left);
        }
        if (expiry->not_after != date->not_after)
            expiry->warned = NOTHING_WARNED;
        expiry->not_after = date->not_after;
        expiry->is_list = date->is_list;
    }
}

void
tls_expiry_look(Tls *self)
{
    GHashTableIter iter;
    void *path, *value;
    time_t now = time(NULL);
    note_use(self);
    uint64_t least = G_MAXUINT64;
    g_hash_table_iter_init(&iter, self->expiries);
    while (g_hash_table_iter_next(&iter, &path, &value)) {
        Expiry *expiry = value;
        int64_t seconds = (int64_t)expiry->not_after - (int64_t)now;
        expiry->days_left = (uint64_t)(MAX(seconds, 0) / DAY_S);
        if (!expiry->in_use)
            continue;
        if (!expiry->is_list)
            least = MIN(least, expiry->days_left);
        warn(self, path, expiry, seconds);
    }
    self->days_left = least != G_MAXUINT64 ? least : 0;
}

static void
hour_is_over(void *data, void *unused)
{
    Tls *self = data;
    (void)unused;
    self->expiry_timer = conf_timer(self->plugin, HOUR_MS, hour_is_over, NULL);
    tls_expiry_look(self);
}

static void
note_use(Tls *self)
{
    GHashTableIter iter;
    void *value;
    g_hash_table_iter_init(&iter, self->expiries);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        ((Expiry *)value)->in_use = false;
    g_hash_table_iter_init(&iter, self->contexts);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const GArray *dates = ((const TlsContext *)value)->credentials->dates;
        for (unsigned i = 0; i < dates->len; i++) {
            Expiry *expiry = g_hash_table_lookup(self->expiries, g_array_index(dates, TlsDate, i).path);
            if (expiry != NULL)
                expiry->in_use = true;
        }
    }
}

/* Once a threshold. */
static void
warn(Tls *self, const char *path, Expiry *expiry, int64_t seconds)
{
    int passed = threshold(expiry, seconds);
    if (passed >= expiry->warned)
        return;
    expiry->warned = passed;
    g_autofree char *days = g_strdup_printf("%" G_GUINT64_FORMAT, expiry->days_left);
    if (seconds <= 0)
        conf_plugin_log(self->plugin, 0,
                        expiry->is_list ? "A revocation list is out of date: certificates of its authority "
                                          "are refused"
                                        : "A certificate has expired",
                        "file", path, NULL);
    else
        conf_plugin_log(self->plugin, 1,
                        expiry->is_list ? "A revocation list will soon be out of date"
                                        : "A certificate will soon expire",
                        "file", path, "days", days, NULL);
}

/* Lists live for days only: for them a day ahead is soon. */
static int
threshold(const Expiry *expiry, int64_t seconds)
{
    static const int days[] = {0, 7, 30}, list_days[] = {0, 1};
    const int *thresholds = expiry->is_list ? list_days : days;
    unsigned count = expiry->is_list ? G_N_ELEMENTS(list_days) : G_N_ELEMENTS(days);
    for (unsigned i = 0; i < count; i++) {
        if (seconds <= (int64_t)thresholds[i] * DAY_S)
            return thresholds[i];
    }
    return NOTHING_WARNED;
}
