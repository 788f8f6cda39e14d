/* history-turns.c - long reads of clients take turns.  All at once they would share the worker pool until
 * each of them has waited too long; and who asks for much would let all others wait.  Nothing is read for
 * a client that does not take what was answered before: its answers would only fill the memory.  Main
 * loop. */
#include "history-methods-private.h"

enum {
    RUNNING_MAX = 4, /* and one of a session */
    WAITING_MAX = 10000,
    UNTAKEN_MAX = 1024 * 1024, /* bytes that the client has not taken yet */
    AGAIN_MS = 100,
};

static void begin_next(History *history);
static bool may_begin(History *history, const HistoryTurn *turn);
static void begin_again(void *self, void *unused);

bool
history_turns_are_many(const History *history)
{
    return history->turns_waiting.length >= WAITING_MAX;
}

void
history_turn_ask(History *history, HistoryTurn *turn)
{
    turn->link.data = turn;
    turn->waits = true;
    g_queue_push_tail_link(&history->turns_waiting, &turn->link);
    begin_next(history);
}

void
history_turn_over(History *history, HistoryTurn *turn)
{
    g_queue_remove(&history->turns_running, turn);
    begin_next(history);
}

bool
history_turn_withdraw(History *history, HistoryTurn *turn)
{
    if (!turn->waits)
        return false;
    turn->waits = false;
    g_queue_unlink(&history->turns_waiting, &turn->link);
    return true;
}

/* In the order that they came, but for those of a session that is served already. */
static void
begin_next(History *history)
{
    if (history->is_beginning_turns)
        return; /* One that could not begin is over at once: the loop below goes on. */
    history->is_beginning_turns = true;
    /* Many of one session may wait: it is looked at once, which asks the kernel. */
    const ConfSession *refused = NULL;
    for (GList *item = history->turns_waiting.head;
         item != NULL && history->turns_running.length < RUNNING_MAX;) {
        HistoryTurn *turn = item->data;
        const ConfSession *session = turn->caller->session;
        if (session != NULL && (session == refused || !may_begin(history, turn))) {
            refused = session;
            item = item->next;
            continue;
        }
        refused = NULL;
        history_turn_withdraw(history, turn);
        g_queue_push_tail(&history->turns_running, turn);
        turn->begin(history, turn->data, turn->caller->session != NULL);
        item = history->turns_waiting.head;
    }
    history->is_beginning_turns = false;
}

/* Of a session that has ended nothing is read: it is told so at once. */
static bool
may_begin(History *history, const HistoryTurn *turn)
{
    const ConfSession *session = turn->caller->session;
    for (GList *item = history->turns_running.head; session != NULL && item != NULL; item = item->next) {
        if (((HistoryTurn *)item->data)->caller->session == session)
            return false;
    }
    if (session == NULL || conf_connection_get_waiting(turn->connection) <= UNTAKEN_MAX)
        return true;
    if (history->turns_timer == 0)
        history->turns_timer = conf_timer(history->plugin, AGAIN_MS, begin_again, NULL);
    return false;
}

static void
begin_again(void *self, void *unused)
{
    (void)unused;
    History *history = self;
    history->turns_timer = 0;
    begin_next(history);
}
