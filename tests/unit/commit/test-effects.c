/* test-effects.c - what a transaction amounts to: the commit that is published, what is in memory and stored
 * afterwards. */
#include "fixture.h"

#include <string.h>

#include "base/id.h"

static int64_t
present_revision(Fixture *fixture)
{
    return conf_store_position(fixture->store)->revision;
}

static void
test_tenant_brings_root_folders(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) result =
        fixture_run(fixture, "default", "{'op':'create','object':{'type':'tenant','name':'sub'}}");
    g_assert_cmpint(result->code, ==, 0);
    const ConfCommit *commit = result->commit;
    unsigned count, foldered = 0;
    const ConfTypeInfo *const *types = conf_schema_types(conf_store_schema(fixture->store), &count);
    for (unsigned i = 0; i < count; i++)
        foldered += types[i]->foldered;
    g_assert_cmpuint(commit->change_count, ==, foldered + 1);
    g_assert_cmpint(commit->changes[0].after->type, ==, CONF_TYPE_TENANT);
    int64_t tenant = commit->changes[0].after->dbid;
    for (unsigned i = 1; i < commit->change_count; i++) {
        const ConfObject *folder = commit->changes[i].after;
        g_assert_cmpint(commit->changes[i].kind, ==, CONF_CHANGE_CREATE);
        g_assert_cmpint(folder->type, ==, CONF_TYPE_FOLDER);
        g_assert_cmpint(folder->tenant, ==, tenant);
        g_assert_cmpint(folder->folder, ==, 0);
        g_assert_cmpint(folder->revision, ==, commit->revision);
    }
    g_assert_nonnull(conf_state_root_folder(conf_store_state(fixture->store), tenant, CONF_TYPE_HOST));
    g_assert_cmpuint(result->results->len, ==, 1);
    g_assert_cmpint(result_nth(result, 0)->key.dbid, ==, tenant);
}

static void
test_created_and_deleted_is_nothing(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t before = present_revision(fixture);
    g_autoptr(Result) result = fixture_run(fixture, "default",
                                           "[{'op':'create','object':{'type':'host','name':'x'}},"
                                           "{'op':'delete','type':'host','dbid':{'$created':0}}]");
    g_assert_cmpint(result->code, ==, 0);
    g_assert_null(result->commit);
    g_assert_cmpint(result->revision, ==, before);
    g_assert_cmpint(present_revision(fixture), ==, before);
    g_assert_cmpint(database_revision(), ==, before);
}

static void
test_there_and_back_is_nothing(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    const ConfObject *h1 = fixture_object(fixture, "host", "h1");
    g_autoptr(Result) back = fixture_run(fixture, "default",
                                         "[{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'x'}},"
                                         "{'op':'update','type':'host','dbid':@h1@,'patch':{'address':null}},"
                                         "{'op':'permission','type':'host','dbid':@h1@,'entries':[]},"
                                         "{'op':'permission','type':'host','dbid':@h1@,'inherit':true}]");
    /* The first list that it had was the inherited one, so `default` can still name it in the last operation:
     * repair. */
    g_assert_cmpint(back->code, ==, 0);
    g_assert_null(back->commit);
    g_assert_true(fixture_object(fixture, "host", "h1") == h1);
    g_assert_cmpint(result_nth(back, 0)->revision, ==, h1->revision);

    g_autoptr(Result) same =
        fixture_run(fixture, "default", "{'op':'update','type':'host','dbid':@h1@,'patch':{'name':'h1'}}");
    g_assert_cmpint(same->code, ==, 0);
    g_assert_null(same->commit);
    g_assert_cmpint(same->revision, ==, h1->revision);
}

