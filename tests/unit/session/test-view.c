/* test-view.c - what one commit means to one viewer: order, reasons, lines, resets; and objects that enter
 * or leave without having been written. */
#include "session-fixture.h"

#include <string.h>

/* One viewer of the next commit; identities of before and after by their person. */
typedef struct {
    Desk *desk;
    ConfScope *scope;
    ConfIdentity *before, *after;
    const char *person;
} Eye;

static Eye
eye_open(Desk *desk, const char *person, const char *scope)
{
    return (Eye){.desk = desk,
                 .scope = desk_scope(desk, scope),
                 .before = desk_identity(desk, person),
                 .person = person};
}

static void
eye_close(Eye *eye)
{
    conf_scope_unref(eye->desk->sessions, eye->scope);
    conf_identity_unref(eye->before);
    conf_identity_unref(eye->after);
}

static ConfViewer
eye_viewer(Eye *eye, ConfCommit *commit)
{
    eye->after = desk_identity(eye->desk, eye->person);
    return (ConfViewer){
        .sessions = eye->desk->sessions,
        .commit = commit,
        .identity_before = eye->before,
        .identity_after = eye->after,
        .scopes = &eye->scope,
        .scope_count = 1,
    };
}

static void
look(const ConfViewer *viewer, ConfView *view)
{
    ConfAlterations *alterations = conf_alterations_new(viewer->sessions, viewer->commit);
    conf_view_init(view);
    conf_view_add_changes(view, viewer, NULL);
    conf_alterations_view(alterations, viewer, view);
    conf_view_finish(view, viewer);
    conf_alterations_free(alterations);
}

/* Commits `text` and compares what `person` is told of it with `expected` (with @name@ for dbids). */
static void
check(Desk *desk, const char *person, const char *scope, const char *text, const char *expected)
{
    Eye eye = eye_open(desk, person, scope);
    ConfCommit *commit = desk_commit(desk, text);
    ConfViewer viewer = eye_viewer(&eye, commit);
    ConfView view;
    look(&viewer, &view);
    g_autofree char *seen = describe_view(&view, &viewer);
    g_autofree char *wanted = fixture_expand(desk->company, expected);
    g_assert_cmpstr(seen, ==, wanted);
    conf_view_clear(&view);
    eye_close(&eye);
}

static void
test_order(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    fixture_make(desk->company, "p1", "{'type':'host','name':'p1','folder':@apac@}");
    int64_t next = fixture_make(desk->company, "last", "{'type':'host','name':'last'}") + 1;
    fixture_name(desk->company, "n1", next);
    /* Created without a reason, then what enters (folders first), updates, what leaves (folders last). */
    check(
        desk, "default", "{'folder':@emea@}",
        "[{'op':'update','type':'folder','dbid':@inner@,'patch':{'folder':@Hosts@}},"
        "{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'10.0.0.9'}},"
        "{'op':'update','type':'folder','dbid':@apac@,'patch':{'folder':@emea@}},"
        "{'op':'create','object':{'type':'host','name':'n1','folder':@emea@}}]",
        "create host @n1@, create folder @apac@ scope, create host @p1@ scope, update host @h1@, delete host @h2@ scope, "
        "delete folder @inner@ scope");
    /* Back again, with a deletion. */
    check(desk, "default", "{'folder':@emea@}",
          "[{'op':'delete','type':'host','dbid':@n1@},"
          "{'op':'update','type':'folder','dbid':@inner@,'patch':{'folder':@emea@}}]",
          "create folder @inner@ scope, create host @h2@ scope, delete host @n1@");
}

