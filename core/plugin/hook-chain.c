/* hook-chain.c - the hooks of all plugins, flattened into one array a hook point, and the stack of plugins
 * whose code runs now.
 *
 * The arrays change only while plugins are loaded or unloaded, never while a hook runs, so a position in
 * the chain of `received` or `login` stays good while a plugin keeps a request for later. */
#include "plugin/hook-chain.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/queue-main.h"
#include "plugin/plugin-private.h"

typedef enum {
    POINT_ACCEPTED,
    POINT_TRANSPORT,
    POINT_OPENED,
    POINT_IDLE,
    POINT_CLOSED,
    POINT_RECEIVED,
    POINT_LOGIN,
    POINT_LIBRARY_LOGIN, /* the same hook, of plugins that are the library of some accounts */
    POINT_ANSWERED,
    POINT_COMMITTED,
    POINT_VISIBLE,
    POINT_SESSION_OPENED,
    POINT_SESSION_CLOSED,
    POINT_LOGIN_REFUSED,
    POINT_COUNT
} Point;

typedef void (*AnyFunc)(void);

/* All members of ConfHooks are pointers to functions, so one offset a point is all that telling them apart
 * takes. */
static const size_t POINT_OFFSET[POINT_COUNT] = {
    [POINT_ACCEPTED] = offsetof(ConfHooks, accepted),
    [POINT_TRANSPORT] = offsetof(ConfHooks, transport),
    [POINT_OPENED] = offsetof(ConfHooks, opened),
    [POINT_IDLE] = offsetof(ConfHooks, idle),
    [POINT_CLOSED] = offsetof(ConfHooks, closed),
    [POINT_RECEIVED] = offsetof(ConfHooks, received),
    [POINT_LOGIN] = offsetof(ConfHooks, login),
    [POINT_LIBRARY_LOGIN] = offsetof(ConfHooks, login),
    [POINT_ANSWERED] = offsetof(ConfHooks, answered),
    [POINT_COMMITTED] = offsetof(ConfHooks, committed),
    [POINT_VISIBLE] = offsetof(ConfHooks, visible),
    [POINT_SESSION_OPENED] = offsetof(ConfHooks, session_opened),
    [POINT_SESSION_CLOSED] = offsetof(ConfHooks, session_closed),
    [POINT_LOGIN_REFUSED] = offsetof(ConfHooks, login_refused),
};

typedef struct {
    ConfPlugin *plugin;
    ConfHooks hooks; /* whole: the member wanted is read with its own type */
} Slot;

typedef struct {
    Slot *slots;
    unsigned count;
} Chain;

typedef struct {
    int priority;
    unsigned order; /* of loading, then of registering within a plugin */
    ConfPlugin *plugin;
    const ConfHooks *hooks;
} Candidate;

typedef struct {
    ConfPlugin *plugin;
    uint64_t frame;
} Entry;

/* Each member has a type of its own; the two macros write the same walk for all of them. */
#define CALL_ALL(point, member, ...) \
    for (unsigned i = 0; i < chains[point].count; i++) { \
        const Slot *slot = &chains[point].slots[i]; \
        conf_plugin_enter(slot->plugin); \
        slot->hooks.member(slot->plugin->self, __VA_ARGS__); \
        conf_plugin_leave(slot->plugin); \
    }
/* The verdict of one hook, and *why of a refusal. */
#define ASK(slot, member, thing, may_be_later, why) \
    ({ \
        unsigned laters_before = (slot)->plugin->laters_made; \
        conf_plugin_enter((slot)->plugin); \
        ConfVerdict given = (slot)->hooks.member((slot)->plugin->self, thing, why); \
        given = settle_verdict((slot)->plugin, given, (slot)->plugin->laters_made != laters_before, \
                               may_be_later, why); \
        conf_plugin_leave((slot)->plugin); \
        given; \
    })
/* Returns from the function with the first verdict that is not CONF_NEXT.  *position moves on before the
 * hook is called: it is then where the chain goes on, should the hook keep the thing for later. */
#define ASK_IN_ORDER(point, member, thing, position, may_be_later, error) \
    while (*(position) < chains[point].count) { \
        const Slot *slot = &chains[point].slots[(*(position))++]; \
        g_autoptr(GError) why = NULL; \
        ConfVerdict verdict = ASK(slot, member, thing, may_be_later, &why); \
        if (verdict == CONF_NEXT) \
            continue; \
        if (why != NULL) \
            g_propagate_error(error, g_steal_pointer(&why)); \
        return verdict; \
    }

