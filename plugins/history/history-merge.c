/* history-merge.c - three versions of a value: what was before a change and after it, and what is now. */
#include "history-methods-private.h"

typedef struct {
    GPtrArray *items;  /* HistorySlice *, in order; NULL: taken out */
    GHashTable *index; /* name of an item → its place + 1 */
} Items;

static HistoryMerge decide(HistorySlice before, HistorySlice after, HistorySlice present);
static HistoryMerge merge_list(HistorySlice before, HistorySlice after, HistorySlice present, const char *key,
                               bool force, char **value);
static void items_init(Items *items, HistorySlice list, const char *key);
static void items_clear(Items *items);
static char *name_of(HistorySlice item, const char *key);
static HistorySlice items_find(const Items *items, const char *name);
static HistoryMerge merge_items(Items *sides, const char *key, bool force, bool *is_changed);
static void items_set(Items *items, const char *name, HistorySlice item);
static char *items_to_text(const Items *items);
static bool is_object(HistorySlice value);

HistoryMerge
history_merge(HistorySlice before, HistorySlice after, HistorySlice present, const char *key, bool force,
              char **value)
{
    *value = NULL;
    HistoryMerge merge = decide(before, after, present);
    const HistorySlice sides[] = {before, after, present};
    bool is_list = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(sides); i++)
        is_list = is_list || (sides[i].size > 0 && sides[i].data[0] == '[');
    if (merge == HISTORY_CONFLICT && is_list)
        return merge_list(before, after, present, key, force, value);
    if (merge == HISTORY_CONFLICT && force)
        merge = HISTORY_SET;
    if (merge == HISTORY_SET)
        *value = history_slice_dup(before);
    return merge;
}

void
history_merge_patch(HistorySlice present, HistorySlice wanted, GString *patch)
{
    if (!is_object(present) || !is_object(wanted)) {
        g_string_append_len(patch, wanted.size > 0 ? wanted.data : "null",
                            wanted.size > 0 ? (gssize)wanted.size : 4);
        return;
    }
    HistoryScan scan;
    HistorySlice key, value;
    g_auto(HistoryIndex) there = HISTORY_INDEX(present), here = HISTORY_INDEX(wanted);
    bool first = true;
    g_string_append_c(patch, '{');
    for (bool more = history_scan_begin(&scan, wanted); more && history_scan_next(&scan, &key, &value);
         first = false) {
        g_string_append_printf(patch, "%s\"%.*s\":", first ? "" : ",", (int)key.size, key.data);
        history_merge_patch(history_index_find(&there, key), value, patch);
    }
    for (bool more = history_scan_begin(&scan, present); more && history_scan_next(&scan, &key, &value);) {
        if (history_index_find(&here, key).size > 0)
            continue;
        g_string_append_printf(patch, "%s\"%.*s\":null", first ? "" : ",", (int)key.size, key.data);
        first = false;
    }
    g_string_append_c(patch, '}');
}

static HistoryMerge
decide(HistorySlice before, HistorySlice after, HistorySlice present)
{
    if (history_slice_equal(present, before))
        return HISTORY_SAME;
    return history_slice_equal(present, after) ? HISTORY_SET : HISTORY_CONFLICT;
}

/* Item by item: what was put in goes, what was taken out comes back, others stay. */
static HistoryMerge
merge_list(HistorySlice before, HistorySlice after, HistorySlice present, const char *key, bool force,
           char **value)
{
    Items sides[3];
    const HistorySlice lists[] = {before, after, present};
    for (unsigned i = 0; i < G_N_ELEMENTS(sides); i++)
        items_init(&sides[i], lists[i], key);
    bool is_changed = false;
    HistoryMerge merge = merge_items(sides, key, force, &is_changed);
    if (merge == HISTORY_SET && is_changed)
        *value = items_to_text(&sides[2]);
    else if (merge == HISTORY_SET && !is_changed)
        merge = HISTORY_SAME;
    for (unsigned i = 0; i < G_N_ELEMENTS(sides); i++)
        items_clear(&sides[i]);
    return merge;
}

static HistoryMerge
merge_items(Items *sides, const char *key, bool force, bool *is_changed)
{
    bool differs = false;
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < sides[side].items->len; i++) {
            g_autofree char *name = name_of(*(HistorySlice *)sides[side].items->pdata[i], key);
            HistorySlice before = items_find(&sides[0], name), after = items_find(&sides[1], name);
            if (history_slice_equal(before, after) || (side == 1 && before.size > 0))
                continue;
            differs = true;
            HistoryMerge merge = decide(before, after, items_find(&sides[2], name));
            if (merge == HISTORY_CONFLICT && !force)
                return merge;
            if (merge == HISTORY_SAME)
                continue;
            items_set(&sides[2], name, before);
            *is_changed = true;
        }
    }
    /* Only the order was changed, and the list since. */
    return differs || force ? HISTORY_SET : HISTORY_CONFLICT;
}

static void
items_init(Items *items, HistorySlice list, const char *key)
{
    HistoryScan scan;
    HistorySlice unused, value;
    items->items = g_ptr_array_new_with_free_func(g_free);
    items->index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (bool more = history_scan_begin(&scan, list); more && history_scan_next(&scan, &unused, &value);) {
        g_ptr_array_add(items->items, g_memdup2(&value, sizeof value));
        g_hash_table_insert(items->index, name_of(value, key), GUINT_TO_POINTER(items->items->len));
    }
}

static void
items_clear(Items *items)
{
    g_ptr_array_unref(items->items);
    g_hash_table_unref(items->index);
}

/* A set names its items by themselves. */
static char *
name_of(HistorySlice item, const char *key)
{
    HistorySlice name = key != NULL ? history_slice_member(item, key) : item;
    return g_strndup(name.data != NULL ? name.data : "", name.size);
}

static HistorySlice
items_find(const Items *items, const char *name)
{
    unsigned place = GPOINTER_TO_UINT(g_hash_table_lookup(items->index, name));
    return place > 0 ? *(HistorySlice *)items->items->pdata[place - 1] : (HistorySlice){NULL, 0};
}

/* Size 0: it goes. */
static void
items_set(Items *items, const char *name, HistorySlice item)
{
    unsigned place = GPOINTER_TO_UINT(g_hash_table_lookup(items->index, name));
    if (place > 0) {
        *(HistorySlice *)items->items->pdata[place - 1] = item;
    } else if (item.size > 0) {
        g_ptr_array_add(items->items, g_memdup2(&item, sizeof item));
        g_hash_table_insert(items->index, g_strdup(name), GUINT_TO_POINTER(items->items->len));
    }
}

static char *
items_to_text(const Items *items)
{
    g_autoptr(GString) text = g_string_new("[");
    for (unsigned i = 0; i < items->items->len; i++) {
        const HistorySlice *item = items->items->pdata[i];
        if (item->size > 0)
            g_string_append_printf(text, "%s%.*s", text->len > 1 ? "," : "", (int)item->size, item->data);
    }
    g_string_append_c(text, ']');
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool
is_object(HistorySlice value)
{
    return value.size > 0 && value.data[0] == '{';
}
