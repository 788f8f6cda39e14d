/* test-scope.c - what subscriptions name: equal ones are one, what they cover, the index that leads from
 * an object to them; and the audiences of sessions that see the same. */
#include "session-fixture.h"

static void
test_interning(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    ConfScope *one = desk_scope(
        desk, "{'types':['host','folder'],'objects':[{'type':'host','dbid':7},{'type':'host','dbid':3}]}");
    ConfScope *same = desk_scope(
        desk, "{'objects':[{'type':'host','dbid':3},{'type':'host','dbid':7},{'type':'host','dbid':3}],"
              "'types':['folder','host','host']}");
    ConfScope *other = desk_scope(desk, "{'types':['host']}");
    g_assert_true(one == same);
    g_assert_true(one != other);
    g_assert_cmpuint(g_hash_table_size(desk->sessions->scopes), ==, 2);
    conf_scope_unref(desk->sessions, one);
    conf_scope_unref(desk->sessions, other);
    g_assert_cmpuint(g_hash_table_size(desk->sessions->scopes), ==, 1);
    conf_scope_unref(desk->sessions, same);
    g_assert_cmpuint(g_hash_table_size(desk->sessions->scopes), ==, 0);
    g_assert_cmpuint(g_hash_table_size(desk->sessions->scope_by_object), ==, 0);
    g_assert_cmpuint(g_hash_table_size(desk->sessions->scope_by_type), ==, 0);
}

static void
test_faults(void)
{
    static const char *const texts[][2] = {
        {"{'types':[]}", "/types"},
        {"{'types':['host','hosts']}", "/types/1"},
        {"{'objects':[]}", "/objects"},
        {"{'objects':[{'type':'host'}]}", "/objects/0"},
        {"{'objects':[{'type':'host','dbid':1,'name':'x'}]}", "/objects/0"},
        {"{'tenant':0}", "/tenant"},
        {"{'folder':'emea'}", "/folder"},
    };
    g_autoptr(Desk) desk = desk_new(1000);
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        g_assert_null(desk_try_scope(desk, texts[i][0], &error));
        g_assert_cmpint(error.code, ==, CONF_RPC_INVALID_PARAMS);
        g_assert_nonnull(strstr(error.data, texts[i][1]));
    }
    g_assert_cmpuint(g_hash_table_size(desk->sessions->scopes), ==, 0);
}

static bool
covers(Desk *desk, const char *text, const char *type, const char *name)
{
    ConfScope *scope = desk_scope(desk, text);
    const ConfObject *object = fixture_object(desk->company, type, name);
    ConfPlace *place = conf_store_place(desk->company->store, object);
    bool covered = conf_scope_covers(scope, conf_object_key(object), place);
    conf_place_unref(place);
    conf_scope_unref(desk->sessions, scope);
    return covered;
}

static void
test_coverage(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    g_assert_true(covers(desk, "{}", "host", "h1"));
    g_assert_true(covers(desk, "{'types':['person','host']}", "host", "h1"));
    g_assert_false(covers(desk, "{'types':['person']}", "host", "h1"));
    g_assert_true(covers(desk, "{'objects':[{'type':'host','dbid':@h1@}]}", "host", "h1"));
    g_assert_false(covers(desk, "{'objects':[{'type':'host','dbid':@h2@}]}", "host", "h1"));
    /* Below a folder at any depth, and not the folder itself. */
    g_assert_true(covers(desk, "{'folder':@emea@}", "host", "h1"));
    g_assert_true(covers(desk, "{'folder':@emea@}", "host", "h2"));
    g_assert_true(covers(desk, "{'folder':@emea@}", "folder", "inner"));
    g_assert_false(covers(desk, "{'folder':@emea@}", "folder", "emea"));
    g_assert_false(covers(desk, "{'folder':@emea@}", "host", "h3"));
    /* Environment is above all tenants. */
    g_assert_true(covers(desk, "{'tenant':1}", "host", "h4"));
    g_assert_true(covers(desk, "{'tenant':@acme@}", "host", "h4"));
    g_assert_false(covers(desk, "{'tenant':@acme@}", "host", "h1"));
    /* All members must fit. */
    g_assert_true(covers(desk, "{'types':['host'],'folder':@emea@,'tenant':1}", "host", "h2"));
    g_assert_false(covers(desk, "{'types':['host'],'folder':@emea@,'tenant':@acme@}", "host", "h2"));
}

