/* history-turns.c - long reads of clients take turns.  All at once they would share the worker pool until each of them
 * has waited too long; and who asks for much would let all others wait.  Main loop. */
#include "history-methods-private.h"

enum {
    RUNNING_MAX = 4, /* and one of a session */
    WAITING_MAX = 10000,
};

static void begin_next(History *history);
static bool is_served(History *history, const ConfSession *session);

bool
history_turns_are_many(const History *history)
{
    return history->turns_waiting.length >= WAITING_MAX;
}

void
history_turn_ask(History *history, HistoryTurn *turn)
{
    g_queue_push_tail(&history->turns_waiting, turn);
    begin_next(history);
}

void
history_turn_over(History *history, HistoryTurn *turn)
{
    g_queue_remove(&history->turns_running, turn);
    begin_next(history);
}

void
history_turns_end(History *history)
{
    HistoryTurn *turn;
    history->is_beginning_turns = true;
    while ((turn = g_queue_pop_head(&history->turns_waiting)) != NULL) {
        turn->caller->session = NULL;
        turn->begin(history, turn->data, false);
    }
}

/* In the order that they came, but for those of a session that is served already. */
static void
begin_next(History *history)
{
    if (history->is_beginning_turns)
        return; /* One that could not begin is over at once: the loop below goes on. */
    history->is_beginning_turns = true;
    for (GList *item = history->turns_waiting.head;
         item != NULL && history->turns_running.length < RUNNING_MAX;) {
        HistoryTurn *turn = item->data;
        const ConfSession *session = turn->caller->session;
        if (session != NULL && is_served(history, session)) {
            item = item->next;
            continue;
        }
        g_queue_delete_link(&history->turns_waiting, item);
        g_queue_push_tail(&history->turns_running, turn);
        turn->begin(history, turn->data, session != NULL);
        item = history->turns_waiting.head;
    }
    history->is_beginning_turns = false;
}

static bool
is_served(History *history, const ConfSession *session)
{
    for (GList *item = history->turns_running.head; item != NULL; item = item->next) {
        if (((HistoryTurn *)item->data)->caller->session == session)
            return true;
    }
    return false;
}
