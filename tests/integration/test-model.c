/* test-model.c - random operations; at every quiet point what each session was told is what it would read
 * afresh, on the primary and on a proxy; and the wire never told a session the name of an object that it
 * might not read at any time.
 *
 * One writer does one operation at a time, so the states between two are the only ones there are.  The
 * seed is printed by the test framework (--seed repeats a run). */
#include "mirror.h"

#include <string.h>

enum { PERSONS = 4, GROUPS = 3, OPERATIONS = 400 };

typedef struct {
    char *user;
    TestServer *server;
    TestClient *client; /* NULL: cannot log in now */
    Mirror *mirror;
    GHashTable *allowed; /* names it could read at some quiet point */
} Watcher;

typedef struct {
    TestServer *primary, *proxy;
    TestClient *admin, *proxy_admin;
    int64_t persons[PERSONS], groups[GROUPS];
    GArray *hosts, *folders; /* of int64_t */
    GHashTable *names;       /* every name ever given to a host or folder */
    unsigned counter;
    GPtrArray *watchers;
    int64_t revision;
} World;

static char *
new_name(World *world)
{
    char *name = g_strdup_printf("unique-%04u-name", world->counter++);
    g_hash_table_add(world->names, g_strdup(name));
    return name;
}

static int64_t
any(GArray *array)
{
    return g_array_index(array, int64_t, g_test_rand_int_range(0, (int)array->len));
}

/* A refusal is a fine outcome too: what matters is that everybody agrees afterwards. */
static void
attempt(World *world, const char *method, const char *params)
{
    int64_t id = test_send(world->admin, method, "%s", params);
    JsonObject *response = test_wait_response(world->admin, id);
    if (json_object_has_member(response, "result")) {
        JsonObject *result = json_object_get_object_member(response, "result");
        world->revision = MAX(world->revision, json_object_get_int_member(result, "revision"));
    }
}

static int64_t
create(World *world, const char *type, const char *object)
{
    JsonObject *result =
        test_call(world->admin, "object.create", "{'object':{'type':'%s',%s}}", type, object);
    world->revision = json_object_get_int_member(result, "revision");
    return json_object_get_int_member(result, "dbid");
}

static void
prepare(World *world)
{
    for (unsigned i = 0; i < PERSONS; i++) {
        g_autofree char *text = g_strdup_printf("'name':'watcher%u'", i);
        world->persons[i] = create(world, "person", text);
        test_call(world->admin, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'pw'}",
                  world->persons[i]);
    }
    for (unsigned i = 0; i < GROUPS; i++) {
        g_autofree char *text = g_strdup_printf("'name':'team%u','kind':'custom'", i);
        world->groups[i] = create(world, "accessGroup", text);
    }
    /* Everybody may run confctl, and read what is his. */
    JsonObject *confctl = test_call(world->admin, "object.read", "{'type':'application','name':'confctl'}");
    int64_t application =
        json_object_get_int_member(json_object_get_object_member(confctl, "object"), "dbid");
    for (unsigned i = 0; i < PERSONS; i++)
        test_call(world->admin, "permission.update",
                  "{'type':'application','dbid':%" G_GINT64_FORMAT
                  ",'grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
                  "},'rights':['read','execute']}]}",
                  application, world->persons[i]);
    JsonObject *root = test_call(world->admin, "object.read", "{'path':'/Environment/Hosts'}");
    int64_t folder = json_object_get_int_member(json_object_get_object_member(root, "object"), "dbid");
    g_array_append_val(world->folders, folder);
}

