/* replay.c - what a session missed, out of the ring of recent changes: after `since`, and at session.resume.
 *
 * Two passes, both in slices: the first counts what will be sent and finds the last commit that calls for a
 * reset (rights of then that are no longer known: protocol.md 6, 13.3); the second sends, as the socket takes
 * it.  While a session replays, its connection's input is held: an answer that shows the present revision
 * must not overtake the past. */
#include "session/session-private.h"

struct ConfReplay {
    int64_t cursor; /* the last revision looked at */
    int64_t from;
    int64_t reset_at; /* revision of the last commit that calls for a reset; 0: none */
    uint64_t missed;
    bool going;           /* second pass */
    ConfSlicedWork *work; /* first pass */
    void (*done)(ConfSession *session, uint64_t missed, void *data);
    void *data;
    GHashTable *cache;
};

static bool count_slice(void *data);
static void view_of(ConfSession *session, ConfCommit *commit, ConfView *view, ConfViewer *viewer,
                    GPtrArray *scopes);
static void go_live(ConfSession *session);

void
conf_replay_start(ConfSession *session, int64_t from,
                  void (*done)(ConfSession *session, uint64_t missed, void *data), void *data)
{
    ConfReplay *replay = g_new0(ConfReplay, 1);
    replay->from = from;
    replay->cursor = from;
    replay->done = done;
    replay->data = data;
    session->replay = replay;
    conf_audience_leave(session);
    if (session->connection != NULL && !session->input_held) {
        session->input_held = true;
        conf_connection_hold_input(session->connection);
    }
    replay->work = conf_work_start(conf_poller_default(), "replay", count_slice, session);
}

void
conf_replay_go(ConfSession *session)
{
    ConfReplay *replay = session->replay;
    replay->going = true;
    replay->cursor = replay->reset_at != 0 ? replay->reset_at - 1 : replay->from;
    conf_producer_add(session);
}

int64_t
conf_replay_get_from(const ConfSession *session)
{
    return session->replay->from;
}

bool
conf_replay_is_going(const ConfSession *session)
{
    return session->replay != NULL && session->replay->going;
}

/* What is not sent yet would be judged by the groups of now, and show what the session might not see then:
 * the reset that this commit calls for anyway comes next. */
void
conf_replay_forget_past(ConfSession *session, const ConfCommit *commit)
{
    ConfReplay *replay = session->replay;
    replay->reset_at = commit->revision;
    replay->missed = 1;
    if (replay->going)
        replay->cursor = commit->from != 0 ? commit->from : commit->revision - 1;
}

void
conf_replay_stop(ConfSession *session)
{
    ConfReplay *replay = session->replay;
    if (replay == NULL)
        return;
    if (replay->work != NULL)
        conf_work_cancel(replay->work);
    session->replay = NULL;
    g_free(replay);
    if (session->connection != NULL && session->input_held) {
        session->input_held = false;
        conf_connection_release_input(session->connection);
    }
}

bool
conf_replay_step(ConfSession *session)
{
    ConfReplay *replay = session->replay;
    ConfStore *store = session->sessions->store;
    conf_poller_note("replay");
    ConfCommit *commit = conf_store_recent_after(store, replay->cursor);
    if (commit == NULL && replay->cursor < conf_store_position(store)->revision) {
        /* The ring has moved past this session while its socket was slow. */
        int64_t revision = conf_store_position(store)->revision;
        go_live(session);
        conf_fan_out_reset(session, revision, CONF_REASON_PERMISSION);
        return session->connection != NULL;
    }
    if (commit == NULL) {
        go_live(session);
        return true;
    }
    replay->cursor = commit->revision;
    if (commit->revision == replay->reset_at ||
        conf_alterations_may_concern(session->sessions, commit, session)) {
        /* Walks of the initial subscriptions begin once the replay is over. */
        conf_fan_out_reset(session, commit->revision, CONF_REASON_PERMISSION);
        return session->connection != NULL;
    }
    ConfView view;
    ConfViewer viewer;
    g_autoptr(GPtrArray) scopes = g_ptr_array_new();
    view_of(session, commit, &view, &viewer, scopes);
    g_autoptr(GHashTable) cache = conf_view_cache_new();
    if (view.reset)
        conf_fan_out_reset(session, commit->revision, view.reset_reason);
    else if (view.items->len > 0)
        conf_fan_out_send(session, conf_view_lines(&view, &viewer, cache), commit->revision);
    conf_view_clear(&view);
    return session->connection != NULL;
}

static bool
count_slice(void *data)
{
    ConfSession *session = data;
    ConfReplay *replay = session->replay;
    ConfStore *store = session->sessions->store;
    ConfCommit *commit;
    while ((commit = conf_store_recent_after(store, replay->cursor)) != NULL) {
        if (conf_work_is_due())
            return true;
        replay->cursor = commit->revision;
        if (commit->revision == replay->reset_at ||
            conf_alterations_may_concern(session->sessions, commit, session)) {
            replay->reset_at = commit->revision;
            replay->missed = 1;
            continue;
        }
        ConfView view;
        ConfViewer viewer;
        g_autoptr(GPtrArray) scopes = g_ptr_array_new();
        view_of(session, commit, &view, &viewer, scopes);
        if (view.reset) {
            replay->reset_at = commit->revision;
            replay->missed = 1;
        } else if (view.items->len > 0) {
            replay->missed++;
        }
        conf_view_clear(&view);
    }
    replay->work = NULL;
    replay->done(session, replay->missed, replay->data);
    return false;
}

static void
view_of(ConfSession *session, ConfCommit *commit, ConfView *view, ConfViewer *viewer, GPtrArray *scopes)
{
    for (unsigned i = 0; i < session->subscriptions->len; i++) {
        ConfSubscription *subscription = g_ptr_array_index(session->subscriptions, i);
        g_ptr_array_add(scopes, subscription->scope);
    }
    *viewer = (ConfViewer){
        .sessions = session->sessions,
        .commit = commit,
        .identity_before = session->identity,
        .identity_after = session->identity,
        .scopes = (ConfScope *const *)(void *)scopes->pdata,
        .scope_count = scopes->len,
        .only = conf_hooks_have_visible() ? session : NULL,
    };
    conf_view_init(view);
    conf_view_add_changes(view, viewer, NULL);
    conf_view_finish(view, viewer);
}

static void
go_live(ConfSession *session)
{
    conf_replay_stop(session);
    conf_audience_place(session);
}
