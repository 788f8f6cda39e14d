/* history-model.c - see history-model.h. */
#include "history-model.h"

#include <string.h>

static const char *const lists[] = {
    "",
    "'type':'host'",
    "'type':'host','order':'name'",
    "'order':'name'",
    "'type':'host','fields':['name','address']",
    "'type':'host','filter':{'folder':%d}",
    "'type':'host','filter':{'folder':%d,'recursive':true}",
    "'filter':{'folder':%d,'recursive':true},'order':'name'",
    "'filter':{'refersTo':{'type':'folder','dbid':%d}}",
    "'type':'application','filter':{'refersTo':{'type':'host','dbid':%h}}",
    "'type':'application','filter':{'host':%h}",
    "'type':'host','filter':{'name':'h3'}",
    "'filter':{'name':{'like':'h1*'}}",
    "'type':'host','filter':{'dbid':[%h,2,3,4,5]}",
    "'type':'host','filter':{'annex/a/k':'1'}",
};
static const char *const reads[] = {
    "'type':'host','name':'h1'",         "'type':'host','name':'h2','fields':['name','folder']",
    "'type':'host','dbid':%h",           "'type':'folder','dbid':%d",
    "'path':'/Environment/Hosts/f1/h1'", "'path':'/Environment/Hosts/f1/f2/h2'",
    "'path':'/Environment/Hosts/f2'",    "'path':'/Environment/Applications/a1'",
};
enum { QUERY_COUNT = G_N_ELEMENTS(lists) + G_N_ELEMENTS(reads), NAMES = 12 };

typedef struct {
    int64_t folder, host;
} Places;

static int64_t
try_call(TestClient *client, const char *method, const char *params)
{
    JsonObject *response = test_wait_response(client, test_send(client, method, "%s", params));
    if (json_object_has_member(response, "error"))
        return 0;
    JsonObject *result = json_object_get_object_member(response, "result");
    return json_object_has_member(result, "dbid") ? json_object_get_int_member(result, "dbid") : 1;
}

int64_t
test_history_revision(TestClient *client)
{
    return json_object_get_int_member(test_call(client, "server.info", "{}"), "revision");
}

static char *
to_text(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);
    return json_to_string(node, FALSE);
}

char *
test_history_list(TestClient *client, const char *params, int64_t as_of, unsigned limit)
{
    g_autoptr(GString) all = g_string_new(NULL);
    g_autofree char *cursor = g_strdup("");
    for (;;) {
        g_autofree char *past =
            as_of > 0 ? g_strdup_printf(",'asOf':%" G_GINT64_FORMAT, as_of) : g_strdup("");
        JsonObject *result = test_call(client, "object.list", "{'limit':%u%s%s%s%s}", limit,
                                       *params != '\0' ? "," : "", params, past, cursor);
        if (as_of > 0)
            g_assert_cmpint(json_object_get_int_member(result, "revision"), ==, as_of);
        g_autofree char *text = to_text(result, "objects");
        text[strlen(text) - 1] = '\0';
        if (text[1] != '\0')
            g_string_append_printf(all, "%s%s", all->len > 0 ? "," : "", text + 1);
        if (!json_object_has_member(result, "cursor"))
            return g_strdup(all->str);
        g_free(cursor);
        cursor = g_strdup_printf(",'cursor':'%s'", json_object_get_string_member(result, "cursor"));
    }
}

static char *
read_one(TestClient *client, const char *params, int64_t as_of)
{
    g_autofree char *past = as_of > 0 ? g_strdup_printf(",'asOf':%" G_GINT64_FORMAT, as_of) : g_strdup("");
    JsonObject *response =
        test_wait_response(client, test_send(client, "object.read", "{%s%s}", params, past));
    if (!json_object_has_member(response, "error"))
        return to_text(json_object_get_object_member(response, "result"), "object");
    JsonObject *error = json_object_get_object_member(response, "error");
    return g_strdup_printf("error %" G_GINT64_FORMAT, json_object_get_int_member(error, "code"));
}

static char *
fill(const char *pattern, const Places *places)
{
    g_autoptr(GString) text = g_string_new(pattern);
    g_autofree char *folder = g_strdup_printf("%" G_GINT64_FORMAT, places->folder);
    g_autofree char *host = g_strdup_printf("%" G_GINT64_FORMAT, places->host);
    g_string_replace(text, "%d", folder, 0);
    g_string_replace(text, "%h", host, 0);
    return g_strdup(text->str);
}

static char *
ask(TestClient *client, unsigned query, const Places *places, int64_t as_of, unsigned limit)
{
    bool is_list = query < G_N_ELEMENTS(lists);
    g_autofree char *params = fill(is_list ? lists[query] : reads[query - G_N_ELEMENTS(lists)], places);
    return is_list ? test_history_list(client, params, as_of, limit) : read_one(client, params, as_of);
}

static char *
random_folder(GRand *random)
{
    static const char *const folders[] = {"/Environment/Hosts", "/Environment/Hosts/f1",
                                          "/Environment/Hosts/f2", "/Environment/Hosts/f1/f2",
                                          "/Environment/Hosts/f3"};
    return g_strdup(folders[g_rand_int_range(random, 0, G_N_ELEMENTS(folders))]);
}

