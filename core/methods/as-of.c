/* as-of.c - asOf of reads: the past, which a plugin that provides "history" holds.
 *
 * What changed since a revision is fetched once and kept for a while, since lists come in pages and who
 * looks at the past looks at it more than once.  All that is kept together is bounded; rights are asked
 * anew each time. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/timer-wheel.h"
#include "methods/methods-private.h"
#include "plugin/loader.h"

enum { KEEP_MS = 30000, PASTS_MAX = 8 };
#define MEMORY_MAX ((size_t)256 * 1024 * 1024)
/* The nodes of an index are counted each time so many objects came. */
enum { OBJECTS_A_COUNT = 256 };

/* One revision: being fetched, or there. */
typedef struct {
    ConfMethods *methods; /* NULL: these are gone; it is freed when the plugin is done */
    ConfPast *past;
    ConfRpcError error; /* of a fetch that failed */
    bool is_fetching;
    unsigned added;
    GQueue uses;     /* ConfPastUse * */
    ConfTimer timer; /* when nobody has used it for a while */
} Kept;

struct ConfPastUse {
    Kept *kept;
    ConfTimer timer;                                     /* for how long it waits */
    void (*func)(const ConfRpcError *error, void *data); /* NULL: was called, or need not be */
    void *data;
};

static const ConfHistoryProvider *get_provider(ConfMethods *methods, void **self, ConfPlugin **plugin);
static int64_t get_oldest(ConfMethods *methods);
static Kept *find_kept(ConfMethods *methods, int64_t revision);
static Kept *keep_new(ConfMethods *methods, int64_t revision, ConfRpcError *error);
static bool make_room(ConfMethods *methods, const Kept *but, ConfRpcError *error);
static size_t count_memory(const ConfMethods *methods);
static void fetch(Kept *kept);
static bool fetched_object(const char *type, int64_t dbid, const char *object_json, const char *last_rights,
                           void *data);
static void fetched(int64_t upto, const GError *error, void *data);
static int compare_waiting(const void *use, const void *unused);
static void use_timed_out(void *data);
static void kept_timed_out(void *data);
static void drop(Kept *kept);

bool
conf_methods_as_of(ConfMethods *methods, const ConfJson *params, int64_t *revision, ConfRpcError *error)
{
    *revision = 0;
    if (conf_json_member(params, "asOf") == NULL)
        return true;
    const ConfHistoryProvider *provider = get_provider(methods, NULL, NULL);
    if (provider == NULL || provider->get_oldest == NULL || provider->list_as_of == NULL)
        return conf_rpc_fail_path(error, "/asOf", "The past is held by plugin history, which is not loaded");
    int64_t present = conf_store_position(methods->context.store)->revision, given = 0;
    if (!conf_params_integer(params, "", "asOf", 1, G_MAXINT64, true, &given, error))
        return false;
    if (given > present)
        return conf_rpc_fail_path(error, "/asOf", "This server stands at revision %" G_GINT64_FORMAT,
                                  present);
    int64_t oldest = get_oldest(methods);
    if (oldest == 0)
        oldest = present;
    if (given < oldest) {
        conf_rpc_fail(error, CONF_RPC_HISTORY_GONE,
                      "What was at revision %" G_GINT64_FORMAT " is not held any more", given);
        conf_rpc_error_add_integer(error, "oldest", oldest);
        return false;
    }
    *revision = given;
    return true;
}

void
conf_methods_note_past(ConfMethods *methods, const ConfRequest *request)
{
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    const ConfHistoryProvider *provider = get_provider(methods, &self, &plugin);
    ConfSession *session = conf_request_get_session(request);
    if (provider == NULL || provider->past_was_read == NULL || session == NULL)
        return;
    g_autofree char *method = conf_slice_dup(conf_request_get_method(request));
    g_autofree char *params = conf_slice_dup(conf_request_get_params(request));
    conf_plugin_enter(plugin);
    provider->past_was_read(self, session, method, params);
    conf_plugin_leave(plugin);
}

void
conf_methods_read_past(ConfMethods *methods, ConfSession *session, ConfKey key, int64_t revision,
                       void (*done)(const char *object_json, const GError *error, void *data), void *data)
{
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    const ConfHistoryProvider *provider = get_provider(methods, &self, &plugin);
    const ConfTypeInfo *type = conf_schema_type(conf_store_schema(methods->context.store), key.type);
    conf_plugin_enter(plugin);
    provider->read_as_of(self, session, type->name, key.dbid, revision, done, data);
    conf_plugin_leave(plugin);
}

ConfPastUse *
conf_methods_use_past(ConfMethods *methods, int64_t revision,
                      void (*func)(const ConfRpcError *error, void *data), void *data, ConfRpcError *error)
{
    Kept *kept = find_kept(methods, revision);
    bool is_new = kept == NULL;
    if (is_new && (kept = keep_new(methods, revision, error)) == NULL)
        return NULL;
    ConfPastUse *use = g_new0(ConfPastUse, 1);
    *use = (ConfPastUse){.kept = kept, .data = data};
    g_queue_push_tail(&kept->uses, use);
    conf_timer_cancel(&kept->timer);
    if (is_new)
        fetch(kept);
    if (kept->is_fetching) {
        use->func = func;
        conf_timer_arm(&use->timer, CONF_PAST_WAIT_MS, use_timed_out, use);
    }
    return use;
}

