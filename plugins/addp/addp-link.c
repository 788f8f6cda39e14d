/* addp-link.c - the keep-alive of one connection: what is in force, polls when it is quiet, the verdict.
 *
 * The server keeps the time of the silence (conf_connection_watch_idle): a byte that comes costs nothing, and
 * what waits in the socket counts as come. */
#include <string.h>

#include "addp-private.h"

enum {
    TELL_MS = 60000,
    REPEATED_MAX = 3,
    USEC_PER_SECOND = 1000000,
};

static void free_link(void *data);
static void leave_application(AddpLink *link);
static void apply(AddpLink *link);
static void tell(AddpLink *link, AddpTimes times);
static void told(void *data, const char *result, const char *error, void *link);
static AddpWords words_of(const AddpLink *link);
static bool is_answered(const AddpLink *link, int64_t now, unsigned quiet_ms);
static bool is_taking(AddpLink *link);
static void note_backlog(AddpLink *link);
static bool was_held_up(const AddpLink *link, int64_t now);
static void send_poll(AddpLink *link);
static void answered(void *data, const char *result, const char *error, void *link);
static void give_up(AddpLink *link, unsigned quiet_ms);
static void trace(const AddpLink *link, const char *sentence);

AddpLink *
addp_link_lookup(const Addp *self, const ConfConnection *c)
{
    return conf_connection_get_plugin_data(c, self->plugin);
}

AddpLink *
addp_link_get(Addp *self, ConfConnection *c)
{
    AddpLink *link = addp_link_lookup(self, c);
    if (link != NULL)
        return link;
    link = g_new0(AddpLink, 1);
    link->node.data = link;
    link->self = self;
    link->connection = c;
    link->asked = link->told = (AddpTimes){ADDP_UNSAID, ADDP_UNSAID};
    g_queue_push_tail_link(&self->links, &link->node);
    conf_connection_set_plugin_data(c, self->plugin, link, free_link);
    return link;
}

void
addp_link_set_application(AddpLink *link, int64_t dbid)
{
    Addp *self = link->self;
    if (link->application != NULL && link->application->dbid == dbid)
        return;
    leave_application(link);
    if (dbid == 0)
        return;
    AddpApplication *application = g_hash_table_lookup(self->applications, &dbid);
    if (application == NULL) {
        application = g_new0(AddpApplication, 1);
        application->dbid = dbid;
        g_hash_table_insert(self->applications, &application->dbid, application);
        addp_application_read(self, application);
    }
    application->links++;
    link->application = application;
    link->serial = application->serial;
}

bool
addp_application_read(Addp *self, AddpApplication *application)
{
    AddpWords words = addp_words_of_client(self, application->dbid);
    bool same =
        addp_times_equal(words.times, application->words.times) && words.trace == application->words.trace;
    application->words = words;
    if (!same)
        application->serial++;
    return !same;
}

AddpTimes
addp_link_weigh(const AddpLink *link, AddpTimes asked)
{
    static const AddpTimes OFF = {0, 0};
    AddpTimes section = addp_words_of_settings(link->self->settings).times, object = words_of(link).times;
    AddpTimes times = conf_connection_is_outgoing(link->connection)
                          ? addp_times_merge(addp_times_merge(object, section), asked)
                          : addp_times_merge(addp_times_merge(asked, object), section);
    return addp_times_merge(times, OFF);
}

void
addp_link_agree(AddpLink *link, AddpTimes asked, bool was_told)
{
    bool outgoing = conf_connection_is_outgoing(link->connection);
    link->asked = asked;
    link->agreed = true;
    link->pending = false;
    link->serial = link->application != NULL ? link->application->serial : 0;
    apply(link);
    if (outgoing)
        return;
    if (was_told)
        link->told = link->in_force;
    else if (!addp_times_equal(link->told, link->in_force))
        tell(link, link->in_force);
}

char *
addp_link_write_wish(AddpLink *link)
{
    link->told = addp_times_merge(words_of(link).times, addp_words_of_settings(link->self->settings).times);
    return addp_times_write(link->told);
}

void
addp_link_review(AddpLink *link)
{
    if (!link->agreed)
        return;
    if (conf_connection_is_outgoing(link->connection)) {
        AddpTimes wish =
            addp_times_merge(words_of(link).times, addp_words_of_settings(link->self->settings).times);
        bool differs = !addp_times_equal(wish, link->told);
        if (differs)
            link->asked = (AddpTimes){ADDP_UNSAID, ADDP_UNSAID};
        apply(link);
        if (differs)
            tell(link, wish);
        return;
    }
    /* The last word counts: what a client asked for stands until somebody changes its connection object. */
    if (link->application != NULL && link->serial != link->application->serial) {
        link->serial = link->application->serial;
        link->asked = (AddpTimes){ADDP_UNSAID, ADDP_UNSAID};
    }
    apply(link);
    if (!addp_times_equal(link->told, link->in_force))
        tell(link, link->in_force);
}

void
addp_link_quiet(AddpLink *link, unsigned quiet_ms)
{
    int64_t now = g_get_monotonic_time();
    if (link->in_force.own == 0)
        return;
    if (is_answered(link, now, quiet_ms)) {
        link->repeated = 0;
    } else if (is_taking(link)) {
        link->polled_at = now; /* the poll is still on its way */
        return;
    } else if (!was_held_up(link, now) || ++link->repeated > REPEATED_MAX) {
        give_up(link, quiet_ms);
        return;
    }
    link->polled_at = now;
    link->quiet_ms = quiet_ms;
    note_backlog(link);
    send_poll(link);
}