static void
test_several_operations_one_change(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) updates =
        fixture_run(fixture, "default",
                    "[{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'x'}},"
                    "{'op':'update','type':'host','dbid':@h1@,'patch':{'lcaPort':5}}]");
    const ConfChange *change = result_only_change(updates);
    g_assert_cmpint(change->kind, ==, CONF_CHANGE_UPDATE);
    g_assert_cmpstr(change->difference->data, ==, "\"patch\":{\"address\":\"x\",\"lcaPort\":5}");
    g_assert_cmpint(change->after->revision, ==, updates->revision);

    g_autoptr(Result) created =
        fixture_run(fixture, "default",
                    "[{'op':'create','object':{'type':'host','name':'n'}},"
                    "{'op':'update','type':'host','dbid':{'$created':0},'patch':{'address':'y'}}]");
    change = result_only_change(created);
    g_assert_cmpint(change->kind, ==, CONF_CHANGE_CREATE);
    fixture_assert_has(change->after->body->data, "\"address\":\"y\"");

    g_autoptr(Result) deleted =
        fixture_run(fixture, "default",
                    "[{'op':'update','type':'host','dbid':@h3@,'patch':{'address':'z'}},"
                    "{'op':'delete','type':'host','dbid':@h3@}]");
    change = result_only_change(deleted);
    g_assert_cmpint(change->kind, ==, CONF_CHANGE_DELETE);
    g_assert_null(strstr(change->before->body->data, "address"));
    g_assert_null(change->after);
}

static void
test_order_of_changes(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    /* Deletes come first in the request, in the worst order; a1 refers to h1, which lies in emea with inner
     * and h2. */
    g_autoptr(Result) result = fixture_run(
        fixture, "default",
        "[{'op':'delete','type':'folder','dbid':@emea@},{'op':'delete','type':'folder','dbid':@inner@},"
        "{'op':'delete','type':'host','dbid':@h1@},{'op':'delete','type':'host','dbid':@h2@},"
        "{'op':'delete','type':'application','dbid':@a1@},"
        "{'op':'update','type':'host','dbid':@h3@,'patch':{'address':'x'}},"
        "{'op':'create','object':{'type':'host','name':'n1'}},"
        "{'op':'create','object':{'type':'host','name':'n2'}}]");
    g_assert_cmpint(result->code, ==, 0);
    const char *names[] = {"n1", "n2", "a2", "h3", "h2", "a1", "inner", "h1", "emea"};
    const ConfChangeKind kinds[] = {CONF_CHANGE_CREATE, CONF_CHANGE_CREATE, CONF_CHANGE_UPDATE,
                                    CONF_CHANGE_UPDATE};
    g_assert_cmpuint(result->commit->change_count, ==, G_N_ELEMENTS(names));
    GHashTable *places = g_hash_table_new(g_str_hash, g_str_equal);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        const ConfChange *change = &result->commit->changes[i];
        const ConfObject *object = change->after != NULL ? change->after : change->before;
        g_hash_table_insert(places, (void *)object->name, GUINT_TO_POINTER(i + 1));
        g_assert_cmpint(change->kind, ==, i < 4 ? kinds[i] : CONF_CHANGE_DELETE);
        if (i < 2)
            g_assert_cmpstr(object->name, ==, names[i]);
    }
    const char *before_after[][2] = {{"a1", "h1"}, {"h1", "emea"}, {"h2", "inner"}, {"inner", "emea"}};
    for (unsigned i = 0; i < G_N_ELEMENTS(before_after); i++)
        g_assert_cmpuint(GPOINTER_TO_UINT(g_hash_table_lookup(places, before_after[i][0])), <,
                         GPOINTER_TO_UINT(g_hash_table_lookup(places, before_after[i][1])));
    g_hash_table_unref(places);
}

static void
test_cycle_of_deletes(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) made =
        fixture_run(fixture, "default",
                    "[{'op':'create','object':{'type':'note','name':'n1'}},"
                    "{'op':'create','object':{'type':'note','name':'n2','next':{'$created':0}}},"
                    "{'op':'update','type':'note','name':'n1','patch':{'next':{'$created':1}}}]");
    g_assert_cmpint(made->code, ==, 0);
    g_autoptr(Result) result = fixture_run(fixture, "default", "{'op':'delete','type':'note','name':'n1'}");
    g_assert_cmpint(result->code, ==, 0);
    g_assert_cmpuint(result->commit->change_count, ==, 2);
}

