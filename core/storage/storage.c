/* storage.c - opening and closing, and what start-up asks for; see storage-private.h for who owns what. */
#include "storage/storage-private.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/queue-main.h"

typedef struct {
    char *engine, *name;
    int64_t reconnect_timeout, response_timeout; /* seconds */
} Options;

/* The section has the name that option `server` gives it. */
static const ConfOption OPTIONS[] = {
    CONF_OPTION_STRING(Options, engine, NULL, "dbengine", "sqlite", NULL, CONF_AT_START,
                       "The kind of database: sqlite. Another NAME needs a plugin db-NAME."),
    CONF_OPTION_STRING(
        Options, name, NULL, "dbname", NULL, NULL, CONF_AT_START,
        "The database. For sqlite a file, relative to the working directory; confserv.db if unset."),
    CONF_OPTION_INT(
        Options, reconnect_timeout, NULL, "reconnect-timeout", "10", "1..3600 s", CONF_AT_START,
        "Longest pause between attempts to reach a database that is lost. The first attempt follows after "
        "100 ms, each pause is twice the one before."),
    CONF_OPTION_INT(
        Options, response_timeout, NULL, "response-timeout", "600", "1..86400 s", CONF_AT_START,
        "How long an answer of the database is waited for. A write that has none by then is answered with "
        "\"outcome unknown\"."),
    CONF_OPTION_END,
};

/* A load, and the lease that must not lapse while it lasts. */
typedef struct {
    ConfStorage *storage;
    ConfStorageObjectFunc object;
    ConfStorageChangeFunc change;
    void *data;
} Load;

static bool take_object(const ConfStorageObject *object, void *data, GError **error);
static bool take_change(const ConfStorageChange *change, void *data, GError **error);
static bool keep_lease(ConfStorage *storage, GError **error);
static bool read_options(ConfStorage *storage, GError **error);
static const char *look_up_option(const char *key, void *data);
static bool end_writer(ConfStorage *storage);

void
conf_storage_register_options(const char *section)
{
    conf_option_register_section(CONF_OPTION_OWNER_SERVER, section, OPTIONS);
}

bool
conf_storage_check_options(const ConfSettings *settings, const char *section, GError **error)
{
    Options options = {NULL, NULL, 0, 0};
    bool good = conf_option_fill(OPTIONS, section, settings, &options, error);
    conf_option_clear(OPTIONS, &options);
    return good;
}

ConfStorage *
conf_storage_open(const ConfStorageProvider *provider, const ConfSettings *settings, const char *section,
                  bool create, GError **error)
{
    conf_storage_register_options(section);
    ConfStorage *storage = g_new0(ConfStorage, 1);
    storage->refs = 1;
    storage->provider = provider;
    g_autoptr(ConfSettings) none = conf_settings_new();
    storage->settings = conf_settings_merge(settings, none);
    storage->section = g_strdup(section);
    storage->confirms = g_array_new(FALSE, FALSE, sizeof(ConfStorageConfirm));
    storage->revision = -1;
    storage->available = true;
    g_mutex_init(&storage->lock);
    g_cond_init(&storage->wake);
    if (read_options(storage, error))
        storage->db = conf_storage_open_db(storage, create, error);
    if (storage->db == NULL)
        g_clear_pointer(&storage, conf_storage_unref);
    return storage;
}

void
conf_storage_close(ConfStorage *storage)
{
    if (storage == NULL)
        return;
    conf_assert_main();
    storage->closed = true;
    if (storage->thread != NULL && !end_writer(storage)) {
        /* It holds the batch, the database and its own reference; the process is about to end. */
        conf_log(CONF_LOG_WRITER_STUCK, NULL);
        g_thread_unref(g_steal_pointer(&storage->thread));
    } else if (storage->db != NULL) {
        storage->provider->close(g_steal_pointer(&storage->db));
    }
    conf_storage_unref(storage);
}

int64_t
conf_storage_get_response_timeout_ms(const ConfStorage *storage)
{
    return storage->response_timeout_ms;
}

bool
conf_storage_migrate(ConfStorage *storage, GError **error)
{
    int version;
    if (!storage->provider->migrate(storage->db, &version, error))
        return false;
    conf_log(CONF_LOG_DATABASE_MIGRATED, "version", conf_log_integer(version), NULL);
    return true;
}

bool
conf_storage_load_state(ConfStorage *storage, ConfStorageState *state, GError **error)
{
    ConfStorageLease lease;
    if (!storage->provider->read_lease(storage->db, &lease, error))
        return false;
    memset(state, 0, sizeof(*state));
    g_strlcpy(state->environment, lease.environment, sizeof(state->environment));
    g_strlcpy(state->chain, lease.chain, sizeof(state->chain));
    state->epoch = storage->epoch != 0 ? storage->epoch : lease.epoch;
    state->revision = lease.revision;
    state->created_ms = lease.created_ms;
    return true;
}

bool
conf_storage_load_objects(ConfStorage *storage, ConfStorageObjectFunc func, void *data, GError **error)
{
    Load load = {.storage = storage, .object = func, .data = data};
    return storage->provider->load_objects(storage->db, take_object, &load, error);
}

