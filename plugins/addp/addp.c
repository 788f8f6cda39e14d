/* addp.c - the keep-alive of protocol.md 8: options, hooks and method addp.poll. Read this first.
 *
 * Each side has a timer of its own. It polls the other one when nothing came for its time, and closes when
 * nothing at all comes for that time again.  What is agreed on is told at session.open, session.resume and
 * replica.open, and may change at any time (addp.poll with member `addp`). */
#include <string.h>

#include "addp-private.h"

enum {
    REVIEW_MS = 1,
    REVIEWED_AT_ONCE = 200,
    AWAIT_DATA_MS = 200,
    INVALID_PARAMS = -32602,
    NOT_LOGGED_IN = -32000,
};

#define S AddpSettings
static const ConfOption OPTIONS[] = {
    CONF_OPTION_CHOICE(
        S, protocol, "", "protocol", "default", ADDP_PROTOCOLS, CONF_AT_ONCE,
        "Keep-alive of connections of which nothing else is said: addp, or none (default). The "
        "client's session.open and the connection of its application object say more."),
    CONF_OPTION_INT(
        S, timeout, "", "addp-timeout", "0 s", "0..3600 s", CONF_AT_ONCE,
        "This server polls a peer that was silent for so long, and gives it up after the same time "
        "again; 0: never. Counts with protocol = addp."),
    CONF_OPTION_INT(
        S, remote_timeout, "", "addp-remote-timeout", "0 s", "0..3600 s", CONF_AT_ONCE,
        "The same for the other side: it polls this server; 0: never. Counts with protocol = addp."),
    CONF_OPTION_CHOICE(S, trace, "", "addp-trace", "off", ADDP_TRACES, CONF_AT_ONCE,
                       "Polls in the log: local those that this server sends and their answers, remote those "
                       "that peers send, both, or off."),
    CONF_OPTION_END,
};

typedef enum {
    OPENING_NONE,
    OPENING_SESSION,  /* session.open, session.resume */
    OPENING_CONTINUE, /* session.continue: the rest of session.open */
    OPENING_REPLICA,  /* replica.open: the session stands */
} Opening;

static Opening opening_of(const char *method);
static void take_asked(Addp *self, ConfRequest *r, Opening opening, AddpTimes asked, const ConfJson *params);
static void add_to_answer(ConfRequest *r, AddpTimes in_force);
static int64_t application_of(const Addp *self, const ConfJson *params);
static void replica_answered(void *data, ConfConnection *c, const char *json);
static void refuse_params(ConfRequest *r, const char *path);
static bool take_agreement(Addp *self, ConfRequest *r, const ConfJson *addp);
static void review_all(Addp *self);
static void review_some(void *data, void *unused);
static void await_data(void *data, void *unused);

/* A link to the master: what it shall be kept alive with goes along with replica.open. */
static void
opened(void *data, ConfConnection *c)
{
    Addp *self = data;
    if (!conf_connection_is_outgoing(c))
        return;
    AddpLink *link = addp_link_get(self, c);
    g_autofree char *wish = addp_link_write_wish(link);
    conf_connection_add_param(c, self->plugin, "replica.open", "addp", wish, replica_answered);
    if (conf_plugin_get_revision(self->plugin) == 0)
        conf_timer(self->plugin, AWAIT_DATA_MS, await_data, NULL);
}

static void
idle(void *data, ConfConnection *c, unsigned quiet_ms)
{
    AddpLink *link = addp_link_lookup(data, c);
    if (link != NULL)
        addp_link_quiet(link, quiet_ms);
}

/* A log-in that asks for the keep-alive is told in its answer what is in force; that begins with the
 * session. */
static ConfVerdict
received(void *data, ConfRequest *r, GError **error)
{
    (void)error;
    Addp *self = data;
    Opening opening = opening_of(conf_request_get_method_name(r));
    const ConfConnection *c = opening != OPENING_NONE ? conf_request_get_peer(r) : NULL;
    if (c == NULL || conf_connection_is_outgoing(c))
        return CONF_NEXT;
    AddpLink *link = addp_link_lookup(self, c);
    if (opening == OPENING_CONTINUE) {
        if (link != NULL && link->pending)
            add_to_answer(r, addp_link_weigh(link, link->asking));
        return CONF_NEXT;
    }
    if (link != NULL && opening == OPENING_SESSION)
        link->pending = false; /* of an attempt before */
    const char *text = conf_request_get_params_json(r);
    const ConfJson *params = text != NULL ? conf_value_parse(text, NULL) : NULL;
    const ConfJson *addp = params != NULL ? conf_value_member(params, "addp") : NULL;
    if (addp == NULL)
        return CONF_NEXT;
    AddpTimes asked;
    g_autofree char *path = NULL;
    if (!addp_times_read(addp, &asked, &path)) {
        refuse_params(r, path);
        return CONF_DONE;
    }
    take_asked(self, r, opening, addp_times_mirror(asked), params);
    return CONF_NEXT;
}

