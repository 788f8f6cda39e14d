/* batch.c - the answers of a batch, until the last of its requests is through, also those that were held. */
#include "rpc/request-private.h"

/* A longer line may hold one object only: protocol.md 1. */
enum { LINE_SIZE_MAX = 1024 * 1024 };

struct ConfBatch {
    ConfConnection *connection; /* NULL: gone */
    ConfGoneWatch gone;
    ConfBuffer answers; /* "[A,A", or empty */
    unsigned outstanding;
};

static void connection_gone(void *data);

ConfBatch *
conf_batch_new(ConfConnection *connection)
{
    ConfBatch *batch = g_new0(ConfBatch, 1);
    batch->connection = connection;
    batch->outstanding = 1; /* the dispatch itself */
    conf_connection_watch_gone(connection, &batch->gone, connection_gone, batch);
    return batch;
}

void
conf_batch_close(ConfBatch *batch)
{
    conf_batch_leave(batch);
}

void
conf_batch_join(ConfBatch *batch)
{
    batch->outstanding++;
}

ConfBuffer *
conf_batch_begin_answer(ConfBatch *batch, size_t *begin)
{
    *begin = batch->answers.size;
    conf_buffer_append_char(&batch->answers, batch->answers.size > 0 ? ',' : '[');
    return &batch->answers;
}

void
conf_batch_cut(ConfBatch *batch, size_t begin)
{
    conf_buffer_truncate(&batch->answers, begin);
}

bool
conf_batch_is_too_long(const ConfBatch *batch, size_t begin)
{
    return begin > 0 && batch->answers.size > LINE_SIZE_MAX;
}

void
conf_batch_leave(ConfBatch *batch)
{
    if (--batch->outstanding > 0)
        return;
    conf_connection_unwatch_gone(&batch->gone);
    if (batch->connection != NULL && batch->answers.size > 0) {
        /* One of the batch may have asked for the close that the others' answers go before. */
        ConfBuffer *output = conf_connection_output_last(batch->connection);
        conf_buffer_append_slice(output, conf_buffer_slice(&batch->answers));
        CONF_BUFFER_LITERAL(output, "]\n");
        conf_connection_written(batch->connection);
    }
    conf_buffer_clear(&batch->answers);
    g_free(batch);
}

static void
connection_gone(void *data)
{
    ConfBatch *batch = data;
    batch->connection = NULL;
}
