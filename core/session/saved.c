/* saved.c - sessions on disk, by service "history": a client resumes its session where the server was killed
 * or started anew meanwhile.
 *
 * A session is saved at the end of the turn in which it was opened, broken or changed, and forgotten when it
 * ends.  What is saved holds the hash of its token, no token and no secret: whether the password was changed
 * while the server was away tells a seal, a digest over what stands for the password.  Where the server's
 * death cannot be told from a break, a mark that is written every ALIVE_MS tells it. */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "session/session-private.h"

#include <string.h>

enum {
    ALIVE_MS = 30000,
    AGAIN_MS = 3600 * 1000, /* whoever keeps them may drop what is a day old */
    LOADS_MAX = 1000,
    LOAD_TIMEOUT_MS = 5000,
};
#define ALIVE "alive"

struct ConfSavedLoad {
    ConfSessions *sessions; /* NULL: nobody waits any more */
    char hash[65];
    ConfSavedFunc func;
    void *data;
    ConfTimer timer;
    bool in_call, ended;
};

static const ConfHistoryProvider *provider_of(const ConfSessions *sessions, void **self, ConfPlugin **plugin);
static void save_text(ConfSessions *sessions, const char *hash, const char *text);
static void flush(void *data);
static void write_session(ConfSession *session, ConfBuffer *buffer);
static void write_groups(const ConfSession *session, ConfJsonWriter *writer);
static void write_subscription(ConfSessions *sessions, const ConfSubscription *subscription,
                               ConfJsonWriter *writer);
static void write_seal(const ConfSession *session, char seal[65]);
static void mark_loaded(const char *text, void *data);
static void loaded(const char *text, void *data);
static void load_timed_out(void *data);
static void end_load(ConfSavedLoad *load, ConfSession *session);
static ConfSession *restore(ConfSessions *sessions, const char *hash, const char *text);
static bool restore_account(ConfSession *session, const ConfJson *saved);
static bool was_ended(const ConfSession *session, int64_t since);
static bool is_ended_by(const ConfSession *session, const ConfAcl *execution, const ConfCommit *commit);
static bool restore_subscriptions(ConfSession *session, const ConfJson *saved);
static bool is_still_its(ConfSession *session, const ConfJson *saved);
static int64_t number_of(const ConfJson *object, const char *name);
static char *text_of(const ConfJson *object, const char *name);

void
conf_saved_start(ConfSessions *sessions)
{
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    sessions->died_ms = conf_clock_wall_ms();
    sessions->unsaved = g_hash_table_new(NULL, NULL);
    const ConfHistoryProvider *provider = provider_of(sessions, &self, &plugin);
    if (provider == NULL)
        return;
    /* It outlives a manager that is freed before the answer. */
    ConfSavedLoad *load = g_new0(ConfSavedLoad, 1);
    load->sessions = sessions;
    sessions->mark_load = load;
    load->in_call = true;
    conf_plugin_enter(plugin);
    provider->load_session(self, ALIVE, mark_loaded, load);
    conf_plugin_leave(plugin);
    load->in_call = false;
    if (load->ended)
        g_free(load);
}

void
conf_saved_stop(ConfSessions *sessions)
{
    if (sessions->mark_load != NULL)
        sessions->mark_load->sessions = NULL;
    g_hash_table_unref(sessions->unsaved);
}

void
conf_saved_change(ConfSession *session)
{
    ConfSessions *sessions = session->sessions;
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    if (session->token_hash[0] == '\0' || session->finished || provider_of(sessions, &self, &plugin) == NULL)
        return;
    if (g_hash_table_size(sessions->unsaved) == 0)
        conf_poller_defer(conf_poller_default(), flush, sessions);
    g_hash_table_add(sessions->unsaved, session);
}

void
conf_saved_flush(ConfSessions *sessions)
{
    GHashTableIter iter;
    void *member;
    g_hash_table_iter_init(&iter, sessions->unsaved);
    while (g_hash_table_iter_next(&iter, &member, NULL)) {
        ConfSession *session = member;
        /* That of a replica is of no use to anybody else: its server logs in anew. */
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        if (session->taken_ended == NULL) {
            write_session(session, &buffer);
            conf_buffer_append_char(&buffer, '\0');
        }
        save_text(sessions, session->token_hash, session->taken_ended == NULL ? buffer.data : NULL);
    }
    g_hash_table_remove_all(sessions->unsaved);
}

void
conf_saved_forget(ConfSession *session)
{
    g_hash_table_remove(session->sessions->unsaved, session);
    save_text(session->sessions, session->token_hash, NULL);
}