static void
test_cascade(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) made =
        fixture_run(fixture, "default",
                    "[{'op':'create','object':{'type':'note','name':'n1','host':@h1@}},"
                    "{'op':'create','object':{'type':'note','name':'n2','next':{'$created':0}}},"
                    "{'op':'create','object':{'type':'note','name':'n3','watched':@h1@,'hosts':[@h2@,@h1@]}},"
                    "{'op':'update','type':'application','dbid':@a1@,'patch':{'host':null}}]");
    g_assert_cmpint(made->code, ==, 0);
    g_autoptr(Result) refused = fixture_run(fixture, "anna", "{'op':'delete','type':'host','dbid':@h1@}");
    g_assert_cmpint(refused->code, ==, CONF_RPC_NOT_PERMITTED);
    g_autoptr(Result) result = fixture_run(fixture, "default", "{'op':'delete','type':'host','dbid':@h1@}");
    g_assert_cmpint(result->code, ==, 0);
    const char *names[] = {"n3", "n2", "n1", "h1"};
    g_assert_cmpuint(result->commit->change_count, ==, G_N_ELEMENTS(names));
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_cmpstr(result->commit->changes[i].before->name, ==, names[i]);
    const ConfObject *cleared = result->commit->changes[0].after;
    g_assert_null(strstr(cleared->body->data, "watched"));
    g_autofree char *left = fixture_expand(fixture, "\"hosts\":[@h2@]");
    fixture_assert_has(cleared->body->data, left);
}

static void
test_referrers_told(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GString) text = g_string_new("[");
    for (unsigned i = 0; i < 105; i++)
        g_string_append_printf(text,
                               "%s{'op':'create','object':{'type':'application','name':'r%u',"
                               "'applicationType':'genericServer','host':@h2@}}",
                               i > 0 ? "," : "", i);
    g_string_append(text, "]");
    g_autoptr(Result) made = fixture_run(fixture, "default", text->str);
    g_assert_cmpint(made->code, ==, 0);
    g_autoptr(Result) refused = fixture_run(fixture, "default", "{'op':'delete','type':'host','dbid':@h2@}");
    g_assert_cmpint(refused->code, ==, CONF_RPC_REFERRED_TO);
    unsigned told = 0;
    for (const char *p = refused->data; (p = strstr(p, "\"dbid\":")) != NULL; p++)
        told++;
    g_assert_cmpuint(told, ==, 100);
    fixture_assert_has(refused->data, "\"others\":true");

    /* Who refers to it is not told to whom it is not visible, but that somebody does. */
    g_autoptr(Result) hidden = fixture_run(
        fixture, "default", "[{'op':'permission','type':'application','dbid':@a1@,'entries':[]}]");
    g_assert_cmpint(hidden->code, ==, 0);
    g_autoptr(Result) secret = fixture_run(fixture, "anna", "{'op':'delete','type':'host','dbid':@h1@}");
    g_assert_cmpint(secret->code, ==, CONF_RPC_REFERRED_TO);
    fixture_assert_has(secret->data, "\"referrers\":[]");
    fixture_assert_has(secret->data, "\"others\":true");
}

