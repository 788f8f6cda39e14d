/* session-methods.c - session.* (but changePassword: account-methods.c) and subscription.*. */
#include "base/clock.h"
#include "methods/methods-private.h"

enum { SESSIONS_LIMIT = 1000, SESSIONS_LIMIT_MAX = 2000 };

static void session_open(ConfRequest *request, void *data);
static void session_continue(ConfRequest *request, void *data);
static void session_resume(ConfRequest *request, void *data);
static void session_close(ConfRequest *request, void *data);
static void session_list(ConfRequest *request, void *data);
static void collect(ConfSession *session, void *data);
static int compare_sessions(const void *a, const void *b);
static void write_session(ConfJsonWriter *writer, ConfSession *session);
static void write_client(ConfJsonWriter *writer, const ConfSession *session);
static void subscription_open(ConfRequest *request, void *data);
static void subscription_close(ConfRequest *request, void *data);

void
conf_methods_add_session(ConfMethods *methods, ConfMethodTable *table)
{
    /* The first three answer a second log-in themselves, whatever stands in its way. */
    enum { OPENING = CONF_METHOD_BEFORE_LOGIN | CONF_METHOD_WHILE_EXPIRED };
    static const ConfMethod family[] = {
        {.name = "session.open", .func = session_open, .flags = OPENING},
        {.name = "session.continue", .func = session_continue, .flags = OPENING},
        {.name = "session.resume", .func = session_resume, .flags = OPENING},
        {.name = "session.close", .func = session_close},
        {.name = "session.list", .func = session_list},
    };
    conf_methods_add_all(methods, table, family, G_N_ELEMENTS(family));
}

void
conf_methods_add_subscription(ConfMethods *methods, ConfMethodTable *table)
{
    static const ConfMethod family[] = {
        {.name = "subscription.open", .func = subscription_open},
        {.name = "subscription.close", .func = subscription_close},
    };
    conf_methods_add_all(methods, table, family, G_N_ELEMENTS(family));
}

static void
session_open(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    conf_sessions_open(methods->context.sessions, request);
}

static void
session_continue(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    conf_sessions_continue(methods->context.sessions, request);
}

static void
session_resume(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    conf_sessions_resume(methods->context.sessions, request);
}

static void
session_close(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    conf_sessions_close(methods->context.sessions, request);
}

static void
subscription_open(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    conf_sessions_subscribe(methods->context.sessions, request);
}

static void
subscription_close(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    conf_sessions_unsubscribe(methods->context.sessions, request);
}

/* In pages, by the number of the session: thousands would not fit a line. */
static void
session_list(ConfRequest *request, void *data)
{
    static const char *const names[] = {"limit", "cursor", NULL};
    ConfMethods *methods = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    int64_t limit = SESSIONS_LIMIT, cursor = 0;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    bool fine = params != NULL &&
                conf_params_integer(params, "", "limit", 1, SESSIONS_LIMIT_MAX, false, &limit, &error) &&
                conf_params_integer(params, "", "cursor", 0, G_MAXINT64, false, &cursor, &error);
    if (fine && !conf_session_is_administrator(conf_request_get_session(request)))
        fine = conf_rpc_fail(&error, CONF_RPC_NOT_PERMITTED,
                             "Right changePermissions is missing on tenant Environment");
    if (!fine) {
        conf_request_fail(request, &error);
        return;
    }
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    conf_sessions_foreach(methods->context.sessions, collect, all);
    g_ptr_array_sort(all, compare_sessions);
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, conf_request_begin(request));
    conf_json_writer_begin_object(&writer);
    conf_json_writer_key(&writer, "sessions");
    conf_json_writer_begin_array(&writer);
    int64_t written = 0, last = 0;
    bool more = false;
    for (unsigned i = 0; i < all->len && !more; i++) {
        ConfSession *session = g_ptr_array_index(all, i);
        if ((int64_t)conf_session_number(session) <= cursor)
            continue;
        if (written == limit) {
            more = true;
            break;
        }
        write_session(&writer, session);
        last = (int64_t)conf_session_number(session);
        written++;
    }
    conf_json_writer_end_array(&writer);
    if (more)
        conf_json_writer_member_integer(&writer, "cursor", last);
    conf_json_writer_end_object(&writer);
    conf_request_end(request);
}

static void
collect(ConfSession *session, void *data)
{
    g_ptr_array_add(data, session);
}

static int
compare_sessions(const void *a, const void *b)
{
    uint64_t x = conf_session_number(*(ConfSession *const *)a),
             y = conf_session_number(*(ConfSession *const *)b);
    return x < y ? -1 : x > y;
}

static void
write_session(ConfJsonWriter *writer, ConfSession *session)
{
    char since[CONF_TIME_TEXT_SIZE];
    conf_clock_format(conf_session_opened_at(session), since);
    conf_json_writer_begin_object(writer);
    conf_json_writer_member_integer(writer, "session", (int64_t)conf_session_number(session));
    if (conf_session_get_user(session) != 0) {
        conf_json_writer_member_string(writer, "user", conf_session_get_user_name(session));
        conf_json_writer_member_integer(writer, "userDbid", conf_session_get_user(session));
    }
    conf_json_writer_member_string(writer, "application", conf_session_get_application_name(session));
    conf_json_writer_member_integer(writer, "applicationDbid", conf_session_get_application(session));
    conf_json_writer_member_string(writer, "address", conf_session_address(session));
    conf_json_writer_member_string(writer, "since", since);
    if (conf_session_client_name(session) != NULL)
        write_client(writer, session);
    conf_json_writer_member_boolean(writer, "connected", conf_session_connection(session) != NULL);
    conf_json_writer_end_object(writer);
}

/* As it named itself, which proves nothing. */
static void
write_client(ConfJsonWriter *writer, const ConfSession *session)
{
    conf_json_writer_key(writer, "client");
    conf_json_writer_begin_object(writer);
    conf_json_writer_member_string(writer, "name", conf_session_client_name(session));
    conf_json_writer_member_string(writer, "version", conf_session_client_version(session));
    conf_json_writer_end_object(writer);
}
