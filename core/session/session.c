/* session.c - what a session is: who, with which rights, subscribed to what. */
#include "session/session-private.h"

/* By number: a transaction may outlive the session. */
typedef struct {
    ConfSessions *sessions;
    uint64_t number;
} Author;

static bool is_visible_to_author(const ConfObject *object, void *data);

ConfConnection *
conf_session_connection(const ConfSession *session)
{
    return session->connection;
}

ConfIdentity *
conf_session_identity(const ConfSession *session)
{
    return session->identity;
}

ConfKey
conf_session_subject(const ConfSession *session)
{
    return session->subject;
}

ConfKey
conf_session_person(const ConfSession *session)
{
    return session->person;
}

int64_t
conf_session_account_tenant(const ConfSession *session)
{
    const ConfObject *subject = conf_store_lookup(session->sessions->store, session->subject);
    return subject != NULL ? subject->tenant : 0;
}

const char *
conf_session_address(const ConfSession *session)
{
    return session->address;
}

int64_t
conf_session_opened_at(const ConfSession *session)
{
    return session->opened_ms;
}

uint64_t
conf_session_number(const ConfSession *session)
{
    return session->number;
}

void
conf_session_set_own_hash(ConfSession *session, const char *hash)
{
    if (session->own_hash != NULL)
        explicit_bzero(session->own_hash, strlen(session->own_hash));
    g_free(session->own_hash);
    session->own_hash = g_strdup(hash);
}

bool
conf_session_has_own_hash(const ConfSession *session)
{
    return session->own_hash != NULL;
}

const char *
conf_session_client_name(const ConfSession *session)
{
    return session->client_name;
}

const char *
conf_session_client_version(const ConfSession *session)
{
    return session->client_version;
}

void
conf_session_clear_must_change(ConfSession *session)
{
    session->must_change = false;
    conf_saved_change(session); /* Its seal is another one. */
}

bool
conf_session_may_read(ConfSession *session, const ConfObject *object)
{
    return conf_identity_may_read(session->sessions->store, session->identity, object) &&
           (!conf_hooks_have_visible() || conf_hooks_visible(session, object));
}

bool
conf_session_may_read_gone(ConfSession *session, const ConfAcl *last_acl, const ConfObject *object)
{
    return (conf_identity_rights(session->identity, last_acl) & CONF_RIGHT_READ) != 0 &&
           (!conf_hooks_have_visible() || conf_hooks_visible(session, object));
}

uint8_t
conf_session_rights(ConfSession *session, const ConfObject *object)
{
    uint8_t rights = conf_identity_rights_on(session->sessions->store, session->identity, object);
    return !conf_hooks_have_visible() || conf_hooks_visible(session, object) ? rights : 0;
}

ConfIdentity *
conf_session_current_identity(ConfSession *session)
{
    if (session->groups == NULL || session->groups->len == 0)
        return conf_identity_of(session->sessions->store, session->subject);
    g_autoptr(GArray) subjects = g_array_copy(session->groups);
    g_array_prepend_val(subjects, session->subject);
    return conf_identity_of_all(session->sessions->store, (const ConfKey *)(void *)subjects->data,
                                subjects->len);
}

void
conf_session_refresh_identity(ConfSession *session)
{
    ConfIdentity *now = conf_session_current_identity(session);
    /* The audience is left under the identity it was entered with. */
    bool in_audience = session->audience != NULL;
    conf_audience_leave(session);
    conf_identity_unref(session->identity);
    session->identity = now;
    if (in_audience)
        conf_audience_place(session);
}

ConfSubscription *
conf_session_add_subscription(ConfSession *session, ConfScope *scope, bool initial)
{
    ConfSubscription *subscription = g_new0(ConfSubscription, 1);
    subscription->id = ++session->next_subscription;
    subscription->scope = scope;
    subscription->initial = initial;
    g_ptr_array_add(session->subscriptions, subscription);
    session->sessions->statistics.subscriptions++;
    return subscription;
}

void
conf_session_clear_subscriptions(ConfSession *session)
{
    for (unsigned i = 0; i < session->subscriptions->len; i++)
        conf_subscription_free(session->sessions, g_ptr_array_index(session->subscriptions, i));
    g_ptr_array_set_size(session->subscriptions, 0);
}

GPtrArray *
conf_session_take_subscriptions(ConfSession *session)
{
    GPtrArray *taken = session->subscriptions;
    session->subscriptions = g_ptr_array_new();
    return taken;
}

void
conf_subscription_free(ConfSessions *sessions, ConfSubscription *subscription)
{
    conf_scope_unref(sessions, subscription->scope);
    g_free(subscription);
    sessions->statistics.subscriptions--;
}

void
conf_session_take_over(ConfSession *session, void (*ended)(void *data), void (*drained)(void *data),
                       void *data)
{
    session->taken_ended = ended;
    session->taken_drained = drained;
    session->taken_data = data;
    conf_saved_change(session);
    /* Whatever of its own was still being streamed would stand between the lines of the new stream. */
    conf_replay_stop(session);
    conf_producer_remove(session);
    for (unsigned i = 0; i < session->subscriptions->len; i++)
        ((ConfSubscription *)g_ptr_array_index(session->subscriptions, i))->walking = false;
    conf_audience_leave(session);
}

void
conf_session_author_transaction(const ConfSession *session, ConfTransaction *transaction)
{
    conf_transaction_set_author(transaction, session->subject, session->person, session->application,
                                session->address);
    if (session->groups != NULL)
        conf_transaction_set_groups(transaction, (const ConfKey *)(void *)session->groups->data,
                                    session->groups->len);
    if (!conf_hooks_have_visible())
        return;
    Author *author = g_new(Author, 1);
    *author = (Author){.sessions = session->sessions, .number = session->number};
    conf_transaction_set_visible(transaction, is_visible_to_author, author, g_free);
}

/* Of a session that has ended meanwhile nobody is left to be shown anything. */
static bool
is_visible_to_author(const ConfObject *object, void *data)
{
    const Author *author = data;
    ConfSession *session = conf_sessions_lookup_number(author->sessions, author->number);
    return session == NULL || conf_hooks_visible(session, object);
}
