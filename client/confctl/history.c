/* history.c - asking for the past, and showing one entry of it. */
#include "history.h"

#include <string.h>

enum { PAGE_LIMIT = 1000, EMPTY_MAX = 1000 };

static gint64 parse_ago(const char *text);
static void tell_gaps(JsonObject *page);
static void add_key(GPtrArray *keys, const char *type, JsonNode *number);

JsonObject *
ctl_history_request(Ctl *ctl, const char *method, JsonObject *params, GError **error)
{
    g_autoptr(GError) fault = NULL;
    JsonObject *answer = ctl_request(ctl, method, params, &fault);
    if (g_error_matches(fault, CONFC_ERROR, CONFC_ERROR_NO_METHOD)) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_REFUSED,
                            "This server keeps no history: its plugin history is not loaded");
        return NULL;
    }
    if (fault != NULL)
        g_propagate_error(error, g_steal_pointer(&fault));
    return answer;
}

bool
ctl_history_list(Ctl *ctl, const char *method, const char *member, JsonObject *params, gint64 most,
                 CtlPageFunc each, void *data, bool *are_more, GError **error)
{
    g_autoptr(JsonObject) asked = params;
    g_autofree char *cursor = NULL;
    gint64 left = most;
    unsigned empty = 0;
    do {
        JsonObject *page_params = json_object_new();
        JsonObjectIter iter;
        const char *name;
        JsonNode *value;
        json_object_iter_init_ordered(&iter, asked);
        while (json_object_iter_next_ordered(&iter, &name, &value))
            json_object_set_member(page_params, name, json_node_copy(value));
        json_object_set_int_member(page_params, "limit", most > 0 ? MIN(left, PAGE_LIMIT) : PAGE_LIMIT);
        if (cursor != NULL)
            json_object_set_string_member(page_params, "cursor", cursor);
        g_autoptr(JsonObject) page = ctl_history_request(ctl, method, page_params, error);
        JsonArray *entries = confc_json_array(page, member);
        if (page == NULL || (entries != NULL && !each(entries, data, error)))
            return false;
        tell_gaps(page);
        const char *next = confc_json_string(page, "cursor");
        unsigned length = entries != NULL ? json_array_get_length(entries) : 0;
        /* What may not be read is left out, so that a page may hold nothing; not for ever, though. */
        empty = length == 0 ? empty + 1 : 0;
        if (next != NULL && (g_strcmp0(next, cursor) == 0 || empty > EMPTY_MAX)) {
            g_set_error(error, CONFC_ERROR, CONFC_ERROR_MALFORMED, "The server's answers to %s do not go on",
                        method);
            return false;
        }
        left -= length;
        g_free(cursor);
        cursor = g_strdup(next);
    } while (cursor != NULL && (most == 0 || left > 0));
    if (are_more != NULL)
        *are_more = cursor != NULL;
    return true;
}

/* What happened then the server does not know. */
static void
tell_gaps(JsonObject *page)
{
    JsonArray *gaps = confc_json_array(page, "gaps");
    for (unsigned i = 0; gaps != NULL && i < json_array_get_length(gaps); i++) {
        JsonObject *gap = ctl_array_object(gaps, i);
        if (gap != NULL)
            ctl_warn("the history lacks revisions %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                     confc_json_integer(gap, "first", 0), confc_json_integer(gap, "last", 0));
    }
}

bool
ctl_history_revision(const char *text, gint64 *revision)
{
    guint64 number;
    if (!g_ascii_string_to_unsigned(text, 10, 1, ((guint64)1 << 53) - 1, &number, NULL))
        return false;
    *revision = (gint64)number;
    return true;
}

JsonNode *
ctl_history_when(const char *text, GError **error)
{
    gint64 revision, ago = parse_ago(text);
    if (ctl_history_revision(text, &revision))
        return ctl_node_integer(revision);
    g_autoptr(GTimeZone) zone = g_time_zone_new_local();
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *day = g_strconcat(text, "T00:00:00", NULL);
    g_autoptr(GDateTime) time = ago > 0              ? g_date_time_add(now, -ago * G_USEC_PER_SEC)
                                : strlen(text) == 10 ? g_date_time_new_from_iso8601(day, zone)
                                                     : g_date_time_new_from_iso8601(text, zone);
    g_autoptr(GDateTime) utc = time != NULL ? g_date_time_to_utc(time) : NULL;
    if (utc == NULL) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "\"%s\" is neither a revision nor a time (2026-03-01, 2026-03-01T12:00:00Z, 30m, 2h, 7d)",
                    text);
        return NULL;
    }
    g_autofree char *seconds = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%S");
    g_autofree char *written = g_strdup_printf("%s.%03dZ", seconds, g_date_time_get_microsecond(utc) / 1000);
    return ctl_node_string(written);
}

