/* later.c - the generic half of ConfLater: the duty to answer that a plugin took over in a hook or a method.
 *
 * States: held (the plugin has it, the owner waits), finishing (the plugin finished it, the owner is being
 * told; where that happens within the hook that took it, from the main loop, since the owner does not know
 * yet that it is to wait), gone (nobody waits any more; the plugin must still finish it), over (kept a
 * while unused, see below).  The owner is told at most once and never after conf_later_abandon(); gone()
 * is called at most once and never after the plugin finished. */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/queue-main.h"
#include "plugin/plugin-private.h"

enum {
    TIMEOUT_MAX_MS = 3600 * 1000,
    TIMEOUT_OTHERWISE_MS = 60 * 1000, /* for 0: no wait is endless */
    OVER_KEPT = 1024,
};

typedef enum { LATER_HELD, LATER_FINISHING, LATER_GONE, LATER_OVER } LaterState;
typedef enum { OUTCOME_VERDICT, OUTCOME_ANSWER, OUTCOME_ERROR, OUTCOME_CHALLENGE } OutcomeKind;

typedef struct {
    OutcomeKind kind;
    ConfVerdict verdict;
    GError *error; /* of REFUSE only */
    char *text;    /* result, prompt or message */
    int code;      /* of ERROR */
    char *data;    /* of ERROR: JSON; NULL: none */
    GBytes *challenge_state;
} Outcome;

struct ConfLater {
    ConfPlugin *plugin;
    const ConfLaterFuncs *funcs;
    void *owner;
    void (*gone)(void *data);
    void *data;
    GList link; /* in plugin->laters */
    ConfTimer timer;
    uint64_t frame;  /* of the hook that took it */
    Outcome outcome; /* while finishing */
    LaterState state;
    bool is_listed; /* link is in plugin->laters */
};

/* A plugin that finishes twice must not write into memory that is somebody else's by then: the last ones
 * are kept, marked as over. */
static GQueue over = G_QUEUE_INIT;

static void on_timeout(void *data);
static void call_gone(ConfLater *later);
static void finish(ConfLater *later, Outcome *outcome);
static void on_finish_deferred(void *data);
static void tell_owner(ConfLater *later, Outcome *outcome);
static void settle_outcome(const ConfLater *later, Outcome *outcome);
static void clear_outcome(Outcome *outcome);
static void retire(ConfLater *later);
static void unlist(ConfLater *later);

ConfLater *
conf_later_new(ConfPlugin *p, const ConfLaterFuncs *funcs, void *owner, unsigned timeout_ms,
               void (*gone)(void *), void *data)
{
    conf_assert_main();
    g_assert(p != NULL);
    ConfLater *later = g_new0(ConfLater, 1);
    later->plugin = p;
    later->funcs = funcs;
    later->owner = owner;
    later->gone = gone;
    later->data = data;
    later->state = LATER_HELD;
    later->frame = conf_plugin_current_frame();
    later->link.data = later;
    g_queue_push_tail_link(&p->laters, &later->link);
    later->is_listed = true;
    p->laters_made++;
    unsigned ms = timeout_ms > 0 ? MIN(timeout_ms, (unsigned)TIMEOUT_MAX_MS) : (unsigned)TIMEOUT_OTHERWISE_MS;
    conf_timer_arm(&later->timer, ms, on_timeout, later);
    return later;
}

ConfLater *
conf_later_new_gone(ConfPlugin *p, void (*gone)(void *), void *data, const char *mistake)
{
    static const ConfLaterFuncs none;
    conf_plugin_fault(p, mistake);
    ConfLater *later = conf_later_new(p, &none, NULL, 0, gone, data);
    call_gone(later);
    return later;
}

void
conf_later_abandon(ConfLater *later)
{
    conf_assert_main();
    if (later->state == LATER_FINISHING) {
        later->owner = NULL;
        return;
    }
    if (later->state != LATER_HELD)
        return;
    later->owner = NULL;
    call_gone(later);
}

void
conf_later_finish(ConfLater *later, ConfVerdict verdict, GError *error)
{
    finish(later, &(Outcome){.kind = OUTCOME_VERDICT, .verdict = verdict, .error = error});
}

void
conf_later_answer(ConfLater *later, const char *result_json)
{
    finish(later, &(Outcome){.kind = OUTCOME_ANSWER, .text = g_strdup(result_json)});
}

void
conf_later_answer_error(ConfLater *later, int code, const char *message, const char *data_json)
{
    finish(later,
           &(Outcome){
               .kind = OUTCOME_ERROR, .code = code, .text = g_strdup(message), .data = g_strdup(data_json)});
}

void
conf_later_challenge(ConfLater *later, const char *prompt, GBytes *state)
{
    finish(later, &(Outcome){.kind = OUTCOME_CHALLENGE,
                             .text = g_strdup(prompt),
                             .challenge_state = state != NULL ? g_bytes_ref(state) : NULL});
}

void
conf_later_end_all(ConfPlugin *p)
{
    GList *link;
    while ((link = p->laters.head) != NULL) {
        ConfLater *later = link->data;
        if (later->state == LATER_HELD)
            on_timeout(later);
        if (later->state != LATER_OVER)
            retire(later);
    }
}

