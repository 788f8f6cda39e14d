/* object-difference.c - what takes one version of an object to the next: for notifications, replicas,
 * history. */
#include "model/object-private.h"

#include "base/error.h"

typedef struct {
    const ConfField *field;
    ConfSlice before, after;
} ListChange;

static void write_patch(const ConfField *field, ConfSlice before, ConfSlice after, ConfArena *arena,
                        ConfBuffer *buffer);
static void write_struct_patch(const ConfField *field, const ConfJson *before, const ConfJson *after,
                               ConfBuffer *buffer);
static void write_sections_patch(const ConfJson *before, const ConfJson *after, unsigned depth,
                                 ConfBuffer *buffer);
static bool write_list_change(const ConfField *field, ConfSlice before, ConfSlice after, ConfArena *arena,
                              ConfBuffer *add, ConfBuffer *remove);
static void write_name(ConfBuffer *buffer, ConfSlice name);

/* Texts of both sides, in one allocation each. */
static bool
split_both(const ConfTypeInfo *type, const ConfObject *before, const ConfObject *after,
           ConfSlice **old_values, ConfSlice **new_values)
{
    *old_values = g_new0(ConfSlice, type->field_count);
    *new_values = g_new0(ConfSlice, type->field_count);
    return conf_body_split(type, conf_bytes_slice(before->body), *old_values, NULL) &&
           conf_body_split(type, conf_bytes_slice(after->body), *new_values, NULL);
}

void
conf_object_write_difference(const ConfSchema *schema, const ConfObject *before, const ConfObject *after,
                             ConfBuffer *buffer)
{
    const ConfTypeInfo *type = conf_schema_type(schema, after->type);
    g_autofree ConfSlice *olds = NULL, *news = NULL;
    g_auto(ConfBuffer) add = CONF_BUFFER_INIT;
    g_auto(ConfBuffer) remove = CONF_BUFFER_INIT;
    g_autoptr(ConfArena) arena = NULL;
    CONF_BUFFER_LITERAL(buffer, "\"patch\":");
    size_t begin = buffer->size;
    unsigned first = split_both(type, before, after, &olds, &news) ? CONF_FIELD_AT_NAME : type->field_count;
    for (unsigned i = first; i < type->field_count; i++) {
        const ConfField *field = &type->fields[i];
        if (conf_slice_equal(olds[i], news[i]))
            continue;
        bool is_compound = field->kind == CONF_FIELD_LIST || field->kind == CONF_FIELD_STRUCT ||
                           field->kind == CONF_FIELD_SECTIONS;
        if (is_compound && arena == NULL)
            arena = conf_arena_new();
        if (field->kind == CONF_FIELD_LIST &&
            write_list_change(field, olds[i], news[i], arena, &add, &remove))
            continue;
        conf_buffer_append_char(buffer, buffer->size == begin ? '{' : ',');
        write_name(buffer, conf_field_member_name(field));
        write_patch(field, olds[i], news[i], arena, buffer);
    }
    conf_buffer_append_string(buffer, buffer->size == begin ? "{}" : "}");
    if (add.size > 0) {
        CONF_BUFFER_LITERAL(buffer, ",\"add\":{");
        conf_buffer_append_slice(buffer, conf_buffer_slice(&add));
        conf_buffer_append_char(buffer, '}');
    }
    if (remove.size > 0) {
        CONF_BUFFER_LITERAL(buffer, ",\"remove\":{");
        conf_buffer_append_slice(buffer, conf_buffer_slice(&remove));
        conf_buffer_append_char(buffer, '}');
    }
}

