/* session-plugin.c - what confserv-plugin.h says of sessions and log-ins. */
#include "session/login-private.h"

typedef struct {
    ConfPlugin *plugin;
    void (*done)(void *self, int64_t revision, const char *error_json, void *data);
    void *data;
} Submission;

static const ConfTypeInfo *type_of(const ConfSession *session, const char *type);
static void submitted(const ConfRpcError *error, int64_t revision, const ConfCommit *commit, const ConfOperationResult *results,
                      unsigned result_count, void *data);
static void later_finished(void *owner, ConfVerdict verdict, GError *error);
static void later_challenged(void *owner, const char *prompt, GBytes *state);
static void later_timed_out(void *owner);

uint64_t
conf_session_get_id(const ConfSession *s)
{
    return s->number;
}

int64_t
conf_session_get_user(const ConfSession *s)
{
    return s->person.dbid;
}

const char *
conf_session_get_user_name(const ConfSession *s)
{
    return s->person_name;
}

int64_t
conf_session_get_application(const ConfSession *s)
{
    return s->application.dbid;
}

const char *
conf_session_get_application_name(const ConfSession *s)
{
    return s->application_name;
}

ConfConnection *
conf_session_get_peer(const ConfSession *s)
{
    return s->connection;
}

bool
conf_session_may(const ConfSession *s, const ConfObject *o, const char *right)
{
    uint8_t rights = conf_identity_rights_on(s->sessions->store, s->identity, o);
    for (unsigned bit = 0; bit < 7; bit++) {
        if (strcmp(conf_right_name(1u << bit), right) == 0)
            return (rights & 1u << bit) != 0;
    }
    return false;
}

bool
conf_session_is_administrator(const ConfSession *s)
{
    return conf_access_is_administrator(conf_store_state(s->sessions->store), s->subject);
}

const ConfObject *
conf_session_read(ConfSession *s, const char *type, int64_t dbid)
{
    const ConfTypeInfo *info = type_of(s, type);
    const ConfObject *object = info == NULL
        ? NULL : conf_store_lookup(s->sessions->store, (ConfKey){.type = info->id, .dbid = dbid});
    return object != NULL && conf_session_may_read(s, object) ? object : NULL;
}

const ConfObject *
conf_session_read_name(ConfSession *s, const char *type, const char *name)
{
    const ConfTypeInfo *info = type_of(s, type);
    const ConfObject *object = info == NULL
        ? NULL : conf_store_lookup_name(s->sessions->store, info->id, conf_slice_from_string(name), NULL);
    return object != NULL && conf_session_may_read(s, object) ? object : NULL;
}

void
conf_session_submit(ConfSession *s, ConfPlugin *p, const char *operations_json,
                    void (*done)(void *self, int64_t revision, const char *error_json, void *data), void *data)
{
    Submission *submission = g_new0(Submission, 1);
    submission->plugin = p;
    submission->done = done;
    submission->data = data;
    ConfTransaction *transaction =
        conf_transaction_new(CONF_TRANSACTION_LIST, conf_slice_from_string(operations_json), false);
    conf_session_author_transaction(s, transaction);
    ConfWriteSink *sink = s->sessions->sink;
    sink->submit(sink->self, transaction, submitted, submission);
}

bool
conf_session_send_notification(ConfSession *s, const char *method, const char *params_json)
{
    return s->connection != NULL && !s->finished && conf_connection_send_notification(s->connection, method, params_json);
}

typedef struct {
    ConfSessions *sessions;
    uint64_t number;
    char *reason;
} Ending;

static void
find_ending(ConfSession *session, void *data)
{
    void **found = data;
    if (session->number == ((Ending *)found[0])->number)
        found[1] = session;
}

/* By number: the session may be gone by then, and it must not go under the feet of the hook that ends it. */
static void
end_later(void *data)
{
    Ending *ending = data;
    void *found[2] = {ending, NULL};
    conf_sessions_foreach(ending->sessions, find_ending, found);
    if (found[1] != NULL)
        conf_session_finish(ending->sessions, found[1], ending->reason);
    g_free(ending->reason);
    g_free(ending);
}