static void
on_timeout(void *data)
{
    ConfLater *later = data;
    void *owner = later->owner;
    later->owner = NULL;
    /* Marked before: the owner that answers may close what abandons this again, and the plugin may see the
     * answer in a hook and finish there. */
    later->state = LATER_GONE;
    later->funcs->timed_out(owner);
    if (later->state == LATER_GONE)
        call_gone(later);
}

static void
call_gone(ConfLater *later)
{
    conf_timer_cancel(&later->timer);
    later->state = LATER_GONE;
    if (later->gone == NULL)
        return;
    ConfPlugin *p = later->plugin;
    conf_plugin_enter(p);
    later->gone(later->data);
    conf_plugin_leave(p);
}

static void
finish(ConfLater *later, Outcome *outcome)
{
    conf_assert_main();
    if (later->state == LATER_OVER || later->state == LATER_FINISHING) {
        ConfPlugin *culprit = later->state == LATER_FINISHING ? later->plugin : conf_plugin_current();
        if (culprit != NULL)
            conf_plugin_fault(culprit, "It finished a ConfLater twice");
        else
            conf_log(CONF_LOG_PLUGIN_MISUSE, "plugin", NULL, "what", "A ConfLater was finished twice", NULL);
        clear_outcome(outcome);
        return;
    }
    conf_timer_cancel(&later->timer);
    if (later->state == LATER_GONE) {
        clear_outcome(outcome);
        retire(later);
        return;
    }
    settle_outcome(later, outcome);
    if (conf_plugin_frame_is_active(later->frame)) {
        later->state = LATER_FINISHING;
        later->outcome = *outcome;
        unlist(later);
        conf_plugin_ref(later->plugin);
        conf_main_queue_push(on_finish_deferred, later);
        return;
    }
    tell_owner(later, outcome);
    clear_outcome(outcome);
    retire(later);
}

static void
on_finish_deferred(void *data)
{
    ConfLater *later = data;
    ConfPlugin *p = later->plugin;
    if (later->owner != NULL)
        tell_owner(later, &later->outcome);
    clear_outcome(&later->outcome);
    retire(later);
    conf_plugin_unref(p);
}

static void
tell_owner(ConfLater *later, Outcome *outcome)
{
    void *owner = later->owner;
    const ConfLaterFuncs *funcs = later->funcs;
    /* The owner lets go within the call; an abandon from there must find nothing to do. */
    later->owner = NULL;
    later->state = LATER_FINISHING;
    switch (outcome->kind) {
    case OUTCOME_VERDICT:
        funcs->finished(owner, outcome->verdict, g_steal_pointer(&outcome->error));
        break;
    case OUTCOME_ANSWER:
        funcs->answered(owner, outcome->text);
        break;
    case OUTCOME_ERROR:
        funcs->failed(owner, outcome->code, outcome->text, outcome->data);
        break;
    case OUTCOME_CHALLENGE:
        funcs->challenged(owner, outcome->text, g_steal_pointer(&outcome->challenge_state));
        break;
    }
}

/* Makes what a plugin said into something that an owner can rely on. */
static void
settle_outcome(const ConfLater *later, Outcome *outcome)
{
    const char *fault = NULL;
    if (outcome->kind == OUTCOME_ANSWER && (later->funcs->answered == NULL || outcome->text == NULL))
        fault = "It answered a ConfLater that is none of a request, or with nothing";
    else if (outcome->kind == OUTCOME_ERROR && (later->funcs->failed == NULL || outcome->text == NULL))
        fault = "It answered a ConfLater that is none of a request with an error, or one without a message";
    else if (outcome->kind == OUTCOME_CHALLENGE && later->funcs->challenged == NULL)
        fault = "It put a challenge to a ConfLater that is none of a log-in";
    else if (outcome->kind == OUTCOME_VERDICT && (unsigned)outcome->verdict >= CONF_LATER)
        fault = "It finished a ConfLater with a verdict that ends nothing";
    if (fault != NULL) {
        conf_plugin_fault(later->plugin, fault);
        clear_outcome(outcome);
        *outcome = (Outcome){.kind = OUTCOME_VERDICT, .verdict = CONF_REFUSE};
    }
    if (outcome->kind != OUTCOME_VERDICT)
        return;
    if (outcome->verdict != CONF_REFUSE)
        g_clear_error(&outcome->error);
    else if (outcome->error == NULL)
        g_set_error(&outcome->error, CONF_ERROR, CONF_ERROR_FAILED,
                    "plugin %s refused without giving a reason", later->plugin->name);
}

static void
clear_outcome(Outcome *outcome)
{
    g_clear_error(&outcome->error);
    g_clear_pointer(&outcome->text, g_free);
    g_clear_pointer(&outcome->data, g_free);
    g_clear_pointer(&outcome->challenge_state, g_bytes_unref);
}

static void
retire(ConfLater *later)
{
    conf_timer_cancel(&later->timer);
    unlist(later);
    later->plugin = NULL;
    later->state = LATER_OVER;
    g_queue_push_tail(&over, later);
    while (over.length > OVER_KEPT)
        g_free(g_queue_pop_head(&over));
}

static void
unlist(ConfLater *later)
{
    if (!later->is_listed)
        return;
    g_queue_unlink(&later->plugin->laters, &later->link);
    later->is_listed = false;
}
