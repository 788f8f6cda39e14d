/* session-plugin.c - what confserv-plugin.h says of sessions and log-ins. */
#include "session/login-private.h"

/* The session may be gone before the answer, and the plugin too. */
typedef struct {
    ConfPlugin *plugin; /* a reference */
    ConfSessions *sessions;
    uint64_t session_number;
    bool dry_run;
    /* one of the two */
    void (*done)(void *self, int64_t revision, const char *error_json, void *data);
    void (*told)(void *self, const char *result_json, const char *error_json, void *data);
    void *data;
} Submission;

enum { TENANT_DEPTH_MAX = 33 };

typedef struct {
    ConfStore *store;
    int64_t tenant; /* of the person */
    unsigned distance, count;
    const ConfObject *found;
} GroupSearch;

static bool consider_group(const ConfObject *group, void *data);
static const ConfAcl *parse_rights(const ConfSchema *schema, const char *rights_json);
static bool names_right(uint8_t rights, const char *right);
static const ConfTypeInfo *type_of(const ConfSession *session, const char *type);
static Submission *submission_new(const ConfSession *session, ConfPlugin *plugin, void *data);
static void submit(const ConfSession *session, ConfSlice operations, bool dry_run, Submission *submission);
static void end_sessions(void *data);
static void submitted(const ConfRpcError *error, int64_t revision, const ConfCommit *commit,
                      const ConfOperationResult *results, unsigned result_count, void *data);
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
    return names_right(conf_identity_rights_on(s->sessions->store, s->identity, o), right);
}

bool
conf_session_may_by(const ConfSession *s, const char *rights_json, const char *right)
{
    const ConfAcl *acl = parse_rights(conf_store_schema(s->sessions->store), rights_json);
    if (acl == NULL)
        return false;
    bool may = names_right(conf_identity_rights(s->identity, acl), right);
    conf_acl_unref(acl);
    return may;
}

/* A reference; NULL: the text is none. */
static const ConfAcl *
parse_rights(const ConfSchema *schema, const char *rights_json)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *tree = conf_json_parse(arena, conf_slice_from_string(rights_json), NULL, NULL, NULL);
    if (tree == NULL || tree->kind != CONF_JSON_ARRAY)
        return NULL;
    g_autoptr(GArray) entries = conf_acl_entries_parse(tree, schema, "", NULL);
    return entries != NULL ? conf_acl_intern((const ConfAclEntry *)(void *)entries->data, entries->len)
                           : NULL;
}

static bool
names_right(uint8_t rights, const char *right)
{
    for (unsigned bit = 0; bit < 7; bit++) {
        if (strcmp(conf_right_name(1u << bit), right) == 0)
            return (rights & 1u << bit) != 0;
    }
    return false;
}

bool
conf_session_is_administrator(const ConfSession *s)
{
    const ConfObject *environment = conf_store_lookup(
        s->sessions->store, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = CONF_DBID_ENVIRONMENT});
    return environment != NULL && (conf_identity_rights_on(s->sessions->store, s->identity, environment) &
                                   CONF_RIGHT_CHANGE_PERMISSIONS) != 0;
}

const ConfObject *
conf_session_read(ConfSession *s, const char *type, int64_t dbid)
{
    const ConfTypeInfo *info = type_of(s, type);
    const ConfObject *object =
        info == NULL ? NULL
                     : conf_store_lookup(s->sessions->store, (ConfKey){.type = info->id, .dbid = dbid});
    return object != NULL && conf_session_may_read(s, object) ? object : NULL;
}

const ConfObject *
conf_session_read_name(ConfSession *s, const char *type, const char *name)
{
    const ConfTypeInfo *info = type_of(s, type);
    const ConfObject *object = info == NULL ? NULL
                                            : conf_store_lookup_name(s->sessions->store, info->id,
                                                                     conf_slice_from_string(name), NULL);
    return object != NULL && conf_session_may_read(s, object) ? object : NULL;
}

