/* upstream-accounts.c - what servers know of accounts beside their objects (access/account-state.h),
 * exchanged with the master once a second: what happened here goes up, what the master knows meanwhile comes
 * down.
 *
 * What a master that is away does not hear of stays to be told, once an account; so it is bounded.  The
 * first question on a link, and after one that was not answered, carries no report: the answer says which
 * report was taken last, so that none is lost and none counts twice. */
#include "base/clock.h"
#include "replication/upstream-private.h"

enum { EXCHANGE_MS = 1000, AGAIN_MS = 10, ANSWER_MS = 60000 };

static void exchange(void *data);
static bool write_reports(ConfAccounts *accounts, ConfJsonWriter *writer);
static void answered(ConfSlice result, ConfSlice error, void *data);
static bool knows_no_such_method(ConfUpstream *upstream, ConfSlice error);
static void take_account(ConfAccounts *accounts, const ConfJson *item);
static void take_forced(ConfAccounts *accounts, const ConfJson *item);
static void read_time(const ConfJson *item, const char *member, int64_t *time_ms);

void
conf_upstream_start_accounts(ConfUpstream *upstream)
{
    upstream->accounts.asking = true;
    upstream->accounts.agreed = false;
    upstream->accounts.next = 0;
    conf_timer_arm(&upstream->accounts.due, AGAIN_MS, exchange, upstream);
}

void
conf_upstream_stop_accounts(ConfUpstream *upstream)
{
    conf_timer_cancel(&upstream->accounts.due);
    upstream->accounts.asking = false;
}

bool
conf_upstream_take_accounts(ConfUpstream *upstream, const ConfJson *answer)
{
    const ConfJson *list = conf_json_member(answer, "accounts"), *forced = conf_json_member(answer, "forced");
    ConfAccounts *accounts = upstream->host.accounts(upstream->host.data);
    int64_t next = 0, report = -1;
    if (!conf_upstream_read_integer(answer, "next", 0, &next) || list == NULL ||
        list->kind != CONF_JSON_ARRAY)
        return false;
    if (conf_json_member(answer, "report") != NULL &&
        (!conf_upstream_read_integer(answer, "report", 0, &report) || report > CONF_ACCOUNT_REPORT_MAX))
        return false;
    ConfSlice name = {NULL, 0};
    if (!conf_upstream_read_string(answer, "origin", &name) || name.size > CONF_ACCOUNT_ORIGIN_MAX)
        name = (ConfSlice){NULL, 0};
    g_autofree char *above = conf_slice_dup(name);
    conf_accounts_agree(accounts, above, report);
    for (const ConfJson *item = list->first; item != NULL; item = item->next)
        take_account(accounts, item);
    if (forced != NULL && forced->kind == CONF_JSON_ARRAY)
        for (const ConfJson *item = forced->first; item != NULL; item = item->next)
            take_forced(accounts, item);
    upstream->accounts.next = next;
    return true;
}

static void
exchange(void *data)
{
    ConfUpstream *upstream = data;
    ConfAccountsLink *link = &upstream->accounts;
    ConfAccounts *accounts =
        upstream->host.accounts != NULL ? upstream->host.accounts(upstream->host.data) : NULL;
    if (accounts == NULL)
        return; /* No log-ins are decided here. */
    g_auto(ConfBuffer) params = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, &params);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_integer(&writer, "since", link->next);
    conf_json_writer_member_string(&writer, "origin", conf_accounts_origin(accounts));
    link->is_full = link->agreed && write_reports(accounts, &writer);
    conf_json_writer_end_object(&writer);
    conf_calls_send(upstream->calls, "replica.accounts", conf_buffer_slice(&params), ANSWER_MS, answered,
                    upstream);
}

