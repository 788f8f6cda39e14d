/* t-history.c - test plugin: provides service "history" out of memory, since it was loaded.  Option
 * `late`: it answers some time later, and only of what was committed before it was asked; `slow`: so many
 * milliseconds later, also of replays and sessions, of which it has none. */
#include "plugin-test.h"

#include "base/error.h"

typedef struct {
    int64_t revision, dbid;
    char *type, *before, *after, *rights;
} Change;

typedef struct {
    bool late, broken;
    int64_t slow;
} Settings;

static const ConfOption OPTIONS[] = {
    CONF_OPTION_BOOL(Settings, late, NULL, "late", "no", NULL, CONF_AT_ONCE, "Answers later."),
    CONF_OPTION_BOOL(Settings, broken, NULL, "broken", "no", NULL, CONF_AT_ONCE,
                     "Fails in the middle of a list."),
    CONF_OPTION_INT(Settings, slow, NULL, "slow", "0", "0.. ms", CONF_AT_ONCE, "Answers so much later."),
    CONF_OPTION_END,
};

typedef struct {
    ConfPlugin *plugin;
    const Settings *settings;
    GPtrArray *changes; /* of Change, ascending */
    GPtrArray *events;
    GQueue waiting; /* of Question */
    int64_t oldest, caught_up;
    uint64_t lists, answered;
} History;

/* One question that waits. */
typedef struct {
    char *type;
    int64_t dbid, revision, upto;
    uint64_t session;
    bool may_read;
    bool (*func)(const char *, int64_t, const char *, const char *, void *);
    void (*done)(int64_t, const GError *, void *);
    void (*read_done)(const char *, const GError *, void *);
    bool (*replay_func)(const char *, const char *, void *);
    void (*replay_done)(const GError *, void *);
    void (*load_done)(const char *, void *);
    void *data;
} Question;

static void
free_change(void *data)
{
    Change *change = data;
    g_free(change->type);
    g_free(change->before);
    g_free(change->after);
    g_free(change->rights);
    g_free(change);
}

static void
committed(void *self, const ConfCommit *commit)
{
    History *history = self;
    if (history->oldest == 0)
        history->oldest = conf_commit_get_revision(commit);
    for (unsigned i = 0; i < conf_commit_get_length(commit); i++) {
        const ConfObject *before, *after;
        const char *op = conf_commit_get_change(commit, i, &before, &after);
        if (test_is(op, "permission") || test_is(op, "secret"))
            continue;
        const ConfObject *any = after != NULL ? after : before;
        Change *change = g_new0(Change, 1);
        change->revision = conf_commit_get_revision(commit);
        change->type = g_strdup(conf_object_get_type(any));
        change->dbid = conf_object_get_dbid(any);
        change->before = before != NULL ? g_strdup(conf_object_get_json(before, NULL)) : NULL;
        change->after = after != NULL ? g_strdup(conf_object_get_json(after, NULL)) : NULL;
        change->rights = after == NULL ? conf_commit_get_rights(commit, i) : NULL;
        g_ptr_array_add(history->changes, change);
    }
}

static int64_t
get_confirmed(void *self)
{
    (void)self;
    return 0;
}

static int64_t
get_oldest(void *self)
{
    return ((History *)self)->oldest;
}

/* The first change of it above the revision; NULL: none.  *last: the last one up to `upto`. */
static const Change *
find(const History *history, const char *type, int64_t dbid, int64_t revision, int64_t upto,
     const Change **last)
{
    const Change *first = NULL;
    for (unsigned i = 0; i < history->changes->len; i++) {
        const Change *change = history->changes->pdata[i];
        if (change->revision <= revision || change->revision > upto || change->dbid != dbid ||
            !test_is(change->type, type))
            continue;
        if (first == NULL)
            first = change;
        *last = change;
    }
    return first;
}

