/* history-params.c - params of the methods: read, and refused with the path of what is wrong. */
#include "history-methods-private.h"

#include <string.h>

static const int64_t INTEGER_MAX = INT64_C(9007199254740991); /* 2^53 - 1: no integer of the wire is higher */

void
history_refuse(ConfRequest *request, const char *path, const char *message)
{
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "path");
    conf_writer_string(w, path);
    conf_writer_end_object(w);
    g_autofree char *data = conf_writer_finish(w);
    conf_request_answer_error(request, -32602, message, data);
}

const ConfJson *
history_params(ConfRequest *request, const char *const *names)
{
    const ConfJson *params = conf_value_parse(conf_request_get_params_json(request), NULL);
    if (params == NULL || conf_value_kind(params) != CONF_V_OBJECT) {
        history_refuse(request, "", "params must be an object.");
        return NULL;
    }
    for (const ConfJson *item = conf_value_item(params, 0); item != NULL; item = conf_value_next(item)) {
        const char *key = conf_value_key(item);
        if (key != NULL && g_strv_contains(names, key))
            continue;
        g_autofree char *path = g_strconcat("/", key != NULL ? key : "", NULL);
        g_autofree char *message =
            g_strdup_printf("Member \"%s\" is not known here.", key != NULL ? key : "");
        history_refuse(request, path, message);
        return NULL;
    }
    return params;
}

bool
history_param_integer(ConfRequest *request, const ConfJson *params, const char *name, int64_t minimum,
                      int64_t maximum, int64_t *value)
{
    const ConfJson *member = conf_value_member(params, name);
    if (member == NULL)
        return true;
    int64_t given = 0;
    if (conf_value_kind(member) == CONF_V_NUMBER && conf_value_integer(member, &given) && given >= minimum &&
        given <= maximum) {
        *value = given;
        return true;
    }
    g_autofree char *path = g_strconcat("/", name, NULL);
    g_autofree char *message =
        g_strdup_printf("%s must be an integer from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT ".", name,
                        minimum, MIN(maximum, INTEGER_MAX));
    history_refuse(request, path, message);
    return false;
}

bool
history_param_boolean(ConfRequest *request, const ConfJson *params, const char *name, bool *value)
{
    const ConfJson *member = conf_value_member(params, name);
    if (member == NULL)
        return true;
    if (conf_value_kind(member) == CONF_V_BOOLEAN) {
        *value = conf_value_boolean(member);
        return true;
    }
    g_autofree char *path = g_strconcat("/", name, NULL);
    g_autofree char *message = g_strdup_printf("%s must be true or false.", name);
    history_refuse(request, path, message);
    return false;
}

bool
history_param_moment(ConfRequest *request, const ConfJson *params, const char *name, int64_t *revision,
                     int64_t *time_ms)
{
    const ConfJson *member = conf_value_member(params, name);
    if (member == NULL)
        return true;
    if (conf_value_kind(member) == CONF_V_NUMBER)
        return history_param_integer(request, params, name, 0, G_MAXINT64 - 1, revision);
    const char *text = conf_value_string(member);
    g_autoptr(GDateTime) date = text != NULL ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    if (date != NULL) {
        *time_ms = g_date_time_to_unix(date) * 1000 + g_date_time_get_microsecond(date) / 1000;
        return true;
    }
    g_autofree char *path = g_strconcat("/", name, NULL);
    g_autofree char *message = g_strdup_printf("%s must be a revision or a time (RFC 3339).", name);
    history_refuse(request, path, message);
    return false;
}

bool
history_param_who(ConfRequest *request, const ConfJson *params, const char *name, int64_t *dbid,
                  const char **text)
{
    const ConfJson *member = conf_value_member(params, name);
    if (member == NULL)
        return true;
    if (conf_value_kind(member) == CONF_V_NUMBER)
        return history_param_integer(request, params, name, 1, G_MAXINT64, dbid);
    *text = conf_value_string(member);
    if (*text != NULL)
        return true;
    g_autofree char *path = g_strconcat("/", name, NULL);
    g_autofree char *message = g_strdup_printf("%s must be a dbid or a name.", name);
    history_refuse(request, path, message);
    return false;
}

bool
history_param_account(ConfRequest *request, const ConfJson *params, const char *name, const char *type,
                      int64_t *dbid, bool *is_nobody)
{
    const char *text = NULL;
    if (!history_param_who(request, params, name, dbid, &text))
        return false;
    if (text == NULL)
        return true;
    const ConfObject *object = conf_session_read_name(conf_request_get_owner(request), type, text);
    *is_nobody = *is_nobody || object == NULL;
    *dbid = object != NULL ? conf_object_get_dbid(object) : 0;
    return true;
}

char *
history_time_text(int64_t time_ms)
{
    g_autoptr(GDateTime) date = g_date_time_new_from_unix_utc(time_ms / 1000);
    if (date == NULL)
        return g_strdup("1970-01-01T00:00:00.000Z");
    g_autofree char *seconds = g_date_time_format(date, "%Y-%m-%dT%H:%M:%S");
    return g_strdup_printf("%s.%03dZ", seconds, (int)(time_ms % 1000));
}

bool
history_cursor_read(const char *text, int64_t *first, int64_t *second)
{
    char *end = NULL;
    if (text == NULL || !g_ascii_isdigit(text[0]))
        return false;
    *first = g_ascii_strtoll(text, &end, 10);
    if (second == NULL)
        return *end == '\0' && *first < G_MAXINT64;
    if (*end != '.' || !g_ascii_isdigit(end[1]))
        return false;
    *second = g_ascii_strtoll(end + 1, &end, 10);
    return *end == '\0' && *first < G_MAXINT64 && *second < G_MAXINT64;
}
