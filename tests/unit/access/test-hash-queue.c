/* test-hash-queue.c - turns of addresses, the bound and who gives way at it, cancelling, the end. */
#include <string.h>

#include "access/hash-queue-private.h"
#include "base/queue-main.h"
#include "base/timer-wheel.h"
#include "plugin/loader.h"

typedef struct {
    ConfHashJob job;
    char name[16];
    unsigned *releases;
} Job;

static GMutex gate_lock;
static GCond gate_moved;
static bool gate_is_open;

static GString *ended_names;
static unsigned releases;

static void
move_gate(bool open)
{
    g_mutex_lock(&gate_lock);
    gate_is_open = open;
    g_cond_broadcast(&gate_moved);
    g_mutex_unlock(&gate_lock);
}

static void
work(ConfHashJob *job)
{
    g_mutex_lock(&gate_lock);
    while (!gate_is_open)
        g_cond_wait(&gate_moved, &gate_lock);
    g_mutex_unlock(&gate_lock);
}

static void
ended(ConfHashJob *job, ConfHashOutcome outcome)
{
    static const char *const WORDS[] = {"", "!", "stopped-"};
    g_string_append_printf(ended_names, "%s%s ", WORDS[outcome], ((Job *)job)->name);
}

static void
release(ConfHashJob *job)
{
    releases++;
    g_free(job);
}

static Job *
new_job(const char *name)
{
    Job *job = g_new0(Job, 1);
    job->job = (ConfHashJob){.work = work, .ended = ended, .release = release};
    g_strlcpy(job->name, name, sizeof(job->name));
    return job;
}

static bool
push(ConfHashQueue *queue, const char *name, const char *address)
{
    Job *job = new_job(name);
    bool taken = conf_hash_queue_push(queue, &job->job, address);
    if (!taken)
        g_free(job);
    return taken;
}

/* Every thread of the pool is held at the gate, so that what comes next waits. */
static unsigned
occupy(ConfHashQueue *queue)
{
    unsigned count = conf_pool_thread_count();
    for (unsigned i = 0; i < count; i++)
        g_assert_true(push(queue, "-", "occupier"));
    g_assert_cmpuint(conf_hash_queue_waiting(queue), ==, 0);
    return count;
}

static void
on_deadline(void *data)
{
    g_error("nothing came within 10 s");
}

static void
wait_for_releases(unsigned count)
{
    ConfTimer deadline = {0};
    conf_timer_arm(&deadline, 10000, on_deadline, NULL);
    while (releases < count)
        g_main_context_iteration(NULL, TRUE);
    conf_timer_cancel(&deadline);
}

static ConfHashQueue *
set_up(int64_t limit)
{
    releases = 0;
    ended_names = g_string_new(NULL);
    move_gate(false);
    ConfHashQueue *queue = conf_hash_queue_new();
    conf_hash_queue_set_limit(queue, limit);
    return queue;
}

static void
tear_down(ConfHashQueue *queue)
{
    conf_hash_queue_free(queue);
    g_string_free(ended_names, TRUE);
}

/* Where names stand among those that ended; the workers are several, so neighbours may change places. */
static void
assert_ended_within(const char *name, unsigned first_count)
{
    g_auto(GStrv) names = g_strsplit(ended_names->str, " ", -1);
    unsigned place = 0, skipped = 0;
    while (names[place] != NULL && strcmp(names[place], name) != 0)
        skipped += strcmp(names[place++], "-") == 0;
    g_assert_nonnull(names[place]);
    g_assert_cmpuint(place - skipped, <, first_count);
}

static void
test_turns(void)
{
    ConfHashQueue *queue = set_up(100);
    unsigned count = occupy(queue);
    for (unsigned i = 0; i < 20; i++)
        g_assert_true(push(queue, "a", "A"));
    g_assert_true(push(queue, "b", "B"));
    g_assert_true(push(queue, "c", "C"));
    g_assert_cmpuint(conf_hash_queue_waiting(queue), ==, 22);
    move_gate(true);
    wait_for_releases(count + 22);
    /* Behind one of A's, not behind all of them. */
    assert_ended_within("b", 3 + conf_pool_thread_count());
    assert_ended_within("c", 4 + conf_pool_thread_count());
    g_assert_cmpuint(conf_hash_queue_waiting(queue), ==, 0);
    tear_down(queue);
}

static void
test_full(void)
{
    ConfHashQueue *queue = set_up(4);
    unsigned count = occupy(queue);
    for (unsigned i = 0; i < 4; i++) {
        char name[3] = {'a', (char)('1' + i), '\0'};
        g_assert_true(push(queue, name, "A"));
    }
    g_assert_false(push(queue, "a5", "A"));
    g_assert_cmpstr(ended_names->str, ==, "");

    /* B takes the places of A's newest, until both have as many. */
    g_assert_true(push(queue, "b1", "B"));
    g_assert_cmpstr(ended_names->str, ==, "!a4 ");
    g_assert_true(push(queue, "b2", "B"));
    g_assert_cmpstr(ended_names->str, ==, "!a4 !a3 ");
    g_assert_false(push(queue, "b3", "B"));
    g_assert_false(push(queue, "a5", "A"));
    g_assert_true(push(queue, "c1", "C"));
    g_assert_cmpuint(conf_hash_queue_waiting(queue), ==, 4);
    g_assert_cmpuint(releases, ==, 3);

    unsigned retry_after = conf_hash_queue_retry_after(queue);
    g_assert_cmpuint(retry_after, >=, 1);
    g_assert_cmpuint(retry_after, <=, 60);
    move_gate(true);
    wait_for_releases(count + 7);
    tear_down(queue);
}

