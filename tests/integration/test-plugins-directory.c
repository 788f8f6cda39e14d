/* test-plugins-directory.c - what strangers, and what changes under way, can make of log-ins by directories
 * (section [authentication]). */
#include "plugins.h"

#define INT G_GINT64_FORMAT
#define ONE "t-library-one"
#define OPEN "{'user':'%s','password':'%s','application':'confctl'}"
#define LIBRARY "[authentication]\nlibrary = gauth_one\n"

static int64_t
add_person(TestClient *admin, const char *name, const char *more, bool may_log_in)
{
    int64_t dbid = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'person','name':'%s'%s}}", name, more), "dbid");
    if (may_log_in)
        test_call(admin, "permission.update",
                  "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" INT
                  "},'rights':['read','execute']}]}",
                  dbid);
    return dbid;
}

static int64_t
add_external(TestClient *admin, const char *name)
{
    g_autofree char *more = g_strdup_printf(",'externalId':'%s'", name);
    return add_person(admin, name, more, true);
}

static void
set_password(TestClient *admin, int64_t dbid, const char *password)
{
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'%s'}", dbid, password);
}

/* The code, 0 for a session; *text (may be NULL): data.text, g_free(). */
static int64_t
open_from(uint16_t port, const char *address, const char *user, const char *password, char **text)
{
    g_autoptr(TestClient) client = test_client_connect_from(address, port);
    JsonObject *response =
        test_wait_response(client, test_send(client, "session.open", OPEN, user, password));
    if (!json_object_has_member(response, "error"))
        return 0;
    JsonObject *error = json_object_get_object_member(response, "error");
    JsonObject *data =
        json_object_has_member(error, "data") ? json_object_get_object_member(error, "data") : NULL;
    if (text != NULL)
        *text = data != NULL && json_object_has_member(data, "text")
                    ? g_strdup(json_object_get_string_member(data, "text"))
                    : NULL;
    return json_object_get_int_member(error, "code");
}

static int64_t
open_code(TestServer *server, const char *user, const char *password)
{
    return open_from(test_server_get_port(server), "127.0.0.1", user, password, NULL);
}

/* What the library says whatever the password is; "": what stands in the password. */
static void
say(TestClient *admin, const char *word)
{
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','patch':{'options':{'" ONE "':{'says':'%s'}}}}", word);
}

/* A directory's yes is for the account that it was asked about, not for whoever has its name by now. */
static void
test_changed_meanwhile(void)
{
    static const struct {
        const char *patch;
        bool successor;
        int64_t code;
    } CASES[] = {{"'name':'former'", true, -32013},
                 {"'externalId':'boss'", false, -32013},
                 {"'annex':{'authentication':{'library':'internal'}}", false, -32013},
                 {"'state':'disabled'", false, -32001},
                 {"'firstName':'Ann'", false, 0}};
    g_autoptr(TestServer) server = test_primary_with(ONE, "login-attempts = 100\n" LIBRARY);
    g_autoptr(TestClient) admin = test_client_new(server);
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *name = g_strdup_printf("ann%u", i);
        int64_t dbid = add_external(admin, name);
        g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
        int64_t id = test_send(client, "session.open", OPEN, name, "one=hold");
        g_autofree char *events = test_wait_event(admin, ONE ".events", name);
        test_call(admin, "object.update", "{'type':'person','dbid':%" INT ",'patch':{%s}}", dbid,
                  CASES[i].patch);
        if (CASES[i].successor)
            add_external(admin, name);
        test_call(admin, ONE ".release", "{}");
        JsonObject *response = test_wait_response(client, id);
        g_assert_cmpint(
            json_object_has_member(response, "error")
                ? json_object_get_int_member(json_object_get_object_member(response, "error"), "code")
                : 0,
            ==, CASES[i].code);
    }
}

/* What the directory itself has refused since does not get anybody in while it is away; a wrong password
 * of somebody else's takes nothing from those who know the right one. */
