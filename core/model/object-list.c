/* object-list.c - lists as canonical text: taken apart, and edited by the add and remove of an update. */
#include "base/json-reader.h"
#include "model/object-private.h"

/* A list that is being edited.  Items keep their number; `work` holds the old text and what was put in. */
typedef struct {
    ConfSlice text, key; /* as offsets from work.data, since work moves */
    bool is_removed;
} EditItem;
typedef struct {
    const ConfValueContext *context;
    const ConfField *field;
    ConfBuffer work;
    EditItem *items;
    ConfTextSet set; /* by key; of a set by text */
} ListEdit;

static bool read_item(ConfJsonReader *reader, ConfSlice list, const ConfField *field, ConfListItem *item);
static void begin_edit(ListEdit *edit, const ConfValueContext *context, const ConfField *field,
                       ConfSlice list, unsigned extra);
static bool add_items(ListEdit *edit, const ConfJson *add, const ConfValuePath *path);
static bool remove_items(ListEdit *edit, const ConfJson *remove, const ConfValuePath *path);
static bool end_edit(ListEdit *edit, const ConfValuePath *path, ConfSlice *result);

void
conf_list_split(const ConfField *field, ConfSlice list, GArray *items)
{
    if (list.data == NULL)
        return;
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, list);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_ARRAY)
        return;
    while (conf_json_reader_has_item(&reader)) {
        ConfListItem item;
        if (!read_item(&reader, list, field, &item))
            return;
        g_array_append_val(items, item);
    }
}

static bool
read_item(ConfJsonReader *reader, ConfSlice list, const ConfField *field, ConfListItem *item)
{
    if (field->key == NULL) {
        if (!conf_json_reader_skip(reader, &item->text))
            return false;
        item->key = item->text;
        return true;
    }
    if (conf_json_reader_next(reader) != CONF_JSON_EVENT_OBJECT)
        return false;
    size_t begin = reader->offset;
    *item = (ConfListItem){.key = {NULL, 0}};
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(reader)) == CONF_JSON_EVENT_KEY) {
        bool is_key = conf_slice_is(reader->text, field->key->name);
        if (!conf_json_reader_skip(reader, is_key ? &item->key : NULL))
            return false;
    }
    item->text = (ConfSlice){list.data + begin, reader->offset + 1 - begin};
    return event == CONF_JSON_EVENT_OBJECT_END;
}

bool
conf_list_edit(const ConfValueContext *context, const ConfField *field, ConfSlice list, const ConfJson *add,
               const ConfValuePath *add_path, const ConfJson *remove, const ConfValuePath *remove_path,
               ConfSlice *result)
{
    if (add != NULL && add->kind != CONF_JSON_ARRAY)
        return conf_value_fail(context, add_path, "%s must be an array of members", field->name);
    if (remove != NULL && remove->kind != CONF_JSON_ARRAY)
        return conf_value_fail(context, remove_path, "%s must be an array of members or keys", field->name);
    ListEdit edit;
    begin_edit(&edit, context, field, list, add != NULL ? add->count : 0);
    bool done = (add == NULL || add_items(&edit, add, add_path)) &&
                (remove == NULL || remove_items(&edit, remove, remove_path)) &&
                end_edit(&edit, add_path != NULL ? add_path : remove_path, result);
    conf_buffer_clear(&edit.work);
    return done;
}

static ConfSlice
in_work(const ListEdit *edit, ConfSlice place)
{
    return (ConfSlice){edit->work.data + (size_t)place.data, place.size};
}

static ConfSlice
place_of(const ListEdit *edit, ConfSlice text)
{
    return (ConfSlice){(const char *)(text.data - edit->work.data), text.size};
}

static ConfSlice
get_key(const void *data, unsigned index)
{
    const ListEdit *edit = data;
    return in_work(edit, edit->items[index].key);
}

