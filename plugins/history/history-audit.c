/* history-audit.c - the audit of sessions: who came, went, was refused, and which administrator read of
 * the past. Changes, those of rights among them, stand in the entries. */
#include "history-private.h"

#include <string.h>

static void session_opened(void *self, ConfSession *session, bool resumed);
static void session_closed(void *self, ConfSession *session, const char *reason);
static void login_refused(void *self, ConfLogin *login, const char *why);
static void note_session(History *history, const char *kind, const ConfSession *session, const char *detail);
static void note(History *history, HistoryAudit *audit);
static const char *address_of(History *history, const ConfSession *session);

const ConfHooks history_audit_hooks = {
    .size = sizeof(ConfHooks),
    .session_opened = session_opened,
    .session_closed = session_closed,
    .login_refused = login_refused,
};

void
history_audit_read(History *history, const ConfSession *session, const char *what)
{
    note_session(history, "read", session, what);
}

static void
session_opened(void *self, ConfSession *session, bool resumed)
{
    History *history = self;
    ConfConnection *peer = conf_session_get_peer(session);
    int64_t *id = g_new(int64_t, 1);
    *id = (int64_t)conf_session_get_id(session);
    g_hash_table_replace(history->addresses, id,
                         g_strdup(peer != NULL ? conf_connection_get_peer_address(peer) : ""));
    note_session(history, resumed ? "resumed" : "opened", session, "");
}

static void
session_closed(void *self, ConfSession *session, const char *reason)
{
    History *history = self;
    note_session(history, "closed", session, reason != NULL ? reason : "");
    int64_t id = (int64_t)conf_session_get_id(session);
    g_hash_table_remove(history->addresses, &id);
}

static void
login_refused(void *self, ConfLogin *login, const char *why)
{
    History *history = self;
    ConfConnection *connection = conf_login_get_connection(login);
    const ConfObject *person = conf_login_get_person(login);
    HistoryAudit audit = {
        .kind = "refused",
        .user = person != NULL ? conf_object_get_dbid(person) : 0,
        .user_name = g_strdup(conf_login_get_user(login)),
        .application_name = g_strdup(conf_login_get_application(login)),
        .address = g_strdup(connection != NULL ? conf_connection_get_peer_address(connection) : ""),
        .detail = g_strdup(why != NULL ? why : ""),
    };
    note(history, &audit);
}

static void
note_session(History *history, const char *kind, const ConfSession *session, const char *detail)
{
    HistoryAudit audit = {
        .kind = kind,
        .session = (int64_t)conf_session_get_id(session),
        .user = conf_session_get_user(session),
        .user_name = g_strdup(conf_session_get_user_name(session)),
        .application = conf_session_get_application(session),
        .application_name = g_strdup(conf_session_get_application_name(session)),
        .address = g_strdup(address_of(history, session)),
        .detail = g_strdup(detail),
    };
    note(history, &audit);
}

/* A flood of refused log-ins with a disk that hangs ends somewhere: how many rows were lost stands in a
 * row of its own once there is room again. */
static void
note(History *history, HistoryAudit *audit)
{
    if (!history->settings.active) {
        history_audit_clear(audit);
        return;
    }
    audit->time_ms = g_get_real_time() / 1000;
    if (history->untold_audits > 0) {
        HistoryAudit lost = {.kind = "lost",
                             .time_ms = audit->time_ms,
                             .user_name = g_strdup(""),
                             .application_name = g_strdup(""),
                             .address = g_strdup("")};
        lost.detail = g_strdup_printf("%" G_GUINT64_FORMAT, history->untold_audits);
        if (history_writer_push_audit(history->writer, &lost))
            history->untold_audits = 0;
    }
    if (history->untold_audits == 0 && history_writer_push_audit(history->writer, audit))
        return;
    history_audit_clear(audit);
    history->untold_audits++;
    history->lost_audits++;
}

static const char *
address_of(History *history, const ConfSession *session)
{
    ConfConnection *peer = conf_session_get_peer(session);
    int64_t id = (int64_t)conf_session_get_id(session);
    const char *known = peer == NULL ? g_hash_table_lookup(history->addresses, &id) : NULL;
    return peer != NULL ? conf_connection_get_peer_address(peer) : known != NULL ? known : "";
}