static void
test_refused_since(void)
{
    g_autoptr(TestServer) server =
        test_primary_with(ONE, "login-attempts = 100\n" LIBRARY "offline-login = 1h\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    static const char *const SINCE[] = {"no", "later-no", "unknown", "later-unknown"};
    for (unsigned i = 0; i < G_N_ELEMENTS(SINCE); i++) {
        say(admin, "yes");
        g_assert_cmpint(open_code(server, "ann", "old"), ==, 0);
        say(admin, SINCE[i]);
        g_assert_cmpint(open_code(server, "ann", "guess"), ==, -32001);
        say(admin, "away");
        g_assert_cmpint(open_code(server, "ann", "old"), ==, 0);
        say(admin, SINCE[i]);
        g_assert_cmpint(open_code(server, "ann", "old"), ==, -32001);
        say(admin, "away");
        g_assert_cmpint(open_code(server, "ann", "old"), ==, -32013);
    }
}

/* While the directory is away, its password cannot be guessed here: the pauses hold, only that nobody is
 * told. */
static void
test_guesses(void)
{
    g_autoptr(TestServer) server =
        test_primary_with(ONE, "login-attempts = 3\nlogin-pause = 60\n" LIBRARY "offline-login = 1h\n");
    uint16_t port = test_server_get_port(server);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    say(admin, "yes");
    g_assert_cmpint(open_from(port, "127.0.0.7", "ann", "right", NULL), ==, 0);
    say(admin, "away");
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpint(open_from(port, "127.0.0.7", "ann", "right", NULL), ==, 0);
        g_assert_cmpint(open_from(port, "127.0.0.8", "ann", "guess", NULL), ==, -32013);
    }
    g_assert_cmpint(open_from(port, "127.0.0.8", "ann", "right", NULL), ==, -32013);
    g_assert_cmpint(open_from(port, "127.0.0.7", "ann", "right", NULL), ==, 0);
    /* Never counted as failed: with the directory back, there is no pause. */
    say(admin, "yes");
    g_assert_cmpint(open_from(port, "127.0.0.8", "ann", "right", NULL), ==, 0);
}

/* Whoever may not log in is told alike whether the password was right: the directory's words would tell. */
static void
test_text(void)
{
    g_autoptr(TestServer) server =
        test_primary_with(ONE, "login-attempts = 100\n" LIBRARY "offline-login = 1h\n");
    uint16_t port = test_server_get_port(server);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t ann = add_external(admin, "ann");
    add_person(admin, "eve", ",'externalId':'eve'", false);
    g_autofree char *of_ann = NULL, *right = NULL, *wrong = NULL;
    g_assert_cmpint(open_from(port, "127.0.0.1", "ann", "one=no-with-text", &of_ann), ==, -32001);
    g_assert_cmpstr(of_ann, ==, "one says no");
    g_assert_cmpint(open_from(port, "127.0.0.1", "eve", "one=yes", &right), ==, -32001);
    g_assert_null(right);
    g_assert_cmpint(open_from(port, "127.0.0.1", "eve", "one=no-with-text", &wrong), ==, -32001);
    g_assert_null(wrong);
    /* Nor by offline-login. */
    say(admin, "yes");
    g_assert_cmpint(open_code(server, "ann", "right"), ==, 0);
    test_call(admin, "permission.update",
              "{'type':'application','name':'confctl','revoke':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read','execute']}]}",
              ann);
    say(admin, "away");
    g_assert_cmpint(open_code(server, "ann", "right"), ==, -32013);
    g_assert_cmpint(open_code(server, "ann", "wrong"), ==, -32013);
}

/* "gauth_one, internal": what the directory said lately counts before the internal password, and who has
 * none was not refused by anybody. */