void
conf_saved_sweep(ConfSessions *sessions)
{
    int64_t now = conf_clock_wall_ms();
    if (sessions->mark_load != NULL || g_hash_table_size(sessions->by_token) == 0 ||
        ABS(now - sessions->marked_ms) < ALIVE_MS)
        return;
    sessions->marked_ms = now;
    g_autofree char *text = g_strdup_printf("{\"time\":%" G_GINT64_FORMAT "}", now);
    save_text(sessions, ALIVE, text);
    if (ABS(now - sessions->saved_again_ms) < AGAIN_MS)
        return;
    sessions->saved_again_ms = now;
    conf_sessions_foreach(sessions, conf_saved_change_one, NULL);
}

void
conf_saved_change_one(ConfSession *session, void *data)
{
    (void)data;
    conf_saved_change(session);
}

ConfSavedLoad *
conf_saved_load(ConfSessions *sessions, const char *token_hash, ConfSavedFunc func, void *data)
{
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    const ConfHistoryProvider *provider = provider_of(sessions, &self, &plugin);
    if (provider == NULL || sessions->saved_loads >= LOADS_MAX)
        return NULL;
    sessions->saved_loads++;
    ConfSavedLoad *load = g_new0(ConfSavedLoad, 1);
    *load = (ConfSavedLoad){.sessions = sessions, .func = func, .data = data, .in_call = true};
    g_strlcpy(load->hash, token_hash, sizeof load->hash);
    conf_timer_arm(&load->timer, LOAD_TIMEOUT_MS, load_timed_out, load);
    conf_plugin_enter(plugin);
    provider->load_session(self, token_hash, loaded, load);
    conf_plugin_leave(plugin);
    load->in_call = false;
    if (!load->ended)
        return load;
    /* It was answered within the call: func was called. */
    g_free(load);
    return NULL;
}

void
conf_saved_cancel(ConfSavedLoad *load)
{
    load->sessions->saved_loads--;
    load->sessions = NULL;
    conf_timer_cancel(&load->timer);
}

static const ConfHistoryProvider *
provider_of(const ConfSessions *sessions, void **self, ConfPlugin **plugin)
{
    ConfPluginHost *host = sessions->host.plugins;
    if (host == NULL)
        return NULL;
    *plugin = conf_plugin_host_service_plugin(host, "history");
    const ConfHistoryProvider *provider = conf_plugin_host_service(host, "history", self);
    return provider != NULL && provider->save_session != NULL && provider->load_session != NULL ? provider
                                                                                                : NULL;
}

static void
save_text(ConfSessions *sessions, const char *hash, const char *text)
{
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    const ConfHistoryProvider *provider = provider_of(sessions, &self, &plugin);
    if (provider == NULL || hash[0] == '\0')
        return;
    conf_plugin_enter(plugin);
    provider->save_session(self, hash, text);
    conf_plugin_leave(plugin);
}

static void
flush(void *data)
{
    conf_saved_flush(data);
    conf_saved_sweep(data);
}

static void
write_session(ConfSession *session, ConfBuffer *buffer)
{
    ConfJsonWriter writer;
    char seal[65];
    write_seal(session, seal);
    conf_json_writer_init(&writer, buffer);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_integer(&writer, "person", session->person.dbid);
    conf_json_writer_member_integer(&writer, "application", session->application.dbid);
    conf_json_writer_member_string(&writer, "seal", seal);
    conf_json_writer_member_string(&writer, "address", session->address != NULL ? session->address : "");
    if (session->client_name != NULL) {
        conf_json_writer_member_string(&writer, "client", session->client_name);
        conf_json_writer_member_string(&writer, "clientVersion", session->client_version);
    }
    conf_json_writer_member_integer(&writer, "opened", session->opened_ms);
    conf_json_writer_member_integer(&writer, "revision",
                                    conf_store_position(session->sessions->store)->revision);
    if (session->broken_ms != 0)
        conf_json_writer_member_integer(&writer, "broken", session->broken_ms);
    if (session->must_change)
        conf_json_writer_member_boolean(&writer, "mustChange", true);
    if (session->groups != NULL)
        write_groups(session, &writer);
    conf_json_writer_member_integer(&writer, "next", session->next_subscription);
    conf_json_writer_key(&writer, "subscriptions");
    conf_json_writer_begin_array(&writer);
    for (unsigned i = 0; i < session->subscriptions->len; i++)
        write_subscription(session->sessions, g_ptr_array_index(session->subscriptions, i), &writer);
    conf_json_writer_end_array(&writer);
    conf_json_writer_end_object(&writer);
}

static void
write_groups(const ConfSession *session, ConfJsonWriter *writer)
{
    conf_json_writer_key(writer, "groups");
    conf_json_writer_begin_array(writer);
    for (unsigned i = 0; i < session->groups->len; i++)
        conf_json_writer_integer(writer, g_array_index(session->groups, ConfKey, i).dbid);
    conf_json_writer_end_array(writer);
}

