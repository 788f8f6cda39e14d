/* query.c - which candidates match, and the cursor. */
#include "store/query-private.h"

#include <string.h>

/* Candidates between two looks at the clock. */
enum { CANDIDATES_A_LOOK = 16 };
/* Longest cursor: 255 code points of name, and two numbers. */
enum { CURSOR_SIZE_MAX = 255 * 4 + 32 };
#define DBID_MAX ((int64_t)9007199254740991)

static bool has_target(const ConfQuery *query);
static bool matches(ConfQuery *query, const ConfObject *object);
static bool is_in_place(const ConfQuery *query, const ConfObject *object);
static bool refers_to(const ConfQuery *query, const ConfObject *object, ConfKey target);
static bool names_target(const ConfQuery *query, const ConfObject *object, ConfKey target);
static bool read_number(const char **text, int64_t maximum, char end, int64_t *number);
static bool read_cursor(const ConfQuery *query, const char *text, ConfQueryPosition *position);
static void copy_position(ConfQueryPosition *to, const ConfQueryPosition *from);

ConfQuery *
conf_query_new(ConfStore *store, const ConfTypeInfo *type, ConfFilter *filter, ConfQueryOrder order,
               ConfQueryFunc readable, void *data)
{
    ConfQuery *query = g_new0(ConfQuery, 1);
    query->store = store;
    query->state = &store->state;
    query->type = type;
    query->filter = filter;
    if (filter != NULL)
        query->hints = *conf_filter_hints(filter);
    /* "folder":null is no folder to look into. */
    query->hints.has_folder = query->hints.has_folder && !query->hints.folder_is_unset;
    query->order = order;
    query->readable = readable;
    query->data = data;
    return query;
}

void
conf_query_free(ConfQuery *query)
{
    if (query == NULL)
        return;
    conf_query_reset_source(query);
    conf_query_position_clear(&query->position);
    conf_query_position_clear(&query->given);
    conf_query_position_clear(&query->given_before);
    g_free(query->heads);
    if (query->filter != NULL)
        conf_filter_free(query->filter);
    g_free(query);
}

void
conf_query_set_state(ConfQuery *query, ConfState *state)
{
    if (query->state == state)
        return;
    query->state = state;
    conf_query_reset_source(query);
}

bool
conf_query_set_cursor(ConfQuery *query, ConfSlice cursor, const char *at, ConfRpcError *error)
{
    ConfQueryPosition position = {0};
    g_autofree char *text = cursor.size <= CURSOR_SIZE_MAX ? conf_slice_dup(cursor) : NULL;
    if (text == NULL || strlen(text) != cursor.size || !read_cursor(query, text, &position)) {
        conf_query_position_clear(&position);
        return conf_rpc_fail_path(error, at, "The cursor is not one of this list");
    }
    copy_position(&query->position, &position);
    copy_position(&query->given, &position);
    copy_position(&query->given_before, &position);
    conf_query_position_clear(&position);
    conf_query_reset_source(query);
    return true;
}

void
conf_query_write_cursor(const ConfQuery *query, ConfBuffer *buffer)
{
    const ConfQueryPosition *position = &query->given;
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    conf_buffer_append_char(&text, query->order == CONF_ORDER_NAME ? 'n' : 'd');
    conf_buffer_append_char(&text, '.');
    conf_buffer_append_integer(&text, position->key.type);
    conf_buffer_append_char(&text, '.');
    conf_buffer_append_integer(&text, position->key.dbid);
    if (query->order == CONF_ORDER_NAME) {
        conf_buffer_append_char(&text, '.');
        conf_buffer_append_slice(&text, conf_query_position_name(position));
    }
    conf_json_append_string(buffer, conf_buffer_slice(&text));
}

const ConfObject *
conf_query_next(ConfQuery *query, ConfQueryVerdict *verdict)
{
    *verdict = CONF_QUERY_END;
    if (!has_target(query))
        return NULL;
    for (unsigned count = 1;; count++) {
        const ConfObject *object = conf_query_next_candidate(query);
        if (object == NULL)
            return NULL;
        if (matches(query, object)) {
            conf_query_position_clear(&query->given_before);
            query->given_before = query->given;
            query->given = (ConfQueryPosition){0};
            conf_query_position_set(&query->given, query->order, object);
            return object;
        }
        if (count % CANDIDATES_A_LOOK == 0 && conf_work_is_due()) {
            *verdict = CONF_QUERY_AGAIN;
            return NULL;
        }
    }
}

void
conf_query_put_back(ConfQuery *query)
{
    copy_position(&query->given, &query->given_before);
    copy_position(&query->position, &query->given_before);
    conf_query_reset_source(query);
}

