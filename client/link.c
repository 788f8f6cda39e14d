/* link.c - a connection that carries lines, one JSON text each.  Knows nothing of JSON-RPC.
 *
 * Reading goes by a pollable stream and stops while a line is being handled, so a slow user of the library
 * slows the server down and nothing piles up here.  What waits to be written has a bound. */
#include "client-private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

enum { READ_SIZE = 64 * 1024, TURN_USEC = 20000, KEEP_SIZE = 1024 * 1024, USER_TIMEOUT_MS = 30000 };

struct ConfcLink {
    unsigned refs;
    bool is_closed;
    GMainContext *context;
    GSocketConnection *connection;
    ConfcTls *tls; /* NULL: plain */
    GPollableInputStream *input_stream;
    GPollableOutputStream *output_stream;
    GSource *input_source, *output_source, *failed_source;
    GByteArray *input;
    gsize line_max;
    gsize scanned; /* no LF before this place */
    GQueue output; /* GBytes */
    gsize output_offset, output_size;
    gint64 received_at;
    GError *failure;
    ConfcLinkLineFunc line;
    ConfcLinkClosedFunc closed;
    void *data;
};

static gboolean readable(GObject *stream, void *data);
static gboolean writable(GObject *stream, void *data);
static bool read_some(ConfcLink *link);
static bool take_lines(ConfcLink *link);
static void watch_output(ConfcLink *link);
static bool write_some(ConfcLink *link, GError **error);
static void fail(ConfcLink *link, GError *error);
static gboolean tell_failure(void *data);
static void drop_sources(ConfcLink *link);
static void link_unref(ConfcLink *link);

ConfcLink *
confc_link_new(GMainContext *context, GSocketConnection *connection, ConfcTls *tls, ConfcLinkLineFunc line,
               ConfcLinkClosedFunc closed, void *data)
{
    ConfcLink *link = g_new0(ConfcLink, 1);
    link->refs = 1;
    link->context = g_main_context_ref(context);
    link->connection = g_object_ref(connection);
    link->tls = tls;
    link->input_stream = G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(G_IO_STREAM(connection)));
    link->output_stream = G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(G_IO_STREAM(connection)));
    link->input = g_byte_array_new();
    link->received_at = g_get_monotonic_time();
    link->line_max = CONFC_GREETING_MAX;
    link->line = line;
    link->closed = closed;
    link->data = data;
    g_queue_init(&link->output);
    GSocket *socket = g_socket_connection_get_socket(connection);
    g_socket_set_keepalive(socket, TRUE);
    /* Not available for every kind of socket; without them a break is noticed later, nothing else. */
    g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    g_socket_set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS, NULL);

    link->input_source = g_pollable_input_stream_create_source(link->input_stream, NULL);
    g_source_set_callback(link->input_source, G_SOURCE_FUNC(readable), link, NULL);
    g_source_attach(link->input_source, context);
    return link;
}

bool
confc_link_send(ConfcLink *link, GBytes *line, GError **error)
{
    gsize size = g_bytes_get_size(line);
    if (size > CONFC_OUTPUT_MAX - link->output_size) {
        g_set_error(error, CONFC_ERROR, CONFC_ERROR_QUEUE_FULL,
                    "More than %d bytes wait to be sent to the server", CONFC_OUTPUT_MAX);
        return false;
    }
    g_queue_push_tail(&link->output, g_bytes_ref(line));
    link->output_size += size;
    /* Written from the main loop, so that requests made in one turn leave together. */
    watch_output(link);
    return true;
}

void
confc_link_set_line_max(ConfcLink *link, gsize size)
{
    link->line_max = size;
}

void
confc_link_close(ConfcLink *link)
{
    if (link == NULL || link->is_closed)
        return;
    link->is_closed = true;
    drop_sources(link);
    if (link->tls != NULL)
        confc_tls_say_goodbye(link->tls);
    /* Goes without blocking: a socket has nothing to flush. */
    g_io_stream_close(G_IO_STREAM(link->connection), NULL, NULL);
    link_unref(link);
}

gint64
confc_link_get_received_at(const ConfcLink *link)
{
    return link->received_at;
}

ConfcTls *
confc_link_get_tls(const ConfcLink *link)
{
    return link->tls;
}

static gboolean
readable(GObject *stream, void *data)
{
    ConfcLink *link = data;
    gint64 until = g_get_monotonic_time() + TURN_USEC;
    link->refs++;
    /* Timers have their turn too, however much a server sends.  What TLS has taken from the socket
     * already would not wake the loop. */
    while (!link->is_closed && read_some(link) &&
           (g_get_monotonic_time() < until || (link->tls != NULL && confc_tls_has_input(link->tls))))
        continue;
    link_unref(link);
    return G_SOURCE_CONTINUE;
}

