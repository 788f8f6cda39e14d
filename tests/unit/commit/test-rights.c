/* test-rights.c - who may what in a transaction, and what becomes of lists of rights. */
#include "fixture.h"

static void
test_permission_only(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    const ConfObject *h1 = fixture_object(fixture, "host", "h1");
    int64_t revision = h1->revision;
    const ConfAcl *inherited = fixture_object(fixture, "folder", "emea")->acl;
    g_autoptr(Result) result = fixture_run(fixture, "default",
                                           "{'op':'permission','type':'host','dbid':@h1@,'grant':["
                                           "{'account':{'type':'person','dbid':@carl@},'rights':['read']}]}");
    const ConfChange *change = result_only_change(result);
    g_assert_cmpint(change->kind, ==, CONF_CHANGE_PERMISSION);
    g_assert_cmpint(change->after->revision, ==, revision);
    g_assert_true(change->after->body == change->before->body);
    g_assert_cmpint(change->after->acl_revision, ==, result->revision);
    g_assert_cmpint(result_nth(result, 0)->revision, ==, result->revision);
    g_assert_cmpuint(change->after->acl->count, ==, inherited->count + 1);
    for (unsigned i = 0; i < inherited->count; i++)
        g_assert_cmpuint(conf_acl_lookup(change->after->acl, inherited->entries[i].account), ==,
                         inherited->entries[i].rights);

    g_autoptr(Result) again = fixture_run(fixture, "default",
                                          "{'op':'permission','type':'host','dbid':@h1@,'grant':["
                                          "{'account':{'type':'person','dbid':@carl@},'rights':['read']}]}");
    g_assert_cmpint(again->code, ==, 0);
    g_assert_null(again->commit);
    g_assert_cmpint(again->revision, ==, result->revision);
}

static void
test_permission_nothing_while_inheriting(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t list_revision = fixture_object(fixture, "folder", "emea")->acl_revision;
    g_assert_cmpint(list_revision, >, 1);
    g_autoptr(Result) granted =
        fixture_run(fixture, "default",
                    "{'op':'permission','type':'host','dbid':@h2@,'grant':["
                    "{'account':{'type':'person','dbid':@anna@},'rights':['read']}]}");
    g_assert_cmpint(granted->code, ==, 0);
    g_assert_null(granted->commit);
    g_assert_cmpint(granted->revision, ==, list_revision);
    g_assert_null(fixture_object(fixture, "host", "h2")->acl);

    g_autoptr(Result) stale = fixture_run(
        fixture, "default", "{'op':'permission','type':'host','dbid':@h2@,'ifRevision':1,'entries':[]}");
    g_assert_cmpint(stale->code, ==, CONF_RPC_CHANGED);
    g_autofree char *wanted = g_strdup_printf("\"revision\":%" G_GINT64_FORMAT, list_revision);
    fixture_assert_has(stale->data, wanted);
    g_autofree char *right = g_strdup_printf(
        "{'op':'permission','type':'host','dbid':@h2@,'ifRevision':%" G_GINT64_FORMAT ",'entries':[]}",
        list_revision);
    g_autoptr(Result) fresh = fixture_run(fixture, "default", right);
    g_assert_cmpint(result_only_change(fresh)->kind, ==, CONF_CHANGE_PERMISSION);
    g_assert_cmpuint(fixture_object(fixture, "host", "h2")->acl->count, ==, 0);
}

static void
test_revoke(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) result =
        fixture_run(fixture, "default",
                    "{'op':'permission','type':'folder','dbid':@emea@,'grant':["
                    "{'account':{'type':'person','dbid':@boss@},'rights':['read','change']}],'revoke':["
                    "{'account':{'type':'person','dbid':@anna@},'rights':['create','change']},"
                    "{'account':{'type':'person','dbid':@boss@},'rights':['change']}]}");
    g_assert_cmpint(result->code, ==, 0);
    const ConfAcl *acl = fixture_object(fixture, "folder", "emea")->acl;
    g_assert_cmpuint(conf_acl_lookup(acl, fixture_person(fixture, "anna")), ==,
                     CONF_RIGHT_READ | CONF_RIGHT_DELETE);
    g_assert_cmpuint(conf_acl_lookup(acl, fixture_person(fixture, "boss")), ==, CONF_RIGHT_READ);
}