static void
session_opened(void *data, ConfSession *s, bool resumed)
{
    (void)resumed;
    Addp *self = data;
    ConfConnection *c = conf_session_get_peer(s);
    AddpLink *link = c != NULL ? addp_link_lookup(self, c) : NULL;
    if (link == NULL || !link->pending)
        return;
    /* The answer may have been written before it was known whose session is resumed. */
    link->told = addp_link_weigh(link, link->asking);
    addp_link_set_application(link, conf_session_get_application(s));
    addp_link_agree(link, link->asking, false);
}

/* Connection objects: of clients, or of this server itself. */
static void
committed(void *data, const ConfCommit *commit)
{
    Addp *self = data;
    bool review = false;
    for (unsigned i = 0; i < conf_commit_get_length(commit); i++) {
        const ConfObject *before = NULL, *after = NULL;
        conf_commit_get_change(commit, i, &before, &after);
        if (after == NULL || strcmp(conf_object_get_type(after), "application") != 0)
            continue;
        int64_t dbid = conf_object_get_dbid(after);
        AddpApplication *application = g_hash_table_lookup(self->applications, &dbid);
        if (application != NULL && addp_application_read(self, application))
            review = true;
        if (strcmp(conf_object_get_name(after), conf_plugin_get_application(self->plugin)) == 0)
            review = true;
    }
    if (review)
        review_all(self);
}

/* Any side may ask before it has logged in; what it is to agree on, only afterwards. */
static void
poll_came(void *data, ConfRequest *r)
{
    Addp *self = data;
    const char *text = conf_request_get_params_json(r);
    const ConfJson *params = text != NULL && *text != '\0' ? conf_value_parse(text, NULL) : NULL;
    const ConfJson *addp = NULL;
    for (const ConfJson *member = conf_value_item(params, 0); member != NULL;
         member = conf_value_next(member)) {
        if (g_strcmp0(conf_value_key(member), "addp") != 0) {
            g_autofree char *path = addp_times_path("/", conf_value_key(member));
            refuse_params(r, path);
            return;
        }
        addp = member;
    }
    if (addp != NULL && !take_agreement(self, r, addp))
        return;
    const ConfConnection *c = conf_request_get_peer(r);
    const AddpLink *link = c != NULL ? addp_link_lookup(self, c) : NULL;
    self->polled++;
    if (link != NULL && (link->trace & ADDP_TRACE_CAME) != 0)
        conf_plugin_log(self->plugin, 2, "Keep-alive poll received", "peer", conf_connection_get_peer(c),
                        NULL);
    int64_t revision = conf_plugin_get_revision(self->plugin);
    g_autofree char *times =
        addp != NULL && link != NULL ? addp_times_write(addp_times_mirror(link->in_force)) : NULL;
    g_autofree char *answer =
        times != NULL  ? g_strdup_printf("{\"revision\":%" G_GINT64_FORMAT ",\"addp\":%s}", revision, times)
        : revision > 0 ? g_strdup_printf("{\"revision\":%" G_GINT64_FORMAT "}", revision)
                       : g_strdup("{}");
    conf_request_answer_json(r, answer);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks HOOKS = {
        .size = sizeof(HOOKS),
        .opened = opened,
        .idle = idle,
        .received = received,
        .committed = committed,
        .session_opened = session_opened,
    };

    if (!conf_plugin_add_method(p, "addp.poll", true, poll_came, error))
        return NULL;
    Addp *self = g_new0(Addp, 1);
    self->plugin = p;
    self->settings = settings;
    self->applications = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    g_queue_init(&self->links);
    conf_plugin_hook(p, CONF_NORMAL, &HOOKS);
    conf_plugin_know_param(p, "session.open", "addp");
    conf_plugin_know_param(p, "session.resume", "addp");
    conf_plugin_know_param(p, "replica.open", "addp");
    conf_plugin_statistic(p, "polls", &self->polls);
    conf_plugin_statistic(p, "answers", &self->answers);
    conf_plugin_statistic(p, "lost", &self->lost);
    conf_plugin_statistic(p, "polled", &self->polled);
    conf_plugin_statistic(p, "active", &self->active);
    return self;
}

static void
changed(void *data, const void *settings)
{
    Addp *self = data;
    self->settings = settings;
    review_all(self);
}

static void
unload(void *data)
{
    Addp *self = data;
    g_hash_table_unref(self->applications);
    g_free(self);
}

static Opening
opening_of(const char *method)
{
    static const struct {
        const char *name;
        Opening opening;
    } OPENINGS[] = {
        {"session.open", OPENING_SESSION},
        {"session.resume", OPENING_SESSION},
        {"session.continue", OPENING_CONTINUE},
        {"replica.open", OPENING_REPLICA},
    };
    /* Every request passes here. */
    if (*method != 's' && *method != 'r')
        return OPENING_NONE;
    for (unsigned i = 0; i < G_N_ELEMENTS(OPENINGS); i++) {
        if (strcmp(method, OPENINGS[i].name) == 0)
            return OPENINGS[i].opening;
    }
    return OPENING_NONE;
}

