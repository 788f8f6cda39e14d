/* replay.c - what a session missed, out of the ring of recent changes, and from before it (archive.c): after
 * `since`, and at session.resume.
 *
 * Two passes, both in slices: the first counts what will be sent and finds the last commit that calls for a
 * reset (rights of then that are no longer known: protocol.md 6, 13.3); the second sends, as the socket takes
 * it.  While a session replays, its connection's input is held: an answer that shows the present revision
 * must not overtake the past.
 *
 * Of what comes out of the history the first pass keeps the lines, as far as they are few: to read and judge
 * a commit there takes longer than to send it. */
#include "session/session-private.h"

enum { KEPT_MAX = 4 * 1024 * 1024, KEPT_BY_ALL_MAX = 64 * 1024 * 1024 };

/* What a commit means to the session. */
typedef struct {
    int64_t revision;
    GPtrArray *lines; /* of ConfBytes; NULL: a reset */
    ConfReason reason;
} Kept;

struct ConfReplay {
    int64_t cursor; /* the last revision looked at */
    int64_t from;
    int64_t reset_at;   /* revision of the last commit that calls for a reset; 0: none */
    int64_t reset_base; /* the one before it */
    uint64_t missed;
    bool going;           /* second pass */
    ConfSlicedWork *work; /* first pass */
    ConfReplayFunc done;
    void *data;
    char chain[17];    /* of `from`, as the client has it; "": not given */
    ConfArchive *past; /* NULL: not needed so far */
    bool past_looked_for;
    bool keeping;      /* every commit so far is among the kept ones, or says nothing */
    GQueue kept;       /* of Kept, ascending */
    int64_t kept_upto; /* the last revision of which that is true; 0: nothing was kept */
    size_t kept_bytes;
};

typedef enum { NEXT_COMMIT, NEXT_LATER, NEXT_LIVE, NEXT_GONE } Next;

static Next next_commit(ConfSession *session, ConfCommit **commit);
static void past_ready(void *data);
static void keep(ConfSession *session, const ConfCommit *commit, GPtrArray *lines, ConfReason reason);
static void drop_kept(ConfSession *session);
static void kept_free(void *data);
static bool send_kept(ConfSession *session);
static bool count_slice(void *data);
static void view_of(ConfSession *session, ConfCommit *commit, ConfView *view, ConfViewer *viewer,
                    GPtrArray *scopes);
static void go_live(ConfSession *session);

void
conf_replay_start(ConfSession *session, int64_t from, ConfReplayFunc done, void *data)
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
conf_replay_set_chain(ConfSession *session, const char *chain)
{
    g_strlcpy(session->replay->chain, chain, sizeof session->replay->chain);
}

void
conf_replay_go(ConfSession *session)
{
    ConfReplay *replay = session->replay;
    replay->going = true;
    replay->keeping = false;
    replay->chain[0] = '\0'; /* It was right. */
    if (replay->kept_upto == 0) {
        replay->cursor = replay->reset_at != 0 ? replay->reset_base : replay->from;
        if (replay->past != NULL)
            conf_archive_rewind(replay->past, replay->cursor);
    }
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
    replay->reset_base = commit->from != 0 ? commit->from : commit->revision - 1;
    replay->missed = 1;
    replay->keeping = false;
    drop_kept(session);
    if (replay->going)
        replay->cursor = replay->reset_base;
}

void
conf_replay_stop(ConfSession *session)
{
    ConfReplay *replay = session->replay;
    if (replay == NULL)
        return;
    if (replay->work != NULL)
        conf_work_cancel(replay->work);
    drop_kept(session);
    session->replay = NULL;
    conf_archive_free(replay->past);
    g_free(replay);
    if (session->connection != NULL && session->input_held) {
        session->input_held = false;
        conf_connection_release_input(session->connection);
    }
}

void
conf_replay_rest(ConfSession *session)
{
    if (session->replay != NULL && session->replay->past != NULL)
        conf_archive_rest(session->replay->past);
}