static void
test_propagate(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) lists = fixture_run(fixture, "default",
                                          "[{'op':'permission','type':'host','dbid':@h1@,'entries':[]},"
                                          "{'op':'permission','type':'folder','dbid':@inner@,'entries':[]},"
                                          "{'op':'permission','type':'folder','dbid':@apac@,'entries':[]}]");
    g_assert_cmpint(lists->code, ==, 0);
    g_autoptr(Result) result =
        fixture_run(fixture, "default",
                    "[{'op':'permission','type':'host','dbid':@h2@,'entries':[]},"
                    "{'op':'permission','type':'folder','dbid':@emea@,'propagate':true}]");
    g_assert_cmpint(result->code, ==, 0);
    /* h2's list came and went within the transaction. */
    g_assert_cmpuint(result->commit->change_count, ==, 2);
    g_assert_null(fixture_object(fixture, "host", "h1")->acl);
    g_assert_null(fixture_object(fixture, "host", "h2")->acl);
    g_assert_null(fixture_object(fixture, "folder", "inner")->acl);
    g_assert_nonnull(fixture_object(fixture, "folder", "emea")->acl);
    g_assert_nonnull(fixture_object(fixture, "folder", "apac")->acl);
    g_assert_cmpint(fixture_object(fixture, "host", "h1")->acl_revision, ==, 0);
}

static void
test_propagate_needs_rights_below(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) lists =
        fixture_run(fixture, "default",
                    "[{'op':'permission','type':'folder','dbid':@emea@,'grant':["
                    "{'account':{'type':'person','dbid':@anna@},'rights':['changePermissions']}]},"
                    "{'op':'permission','type':'host','dbid':@h1@,'entries':[]}]");
    g_assert_cmpint(lists->code, ==, 0);
    g_autoptr(Result) result =
        fixture_run(fixture, "anna", "{'op':'permission','type':'folder','dbid':@emea@,'propagate':true}");
    g_assert_cmpint(result->code, ==, CONF_RPC_NOT_PERMITTED);
}

static void
test_update_and_permission_together(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) result =
        fixture_run(fixture, "default",
                    "[{'op':'permission','type':'host','dbid':@h3@,'inherit':true},"
                    "{'op':'update','type':'host','dbid':@h3@,'patch':{'address':'x'}}]");
    const ConfChange *change = result_only_change(result);
    g_assert_cmpint(change->kind, ==, CONF_CHANGE_UPDATE);
    g_assert_nonnull(change->before->acl);
    g_assert_null(change->after->acl);
    /* An update alone leaves the list and its revision. */
    int64_t list_revision = fixture_object(fixture, "folder", "emea")->acl_revision;
    g_autoptr(Result) second =
        fixture_run(fixture, "default",
                    "[{'op':'permission','type':'folder','dbid':@emea@,'inherit':true},"
                    "{'op':'permission','type':'folder','dbid':@emea@,'grant':[{'account':"
                    "{'type':'person','dbid':@anna@},'rights':['read','create','change','delete']}]},"
                    "{'op':'update','type':'folder','dbid':@emea@,'patch':{'class':'site'}}]");
    change = result_only_change(second);
    g_assert_true(change->after->acl == change->before->acl);
    g_assert_cmpint(change->after->acl_revision, ==, list_revision);
}

static void
test_deleted_account_leaves_lists(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    ConfKey team = {.dbid = fixture_object(fixture, "accessGroup", "team")->dbid,
                    .type = CONF_TYPE_ACCESS_GROUP};
    int64_t revision = fixture_object(fixture, "host", "h3")->revision;
    g_autoptr(Result) result =
        fixture_run(fixture, "default",
                    "[{'op':'permission','type':'host','dbid':@h1@,'entries':[{'account':"
                    "{'type':'accessGroup','dbid':@team@},'rights':['read']}]},"
                    "{'op':'delete','type':'accessGroup','dbid':@team@}]");
    g_assert_cmpint(result->code, ==, 0);
    const ConfObject *h3 = fixture_object(fixture, "host", "h3");
    g_assert_cmpuint(conf_acl_lookup(h3->acl, team), ==, 0);
    g_assert_cmpint(h3->revision, ==, revision);
    g_assert_cmpint(h3->acl_revision, ==, result->revision);
    const ConfObject *h1 = fixture_object(fixture, "host", "h1");
    g_assert_nonnull(h1->acl);
    g_assert_cmpuint(h1->acl->count, ==, 0);
    g_assert_cmpuint(result->commit->change_count, ==, 3);
}

static void
test_clear_needs_no_right(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) made =
        fixture_run(fixture, "default",
                    "[{'op':'create','object':{'type':'note','name':'n','watched':@h2@}},"
                    "{'op':'permission','type':'note','name':'n','entries':[]}]");
    g_assert_cmpint(made->code, ==, 0);
    g_autoptr(Result) result = fixture_run(fixture, "anna", "{'op':'delete','type':'host','dbid':@h2@}");
    g_assert_cmpint(result->code, ==, 0);
    g_assert_cmpuint(result->commit->change_count, ==, 2);
}