void
conf_session_end(ConfSession *s, const char *reason)
{
    Ending *ending = g_new0(Ending, 1);
    *ending = (Ending){.sessions = s->sessions, .number = s->number};
    /* The reason stands in a JSON string: what would need escapes is replaced. */
    ending->reason = g_strcanon(g_strdup(reason),
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. ", '-');
    conf_poller_defer(conf_poller_default(), end_later, ending);
}

const char *
conf_login_get_user(const ConfLogin *l)
{
    return l->user != NULL ? l->user : "";
}

const char *
conf_login_get_application(const ConfLogin *l)
{
    return l->application;
}

const char *
conf_login_get_password(const ConfLogin *l)
{
    return l->password != NULL ? l->password : l->secret != NULL ? l->secret : "";
}

const char *
conf_login_get_mechanism(const ConfLogin *l)
{
    return l->mechanism != NULL ? l->mechanism : "password";
}

const char *
conf_login_get_token(const ConfLogin *l)
{
    return l->token != NULL ? l->token : "";
}

const ConfObject *
conf_login_get_person(const ConfLogin *l)
{
    if (l->user == NULL)
        return NULL;
    return conf_store_lookup_name(l->sessions->store, CONF_TYPE_PERSON, conf_slice_from_string(l->user), NULL);
}

ConfConnection *
conf_login_get_connection(const ConfLogin *l)
{
    return l->client != NULL ? l->client->connection : NULL;
}

void
conf_login_set_text(ConfLogin *l, const char *text)
{
    g_free(l->text);
    l->text = g_utf8_make_valid(text, -1);
}

void
conf_login_add_group(ConfLogin *l, const char *group)
{
    const ConfObject *object =
        conf_store_lookup_name(l->sessions->store, CONF_TYPE_ACCESS_GROUP, conf_slice_from_string(group), NULL);
    if (object == NULL) {
        conf_log(CONF_LOG_GROUP_UNKNOWN, "group", group, "user", l->user, NULL);
        return;
    }
    if (l->groups == NULL)
        l->groups = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    ConfKey key = conf_object_key(object);
    g_array_append_val(l->groups, key);
}

GBytes *
conf_login_get_state(const ConfLogin *l)
{
    return l->state;
}

const char *
conf_login_get_response(const ConfLogin *l)
{
    return l->response;
}

ConfLater *
conf_login_later(ConfLogin *l, unsigned timeout_ms, void (*gone)(void *), void *data)
{
    static const ConfLaterFuncs funcs = {
        .finished = later_finished,
        .challenged = later_challenged,
        .timed_out = later_timed_out,
    };
    l->later = conf_later_new(conf_plugin_current(), &funcs, l, timeout_ms, gone, data);
    return l->later;
}

static void
later_finished(void *owner, ConfVerdict verdict, GError *error)
{
    ConfLogin *login = owner;
    login->later_next = verdict == CONF_NEXT;
    conf_login_later_verdict(login, verdict, error);
}

static void
later_challenged(void *owner, const char *prompt, GBytes *state)
{
    conf_login_later_challenge(owner, prompt, state);
}

static void
later_timed_out(void *owner)
{
    conf_login_later_verdict(owner, CONF_REFUSE,
                             g_error_new(CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The directory did not answer in time"));
}

static const ConfTypeInfo *
type_of(const ConfSession *session, const char *type)
{
    return conf_schema_type_by_name(conf_store_schema(session->sessions->store), conf_slice_from_string(type));
}

static void
submitted(const ConfRpcError *error, int64_t revision, const ConfCommit *commit, const ConfOperationResult *results,
          unsigned result_count, void *data)
{
    (void)commit, (void)results, (void)result_count;
    Submission *submission = data;
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    if (error != NULL) {
        conf_rpc_error_write(error, &text);
        conf_buffer_append_char(&text, '\0');
    }
    conf_plugin_enter(submission->plugin);
    submission->done(conf_plugin_get_self(submission->plugin), revision, error != NULL ? text.data : NULL, submission->data);
    conf_plugin_leave(submission->plugin);
    g_free(submission);
}