static Chain chains[POINT_COUNT];
static GArray *entries; /* of Entry: the innermost plugin last */
static uint64_t last_frame;
static ConfArena *scratch;
static bool scratch_is_used;

static bool belongs(const ConfPlugin *p, Point point);
static bool has_member(const ConfHooks *hooks, Point point);
static int compare_candidates(const void *a, const void *b);
static ConfVerdict settle_verdict(ConfPlugin *p, ConfVerdict verdict, bool took_later, bool may_be_later,
                                  GError **error);

bool
conf_hooks_have_transport(void)
{
    return chains[POINT_TRANSPORT].count > 0;
}

bool
conf_hooks_have_visible(void)
{
    return chains[POINT_VISIBLE].count > 0;
}

bool
conf_hooks_have_received(void)
{
    return chains[POINT_RECEIVED].count > 0;
}

bool
conf_hooks_have_answered(void)
{
    return chains[POINT_ANSWERED].count > 0;
}

bool
conf_hooks_have_committed(void)
{
    return chains[POINT_COMMITTED].count > 0;
}

ConfVerdict
conf_hooks_accepted(ConfConnection *c, GError **error)
{
    unsigned position = 0;
    ASK_IN_ORDER(POINT_ACCEPTED, accepted, c, &position, false, error);
    return CONF_NEXT;
}

ConfVerdict
conf_hooks_transport(ConfConnection *c, GError **error)
{
    unsigned position = 0;
    ASK_IN_ORDER(POINT_TRANSPORT, transport, c, &position, false, error);
    return CONF_NEXT;
}

void
conf_hooks_opened(ConfConnection *c)
{
    CALL_ALL(POINT_OPENED, opened, c);
}

void
conf_hooks_closed(ConfConnection *c)
{
    CALL_ALL(POINT_CLOSED, closed, c);
}

void
conf_hooks_idle(ConfConnection *c, ConfPlugin *p, unsigned quiet_ms)
{
    const Chain *chain = &chains[POINT_IDLE];
    for (unsigned i = 0; i < chain->count; i++) {
        const Slot *slot = &chain->slots[i];
        if (slot->plugin != p)
            continue;
        conf_plugin_enter(p);
        slot->hooks.idle(p->self, c, quiet_ms);
        conf_plugin_leave(p);
    }
}

ConfVerdict
conf_hooks_received(ConfRequest *r, unsigned *position, GError **error)
{
    ASK_IN_ORDER(POINT_RECEIVED, received, r, position, true, error);
    return CONF_NEXT;
}

ConfVerdict
conf_hooks_login(ConfLogin *l, unsigned *position, GError **error)
{
    ASK_IN_ORDER(POINT_LOGIN, login, l, position, true, error);
    return CONF_NEXT;
}

bool
conf_hooks_have_library(const char *library)
{
    const Chain *chain = &chains[POINT_LIBRARY_LOGIN];
    for (unsigned i = 0; i < chain->count; i++)
        if (library == NULL || strcmp(chain->slots[i].plugin->library, library) == 0)
            return true;
    return false;
}

ConfVerdict
conf_hooks_login_by(ConfLogin *l, const char *library, GError **error)
{
    const Chain *chain = &chains[POINT_LIBRARY_LOGIN];
    for (unsigned i = 0; i < chain->count; i++) {
        const Slot *slot = &chain->slots[i];
        if (strcmp(slot->plugin->library, library) == 0)
            return ASK(slot, login, l, true, error);
    }
    return CONF_NEXT;
}

void
conf_hooks_login_refused(ConfLogin *l, const char *why)
{
    CALL_ALL(POINT_LOGIN_REFUSED, login_refused, l, why);
}

void
conf_hooks_answered(ConfRequest *r, int code, uint64_t usec)
{
    CALL_ALL(POINT_ANSWERED, answered, r, code, usec);
}

void
conf_hooks_committed(const ConfCommit *commit)
{
    CALL_ALL(POINT_COMMITTED, committed, commit);
}

bool
conf_hooks_visible(ConfSession *s, const ConfObject *object)
{
    const Chain *chain = &chains[POINT_VISIBLE];
    for (unsigned i = 0; i < chain->count; i++) {
        const Slot *slot = &chain->slots[i];
        conf_plugin_enter(slot->plugin);
        bool is_visible = slot->hooks.visible(slot->plugin->self, s, object);
        conf_plugin_leave(slot->plugin);
        if (!is_visible)
            return false;
    }
    return true;
}

void
conf_hooks_session_opened(ConfSession *s, bool resumed)
{
    CALL_ALL(POINT_SESSION_OPENED, session_opened, s, resumed);
}

