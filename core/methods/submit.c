/* submit.c - a write on its way: the request is held, the role's sink takes the transaction, the answer comes
 * after the commit was published. */
#include "methods/methods-private.h"

static void finished(const ConfRpcError *error, int64_t revision, const ConfCommit *commit,
                     const ConfOperationResult *results, unsigned result_count, void *data);

void
conf_methods_submit(ConfMethods *methods, ConfRequest *request, ConfTransaction *transaction,
                    ConfWritingFunc done)
{
    ConfWriting *writing = conf_methods_writing_new(methods, conf_request_hold(request), transaction, done);
    if (!conf_write_order_wait(methods, writing, transaction))
        conf_methods_hand_over(writing, transaction);
}

ConfWriting *
conf_methods_writing_new(ConfMethods *methods, ConfRequest *held, ConfTransaction *transaction,
                         ConfWritingFunc done)
{
    ConfWriting *writing = g_new0(ConfWriting, 1);
    *writing = (ConfWriting){.methods = methods, .request = held, .done = done};
    methods->statistics.writes++;
    conf_session_author_transaction(conf_request_get_session(held), transaction);
    return writing;
}

void
conf_methods_hand_over(ConfWriting *writing, ConfTransaction *transaction)
{
    ConfWriteSink *sink = writing->methods->context.sink;
    sink->submit(sink->self, transaction, finished, writing);
}

void
conf_methods_answer_revision(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
                             const ConfOperationResult *results, unsigned result_count)
{
    (void)commit, (void)results, (void)result_count;
    ConfBuffer *buffer = conf_request_begin(writing->request);
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT "}", revision);
    conf_request_end(writing->request);
}

static void
finished(const ConfRpcError *error, int64_t revision, const ConfCommit *commit,
         const ConfOperationResult *results, unsigned result_count, void *data)
{
    ConfWriting *writing = data;
    ConfSession *session = conf_request_get_session(writing->request);
    if (writing->own_password && session != NULL) {
        conf_session_set_own_hash(session, NULL);
        if (error == NULL)
            conf_session_clear_must_change(session);
    }
    if (error != NULL)
        conf_request_fail(writing->request, error);
    else
        writing->done(writing, revision, commit, results, result_count);
    conf_request_release(writing->request);
    g_free(writing);
}