static void
test_secrets(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    ConfKey a2 = {.dbid = fixture_object(fixture, "application", "a2")->dbid, .type = CONF_TYPE_APPLICATION};
    ConfKey author = fixture_person(fixture, "default");
    g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);
    Result *results[3];
    int64_t shown = 0;
    const char *const hashes[] = {"{\"secretHash\":\"one\"}", "{\"secretHash\":\"two\"}",
                                  "{\"secretHash\":\"two\"}"};
    for (unsigned i = 0; i < G_N_ELEMENTS(hashes); i++) {
        ConfTransaction *transaction = conf_transaction_new_amend(
            a2, CONF_RIGHT_CHANGE_PERMISSIONS, CONF_SLICE(""), conf_slice_from_string(hashes[i]));
        conf_transaction_set_author(transaction, author, author, (ConfKey){0}, NULL);
        results[i] = fixture_submit_transaction(fixture, transaction);
        fixture_wait(results[i]);
        g_ptr_array_add(kept, results[i]);
        g_assert_cmpint(results[i]->code, ==, 0);
        if (i == 0)
            shown = fixture_object(fixture, "application", "a2")->revision;
    }
    /* The first shows, as secretSet; the second is told to replicas alone, so the body keeps its revision;
     * the third is none. */
    g_assert_cmpint(result_only_change(results[0])->kind, ==, CONF_CHANGE_UPDATE);
    fixture_assert_has(results[0]->commit->changes[0].difference->data, "\"secretSet\":true");
    g_assert_cmpint(result_only_change(results[1])->kind, ==, CONF_CHANGE_SECRET);
    g_assert_cmpint(fixture_object(fixture, "application", "a2")->revision, ==, shown);
    g_assert_cmpint(shown, ==, results[0]->revision);
    g_assert_null(results[2]->commit);
    g_assert_cmpint(results[2]->revision, ==, shown);
    g_autofree char *secret =
        conf_object_get_secret(fixture_object(fixture, "application", "a2"), "secretHash");
    g_assert_cmpstr(secret, ==, "two");

    author = fixture_person(fixture, "anna");
    ConfTransaction *transaction = conf_transaction_new_amend(
        a2, CONF_RIGHT_CHANGE_PERMISSIONS, CONF_SLICE(""), CONF_SLICE("{\"secretHash\":\"x\"}"));
    conf_transaction_set_author(transaction, author, author, (ConfKey){0}, NULL);
    g_autoptr(Result) refused = fixture_submit_transaction(fixture, transaction);
    fixture_wait(refused);
    g_assert_cmpint(refused->code, ==, CONF_RPC_NOT_PERMITTED);

    /* One's own password: no right is asked, nor whether one may read oneself. */
    author = fixture_person(fixture, "carl");
    transaction = conf_transaction_new_amend(author, 0, CONF_SLICE("{\"mustChangePassword\":true}"),
                                             CONF_SLICE("{\"passwordHash\":\"x\"}"));
    conf_transaction_set_author(transaction, author, author, (ConfKey){0}, NULL);
    g_autoptr(Result) own = fixture_submit_transaction(fixture, transaction);
    fixture_wait(own);
    fixture_assert_has(result_only_change(own)->difference->data, "\"passwordSet\":true");
    fixture_assert_has(own->commit->changes[0].difference->data, "\"mustChangePassword\":true");
}

static void
test_dry_run(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t before = present_revision(fixture);
    const char *text =
        "[{'op':'create','object':{'type':'host','name':'n'}},{'op':'delete','type':'application','dbid':@a1@}]";
    g_autoptr(Result) dry = fixture_submit(fixture, "default", text, true);
    fixture_wait(dry);
    g_assert_cmpint(dry->code, ==, 0);
    g_assert_cmpint(dry->commit->revision, ==, before + 1);
    g_assert_cmpuint(dry->commit->change_count, ==, 3);
    g_assert_cmpint(present_revision(fixture), ==, before);
    g_assert_cmpint(database_revision(), ==, before);
    g_assert_nonnull(fixture_object(fixture, "application", "a1"));
    g_autoptr(Result) wet = fixture_run(fixture, "default", text);
    g_assert_cmpint(wet->revision, ==, before + 1);
    g_assert_cmpint(result_nth(wet, 0)->key.dbid, ==, result_nth(dry, 0)->key.dbid);
}

static void
test_if_revision_within_transaction(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t revision = fixture_object(fixture, "host", "h1")->revision;
    g_autofree char *text = g_strdup_printf(
        "[{'op':'update','type':'host','dbid':@h1@,'ifRevision':%" G_GINT64_FORMAT
        ",'patch':{'address':'x'}},{'op':'update','type':'host','dbid':@h1@,'ifRevision':%" G_GINT64_FORMAT
        ",'patch':{'lcaPort':1}}]",
        revision, revision);
    g_autoptr(Result) result = fixture_run(fixture, "default", text);
    g_assert_cmpint(result_only_change(result)->kind, ==, CONF_CHANGE_UPDATE);
}

static void
assert_limit(Fixture *fixture, const char *text, int64_t number)
{
    g_autoptr(Result) result = fixture_run(fixture, "default", text);
    g_autofree char *wanted = g_strdup_printf("\"operations\":%" G_GINT64_FORMAT ",", number);
    g_assert_cmpint(result->code, ==, CONF_RPC_LIMIT);
    fixture_assert_has(result->data, wanted);
}

