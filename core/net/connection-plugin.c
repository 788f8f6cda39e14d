/* connection-plugin.c - what plugins see of a connection: options, data of their own, silence. */
#include <string.h>

#include "base/log.h"
#include "net/connection-private.h"
#include "plugin/loader.h"

enum { SILENCE_STEP_MS = 100 };

static bool can_be_added(const ConfConnection *connection, const char *method, const char *member,
                         const char *json);
static ConfAttachment *lookup(const ConfConnection *connection, const ConfPlugin *plugin);
static ConfAttachment *get(ConfConnection *connection, ConfPlugin *plugin);
static void free_data(ConfAttachment *attachment);
static void watch_silence(ConfAttachment *attachment);
static void silence(void *data);

static ConfConnectionOptionFunc option_func;
static void *option_data;

void
conf_connection_set_option_func(ConfConnectionOptionFunc func, void *data)
{
    option_func = func;
    option_data = data;
}

const char *
conf_connection_get_host(const ConfConnection *c)
{
    return c->dial != NULL ? conf_dial_get_host(c->dial) : "";
}

const char *
conf_connection_get_option(const ConfConnection *c, const char *section, const char *key)
{
    const char *value = c->dial != NULL ? conf_dial_get_option(c->dial, key) : NULL;
    if (value == NULL && option_func != NULL)
        value = option_func(c, section, key, option_data);
    return value;
}

void
conf_connection_set_plugin_data(ConfConnection *c, ConfPlugin *p, void *data, void (*free_func)(void *))
{
    ConfAttachment *attachment = get(c, p);
    free_data(attachment);
    attachment->data = data;
    attachment->free_data = data != NULL ? free_func : NULL;
}

void *
conf_connection_get_plugin_data(const ConfConnection *c, const ConfPlugin *p)
{
    const ConfAttachment *attachment = lookup(c, p);
    return attachment != NULL ? attachment->data : NULL;
}

void
conf_connection_watch_idle(ConfConnection *c, ConfPlugin *p, unsigned ms)
{
    /* A silence that was told stays told: who sets it anew from the hook waits for `ms` more of it. */
    ConfAttachment *attachment = get(c, p);
    attachment->idle_ms = ms;
    if (ms == 0 || c->state == CONF_CONNECTION_CLOSED)
        conf_timer_cancel(&attachment->idle_timer);
    else
        watch_silence(attachment);
}

void
conf_connection_drop(ConfConnection *c, const char *reason)
{
    conf_connection_close(c, reason);
}

void
conf_connection_add_param(ConfConnection *c, ConfPlugin *p, const char *method, const char *member,
                          const char *json, void (*answered)(void *self, ConfConnection *c, const char *json))
{
    if (!can_be_added(c, method, member, json)) {
        conf_log(CONF_LOG_PLUGIN_MISUSE, "plugin", conf_plugin_get_name(p), "what",
                 "It added a member of params that is none, or there already", NULL);
        return;
    }
    ConfAddedParam *param = g_new0(ConfAddedParam, 1);
    *param = (ConfAddedParam){
        .next = c->added_params,
        .plugin = conf_plugin_ref(p),
        .method = g_strdup(method),
        .member = g_strdup(member),
        .json = g_strdup(json),
        .answered = answered,
    };
    c->added_params = param;
}

void
conf_connection_write_params(const ConfConnection *connection, const char *method, ConfJsonWriter *writer)
{
    for (const ConfAddedParam *param = connection->added_params; param != NULL; param = param->next) {
        if (strcmp(param->method, method) != 0)
            continue;
        conf_json_writer_key(writer, param->member);
        conf_json_writer_raw(writer, conf_slice_from_string(param->json));
    }
}

void
conf_connection_answer_params(ConfConnection *connection, const char *method, ConfSlice result)
{
    if (connection->added_params == NULL)
        return;
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *members = conf_json_parse(arena, result, NULL, NULL, NULL);
    for (const ConfAddedParam *param = connection->added_params; param != NULL; param = param->next) {
        if (param->answered == NULL || strcmp(param->method, method) != 0 ||
            !conf_plugin_is_loaded(param->plugin))
            continue;
        g_auto(ConfBuffer) json = CONF_BUFFER_INIT;
        const ConfJson *member = conf_json_member(members, param->member);
        if (member != NULL) {
            conf_json_append_tree(&json, member);
            conf_buffer_append_char(&json, '\0');
        }
        conf_plugin_enter(param->plugin);
        param->answered(conf_plugin_get_self(param->plugin), connection, json.data);
        conf_plugin_leave(param->plugin);
    }
}

