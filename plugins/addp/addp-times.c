/* addp-times.c - timeouts: what options and objects say of them, and member `addp` of messages. */
#include <string.h>

#include "addp-private.h"

static bool read_seconds(const ConfJson *value, int *seconds);
static AddpTrace trace_of_option(int64_t index);
static AddpTrace trace_of_side(const char *word, const char *side);
static int read_text(const char *text);
static const ConfJson *find_connection(const ConfJson *connections, int64_t server);

AddpTimes
addp_times_merge(AddpTimes first, AddpTimes second)
{
    return (AddpTimes){
        .own = first.own != ADDP_UNSAID ? first.own : second.own,
        .peer = first.peer != ADDP_UNSAID ? first.peer : second.peer,
    };
}

bool
addp_times_equal(AddpTimes a, AddpTimes b)
{
    return a.own == b.own && a.peer == b.peer;
}

AddpTimes
addp_times_mirror(AddpTimes times)
{
    return (AddpTimes){.own = times.peer, .peer = times.own};
}

bool
addp_times_read(const ConfJson *json, AddpTimes *times, char **path)
{
    *times = (AddpTimes){ADDP_UNSAID, ADDP_UNSAID};
    if (json == NULL || conf_value_kind(json) != CONF_V_OBJECT) {
        *path = g_strdup("/addp");
        return false;
    }
    for (const ConfJson *member = conf_value_item(json, 0); member != NULL;
         member = conf_value_next(member)) {
        const char *key = conf_value_key(member);
        int *seconds = g_strcmp0(key, "timeout") == 0         ? &times->own
                       : g_strcmp0(key, "remoteTimeout") == 0 ? &times->peer
                                                              : NULL;
        if (seconds != NULL && read_seconds(member, seconds))
            continue;
        *path = addp_times_path("/addp/", key);
        return false;
    }
    return true;
}

char *
addp_times_path(const char *base, const char *member)
{
    g_auto(GStrv) steps = g_strsplit(member != NULL ? member : "", "~", -1);
    g_autofree char *tildes = g_strjoinv("~0", steps);
    g_auto(GStrv) slashes = g_strsplit(tildes, "/", -1);
    g_autofree char *escaped = g_strjoinv("~1", slashes);
    return g_strconcat(base, escaped, NULL);
}

char *
addp_times_write(AddpTimes times)
{
    ConfJsonWriterHandle *writer = conf_writer_new();
    conf_writer_begin_object(writer);
    if (times.own != ADDP_UNSAID) {
        conf_writer_key(writer, "timeout");
        conf_writer_integer(writer, times.own);
    }
    if (times.peer != ADDP_UNSAID) {
        conf_writer_key(writer, "remoteTimeout");
        conf_writer_integer(writer, times.peer);
    }
    conf_writer_end_object(writer);
    return conf_writer_finish(writer);
}

AddpWords
addp_words_of_settings(const AddpSettings *settings)
{
    enum { PROTOCOL_ADDP = 1 };
    AddpWords words = {{ADDP_UNSAID, ADDP_UNSAID}, trace_of_option(settings->trace)};
    if (settings->protocol == PROTOCOL_ADDP)
        words.times = (AddpTimes){(int)settings->timeout, (int)settings->remote_timeout};
    return words;
}

/* The members of the connection are what the schema lets through, as text. */
AddpWords
addp_words_of_link(const ConfConnection *c)
{
    AddpWords words = {{ADDP_UNSAID, ADDP_UNSAID}, ADDP_TRACE_UNSAID};
    words.trace = trace_of_side(conf_connection_get_option(c, "connection", "trace"), "local");
    const char *protocol = conf_connection_get_option(c, "connection", "protocol");
    if (g_strcmp0(protocol, "none") == 0)
        words.times = (AddpTimes){0, 0};
    if (g_strcmp0(protocol, "addp") != 0)
        return words;
    words.times.own = read_text(conf_connection_get_option(c, "connection", "localTimeout"));
    words.times.peer = read_text(conf_connection_get_option(c, "connection", "remoteTimeout"));
    return words;
}

AddpWords
addp_words_of_client(Addp *self, int64_t application)
{
    AddpWords words = {{ADDP_UNSAID, ADDP_UNSAID}, ADDP_TRACE_UNSAID};
    const char *name = conf_plugin_get_application(self->plugin);
    const ConfObject *own = conf_plugin_lookup_name(self->plugin, "application", name);
    const ConfObject *client = conf_plugin_lookup(self->plugin, "application", application);
    if (own == NULL || client == NULL)
        return words;
    const ConfJson *body = conf_value_parse(conf_object_get_json(client, NULL), NULL);
    const ConfJson *found =
        find_connection(conf_value_member(body, "connections"), conf_object_get_dbid(own));
    if (found == NULL)
        return words;
    words.trace = trace_of_side(conf_value_string(conf_value_member(found, "trace")), "remote");
    const char *protocol = conf_value_string(conf_value_member(found, "protocol"));
    if (g_strcmp0(protocol, "none") == 0)
        words.times = (AddpTimes){0, 0};
    if (g_strcmp0(protocol, "addp") != 0)
        return words;
    /* What is local to the client is remote here. */
    read_seconds(conf_value_member(found, "localTimeout"), &words.times.peer);
    read_seconds(conf_value_member(found, "remoteTimeout"), &words.times.own);
    return words;
}

static bool
read_seconds(const ConfJson *value, int *seconds)
{
    int64_t number = 0;
    if (!conf_value_integer(value, &number) || number < 0 || number > ADDP_SECONDS_MAX)
        return false;
    *seconds = (int)number;
    return true;
}

static AddpTrace
trace_of_option(int64_t index)
{
    static const AddpTrace TRACES[] = {
        ADDP_TRACE_NONE, ADDP_TRACE_NONE, ADDP_TRACE_NONE, ADDP_TRACE_SENT, ADDP_TRACE_SENT,
        ADDP_TRACE_SENT, ADDP_TRACE_SENT, ADDP_TRACE_CAME, ADDP_TRACE_ALL,  ADDP_TRACE_ALL,
    };
    return TRACES[CLAMP(index, 0, (int)G_N_ELEMENTS(TRACES) - 1)];
}

/* A connection object says which side writes the keep-alive to its log: "local" is the client. */
static AddpTrace
trace_of_side(const char *word, const char *side)
{
    if (word == NULL)
        return ADDP_TRACE_UNSAID;
    return strcmp(word, side) == 0 || strcmp(word, "both") == 0 ? ADDP_TRACE_ALL : ADDP_TRACE_NONE;
}

static int
read_text(const char *text)
{
    guint64 seconds = 0;
    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 0, ADDP_SECONDS_MAX, &seconds, NULL))
        return ADDP_UNSAID;
    return (int)seconds;
}

static const ConfJson *
find_connection(const ConfJson *connections, int64_t server)
{
    for (const ConfJson *item = conf_value_item(connections, 0); item != NULL; item = conf_value_next(item)) {
        int64_t dbid = 0;
        if (conf_value_integer(conf_value_member(item, "server"), &dbid) && dbid == server)
            return item;
    }
    return NULL;
}
