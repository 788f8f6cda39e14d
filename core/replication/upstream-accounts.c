/* upstream-accounts.c - what servers know of accounts beside their objects (access/account-state.h),
 * exchanged with the master once a second: what happened here goes up, what the master knows meanwhile
 * comes down.
 *
 * What a master that is away does not hear of stays to be told, once an account; so it is bounded. */
#include "base/clock.h"
#include "replication/upstream-private.h"

enum { EXCHANGE_MS = 1000, AGAIN_MS = 10, ANSWER_MS = 60000 };

static void exchange(void *data);
static void write_reports(const ConfAccountReport *reports, unsigned count, ConfJsonWriter *writer);
static void answered(ConfSlice result, ConfSlice error, void *data);
static void take_account(ConfAccounts *accounts, const ConfJson *item);

void
conf_upstream_start_accounts(ConfUpstream *upstream)
{
    upstream->accounts.asking = true;
    upstream->accounts.next = 0;
    conf_timer_arm(&upstream->accounts.due, AGAIN_MS, exchange, upstream);
}

void
conf_upstream_stop_accounts(ConfUpstream *upstream)
{
    conf_timer_cancel(&upstream->accounts.due);
    upstream->accounts.asking = false;
    upstream->accounts.told_count = 0;
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
    link->told_count = conf_accounts_untold(accounts, link->told, CONF_ACCOUNTS_A_TIME);
    g_auto(ConfBuffer) params = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, &params);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_integer(&writer, "since", link->next);
    conf_json_writer_key(&writer, "accounts");
    write_reports(link->told, link->told_count, &writer);
    conf_json_writer_end_object(&writer);
    conf_calls_send(upstream->calls, "replica.accounts", conf_buffer_slice(&params), ANSWER_MS, answered,
                    upstream);
}

static void
write_reports(const ConfAccountReport *reports, unsigned count, ConfJsonWriter *writer)
{
    char time[CONF_TIME_TEXT_SIZE];
    conf_json_writer_begin_array(writer);
    for (unsigned i = 0; i < count; i++) {
        const ConfAccountReport *report = &reports[i];
        conf_json_writer_begin_object(writer);
        conf_json_writer_member_integer(writer, "dbid", report->key.dbid);
        if (report->last_login_ms != 0) {
            conf_clock_format(report->last_login_ms, time);
            conf_json_writer_member_string(writer, "lastLogin", time);
        }
        if (report->wrong > 0) {
            conf_clock_format(report->wrong_at_ms, time);
            conf_json_writer_member_integer(writer, "wrong", report->wrong);
            conf_json_writer_member_string(writer, "wrongAt", time);
        }
        conf_json_writer_end_object(writer);
    }
    conf_json_writer_end_array(writer);
}

static void
answered(ConfSlice result, ConfSlice error, void *data)
{
    ConfUpstream *upstream = data;
    ConfAccountsLink *link = &upstream->accounts;
    /* The link is gone; or a master of an earlier release, which knows no such method. */
    if (!link->asking || error.size > 0)
        return;
    unsigned told = link->told_count;
    bool more = told == CONF_ACCOUNTS_A_TIME;
    ConfAccounts *accounts = upstream->host.accounts(upstream->host.data);
    conf_arena_reset(upstream->arena);
    const ConfJson *answer =
        result.size > 0 ? conf_json_parse(upstream->arena, result, NULL, NULL, NULL) : NULL;
    const ConfJson *list = conf_json_member(answer, "accounts");
    int64_t next = 0;
    if (answer != NULL && conf_upstream_read_integer(answer, "next", 0, &next) && list != NULL &&
        list->kind == CONF_JSON_ARRAY) {
        conf_accounts_told(accounts, link->told, told);
        for (const ConfJson *item = list->first; item != NULL; item = item->next)
            take_account(accounts, item);
        more |= next > link->next;
        link->next = next;
    }
    conf_timer_arm(&link->due, more ? AGAIN_MS : EXCHANGE_MS, exchange, upstream);
}

/* Members that are missing, or none, say nothing. */
static void
take_account(ConfAccounts *accounts, const ConfJson *item)
{
    ConfAccountReport report = {.key = {.type = CONF_TYPE_PERSON}};
    ConfSlice time = {NULL, 0};
    if (!conf_upstream_read_integer(item, "dbid", 1, &report.key.dbid))
        return;
    if (conf_upstream_read_string(item, "lastLogin", &time) && !conf_clock_parse(time, &report.last_login_ms))
        report.last_login_ms = 0;
    if (conf_upstream_read_string(item, "lockedUntil", &time) &&
        !conf_clock_parse(time, &report.locked_until_ms))
        report.locked_until_ms = 0;
    conf_accounts_take(accounts, &report);
}