void
conf_added_params_free(ConfConnection *connection)
{
    while (connection->added_params != NULL) {
        ConfAddedParam *param = connection->added_params;
        connection->added_params = param->next;
        conf_plugin_unref(param->plugin);
        g_free(param->method);
        g_free(param->member);
        g_free(param->json);
        g_free(param);
    }
}

void
conf_attachments_free(ConfConnection *connection)
{
    while (connection->attachments != NULL) {
        ConfAttachment *attachment = connection->attachments;
        connection->attachments = attachment->next;
        conf_timer_cancel(&attachment->idle_timer);
        free_data(attachment);
        g_free(attachment);
    }
}

/* It must not make a request that the other side refuses as a whole. */
static bool
can_be_added(const ConfConnection *connection, const char *method, const char *member, const char *json)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    if (json == NULL || strchr(json, '\n') != NULL ||
        conf_json_parse(arena, conf_slice_from_string(json), NULL, NULL, NULL) == NULL)
        return false;
    for (const ConfAddedParam *param = connection->added_params; param != NULL; param = param->next) {
        if (strcmp(param->method, method) == 0 && strcmp(param->member, member) == 0)
            return false;
    }
    return true;
}

static ConfAttachment *
lookup(const ConfConnection *connection, const ConfPlugin *plugin)
{
    ConfAttachment *attachment = connection->attachments;
    while (attachment != NULL && attachment->plugin != plugin)
        attachment = attachment->next;
    return attachment;
}

static ConfAttachment *
get(ConfConnection *connection, ConfPlugin *plugin)
{
    ConfAttachment *attachment = lookup(connection, plugin);
    if (attachment != NULL)
        return attachment;
    attachment = g_new0(ConfAttachment, 1);
    *attachment =
        (ConfAttachment){.next = connection->attachments, .connection = connection, .plugin = plugin};
    connection->attachments = attachment;
    return attachment;
}

static void
free_data(ConfAttachment *attachment)
{
    if (attachment->free_data != NULL && attachment->data != NULL)
        attachment->free_data(attachment->data);
    attachment->data = NULL;
    attachment->free_data = NULL;
}

/* The timer is not moved by each byte that comes: when it is due, it looks how long the silence is, and
 * arms anew for what is left.  Up to a hundredth is added so that many fall due in one turn: to wake up
 * for each would cost more than what is done then. */
static void
watch_silence(ConfAttachment *attachment)
{
    const ConfConnection *connection = attachment->connection;
    int64_t since = MAX(connection->last_receive, attachment->idle_since);
    int64_t now_ms = conf_poller_now(connection->poller) / 1000;
    int64_t due_ms = MAX(since / 1000 + attachment->idle_ms, now_ms) + 1;
    int64_t step_ms = CLAMP(attachment->idle_ms / 100, 1, SILENCE_STEP_MS);
    due_ms = (due_ms + step_ms - 1) / step_ms * step_ms;
    conf_timer_arm(&attachment->idle_timer, (unsigned)(due_ms - now_ms), silence, attachment);
}

static void
silence(void *data)
{
    ConfAttachment *attachment = data;
    ConfConnection *connection = attachment->connection;
    if (connection->state == CONF_CONNECTION_CLOSED)
        return;
    int64_t now = conf_poller_now(connection->poller), limit = (int64_t)attachment->idle_ms * 1000;
    if (now - MAX(connection->last_receive, attachment->idle_since) >= limit) {
        /* What waits in the socket counts as received: held input and a long turn are not the peer's silence.  The
         * kernel is asked only now: with thousands of watches that is the larger part of what they cost. */
        int64_t last = conf_connection_get_last_receive(connection);
        connection->last_receive = last;
        connection->input_seen = conf_connection_get_unread(connection);
        attachment->idle_since = now;
        if (now - last >= limit)
            conf_hooks_idle(connection, attachment->plugin, (unsigned)((now - last) / 1000));
    }
    if (attachment->idle_ms > 0 && connection->state != CONF_CONNECTION_CLOSED)
        watch_silence(attachment);
}