static void
host_operation(World *world)
{
    g_autofree char *name = new_name(world);
    g_autofree char *params = NULL;
    int choice = g_test_rand_int_range(0, 6);
    if (world->hosts->len < 5 || choice == 0) {
        g_autofree char *text =
            g_strdup_printf("'name':'%s','folder':%" G_GINT64_FORMAT ",'annex':{'a':{'k':'%s'}}", name,
                            any(world->folders), name);
        int64_t dbid = create(world, "host", text);
        g_array_append_val(world->hosts, dbid);
        return;
    }
    int64_t dbid = any(world->hosts);
    if (choice == 1)
        params =
            g_strdup_printf("{'type':'host','dbid':%" G_GINT64_FORMAT ",'patch':{'name':'%s'}}", dbid, name);
    else if (choice == 2)
        params = g_strdup_printf("{'type':'host','dbid':%" G_GINT64_FORMAT
                                 ",'patch':{'folder':%" G_GINT64_FORMAT "}}",
                                 dbid, any(world->folders));
    else if (choice == 3)
        params = g_strdup_printf("{'type':'host','dbid':%" G_GINT64_FORMAT
                                 ",'patch':{'annex':{'a':{'x%d':'%s'},'b':null}}}",
                                 dbid, g_test_rand_int_range(0, 5), name);
    else if (choice == 4)
        params = g_strdup_printf("{'type':'host','dbid':%" G_GINT64_FORMAT ",'patch':{'state':'%s'}}", dbid,
                                 g_test_rand_bit() ? "enabled" : "disabled");
    if (params != NULL)
        attempt(world, "object.update", params);
    else
        params = g_strdup_printf("{'type':'host','dbid':%" G_GINT64_FORMAT "}", dbid),
        attempt(world, "object.delete", params);
}

static void
folder_operation(World *world)
{
    g_autofree char *name = new_name(world);
    g_autofree char *params = NULL;
    int choice = g_test_rand_int_range(0, 5);
    if (world->folders->len < 4 || choice == 0) {
        g_autofree char *text =
            g_strdup_printf("'name':'%s','folder':%" G_GINT64_FORMAT, name, any(world->folders));
        int64_t dbid = create(world, "folder", text);
        g_array_append_val(world->folders, dbid);
        return;
    }
    int64_t dbid = any(world->folders);
    if (choice == 1)
        params = g_strdup_printf("{'type':'folder','dbid':%" G_GINT64_FORMAT
                                 ",'patch':{'folder':%" G_GINT64_FORMAT "}}",
                                 dbid, any(world->folders));
    else if (choice == 2)
        params = g_strdup_printf("{'type':'folder','dbid':%" G_GINT64_FORMAT ",'patch':{'state':'%s'}}", dbid,
                                 g_test_rand_bit() ? "enabled" : "disabled");
    else
        params = g_strdup_printf("{'type':'folder','dbid':%" G_GINT64_FORMAT ",'patch':{'name':'%s'}}", dbid,
                                 name);
    attempt(world, "object.update", params);
}

static void
right_operation(World *world)
{
    bool folder = g_test_rand_bit();
    if (!folder && world->hosts->len == 0)
        return;
    int64_t dbid = folder ? any(world->folders) : any(world->hosts);
    bool person = g_test_rand_int_range(0, 3) == 0;
    int64_t account = person ? world->persons[g_test_rand_int_range(0, PERSONS)]
                             : world->groups[g_test_rand_int_range(0, GROUPS)];
    static const char *const verbs[] = {"grant", "revoke", "grant", "inherit"};
    const char *verb = verbs[g_test_rand_int_range(0, 4)];
    g_autofree char *what = strcmp(verb, "inherit") == 0
                                ? g_strdup("'inherit':true")
                                : g_strdup_printf("'%s':[{'account':{'type':'%s','dbid':%" G_GINT64_FORMAT
                                                  "},'rights':['read']}]",
                                                  verb, person ? "person" : "accessGroup", account);
    g_autofree char *params =
        g_strdup_printf("{'type':'%s','dbid':%" G_GINT64_FORMAT ",%s%s}", folder ? "folder" : "host", dbid,
                        what, folder && g_test_rand_int_range(0, 5) == 0 ? ",'propagate':true" : "");
    attempt(world, "permission.update", params);
}