static void
test_nobody(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    ConfTransaction *transaction = conf_transaction_new(
        CONF_TRANSACTION_SINGLE, CONF_SLICE("[{\"op\":\"delete\",\"type\":\"tenant\",\"dbid\":1}]"), false);
    g_autoptr(Result) result = fixture_submit_transaction(fixture, transaction);
    fixture_wait(result);
    g_assert_cmpint(result->code, ==, CONF_RPC_NOT_FOUND);
}

/* Groups that a directory named for the session count as if the account were in them, while it is enabled. */
static void
test_groups_of_a_directory(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    ConfKey carl = fixture_person(fixture, "carl");
    ConfKey group = {.dbid = fixture_object(fixture, "accessGroup", "Administrators")->dbid,
                     .type = CONF_TYPE_ACCESS_GROUP};
    const int codes[] = {CONF_RPC_NOT_FOUND, 0, 0, CONF_RPC_NOT_FOUND};
    for (unsigned i = 0; i < G_N_ELEMENTS(codes); i++) {
        g_autofree char *text =
            fixture_expand(fixture, i == 2 ? "[{'op':'permission','type':'host','dbid':@h1@,'entries':[]}]"
                                           : "[{'op':'update','type':'host','dbid':@h3@,'patch':{}}]");
        ConfTransaction *transaction =
            conf_transaction_new(CONF_TRANSACTION_SINGLE, conf_slice_from_string(text), false);
        conf_transaction_set_author(transaction, carl, carl, (ConfKey){0}, NULL);
        if (i > 0)
            conf_transaction_set_groups(transaction, &group, 1);
        g_autoptr(Result) result = fixture_submit_transaction(fixture, transaction);
        fixture_wait(result);
        g_assert_cmpint(result->code, ==, codes[i]);
        if (i < 2)
            continue;
        g_autoptr(Result) disabled = fixture_run(
            fixture, "default", "{'op':'update','type':'person','dbid':@carl@,'patch':{'state':'disabled'}}");
        g_assert_cmpint(disabled->code, ==, 0);
    }
}

/* The words do not tell whether there is something. */
static void
test_not_found_in_the_same_words(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    static const char *const texts[][2] = {
        {"{'op':'delete','path':'/Environment/Persons/boss'}",
         "{'op':'delete','path':'/Environment/Persons/none'}"},
        {"{'op':'delete','type':'person','name':'boss'}", "{'op':'delete','type':'person','name':'none'}"},
        {"{'op':'delete','type':'person','dbid':@boss@}", "{'op':'delete','type':'person','dbid':4711}"},
        {"{'op':'update','type':'host','dbid':@h1@,'patch':{'folder':@Persons@}}",
         "{'op':'update','type':'host','dbid':@h1@,'patch':{'folder':4711}}"},
        {"{'op':'create','object':{'type':'host','name':'n','folder':@Persons@}}",
         "{'op':'create','object':{'type':'host','name':'n','folder':4711}}"},
        {"{'op':'create','object':{'type':'application','name':'n','applicationType':'genericServer','account':@boss@}}",
         "{'op':'create','object':{'type':'application','name':'n','applicationType':'genericServer','account':4711}}"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(Result) hidden = fixture_run(fixture, "anna", texts[i][0]);
        g_autoptr(Result) missing = fixture_run(fixture, "anna", texts[i][1]);
        g_assert_cmpint(hidden->code, ==, missing->code);
        g_assert_cmpint(hidden->code, !=, 0);
        g_assert_cmpstr(hidden->data, ==, missing->data);
        g_autofree char *number = fixture_expand(fixture, "@boss@"),
                        *folder = fixture_expand(fixture, "@Persons@");
        g_autoptr(GString) words = g_string_new(hidden->message);
        g_string_replace(words, "boss", "none", 0);
        g_string_replace(words, number, "4711", 0);
        g_string_replace(words, folder, "4711", 0);
        g_assert_cmpstr(words->str, ==, missing->message);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/commit/rights/permission-only", test_permission_only);
    g_test_add_func("/commit/rights/permission-nothing-while-inheriting",
                    test_permission_nothing_while_inheriting);
    g_test_add_func("/commit/rights/revoke", test_revoke);
    g_test_add_func("/commit/rights/propagate", test_propagate);
    g_test_add_func("/commit/rights/propagate-needs-rights-below", test_propagate_needs_rights_below);
    g_test_add_func("/commit/rights/update-and-permission-together", test_update_and_permission_together);
    g_test_add_func("/commit/rights/deleted-account-leaves-lists", test_deleted_account_leaves_lists);
    g_test_add_func("/commit/rights/clear-needs-no-right", test_clear_needs_no_right);
    g_test_add_func("/commit/rights/nobody", test_nobody);
    g_test_add_func("/commit/rights/groups-of-a-directory", test_groups_of_a_directory);
    g_test_add_func("/commit/rights/not-found-in-the-same-words", test_not_found_in_the_same_words);
    return g_test_run();
}
