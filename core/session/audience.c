/* audience.c - sessions that see the same of every commit stand together, so that a commit is judged and
 * written once for all of them.  With hooks `visible` in force every session stands alone. */
#include "session/session-private.h"

static unsigned audience_hash(const void *data);
static int audience_equal(const void *a, const void *b);
static void collect_scopes(ConfSession *session, GPtrArray *scopes);
static int compare_addresses(const void *a, const void *b);
static void audience_free(ConfSessions *sessions, ConfAudience *audience);
static ConfAudience *audience_intern(ConfSession *session, GPtrArray *scopes);

void
conf_audience_init(ConfSessions *sessions)
{
    sessions->audiences = g_hash_table_new(audience_hash, audience_equal);
}

void
conf_audience_place(ConfSession *session)
{
    g_autoptr(GPtrArray) scopes = g_ptr_array_new();
    bool live = session->connection != NULL && session->replay == NULL && !session->finished &&
                session->taken_ended == NULL;
    if (live)
        collect_scopes(session, scopes);
    ConfAudience *fitting = scopes->len > 0 ? audience_intern(session, scopes) : NULL;
    if (fitting == session->audience)
        return;
    conf_audience_leave(session);
    if (fitting == NULL)
        return;
    session->audience = fitting;
    session->audience_index = fitting->sessions->len;
    g_ptr_array_add(fitting->sessions, session);
}

void
conf_audience_leave(ConfSession *session)
{
    ConfAudience *audience = session->audience;
    if (audience == NULL)
        return;
    ConfSession *last = g_ptr_array_index(audience->sessions, audience->sessions->len - 1);
    audience->sessions->pdata[session->audience_index] = last;
    last->audience_index = session->audience_index;
    g_ptr_array_set_size(audience->sessions, (int)audience->sessions->len - 1);
    session->audience = NULL;
    if (audience->sessions->len == 0)
        audience_free(session->sessions, audience);
}

bool
conf_audience_covers(ConfScope *const *scopes, unsigned scope_count, ConfKey key, const ConfPlace *place)
{
    for (unsigned i = 0; i < scope_count; i++) {
        if (conf_scope_covers(scopes[i], key, place))
            return true;
    }
    return false;
}

static ConfAudience *
audience_intern(ConfSession *session, GPtrArray *scopes)
{
    ConfSessions *sessions = session->sessions;
    ConfAudience probe = {
        .identity = session->identity,
        .scopes = (ConfScope **)(void *)scopes->pdata,
        .scope_count = scopes->len,
        .only = conf_hooks_have_visible() ? session : NULL,
    };
    ConfAudience *audience = g_hash_table_lookup(sessions->audiences, &probe);
    if (audience != NULL)
        return audience;
    audience = g_new0(ConfAudience, 1);
    audience->identity = conf_identity_ref(probe.identity);
    audience->scopes = g_memdup2(scopes->pdata, scopes->len * sizeof(void *));
    audience->scope_count = scopes->len;
    audience->only = probe.only;
    audience->sessions = g_ptr_array_new();
    for (unsigned i = 0; i < scopes->len; i++)
        g_ptr_array_add(audience->scopes[i]->audiences, audience);
    g_hash_table_add(sessions->audiences, audience);
    sessions->statistics.views = g_hash_table_size(sessions->audiences);
    return audience;
}

static void
audience_free(ConfSessions *sessions, ConfAudience *audience)
{
    g_hash_table_remove(sessions->audiences, audience);
    sessions->statistics.views = g_hash_table_size(sessions->audiences);
    for (unsigned i = 0; i < audience->scope_count; i++)
        g_ptr_array_remove_fast(audience->scopes[i]->audiences, audience);
    conf_identity_unref(audience->identity);
    g_ptr_array_unref(audience->sessions);
    g_free(audience->scopes);
    g_free(audience);
}

static void
collect_scopes(ConfSession *session, GPtrArray *scopes)
{
    for (unsigned i = 0; i < session->subscriptions->len; i++) {
        ConfSubscription *subscription = g_ptr_array_index(session->subscriptions, i);
        if (!g_ptr_array_find(scopes, subscription->scope, NULL))
            g_ptr_array_add(scopes, subscription->scope);
    }
    g_ptr_array_sort(scopes, compare_addresses);
}

static int
compare_addresses(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;
    return x < y ? -1 : x > y;
}

static unsigned
audience_hash(const void *data)
{
    const ConfAudience *audience = data;
    uintptr_t hash = (uintptr_t)audience->identity ^ (uintptr_t)audience->only * 31;
    for (unsigned i = 0; i < audience->scope_count; i++)
        hash = hash * 1099511628211u ^ (uintptr_t)audience->scopes[i];
    return (unsigned)(hash ^ hash >> 29);
}

static int
audience_equal(const void *a, const void *b)
{
    const ConfAudience *x = a, *y = b;
    return x->identity == y->identity && x->only == y->only && x->scope_count == y->scope_count &&
           memcmp(x->scopes, y->scopes, x->scope_count * sizeof(void *)) == 0;
}