/* What has come of the walk tells the revision that the client gives at the resumption. */
static void
write_subscription(ConfSessions *sessions, const ConfSubscription *subscription, ConfJsonWriter *writer)
{
    conf_json_writer_begin_object(writer);
    conf_json_writer_member_integer(writer, "id", subscription->id);
    conf_scope_write(sessions, subscription->scope, writer);
    if (subscription->initial)
        conf_json_writer_member_boolean(writer, "initial", true);
    if (subscription->loaded_at != 0)
        conf_json_writer_member_integer(writer, "loaded", subscription->loaded_revision);
    conf_json_writer_end_object(writer);
}

/* What the log-in stood on: where that is another one now, the session is over. */
static void
write_seal(const ConfSession *session, char seal[65])
{
    const ConfStore *store = session->sessions->store;
    bool itself = session->person.dbid == 0;
    const ConfObject *object = conf_store_lookup(store, itself ? session->application : session->person);
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    if (object != NULL) {
        conf_buffer_append_slice(&buffer,
                                 conf_object_get_raw(object, itself ? "account" : "passwordChanged"));
        conf_buffer_append_char(&buffer, '\n');
        if (object->secrets != NULL)
            conf_buffer_append_slice(&buffer, conf_bytes_slice(object->secrets));
    }
    uint8_t digest[32];
    conf_id_sha256(conf_buffer_slice(&buffer), digest);
    conf_id_hex(digest, sizeof digest, seal);
    if (buffer.size > 0)
        explicit_bzero(buffer.data, buffer.size);
}

/* When the server before this one was last alive; without a mark it may have been until now. */
static void
mark_loaded(const char *text, void *data)
{
    ConfSavedLoad *load = data;
    ConfSessions *sessions = load->sessions;
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *mark =
        text != NULL ? conf_json_parse(arena, conf_slice_from_string(text), NULL, NULL, NULL) : NULL;
    int64_t time = mark != NULL ? number_of(mark, "time") : 0;
    if (sessions != NULL && time > 0)
        sessions->died_ms = MIN(sessions->died_ms, time + ALIVE_MS);
    if (sessions != NULL)
        sessions->mark_load = NULL;
    load->ended = true;
    if (!load->in_call)
        g_free(load);
}

static void
loaded(const char *text, void *data)
{
    ConfSavedLoad *load = data;
    ConfSession *session = NULL;
    load->ended = true;
    if (load->sessions != NULL) {
        session = g_hash_table_lookup(load->sessions->by_token,
                                      load->hash); /* Another one may have asked as well. */
        if (session == NULL && text != NULL)
            session = restore(load->sessions, load->hash, text);
        if (session == NULL && text != NULL)
            save_text(load->sessions, load->hash, NULL);
        end_load(load, session);
    }
    if (!load->in_call)
        g_free(load);
}

static void
load_timed_out(void *data)
{
    end_load(data, NULL);
}

static void
end_load(ConfSavedLoad *load, ConfSession *session)
{
    ConfSavedFunc func = load->func;
    conf_saved_cancel(load);
    func(session, load->data);
}

/* A broken session as it was, if all that it stands on still holds; NULL: it does not. */
static ConfSession *
restore(ConfSessions *sessions, const char *hash, const char *text)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *saved = conf_json_parse(arena, conf_slice_from_string(text), NULL, NULL, NULL);
    if (saved == NULL || saved->kind != CONF_JSON_OBJECT) {
        conf_log(CONF_LOG_SESSION_BROKEN, NULL);
        return NULL;
    }
    int64_t broken = number_of(saved, "broken"), now = conf_clock_wall_ms();
    int64_t since = broken != 0 ? broken : sessions->died_ms;
    int64_t left = sessions->settings.resume_timeout_s * 1000 - MAX(now - since, 0);
    if (left <= 0)
        return NULL;
    ConfSession *session = conf_session_new(sessions);
    if (!restore_account(session, saved) || !is_still_its(session, saved) ||
        !restore_subscriptions(session, saved) || was_ended(session, number_of(saved, "revision"))) {
        conf_session_discard(session);
        return NULL;
    }
    session->opened_ms = number_of(saved, "opened");
    session->address = text_of(saved, "address");
    session->client_name = text_of(saved, "client");
    session->client_version = text_of(saved, "clientVersion");
    session->broken_ms = since;
    conf_session_enroll(session, hash, (unsigned)MIN(left, G_MAXINT32));
    return session;
}