static void
account_operation(World *world)
{
    int64_t person = world->persons[g_test_rand_int_range(0, PERSONS)],
            group = world->groups[g_test_rand_int_range(0, GROUPS)];
    g_autofree char *params = NULL;
    int choice = g_test_rand_int_range(0, 8);
    if (choice < 3)
        params = g_strdup_printf("{'type':'accessGroup','dbid':%" G_GINT64_FORMAT
                                 ",'add':{'members':[%" G_GINT64_FORMAT "]}}",
                                 group, person);
    else if (choice < 5)
        params = g_strdup_printf("{'type':'accessGroup','dbid':%" G_GINT64_FORMAT
                                 ",'remove':{'members':[%" G_GINT64_FORMAT "]}}",
                                 group, person);
    else if (choice < 7)
        params = g_strdup_printf("{'type':'accessGroup','dbid':%" G_GINT64_FORMAT ",'patch':{'state':'%s'}}",
                                 group, g_test_rand_bit() ? "enabled" : "disabled");
    else
        params = g_strdup_printf("{'type':'person','dbid':%" G_GINT64_FORMAT ",'patch':{'state':'%s'}}",
                                 person, g_test_rand_bit() ? "enabled" : "disabled");
    attempt(world, "object.update", params);
}

static void
transaction_operation(World *world)
{
    GString *operations = g_string_new("{'operations':[");
    for (int i = g_test_rand_int_range(2, 7); i > 0; i--) {
        g_autofree char *name = new_name(world);
        if (g_test_rand_bit() || world->hosts->len == 0)
            g_string_append_printf(
                operations,
                "{'op':'create','object':{'type':'host','name':'%s','folder':%" G_GINT64_FORMAT "}}", name,
                any(world->folders));
        else
            g_string_append_printf(operations,
                                   "{'op':'update','type':'host','dbid':%" G_GINT64_FORMAT
                                   ",'patch':{'address':'%s','folder':%" G_GINT64_FORMAT "}}",
                                   any(world->hosts), name, any(world->folders));
        g_string_append(operations, i > 1 ? "," : "]}");
    }
    attempt(world, "transaction", operations->str);
    g_string_free(operations, TRUE);
}

/* A disabled person is not tried: refusals would make it pause. */
static bool
is_enabled(World *world, const char *user)
{
    JsonObject *read =
        test_call(world->admin, "object.read", "{'type':'person','name':'%s','fields':['state']}", user);
    return strcmp(json_object_get_string_member(json_object_get_object_member(read, "object"), "state"),
                  "enabled") == 0;
}

static void
watcher_log_in(World *world, Watcher *watcher)
{
    if (!is_enabled(world, watcher->user))
        return;
    if (watcher->server == world->proxy)
        test_wait_revision(world->proxy_admin, world->revision);
    TestClient *client = test_client_connect(test_server_get_port(watcher->server));
    int64_t id = test_send(client, "session.open", "{'user':'%s','password':'pw','application':'confctl'}",
                           watcher->user);
    if (json_object_has_member(test_wait_response(client, id), "error")) {
        test_client_free(client);
        return;
    }
    watcher->client = client;
    g_clear_pointer(&watcher->mirror, mirror_free);
    watcher->mirror = mirror_new();
    test_call(client, "subscription.open", "{'initial':true}");
}

static void
search_wire(World *world, Watcher *watcher)
{
    GHashTableIter iter;
    void *name;
    g_hash_table_iter_init(&iter, world->names);
    while (watcher->client != NULL && g_hash_table_iter_next(&iter, &name, NULL)) {
        if (!g_hash_table_contains(watcher->allowed, name) && test_client_has_seen(watcher->client, name))
            g_error("%s was told %s, which it may not know", watcher->user, (char *)name);
    }
}

/* True if the session ended by what was done. */
static bool
has_ended(Watcher *watcher)
{
    int64_t id = test_send(watcher->client, "object.read",
                           "{'type':'application','name':'confctl','fields':['name']}");
    for (;;) {
        const char *line = test_client_read_line(watcher->client);
        if (line == NULL)
            return true;
        g_autoptr(JsonNode) node = json_from_string(line, NULL);
        JsonObject *message = json_node_get_object(node);
        if (json_object_has_member(message, "method")) {
            const char *method = json_object_get_string_member(message, "method");
            if (strcmp(method, "session.ending") == 0)
                return true;
            mirror_take(watcher->mirror, method, json_object_get_object_member(message, "params"));
        } else if (json_object_get_int_member(message, "id") == id) {
            return false;
        }
    }
}

