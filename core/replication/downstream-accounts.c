/* downstream-accounts.c - replica.accounts: what a replica knows of log-ins at it, and what this server
 * knows. */
#include "access/policy.h"
#include "base/clock.h"
#include "base/log.h"
#include "replication/downstream-private.h"

static void replica_accounts(ConfRequest *request, void *data);
static bool read_origin(const ConfJson *params, char *origin, int64_t *number, ConfRpcError *error);
static bool check_reports(const ConfJson *list, ConfRpcError *error);
static void take_report(const ConfReplica *replica, const ConfJson *item, bool is_first);
static void take_wrong(const ConfReplica *replica, const ConfObject *person, const ConfJson *item);
static void write_answer(const ConfReplica *replica, uint64_t since, const char *origin,
                         ConfJsonWriter *writer);
static void write_account(const ConfReplica *replica, const ConfAccountReport *report,
                          ConfJsonWriter *writer);
static void write_forced(const ConfReplica *replica, const ConfAccountReport *report, ConfJsonWriter *writer);
static const ConfObject *object_of(const ConfReplica *replica, ConfKey key);
static int64_t time_of(const ConfJson *item, const char *member);
static bool is_set(const ConfJson *item, const char *member);

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
    static const char *const names[] = {"since", "origin", "report", "accounts", NULL};
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    char origin[CONF_ACCOUNT_ORIGIN_MAX + 1];
    int64_t since = 0, number = 0;
    const ConfReplica *replica = NULL;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    const ConfJson *list = conf_json_member(params, "accounts");
    if (params == NULL || !conf_params_integer(params, "", "since", 0, G_MAXINT64, false, &since, &error) ||
        !read_origin(params, origin, &number, &error) || !check_reports(list, &error) ||
        (replica = conf_replica_of(data, request, &error)) == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    ConfAccounts *accounts = conf_sessions_accounts(replica->downstream->sessions);
    bool is_first = number == 0 || conf_accounts_take_number(accounts, origin, number);
    for (const ConfJson *item = list != NULL ? list->first : NULL; item != NULL; item = item->next)
        take_report(replica, item, is_first);
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, conf_request_begin(request));
    write_answer(replica, (uint64_t)since, origin, &writer);
    conf_request_end(request);
}