void
conf_object_write_before_after(const ConfSchema *schema, const ConfObject *before, const ConfObject *after,
                               ConfBuffer *before_members, ConfBuffer *after_members)
{
    const ConfTypeInfo *type = conf_schema_type(schema, after->type);
    g_autofree ConfSlice *olds = NULL, *news = NULL;
    size_t old_begin = before_members->size, new_begin = after_members->size;
    unsigned first = split_both(type, before, after, &olds, &news) ? CONF_FIELD_AT_NAME : type->field_count;
    for (unsigned i = first; i < type->field_count; i++) {
        if (conf_slice_equal(olds[i], news[i]))
            continue;
        ConfSlice name = conf_field_member_name(&type->fields[i]);
        if (olds[i].data != NULL) {
            conf_buffer_append_char(before_members, before_members->size == old_begin ? '{' : ',');
            write_name(before_members, name);
            conf_buffer_append_slice(before_members, olds[i]);
        }
        if (news[i].data != NULL) {
            conf_buffer_append_char(after_members, after_members->size == new_begin ? '{' : ',');
            write_name(after_members, name);
            conf_buffer_append_slice(after_members, news[i]);
        }
    }
    conf_buffer_append_string(before_members, before_members->size == old_begin ? "{}" : "}");
    conf_buffer_append_string(after_members, after_members->size == new_begin ? "{}" : "}");
}

ConfBytes *
conf_object_apply_difference(const ConfSchema *schema, ConfArena *arena, const ConfObject *before,
                             const ConfJson *change, int64_t revision, GError **error)
{
    g_auto(ConfRpcError) fault = CONF_RPC_ERROR_INIT;
    ConfDraft draft;
    conf_draft_init(&draft, schema, before->type, arena, &fault);
    draft.is_trusted = true;
    if (!conf_draft_read(&draft, before) ||
        !conf_draft_apply(&draft, before, conf_json_member(change, "patch"), conf_json_member(change, "add"),
                          conf_json_member(change, "remove"), "")) {
        conf_model_error(error, "Change of the object", before, &fault);
        return NULL;
    }
    draft.head.revision = revision;
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_draft_write(&draft, &buffer);
    return conf_buffer_to_bytes(&buffer);
}

/* A name of the schema has nothing to escape. */
static void
write_name(ConfBuffer *buffer, ConfSlice name)
{
    conf_buffer_append_char(buffer, '"');
    conf_buffer_append_slice(buffer, name);
    CONF_BUFFER_LITERAL(buffer, "\":");
}

static void
write_patch(const ConfField *field, ConfSlice before, ConfSlice after, ConfArena *arena, ConfBuffer *buffer)
{
    if (after.data == NULL) {
        CONF_BUFFER_LITERAL(buffer, "null");
        return;
    }
    bool merges = field->kind == CONF_FIELD_STRUCT || field->kind == CONF_FIELD_SECTIONS;
    if (before.data == NULL || !merges) {
        conf_buffer_append_slice(buffer, after);
        return;
    }
    const ConfJson *old = conf_value_tree(arena, before), *new = conf_value_tree(arena, after);
    if (field->kind == CONF_FIELD_STRUCT)
        write_struct_patch(field, old, new, buffer);
    else
        write_sections_patch(old, new, 1, buffer);
}

/* Both are objects, and differ. */
static void
write_struct_patch(const ConfField *field, const ConfJson *before, const ConfJson *after, ConfBuffer *buffer)
{
    size_t begin = buffer->size;
    for (unsigned i = 0; i < field->field_count; i++) {
        const ConfField *member = &field->fields[i];
        const ConfJson *old = conf_json_member(before, member->name),
                       *new = conf_json_member(after, member->name);
        if ((old == NULL && new == NULL) || (old != NULL && new != NULL &&conf_json_equal(old, new)))
            continue;
        conf_buffer_append_char(buffer, buffer->size == begin ? '{' : ',');
        write_name(buffer, (ConfSlice){member->name, member->name_size});
        if (new == NULL)
            CONF_BUFFER_LITERAL(buffer, "null");
        else if (old != NULL && member->kind == CONF_FIELD_STRUCT)
            write_struct_patch(member, old, new, buffer);
        else
            conf_json_append_tree(buffer, new);
    }
    conf_buffer_append_string(buffer, buffer->size == begin ? "{}" : "}");
}