bool
conf_storage_load_next_dbids(ConfStorage *storage, ConfStorageDbidFunc func, void *data, GError **error)
{
    return storage->provider->load_next_dbids(storage->db, func, data, error);
}

bool
conf_storage_load_changes(ConfStorage *storage, int64_t after, ConfStorageChangeFunc func, void *data,
                          GError **error)
{
    Load load = {.storage = storage, .change = func, .data = data};
    return storage->provider->load_changes(storage->db, after, take_change, &load, error);
}

bool
conf_storage_set_environment(ConfStorage *storage, const char *environment, GError **error)
{
    g_assert(storage->epoch != 0 && storage->thread == NULL);
    if (!storage->provider->set_environment(storage->db, storage->epoch, environment, error))
        return false;
    g_strlcpy(storage->environment, environment, sizeof(storage->environment));
    return true;
}

bool
conf_storage_write_initial(ConfStorage *storage, const ConfStorageBatch *batch, const ConfStorageState *state,
                           GError **error)
{
    ConfStorageLease lease = {
        .epoch = state->epoch,
        .revision = state->revision,
        .created_ms = state->created_ms,
    };
    g_strlcpy(lease.environment, state->environment, sizeof(lease.environment));
    g_strlcpy(lease.chain, state->chain, sizeof(lease.chain));
    return storage->provider->initialize(storage->db, &lease, batch, error);
}

bool
conf_storage_is_available(const ConfStorage *storage)
{
    return storage->available;
}

int64_t
conf_storage_get_epoch(const ConfStorage *storage)
{
    return storage->told_epoch;
}

int64_t
conf_storage_get_confirmed_at(const ConfStorage *storage)
{
    return __atomic_load_n(&storage->confirmed_at, __ATOMIC_ACQUIRE);
}

ConfStorage *
conf_storage_ref(ConfStorage *storage)
{
    g_atomic_int_inc(&storage->refs);
    return storage;
}

void
conf_storage_unref(ConfStorage *storage)
{
    if (!g_atomic_int_dec_and_test(&storage->refs))
        return;
    g_clear_error(&storage->fault);
    g_array_unref(storage->confirms);
    g_queue_clear_full(&storage->reads, (GDestroyNotify)conf_storage_read_free);
    conf_settings_free(storage->settings);
    g_mutex_clear(&storage->lock);
    g_cond_clear(&storage->wake);
    g_free(storage->section);
    g_free(storage->holder);
    g_free(storage);
}

void *
conf_storage_open_db(ConfStorage *storage, bool create, GError **error)
{
    if (conf_clock_monotonic_usec() < storage->fault_until) {
        g_set_error_literal(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE,
                            "the database is away by a fault point");
        return NULL;
    }
    return storage->provider->open(look_up_option, storage, create, error);
}

static bool
take_object(const ConfStorageObject *object, void *data, GError **error)
{
    const Load *load = data;
    return keep_lease(load->storage, error) && load->object(object, load->data, error);
}

static bool
take_change(const ConfStorageChange *change, void *data, GError **error)
{
    const Load *load = data;
    return keep_lease(load->storage, error) && load->change(change, load->data, error);
}

/* A large database takes longer to load than the lease lasts, and the writer thread is not there yet. */
static bool
keep_lease(ConfStorage *storage, GError **error)
{
    int64_t now = conf_clock_monotonic_usec();
    if (storage->epoch == 0 || storage->thread != NULL || now < storage->renew_due)
        return true;
    GError *fault = NULL;
    if (storage->provider->renew_lease(storage->db, storage->epoch, &fault)) {
        conf_storage_note_confirmed(storage, now);
        return true;
    }
    if (g_error_matches(fault, CONF_ERROR, CONF_ERROR_DEPOSED)) {
        g_propagate_error(error, fault);
        return false;
    }
    /* Locked or full: what is loaded stays good, and the first commit is fenced. */
    g_clear_error(&fault);
    storage->renew_due = now + (int64_t)storage->lease_time_ms * 1000 / 10;
    return true;
}

static bool
read_options(ConfStorage *storage, GError **error)
{
    Options options = {NULL, NULL, 0, 0};
    if (!conf_option_fill(OPTIONS, storage->section, storage->settings, &options, error))
        return false;
    storage->reconnect_max_ms = options.reconnect_timeout * 1000;
    storage->response_timeout_ms = options.response_timeout * 1000;
    conf_option_clear(OPTIONS, &options);
    return true;
}

/* Any thread: the settings are this storage's own and never change. */
static const char *
look_up_option(const char *key, void *data)
{
    const ConfStorage *storage = data;
    return conf_settings_get(storage->settings, storage->section, key);
}

/* False: it did not come to an end in time. */
static bool
end_writer(ConfStorage *storage)
{
    int64_t until = g_get_monotonic_time() + storage->response_timeout_ms * 1000;
    g_mutex_lock(&storage->lock);
    storage->stop = true;
    g_cond_broadcast(&storage->wake);
    while (!storage->ended && g_cond_wait_until(&storage->wake, &storage->lock, until))
        continue;
    bool ended = storage->ended;
    g_mutex_unlock(&storage->lock);
    if (ended)
        g_thread_join(g_steal_pointer(&storage->thread));
    return ended;
}
