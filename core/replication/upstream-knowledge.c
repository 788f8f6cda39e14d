/* upstream-knowledge.c - how old is what this replica knows of the primary? (maxAge of protocol.md 4)
 *
 * A line that comes from the master says nothing of its age: it may have waited in a stalled link, or in
 * the socket while this process did not run.  So the replica asks (replica.position), by its own clock: what
 * the master answers was true after the question went out, and the replica knows it once it has applied
 * everything up to the revision of the answer.  No clocks are compared, and no gap needs to be noticed.
 *
 * A master that is a replica itself tells how old its own knowledge is; that adds up along a chain.  The
 * answer to replica.open counts as the first such answer. */
#include "base/clock.h"
#include "replication/upstream-private.h"

enum { ASK_MS = 500, ANSWER_MS = 60000 };

static void ask(void *data);
static void answered(ConfSlice result, ConfSlice error, void *data);

void
conf_upstream_start_asking(ConfUpstream *upstream)
{
    upstream->knowledge.asking = true;
    conf_upstream_start_accounts(upstream);
    conf_upstream_check_knowledge(upstream);
    if (upstream->knowledge.asked_usec == 0)
        ask(upstream);
}

void
conf_upstream_stop_asking(ConfUpstream *upstream)
{
    conf_upstream_stop_accounts(upstream);
    conf_timer_cancel(&upstream->knowledge.due);
    upstream->knowledge = (ConfKnowledge){.known_usec = upstream->knowledge.known_usec};
}

void
conf_upstream_note_question(ConfUpstream *upstream)
{
    upstream->knowledge.asked_usec = conf_clock_monotonic_usec();
    upstream->knowledge.revision = -1;
}

void
conf_upstream_note_answer(ConfUpstream *upstream, const ConfJson *answer)
{
    ConfKnowledge *knowledge = &upstream->knowledge;
    int64_t revision = 0, age = 0;
    knowledge->as_of_usec = 0;
    if (!conf_upstream_read_integer(answer, "revision", 0, &revision)) {
        knowledge->asked_usec = 0;
        return;
    }
    knowledge->revision = revision;
    /* None: a master that has never known anything. */
    if (conf_upstream_read_integer(answer, "age", 0, &age) && age < knowledge->asked_usec / 1000)
        knowledge->as_of_usec = knowledge->asked_usec - age * 1000;
}

void
conf_upstream_check_knowledge(ConfUpstream *upstream)
{
    ConfKnowledge *knowledge = &upstream->knowledge;
    if (!knowledge->asking || knowledge->asked_usec == 0 || knowledge->revision < 0 ||
        conf_store_position(upstream->store)->revision < knowledge->revision)
        return;
    knowledge->known_usec = MAX(knowledge->known_usec, knowledge->as_of_usec);
    knowledge->asked_usec = 0;
    conf_timer_arm(&knowledge->due, ASK_MS, ask, upstream);
}

/* One question at a time: behind a master that is slow, or a replica that is, they must not pile up. */
static void
ask(void *data)
{
    ConfUpstream *upstream = data;
    conf_upstream_note_question(upstream);
    conf_calls_send(upstream->calls, "replica.position", conf_slice_from_string("{}"), ANSWER_MS, answered,
                    upstream);
}

static void
answered(ConfSlice result, ConfSlice error, void *data)
{
    (void)error; /* Nothing is known then: the age says so. */
    ConfUpstream *upstream = data;
    if (!upstream->knowledge.asking)
        return; /* The link is gone. */
    conf_arena_reset(upstream->arena);
    const ConfJson *answer =
        result.size > 0 ? conf_json_parse(upstream->arena, result, NULL, NULL, NULL) : NULL;
    conf_upstream_note_answer(upstream, answer);
    if (upstream->knowledge.asked_usec == 0)
        conf_timer_arm(&upstream->knowledge.due, ASK_MS, ask, upstream);
    else
        conf_upstream_check_knowledge(upstream);
}