static void
answer_read(History *history, Question *question)
{
    const Change *last = NULL;
    const Change *first =
        find(history, question->type, question->dbid, question->revision, G_MAXINT64, &last);
    bool is_there = first != NULL && first->before != NULL && (last->after != NULL || question->may_read);
    g_autoptr(GError) none = g_error_new_literal(CONF_ERROR, CONF_ERROR_NOT_FOUND, "There was none");
    question->read_done(is_there ? first->before : NULL, is_there ? NULL : none, question->data);
}

static void
answer_list(History *history, Question *question)
{
    g_autoptr(GError) broken = history->settings->broken ? g_error_new_literal(CONF_ERROR, CONF_ERROR_FULL,
                                                                               "The history is full of holes")
                                                         : NULL;
    bool more = true;
    for (unsigned i = 0; i < history->changes->len && more; i++) {
        const Change *change = history->changes->pdata[i], *last = NULL;
        if (change->revision > question->revision && change->revision <= question->upto &&
            find(history, change->type, change->dbid, question->revision, question->upto, &last) == change)
            more = question->func(change->type, change->dbid, change->before, last->rights, question->data);
    }
    question->done(question->upto, broken, question->data);
}

/* Records that nobody has asked for any more are not looked at. */
static void
answer_replay(const History *history, Question *question)
{
    g_autoptr(GError) error = g_error_new_literal(CONF_ERROR, CONF_ERROR_NOT_FOUND, "No records are held");
    if (history->settings->slow > 0)
        question->replay_func("{}", "0123456789abcdef", question->data);
    question->replay_done(error, question->data);
}

static void
due(void *self, void *data)
{
    Question *question = data;
    History *history = self;
    g_queue_remove(&history->waiting, question);
    if (question->replay_done != NULL)
        answer_replay(self, question);
    else if (question->load_done != NULL)
        question->load_done(history->settings->slow > 0 ? "{\"person\":100}" : NULL, question->data);
    else if (question->done != NULL)
        answer_list(self, question);
    else
        answer_read(self, question);
    history->answered++;
    g_free(question->type);
    g_free(question);
}

static void
ask(History *history, Question *question)
{
    g_queue_push_tail(&history->waiting, question);
    int64_t wait = history->settings->slow > 0 ? history->settings->slow : history->settings->late ? 20 : 0;
    if (wait == 0 || conf_timer(history->plugin, (unsigned)wait, due, question) == 0)
        due(history, question);
}

static void
read_as_of(void *self, ConfSession *s, const char *type, int64_t dbid, int64_t revision,
           void (*done)(const char *object_json, const GError *error, void *data), void *data)
{
    History *history = self;
    Question *question = g_new0(Question, 1);
    *question = (Question){
        .type = g_strdup(type), .dbid = dbid, .revision = revision, .read_done = done, .data = data};
    const Change *last = NULL;
    find(history, type, dbid, revision, G_MAXINT64, &last);
    question->may_read = last != NULL && last->rights != NULL && conf_session_may_by(s, last->rights, "read");
    ask(history, question);
}

static void
list_as_of(void *self, int64_t revision,
           bool (*func)(const char *type, int64_t dbid, const char *object_json, const char *last_rights,
                        void *data),
           void (*done)(int64_t upto, const GError *error, void *data), void *data)
{
    History *history = self;
    Question *question = g_new0(Question, 1);
    *question = (Question){.revision = revision,
                           .upto = conf_plugin_get_revision(history->plugin),
                           .func = func,
                           .done = done,
                           .data = data};
    history->lists++;
    ask(history, question);
}

static void
past_was_read(void *self, ConfSession *s, const char *method, const char *params_json)
{
    History *history = self;
    test_note(history->events, "%s %s %s", conf_session_get_user_name(s), method, params_json);
}

static void
replay(void *self, int64_t after, bool (*func)(const char *, const char *, void *),
       void (*done)(const GError *, void *), void *data)
{
    Question *question = g_new0(Question, 1);
    *question = (Question){.revision = after, .replay_func = func, .replay_done = done, .data = data};
    ask(self, question);
}

static void
save_session(void *self, const char *token_hash, const char *session_json)
{
    (void)self;
    (void)token_hash;
    (void)session_json;
}

