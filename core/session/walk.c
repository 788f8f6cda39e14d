/* walk.c - the walk: streams the objects of a subscription opened with `initial`, in (type, dbid) order, as
 * they stand when they are sent.  Commits are sent at once meanwhile, so what a client hears of an object is
 * never older than what it heard before; nothing is pinned and no writer waits (protocol.md 6). */
#include "base/clock.h"
#include "session/session-private.h"

enum {
    LINE_TARGET = 256 * 1024,
    LINE_LIMIT = 1000 * 1024,
    /* What stands unacknowledged for 30 s ends a connection (TCP_USER_TIMEOUT), and what stands in its output
     * queue for 60 s: a connection that lived for longer has brought the line. */
    SURELY_TAKEN_USEC = 90 * 1000000,
};

static ConfSubscription *next_walk(ConfSession *session);
static const ConfObject *advance(ConfSession *session, ConfSubscription *subscription);
static void send_line(ConfSession *session, ConfBuffer *buffer);
static void write_head(ConfBuffer *buffer, const ConfSubscription *subscription);
static void write_loaded(ConfSession *session, ConfSubscription *subscription);

void
conf_walk_start(ConfSession *session, ConfSubscription *subscription)
{
    subscription->walking = true;
    subscription->loaded_at = 0;
    subscription->cursor = (ConfKey){0};
    subscription->cursor_set = false;
    subscription->type_index = 0;
    conf_producer_add(session);
}

void
conf_walk_break(ConfSession *session)
{
    int64_t now = conf_clock_monotonic_usec();
    for (unsigned i = 0; i < session->subscriptions->len; i++) {
        ConfSubscription *subscription = g_ptr_array_index(session->subscriptions, i);
        subscription->cut = subscription->cut || subscription->walking ||
                            (subscription->initial && now - subscription->loaded_at < SURELY_TAKEN_USEC);
        subscription->walking = false;
    }
}

/* Anew and not from the cursor on: nobody knows how much of what was written has come.  What comes twice does
 * no harm to a mirror. */
void
conf_walk_resume(ConfSession *session, int64_t revision)
{
    for (unsigned i = 0; i < session->subscriptions->len; i++) {
        ConfSubscription *subscription = g_ptr_array_index(session->subscriptions, i);
        /* Who has had a later change has had the line before it. */
        bool loaded = subscription->loaded_at != 0 && revision > subscription->loaded_revision;
        if (subscription->cut && !loaded && !subscription->walking)
            conf_walk_start(session, subscription);
        subscription->cut = false;
    }
}

bool
conf_walk_step(ConfSession *session)
{
    ConfSubscription *subscription = next_walk(session);
    if (subscription == NULL)
        return false;
    conf_poller_note("walk");
    ConfStore *store = session->sessions->store;
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    unsigned count = 0;
    bool ended = false;
    while (buffer.size < LINE_TARGET && !conf_work_is_due()) {
        const ConfObject *object = advance(session, subscription);
        if (object == NULL) {
            ended = true;
            break;
        }
        ConfKey key = conf_object_key(object);
        ConfPlace *place = conf_store_place(store, object);
        bool shown =
            conf_scope_covers(subscription->scope, key, place) && conf_session_may_read(session, object);
        conf_place_unref(place);
        if (shown && count > 0 && buffer.size + object->body->size > LINE_LIMIT) {
            send_line(session, &buffer);
            count = 0;
        }
        subscription->cursor = key;
        subscription->cursor_set = true;
        if (!shown)
            continue;
        if (count == 0)
            write_head(&buffer, subscription);
        else
            conf_buffer_append_char(&buffer, ',');
        conf_buffer_append_slice(&buffer, conf_bytes_slice(object->body));
        count++;
    }
    if (count > 0)
        send_line(session, &buffer);
    if (ended)
        write_loaded(session, subscription);
    return next_walk(session) != NULL;
}

static ConfSubscription *
next_walk(ConfSession *session)
{
    for (unsigned i = 0; i < session->subscriptions->len; i++) {
        ConfSubscription *subscription = g_ptr_array_index(session->subscriptions, i);
        if (subscription->walking)
            return subscription;
    }
    return NULL;
}

/* The next candidate after the cursor, by the scope's narrowest member. */
static const ConfObject *
advance(ConfSession *session, ConfSubscription *subscription)
{
    ConfStore *store = session->sessions->store;
    const ConfScope *scope = subscription->scope;
    if (scope->object_count > 0) {
        while (subscription->type_index < scope->object_count) {
            const ConfObject *object = conf_store_lookup(store, scope->objects[subscription->type_index++]);
            if (object != NULL)
                return object;
        }
        return NULL;
    }
    if (scope->type_count == 0)
        return conf_store_next(store, subscription->cursor);
    while (subscription->type_index < scope->type_count) {
        ConfTypeId type = scope->types[subscription->type_index];
        int64_t after =
            subscription->cursor_set && subscription->cursor.type == type ? subscription->cursor.dbid : 0;
        const ConfObject *object = conf_store_next_of_type(store, type, after);
        if (object != NULL)
            return object;
        subscription->type_index++;
    }
    return NULL;
}

static void
write_head(ConfBuffer *buffer, const ConfSubscription *subscription)
{
    conf_rpc_begin_notification(buffer, "subscription.objects");
    conf_buffer_printf(buffer, "{\"subscription\":%" G_GINT64_FORMAT ",\"objects\":[", subscription->id);
}

static void
send_line(ConfSession *session, ConfBuffer *buffer)
{
    CONF_BUFFER_LITERAL(buffer, "]}}\n");
    g_autoptr(ConfBytes) line = conf_buffer_to_bytes(buffer);
    conf_connection_send_bytes(session->connection, line, CONF_OUTPUT_ANSWER);
    conf_buffer_truncate(buffer, 0);
}

static void
write_loaded(ConfSession *session, ConfSubscription *subscription)
{
    subscription->walking = false;
    int64_t revision = conf_store_position(session->sessions->store)->revision;
    subscription->loaded_revision = revision;
    subscription->loaded_at = conf_clock_monotonic_usec();
    conf_saved_change(session);
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_rpc_begin_notification(&buffer, "subscription.loaded");
    conf_buffer_printf(&buffer,
                       "{\"subscription\":%" G_GINT64_FORMAT ",\"revision\":%" G_GINT64_FORMAT "}}\n",
                       subscription->id, revision);
    g_autoptr(ConfBytes) line = conf_buffer_to_bytes(&buffer);
    conf_connection_send_bytes(session->connection, line, CONF_OUTPUT_ANSWER);
}
