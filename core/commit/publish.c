/* publish.c - a commit becomes visible: applied to the store, then told to those who listen.  The same on
 * every role. */
#include "commit/commit-queue.h"

typedef struct {
    ConfPublishFuncs funcs;
    void *data;
} ConfListener;

struct ConfPublisher {
    ConfStore *store;
    GArray *listeners; /* ConfListener, in the order of their addition */
};

static void tell_about(ConfCommit *commit, void *data);

ConfPublisher *
conf_publisher_new(ConfStore *store)
{
    ConfPublisher *publisher = g_new0(ConfPublisher, 1);
    publisher->store = store;
    publisher->listeners = g_array_new(FALSE, FALSE, sizeof(ConfListener));
    return publisher;
}

void
conf_publisher_free(ConfPublisher *publisher)
{
    if (publisher == NULL)
        return;
    g_array_unref(publisher->listeners);
    g_free(publisher);
}

void
conf_publisher_add(ConfPublisher *publisher, const ConfPublishFuncs *funcs, void *data)
{
    ConfListener listener = {*funcs, data};
    g_array_append_val(publisher->listeners, listener);
}

void
conf_publisher_publish(ConfPublisher *publisher, ConfCommit *commit)
{
    /* A listener may be the one that lets go of the last other reference. */
    g_autoptr(ConfCommit) held = conf_commit_ref(commit);
    conf_store_apply(publisher->store, held, tell_about, publisher);
    for (unsigned i = 0; i < publisher->listeners->len; i++) {
        ConfListener listener = g_array_index(publisher->listeners, ConfListener, i);
        if (listener.funcs.done != NULL)
            listener.funcs.done(held, listener.data);
    }
}

static void
tell_about(ConfCommit *commit, void *data)
{
    ConfPublisher *publisher = data;
    for (unsigned i = 0; i < publisher->listeners->len; i++) {
        ConfListener listener = g_array_index(publisher->listeners, ConfListener, i);
        if (listener.funcs.about != NULL)
            listener.funcs.about(commit, listener.data);
    }
}