static int64_t
dbid_at(TestClient *client, const char *path)
{
    JsonObject *response =
        test_wait_response(client, test_send(client, "object.read", "{'path':'%s'}", path));
    if (json_object_has_member(response, "error"))
        return 0;
    JsonObject *object =
        json_object_get_object_member(json_object_get_object_member(response, "result"), "object");
    return json_object_get_int_member(object, "dbid");
}

/* Some are refused: a name is taken, a folder is not there.  That is as it is in life. */
void
test_history_step(TestClient *client, GRand *random)
{
    g_autofree char *folder_path = random_folder(random);
    int64_t folder = dbid_at(client, folder_path);
    int name = g_rand_int_range(random, 0, NAMES), other = g_rand_int_range(random, 0, NAMES);
    g_autofree char *params = NULL;
    const char *method = "object.update";
    switch (g_rand_int_range(random, 0, 9)) {
    case 0:
    case 1:
        method = "object.create";
        params = g_strdup_printf("{'object':{'type':'host','name':'h%d','folder':%" G_GINT64_FORMAT "}}",
                                 name, MAX(folder, 1));
        break;
    case 2:
        method = "object.create";
        params = g_strdup_printf("{'object':{'type':'folder','name':'f%d','folder':%" G_GINT64_FORMAT "}}",
                                 name % 3 + 1, MAX(folder, 1));
        break;
    case 3:
        method = "object.delete";
        params = g_strdup_printf("{'type':'host','name':'h%d'}", name);
        break;
    case 4:
        params = g_strdup_printf("{'type':'host','name':'h%d','patch':{'folder':%" G_GINT64_FORMAT "}}", name,
                                 MAX(folder, 1));
        break;
    case 5:
        params = g_strdup_printf("{'type':'host','name':'h%d','patch':{'name':'h%d'}}", name, other);
        break;
    case 6:
        params =
            g_strdup_printf("{'type':'host','name':'h%d','patch':{'address':'%u','annex':{'a':{'k':'%d'}}}}",
                            name, g_rand_int(random), other % 2);
        break;
    case 7:
        if (strcmp(folder_path, "/Environment/Hosts") == 0)
            return; /* Who would rename that? */
        method = name % 3 == 0 ? "object.delete" : "object.update";
        params = name % 3 == 0
                     ? g_strdup_printf("{'path':'%s'}", folder_path)
                     : g_strdup_printf("{'path':'%s','patch':{'name':'f%d'}}", folder_path, other % 3 + 1);
        break;
    default: {
        g_autofree char *host = g_strdup_printf("/Environment/Hosts/h%d", name);
        int64_t dbid = dbid_at(client, host);
        g_autofree char *reference = dbid > 0 ? g_strdup_printf("%" G_GINT64_FORMAT, dbid) : g_strdup("null");
        g_autofree char *create = g_strdup_printf(
            "{'object':{'type':'application','name':'a%d','applicationType':'genericServer','host':%s}}",
            other, reference);
        if (try_call(client, "object.create", create) != 0)
            return;
        params = g_strdup_printf("{'type':'application','name':'a%d','patch':{'host':%s}}", other, reference);
    }
    }
    try_call(client, method, params);
}

static Places
make_places(TestClient *client, uint32_t seed)
{
    Places places;
    int64_t hosts = dbid_at(client, "/Environment/Hosts");
    places.folder = json_object_get_int_member(
        test_call(client, "object.create",
                  "{'object':{'type':'folder','name':'f1-%u','folder':%" G_GINT64_FORMAT "}}", seed, hosts),
        "dbid");
    places.host = json_object_get_int_member(
        test_call(client, "object.create", "{'object':{'type':'host','name':'h3-%u'}}", seed), "dbid");
    return places;
}

void
test_history_model(TestServer *server, TestServer *reader, uint32_t seed, unsigned steps, unsigned probes)
{
    g_autoptr(TestClient) writer = test_client_new(server);
    g_autoptr(TestClient) client = test_client_new(reader);
    GRand *random = g_rand_new_with_seed(seed);
    Places places = make_places(writer, seed);
    g_autoptr(GPtrArray) answers = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) revisions = g_array_new(FALSE, FALSE, sizeof(int64_t));
    for (unsigned i = 0; i < steps; i++) {
        test_history_step(writer, random);
        int64_t revision = test_history_revision(writer);
        g_array_append_val(revisions, revision);
        for (unsigned query = 0; query < QUERY_COUNT; query++)
            g_ptr_array_add(answers, ask(writer, query, &places, 0, 1000));
    }
    test_wait_revision(client, g_array_index(revisions, int64_t, steps - 1));
    for (unsigned i = 0; i < probes; i++) {
        unsigned at = (unsigned)g_rand_int_range(random, 0, (int)steps);
        int64_t revision = g_array_index(revisions, int64_t, at);
        for (unsigned query = 0; query < QUERY_COUNT; query++) {
            g_autofree char *then =
                ask(client, query, &places, revision, 1 + (unsigned)g_rand_int_range(random, 0, 40));
            const char *live = g_ptr_array_index(answers, at * QUERY_COUNT + query);
            if (strcmp(then, live) != 0)
                g_error("seed %u, revision %" G_GINT64_FORMAT ", query %u:\nthen %s\nlive %s", seed, revision,
                        query, then, live);
        }
        test_history_step(writer, random);
    }
    g_rand_free(random);
}