static void
collect(ConfScope *scope, void *data)
{
    g_hash_table_add(data, scope);
}

/* The index leads from every object to every scope that covers it. */
static void
test_index_is_complete(void)
{
    static const char *const texts[] = {
        "{}",
        "{'types':['host']}",
        "{'types':['host','folder']}",
        "{'folder':@emea@}",
        "{'folder':@inner@,'types':['host']}",
        "{'folder':@Hosts@}",
        "{'tenant':1}",
        "{'tenant':@acme@}",
        "{'tenant':@acme@,'types':['person']}",
        "{'objects':[{'type':'host','dbid':@h1@},{'type':'person','dbid':@anna@}]}",
        "{'objects':[{'type':'host','dbid':@h4@}],'tenant':@acme@}",
    };
    g_autoptr(Desk) desk = desk_new(1000);
    ConfScope *scopes[G_N_ELEMENTS(texts)];
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        scopes[i] = desk_scope(desk, texts[i]);
    unsigned covered = 0;
    ConfKey cursor = {0};
    const ConfObject *object;
    while ((object = conf_store_next(desk->company->store, cursor)) != NULL) {
        cursor = conf_object_key(object);
        ConfPlace *place = conf_store_place(desk->company->store, object);
        g_autoptr(GHashTable) found = g_hash_table_new(NULL, NULL);
        conf_scope_candidates(desk->sessions, cursor, place, collect, found);
        for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
            if (!conf_scope_covers(scopes[i], cursor, place))
                continue;
            covered++;
            g_assert_true(g_hash_table_contains(found, scopes[i]));
        }
        conf_place_unref(place);
    }
    g_assert_cmpuint(covered, >, 100);
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        conf_scope_unref(desk->sessions, scopes[i]);
}

static void
test_audiences(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    g_autoptr(Seat) a = seat_new(desk, "anna", NULL);
    g_autoptr(Seat) b = seat_new(desk, "anna", NULL);
    g_autoptr(Seat) c = seat_new(desk, "carl", NULL);
    seat_subscribe(desk, a, "{'types':['host']}");
    seat_subscribe(desk, a, "{'folder':@emea@}");
    seat_subscribe(desk, b, "{'folder':@emea@}");
    g_assert_true(a->session->audience != b->session->audience);
    /* Neither order nor repetition makes another view. */
    seat_subscribe(desk, b, "{'types':['host']}");
    seat_subscribe(desk, b, "{'types':['host']}");
    g_assert_true(a->session->audience == b->session->audience);
    g_assert_cmpuint(a->session->audience->sessions->len, ==, 2);
    /* Other rights do. */
    seat_subscribe(desk, c, "{'types':['host']}");
    seat_subscribe(desk, c, "{'folder':@emea@}");
    g_assert_true(a->session->audience != c->session->audience);
    g_assert_cmpuint(g_hash_table_size(desk->sessions->audiences), ==, 2);
    conf_session_finish(desk->sessions, a->session, "closed");
    g_assert_cmpuint(b->session->audience->sessions->len, ==, 1);
    conf_session_finish(desk->sessions, b->session, "closed");
    conf_session_break(c->session, NULL);
    g_assert_cmpuint(g_hash_table_size(desk->sessions->audiences), ==, 0);
    g_assert_cmpuint(conf_sessions_statistics(desk->sessions)->broken, ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/session/scope/interning", test_interning);
    g_test_add_func("/session/scope/faults", test_faults);
    g_test_add_func("/session/scope/coverage", test_coverage);
    g_test_add_func("/session/scope/index-is-complete", test_index_is_complete);
    g_test_add_func("/session/scope/audiences", test_audiences);
    return g_test_run();
}
