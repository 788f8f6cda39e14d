/* downstream-accounts.c - replica.accounts: what a replica knows of log-ins at it, and what this server
 * knows. */
#include "access/policy.h"
#include "base/clock.h"
#include "base/log.h"
#include "replication/downstream-private.h"

/* Stands for a lock until the password is set anew. */
#define FOREVER_MS G_GINT64_CONSTANT(253402300799999)

static void replica_accounts(ConfRequest *request, void *data);
static bool check_reports(const ConfJson *list, ConfRpcError *error);
static void take_report(const ConfReplica *replica, const ConfJson *item);
static void write_accounts(const ConfReplica *replica, uint64_t since, ConfJsonWriter *writer);
static const ConfObject *person_of(const ConfReplica *replica, int64_t dbid);
static int64_t time_of(const ConfJson *item, const char *member);

void
conf_downstream_add_accounts(ConfDownstream *downstream, ConfMethodTable *table)
{
    const ConfMethod method = {.name = "replica.accounts", .func = replica_accounts, .data = downstream};
    bool added = conf_method_table_add(table, &method);
    g_assert(added);
}

static void
replica_accounts(ConfRequest *request, void *data)
{
    static const char *const names[] = {"since", "accounts", NULL};
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    int64_t since = 0;
    const ConfReplica *replica = NULL;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    const ConfJson *list = conf_json_member(params, "accounts");
    if (params == NULL || !conf_params_integer(params, "", "since", 0, G_MAXINT64, false, &since, &error) ||
        !check_reports(list, &error) || (replica = conf_replica_of(data, request, &error)) == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    for (const ConfJson *item = list != NULL ? list->first : NULL; item != NULL; item = item->next)
        take_report(replica, item);
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, conf_request_begin(request));
    write_accounts(replica, (uint64_t)since, &writer);
    conf_request_end(request);
}

static bool
check_reports(const ConfJson *list, ConfRpcError *error)
{
    if (list == NULL)
        return true;
    if (list->kind != CONF_JSON_ARRAY || list->count > CONF_ACCOUNTS_A_TIME)
        return conf_rpc_fail_path(error, "/accounts", "accounts must be an array of at most %d",
                                  CONF_ACCOUNTS_A_TIME);
    for (const ConfJson *item = list->first; item != NULL; item = item->next) {
        const ConfJson *dbid = conf_json_member(item, "dbid"), *wrong = conf_json_member(item, "wrong");
        if (item->kind != CONF_JSON_OBJECT || dbid == NULL || !dbid->is_integer ||
            (wrong != NULL && !wrong->is_integer))
            return conf_rpc_fail_path(error, "/accounts",
                                      "An account has dbid, and numbers and times besides");
    }
    return true;
}

/* Whoever is given no passwords has checked none, and its account must not be able to lock others out. */
static void
take_report(const ConfReplica *replica, const ConfJson *item)
{
    ConfSessions *sessions = replica->downstream->sessions;
    ConfAccounts *accounts = conf_sessions_accounts(sessions);
    const ConfObject *person = person_of(replica, conf_json_member(item, "dbid")->integer);
    const ConfJson *wrong = conf_json_member(item, "wrong");
    int64_t now = conf_clock_wall_ms();
    if (person == NULL)
        return; /* Deleted meanwhile. */
    conf_accounts_take_login(accounts, conf_object_key(person), MIN(time_of(item, "lastLogin"), now), true);
    if (wrong == NULL || !replica->secrets)
        return;
    ConfPolicy policy;
    conf_policy_of(replica->downstream->store, person, &policy);
    int64_t at = MIN(time_of(item, "wrongAt"), now);
    bool is_old = policy.lockout_period_min > 0 && now - at > policy.lockout_period_min * 60 * 1000;
    if (!is_old && conf_accounts_note_wrong(accounts, conf_object_key(person), &policy, wrong->integer, at))
        conf_log(CONF_LOG_ACCOUNT_LOCKED, "user", person->name, "proxy",
                 conf_connection_get_peer(replica->connection), NULL);
}

static void
write_accounts(const ConfReplica *replica, uint64_t since, ConfJsonWriter *writer)
{
    static ConfAccountReport reports[CONF_ACCOUNTS_A_TIME];
    char time[CONF_TIME_TEXT_SIZE];
    unsigned count = conf_accounts_changed(conf_sessions_accounts(replica->downstream->sessions), &since,
                                           reports, CONF_ACCOUNTS_A_TIME);
    conf_json_writer_begin_object(writer);
    conf_json_writer_key(writer, "accounts");
    conf_json_writer_begin_array(writer);
    for (unsigned i = 0; i < count; i++) {
        const ConfAccountReport *report = &reports[i];
        if (person_of(replica, report->key.dbid) == NULL)
            continue;
        conf_json_writer_begin_object(writer);
        conf_json_writer_member_integer(writer, "dbid", report->key.dbid);
        if (report->last_login_ms != 0) {
            conf_clock_format(report->last_login_ms, time);
            conf_json_writer_member_string(writer, "lastLogin", time);
        }
        if (report->locked_until_ms != 0) {
            conf_clock_format(MIN(report->locked_until_ms, FOREVER_MS), time);
            conf_json_writer_member_string(writer, "lockedUntil", time);
        }
        conf_json_writer_end_object(writer);
    }
    conf_json_writer_end_array(writer);
    conf_json_writer_member_integer(writer, "next", (int64_t)since);
    conf_json_writer_end_object(writer);
}

/* NULL: there is none, or none for this replica. */
static const ConfObject *
person_of(const ConfReplica *replica, int64_t dbid)
{
    ConfStore *store = replica->downstream->store;
    const ConfObject *person = conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = dbid});
    return person != NULL && conf_replica_may_read(replica, conf_store_acl(store, person)) ? person : NULL;
}

static int64_t
time_of(const ConfJson *item, const char *member)
{
    const ConfJson *text = conf_json_member(item, member);
    int64_t time = 0;
    return text != NULL && text->kind == CONF_JSON_STRING && conf_clock_parse(text->text, &time)
               ? MAX(time, 0)
               : 0;
}