void
conf_query_position_set(ConfQueryPosition *position, ConfQueryOrder order, const ConfObject *object)
{
    conf_query_position_clear(position);
    position->key = conf_object_key(object);
    if (order == CONF_ORDER_NAME)
        position->object = conf_object_ref(object);
}

void
conf_query_position_clear(ConfQueryPosition *position)
{
    conf_object_unref(position->object);
    g_free(position->name);
    *position = (ConfQueryPosition){0};
}

ConfSlice
conf_query_position_name(const ConfQueryPosition *position)
{
    if (position->object != NULL)
        return conf_object_name(position->object);
    return position->name != NULL ? conf_slice_from_string(position->name) : CONF_SLICE("");
}

/* What refersTo names must be there and readable, or the answer would tell of it. */
static bool
has_target(const ConfQuery *query)
{
    if (!query->hints.has_refers_to)
        return true;
    const ConfObject *target = conf_state_lookup(query->state, query->hints.refers_to);
    return target != NULL && query->readable(target, query->data);
}

/* The cheap questions first. */
static bool
matches(ConfQuery *query, const ConfObject *object)
{
    if (query->type != NULL && object->type != query->type->id)
        return false;
    if (!is_in_place(query, object))
        return false;
    /* What the store has, and the working set has otherwise or not at all. */
    if (conf_query_is_layered(query) && conf_state_lookup(query->state, conf_object_key(object)) != object)
        return false;
    if (!query->readable(object, query->data))
        return false;
    if (query->hints.has_refers_to && !refers_to(query, object, query->hints.refers_to))
        return false;
    return query->filter == NULL || conf_filter_match(query->filter, object);
}

static bool
is_in_place(const ConfQuery *query, const ConfObject *object)
{
    if (query->hints.folder_is_unset && object->folder != 0)
        return false;
    if (!query->hints.has_folder || object->folder == query->hints.folder)
        return true;
    ConfKey folder = {.type = CONF_TYPE_FOLDER, .dbid = query->hints.folder};
    return query->hints.recursive && conf_state_is_below(query->state, object, folder);
}

/* By a reference field, or by `folder` or `tenant`. */
static bool
refers_to(const ConfQuery *query, const ConfObject *object, ConfKey target)
{
    const ConfStore *store = query->store;
    if (target.type == CONF_TYPE_FOLDER && object->folder == target.dbid)
        return true;
    if (target.type == CONF_TYPE_TENANT && object->tenant == target.dbid)
        return true;
    if (conf_query_is_layered(query))
        return names_target(query, object, target);
    const ConfNode *node = conf_index_find(&store->index, target);
    const ConfNode *referrer = conf_index_find(&store->index, conf_object_key(object));
    return node != NULL && referrer != NULL && node->links != NULL &&
           conf_node_set_contains(&node->links->referrers, referrer);
}

static bool
names_target(const ConfQuery *query, const ConfObject *object, ConfKey target)
{
    g_autoptr(GArray) references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    conf_object_references(query->store->schema, object, references);
    for (unsigned i = 0; i < references->len; i++) {
        if (conf_key_equal(g_array_index(references, ConfReference, i).target, target))
            return true;
    }
    return false;
}

/* Plain digits, and `end` behind them. */
static bool
read_number(const char **text, int64_t maximum, char end, int64_t *number)
{
    const char *at = *text;
    *number = 0;
    for (; g_ascii_isdigit(*at); at++) {
        *number = *number * 10 + (*at - '0');
        if (*number > maximum)
            return false;
    }
    if (at == *text || *at != end)
        return false;
    *text = end != '\0' ? at + 1 : at;
    return true;
}

static bool
read_cursor(const ConfQuery *query, const char *text, ConfQueryPosition *position)
{
    bool is_by_name = query->order == CONF_ORDER_NAME;
    int64_t type, dbid;
    if (text[0] != (is_by_name ? 'n' : 'd') || text[1] != '.')
        return false;
    text += 2;
    if (!read_number(&text, G_MAXUINT16, '.', &type) ||
        !read_number(&text, DBID_MAX, is_by_name ? '.' : '\0', &dbid))
        return false;
    /* The beginning, which has no name. */
    if (type == 0 && dbid == 0)
        return *text == '\0';
    if (type == 0 || dbid == 0 || (query->type != NULL && type != query->type->id) ||
        is_by_name != (*text != '\0'))
        return false;
    position->key = (ConfKey){.type = (ConfTypeId)type, .dbid = dbid};
    position->name = is_by_name ? g_strdup(text) : NULL;
    return true;
}

static void
copy_position(ConfQueryPosition *to, const ConfQueryPosition *from)
{
    ConfQueryPosition copy = {
        .key = from->key,
        .object = conf_object_ref(from->object),
        .name = g_strdup(from->name),
    };
    conf_query_position_clear(to);
    *to = copy;
}