static void
test_limit(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GString) text = g_string_new("[");
    for (unsigned i = 0; i < 20; i++)
        g_string_append_printf(text,
                               "%s{'op':'create','object':{'type':'host','name':'n%u','folder':@apac@}}",
                               i > 0 ? "," : "", i);
    g_string_append(text, "]");
    g_autoptr(Result) made = fixture_run(fixture, "default", text->str);
    g_assert_cmpint(made->code, ==, 0);

    ConfCommitSettings settings = fixture->settings;
    settings.max_operations = 19;
    conf_commit_queue_set_settings(fixture->queue, &settings);
    assert_limit(fixture, text->str, 20);
    assert_limit(fixture, "{'op':'update','type':'folder','dbid':@apac@,'patch':{'state':'disabled'}}", 21);
    unsigned count, foldered = 0;
    const ConfTypeInfo *const *types = conf_schema_types(conf_store_schema(fixture->store), &count);
    for (unsigned i = 0; i < count; i++)
        foldered += types[i]->foldered;
    assert_limit(fixture, "{'op':'create','object':{'type':'tenant','name':'t'}}", foldered + 1);
    g_autoptr(Result) enabled = fixture_run(
        fixture, "default", "{'op':'update','type':'host','name':'n0','patch':{'state':'disabled'}}");
    g_assert_cmpint(enabled->code, ==, 0);
    /* One of them is disabled already. */
    assert_limit(fixture, "{'op':'update','type':'folder','dbid':@apac@,'patch':{'state':'disabled'}}", 20);
    settings.max_operations = 20;
    conf_commit_queue_set_settings(fixture->queue, &settings);
    g_autoptr(Result) fits = fixture_run(
        fixture, "default", "{'op':'update','type':'folder','dbid':@apac@,'patch':{'state':'disabled'}}");
    g_assert_cmpint(fits->code, ==, 0);
    g_assert_cmpuint(fits->commit->change_count, ==, 20);
}

static void
test_limit_of_cascades(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GString) text = g_string_new("[");
    for (unsigned i = 0; i < 12; i++)
        g_string_append_printf(text, "%s{'op':'create','object':{'type':'note','name':'n%u','%s':@h3@}}",
                               i > 0 ? "," : "", i, i % 2 == 0 ? "host" : "watched");
    g_string_append(text, "]");
    g_autoptr(Result) made = fixture_run(fixture, "default", text->str);
    g_assert_cmpint(made->code, ==, 0);
    ConfCommitSettings settings = fixture->settings;
    settings.max_operations = 5;
    conf_commit_queue_set_settings(fixture->queue, &settings);
    assert_limit(fixture, "{'op':'delete','type':'host','dbid':@h3@}", 13);
}

static void
test_nesting(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t folder = conf_state_root_folder(conf_store_state(fixture->store), 1, CONF_TYPE_HOST)->dbid;
    for (unsigned depth = 2; depth <= 32; depth++) {
        g_autofree char *object =
            g_strdup_printf("{'type':'folder','name':'deep','folder':%" G_GINT64_FORMAT "}", folder);
        folder = fixture_make(fixture, "deepest", object);
    }
    g_autoptr(Result) deeper = fixture_run(
        fixture, "default", "{'op':'create','object':{'type':'folder','name':'deep','folder':@deepest@}}");
    g_assert_cmpint(deeper->code, ==, CONF_RPC_INVALID_PARAMS);
    fixture_assert_has(deeper->data, "/object/folder");
    g_autoptr(Result) host = fixture_run(
        fixture, "default", "{'op':'create','object':{'type':'host','name':'deep','folder':@deepest@}}");
    g_assert_cmpint(host->code, ==, 0);
    /* A folder with one below it does not fit at depth 32. */
    g_autoptr(Result) moved = fixture_run(fixture, "default",
                                          "[{'op':'delete','type':'host','name':'deep'},"
                                          "{'op':'delete','type':'folder','dbid':@deepest@}]");
    g_assert_cmpint(moved->code, ==, 0);
    const ConfObject *last = moved->commit->changes[moved->commit->change_count - 1].before;
    fixture_name(fixture, "depth31", last->folder);
    g_autoptr(Result) refused = fixture_run(
        fixture, "default", "{'op':'update','type':'folder','dbid':@emea@,'patch':{'folder':@depth31@}}");
    g_assert_cmpint(refused->code, ==, CONF_RPC_INVALID_PARAMS);
    fixture_assert_has(refused->data, "/patch/folder");
    g_autoptr(Result) fits = fixture_run(
        fixture, "default", "{'op':'update','type':'folder','dbid':@inner@,'patch':{'folder':@depth31@}}");
    g_assert_cmpint(fits->code, ==, 0);
}