/* Sections, and keys within a section, stand in order on both sides. */
static void
write_sections_patch(const ConfJson *before, const ConfJson *after, unsigned depth, ConfBuffer *buffer)
{
    size_t begin = buffer->size;
    const ConfJson *old = before->first, *new = after->first;
    while (old != NULL || new != NULL) {
        int order = old == NULL ? 1 : new == NULL ? -1 : conf_slice_compare(old->key, new->key);
        if (order != 0 || !conf_json_equal(old, new)) {
            conf_buffer_append_char(buffer, buffer->size == begin ? '{' : ',');
            conf_json_append_string(buffer, order < 0 ? old->key : new->key);
            conf_buffer_append_char(buffer, ':');
            if (order < 0)
                CONF_BUFFER_LITERAL(buffer, "null");
            else if (order == 0 && depth > 0)
                write_sections_patch(old, new, depth - 1, buffer);
            else
                conf_json_append_tree(buffer, new);
        }
        if (order <= 0)
            old = old->next;
        if (order >= 0)
            new = new->next;
    }
    conf_buffer_append_string(buffer, buffer->size == begin ? "{}" : "}");
}

static ConfSlice
get_item_key(const void *data, unsigned index)
{
    return ((const ConfListItem *)data)[index].key;
}

/* Of items taken out keys suffice. */
static void
append_item(ConfBuffer *buffer, ConfSlice text)
{
    conf_buffer_append_char(buffer, buffer->size == 0 ? '[' : ',');
    conf_buffer_append_slice(buffer, text);
}

static void
append_list(ConfBuffer *lists, const ConfField *field, ConfBuffer *items)
{
    if (items->size == 0)
        return;
    if (lists->size > 0)
        conf_buffer_append_char(lists, ',');
    write_name(lists, (ConfSlice){field->name, field->name_size});
    conf_buffer_append_slice(lists, conf_buffer_slice(items));
    conf_buffer_append_char(lists, ']');
}

/* Finds what was put in and taken out.  False: the order would not come out the same. */
static bool
compare_lists(const GArray *olds, const GArray *news, ConfArena *arena, ConfBuffer *in, ConfBuffer *out)
{
    const ConfListItem *old = (const ConfListItem *)olds->data, *new = (const ConfListItem *)news->data;
    unsigned same = 0;
    while (same < olds->len && same < news->len && conf_slice_equal(old[same].text, new[same].text))
        same++;
    const unsigned old_count = olds->len - same, new_count = news->len - same;
    old += same;
    new += same;
    ConfTextSet new_keys;
    conf_text_set_init(&new_keys, arena, new_count + 1, get_item_key, new);
    for (unsigned i = 0; i < new_count; i++)
        conf_text_set_add(&new_keys, new[i].key);
    /* What stays comes first, in the old order; what is new behind it. */
    unsigned n = 0;
    for (unsigned o = 0; o < old_count; o++) {
        int found = conf_text_set_find(&new_keys, old[o].key);
        if (found < 0) {
            append_item(out, old[o].key);
            continue;
        }
        if ((unsigned)found != n)
            return false;
        if (!conf_slice_equal(old[o].text, new[n].text))
            append_item(in, new[n].text);
        n++;
    }
    for (; n < new_count; n++)
        append_item(in, new[n].text);
    return true;
}

static bool
write_list_change(const ConfField *field, ConfSlice before, ConfSlice after, ConfArena *arena,
                  ConfBuffer *add, ConfBuffer *remove)
{
    if (before.data == NULL || after.data == NULL)
        return false;
    g_autoptr(GArray) olds = g_array_new(FALSE, FALSE, sizeof(ConfListItem));
    g_autoptr(GArray) news = g_array_new(FALSE, FALSE, sizeof(ConfListItem));
    conf_list_split(field, before, olds);
    conf_list_split(field, after, news);
    g_auto(ConfBuffer) in = CONF_BUFFER_INIT;
    g_auto(ConfBuffer) out = CONF_BUFFER_INIT;
    if (!compare_lists(olds, news, arena, &in, &out) || in.size + out.size >= after.size)
        return false;
    append_list(add, field, &in);
    append_list(remove, field, &out);
    return true;
}