void
conf_hooks_session_closed(ConfSession *s, const char *reason)
{
    CALL_ALL(POINT_SESSION_CLOSED, session_closed, s, reason);
}

ConfPlugin *
conf_plugin_current(void)
{
    return entries != NULL && entries->len > 0 ? g_array_index(entries, Entry, entries->len - 1).plugin
                                               : NULL;
}

void
conf_plugin_enter(ConfPlugin *p)
{
    if (G_UNLIKELY(entries == NULL))
        entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    Entry entry = {p, ++last_frame};
    g_array_append_val(entries, entry);
}

void
conf_plugin_leave(ConfPlugin *p)
{
    g_assert(conf_plugin_current() == p);
    g_array_set_size(entries, entries->len - 1);
    if (entries->len == 0 && scratch_is_used) {
        conf_arena_reset(scratch);
        scratch_is_used = false;
    }
}

uint64_t
conf_plugin_current_frame(void)
{
    return entries != NULL && entries->len > 0 ? g_array_index(entries, Entry, entries->len - 1).frame : 0;
}

bool
conf_plugin_frame_is_active(uint64_t frame)
{
    for (unsigned i = entries != NULL ? entries->len : 0; i > 0; i--)
        if (g_array_index(entries, Entry, i - 1).frame == frame)
            return true;
    return false;
}

ConfArena *
conf_plugin_scratch(void)
{
    conf_assert_main();
    if (scratch == NULL)
        scratch = conf_arena_new();
    scratch_is_used = true;
    return scratch;
}

void
conf_hook_chain_rebuild(GPtrArray *plugins)
{
    g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
    for (unsigned i = 0; i < plugins->len; i++) {
        ConfPlugin *p = plugins->pdata[i];
        if (p->state != PLUGIN_LOADED && p->state != PLUGIN_STOPPED)
            continue;
        for (unsigned j = 0; j < p->hook_tables->len; j++) {
            const ConfHookTable *table = &g_array_index(p->hook_tables, ConfHookTable, j);
            Candidate candidate = {table->priority, candidates->len, p, &table->hooks};
            g_array_append_val(candidates, candidate);
        }
    }
    g_array_sort(candidates, compare_candidates);

    for (Point point = 0; point < POINT_COUNT; point++) {
        g_autoptr(GArray) slots = g_array_new(FALSE, FALSE, sizeof(Slot));
        for (unsigned i = 0; i < candidates->len; i++) {
            const Candidate *candidate = &g_array_index(candidates, Candidate, i);
            if (!has_member(candidate->hooks, point) || !belongs(candidate->plugin, point))
                continue;
            Slot slot = {candidate->plugin, *candidate->hooks};
            g_array_append_val(slots, slot);
        }
        g_free(chains[point].slots);
        chains[point].count = slots->len;
        chains[point].slots = slots->len > 0 ? (Slot *)(void *)g_array_steal(slots, NULL) : NULL;
    }
}

/* A library is asked by its name, not in the order of the chain. */
static bool
belongs(const ConfPlugin *p, Point point)
{
    return point == POINT_LIBRARY_LOGIN ? p->library != NULL : point != POINT_LOGIN || p->library == NULL;
}

static bool
has_member(const ConfHooks *hooks, Point point)
{
    AnyFunc func;
    memcpy(&func, (const char *)hooks + POINT_OFFSET[point], sizeof(func));
    return func != NULL;
}

static int
compare_candidates(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* What a hook answers is not trusted to fit together: a refusal always comes with a reason and nothing
 * else does; who took a ConfLater waits for it, and nobody else. */
static ConfVerdict
settle_verdict(ConfPlugin *p, ConfVerdict verdict, bool took_later, bool may_be_later, GError **error)
{
    if (took_later) {
        if (verdict != CONF_LATER)
            conf_plugin_fault(p, "A hook took a ConfLater without answering CONF_LATER");
        g_clear_error(error);
        return CONF_LATER;
    }
    if (verdict == CONF_NEXT || verdict == CONF_DONE) {
        if (*error != NULL)
            conf_plugin_fault(p, "A hook set an error without refusing");
        g_clear_error(error);
        return verdict;
    }
    if (verdict == CONF_REFUSE) {
        if (*error == NULL)
            g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "plugin %s refused without giving a reason",
                        p->name);
        return verdict;
    }
    g_clear_error(error);
    conf_plugin_fault(p, may_be_later && verdict == CONF_LATER
                             ? "A hook answered CONF_LATER without taking a ConfLater"
                             : "A hook gave a verdict that it may not give");
    g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "plugin %s gave a verdict that it may not give",
                p->name);
    return CONF_REFUSE;
}