bool
conf_past_use_is_ready(const ConfPastUse *use)
{
    return !use->kept->is_fetching;
}

ConfPast *
conf_past_use_get(ConfPastUse *use, ConfRpcError *error)
{
    Kept *kept = use->kept;
    if (kept->error.code != 0) {
        conf_rpc_fail(error, kept->error.code, "%s", kept->error.message);
        if (kept->error.code == CONF_RPC_HISTORY_GONE && kept->methods != NULL)
            conf_rpc_error_add_integer(error, "oldest", get_oldest(kept->methods));
        return NULL;
    }
    if (conf_past_follow(kept->past))
        return kept->past;
    conf_rpc_fail(&kept->error, CONF_RPC_UNAVAILABLE,
                  "Too much changed while the past was being read; try again");
    conf_rpc_fail(error, kept->error.code, "%s", kept->error.message);
    conf_rpc_error_add_integer(error, "retryAfter", 1);
    return NULL;
}

void
conf_past_use_release(ConfPastUse *use)
{
    if (use == NULL)
        return;
    Kept *kept = use->kept;
    conf_timer_cancel(&use->timer);
    g_queue_remove(&kept->uses, use);
    g_free(use);
    if (kept->uses.length > 0 || kept->is_fetching)
        return;
    if (kept->error.code != 0 || kept->methods == NULL)
        drop(kept);
    else
        conf_timer_arm(&kept->timer, KEEP_MS, kept_timed_out, kept);
}

bool
conf_methods_may_read_then(ConfMethods *methods, ConfSession *session, const ConfPast *past,
                           const ConfObject *then)
{
    ConfStore *store = methods->context.store;
    const ConfObject *present = conf_store_lookup(store, conf_object_key(then));
    if (present != NULL)
        return conf_session_may_read(session, present);
    const ConfAcl *acl = conf_past_last_acl(past, conf_object_key(then));
    if (acl == NULL)
        return conf_session_is_administrator(session);
    return conf_session_may_read_gone(session, acl, then);
}

void
conf_methods_fail_past(ConfMethods *methods, ConfRpcError *told, const GError *error)
{
    int code = CONF_RPC_INTERNAL;
    if (error->domain == CONF_PLUGIN_RPC_ERROR && error->code != 0)
        code = error->code;
    else if (g_error_matches(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE) ||
             g_error_matches(error, CONF_ERROR, CONF_ERROR_FULL))
        code = CONF_RPC_UNAVAILABLE;
    conf_rpc_fail(told, code, "%s", error->message);
    /* It may have learnt of a gap. */
    if (code == CONF_RPC_HISTORY_GONE)
        conf_rpc_error_add_integer(told, "oldest", get_oldest(methods));
}

void
conf_methods_stop_past(ConfMethods *methods)
{
    while (methods->pasts != NULL) {
        Kept *kept = methods->pasts->data;
        methods->pasts = g_slist_delete_link(methods->pasts, methods->pasts);
        conf_timer_cancel(&kept->timer);
        kept->methods = NULL;
        if (!kept->is_fetching && kept->uses.length == 0)
            drop(kept);
    }
}

static const ConfHistoryProvider *
get_provider(ConfMethods *methods, void **self, ConfPlugin **plugin)
{
    ConfPluginHost *host = methods->context.plugins;
    if (self != NULL)
        *self = NULL;
    if (plugin != NULL)
        *plugin = NULL;
    if (host == NULL)
        return NULL;
    if (plugin != NULL)
        *plugin = conf_plugin_host_service_plugin(host, "history");
    return conf_plugin_host_service(host, "history", self);
}

static int64_t
get_oldest(ConfMethods *methods)
{
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    const ConfHistoryProvider *provider = get_provider(methods, &self, &plugin);
    conf_plugin_enter(plugin);
    int64_t oldest = provider->get_oldest(self);
    conf_plugin_leave(plugin);
    return oldest;
}

/* One that cannot be brought up to the present any more is let go of. */
static Kept *
find_kept(ConfMethods *methods, int64_t revision)
{
    for (GSList *item = methods->pasts; item != NULL; item = item->next) {
        Kept *kept = item->data;
        if (conf_past_revision(kept->past) != revision || kept->error.code != 0)
            continue;
        if (kept->is_fetching || conf_past_follow(kept->past))
            return kept;
        if (kept->uses.length == 0)
            drop(kept);
        return NULL;
    }
    return NULL;
}

static Kept *
keep_new(ConfMethods *methods, int64_t revision, ConfRpcError *error)
{
    if (!make_room(methods, NULL, error))
        return NULL;
    Kept *kept = g_new0(Kept, 1);
    kept->methods = methods;
    kept->past = conf_past_new(methods->context.store, revision);
    methods->pasts = g_slist_prepend(methods->pasts, kept);
    return kept;
}

