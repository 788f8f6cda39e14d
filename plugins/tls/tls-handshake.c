/* tls-handshake.c - handshakes in their number and time.
 *
 * A step of a handshake costs up to a millisecond of the loop, so steps wait in a queue, of which each turn
 * takes what fits in a slice: two thousand clients that come at once wait for each other and not everybody
 * for them.  Half-open connections are kept in the order of their deadlines, with one timer for all. */
#include "tls-private.h"

static const int64_t SLICE_USEC = 2000;
static const int64_t DETECT_USEC = 5 * G_USEC_PER_SEC; /* for the first byte: protocol.md 9 */

static void run_slice(void *data, void *unused);
static void arm(Tls *self);
static void deadline_is_over(void *data, void *unused);
static void drop_over(TlsFilters *filters, int64_t now);
static void limit(Tls *self);
static TlsFilters *list_of(const TlsFilter *filter);

void
tls_handshake_init(Tls *self)
{
    TAILQ_INIT(&self->detecting);
    TAILQ_INIT(&self->handshaking);
    TAILQ_INIT(&self->waiting);
}

void
tls_handshake_begin(TlsFilter *filter)
{
    Tls *self = filter->self;
    int64_t allowed =
        filter->state == TLS_DETECTING ? DETECT_USEC : self->settings->handshake_timeout_ms * INT64_C(1000);
    filter->begun = g_get_monotonic_time();
    filter->deadline = filter->begun + allowed;
    filter->in_half_open = true;
    TAILQ_INSERT_TAIL(list_of(filter), filter, half_open);
    self->statistics.half_open++;
    limit(self);
    arm(self);
}

void
tls_handshake_detected(TlsFilter *filter)
{
    tls_handshake_done(filter);
    filter->state = TLS_HANDSHAKING;
    tls_handshake_begin(filter);
}

void
tls_handshake_done(TlsFilter *filter)
{
    Tls *self = filter->self;
    if (filter->in_waiting) {
        TAILQ_REMOVE(&self->waiting, filter, waiting);
        filter->in_waiting = false;
        self->statistics.waiting--;
    }
    if (!filter->in_half_open)
        return;
    TAILQ_REMOVE(list_of(filter), filter, half_open);
    filter->in_half_open = false;
    self->statistics.half_open--;
}

void
tls_handshake_queue(TlsFilter *filter)
{
    Tls *self = filter->self;
    if (filter->in_waiting)
        return;
    filter->in_waiting = true;
    TAILQ_INSERT_TAIL(&self->waiting, filter, waiting);
    self->statistics.waiting++;
    if (self->step_is_due)
        return;
    self->step_is_due = true;
    conf_plugin_call_main(self->plugin, run_slice, NULL);
}

/* Once a turn of the loop: sockets are served in between. */
static void
run_slice(void *data, void *unused)
{
    Tls *self = data;
    (void)unused;
    TlsFilter *filter;
    int64_t end = g_get_monotonic_time() + SLICE_USEC;
    while ((filter = TAILQ_FIRST(&self->waiting)) != NULL) {
        TAILQ_REMOVE(&self->waiting, filter, waiting);
        filter->in_waiting = false;
        self->statistics.waiting--;
        tls_filter_step(filter);
        if (g_get_monotonic_time() >= end)
            break;
    }
    self->step_is_due = !TAILQ_EMPTY(&self->waiting);
    if (self->step_is_due)
        conf_plugin_call_main(self->plugin, run_slice, NULL);
}

/* One timer for the first deadline of all. */
static void
arm(Tls *self)
{
    const TlsFilter *detecting = TAILQ_FIRST(&self->detecting),
                    *handshaking = TAILQ_FIRST(&self->handshaking);
    if (self->deadline_timer != 0 || (detecting == NULL && handshaking == NULL))
        return;
    int64_t first = MIN(detecting != NULL ? detecting->deadline : G_MAXINT64,
                        handshaking != NULL ? handshaking->deadline : G_MAXINT64);
    int64_t wait = (first - g_get_monotonic_time()) / 1000 + 1;
    self->deadline_timer = conf_timer(self->plugin, (unsigned)MAX(wait, 1), deadline_is_over, NULL);
}

static void
deadline_is_over(void *data, void *unused)
{
    Tls *self = data;
    (void)unused;
    self->deadline_timer = 0;
    int64_t now = g_get_monotonic_time();
    drop_over(&self->detecting, now);
    drop_over(&self->handshaking, now);
    arm(self);
}

static void
drop_over(TlsFilters *filters, int64_t now)
{
    TlsFilter *filter;
    while ((filter = TAILQ_FIRST(filters)) != NULL && filter->deadline <= now)
        tls_filter_fail(filter, TLS_FAILED_TIMEOUT,
                        filter->state == TLS_DETECTING ? "Nothing came within 5 s"
                                                       : "The handshake took too long");
}

/* Above the limit the oldest goes: it had its time, and an honest client is soon through. */
static void
limit(Tls *self)
{
    while (self->statistics.half_open > (uint64_t)self->settings->handshakes_max) {
        TlsFilter *detecting = TAILQ_FIRST(&self->detecting), *handshaking = TAILQ_FIRST(&self->handshaking);
        TlsFilter *oldest = handshaking;
        if (handshaking == NULL || (detecting != NULL && detecting->begun < handshaking->begun))
            oldest = detecting;
        tls_filter_fail(oldest, TLS_FAILED_LIMIT, "Too many handshakes are under way");
    }
}

static TlsFilters *
list_of(const TlsFilter *filter)
{
    return filter->state == TLS_DETECTING ? &filter->self->detecting : &filter->self->handshaking;
}