static bool
restore_account(ConfSession *session, const ConfJson *saved)
{
    ConfStore *store = session->sessions->store;
    int64_t person = number_of(saved, "person");
    session->application = (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = number_of(saved, "application")};
    const ConfObject *application = conf_store_lookup(store, session->application);
    if (application == NULL)
        return false;
    if (person != 0)
        session->person = session->subject = (ConfKey){.type = CONF_TYPE_PERSON, .dbid = person};
    else if (!conf_login_read_account(store, application, &session->subject))
        return false;
    const ConfObject *subject = conf_store_lookup(store, session->subject);
    if (subject == NULL)
        return false;
    const ConfJson *groups = conf_json_member(saved, "groups"), *flag = conf_json_member(saved, "mustChange");
    if (groups != NULL && groups->kind == CONF_JSON_ARRAY) {
        session->groups = g_array_new(FALSE, FALSE, sizeof(ConfKey));
        for (const ConfJson *item = groups->first; item != NULL; item = item->next) {
            ConfKey key = {.type = CONF_TYPE_ACCESS_GROUP, .dbid = item->integer};
            g_array_append_val(session->groups, key);
        }
    }
    session->identity = conf_session_current_identity(session);
    session->server_application = conf_object_get_boolean(application, "server");
    session->must_change = flag != NULL && flag->kind == CONF_JSON_BOOLEAN && flag->boolean;
    session->person_name = g_strdup(person != 0 ? subject->name : "");
    session->application_name = g_strdup(application->name);
    return true;
}

/* Enabled, allowed, of the password of then; and no other one of a server application is there. */
static bool
is_still_its(ConfSession *session, const ConfJson *saved)
{
    char seal[65];
    const ConfJson *member = conf_json_member(saved, "seal");
    write_seal(session, seal);
    return conf_session_still_allowed(session) && member != NULL && conf_slice_is(member->text, seal) &&
           (!session->server_application ||
            !g_hash_table_contains(session->sessions->by_application, &session->application));
}

/* What has ended it while no process knew it has ended it for good, whatever was allowed again since; as far
 * back as the ring reaches.  A password set meanwhile shows by the seal. */
static bool
was_ended(const ConfSession *session, int64_t since)
{
    ConfStore *store = session->sessions->store;
    const ConfAcl *execution = conf_store_acl(store, conf_store_lookup(store, session->application));
    int64_t revision = MAX(since, conf_store_recent_start(store));
    const ConfCommit *commit;
    while ((commit = conf_store_recent_after(store, revision)) != NULL) {
        if (is_ended_by(session, execution, commit))
            return true;
        revision = commit->revision;
    }
    return false;
}

/* `execution`: the list that is in force on its application now. */
static bool
is_ended_by(const ConfSession *session, const ConfAcl *execution, const ConfCommit *commit)
{
    const ConfStore *store = session->sessions->store;
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        if (change->before == NULL)
            continue;
        ConfKey key = conf_object_key(change->before);
        bool is_application = conf_key_equal(key, session->application);
        bool is_its =
            is_application || conf_key_equal(key, session->person) || conf_key_equal(key, session->subject);
        if (is_its && (change->after == NULL || !change->after->enabled))
            return true;
        if (change->acl_before == change->acl_after || change->acl_after == NULL)
            continue;
        /* Its own list, or that of the folder or tenant which it has its rights from. */
        const ConfObject *holder = conf_store_lookup(store, key);
        bool decides = is_application || (holder != NULL && holder->acl != NULL && holder->acl == execution);
        if (decides && (conf_identity_rights(session->identity, change->acl_after) & CONF_RIGHT_EXECUTE) == 0)
            return true;
    }
    return false;
}

static bool
restore_subscriptions(ConfSession *session, const ConfJson *saved)
{
    const ConfJson *list = conf_json_member(saved, "subscriptions");
    for (const ConfJson *item = list != NULL ? list->first : NULL; item != NULL; item = item->next) {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        const ConfJson *initial = conf_json_member(item, "initial"),
                       *known = conf_json_member(item, "loaded");
        ConfScope *scope = conf_scope_parse(session->sessions, item, "", session, true, &error);
        if (scope == NULL)
            return false; /* Of another schema. */
        ConfSubscription *subscription =
            conf_session_add_subscription(session, scope, initial != NULL && initial->boolean);
        subscription->id = number_of(item, "id");
        subscription->cut = subscription->initial;
        subscription->loaded_at = known != NULL ? 1 : 0;
        subscription->loaded_revision = known != NULL ? known->integer : 0;
    }
    session->next_subscription = MAX(number_of(saved, "next"), session->next_subscription);
    return true;
}

static int64_t
number_of(const ConfJson *object, const char *name)
{
    const ConfJson *member = conf_json_member(object, name);
    return member != NULL && member->is_integer ? member->integer : 0;
}

static char *
text_of(const ConfJson *object, const char *name)
{
    const ConfJson *member = conf_json_member(object, name);
    return member != NULL && member->kind == CONF_JSON_STRING ? conf_slice_dup(member->text) : NULL;
}
