/* test-schema.c - schemas: what the project's files say, what a site can add, what is refused and how that
 * is told. */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "model-fixture.h"

/* A folder beside the project's own. */
typedef struct {
    char *folder;
    char *folders;
} Site;

static void
set_up_site(Site *site, const void *data)
{
    site->folder = g_dir_make_tmp("confserv-schema-XXXXXX", NULL);
    g_assert_nonnull(site->folder);
    site->folders = g_strconcat(SCHEMA_FOLDER, ":", site->folder, NULL);
}

static void
tear_down_site(Site *site, const void *data)
{
    g_autoptr(GDir) directory = g_dir_open(site->folder, 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = g_build_filename(site->folder, name, NULL);
        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_assert_cmpint(g_rmdir(site->folder), ==, 0);
    g_free(site->folder);
    g_free(site->folders);
}

static void
put_file(Site *site, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(site->folder, name, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void
test_types(ModelFixture *fixture, const void *data)
{
    static const struct {
        ConfTypeId id;
        const char *name, *plural;
    } expected[] = {
        {1, "switch", "Switches"},
        {2, "dn", "DNs"},
        {3, "person", "Persons"},
        {4, "place", "Places"},
        {5, "agentGroup", "Agent Groups"},
        {6, "placeGroup", "Place Groups"},
        {7, "tenant", "Tenants"},
        {8, "service", "Solutions"},
        {9, "application", "Applications"},
        {10, "host", "Hosts"},
        {12, "script", "Scripts"},
        {13, "skill", "Skills"},
        {15, "agentLogin", "Agent Logins"},
        {20, "applicationTemplate", "Application Templates"},
        {21, "accessGroup", "Access Groups"},
        {22, "folder", "Folders"},
        {43, "role", "Roles"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        const ConfTypeInfo *type = conf_schema_type(fixture->schema, expected[i].id);
        g_assert_nonnull(type);
        g_assert_cmpstr(type->name, ==, expected[i].name);
        g_assert_cmpstr(type->plural, ==, expected[i].plural);
        g_assert_true(type ==
                      conf_schema_type_by_name(fixture->schema, conf_slice_from_string(expected[i].name)));
        g_assert_cmpint(type->foldered, ==, expected[i].id != CONF_TYPE_FOLDER);
    }
    g_assert_null(conf_schema_type(fixture->schema, 0));
    g_assert_null(conf_schema_type(fixture->schema, 65535));
    g_assert_null(conf_schema_type_by_name(fixture->schema, CONF_SLICE("hosts")));
    unsigned count;
    const ConfTypeInfo *const *types = conf_schema_types(fixture->schema, &count);
    for (unsigned i = 1; i < count; i++)
        g_assert_cmpint(types[i - 1]->id, <, types[i]->id);
}

static void
test_fields(ModelFixture *fixture, const void *data)
{
    const ConfTypeInfo *application = conf_schema_type(fixture->schema, CONF_TYPE_APPLICATION);
    static const char *const first[] = {"type",   "dbid",   "revision", "name",
                                        "tenant", "folder", "state",    "applicationType"};
    for (unsigned i = 0; i < G_N_ELEMENTS(first); i++) {
        g_assert_cmpstr(application->fields[i].name, ==, first[i]);
        g_assert_cmpuint(application->fields[i].index, ==, i);
    }
    g_assert_cmpstr(application->fields[application->field_count - 2].name, ==, "options");
    g_assert_cmpstr(application->fields[application->field_count - 1].name, ==, "annex");
    const ConfField *account = conf_type_field(application, CONF_SLICE("account"));
    g_assert_cmpint(account->to[0], ==, CONF_TYPE_PERSON);
    g_assert_cmpint(account->to[1], ==, CONF_TYPE_ACCESS_GROUP);
    g_assert_cmpint(account->on_delete, ==, CONF_ON_DELETE_RESTRICT);
    g_assert_cmpint(conf_type_field(application, CONF_SLICE("backup"))->on_delete, ==, CONF_ON_DELETE_CLEAR);
    g_assert_cmpint(conf_type_field(application, CONF_SLICE("tenants"))->of->on_delete, ==,
                    CONF_ON_DELETE_CLEAR);
    g_assert_cmpstr(conf_type_field(application, CONF_SLICE("connections"))->key->name, ==, "server");
    g_assert_null(conf_type_field(application, CONF_SLICE("secretSet")));
    g_assert_cmpint(conf_type_field(application, CONF_SLICE("secretHash"))->kind, ==, CONF_FIELD_SECRET);
    g_assert_null(conf_type_field(conf_schema_type(fixture->schema, CONF_TYPE_HOST), CONF_SLICE("options")));
}

/* Only names, and applicationType of applications, are required. */
static void
test_required(ModelFixture *fixture, const void *data)
{
    unsigned count;
    const ConfTypeInfo *const *types = conf_schema_types(fixture->schema, &count);
    for (unsigned t = 0; t < count; t++) {
        for (unsigned i = 0; i < types[t]->field_count; i++) {
            const ConfField *field = &types[t]->fields[i];
            bool expected = strcmp(field->name, "name") == 0 || (types[t]->id == CONF_TYPE_APPLICATION &&
                                                                 strcmp(field->name, "applicationType") == 0);
            g_assert_cmpint(field->required, ==, expected);
            g_assert_nonnull(field->help);
        }
    }
}

static void
test_text(ModelFixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    ConfSchema *copy = conf_schema_parse(conf_schema_text(fixture->schema), &error);
    g_assert_no_error(error);
    ConfSlice text = conf_schema_text(fixture->schema), again = conf_schema_text(copy);
    g_assert_cmpmem(text.data, text.size, again.data, again.size);
    g_assert_cmpstr(conf_schema_hash(copy), ==, conf_schema_hash(fixture->schema));
    g_assert_cmpuint(strlen(conf_schema_hash(copy)), ==, 64);
    conf_schema_free(copy);
    g_assert_null(conf_schema_parse(CONF_SLICE("{\"types\":[]}"), &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
}

static const char *const rack =
    "{\"type\":\"rack\",\"id\":1000,\"title\":\"Rack\",\"plural\":\"Racks\",\"unique\":[[\"tenant\","
    "\"name\"]],\"fields\":["
    "{\"name\":\"units\",\"kind\":\"integer\",\"minimum\":1,\"maximum\":60,\"required\":true,"
    "\"default\":42,\"since\":\"2\",\"help\":\"h\"},"
    "{\"name\":\"serial\",\"kind\":\"string\",\"maxLength\":20,\"pattern\":\"[A-Z]{2}[0-9]+\","
    "\"help\":\"h\"},"
    "{\"name\":\"owner\",\"kind\":\"ref\",\"to\":[\"person\",\"rack\"],\"onDelete\":\"cascade\","
    "\"help\":\"h\"},"
    "{\"name\":\"place\",\"kind\":\"struct\",\"fields\":[{\"name\":\"row\",\"kind\":\"string\","
    "\"help\":\"h\"},"
    "{\"name\":\"column\",\"kind\":\"integer\",\"help\":\"h\"}],\"help\":\"h\"},"
    "{\"name\":\"pin\",\"kind\":\"secret\",\"shownAs\":\"pinSet\",\"help\":\"h\"}]}";
static const char *const host_rack =
    "{\"extend\":\"host\",\"fields\":["
    "{\"name\":\"rack\",\"kind\":\"ref\",\"to\":[\"rack\"],\"onDelete\":\"clear\",\"help\":\"h\"}]}";

/* The file that extends comes first by its name. */
static void
test_site(Site *site, const void *data)
{
    put_file(site, "rack.json", rack);
    put_file(site, "host-more.json", host_rack);
    put_file(site, "README.txt", "not read");
    g_autoptr(GError) error = NULL;
    ConfSchema *schema = conf_schema_load(site->folders, &error);
    g_assert_no_error(error);
    const ConfTypeInfo *type = conf_schema_type(schema, 1000);
    g_assert_cmpstr(type->name, ==, "rack");
    const ConfTypeInfo *host = conf_schema_type(schema, CONF_TYPE_HOST);
    const ConfField *field = conf_type_field(host, CONF_SLICE("rack"));
    g_assert_cmpint(field->to[0], ==, 1000);
    g_assert_cmpuint(field->index, ==, host->field_count - 2);

    /* A default stands for a required field of old objects, and is not written. */
    g_autoptr(ConfObject) object = conf_object_from_stored(
        schema,
        CONF_SLICE("{\"type\":\"rack\",\"dbid\":1,\"revision\":1,\"name\":\"r\",\"tenant\":1,"
                   "\"state\":\"enabled\"}"),
        (ConfSlice){NULL, 0}, (ConfSlice){NULL, 0}, 0, &error);
    g_assert_no_error(error);
    g_assert_true(conf_object_check(schema, object, &error));
    g_assert_no_error(error);

    ConfSchema *copy = conf_schema_parse(conf_schema_text(schema), &error);
    g_assert_no_error(error);
    g_assert_cmpstr(conf_schema_hash(copy), ==, conf_schema_hash(schema));
    conf_schema_free(copy);
    conf_schema_free(schema);
}

static void
test_pattern(Site *site, const void *data)
{
    put_file(site, "rack.json", rack);
    ModelFixture fixture = {.schema = conf_schema_load(site->folders, NULL), .arena = conf_arena_new()};
    g_assert_nonnull(fixture.schema);
    ConfObject *object =
        model_create(&fixture, 1000, "{\"name\":\"a\",\"serial\":\"AB12\",\"place\":{\"row\":\"x\"}}");
    g_assert_cmpstr(model_rest(object), ==, ",\"serial\":\"AB12\",\"place\":{\"row\":\"x\"}}");
    g_assert_null(model_update(&fixture, object, "{\"serial\":\"xAB12\"}", NULL, NULL));
    model_assert_fault(&fixture, "/patch/serial");
    g_assert_null(model_update(&fixture, object, "{\"serial\":\"AB12\\n\"}", NULL, NULL));
    model_assert_fault(&fixture, "/patch/serial");
    g_assert_null(model_update(&fixture, object, "{\"place\":{\"colour\":1}}", NULL, NULL));
    model_assert_fault(&fixture, "/patch/place/colour");
    /* Structs are merged by member. */
    ConfObject *moved = model_update(&fixture, object, "{\"place\":{\"column\":3}}", NULL, NULL);
    g_assert_cmpstr(model_rest(moved), ==, ",\"serial\":\"AB12\",\"place\":{\"row\":\"x\",\"column\":3}}");
    ConfObject *gone =
        model_update(&fixture, moved, "{\"place\":{\"column\":null,\"row\":null}}", NULL, NULL);
    g_assert_cmpstr(model_rest(gone), ==, ",\"serial\":\"AB12\"}");
    conf_object_unref(object);
    conf_object_unref(moved);
    conf_object_unref(gone);
    model_fixture_tear_down(&fixture, NULL);
}

#define FIELD(f) \
    "{\"type\":\"thing\",\"id\":1000,\"title\":\"Thing\",\"plural\":\"Things\"," \
    "\"unique\":[[\"name\"]],\"fields\":[" f "]}"
#define NAMED(n, f) "{\"name\":\"" n "\",\"help\":\"h\"," f "}"

/* Files that contradict themselves or the others, and what the message says of them. */
static const struct {
    const char *text, *message;
} contradictions[] = {
    {"[]", "one object"},
    {"{\"type\":\"thing\"", "site.json"},
    {"{\"type\":\"thing\",\"type\":\"thing\"}", "site.json"},
    {"{\"extend\":\"nothing\",\"fields\":[]}", "must be the name of a type"},
    {"{\"extend\":\"host\",\"fields\":[" NAMED("address", "\"kind\":\"string\"") "]}",
     "has a field \"address\" already"},
    {"{\"extend\":\"person\",\"fields\":[" NAMED("passwordSet", "\"kind\":\"boolean\"") "]}",
     "has a field \"passwordSet\" already"},
    {"{\"extend\":\"host\",\"fields\":[" NAMED("rack", "\"kind\":\"string\",\"required\":true") "]}",
     "required needs a default"},
    {"{\"extend\":\"host\",\"help\":1,\"fields\":[]}", "\"help\" is not known"},
    {"{\"type\":\"host\",\"id\":1000,\"title\":\"H\",\"plural\":\"Hs\",\"unique\":[[\"name\"]],"
     "\"fields\":[]}",
     "stands in"},
    {"{\"type\":\"thing\",\"id\":10,\"title\":\"T\",\"plural\":\"Ts\",\"unique\":[[\"name\"]],\"fields\":[]}",
     "id 10 is that of"},
    {"{\"type\":\"thing\",\"id\":900,\"title\":\"T\",\"plural\":\"Ts\",\"unique\":[[\"name\"]],"
     "\"fields\":[]}",
     "from 1000 on"},
    {"{\"type\":\"thing\",\"id\":70000,\"title\":\"T\",\"plural\":\"Ts\",\"unique\":[[\"name\"]],"
     "\"fields\":[]}",
     "\"id\" must be"},
    {"{\"type\":\"thing\",\"id\":1000,\"title\":\"T\",\"plural\":\"Hosts\",\"unique\":[[\"name\"]],"
     "\"fields\":[]}",
     "plural \"Hosts\""},
    {"{\"type\":\"thing\",\"id\":1000,\"title\":\"T\",\"plural\":\"Ts\",\"unique\":[[\"folder\",\"name\"]],"
     "\"fields\":[]}",
     "\"unique\" must be"},
    {"{\"type\":\"Thing\",\"id\":1000,\"title\":\"T\",\"plural\":\"Ts\",\"unique\":[[\"name\"]],"
     "\"fields\":[]}",
     "lower-case letter"},
    {FIELD(NAMED("a", "\"kind\":\"strnig\"")), "/fields/0: \"strnig\" is no kind"},
    {FIELD("{\"name\":\"a\",\"kind\":\"string\"}"), "needs \"help\""},
    {FIELD(NAMED("A", "\"kind\":\"string\"")), "needs \"name\""},
    {FIELD(NAMED("state", "\"kind\":\"string\"")), "meaning of its own"},
    {FIELD(NAMED("a", "\"kind\":\"string\"") "," NAMED("a", "\"kind\":\"string\"")),
     "/fields/1: type \"thing\" has a field \"a\""},
    {FIELD(NAMED("a", "\"kind\":\"string\",\"minimum\":1")), "\"minimum\" says nothing of a string"},
    {FIELD(NAMED("a", "\"kind\":\"string\",\"colour\":1")), "\"colour\" is not known"},
    {FIELD(NAMED("a", "\"kind\":\"string\",\"minLength\":5,\"maxLength\":4")), "minLength is above"},
    {FIELD(NAMED("a", "\"kind\":\"string\",\"pattern\":\"a\"")), "needs a maxLength"},
    {FIELD(NAMED("a", "\"kind\":\"string\",\"maxLength\":9,\"pattern\":\"(a\"")), "no regular expression"},
    {FIELD(NAMED("a", "\"kind\":\"integer\",\"minimum\":5,\"maximum\":4")), "minimum is above"},
    {FIELD(NAMED("a", "\"kind\":\"integer\",\"minimum\":1.5")), "\"minimum\" must be an integer"},
    {FIELD(NAMED("a", "\"kind\":\"integer\",\"maximum\":4,\"default\":5")), "default does not fit"},
    {FIELD(NAMED("a", "\"kind\":\"enum\",\"values\":[\"x\"],\"default\":\"y\"")), "default does not fit"},
    {FIELD(NAMED("a", "\"kind\":\"boolean\",\"default\":null")), "must not be null"},
    {FIELD(NAMED("a", "\"kind\":\"list\",\"default\":[],\"of\":{\"kind\":\"string\"}")),
     "\"default\" says nothing of a list"},
    {FIELD(NAMED("a", "\"kind\":\"string\",\"required\":true,\"since\":\"2\"")), "needs a default"},
    {FIELD(NAMED("a", "\"kind\":\"enum\"")), "\"values\" must be"},
    {FIELD(NAMED("a", "\"kind\":\"enum\",\"values\":[\"x\",\"x\"]")), "stands twice"},
    {FIELD(NAMED("a", "\"kind\":\"enum\",\"values\":[\"x\\\"\"]")), "no quotes"},
    {FIELD(NAMED("a", "\"kind\":\"ref\",\"to\":[\"nothing\"]")), "\"nothing\" in \"to\" is no type"},
    {FIELD(NAMED("a", "\"kind\":\"ref\",\"to\":[]")), "\"to\" must be"},
    {FIELD(NAMED("a", "\"kind\":\"ref\",\"to\":[\"host\"],\"onDelete\":\"forget\"")), "onDelete is"},
    {FIELD(NAMED("a", "\"kind\":\"ref\",\"to\":[\"host\"],\"required\":true,\"onDelete\":\"clear\"")),
     "cannot be clear"},
    {FIELD(NAMED("a", "\"kind\":\"secret\"")), "needs \"shownAs\""},
    {FIELD(NAMED("a", "\"kind\":\"secret\",\"shownAs\":\"a\"")), "under its own name"},
    {FIELD(NAMED("a", "\"kind\":\"secret\",\"shownAs\":\"b\"") "," NAMED("b", "\"kind\":\"boolean\"")),
     "has a field \"b\""},
    {FIELD(NAMED("a", "\"kind\":\"list\"")), "needs \"of\""},
    {FIELD(NAMED("a", "\"kind\":\"list\",\"of\":{\"kind\":\"list\",\"of\":{\"kind\":\"string\"}}")),
     "/fields/0/of: the items"},
    {FIELD(NAMED("a", "\"kind\":\"list\",\"of\":{\"kind\":\"string\",\"name\":\"x\"}")),
     "\"name\" says nothing"},
    {FIELD(NAMED("a", "\"kind\":\"list\",\"key\":\"x\",\"of\":{\"kind\":\"string\"}")),
     "only a list of structs"},
    {FIELD(NAMED("a", "\"kind\":\"list\",\"of\":{\"kind\":\"struct\",\"fields\":[" NAMED(
                          "x", "\"kind\":\"string\"") "]}")),
     "needs a key"},
    {FIELD(NAMED("a", "\"kind\":\"list\",\"key\":\"y\",\"of\":{\"kind\":\"struct\",\"fields\":[" NAMED(
                          "x", "\"kind\":\"string\"") "]}")),
     "no member"},
    {FIELD(NAMED("a", "\"kind\":\"list\",\"key\":\"x\",\"of\":{\"kind\":\"struct\",\"fields\":[" NAMED(
                          "x", "\"kind\":\"boolean\"") "]}")),
     "must be a string"},
    {FIELD(NAMED("a", "\"kind\":\"list\",\"key\":\"x\",\"of\":{\"kind\":\"struct\",\"fields\":[" NAMED(
                          "x", "\"kind\":\"string\",\"default\":\"d\"") "]}")),
     "cannot have a default"},
    {FIELD(NAMED("a", "\"kind\":\"list\",\"key\":\"x\",\"of\":{\"kind\":\"struct\",\"fields\":[" NAMED(
                          "x", "\"kind\":\"ref\",\"to\":[\"host\"],\"onDelete\":\"clear\"") "]}")),
     "onDelete cannot be clear"},
    {FIELD(NAMED("a", "\"kind\":\"struct\",\"fields\":[]")), "a struct needs"},
    {FIELD(NAMED("a", "\"kind\":\"struct\",\"fields\":[" NAMED("x", "\"kind\":\"string\"") "," NAMED(
                          "x", "\"kind\":\"string\"") "]")),
     "/fields/0/fields/1: \"x\" stands there twice"},
    {FIELD(NAMED("a",
                 "\"kind\":\"struct\",\"fields\":[" NAMED("x", "\"kind\":\"secret\",\"shownAs\":\"y\"") "]")),
     "cannot stand inside"},
    {FIELD(NAMED(
         "a", "\"kind\":\"struct\",\"fields\":[" NAMED("x", "\"kind\":\"string\",\"immutable\":true") "]")),
     "\"immutable\" says nothing"},
    {FIELD(NAMED("a", "\"kind\":\"boolean\",\"computed\":{\"from\":\"b\",\"in\":[\"x\"]}")),
     "an enum field of the type"},
    {FIELD(NAMED("b", "\"kind\":\"enum\",\"values\":[\"y\"]") "," NAMED(
         "a", "\"kind\":\"boolean\",\"computed\":{\"from\":\"b\",\"in\":[\"x\"]}")),
     "no value of b"},
    {FIELD(NAMED("a", "\"kind\":\"boolean\",\"required\":true,\"computed\":{\"from\":\"b\",\"in\":[\"x\"]}")),
     "cannot be required"},
};

static void
test_contradictions(Site *site, const void *data)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(contradictions); i++) {
        put_file(site, "site.json", contradictions[i].text);
        g_autoptr(GError) error = NULL;
        ConfSchema *schema = conf_schema_load(site->folders, &error);
        g_assert_null(schema);
        g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
        if (strstr(error->message, "site.json") == NULL ||
            strstr(error->message, contradictions[i].message) == NULL)
            g_error("%s: %s", contradictions[i].message, error->message);
    }
}

/* What the server itself relies on must be there. */
static void
test_missing_types(Site *site, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(conf_schema_load(site->folder, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "\"person\" is missing"));
    g_clear_error(&error);
    g_assert_null(conf_schema_load("/nonexistent/folder", &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
}

static void
test_deep(Site *site, const void *data)
{
    g_autoptr(GString) text = g_string_new(FIELD("%s"));
    g_autoptr(GString) field = g_string_new("\"kind\":\"string\"");
    for (unsigned i = 0; i < 12; i++) {
        g_autofree char *inner = g_strdup(field->str);
        g_string_printf(field, "\"kind\":\"struct\",\"fields\":[{\"name\":\"x\",\"help\":\"h\",%s}]", inner);
    }
    g_autofree char *named = g_strdup_printf("{\"name\":\"a\",\"help\":\"h\",%s}", field->str);
    g_string_replace(text, "%s", named, 1);
    put_file(site, "site.json", text->str);
    g_autoptr(GError) error = NULL;
    g_assert_null(conf_schema_load(site->folders, &error));
    g_assert_nonnull(strstr(error->message, "nested deeper"));
}

#define SITE_TEST(path, func) g_test_add(path, Site, NULL, set_up_site, func, tear_down_site)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    MODEL_TEST("/schema/types", test_types);
    MODEL_TEST("/schema/fields", test_fields);
    MODEL_TEST("/schema/required", test_required);
    MODEL_TEST("/schema/text", test_text);
    SITE_TEST("/schema/site", test_site);
    SITE_TEST("/schema/pattern", test_pattern);
    SITE_TEST("/schema/contradictions", test_contradictions);
    SITE_TEST("/schema/missing-types", test_missing_types);
    SITE_TEST("/schema/deep", test_deep);
    return g_test_run();
}