static void
free_link(void *data)
{
    AddpLink *link = data;
    Addp *self = link->self;
    leave_application(link);
    g_queue_unlink(&self->links, &link->node);
    if (link->in_force.own > 0)
        self->active--;
    g_free(link);
}

static void
leave_application(AddpLink *link)
{
    AddpApplication *application = link->application;
    link->application = NULL;
    if (application != NULL && --application->links == 0)
        g_hash_table_remove(link->self->applications, &application->dbid);
}

static AddpWords
words_of(const AddpLink *link)
{
    static const AddpWords NOTHING = {{ADDP_UNSAID, ADDP_UNSAID}, ADDP_TRACE_UNSAID};
    if (conf_connection_is_outgoing(link->connection))
        return addp_words_of_link(link->connection);
    return link->application != NULL ? link->application->words : NOTHING;
}

static void
apply(AddpLink *link)
{
    AddpTimes times = addp_link_weigh(link, link->asked);
    AddpTrace said = words_of(link).trace;
    link->trace = said != ADDP_TRACE_UNSAID ? said : addp_words_of_settings(link->self->settings).trace;
    if (times.own != link->in_force.own) {
        link->self->active += (times.own > 0) - (link->in_force.own > 0);
        conf_connection_watch_idle(link->connection, link->self->plugin, (unsigned)times.own * 1000);
    }
    if (times.own == 0)
        link->polled_at = 0;
    link->in_force = times;
}

/* A poll that carries what is in force from now on; its answer says what the other side makes of it. */
static void
tell(AddpLink *link, AddpTimes times)
{
    g_autofree char *addp = addp_times_write(times);
    g_autofree char *params = g_strdup_printf("{\"addp\":%s}", addp);
    link->told = times;
    conf_connection_send_request(link->connection, link->self->plugin, "addp.poll", params, TELL_MS, told,
                                 link);
}

/* Only a link to the master asks; a client was told. */
static void
told(void *data, const char *result, const char *error, void *link_data)
{
    (void)data, (void)error;
    AddpLink *link = link_data;
    const ConfJson *answer = result != NULL ? conf_value_parse(result, NULL) : NULL;
    AddpTimes times;
    g_autofree char *path = NULL;
    if (answer == NULL || !conf_connection_is_outgoing(link->connection) ||
        !addp_times_read(conf_value_member(answer, "addp"), &times, &path))
        return;
    link->asked = times;
    apply(link);
}

/* Something came after the poll.  It went out when a timeout was over already, so where nothing came the
 * silence is longer by that; half of it keeps rounding and another timeout in force meanwhile out of this. */
static bool
is_answered(const AddpLink *link, int64_t now, unsigned quiet_ms)
{
    int64_t waiting_ms = (now - link->polled_at) / 1000;
    return link->polled_at == 0 || quiet_ms < waiting_ms + link->quiet_ms / 2;
}

/* A peer on a slow line cannot have answered the poll while it takes what was sent before that.  One that
 * is dead takes nothing, or no more than what the buffers in between hold. */
static bool
is_taking(AddpLink *link)
{
    uint64_t before = link->acknowledged;
    note_backlog(link);
    return before != 0 && conf_connection_get_acknowledged(link->connection) > before;
}

/* A little is on its way at most times. */
static void
note_backlog(AddpLink *link)
{
    enum { BACKLOG_MIN = 64 * 1024 };
    bool much = conf_connection_get_waiting(link->connection) > BACKLOG_MIN;
    link->acknowledged = much ? conf_connection_get_acknowledged(link->connection) : 0;
}

/* The verdict is due one timeout after the poll. Much later than that it says more of this server than of
 * the peer: it was stopped or busy, and the poll itself may have left only now. */
static bool
was_held_up(const AddpLink *link, int64_t now)
{
    int64_t timeout = (int64_t)link->in_force.own * USEC_PER_SECOND;
    return now - link->polled_at > timeout + timeout / 2;
}

static void
send_poll(AddpLink *link)
{
    Addp *self = link->self;
    trace(link, (link->trace & ADDP_TRACE_SENT) != 0 ? "Keep-alive poll sent" : NULL);
    /* Longer than till the verdict: an answer that came in time may be read late. */
    if (conf_connection_send_request(link->connection, self->plugin, "addp.poll", "{}",
                                     (unsigned)link->in_force.own * 2000, answered, link))
        self->polls++;
}

/* That something came is what counts, and the server keeps the time of it. */
static void
answered(void *data, const char *result, const char *error, void *link_data)
{
    Addp *self = data;
    const AddpLink *link = link_data;
    if (result == NULL && error == NULL)
        return;
    self->answers++;
    trace(link, (link->trace & ADDP_TRACE_SENT) != 0 ? "Keep-alive poll answered" : NULL);
}

static void
give_up(AddpLink *link, unsigned quiet_ms)
{
    Addp *self = link->self;
    g_autofree char *quiet = g_strdup_printf("%u", quiet_ms);
    self->lost++;
    conf_plugin_log(self->plugin, 2, "Connection lost: no answer to the keep-alive", "peer",
                    conf_connection_get_peer(link->connection), "silentMs", quiet, NULL);
    conf_connection_watch_idle(link->connection, self->plugin, 0);
    conf_connection_drop(link->connection, "Nothing came from the peer, and no answer to the keep-alive");
}

static void
trace(const AddpLink *link, const char *sentence)
{
    if (sentence != NULL)
        conf_plugin_log(link->self->plugin, 2, sentence, "peer", conf_connection_get_peer(link->connection),
                        NULL);
}