static void
test_internal_after(void)
{
    g_autoptr(TestServer) server = test_primary_with(
        ONE,
        "login-attempts = 2\nlogin-pause = 60\n[authentication]\nlibrary = gauth_one, internal\noffline-login = 1h\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    set_password(admin, add_external(admin, "bob"), "inside");
    g_assert_cmpint(open_code(server, "ann", "one=yes"), ==, 0);
    say(admin, "away");
    g_assert_cmpint(open_code(server, "ann", "one=yes"), ==, 0);
    for (unsigned i = 0; i < 4; i++)
        g_assert_cmpint(open_code(server, "ann", "another"), ==, -32013);
    g_assert_cmpint(open_code(server, "bob", "inside"), ==, 0);
    g_assert_cmpint(open_code(server, "bob", "wrong"), ==, -32001);
    say(admin, "yes");
    g_assert_cmpint(open_code(server, "ann", "one=yes"), ==, 0);
}

/* Nor does the internal password that somebody does not have stand before a directory behind it. */
static void
test_behind_internal(void)
{
    g_autoptr(TestServer) server = test_primary_with(
        ONE ", t-library-two", "[authentication]\nlibrary = gauth_one, internal, gauth_two\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    g_assert_cmpint(open_code(server, "ann", "one=away two=yes"), ==, 0);
    g_assert_cmpint(open_code(server, "ann", "one=away two=unknown"), ==, -32013);
    g_assert_cmpint(open_code(server, "ann", "one=away two=no"), ==, -32001);
}

/* A value that names nothing is none: it opens no way round the directory. */
static void
test_empty_values(void)
{
    g_autoptr(TestServer) server = test_primary_with(ONE, "login-attempts = 100\n" LIBRARY);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t ann = add_external(admin, "ann");
    set_password(admin, ann, "inside");
    static const char *const VALUES[] = {"", " ", ",", " , ,"};
    for (unsigned i = 0; i < G_N_ELEMENTS(VALUES); i++) {
        const char *const SET =
            "{'type':'%s','dbid':%" INT ",'patch':{'annex':{'authentication':{'library':'%s'}}}}";
        test_call(admin, "object.update", SET, "person", ann, VALUES[i]);
        g_assert_cmpint(open_code(server, "ann", "inside"), ==, -32001);
        test_call(admin, "object.update", SET, "tenant", (int64_t)1, VALUES[i]);
        g_assert_cmpint(open_code(server, "ann", "inside"), ==, -32001);
        g_assert_cmpint(open_code(server, "ann", "one=yes"), ==, 0);
    }
    test_call(
        admin, "object.update",
        "{'type':'tenant','dbid':1,'patch':{'annex':{'authentication':{'enforce-internal-auth':' true '}}}}");
    g_assert_cmpint(open_code(server, "ann", "inside"), ==, 0);
}

/* Everybody is external, and the directory is gone for good: the way back is the rescue port. */
static void
test_way_back(void)
{
    g_autoptr(TestServer) server = test_primary_with(ONE, NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'authentication':{'library':'gauth_one',"
        "'enforce-external-auth':'true'},'" ONE "':{'away':'true'}}}}");
    test_call(admin, "object.update",
              "{'type':'tenant','dbid':1,'patch':{'annex':{'authentication':{'library':'gauth_one'}}}}");
    g_assert_cmpint(open_code(server, "default", TEST_PASSWORD), ==, -32013);
    g_assert_cmpint(
        open_from(test_server_get_management_port(server), "127.0.0.1", "default", TEST_PASSWORD, NULL), ==,
        -32013);
    test_server_signal(server, SIGTERM);
    uint16_t port = test_free_port();
    g_autofree char *arguments = g_strdup_printf("-rescue-port %u", port);
    test_server_set_arguments(server, arguments);
    test_server_start(server);
    g_assert_cmpint(open_code(server, "default", TEST_PASSWORD), ==, -32013);
    g_assert_cmpint(open_from(port, "127.0.0.1", "default", "wrong", NULL), ==, -32001);
    g_autoptr(TestClient) rescuer = test_client_connect(port);
    test_call(rescuer, "session.open", OPEN, "default", TEST_PASSWORD);
    test_call(
        rescuer, "object.update",
        "{'type':'tenant','dbid':1,'patch':{'annex':{'authentication':{'enforce-internal-auth':'true'}}}}");
    g_assert_cmpint(open_code(server, "default", TEST_PASSWORD), ==, 0);
}

/* A group that the directory names makes an administrator wherever one is asked for. */
static void
test_mapped_administrator(void)
{
    g_autoptr(TestServer) server = test_primary_with(ONE, LIBRARY);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    g_autoptr(TestClient) ann = test_client_connect(test_server_get_port(server));
    test_call(ann, "session.open", OPEN, "ann", "one=yes-in-Super Administrators");
    test_call(ann, "session.list", "{}");
    g_autoptr(TestClient) other = test_client_connect(test_server_get_port(server));
    test_call(other, "session.open", OPEN, "ann", "one=yes");
    test_call_error(other, -32005, "session.list", "{}");
}

static int64_t
add_group(TestClient *admin, const char *name, int64_t tenant, const char *host)
{
    int64_t group = json_object_get_int_member(
        test_call(admin, "object.create",
                  "{'object':{'type':'accessGroup','name':'%s','kind':'custom','tenant':%" INT "}}", name,
                  tenant),
        "dbid");
    test_call(admin, "object.create", "{'object':{'type':'host','name':'%s'}}", host);
    test_call(
        admin, "permission.update",
        "{'type':'host','name':'%s','entries':[{'account':{'type':'accessGroup','dbid':%" INT
        "},'rights':['read']},{'account':{'type':'person','dbid':100},'rights':['read','changePermissions']}]}",
        host, group);
    return group;
}

static void
assert_sees(TestServer *server, const char *user, const char *group, const char *host)
{
    static const char *const HOSTS[] = {"of-environment", "of-one", "of-other"};
    g_autofree char *password = g_strdup_printf("one=yes-in-%s", group);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    test_call(client, "session.open", OPEN, user, password);
    for (unsigned i = 0; i < G_N_ELEMENTS(HOSTS); i++) {
        JsonObject *filter =
            test_call(client, "object.count", "{'type':'host','filter':{'name':'%s'}}", HOSTS[i]);
        g_assert_cmpint(json_object_get_int_member(filter, "count"), ==, g_strcmp0(HOSTS[i], host) == 0);
    }
}

/* Groups of several tenants may have one name: the nearest above the person is meant, and nobody can put a
 * group of his own tenant into the place of another's. */
static void
test_groups_of_one_name(void)
{
    g_autoptr(TestServer) server = test_primary_with(ONE, LIBRARY);
    g_autoptr(TestClient) admin = test_client_new(server);
    static const char TENANT[] = "{'object':{'type':'tenant','name':'%s'}}";
    int64_t one = json_object_get_int_member(test_call(admin, "object.create", TENANT, "one"), "dbid");
    int64_t other = json_object_get_int_member(test_call(admin, "object.create", TENANT, "other"), "dbid");
    g_autofree char *more = g_strdup_printf(",'externalId':'x','tenant':%" INT, one);
    add_external(admin, "ann");
    add_person(admin, "bob", more, true);
    /* Found by either order of their making. */
    add_group(admin, "ops", one, "of-one");
    assert_sees(server, "ann", "ops", "of-one"); /* the only one of the name */
    add_group(admin, "ops", 1, "of-environment");
    add_group(admin, "ops", other, "of-other");
    assert_sees(server, "ann", "ops", "of-environment");
    assert_sees(server, "bob", "ops", "of-one");
    add_person(admin, "carl", ",'externalId':'x'", true);
    test_call(admin, "object.delete", "{'type':'accessGroup','name':'ops','tenant':1}");
    assert_sees(server, "carl", "ops", NULL);
    assert_sees(server, "bob", "ops", "of-one");
}

/* Who has no password here is told so; it is no wrong password. */
static void
test_change_password(void)
{
    g_autoptr(TestServer) server = test_primary_with(ONE, "login-attempts = 2\nlogin-pause = 60\n" LIBRARY);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t dbid = add_external(admin, "ann");
    g_autoptr(TestClient) ann = test_client_connect(test_server_get_port(server));
    test_call(ann, "session.open", OPEN, "ann", "one=yes");
    for (unsigned i = 0; i < 3; i++)
        test_call_error(ann, -32005, "session.changePassword", "{'old':'one=yes','new':'another'}");
    g_assert_cmpint(open_code(server, "ann", "one=yes"), ==, 0);
    set_password(admin, dbid, "inside");
    g_autoptr(TestClient) again = test_client_connect(test_server_get_port(server));
    test_call(again, "session.open", OPEN, "ann", "one=yes");
    test_call(again, "session.changePassword", "{'old':'inside','new':'another'}");
}

/* A proxy that is given no passwords asks directories all the same; whoever must pause there is refused
 * like everywhere. */
static void
test_proxy_without_passwords(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(master);
    add_external(admin, "ann");
    int64_t follower = add_person(admin, "follower", "", true);
    set_password(admin, follower, "following");
    g_autofree char *hosts = g_strdup_printf("127.0.0.1:%u", test_server_get_port(master));
    g_autofree char *options = test_plugin_options(
        ONE, "login-attempts = 2\nlogin-pause = 60\n[authentication]\nlibrary = gauth_one\n");
    g_autofree char *file = g_strdup_printf("[csproxy]\n%s", options);
    g_autoptr(TestServer) proxy = test_proxy_prepare(master, hosts, "proxy-x", file);
    static const char GRANT[] =
        "{'type':'%s','dbid':%" INT ",'grant':[{'account':{'type':'person','dbid':%" INT
        "},'rights':['read','execute']}]}";
    test_call(admin, "permission.update", GRANT, "tenant", (int64_t)1, follower);
    int64_t application = json_object_get_int_member(
        json_object_get_object_member(
            test_call(admin, "object.read", "{'type':'application','name':'proxy-x'}"), "object"),
        "dbid");
    test_call(admin, "permission.update", GRANT, "application", application, follower);
    g_autofree char *path = g_build_filename(test_server_get_folder(proxy), "following", NULL);
    g_assert_true(g_file_set_contents(path, "following\n", -1, NULL));
    g_autofree char *arguments =
        g_strdup_printf("-c proxy.conf -host %s -app proxy-x -user follower -password-file following", hosts);
    test_server_replace_arguments(proxy, arguments);
    test_server_start(proxy);
    g_assert_cmpint(open_code(proxy, "ann", "one=yes"), ==, 0);
    g_assert_cmpint(open_code(proxy, "follower", "following"), ==, -32013);
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpint(open_code(proxy, "ann", "one=no"), ==, -32001);
    g_assert_cmpint(open_code(proxy, "ann", "one=yes"), ==, -32001);
}

/* A log-in that was answered late leaves time for the next try. */
static void
test_late_answer(void)
{
    enum { CLIENTS = 8 };
    g_autoptr(TestServer) server =
        test_primary_with(ONE, "login-timeout = 1\nlogin-attempts = 100\n" LIBRARY);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    /* The last one is there to know by when 2 s, at which the server looks again, are over for the others. */
    TestClient *clients[CLIENTS + 1];
    int64_t ids[CLIENTS + 1];
    for (unsigned i = 0; i <= CLIENTS; i++) {
        g_autofree char *password = g_strdup_printf("one=after-%u-away", i < CLIENTS ? 1900 + 10 * i : 2300);
        clients[i] = test_client_connect(test_server_get_port(server));
        ids[i] = test_send(clients[i], "session.open", OPEN, "ann", password);
    }
    for (unsigned i = 0; i <= CLIENTS; i++)
        g_assert_true(json_object_has_member(test_wait_response(clients[i], ids[i]), "error"));
    for (unsigned i = 0; i <= CLIENTS; i++) {
        test_call(clients[i], "session.open", OPEN, "ann", "one=yes");
        test_client_free(clients[i]);
    }
}

/* A plugin may end what waits for it as soon as it is told of other options; those of the server are whole by
 * then. */
static void
test_let_in_by_other_options(void)
{
    g_autoptr(TestServer) server = test_primary_with(ONE, LIBRARY);
    g_autoptr(TestClient) admin = test_client_new(server);
    set_password(admin, add_external(admin, "ann"), "internal");
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t id = test_send(client, "session.open", OPEN, "ann", "one=hold-until-changed");
    g_autofree char *events = test_wait_event(admin, ONE ".events", "ann");
    say(admin, "yes");
    g_assert_true(json_object_has_member(test_wait_response(client, id), "result"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add_func("/integration/plugins/directory/" name, func)
    ADD("changed-meanwhile", test_changed_meanwhile);
    ADD("refused-since", test_refused_since);
    ADD("guesses", test_guesses);
    ADD("text", test_text);
    ADD("internal-after", test_internal_after);
    ADD("behind-internal", test_behind_internal);
    ADD("empty-values", test_empty_values);
    ADD("way-back", test_way_back);
    ADD("mapped-administrator", test_mapped_administrator);
    ADD("groups-of-one-name", test_groups_of_one_name);
    ADD("change-password", test_change_password);
    ADD("proxy-without-passwords", test_proxy_without_passwords);
    ADD("late-answer", test_late_answer);
    ADD("let-in-by-other-options", test_let_in_by_other_options);
    return g_test_run();
}