static void
test_created_defaults(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) rights =
        fixture_run(fixture, "default",
                    "{'op':'permission','type':'folder','dbid':@acme Hosts@,'grant':[{'account':"
                    "{'type':'person','dbid':@carl@},'rights':['read','create','change']}]}");
    g_assert_cmpint(rights->code, ==, 0);
    /* carl's own tenant, which he cannot read; its root folder. */
    g_autoptr(Result) made =
        fixture_run(fixture, "carl", "{'op':'create','object':{'type':'host','name':'h1'}}");
    const ConfObject *host = result_only_change(made)->after;
    g_assert_cmpint(host->tenant, ==, fixture_object(fixture, "tenant", "acme")->dbid);
    g_assert_cmpint(host->folder, ==, fixture_object(fixture, "folder", "acme Hosts")->dbid);
    /* The folder's tenant goes before the creator's; a folder holds what the one above it holds. */
    g_autoptr(Result) folder = fixture_run(
        fixture, "default", "{'op':'create','object':{'type':'folder','name':'f','folder':@acme Hosts@}}");
    const ConfObject *made_folder = result_only_change(folder)->after;
    g_assert_cmpint(made_folder->tenant, ==, host->tenant);
    g_autofree char *holds = conf_object_get_string(made_folder, "holds");
    g_assert_cmpstr(holds, ==, "host");
}

static void
test_chain_and_author(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree char *previous = g_strdup(conf_store_position(fixture->store)->chain);
    g_autoptr(Result) result =
        fixture_run(fixture, "boss", "{'op':'create','object':{'type':'host','name':'n'}}");
    g_assert_cmpint(result->code, ==, 0);
    g_auto(ConfBuffer) record = CONF_BUFFER_INIT;
    conf_commit_write_record(result->commit, conf_store_schema(fixture->store), &record);
    char chain[CONF_CHAIN_TEXT_SIZE];
    conf_id_next_chain(previous, conf_buffer_slice(&record), chain);
    g_assert_cmpstr(result->commit->chain, ==, chain);
    g_assert_cmpstr(conf_store_position(fixture->store)->chain, ==, chain);
    g_assert_cmpint(result->commit->user.dbid, ==, fixture_person(fixture, "boss").dbid);
    g_assert_cmpint(result->commit->application.dbid, ==, 100);
    g_assert_cmpstr(result->commit->address, ==, "127.0.0.1:4000");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/commit/effects/tenant-brings-root-folders", test_tenant_brings_root_folders);
    g_test_add_func("/commit/effects/created-and-deleted-is-nothing", test_created_and_deleted_is_nothing);
    g_test_add_func("/commit/effects/there-and-back-is-nothing", test_there_and_back_is_nothing);
    g_test_add_func("/commit/effects/several-operations-one-change", test_several_operations_one_change);
    g_test_add_func("/commit/effects/order-of-changes", test_order_of_changes);
    g_test_add_func("/commit/effects/cycle-of-deletes", test_cycle_of_deletes);
    g_test_add_func("/commit/effects/cascade", test_cascade);
    g_test_add_func("/commit/effects/referrers-told", test_referrers_told);
    g_test_add_func("/commit/effects/secrets", test_secrets);
    g_test_add_func("/commit/effects/dry-run", test_dry_run);
    g_test_add_func("/commit/effects/if-revision-within-transaction", test_if_revision_within_transaction);
    g_test_add_func("/commit/effects/limit", test_limit);
    g_test_add_func("/commit/effects/limit-of-cascades", test_limit_of_cascades);
    g_test_add_func("/commit/effects/nesting", test_nesting);
    g_test_add_func("/commit/effects/created-defaults", test_created_defaults);
    g_test_add_func("/commit/effects/chain-and-author", test_chain_and_author);
    return g_test_run();
}
