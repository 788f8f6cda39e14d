/* producer.c - streams that follow the pace of a socket (initial objects, replays): every session with
 * something left to stream and room in its output queue takes its turn, in slices of at most 2 ms in all.  A
 * session whose queue is full leaves the list until its connection has drained. */
#include "session/session-private.h"

static bool produce(void *data);
static bool step(ConfSession *session);

void
conf_producer_add(ConfSession *session)
{
    ConfSessions *sessions = session->sessions;
    if (session->in_producer || session->connection == NULL)
        return;
    session->in_producer = true;
    g_queue_push_tail(&sessions->producers, session);
    if (sessions->producer_work == NULL)
        sessions->producer_work = conf_work_start(conf_poller_default(), "streams", produce, sessions);
}

void
conf_producer_remove(ConfSession *session)
{
    if (!session->in_producer)
        return;
    session->in_producer = false;
    g_queue_remove(&session->sessions->producers, session);
}

static bool
produce(void *data)
{
    ConfSessions *sessions = data;
    while (!g_queue_is_empty(&sessions->producers)) {
        ConfSession *session = g_queue_pop_head(&sessions->producers);
        session->in_producer = false;
        if (step(session) && !session->in_producer) {
            session->in_producer = true;
            g_queue_push_tail(&sessions->producers, session);
        }
        if (conf_work_is_due() && !g_queue_is_empty(&sessions->producers))
            return true;
    }
    sessions->producer_work = NULL;
    return false;
}

/* True: more to stream, and room for it. */
static bool
step(ConfSession *session)
{
    if (session->connection == NULL || session->finished)
        return false;
    if (!conf_connection_has_room(session->connection)) {
        conf_replay_rest(session);
        return false; /* drained() brings it back. */
    }
    if (session->replay != NULL)
        return conf_replay_is_going(session) && conf_replay_step(session);
    return conf_walk_step(session);
}
