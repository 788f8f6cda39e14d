/* session-fixture.c - see session-fixture.h. */
#include "session-fixture.h"

#include <errno.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
write_nothing(ConfBuffer *buffer, void *data)
{
}

static bool
always(void *data)
{
    return true;
}

static bool
may_open(ConfRpcError *error, void *data)
{
    return true;
}

Desk *
desk_new(int64_t view_change_max)
{
    Desk *desk = g_new0(Desk, 1);
    ConfSessionSettings settings = {
        .resume_timeout_s = 60,
        .login_timeout_s = 60,
        .max_unauthenticated = 1000,
        .max_request_size = 1 << 20,
        .max_output_queue = 1 << 20,
        .max_notification_backlog = 16 << 20,
        .view_change_max = view_change_max,
        .broken_max = 100,
    };
    ConfSessionHost host = {
        .write_server = write_nothing, .is_writable = always, .may_open = may_open, .has_secrets = always};
    desk->company = fixture_new();
    desk->sessions = conf_sessions_new(desk->company->store, desk->company->access, desk->company->publisher,
                                       &settings, &host);
    desk->table = conf_method_table_new();
    conf_sessions_install(desk->sessions, desk->table);
    return desk;
}

void
desk_free(Desk *desk)
{
    conf_sessions_free(desk->sessions);
    fixture_free(desk->company);
    conf_method_table_free(desk->table);
    g_free(desk);
}

ConfCommit *
desk_commit(Desk *desk, const char *text)
{
    g_autoptr(Result) result = fixture_run(desk->company, "default", text);
    if (result->code != 0)
        g_error("%s: %s {%s}", text, result->message, result->data);
    return g_ptr_array_index(desk->company->published, desk->company->published->len - 1);
}

ConfScope *
desk_try_scope(Desk *desk, const char *text, ConfRpcError *error)
{
    g_autofree char *expanded = fixture_expand(desk->company, text);
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *params = conf_json_parse(arena, conf_slice_from_string(expanded), NULL, NULL, NULL);
    g_assert_nonnull(params);
    return conf_scope_parse(desk->sessions, params, "", NULL, true, error);
}

ConfScope *
desk_scope(Desk *desk, const char *text)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfScope *scope = desk_try_scope(desk, text, &error);
    if (scope == NULL)
        g_error("%s: %s", text, error.message);
    return scope;
}

ConfIdentity *
desk_identity(Desk *desk, const char *person)
{
    return conf_identity_of(desk->company->store, fixture_person(desk->company, person));
}

ConfKey
desk_key(Desk *desk, const char *type, const char *name)
{
    return conf_object_key(fixture_object(desk->company, type, name));
}

Seat *
seat_new(Desk *desk, const char *person, const char *group)
{
    Seat *seat = g_new0(Seat, 1);
    int fds[2], made = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    g_assert_cmpint(made, ==, 0);
    seat->fd = fds[1];
    seat->input = g_string_new(NULL);
    conf_sessions_accept(desk->sessions, desk->table, fds[0], &(ConfAcceptance){.port_id = "default"});
    ConfSession *session = conf_session_new(desk->sessions);
    session->subject = session->person = fixture_person(desk->company, person);
    session->application = desk_key(desk, "application", "a1");
    session->person_name = g_strdup(person);
    session->application_name = g_strdup("a1");
    if (group != NULL) {
        ConfKey key = desk_key(desk, "accessGroup", group);
        session->groups = g_array_new(FALSE, FALSE, sizeof(ConfKey));
        g_array_append_val(session->groups, key);
    }
    session->identity = conf_session_current_identity(session);
    char token[33];
    conf_session_register(session, token);
    conf_session_bind(session, g_queue_peek_tail(&desk->sessions->unauthenticated));
    seat->session = session;
    return seat;
}

void
seat_free(Seat *seat)
{
    close(seat->fd);
    g_string_free(seat->input, TRUE);
    g_free(seat);
}

void
seat_subscribe(Desk *desk, Seat *seat, const char *scope)
{
    conf_session_add_subscription(seat->session, desk_scope(desk, scope), false);
    conf_audience_place(seat->session);
}

char *
seat_read(Seat *seat)
{
    int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    char buffer[65536];
    ssize_t got;
    bool settled = false;
    while (!settled) {
        g_main_context_iteration(NULL, FALSE);
        while ((got = recv(seat->fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
            g_string_append_len(seat->input, buffer, got);
        ConfConnection *connection = seat->session->connection;
        settled = connection == NULL ||
                  (seat->session->replay == NULL && conf_connection_get_unsent(connection) == 0);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
    while ((got = recv(seat->fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
        g_string_append_len(seat->input, buffer, got);
    g_auto(GStrv) lines = g_strsplit(seat->input->str, "\n", -1);
    g_string_truncate(seat->input, 0);
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; lines[i] != NULL && lines[i][0] != '\0'; i++) {
        g_autofree char *line = describe_line(lines[i]);
        g_string_append_printf(text, "%s%s", i > 0 ? "\n" : "", line);
    }
    return g_string_free(text, FALSE);
}

char *
describe_line(const char *line)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;
    json_parser_load_from_data(parser, line, -1, &error);
    g_assert_no_error(error);
    JsonObject *message = json_node_get_object(json_parser_get_root(parser));
    JsonObject *params = json_object_get_object_member(message, "params");
    const char *method = json_object_get_string_member(message, "method");
    if (strcmp(method, "subscription.reset") == 0)
        return g_strconcat("reset ", json_object_get_string_member(params, "reason"), NULL);
    if (strcmp(method, "changes") != 0)
        return g_strdup(method);
    JsonArray *changes = json_object_get_array_member(params, "changes");
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i < json_array_get_length(changes); i++) {
        JsonObject *change = json_array_get_object_element(changes, i);
        bool whole = json_object_has_member(change, "object");
        g_assert_true(whole == (strcmp(json_object_get_string_member(change, "op"), "create") == 0));
        g_string_append_printf(
            text, "%s%s %s %" G_GINT64_FORMAT, i > 0 ? ", " : "", json_object_get_string_member(change, "op"),
            json_object_get_string_member(change, "type"), json_object_get_int_member(change, "dbid"));
        if (json_object_has_member(change, "reason"))
            g_string_append_printf(text, " %s", json_object_get_string_member(change, "reason"));
    }
    if (json_object_has_member(params, "more"))
        g_string_append_c(text, '+');
    return g_string_free(text, FALSE);
}

char *
describe_view(ConfView *view, const ConfViewer *viewer)
{
    if (view->reset)
        return g_strdup(view->reset_reason == CONF_REASON_SCOPE ? "reset scope" : "reset permission");
    if (view->items->len == 0)
        return g_strdup("");
    g_autoptr(GHashTable) cache = conf_view_cache_new();
    const GPtrArray *lines = conf_view_lines(view, viewer, cache);
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i < lines->len; i++) {
        const ConfBytes *bytes = g_ptr_array_index(lines, i);
        g_autofree char *copy = g_strndup(bytes->data, bytes->size);
        g_autofree char *line = describe_line(copy);
        g_string_append_printf(text, "%s%s", i > 0 ? "\n" : "", line);
    }
    return g_string_free(text, FALSE);
}