static void
take_asked(Addp *self, ConfRequest *r, Opening opening, AddpTimes asked, const ConfJson *params)
{
    ConfConnection *c = conf_request_get_peer(r);
    const ConfSession *session = conf_request_get_owner(r);
    if (opening == OPENING_REPLICA && session == NULL)
        return; /* refused by the method */
    AddpLink *link = addp_link_get(self, c);
    if (opening == OPENING_REPLICA) {
        addp_link_set_application(link, conf_session_get_application(session));
        addp_link_agree(link, asked, true);
    } else if (session == NULL) {
        addp_link_set_application(link, application_of(self, params));
        link->pending = true;
        link->asking = asked;
    }
    add_to_answer(r, addp_link_weigh(link, asked));
}

static void
add_to_answer(ConfRequest *r, AddpTimes in_force)
{
    g_autofree char *json = addp_times_write(addp_times_mirror(in_force));
    conf_request_add_to_answer(r, "addp", json);
}

/* As which a client wants to log in; a session that is resumed has its own. 0: none. */
static int64_t
application_of(const Addp *self, const ConfJson *params)
{
    const char *name = conf_value_string(conf_value_member(params, "application"));
    const ConfObject *application =
        name != NULL ? conf_plugin_lookup_name(self->plugin, "application", name) : NULL;
    return application != NULL ? conf_object_get_dbid(application) : 0;
}

static void
replica_answered(void *data, ConfConnection *c, const char *json)
{
    Addp *self = data;
    AddpLink *link = addp_link_get(self, c);
    AddpTimes times;
    g_autofree char *path = NULL;
    const ConfJson *answer = json != NULL ? conf_value_parse(json, NULL) : NULL;
    if (answer == NULL || !addp_times_read(answer, &times, &path)) {
        conf_plugin_log(self->plugin, 3, "The master has no keep-alive", "master",
                        conf_connection_get_peer(c), NULL);
        return;
    }
    addp_link_agree(link, times, true);
    addp_link_review(link);
}

static void
refuse_params(ConfRequest *r, const char *path)
{
    ConfJsonWriterHandle *writer = conf_writer_new();
    conf_writer_begin_object(writer);
    conf_writer_key(writer, "path");
    conf_writer_string(writer, path);
    conf_writer_end_object(writer);
    g_autofree char *data = conf_writer_finish(writer);
    conf_request_answer_error(r, INVALID_PARAMS,
                              "addp holds timeout and remoteTimeout, seconds from 0 to 86400", data);
}

/* False: refused. */
static bool
take_agreement(Addp *self, ConfRequest *r, const ConfJson *addp)
{
    ConfConnection *c = conf_request_get_peer(r);
    const ConfSession *session = conf_request_get_owner(r);
    AddpTimes times;
    g_autofree char *path = NULL;
    if (!addp_times_read(addp, &times, &path)) {
        refuse_params(r, path);
        return false;
    }
    if (c == NULL || (session == NULL && !conf_connection_is_outgoing(c))) {
        conf_request_answer_error(r, NOT_LOGGED_IN, "Log in first", NULL);
        return false;
    }
    AddpLink *link = addp_link_get(self, c);
    if (session != NULL)
        addp_link_set_application(link, conf_session_get_application(session));
    addp_link_agree(link, addp_times_mirror(times), true);
    return true;
}

static void
review_all(Addp *self)
{
    self->to_review = g_queue_get_length(&self->links);
    if (self->to_review > 0 && self->review_timer == 0)
        self->review_timer = conf_timer(self->plugin, REVIEW_MS, review_some, NULL);
}

/* Thousands are told something new: in slices, others are served in between.  One that goes meanwhile makes
 * another be reviewed twice, which changes nothing. */
static void
review_some(void *data, void *unused)
{
    (void)unused;
    Addp *self = data;
    self->review_timer = 0;
    for (unsigned i = 0; i < REVIEWED_AT_ONCE && self->to_review > 0; i++) {
        GList *first = g_queue_pop_head_link(&self->links);
        if (first == NULL)
            self->to_review = 0;
        else {
            self->to_review--;
            g_queue_push_tail_link(&self->links, first);
            addp_link_review(first->data);
        }
    }
    if (self->to_review > 0)
        self->review_timer = conf_timer(self->plugin, REVIEW_MS, review_some, NULL);
}

/* A proxy that has never loaded knows its own application object only then. */
static void
await_data(void *data, void *unused)
{
    Addp *self = data;
    if (conf_plugin_get_revision(self->plugin) != 0)
        review_all(self);
    else if (!g_queue_is_empty(&self->links))
        conf_timer(self->plugin, AWAIT_DATA_MS, await_data, unused);
}

CONF_PLUGIN(.name = "addp", .version = ADDP_VERSION, .summary = "Keep-alive of connections",
            .options = OPTIONS, .settings_size = sizeof(AddpSettings), .load = load, .changed = changed,
            .unload = unload);