static void
add_allowed(Watcher *watcher)
{
    GHashTableIter iter;
    void *node;
    g_hash_table_iter_init(&iter, watcher->mirror->objects);
    while (g_hash_table_iter_next(&iter, NULL, &node)) {
        /* Every text of an object that may be read: a name may stand in its annex too. */
        g_autofree char *text = json_to_string(node, FALSE);
        for (char *at = strstr(text, "unique-"); at != NULL; at = strstr(at + 1, "unique-"))
            g_hash_table_add(watcher->allowed, g_strndup(at, strlen("unique-0000-name")));
    }
}

static void
check_watcher(World *world, Watcher *watcher, const char *when)
{
    if (watcher->client == NULL)
        watcher_log_in(world, watcher);
    if (watcher->client == NULL)
        return;
    if (watcher->server == world->proxy)
        test_wait_revision(world->proxy_admin, world->revision);
    if (has_ended(watcher)) {
        g_clear_pointer(&watcher->client, test_client_free);
        watcher_log_in(world, watcher);
        if (watcher->client == NULL)
            return;
    }
    mirror_follow(watcher->mirror, watcher->client);
    mirror_compare(watcher->mirror, watcher->client, when);
    add_allowed(watcher);
    search_wire(world, watcher);
}

static void
test_random_operations(void)
{
    World world = {.primary = test_primary_new("view-change-max = 3")};
    world.admin = test_client_new(world.primary);
    world.proxy = test_proxy_new(world.primary, "proxy1", NULL);
    world.proxy_admin = test_client_new(world.proxy);
    world.hosts = g_array_new(FALSE, FALSE, sizeof(int64_t));
    world.folders = g_array_new(FALSE, FALSE, sizeof(int64_t));
    world.names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    world.watchers = g_ptr_array_new();
    prepare(&world);
    for (unsigned i = 0; i < PERSONS * 2; i++) {
        Watcher *watcher = g_new0(Watcher, 1);
        watcher->user = g_strdup_printf("watcher%u", i / 2);
        watcher->server = i % 2 == 0 ? world.primary : world.proxy;
        watcher->allowed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_ptr_array_add(world.watchers, watcher);
    }
    for (unsigned i = 0; i < OPERATIONS; i++) {
        int choice = g_test_rand_int_range(0, 10);
        if (choice < 4)
            host_operation(&world);
        else if (choice < 6)
            folder_operation(&world);
        else if (choice < 8)
            right_operation(&world);
        else if (choice < 9)
            account_operation(&world);
        else
            transaction_operation(&world);
        g_autofree char *when =
            g_strdup_printf("after operation %u (revision %" G_GINT64_FORMAT ")", i, world.revision);
        for (unsigned k = 0; k < world.watchers->len; k++) {
            Watcher *watcher = g_ptr_array_index(world.watchers, k);
            g_autofree char *who = g_strdup_printf("%s, %s on the %s", when, watcher->user,
                                                   watcher->server == world.proxy ? "proxy" : "primary");
            check_watcher(&world, watcher, who);
        }
    }
    g_test_message("%" G_GINT64_FORMAT " revisions, %u names", world.revision, world.counter);
    for (unsigned k = 0; k < world.watchers->len; k++) {
        Watcher *watcher = g_ptr_array_index(world.watchers, k);
        test_client_free(watcher->client);
        mirror_free(watcher->mirror);
        g_hash_table_unref(watcher->allowed);
        g_free(watcher->user);
        g_free(watcher);
    }
    g_ptr_array_unref(world.watchers);
    g_hash_table_unref(world.names);
    g_array_unref(world.hosts);
    g_array_unref(world.folders);
    test_client_free(world.admin);
    test_client_free(world.proxy_admin);
    test_server_free(world.proxy);
    test_server_free(world.primary);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/model/random-operations", test_random_operations);
    return g_test_run();
}