bool
ctl_history_want_places(Ctl *ctl, JsonArray *entries, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < json_array_get_length(entries); i++) {
        JsonObject *entry = ctl_array_object(entries, i), *by = confc_json_object(entry, "by");
        const char *type = confc_json_string(entry, "type");
        if (type != NULL)
            add_key(keys, type, json_object_get_member(entry, "dbid"));
        if (by == NULL)
            continue;
        add_key(keys, "person", json_object_get_member(by, "user"));
        add_key(keys, "application", json_object_get_member(by, "application"));
    }
    return ctl_place_want(ctl, keys, error);
}

char *
ctl_history_author(Ctl *ctl, JsonObject *by)
{
    static const struct {
        const char *member, *type;
    } parts[] = {{"user", "person"}, {"application", "application"}};
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        const char *said = confc_json_string(by, parts[i].member);
        gint64 dbid = confc_json_integer(by, parts[i].member, 0);
        const char *name = said != NULL ? said : dbid != 0 ? ctl_place_name(ctl, parts[i].type, dbid) : NULL;
        if (name == NULL && dbid == 0)
            continue;
        g_string_append(text, text->len > 0 ? ", " : "");
        /* Deleted since, or not to be read. */
        if (name == NULL)
            g_string_append_printf(text, "%s/%" G_GINT64_FORMAT, parts[i].type, dbid);
        else
            g_string_append(text, name);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

char *
ctl_history_origin(JsonObject *by)
{
    const char *address = confc_json_string(by, "address");
    JsonArray *via = confc_json_array(by, "via");
    g_autoptr(GString) text = g_string_new(address);
    for (unsigned i = 0; via != NULL && i < json_array_get_length(via); i++) {
        g_autofree char *proxy = ctl_scalar_text(json_array_get_element(via, i));
        g_string_append_printf(text, "%s%s", i == 0 ? " via " : ", ", proxy);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

char *
ctl_history_path(Ctl *ctl, JsonObject *entry)
{
    const char *type = confc_json_string(entry, "type"), *name = confc_json_string(entry, "name");
    gint64 dbid = confc_json_integer(entry, "dbid", 0);
    if (type == NULL)
        return g_strdup(name != NULL ? name : "");
    if (ctl_place_name(ctl, type, dbid) != NULL || name == NULL)
        return ctl_place_path(ctl, type, dbid);
    return g_strdup_printf("%s/%" G_GINT64_FORMAT " (%s)", type, dbid, name);
}

bool
ctl_history_print_entry(Ctl *ctl, JsonObject *entry, GError **error)
{
    const char *op = confc_json_string(entry, "op"), *type = confc_json_string(entry, "type");
    JsonObject *before = confc_json_object(entry, "before"), *after = confc_json_object(entry, "after");
    bool is_create = g_strcmp0(op, "create") == 0, is_delete = g_strcmp0(op, "delete") == 0,
         is_permission = g_strcmp0(op, "permission") == 0;
    if (!ctl_compare_want(ctl, type, before, after, error))
        return false;
    g_autofree char *path = ctl_history_path(ctl, entry);
    ctl_print_styled(ctl,
                     is_create   ? CTL_GREEN
                     : is_delete ? CTL_RED
                                 : CTL_YELLOW,
                     "  %c %s %s%s",
                     is_create   ? '+'
                     : is_delete ? '-'
                                 : '~',
                     type != NULL ? type : "?", path, is_permission ? " (rights)" : "");
    ctl_compare_print(ctl, type, before, after);
    return true;
}

/* Seconds; 0: it says something else. */
static gint64
parse_ago(const char *text)
{
    static const struct {
        char unit;
        gint64 seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    gsize size = strlen(text);
    guint64 number;
    if (size < 2)
        return 0;
    g_autofree char *digits = g_strndup(text, size - 1);
    if (!g_ascii_string_to_unsigned(digits, 10, 1, 100000, &number, NULL))
        return 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(units); i++) {
        if (text[size - 1] == units[i].unit)
            return (gint64)number * units[i].seconds;
    }
    return 0;
}

static void
add_key(GPtrArray *keys, const char *type, JsonNode *number)
{
    bool is_number =
        number != NULL && JSON_NODE_HOLDS_VALUE(number) && json_node_get_value_type(number) == G_TYPE_INT64;
    if (is_number && json_node_get_int(number) > 0)
        g_ptr_array_add(keys, g_strdup_printf("%s/%" G_GINT64_FORMAT, type, json_node_get_int(number)));
}
