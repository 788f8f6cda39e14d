/* output.c - tables, JSON Lines, colours, a progress bar.  Names and values come from others: what could
 * steer a terminal is shown, not sent. */
#include "confctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 30, BAR_USEC = 100000 };

struct CtlTable {
    GPtrArray *rows; /* GPtrArray of text; the first are the headings */
};

static GPtrArray *collect(const char *first, va_list arguments);
static const char *get_cell(const GPtrArray *row, unsigned column);
static unsigned text_width(const char *text);
static void print_row(Ctl *ctl, const GPtrArray *row, const unsigned *widths, unsigned columns,
                      bool is_heading);

CtlTable *
ctl_table_new(const char *first, ...)
{
    CtlTable *table = g_new0(CtlTable, 1);
    table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
    va_list arguments;
    va_start(arguments, first);
    g_ptr_array_add(table->rows, collect(first, arguments));
    va_end(arguments);
    return table;
}

void
ctl_table_add(CtlTable *table, const char *first, ...)
{
    va_list arguments;
    va_start(arguments, first);
    g_ptr_array_add(table->rows, collect(first, arguments));
    va_end(arguments);
}

void
ctl_table_add_column(CtlTable *table, const char *heading)
{
    g_autofree char *upper = g_utf8_strup(heading, -1);
    g_ptr_array_add(g_ptr_array_index(table->rows, 0), ctl_clean(upper));
}

void
ctl_table_add_cell(CtlTable *table, const char *text)
{
    g_ptr_array_add(g_ptr_array_index(table->rows, table->rows->len - 1), ctl_clean(text));
}

void
ctl_table_print(Ctl *ctl, CtlTable *table)
{
    GPtrArray *headings = g_ptr_array_index(table->rows, 0);
    unsigned columns = headings->len;
    g_autofree unsigned *widths = g_new0(unsigned, columns);
    for (unsigned i = 0; i < table->rows->len; i++) {
        for (unsigned column = 0; column < columns; column++)
            widths[column] =
                MAX(widths[column], text_width(get_cell(g_ptr_array_index(table->rows, i), column)));
    }
    for (unsigned i = get_cell(headings, 0)[0] == '\0' ? 1 : 0; i < table->rows->len; i++)
        print_row(ctl, g_ptr_array_index(table->rows, i), widths, columns, i == 0);
    ctl_table_free(table);
}

void
ctl_table_free(CtlTable *table)
{
    g_ptr_array_unref(table->rows);
    g_free(table);
}

void
ctl_print_json(JsonObject *object)
{
    g_autoptr(JsonNode) node = ctl_node_object(json_object_ref(object));
    g_autofree char *text = json_to_string(node, FALSE);
    g_autofree char *clean = ctl_clean(text);
    puts(clean);
}

void
ctl_print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *clean = ctl_clean(text);
    puts(clean);
}

void
ctl_print_styled(Ctl *ctl, CtlStyle style, const char *format, ...)
{
    static const char *const codes[] = {"", "\033[1m", "\033[32m", "\033[33m", "\033[31m", "\033[2m"};
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *clean = ctl_clean(text);
    if (ctl->colour && style != CTL_PLAIN)
        printf("%s%s\033[0m\n", codes[style], clean);
    else
        puts(clean);
}

void
ctl_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *clean = ctl_clean(text);
    /* After what was printed before, where both go to one place. */
    fflush(stdout);
    fprintf(stderr, "confctl: %s\n", clean);
}

char *
ctl_clean(const char *text)
{
    if (!g_utf8_validate(text, -1, NULL))
        return g_strescape(text, NULL);
    GString *clean = g_string_new(NULL);
    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (c < 0x20 || (c >= 0x7f && c < 0xa0))
            g_string_append_printf(clean, "\\u%04x", c);
        else
            g_string_append_unichar(clean, c);
    }
    return g_string_free(clean, FALSE);
}

char *
ctl_scalar_text(JsonNode *node)
{
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
        return json_node_dup_string(node);
    return json_to_string(node, FALSE);
}

void
ctl_progress_start(CtlProgress *progress, const char *title, gint64 total)
{
    *progress = (CtlProgress){.title = title, .total = total, .visible = isatty(STDERR_FILENO) != 0};
    ctl_progress_show(progress, 0);
}

void
ctl_progress_show(CtlProgress *progress, gint64 done)
{
    gint64 now = g_get_monotonic_time();
    if (!progress->visible || (done > 0 && now - progress->shown_at < BAR_USEC))
        return;
    progress->shown_at = now;
    gint64 total = MAX(progress->total, MAX(done, 1));
    int filled = (int)(done * BAR_WIDTH / total);
    fprintf(stderr, "\r%s [", progress->title);
    for (int i = 0; i < BAR_WIDTH; i++)
        fputc(i < filled ? '#' : ' ', stderr);
    fprintf(stderr, "] %3d%% %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, (int)(done * 100 / total), done,
            progress->total);
    fflush(stderr);
}

void
ctl_progress_end(CtlProgress *progress)
{
    /* The line is cleared: what was done is said in a sentence. */
    if (progress->visible)
        fputs("\r\033[K", stderr);
    progress->visible = false;
}

static GPtrArray *
collect(const char *first, va_list arguments)
{
    GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
    for (const char *text = first; text != NULL; text = va_arg(arguments, const char *))
        g_ptr_array_add(texts, ctl_clean(text));
    return texts;
}

static const char *
get_cell(const GPtrArray *row, unsigned column)
{
    return column < row->len ? g_ptr_array_index(row, column) : "";
}

static unsigned
text_width(const char *text)
{
    unsigned width = 0;
    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        width += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

static void
print_row(Ctl *ctl, const GPtrArray *row, const unsigned *widths, unsigned columns, bool is_heading)
{
    g_autoptr(GString) line = g_string_new(NULL);
    for (unsigned column = 0; column < columns; column++) {
        const char *text = get_cell(row, column);
        g_string_append(line, text);
        for (unsigned i = text_width(text); column + 1 < columns && i < widths[column] + 2; i++)
            g_string_append_c(line, ' ');
    }
    g_strchomp(line->str);
    if (is_heading && ctl->colour)
        printf("\033[1m%s\033[0m\n", line->str);
    else
        puts(line->str);
}