static void
test_reasons(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    fixture_make(desk->company, "p1", "{'type':'host','name':'p1','folder':@apac@}");
    static const char grant[] =
        "{'op':'permission','type':'folder','dbid':@apac@,'grant':[{'account':{'type':'person','dbid':@carl@},"
        "'rights':['read']}]}";
    check(desk, "carl", "{}", grant, "create folder @apac@ permission, create host @p1@ permission");
    check(desk, "carl", "{'types':['host']}",
          "{'op':'update','type':'host','dbid':@p1@,'patch':{'address':'1.1.1.1'}}", "update host @p1@");
    /* Out of the scope and out of the rights: the latter is told. */
    check(desk, "carl", "{'folder':@apac@}",
          "{'op':'update','type':'host','dbid':@p1@,'patch':{'folder':@emea@}}",
          "delete host @p1@ permission");
    check(desk, "carl", "{'folder':@apac@}",
          "{'op':'update','type':'host','dbid':@p1@,'patch':{'folder':@apac@}}",
          "create host @p1@ permission");
    check(desk, "default", "{'folder':@apac@}",
          "{'op':'update','type':'host','dbid':@p1@,'patch':{'folder':@emea@}}", "delete host @p1@ scope");
    check(
        desk, "carl", "{}",
        "{'op':'permission','type':'folder','dbid':@apac@,'revoke':[{'account':{'type':'person','dbid':@carl@},"
        "'rights':['read']}]}",
        "delete folder @apac@ permission");
    /* What nobody sees is no view. */
    check(desk, "carl", "{}", "{'op':'update','type':'host','dbid':@p1@,'patch':{'address':'2.2.2.2'}}", "");
}

/* A person's groups and a list change at once: only what he may read before and after counts. */
static void
test_groups_and_list(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    fixture_make(desk->company, "p1", "{'type':'host','name':'p1','folder':@apac@}");
    fixture_make(desk->company, "crew",
                 "{'type':'accessGroup','name':'crew','kind':'custom','members':[@carl@]}");
    /* Never readable: not before for the list, not after for the group. */
    check(
        desk, "carl", "{}",
        "[{'op':'permission','type':'folder','dbid':@apac@,'grant':[{'account':{'type':'accessGroup','dbid':@crew@},"
        "'rights':['read']}]},{'op':'update','type':'accessGroup','dbid':@crew@,'remove':{'members':[@carl@]}}]",
        "");
    /* By the group alone. */
    check(desk, "carl", "{}", "{'op':'update','type':'accessGroup','dbid':@crew@,'add':{'members':[@carl@]}}",
          "create folder @apac@ permission, create host @p1@ permission");
    /* Readable all the time, by the group before and in person after. */
    check(
        desk, "carl", "{}",
        "[{'op':'permission','type':'folder','dbid':@apac@,'grant':[{'account':{'type':'person','dbid':@carl@},"
        "'rights':['read']}]},{'op':'update','type':'accessGroup','dbid':@crew@,'remove':{'members':[@carl@]}}]",
        "");
}

static void
test_reset(void)
{
    g_autoptr(Desk) desk = desk_new(3);
    for (unsigned i = 0; i < 2; i++) {
        g_autofree char *object = g_strdup_printf("{'type':'host','name':'p%u','folder':@apac@}", i);
        g_autofree char *name = g_strdup_printf("p%u", i);
        fixture_make(desk->company, name, object);
    }
    static const char in[] = "{'op':'update','type':'folder','dbid':@apac@,'patch':{'folder':@emea@}}";
    static const char out[] = "{'op':'update','type':'folder','dbid':@apac@,'patch':{'folder':@Hosts@}}";
    /* Three is as many as may be. */
    check(desk, "default", "{'folder':@emea@}", in,
          "create folder @apac@ scope, create host @p0@ scope, create host @p1@ scope");
    check(desk, "default", "{'folder':@emea@}", out,
          "delete host @p0@ scope, delete host @p1@ scope, delete folder @apac@ scope");
    fixture_make(desk->company, "p2", "{'type':'host','name':'p2','folder':@apac@}");
    check(desk, "default", "{'folder':@emea@}", in, "reset scope");
    check(
        desk, "carl", "{}",
        "{'op':'permission','type':'folder','dbid':@apac@,'grant':[{'account':{'type':'person','dbid':@carl@},"
        "'rights':['read']}]}",
        "reset permission");
    /* What is created, however much, is no alteration. */
    GString *many = g_string_new("[");
    for (unsigned i = 0; i < 20; i++)
        g_string_append_printf(many,
                               "%s{'op':'create','object':{'type':'host','name':'many%u','folder':@apac@}}",
                               i > 0 ? "," : "", i);
    g_string_append_c(many, ']');
    Eye eye = eye_open(desk, "carl", "{}");
    ConfCommit *commit = desk_commit(desk, many->str);
    ConfViewer viewer = eye_viewer(&eye, commit);
    ConfView view;
    look(&viewer, &view);
    g_assert_false(view.reset);
    g_assert_cmpuint(view.items->len, ==, 20);
    conf_view_clear(&view);
    eye_close(&eye);
    g_string_free(many, TRUE);
}