/* Those that nobody uses go, the oldest first, until one more may come (`but`: until it may stay). */
static bool
make_room(ConfMethods *methods, const Kept *but, ConfRpcError *error)
{
    for (;;) {
        unsigned count = g_slist_length(methods->pasts);
        if (count < PASTS_MAX + (but != NULL) && count_memory(methods) <= MEMORY_MAX)
            return true;
        Kept *unused = NULL;
        for (GSList *item = methods->pasts; item != NULL; item = item->next) {
            Kept *kept = item->data;
            if (kept != but && kept->uses.length == 0 && !kept->is_fetching)
                unused = kept;
        }
        if (unused == NULL)
            break;
        drop(unused);
    }
    if (but != NULL)
        return conf_rpc_fail(error, CONF_RPC_LIMIT,
                             "Too much has changed since revision %" G_GINT64_FORMAT
                             " for what may be kept of the past at once",
                             conf_past_revision(but->past));
    conf_rpc_fail(error, CONF_RPC_UNAVAILABLE, "Too many are looking at different revisions of the past");
    conf_rpc_error_add_integer(error, "retryAfter", 1);
    return false;
}

static size_t
count_memory(const ConfMethods *methods)
{
    size_t memory = 0;
    for (const GSList *item = methods->pasts; item != NULL; item = item->next)
        memory += conf_past_memory(((const Kept *)item->data)->past);
    return memory;
}

static void
fetch(Kept *kept)
{
    ConfMethods *methods = kept->methods;
    int64_t revision = conf_past_revision(kept->past);
    /* Nothing has changed since the present. */
    if (revision == conf_store_position(methods->context.store)->revision)
        return;
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    const ConfHistoryProvider *provider = get_provider(methods, &self, &plugin);
    kept->is_fetching = true;
    conf_plugin_enter(plugin);
    provider->list_as_of(self, revision, fetched_object, fetched, kept);
    conf_plugin_leave(plugin);
}

static bool
fetched_object(const char *type, int64_t dbid, const char *object_json, const char *last_rights, void *data)
{
    Kept *kept = data;
    if (kept->methods == NULL || kept->error.code != 0)
        return false;
    const ConfSchema *schema = conf_store_schema(kept->methods->context.store);
    const ConfTypeInfo *info = conf_schema_type_by_name(schema, conf_slice_from_string(type));
    /* A type that is no more: nobody could name it. */
    if (info == NULL)
        return true;
    g_autoptr(GError) error = NULL;
    ConfSlice body = object_json != NULL ? conf_slice_from_string(object_json) : (ConfSlice){0};
    ConfSlice rights = last_rights != NULL ? conf_slice_from_string(last_rights) : (ConfSlice){0};
    if (!conf_past_add(kept->past, (ConfKey){.type = info->id, .dbid = dbid}, body, rights, &error)) {
        conf_log(CONF_LOG_PAST_BROKEN, "type", type, "reason", error->message, NULL);
        return conf_rpc_fail(&kept->error, CONF_RPC_INTERNAL, "What is held of the past is broken: %s",
                             error->message);
    }
    return ++kept->added % OBJECTS_A_COUNT != 0 || make_room(kept->methods, kept, &kept->error);
}

static void
fetched(int64_t upto, const GError *error, void *data)
{
    Kept *kept = data;
    kept->is_fetching = false;
    if (error != NULL && kept->error.code == 0 && kept->methods != NULL)
        conf_methods_fail_past(kept->methods, &kept->error, error);
    if (kept->methods != NULL)
        conf_past_set_complete(kept->past,
                               MIN(upto, conf_store_position(kept->methods->context.store)->revision));
    /* It stays while those that wait are told, who may release their uses meanwhile. */
    ConfPastUse *guard = g_new0(ConfPastUse, 1);
    guard->kept = kept;
    g_queue_push_head(&kept->uses, guard);
    GList *item;
    while ((item = g_queue_find_custom(&kept->uses, NULL, compare_waiting)) != NULL) {
        ConfPastUse *use = item->data;
        void (*func)(const ConfRpcError *, void *) = use->func;
        use->func = NULL;
        conf_timer_cancel(&use->timer);
        func(NULL, use->data);
    }
    conf_past_use_release(guard);
}

/* 0: it waits. */
static int
compare_waiting(const void *use, const void *unused)
{
    (void)unused;
    return ((const ConfPastUse *)use)->func == NULL;
}

static void
use_timed_out(void *data)
{
    ConfPastUse *use = data;
    void (*func)(const ConfRpcError *, void *) = use->func;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    use->func = NULL;
    conf_rpc_fail(&error, CONF_RPC_UNAVAILABLE, "What is held of the past did not come in time");
    if (func != NULL)
        func(&error, use->data);
}

static void
kept_timed_out(void *data)
{
    drop(data);
}

static void
drop(Kept *kept)
{
    if (kept->methods != NULL)
        kept->methods->pasts = g_slist_remove(kept->methods->pasts, kept);
    conf_timer_cancel(&kept->timer);
    conf_past_free(kept->past);
    conf_rpc_error_clear(&kept->error);
    g_free(kept);
}
