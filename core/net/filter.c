/* filter.c - the stack of transforms between the socket and the lines (TLS).
 *
 * The first one pushed is next to the wire, each further one stands above it.  One starts when the one
 * below is ready, so encode is never called on one that is not.  Bytes that filters make for the wire
 * gather in a buffer, which the flush at the end of the turn sends; plain bytes wait in the connection's
 * queue until the socket takes what they become. */
#include <string.h>

#include "net/connection-private.h"

static ConfFilterTable *copy_table(const ConfFilterTable *table);
static void start(ConfFilterHandle *handle);

void
conf_connection_push_filter(ConfConnection *connection, const ConfFilterTable *table, void *filter)
{
    ConfFilterHandle *handle = g_new0(ConfFilterHandle, 1);
    *handle = (ConfFilterHandle){.connection = connection, .table = copy_table(table), .filter = filter};
    if (connection->filters == NULL)
        connection->filters = g_new0(ConfFilters, 1);
    ConfFilters *filters = connection->filters;
    handle->below = filters->highest;
    if (filters->highest != NULL)
        filters->highest->above = handle;
    else
        filters->lowest = handle;
    filters->highest = handle;
    /* Lines may have been exchanged already: there is no point in the stream where it could begin. */
    if (connection->state >= CONF_CONNECTION_OPEN)
        conf_connection_close(connection, "A filter was pushed on an open connection");
}

void
conf_filter_emit_plain(ConfFilterHandle *h, const void *data, size_t size)
{
    if (h->connection->state > CONF_CONNECTION_OPEN || size == 0)
        return;
    if (h->above == NULL)
        conf_connection_take_plain(h->connection, data, size);
    else
        h->above->table->decode(h->above->filter, h->above, data, size);
}

void
conf_filter_emit_wire(ConfFilterHandle *h, const void *data, size_t size)
{
    ConfConnection *connection = h->connection;
    if (connection->state >= CONF_CONNECTION_SHUT || size == 0)
        return;
    if (h->below != NULL) {
        h->below->table->encode(h->below->filter, h->below, data, size);
        return;
    }
    conf_buffer_append(&connection->filters->wire, data, size);
    conf_connection_count_wire(connection, size);
    conf_connection_queue_flush(connection);
}

void
conf_filter_ready(ConfFilterHandle *h)
{
    if (h->ready || h->connection->state != CONF_CONNECTION_HANDSHAKING)
        return;
    h->ready = true;
    if (h->above != NULL)
        start(h->above);
    else
        conf_connection_become_open(h->connection);
}

void
conf_filter_set_encrypted(ConfFilterHandle *h, bool encrypted)
{
    h->encrypted = encrypted;
}

void
conf_filter_set_peer_identity(ConfFilterHandle *h, const char *subject, const char *const *names)
{
    ConfFilters *filters = h->connection->filters;
    g_free(filters->subject);
    g_strfreev(filters->names);
    filters->subject = g_strdup(subject);
    filters->names = g_strdupv((char **)names);
}

void
conf_filter_fail(ConfFilterHandle *h, const char *reason)
{
    ConfConnection *connection = h->connection;
    /* What it has put on the wire (an alert that says why) shall still go out. */
    if (connection->state == CONF_CONNECTION_HANDSHAKING || connection->state == CONF_CONNECTION_OPEN) {
        connection->filters->ended = true;
        conf_connection_clear_output(connection);
        conf_connection_close_after_answer(connection, reason);
        return;
    }
    conf_connection_close(connection, reason);
}

void
conf_filter_peer_ended(ConfFilterHandle *h)
{
    if (!h->connection->eof && h->connection->state <= CONF_CONNECTION_OPEN)
        conf_connection_end_of_input(h->connection);
}

ConfConnection *
conf_filter_get_connection(const ConfFilterHandle *h)
{
    return h->connection;
}

const char *
conf_connection_get_peer_subject(const ConfConnection *c)
{
    return c->filters != NULL ? c->filters->subject : NULL;
}

const char *const *
conf_connection_get_peer_names(const ConfConnection *c)
{
    return c->filters != NULL ? (const char *const *)c->filters->names : NULL;
}

void
conf_filters_start(ConfConnection *connection)
{
    start(connection->filters->lowest);
}

void
conf_filters_decode(ConfConnection *connection, const char *data, size_t size)
{
    ConfFilterHandle *lowest = connection->filters->lowest;
    lowest->table->decode(lowest->filter, lowest, data, size);
}

void
conf_filters_encode(ConfConnection *connection, const char *data, size_t size)
{
    ConfFilterHandle *highest = connection->filters->highest;
    highest->table->encode(highest->filter, highest, data, size);
}

/* From the top: what one says at its end goes through those below. */
void
conf_filters_end(ConfConnection *connection)
{
    connection->filters->ended = true;
    for (ConfFilterHandle *handle = connection->filters->highest; handle != NULL; handle = handle->below) {
        if (handle->ready && handle->table->end != NULL && connection->state == CONF_CONNECTION_CLOSING)
            handle->table->end(handle->filter, handle);
    }
}

bool
conf_filters_peer_closed(ConfConnection *connection)
{
    bool whole = true;
    for (ConfFilterHandle *handle = connection->filters->lowest; handle != NULL; handle = handle->above) {
        if (handle->started && handle->table->peer_closed != NULL &&
            !handle->table->peer_closed(handle->filter, handle))
            whole = false;
    }
    return whole;
}

void
conf_filters_free(ConfConnection *connection)
{
    ConfFilters *filters = connection->filters;
    if (filters == NULL)
        return;
    while (filters->highest != NULL) {
        ConfFilterHandle *handle = filters->highest;
        filters->highest = handle->below;
        if (handle->table->free != NULL)
            handle->table->free(handle->filter);
        g_free((ConfFilterTable *)handle->table);
        g_free(handle);
    }
    conf_buffer_clear(&filters->wire);
    g_free(filters->subject);
    g_strfreev(filters->names);
    g_free(filters);
    connection->filters = NULL;
}

size_t
conf_filters_wire_unsent(const ConfConnection *connection)
{
    return connection->filters != NULL ? connection->filters->wire.size - connection->filters->wire_sent : 0;
}

/* A plugin built against an older core has a shorter table: later members count as NULL. */
static ConfFilterTable *
copy_table(const ConfFilterTable *table)
{
    ConfFilterTable *copy = g_new0(ConfFilterTable, 1);
    memcpy(copy, table, MIN(table->size, sizeof(*copy)));
    return copy;
}

static void
start(ConfFilterHandle *handle)
{
    handle->started = true;
    if (handle->table->start != NULL)
        handle->table->start(handle->filter, handle, handle->connection->outgoing);
    else
        conf_filter_ready(handle);
}