void
conf_session_submit(ConfSession *s, ConfPlugin *p, const char *operations_json,
                    void (*done)(void *self, int64_t revision, const char *error_json, void *data),
                    void *data)
{
    Submission *submission = submission_new(s, p, data);
    submission->done = done;
    submit(s, conf_slice_from_string(operations_json), false, submission);
}

void
conf_session_transaction(ConfSession *s, ConfPlugin *p, const char *params_json,
                         void (*done)(void *self, const char *result_json, const char *error_json,
                                      void *data),
                         void *data)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfSlice operations = {NULL, 0};
    Submission *submission = submission_new(s, p, data);
    submission->told = done;
    if (conf_transaction_params_read(conf_slice_from_string(params_json), &operations, &submission->dry_run,
                                     &error))
        submit(s, operations, submission->dry_run, submission);
    else
        submitted(&error, 0, NULL, NULL, 0, submission);
}

bool
conf_session_may_read_past(ConfSession *s, const char *object_json, const char *last_rights)
{
    const ConfSchema *schema = conf_store_schema(s->sessions->store);
    const ConfAcl *acl = last_rights != NULL ? parse_rights(schema, last_rights) : NULL;
    if (acl == NULL)
        return conf_session_is_administrator(s);
    g_autoptr(ConfObject) object = conf_object_from_stored(
        schema, conf_slice_from_string(object_json), (ConfSlice){NULL, 0}, (ConfSlice){NULL, 0}, 0, NULL);
    bool may = object != NULL && conf_session_may_read_gone(s, acl, object);
    conf_acl_unref(acl);
    return may;
}

bool
conf_session_send_notification(ConfSession *s, const char *method, const char *params_json)
{
    return s->connection != NULL && !s->finished &&
           conf_connection_send_notification(s->connection, method, params_json);
}

/* Not under the feet of the hook that ends it. */
void
conf_session_end(ConfSession *s, const char *reason)
{
    if (s->finished || g_hash_table_contains(s->sessions->endings, s))
        return;
    /* The reason stands in a JSON string: what would need escapes is replaced. */
    char *plain = g_strcanon(g_strdup(reason != NULL ? reason : "plugin"),
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. ", '-');
    g_hash_table_insert(s->sessions->endings, s, plain);
    conf_poller_defer(conf_poller_default(), end_sessions, s->sessions);
}

static void
end_sessions(void *data)
{
    ConfSessions *sessions = data;
    GHashTableIter iter;
    void *session, *reason;
    for (;;) {
        g_hash_table_iter_init(&iter, sessions->endings);
        if (!g_hash_table_iter_next(&iter, &session, &reason))
            return;
        g_hash_table_iter_steal(&iter);
        conf_session_finish(sessions, session, reason);
        g_free(reason);
    }
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
    return conf_store_lookup_name(l->sessions->store, CONF_TYPE_PERSON, conf_slice_from_string(l->user),
                                  NULL);
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
    const ConfObject *object = conf_login_find_group(l, group);
    if (object == NULL) {
        conf_log(CONF_LOG_GROUP_UNKNOWN, "group", group, "user", l->user, NULL);
        return;
    }
    if (l->groups == NULL)
        l->groups = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    ConfKey key = conf_object_key(object);
    g_array_append_val(l->groups, key);
}

/* A tenant may call a group of its own like one of another: that must put nobody else into it. */
const ConfObject *
conf_login_find_group(const ConfLogin *l, const char *group)
{
    const ConfObject *person = conf_login_get_person(l);
    GroupSearch search = {.store = l->sessions->store,
                          .tenant = person != NULL ? person->tenant : CONF_DBID_ENVIRONMENT,
                          .distance = TENANT_DEPTH_MAX};
    g_autofree char *normal = g_utf8_normalize(group, -1, G_NORMALIZE_NFC);
    conf_state_foreach_named(conf_store_state(search.store), CONF_TYPE_ACCESS_GROUP,
                             conf_slice_from_string(normal != NULL ? normal : group), consider_group,
                             &search);
    return search.distance < TENANT_DEPTH_MAX || search.count == 1 ? search.found : NULL;
}

static bool
consider_group(const ConfObject *group, void *data)
{
    GroupSearch *search = data;
    unsigned distance = 0;
    int64_t dbid = search->tenant;
    while (distance < TENANT_DEPTH_MAX && dbid != group->tenant) {
        const ConfObject *tenant =
            conf_store_lookup(search->store, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = dbid});
        bool is_top = tenant == NULL || tenant->tenant == dbid;
        distance = is_top ? TENANT_DEPTH_MAX : distance + 1;
        dbid = is_top ? dbid : tenant->tenant;
    }
    if (search->count++ == 0 || distance < search->distance) {
        search->found = group;
        search->distance = distance;
    }
    return true;
}