/* An empty one: the replica does not number its reports. */
static bool
read_origin(const ConfJson *params, char *origin, int64_t *number, ConfRpcError *error)
{
    const ConfJson *name = conf_json_member(params, "origin");
    *origin = '\0';
    if (!conf_params_integer(params, "", "report", 1, CONF_ACCOUNT_REPORT_MAX, false, number, error))
        return false;
    if (name == NULL)
        return *number == 0 || conf_rpc_fail_path(error, "/origin", "A report has an origin");
    bool fits =
        name->kind == CONF_JSON_STRING && name->text.size > 0 && name->text.size <= CONF_ACCOUNT_ORIGIN_MAX;
    for (size_t i = 0; fits && i < name->text.size; i++)
        fits = g_ascii_isalnum(name->text.data[i]) || name->text.data[i] == '-';
    if (!fits)
        return conf_rpc_fail_path(error, "/origin", "origin has 1 to %d letters, digits and hyphens",
                                  (int)CONF_ACCOUNT_ORIGIN_MAX);
    memcpy(origin, name->text.data, name->text.size);
    origin[name->text.size] = '\0';
    return true;
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
take_report(const ConfReplica *replica, const ConfJson *item, bool is_first)
{
    ConfAccounts *accounts = conf_sessions_accounts(replica->downstream->sessions);
    const ConfKey key = {.type = CONF_TYPE_PERSON, .dbid = conf_json_member(item, "dbid")->integer};
    const ConfObject *person = object_of(replica, key);
    const ConfJson *wrong = conf_json_member(item, "wrong");
    int64_t now = conf_clock_wall_ms();
    if (person == NULL)
        return; /* Deleted meanwhile. */
    conf_accounts_take_login(accounts, key, MIN(time_of(item, "lastLogin"), now), now);
    if (!is_first || !replica->secrets)
        return;
    int64_t right = MIN(time_of(item, "right"), now);
    if (right > 0)
        conf_accounts_note_right(accounts, key, right, now);
    if (wrong != NULL || is_set(item, "locked"))
        take_wrong(replica, person, item);
    /* The replica takes what counts here for what counts, so it is told even if nothing has changed. */
    if (right > 0 || wrong != NULL || is_set(item, "locked"))
        conf_accounts_touch(accounts, key);
}

static void
take_wrong(const ConfReplica *replica, const ConfObject *person, const ConfJson *item)
{
    ConfAccounts *accounts = conf_sessions_accounts(replica->downstream->sessions);
    ConfKey key = conf_object_key(person);
    const ConfJson *wrong = conf_json_member(item, "wrong");
    ConfPolicy policy;
    conf_policy_of(replica->downstream->store, person, &policy);
    int64_t now = conf_clock_wall_ms(), at = MIN(time_of(item, "wrongAt"), now);
    bool is_old = policy.lockout_period_min > 0 && now - at > policy.lockout_period_min * 60 * 1000;
    bool locks =
        !is_old && wrong != NULL && conf_accounts_note_wrong(accounts, key, &policy, wrong->integer, at, now);
    /* It was one before some right password elsewhere, of which the replica could not know. */
    if (is_set(item, "locked"))
        locks |= conf_accounts_lock(accounts, key, &policy, at, now);
    if (locks)
        conf_log(CONF_LOG_ACCOUNT_LOCKED, "user", person->name, "proxy",
                 conf_connection_get_peer(replica->connection), NULL);
}

static void
write_answer(const ConfReplica *replica, uint64_t since, const char *origin, ConfJsonWriter *writer)
{
    static ConfAccountReport reports[CONF_ACCOUNTS_A_TIME];
    const ConfAccounts *accounts = conf_sessions_accounts(replica->downstream->sessions);
    bool more;
    unsigned count = conf_accounts_changed(accounts, &since, reports, CONF_ACCOUNTS_A_TIME, &more);
    conf_json_writer_begin_object(writer);
    conf_json_writer_key(writer, "accounts");
    conf_json_writer_begin_array(writer);
    for (unsigned i = 0; i < count; i++)
        if (reports[i].key.type == CONF_TYPE_PERSON)
            write_account(replica, &reports[i], writer);
    conf_json_writer_end_array(writer);
    conf_json_writer_key(writer, "forced");
    conf_json_writer_begin_array(writer);
    for (unsigned i = 0; i < count; i++)
        if (reports[i].forced_ms != 0)
            write_forced(replica, &reports[i], writer);
    conf_json_writer_end_array(writer);
    if (*origin != '\0')
        conf_json_writer_member_integer(writer, "report", conf_accounts_last_report(accounts, origin));
    conf_json_writer_member_string(writer, "origin", conf_accounts_origin(accounts));
    conf_json_writer_member_integer(writer, "next", (int64_t)since);
    if (more)
        conf_json_writer_member_boolean(writer, "more", true);
    conf_json_writer_end_object(writer);
}

static void
write_account(const ConfReplica *replica, const ConfAccountReport *report, ConfJsonWriter *writer)
{
    if (object_of(replica, report->key) == NULL)
        return;
    conf_json_writer_begin_object(writer);
    conf_json_writer_member_integer(writer, "dbid", report->key.dbid);
    conf_json_writer_member_time(writer, "lastLogin", report->last_login_ms);
    conf_json_writer_member_time(writer, "lockedUntil", report->locked_until_ms);
    if (report->wrong > 0 && replica->secrets) {
        conf_json_writer_member_integer(writer, "wrong", report->wrong);
        conf_json_writer_member_time(writer, "wrongSince", report->wrong_since_ms);
        conf_json_writer_member_time(writer, "wrongAt", report->wrong_at_ms);
    }
    conf_json_writer_end_object(writer);
}

static void
write_forced(const ConfReplica *replica, const ConfAccountReport *report, ConfJsonWriter *writer)
{
    if (object_of(replica, report->key) == NULL)
        return;
    conf_json_writer_begin_object(writer);
    conf_json_writer_member_string(writer, "type",
                                   report->key.type == CONF_TYPE_PERSON ? "person" : "tenant");
    conf_json_writer_member_integer(writer, "dbid", report->key.dbid);
    conf_json_writer_member_time(writer, "since", report->forced_ms);
    conf_json_writer_end_object(writer);
}

/* NULL: there is none, or none for this replica. */
static const ConfObject *
object_of(const ConfReplica *replica, ConfKey key)
{
    ConfStore *store = replica->downstream->store;
    const ConfObject *object = conf_store_lookup(store, key);
    return object != NULL && conf_replica_may_read(replica, conf_store_acl(store, object)) ? object : NULL;
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

static bool
is_set(const ConfJson *item, const char *member)
{
    const ConfJson *value = conf_json_member(item, member);
    return value != NULL && value->boolean;
}