static void
test_cancel(void)
{
    ConfHashQueue *queue = set_up(10);
    Job *running = new_job("running"), *waiting = new_job("waiting");
    g_assert_true(conf_hash_queue_push(queue, &running->job, "A"));
    unsigned count = conf_pool_thread_count() - 1;
    for (unsigned i = 0; i < count; i++)
        g_assert_true(push(queue, "-", "occupier"));
    g_assert_true(conf_hash_queue_push(queue, &waiting->job, "A"));
    conf_hash_queue_cancel(&waiting->job);
    g_assert_cmpuint(releases, ==, 1);
    conf_hash_queue_cancel(&running->job);
    conf_hash_queue_cancel(&running->job);
    g_assert_cmpuint(releases, ==, 1);
    move_gate(true);
    wait_for_releases(count + 2);
    g_assert_null(strstr(ended_names->str, "running"));
    g_assert_null(strstr(ended_names->str, "waiting"));
    tear_down(queue);
}

static void
test_free(void)
{
    ConfHashQueue *queue = set_up(10);
    unsigned count = occupy(queue);
    g_assert_true(push(queue, "a", "A"));
    g_assert_true(push(queue, "b", "B"));
    conf_hash_queue_free(queue);
    /* All are told at once; those in the hands of a worker are released when it is done. */
    g_assert_true(g_str_has_prefix(ended_names->str, "stopped-a stopped-b stopped-- "));
    g_assert_cmpuint(releases, ==, 2);
    g_autofree char *told = g_strdup(ended_names->str);
    move_gate(true);
    wait_for_releases(count + 2);
    g_assert_cmpstr(ended_names->str, ==, told);
    g_string_free(ended_names, TRUE);
}

enum { CROWD = 3000, CROWD_LIMIT = 40 };

static unsigned crowd_calls[CROWD];
static Job *crowd_jobs[CROWD]; /* NULL: it is over */
static unsigned crowd_released;

static unsigned
crowd_number(ConfHashJob *job)
{
    return (unsigned)g_ascii_strtoull(((Job *)job)->name, NULL, 10);
}

static void
crowd_ended(ConfHashJob *job, ConfHashOutcome outcome)
{
    crowd_calls[crowd_number(job)]++;
    crowd_jobs[crowd_number(job)] = NULL;
}

static void
crowd_release(ConfHashJob *job)
{
    crowd_released++;
    g_free(job);
}

static void
no_work(ConfHashJob *job)
{
}

/* Whatever comes in whatever order: each that was taken ends once, or not at all if it was cancelled, and
 * is released. */
static void
test_crowd(void)
{
    ConfHashQueue *queue = conf_hash_queue_new();
    conf_hash_queue_set_limit(queue, CROWD_LIMIT);
    bool is_cancelled[CROWD] = {false}, is_taken[CROWD] = {false};
    unsigned taken = 0;
    for (unsigned i = 0; i < CROWD; i++) {
        char name[16], address[16];
        g_snprintf(name, sizeof(name), "%u", i);
        /* Few of the addresses send most. */
        g_snprintf(address, sizeof(address), "%u", g_test_rand_int_range(0, g_test_rand_int_range(1, 30)));
        Job *job = new_job(name);
        job->job = (ConfHashJob){.work = no_work, .ended = crowd_ended, .release = crowd_release};
        crowd_jobs[i] = job;
        is_taken[i] = conf_hash_queue_push(queue, &job->job, address);
        if (is_taken[i]) {
            taken++;
        } else {
            crowd_jobs[i] = NULL;
            g_free(job);
        }
        g_assert_cmpuint(conf_hash_queue_waiting(queue), <=, CROWD_LIMIT);
        unsigned other = (unsigned)g_test_rand_int_range(0, (int)i + 1);
        if (g_test_rand_int_range(0, 8) == 0 && crowd_jobs[other] != NULL) {
            is_cancelled[other] = true;
            conf_hash_queue_cancel(&crowd_jobs[other]->job);
            crowd_jobs[other] = NULL;
        }
        if (g_test_rand_int_range(0, 4) == 0)
            g_main_context_iteration(NULL, FALSE);
    }
    conf_hash_queue_free(queue);
    ConfTimer deadline = {0};
    conf_timer_arm(&deadline, 10000, on_deadline, NULL);
    while (crowd_released < taken)
        g_main_context_iteration(NULL, TRUE);
    conf_timer_cancel(&deadline);
    for (unsigned i = 0; i < CROWD; i++)
        g_assert_cmpuint(crowd_calls[i], ==, is_taken[i] && !is_cancelled[i] ? 1 : 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/access/hash-queue/turns", test_turns);
    g_test_add_func("/access/hash-queue/full", test_full);
    g_test_add_func("/access/hash-queue/cancel", test_cancel);
    g_test_add_func("/access/hash-queue/free", test_free);
    g_test_add_func("/access/hash-queue/crowd", test_crowd);
    return g_test_run();
}