bool
conf_replay_step(ConfSession *session)
{
    ConfReplay *replay = session->replay;
    conf_poller_note("replay");
    if (replay->kept_upto != 0)
        return send_kept(session);
    g_autoptr(ConfCommit) commit = NULL;
    switch (next_commit(session, &commit)) {
    case NEXT_COMMIT:
        break;
    case NEXT_LATER:
        return false; /* past_ready() brings it back. */
    case NEXT_LIVE:
        go_live(session);
        return true;
    case NEXT_GONE: {
        /* The ring has moved past this session while its socket was slow, and nobody else holds what it
         * lacks. */
        int64_t revision = conf_store_position(session->sessions->store)->revision;
        go_live(session);
        conf_fan_out_reset(session, revision, CONF_REASON_PERMISSION);
        return session->connection != NULL;
    }
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
    conf_view_init(&view);
    view_of(session, commit, &view, &viewer, scopes);
    if (view.reset) {
        conf_fan_out_reset(session, commit->revision, view.reset_reason);
    } else if (view.items->len > 0) {
        g_autoptr(GPtrArray) lines = conf_view_write_lines(&view, &viewer);
        conf_fan_out_send(session, lines, commit->revision);
    }
    conf_view_clear(&view);
    return session->connection != NULL;
}

/* *commit: a reference. */
static Next
next_commit(ConfSession *session, ConfCommit **commit)
{
    ConfReplay *replay = session->replay;
    ConfStore *store = session->sessions->store;
    /* The ring may begin here and not know the chain: the commit that proves it comes out of the history. */
    bool is_unproved = replay->chain[0] != '\0' && replay->cursor == replay->from;
    ConfCommit *recent = is_unproved ? NULL : conf_store_recent_after(store, replay->cursor);
    if (recent != NULL) {
        conf_replay_rest(session);
        *commit = conf_commit_ref(recent);
        return NEXT_COMMIT;
    }
    if (replay->cursor >= conf_store_position(store)->revision)
        return NEXT_LIVE;
    if (!replay->past_looked_for) {
        replay->past_looked_for = true;
        replay->past = conf_archive_new(session->sessions, replay->chain, past_ready, session);
    }
    if (replay->past == NULL)
        return NEXT_GONE;
    switch (conf_archive_next(replay->past, replay->cursor, commit)) {
    case CONF_ARCHIVE_COMMIT:
        return NEXT_COMMIT;
    case CONF_ARCHIVE_LATER:
        return NEXT_LATER;
    case CONF_ARCHIVE_GONE:
        break;
    }
    return NEXT_GONE;
}

static void
past_ready(void *data)
{
    ConfSession *session = data;
    ConfReplay *replay = session->replay;
    if (replay->going)
        conf_producer_add(session);
    else if (replay->work == NULL)
        replay->work = conf_work_start(conf_poller_default(), "replay", count_slice, session);
}

/* Takes no reference to `lines`, but to what is in it. */
static void
keep(ConfSession *session, const ConfCommit *commit, GPtrArray *lines, ConfReason reason)
{
    ConfReplay *replay = session->replay;
    if (!replay->keeping)
        return;
    if (lines == NULL) /* Of what is before a reset nothing is sent. */
        drop_kept(session);
    size_t bytes = sizeof(Kept);
    for (unsigned i = 0; lines != NULL && i < lines->len; i++)
        bytes += sizeof(ConfBytes) + ((const ConfBytes *)g_ptr_array_index(lines, i))->size;
    replay->keeping =
        replay->kept_bytes + bytes <= KEPT_MAX && session->sessions->kept_bytes + bytes <= KEPT_BY_ALL_MAX;
    if (!replay->keeping)
        return;
    Kept *kept = g_new0(Kept, 1);
    *kept = (Kept){.revision = commit->revision, .reason = reason};
    if (lines != NULL)
        kept->lines = g_ptr_array_new_with_free_func((GDestroyNotify)conf_bytes_unref);
    for (unsigned i = 0; lines != NULL && i < lines->len; i++)
        g_ptr_array_add(kept->lines, conf_bytes_ref(g_ptr_array_index(lines, i)));
    g_queue_push_tail(&replay->kept, kept);
    replay->kept_upto = commit->revision;
    replay->kept_bytes += bytes;
    session->sessions->kept_bytes += bytes;
}

static void
drop_kept(ConfSession *session)
{
    ConfReplay *replay = session->replay;
    g_queue_clear_full(&replay->kept, kept_free);
    session->sessions->kept_bytes -= replay->kept_bytes;
    replay->kept_bytes = 0;
    replay->kept_upto = 0;
}

static void
kept_free(void *data)
{
    Kept *kept = data;
    if (kept->lines != NULL)
        g_ptr_array_unref(kept->lines);
    g_free(kept);
}

/* The next of the kept ones; behind the last the commits go on. */
static bool
send_kept(ConfSession *session)
{
    ConfReplay *replay = session->replay;
    Kept *kept = g_queue_pop_head(&replay->kept);
    if (kept == NULL) {
        replay->cursor = replay->kept_upto;
        drop_kept(session);
        if (replay->past != NULL)
            conf_archive_rewind(replay->past, replay->cursor);
        return true;
    }
    replay->cursor = kept->revision;
    if (kept->lines != NULL)
        conf_fan_out_send(session, kept->lines, kept->revision);
    else
        conf_fan_out_reset(session, kept->revision, kept->reason);
    kept_free(kept);
    return session->connection != NULL;
}

static bool
count_slice(void *data)
{
    ConfSession *session = data;
    ConfReplay *replay = session->replay;
    Next next = NEXT_COMMIT;
    while (!conf_work_is_due()) {
        g_autoptr(ConfCommit) commit = NULL;
        next = next_commit(session, &commit);
        if (next != NEXT_COMMIT)
            break;
        ConfView view;
        ConfViewer viewer;
        g_autoptr(GPtrArray) scopes = g_ptr_array_new();
        bool reset = commit->revision == replay->reset_at ||
                     conf_alterations_may_concern(session->sessions, commit, session);
        conf_view_init(&view);
        if (!reset)
            view_of(session, commit, &view, &viewer, scopes);
        if (replay->cursor == replay->from)
            replay->keeping = replay->past != NULL;
        if (reset || view.reset) {
            replay->reset_at = commit->revision;
            replay->reset_base = replay->cursor;
            replay->missed = 1;
            keep(session, commit, NULL, reset ? CONF_REASON_PERMISSION : view.reset_reason);
        } else if (view.items->len > 0) {
            replay->missed++;
            if (replay->keeping) {
                g_autoptr(GPtrArray) lines = conf_view_write_lines(&view, &viewer);
                keep(session, commit, lines, CONF_REASON_NONE);
            }
        } else if (replay->keeping) {
            replay->kept_upto = commit->revision;
        }
        conf_view_clear(&view);
        replay->cursor = commit->revision;
    }
    if (next == NEXT_COMMIT)
        return true;
    replay->work = NULL;
    if (next != NEXT_LATER)
        replay->done(session, replay->missed, next == NEXT_LIVE, replay->data);
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
    conf_view_add_changes(view, viewer, NULL);
    conf_view_finish(view, viewer);
}

static void
go_live(ConfSession *session)
{
    conf_replay_stop(session);
    conf_audience_place(session);
}