GBytes *
conf_login_get_state(const ConfLogin *l)
{
    return l->asker == conf_plugin_current() ? l->state : NULL;
}

const char *
conf_login_get_response(const ConfLogin *l)
{
    return l->asker == conf_plugin_current() ? l->response : NULL;
}

ConfLater *
conf_login_later(ConfLogin *l, unsigned timeout_ms, void (*gone)(void *), void *data)
{
    static const ConfLaterFuncs funcs = {
        .finished = later_finished,
        .challenged = later_challenged,
        .timed_out = later_timed_out,
    };
    if (l->later != NULL)
        return conf_later_new_gone(conf_plugin_current(), gone, data,
                                   "It took a ConfLater of a log-in that is put off already");
    l->asker = conf_plugin_current();
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
    conf_login_later_verdict(
        owner, CONF_REFUSE,
        g_error_new(CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The directory did not answer in time"));
}

static const ConfTypeInfo *
type_of(const ConfSession *session, const char *type)
{
    return conf_schema_type_by_name(conf_store_schema(session->sessions->store),
                                    conf_slice_from_string(type));
}

static Submission *
submission_new(const ConfSession *session, ConfPlugin *plugin, void *data)
{
    Submission *submission = g_new0(Submission, 1);
    *submission = (Submission){
        .plugin = conf_plugin_ref(plugin),
        .sessions = session->sessions,
        .session_number = session->number,
        .data = data,
    };
    return submission;
}

static void
submit(const ConfSession *session, ConfSlice operations, bool dry_run, Submission *submission)
{
    ConfTransaction *transaction = conf_transaction_new(CONF_TRANSACTION_LIST, operations, dry_run);
    conf_session_author_transaction(session, transaction);
    if (submission->told != NULL)
        conf_transaction_allow_dbids(transaction);
    ConfWriteSink *sink = session->sessions->sink;
    sink->submit(sink->self, transaction, submitted, submission);
}

static void
submitted(const ConfRpcError *error, int64_t revision, const ConfCommit *commit,
          const ConfOperationResult *results, unsigned result_count, void *data)
{
    Submission *submission = data;
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    if (error != NULL)
        conf_rpc_error_write(error, &text);
    else if (submission->dry_run)
        conf_transaction_write_dry_run(
            conf_sessions_lookup_number(submission->sessions, submission->session_number),
            conf_store_position(submission->sessions->store)->revision, commit, results, result_count, &text);
    else
        conf_transaction_write_result(revision, results, result_count, &text);
    conf_buffer_append_char(&text, '\0');
    const char *result = error == NULL ? text.data : NULL, *failure = error != NULL ? text.data : NULL;
    if (conf_plugin_is_loaded(submission->plugin)) {
        void *self = conf_plugin_get_self(submission->plugin);
        conf_plugin_enter(submission->plugin);
        if (submission->told != NULL)
            submission->told(self, result, failure, submission->data);
        else
            submission->done(self, revision, failure, submission->data);
        conf_plugin_leave(submission->plugin);
    }
    conf_plugin_unref(submission->plugin);
    g_free(submission);
}