static void
begin_edit(ListEdit *edit, const ConfValueContext *context, const ConfField *field, ConfSlice list,
           unsigned extra)
{
    *edit = (ListEdit){.context = context, .field = field, .work = CONF_BUFFER_INIT};
    conf_buffer_reserve(&edit->work, list.size + 1);
    if (list.size > 0)
        conf_buffer_append(&edit->work, list.data, list.size);
    g_autoptr(GArray) olds = g_array_new(FALSE, FALSE, sizeof(ConfListItem));
    conf_list_split(field, list.data != NULL ? conf_buffer_slice(&edit->work) : list, olds);
    edit->items = conf_arena_alloc(context->arena, (olds->len + extra + 1) * sizeof(EditItem));
    conf_text_set_init(&edit->set, context->arena, olds->len + extra + 1, get_key, edit);
    for (unsigned i = 0; i < olds->len; i++) {
        const ConfListItem *old = &g_array_index(olds, ConfListItem, i);
        edit->items[i] = (EditItem){place_of(edit, old->text), place_of(edit, old->key), false};
        conf_text_set_add(&edit->set, old->key);
    }
}

static bool
add_items(ListEdit *edit, const ConfJson *add, const ConfValuePath *path)
{
    unsigned index = 0;
    for (const ConfJson *value = add->first; value != NULL; value = value->next, index++) {
        ConfValuePath inner = conf_value_path_item(path, index);
        if (value->kind == CONF_JSON_NULL)
            return conf_value_fail(edit->context, &inner, "an item of %s cannot be null", edit->field->name);
        size_t begin = edit->work.size;
        ConfSlice key = {NULL, 0};
        if (!conf_value_write_item(edit->context, edit->field->of, edit->field->key, value, &inner,
                                   &edit->work, &key))
            return false;
        ConfSlice text = {edit->work.data + begin, edit->work.size - begin};
        if (edit->field->key == NULL)
            key = text;
        int known = conf_text_set_find(&edit->set, key);
        if (known < 0) {
            edit->items[edit->set.count] = (EditItem){place_of(edit, text), place_of(edit, key), false};
            conf_text_set_add(&edit->set, key);
        } else if (edit->field->key != NULL) {
            edit->items[known].text = place_of(edit, text);
        } else {
            conf_buffer_truncate(&edit->work, begin);
        }
    }
    return true;
}

/* The canonical text by which an item is found: itself, or its key where the client gave the key alone. */
static bool
write_key(ListEdit *edit, const ConfJson *value, const ConfValuePath *path, ConfSlice *key)
{
    const ConfField *field = edit->field;
    size_t begin = edit->work.size;
    if (value->kind == CONF_JSON_NULL)
        return conf_value_fail(edit->context, path, "an item of %s cannot be null", field->name);
    bool is_whole = field->key != NULL && conf_json_member(value, field->key->name) != NULL;
    const ConfField *as = field->key == NULL || is_whole ? field->of : field->key;
    if (!conf_value_write_item(edit->context, as, is_whole ? field->key : NULL, value, path, &edit->work,
                               key))
        return false;
    if (!is_whole)
        *key = (ConfSlice){edit->work.data + begin, edit->work.size - begin};
    return true;
}

static bool
remove_items(ListEdit *edit, const ConfJson *remove, const ConfValuePath *path)
{
    unsigned index = 0;
    for (const ConfJson *value = remove->first; value != NULL; value = value->next, index++) {
        ConfValuePath inner = conf_value_path_item(path, index);
        size_t begin = edit->work.size;
        ConfSlice key = {NULL, 0};
        if (!write_key(edit, value, &inner, &key))
            return false;
        int known = conf_text_set_find(&edit->set, key);
        if (known >= 0)
            edit->items[known].is_removed = true;
        conf_buffer_truncate(&edit->work, begin);
    }
    return true;
}

static bool
end_edit(ListEdit *edit, const ConfValuePath *path, ConfSlice *result)
{
    unsigned left = 0;
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    for (unsigned i = 0; i < edit->set.count; i++) {
        if (edit->items[i].is_removed)
            continue;
        conf_buffer_append_char(&text, left++ == 0 ? '[' : ',');
        conf_buffer_append_slice(&text, in_work(edit, edit->items[i].text));
    }
    *result = (ConfSlice){NULL, 0};
    if (left == 0)
        return true;
    if (left > CONF_LIST_LENGTH_MAX)
        return conf_value_fail(edit->context, path, "%s would have more than %d items", edit->field->name,
                               CONF_LIST_LENGTH_MAX);
    conf_buffer_append_char(&text, ']');
    *result = (ConfSlice){conf_arena_copy(edit->context->arena, text.data, text.size), text.size};
    return true;
}
