/* history-caller.c - sessions that wait for what is read in a job, and what they may see.  Main loop. */
#include "history-methods-private.h"

static void
session_closed(void *self, ConfSession *session, const char *reason)
{
    (void)reason;
    History *history = self;
    for (GList *item = history->callers.head; item != NULL; item = item->next) {
        HistoryCaller *caller = item->data;
        if (caller->session == session)
            caller->session = NULL;
    }
}

const ConfHooks history_caller_hooks = {.size = sizeof(ConfHooks), .session_closed = session_closed};

HistoryCaller *
history_caller_new(History *history, ConfSession *session)
{
    HistoryCaller *caller = g_new0(HistoryCaller, 1);
    caller->session = session;
    g_queue_push_tail(&history->callers, caller);
    return caller;
}

void
history_caller_free(History *history, HistoryCaller *caller)
{
    g_queue_remove(&history->callers, caller);
    g_free(caller);
}

void
history_callers_end(History *history)
{
    HistoryCaller *caller;
    while ((caller = g_queue_peek_head(&history->callers)) != NULL) {
        if (caller->abandon != NULL)
            caller->abandon(caller->data);
        else
            history_caller_free(history, caller);
    }
}

bool
history_may_read(History *history, ConfSession *session, const char *type, int64_t dbid, const char *body,
                 const char *last_rights)
{
    if (conf_plugin_lookup(history->plugin, type, dbid) != NULL)
        return conf_session_read(session, type, dbid) != NULL;
    if (body == NULL)
        return last_rights != NULL ? conf_session_may_by(session, last_rights, "read")
                                   : conf_session_is_administrator(session);
    return conf_session_may_read_past(session, body, last_rights);
}

bool
history_may_read_rights(History *history, ConfSession *session, const char *type, int64_t dbid,
                        const char *last_rights)
{
    const ConfObject *present = conf_plugin_lookup(history->plugin, type, dbid);
    if (present != NULL)
        return conf_session_may(session, present, "readPermissions");
    return last_rights != NULL ? conf_session_may_by(session, last_rights, "readPermissions")
                               : conf_session_is_administrator(session);
}
