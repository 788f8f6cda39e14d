/* wait.c - requests that wait until the store has reached a revision (minRevision, resumption on a server
 * behind). */
#include "session/session-private.h"

struct ConfRevisionWait {
    ConfSessions *sessions;
    int64_t revision;
    ConfTimer timer;
    void (*func)(bool reached, void *data);
    void *data;
};

static void timed_out(void *data);
static void finish(ConfRevisionWait *wait, bool reached);

ConfRevisionWait *
conf_sessions_wait_revision(ConfSessions *sessions, int64_t revision, unsigned timeout_ms,
                            void (*func)(bool reached, void *data), void *data)
{
    if (conf_store_position(sessions->store)->revision >= revision)
        return NULL;
    ConfRevisionWait *wait = g_new0(ConfRevisionWait, 1);
    *wait = (ConfRevisionWait){.sessions = sessions, .revision = revision, .func = func, .data = data};
    g_ptr_array_add(sessions->waits, wait);
    conf_timer_arm(&wait->timer, timeout_ms, timed_out, wait);
    return wait;
}

void
conf_revision_wait_cancel(ConfRevisionWait *wait)
{
    conf_timer_cancel(&wait->timer);
    g_ptr_array_remove_fast(wait->sessions->waits, wait);
    g_free(wait);
}

void
conf_waits_check(ConfSessions *sessions)
{
    int64_t revision = conf_store_position(sessions->store)->revision;
    for (unsigned i = sessions->waits->len; i > 0; i--) {
        /* What a finished wait starts may add or cancel others. */
        if (i > sessions->waits->len)
            continue;
        ConfRevisionWait *wait = g_ptr_array_index(sessions->waits, i - 1);
        if (wait->revision <= revision)
            finish(wait, true);
    }
}

void
conf_waits_clear(ConfSessions *sessions)
{
    while (sessions->waits->len > 0)
        finish(g_ptr_array_index(sessions->waits, 0), false);
}

static void
timed_out(void *data)
{
    finish(data, false);
}

static void
finish(ConfRevisionWait *wait, bool reached)
{
    void (*func)(bool reached, void *data) = wait->func;
    void *data = wait->data;
    conf_revision_wait_cancel(wait);
    func(reached, data);
}