/* False: nothing more for now, or the end. */
static bool
read_some(ConfcLink *link)
{
    g_autoptr(GError) error = NULL;
    gsize before = link->input->len;
    g_byte_array_set_size(link->input, (guint)(before + READ_SIZE));
    gssize count = link->tls != NULL
                       ? confc_tls_read(link->tls, link->input->data + before, READ_SIZE, &error)
                       : g_pollable_input_stream_read_nonblocking(
                             link->input_stream, link->input->data + before, READ_SIZE, NULL, &error);
    g_byte_array_set_size(link->input, (guint)(before + (gsize)MAX(count, 0)));
    if (count > 0) {
        link->received_at = g_get_monotonic_time();
        return take_lines(link);
    }
    if (count < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        return false;
    fail(link, count == 0
                   ? g_error_new_literal(CONFC_ERROR, CONFC_ERROR_LOST, "The server closed the connection")
                   : g_error_new(CONFC_ERROR, CONFC_ERROR_LOST, "The connection broke: %s", error->message));
    return false;
}

/* False: closed meanwhile. */
static bool
take_lines(ConfcLink *link)
{
    gsize begin = 0;
    for (;;) {
        const char *text = (const char *)link->input->data;
        gsize from = MAX(begin, link->scanned);
        const char *end = memchr(text + from, '\n', link->input->len - from);
        if (end == NULL)
            break;
        gsize size = (gsize)(end - text) - begin, next = begin + size + 1;
        if (size > 0 && text[begin + size - 1] == '\r')
            size--;
        if (size > 0)
            link->line(link, text + begin, size, link->data);
        if (link->is_closed)
            return false;
        begin = next;
    }
    if (begin > 0)
        g_byte_array_remove_range(link->input, 0, (guint)begin);
    link->scanned = link->input->len;
    if (link->input->len > link->line_max) {
        fail(link,
             g_error_new(CONFC_ERROR, CONFC_ERROR_MALFORMED,
                         "The server sent a line of more than %" G_GSIZE_FORMAT " bytes", link->line_max));
        return false;
    }
    if (link->input->len == 0 && begin > KEEP_SIZE) {
        /* After a long line its memory goes back. */
        g_byte_array_unref(link->input);
        link->input = g_byte_array_new();
    }
    return true;
}

static void
watch_output(ConfcLink *link)
{
    if (link->output_source != NULL || link->failed_source != NULL || link->is_closed ||
        g_queue_is_empty(&link->output))
        return;
    link->output_source = g_pollable_output_stream_create_source(link->output_stream, NULL);
    g_source_set_callback(link->output_source, G_SOURCE_FUNC(writable), link, NULL);
    g_source_attach(link->output_source, link->context);
}

static gboolean
writable(GObject *stream, void *data)
{
    ConfcLink *link = data;
    g_autoptr(GError) error = NULL;
    if (!write_some(link, &error)) {
        /* What the server said last, perhaps why it ended the session, is still to be read. */
        link->refs++;
        while (!link->is_closed && link->failed_source == NULL && read_some(link))
            continue;
        fail(link, g_error_new(CONFC_ERROR, CONFC_ERROR_LOST, "The connection broke: %s", error->message));
        link_unref(link);
        return G_SOURCE_REMOVE;
    }
    if (!g_queue_is_empty(&link->output) || (link->tls != NULL && confc_tls_has_output(link->tls)))
        return G_SOURCE_CONTINUE;
    confc_client_clear_source(&link->output_source);
    return G_SOURCE_REMOVE;
}

static bool
write_some(ConfcLink *link, GError **error)
{
    GBytes *line;
    while ((line = g_queue_peek_head(&link->output)) != NULL) {
        gsize size;
        const char *text = g_bytes_get_data(line, &size);
        g_autoptr(GError) fault = NULL;
        gssize count =
            link->tls != NULL
                ? confc_tls_write(link->tls, text + link->output_offset, size - link->output_offset, &fault)
                : g_pollable_output_stream_write_nonblocking(link->output_stream, text + link->output_offset,
                                                             size - link->output_offset, NULL, &fault);
        if (count < 0 && g_error_matches(fault, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
            return true;
        if (count < 0) {
            g_propagate_error(error, g_steal_pointer(&fault));
            return false;
        }
        link->output_offset += (gsize)count;
        link->output_size -= (gsize)count;
        if (link->output_offset < size)
            continue;
        g_bytes_unref(g_queue_pop_head(&link->output));
        link->output_offset = 0;
    }
    g_autoptr(GError) fault = NULL;
    if (link->tls == NULL || confc_tls_flush(link->tls, &fault) ||
        g_error_matches(fault, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        return true;
    g_propagate_error(error, g_steal_pointer(&fault));
    return false;
}

/* Takes `error`.  Told from the main loop, never from within a call of the owner. */
static void
fail(ConfcLink *link, GError *error)
{
    if (link->is_closed || link->failed_source != NULL) {
        g_error_free(error);
        return;
    }
    drop_sources(link);
    link->failure = error;
    link->failed_source = g_idle_source_new();
    g_source_set_priority(link->failed_source, G_PRIORITY_DEFAULT);
    g_source_set_callback(link->failed_source, tell_failure, link, NULL);
    g_source_attach(link->failed_source, link->context);
}

static gboolean
tell_failure(void *data)
{
    ConfcLink *link = data;
    link->refs++;
    link->closed(link, link->failure, link->data);
    link_unref(link);
    return G_SOURCE_REMOVE;
}

static void
drop_sources(ConfcLink *link)
{
    confc_client_clear_source(&link->input_source);
    confc_client_clear_source(&link->output_source);
    confc_client_clear_source(&link->failed_source);
}

static void
link_unref(ConfcLink *link)
{
    if (--link->refs > 0)
        return;
    drop_sources(link);
    g_queue_clear_full(&link->output, (GDestroyNotify)g_bytes_unref);
    g_byte_array_unref(link->input);
    g_clear_error(&link->failure);
    confc_tls_free(link->tls);
    g_object_unref(link->connection);
    g_main_context_unref(link->context);
    g_free(link);
}