/* A large transaction comes in several lines of one revision, none longer than 1 MiB, nothing twice and
 * nothing left out. */
static void
test_more(void)
{
    enum { COUNT = 3000 };
    g_autoptr(Desk) desk = desk_new(1000);
    g_autofree char *filling = g_strnfill(1000, 'x');
    GString *many = g_string_new("[");
    for (unsigned i = 0; i < COUNT; i++)
        g_string_append_printf(
            many, "%s{'op':'create','object':{'type':'host','name':'many%u','annex':{'s':{'k':'%s'}}}}",
            i > 0 ? "," : "", i, filling);
    g_string_append_c(many, ']');
    Eye eye = eye_open(desk, "default", "{'types':['host']}");
    ConfCommit *commit = desk_commit(desk, many->str);
    ConfViewer viewer = eye_viewer(&eye, commit);
    ConfView view;
    look(&viewer, &view);
    g_autoptr(GHashTable) cache = conf_view_cache_new();
    const GPtrArray *lines = conf_view_lines(&view, &viewer, cache);
    g_assert_cmpuint(lines->len, >, 3);
    unsigned count = 0;
    for (unsigned i = 0; i < lines->len; i++) {
        const ConfBytes *line = g_ptr_array_index(lines, i);
        g_assert_cmpuint(line->size, <=, 1024 * 1024);
        g_assert_cmpint(line->data[line->size - 1], ==, '\n');
        g_autofree char *copy = g_strndup(line->data, line->size);
        g_autofree char *text = describe_line(copy);
        g_assert_true(g_str_has_suffix(text, "+") == (i + 1 < lines->len));
        for (const char *p = text; (p = strstr(p, "create host ")) != NULL; p++) {
            const ConfObject *object = commit->changes[count++].after;
            g_assert_cmpint(g_ascii_strtoll(p + strlen("create host "), NULL, 10), ==, object->dbid);
        }
    }
    g_assert_cmpuint(count, ==, COUNT);
    conf_view_clear(&view);
    eye_close(&eye);
    g_string_free(many, TRUE);
}

/* Whoever sees the same shares the same bytes, whatever led to it; who did it is told to those who may
 * know. */
static void
test_shared_lines(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    desk_commit(
        desk,
        "{'op':'permission','type':'folder','dbid':@emea@,'grant':[{'account':{'type':'person','dbid':@carl@},"
        "'rights':['read']}]}");
    Eye eyes[] = {eye_open(desk, "default", "{}"), eye_open(desk, "default", "{'types':['host']}"),
                  eye_open(desk, "carl", "{}")};
    ConfCommit *commit =
        desk_commit(desk, "{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'10.0.0.9'}}");
    g_autoptr(GHashTable) cache = conf_view_cache_new();
    const GPtrArray *lines[3];
    ConfView views[3];
    for (unsigned i = 0; i < 3; i++) {
        ConfViewer viewer = eye_viewer(&eyes[i], commit);
        look(&viewer, &views[i]);
        lines[i] = conf_view_lines(&views[i], &viewer, cache);
    }
    g_assert_true(lines[0] == lines[1]);
    g_assert_true(lines[0] != lines[2]);
    g_autofree char *full =
        g_strndup(((ConfBytes *)lines[0]->pdata[0])->data, ((ConfBytes *)lines[0]->pdata[0])->size);
    g_autofree char *bare =
        g_strndup(((ConfBytes *)lines[2]->pdata[0])->data, ((ConfBytes *)lines[2]->pdata[0])->size);
    g_autofree char *by = fixture_expand(desk->company, "'by':{'user':@default@");
    g_assert_nonnull(strstr(full, by));
    g_assert_null(strstr(bare, "\"by\""));
    for (unsigned i = 0; i < 3; i++) {
        conf_view_clear(&views[i]);
        eye_close(&eyes[i]);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/session/view/order", test_order);
    g_test_add_func("/session/view/reasons", test_reasons);
    g_test_add_func("/session/view/groups-and-list", test_groups_and_list);
    g_test_add_func("/session/view/reset", test_reset);
    g_test_add_func("/session/view/more", test_more);
    g_test_add_func("/session/view/shared-lines", test_shared_lines);
    return g_test_run();
}