static void
load_session(void *self, const char *token_hash, void (*done)(const char *, void *), void *data)
{
    (void)token_hash;
    Question *question = g_new0(Question, 1);
    *question = (Question){.load_done = done, .data = data};
    ask(self, question);
}

/* As if there were nothing but what the core has anyway. */
static int64_t
get_replay_start(void *self, int64_t upto)
{
    History *history = self;
    test_note(history->events, "asked for a start up to %" G_GINT64_FORMAT, upto);
    return history->settings->slow > 0 ? upto + 1 : -1;
}

static bool
catch_up(void *self, int64_t revision, const char *chain, const char *record_json, GError **error)
{
    (void)chain;
    (void)record_json;
    (void)error;
    History *history = self;
    history->caught_up = revision;
    return true;
}

static void
set_position(void *self, const char *environment, int64_t revision, const char *chain)
{
    History *history = self;
    test_note(history->events, "position %zu %" G_GINT64_FORMAT " %zu, revision %" G_GINT64_FORMAT,
              strlen(environment), revision, strlen(chain), conf_plugin_get_revision(history->plugin));
}

static void
changes_read(void *self, const ConfStorageChange *changes, size_t count, const GError *error, void *data)
{
    History *history = self;
    (void)data;
    if (error != NULL)
        test_note(history->events, "no changes: %d", error->code);
    else
        test_note(history->events, "%zu changes from %" G_GINT64_FORMAT ", %s", count,
                  count > 0 ? changes[0].revision : 0,
                  count == 0 || strlen(changes[0].record) == changes[0].record_size ? "whole" : "cut");
}

/* {"after":N} */
static void
read_changes(void *self, ConfRequest *r)
{
    History *history = self;
    const ConfJson *params = conf_value_parse(conf_request_get_params_json(r), NULL);
    int64_t after = 0;
    conf_value_integer(conf_value_member(params, "after"), &after);
    test_note(history->events, "caught up to %" G_GINT64_FORMAT, history->caught_up);
    conf_plugin_read_changes(history->plugin, after, changes_read, NULL);
    conf_request_answer_json(r, "{}");
}

static void
events(void *self, ConfRequest *r)
{
    test_answer_events(((History *)self)->events, r);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {.size = sizeof hooks, .committed = committed};
    static const ConfHistoryProvider provider = {
        .size = sizeof provider,
        .get_confirmed = get_confirmed,
        .read_as_of = read_as_of,
        .replay = replay,
        .get_oldest = get_oldest,
        .list_as_of = list_as_of,
        .past_was_read = past_was_read,
        .save_session = save_session,
        .load_session = load_session,
        .get_replay_start = get_replay_start,
        .catch_up = catch_up,
        .set_position = set_position,
    };
    History *history = g_new0(History, 1);
    history->plugin = p;
    history->settings = settings;
    history->changes = g_ptr_array_new_with_free_func(free_change);
    history->events = g_ptr_array_new_with_free_func(g_free);
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    conf_plugin_statistic(p, "lists", &history->lists);
    conf_plugin_statistic(p, "answered", &history->answered);
    if (conf_plugin_add_method(p, "t-history.events", true, events, error) &&
        conf_plugin_add_method(p, "t-history.changes", true, read_changes, error) &&
        conf_plugin_provide(p, "history", &provider, error))
        return history;
    g_ptr_array_free(history->changes, TRUE);
    g_ptr_array_free(history->events, TRUE);
    g_free(history);
    return NULL;
}

static void
changed(void *self, const void *settings)
{
    ((History *)self)->settings = settings;
}

/* Who asked is told in any case. */
static void
stop(void *self)
{
    History *history = self;
    while (history->waiting.length > 0)
        due(history, history->waiting.head->data);
}

static void
unload(void *self)
{
    History *history = self;
    g_ptr_array_free(history->changes, TRUE);
    g_ptr_array_free(history->events, TRUE);
    g_free(history);
}

CONF_PLUGIN(.name = "t-history", .version = "1", .summary = "Holds the past", .options = OPTIONS,
            .settings_size = sizeof(Settings), .load = load, .changed = changed, .stop = stop,
            .unload = unload);
