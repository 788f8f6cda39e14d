/* history-difference.c - what an update changed: the members of before and of after that differ, options
 * and annex key by key.  Any thread. */
#include "history-methods-private.h"

static void write_side(HistorySlice own, HistorySlice other, GString *text);
static void write_sections(HistorySlice key, HistorySlice own, HistorySlice other, GString *text);
static void write_section(HistorySlice key, HistorySlice own, HistorySlice other, GString *text);
static void write_member(GString *text, HistorySlice key, HistorySlice value);

void
history_difference(HistorySlice before, HistorySlice after, char **before_members, char **after_members)
{
    GString *texts[] = {g_string_new(NULL), g_string_new(NULL)};
    write_side(before, after, texts[0]);
    write_side(after, before, texts[1]);
    *before_members = g_string_free(texts[0], FALSE);
    *after_members = g_string_free(texts[1], FALSE);
}

bool
history_is_sections(HistorySlice key)
{
    return history_slice_is(key, "options") || history_slice_is(key, "annex");
}

static void
write_side(HistorySlice own, HistorySlice other, GString *text)
{
    HistoryScan scan;
    HistorySlice key, value;
    g_auto(HistoryIndex) members = HISTORY_INDEX(other);
    g_string_append_c(text, '{');
    for (bool more = history_scan_begin(&scan, own); more && history_scan_next(&scan, &key, &value);) {
        HistorySlice there = history_index_find(&members, key);
        if (history_slice_equal(value, there) || history_slice_is(key, "revision"))
            continue;
        if (history_is_sections(key) && there.size > 0)
            write_sections(key, value, there, text);
        else
            write_member(text, key, value);
    }
    g_string_append_c(text, '}');
}

static void
write_sections(HistorySlice key, HistorySlice own, HistorySlice other, GString *text)
{
    HistoryScan scan;
    HistorySlice name, section;
    g_autoptr(GString) sections = g_string_new("{");
    g_auto(HistoryIndex) others = HISTORY_INDEX(other);
    for (bool more = history_scan_begin(&scan, own); more && history_scan_next(&scan, &name, &section);) {
        HistorySlice there = history_index_find(&others, name);
        if (history_slice_equal(section, there))
            continue;
        if (there.size > 0)
            write_section(name, section, there, sections);
        else
            write_member(sections, name, section);
    }
    g_string_append_c(sections, '}');
    if (sections->len > 2)
        write_member(text, key, (HistorySlice){sections->str, sections->len});
}

static void
write_section(HistorySlice key, HistorySlice own, HistorySlice other, GString *text)
{
    HistoryScan scan;
    HistorySlice name, value;
    g_autoptr(GString) keys = g_string_new("{");
    g_auto(HistoryIndex) others = HISTORY_INDEX(other);
    for (bool more = history_scan_begin(&scan, own); more && history_scan_next(&scan, &name, &value);) {
        if (!history_slice_equal(value, history_index_find(&others, name)))
            write_member(keys, name, value);
    }
    g_string_append_c(keys, '}');
    if (keys->len > 2)
        write_member(text, key, (HistorySlice){keys->str, keys->len});
}

static void
write_member(GString *text, HistorySlice key, HistorySlice value)
{
    if (text->str[text->len - 1] != '{')
        g_string_append_c(text, ',');
    g_string_append_c(text, '"');
    g_string_append_len(text, key.data, (gssize)key.size);
    g_string_append(text, "\":");
    g_string_append_len(text, value.data, (gssize)value.size);
}