/* True: as much as fits. */
static bool
write_reports(ConfAccounts *accounts, ConfJsonWriter *writer)
{
    const ConfAccountReport *reports;
    int64_t number;
    unsigned count = conf_accounts_report(accounts, &reports, &number);
    if (count == 0)
        return false;
    conf_json_writer_member_integer(writer, "report", number);
    conf_json_writer_key(writer, "accounts");
    conf_json_writer_begin_array(writer);
    for (unsigned i = 0; i < count; i++) {
        const ConfAccountReport *report = &reports[i];
        conf_json_writer_begin_object(writer);
        conf_json_writer_member_integer(writer, "dbid", report->key.dbid);
        conf_json_writer_member_time(writer, "lastLogin", report->last_login_ms);
        conf_json_writer_member_time(writer, "right", report->right_ms);
        if (report->wrong > 0)
            conf_json_writer_member_integer(writer, "wrong", report->wrong);
        if (report->locked)
            conf_json_writer_member_boolean(writer, "locked", true);
        if (report->wrong > 0 || report->locked)
            conf_json_writer_member_time(writer, "wrongAt", report->wrong_at_ms);
        conf_json_writer_end_object(writer);
    }
    conf_json_writer_end_array(writer);
    return count == CONF_ACCOUNTS_A_TIME;
}

static void
answered(ConfSlice result, ConfSlice error, void *data)
{
    ConfUpstream *upstream = data;
    ConfAccountsLink *link = &upstream->accounts;
    if (!link->asking)
        return; /* The link is gone. */
    conf_arena_reset(upstream->arena);
    if (error.size > 0 && knows_no_such_method(upstream, error))
        return; /* A master of an earlier release. */
    const ConfJson *answer =
        result.size > 0 ? conf_json_parse(upstream->arena, result, NULL, NULL, NULL) : NULL;
    bool was_agreed = link->agreed;
    link->agreed = answer != NULL && conf_upstream_take_accounts(upstream, answer);
    const ConfJson *more = conf_json_member(answer, "more");
    bool soon = link->agreed && (!was_agreed || link->is_full || (more != NULL && more->boolean));
    conf_timer_arm(&link->due, soon ? AGAIN_MS : EXCHANGE_MS, exchange, upstream);
}

static bool
knows_no_such_method(ConfUpstream *upstream, ConfSlice error)
{
    const ConfJson *code =
        conf_json_member(conf_json_parse(upstream->arena, error, NULL, NULL, NULL), "code");
    return code != NULL && code->is_integer && code->integer == CONF_RPC_NO_METHOD;
}

/* Members that are missing, or none, say nothing. */
static void
take_account(ConfAccounts *accounts, const ConfJson *item)
{
    ConfAccountReport report = {.key = {.type = CONF_TYPE_PERSON}};
    if (!conf_upstream_read_integer(item, "dbid", 1, &report.key.dbid))
        return;
    read_time(item, "lastLogin", &report.last_login_ms);
    read_time(item, "lockedUntil", &report.locked_until_ms);
    if (conf_upstream_read_integer(item, "wrong", 1, &report.wrong)) {
        read_time(item, "wrongSince", &report.wrong_since_ms);
        read_time(item, "wrongAt", &report.wrong_at_ms);
    }
    conf_accounts_take(accounts, &report, conf_clock_wall_ms());
}

static void
take_forced(ConfAccounts *accounts, const ConfJson *item)
{
    ConfSlice type = {NULL, 0};
    ConfKey key = {0};
    int64_t since = 0;
    if (!conf_upstream_read_integer(item, "dbid", 1, &key.dbid) ||
        !conf_upstream_read_string(item, "type", &type))
        return;
    key.type = conf_slice_is(type, "tenant") ? CONF_TYPE_TENANT : CONF_TYPE_PERSON;
    read_time(item, "since", &since);
    if (since != 0 && (key.type == CONF_TYPE_TENANT || conf_slice_is(type, "person")))
        conf_accounts_take_forced(accounts, key, since);
}

/* Times before 1970 are none. */
static void
read_time(const ConfJson *item, const char *member, int64_t *time_ms)
{
    ConfSlice text = {NULL, 0};
    if (!conf_upstream_read_string(item, member, &text) || !conf_clock_parse(text, time_ms) || *time_ms < 0)
        *time_ms = 0;
}
