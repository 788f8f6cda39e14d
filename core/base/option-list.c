/* option-list.c - what is declared, as text for a terminal, as chapters of the manual, as JSON and as
 * completion.  Made from the tables alone, so that the same program always gives the same bytes: documents in
 * the tree are compared with it. */
#include "base/option-private.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json-writer.h"

typedef struct {
    const char *owner;
    const char *section; /* as shown */
    const ConfOption *option;
} Entry;

typedef void (*ListFunc)(ConfBuffer *out, const GArray *entries);

static void list_text(ConfBuffer *out, const GArray *entries);
static void list_markdown(ConfBuffer *out, const GArray *entries);
static void list_man(ConfBuffer *out, const GArray *entries);
static void list_json(ConfBuffer *out, const GArray *entries);
static void list_bash(ConfBuffer *out, const GArray *entries);
static GArray *collect(void);
static bool begins_section(const GArray *entries, unsigned index);
static const char *type_word(ConfType type);
static const char *when_words(ConfWhen when);
static char *first_sentence(const char *help);
static char as_space(char c);
static void append_cell(ConfBuffer *out, const char *text);
static void append_roff(ConfBuffer *out, const char *text);
static const char *before_argument(const ConfOption *option);
static void append_command_line_text(ConfBuffer *out);
static void append_command_line_markdown(ConfBuffer *out);
static void append_command_line_words(ConfBuffer *out);
static void json_option(ConfJsonWriter *writer, const Entry *entry);

bool
conf_option_list(const char *format, GError **error)
{
    static const struct {
        const char *format;
        ListFunc func;
    } FORMATS[] = {
        {"text", list_text}, {"markdown", list_markdown}, {"man", list_man},
        {"json", list_json}, {"bash", list_bash},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(FORMATS); i++) {
        if (strcmp(FORMATS[i].format, format) != 0)
            continue;
        g_auto(ConfBuffer) out = CONF_BUFFER_INIT;
        g_autoptr(GArray) entries = collect();
        FORMATS[i].func(&out, entries);
        if (fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0)
            return true;
        g_set_error_literal(error, CONF_ERROR, CONF_ERROR_FAILED, "standard output cannot be written");
        return false;
    }
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                "there is no format %.40s; allowed are text, markdown, man, json, bash", format);
    return false;
}

static void
list_text(ConfBuffer *out, const GArray *entries)
{
    append_command_line_text(out);
    for (unsigned i = 0; i < entries->len; i++) {
        const Entry *entry = &g_array_index(entries, Entry, i);
        const ConfOption *option = entry->option;
        if (begins_section(entries, i))
            conf_buffer_printf(out, "%s[%s]  (%s)\n", out->size > 0 ? "\n" : "", entry->section,
                               entry->owner);
        g_autofree char *allowed = conf_option_describe_allowed(option);
        g_autofree char *sentence = first_sentence(option->help);
        conf_buffer_printf(out, "  %s = %s\n", option->name,
                           option->fallback != NULL ? option->fallback : "");
        conf_buffer_printf(out, "      %s\n      Allowed: %s. Takes effect %s.\n", sentence, allowed,
                           when_words(option->when));
    }
}

static void
list_markdown(ConfBuffer *out, const GArray *entries)
{
    CONF_BUFFER_LITERAL(out, "# Options\n\nMade by `confserv -list-options=markdown`; do not edit.\n");
    append_command_line_markdown(out);
    for (unsigned i = 0; i < entries->len; i++) {
        const Entry *entry = &g_array_index(entries, Entry, i);
        const ConfOption *option = entry->option;
        if (begins_section(entries, i)) {
            conf_buffer_printf(out, "\n## `[%s]` (%s)\n\n", entry->section, entry->owner);
            CONF_BUFFER_LITERAL(
                out, "| option | default | allowed | takes effect | meaning |\n|---|---|---|---|---|\n");
        }
        g_autofree char *allowed = conf_option_describe_allowed(option);
        conf_buffer_printf(out, "| `%s` | ", option->name);
        append_cell(out, option->fallback != NULL ? option->fallback : "none");
        CONF_BUFFER_LITERAL(out, " | ");
        append_cell(out, allowed);
        conf_buffer_printf(out, " | %s | ", when_words(option->when));
        append_cell(out, option->help);
        CONF_BUFFER_LITERAL(out, " |\n");
    }
}

static void
list_man(ConfBuffer *out, const GArray *entries)
{
    CONF_BUFFER_LITERAL(
        out,
        ".TH CONFSERV.CONF 5 \"\" \"confserv\" \"Configuration file\"\n"
        ".SH NAME\nconfserv.conf \\- options of the configuration server\n"
        ".SH DESCRIPTION\nSections are written [section], options key = value. Lines that begin with # or ; "
        "are comments. Sizes take the suffixes KiB, MiB and GiB, durations ms, s, min, h and d.\n");
    for (unsigned i = 0; i < entries->len; i++) {
        const Entry *entry = &g_array_index(entries, Entry, i);
        const ConfOption *option = entry->option;
        if (begins_section(entries, i)) {
            CONF_BUFFER_LITERAL(out, ".SH \"SECTION [");
            append_roff(out, entry->section);
            CONF_BUFFER_LITERAL(out, "]\"\n");
        }
        g_autofree char *allowed = conf_option_describe_allowed(option);
        CONF_BUFFER_LITERAL(out, ".TP\n.B ");
        append_roff(out, option->name);
        CONF_BUFFER_LITERAL(out, "\n");
        append_roff(out, option->help);
        CONF_BUFFER_LITERAL(out, "\n.br\nAllowed: ");
        append_roff(out, allowed);
        CONF_BUFFER_LITERAL(out, ". Default: ");
        append_roff(out, option->fallback != NULL ? option->fallback : "none");
        conf_buffer_printf(out, ". Takes effect %s.\n", when_words(option->when));
    }
}

static void
list_json(ConfBuffer *out, const GArray *entries)
{
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, out);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_key(&writer, "commandLine");
    conf_json_writer_begin_array(&writer);
    for (const ConfOption *option = conf_option_command_line(); option != NULL && option->name != NULL;
         option++)
        json_option(&writer, &(Entry){NULL, NULL, option});
    conf_json_writer_end_array(&writer);
    conf_json_writer_key(&writer, "options");
    conf_json_writer_begin_array(&writer);
    for (unsigned i = 0; i < entries->len; i++)
        json_option(&writer, &g_array_index(entries, Entry, i));
    conf_json_writer_end_array(&writer);
    conf_json_writer_end_object(&writer);
    conf_buffer_append_char(out, '\n');
}

/* Completes the command line; options of section [log] are reachable there as -log-NAME. */
static void
list_bash(ConfBuffer *out, const GArray *entries)
{
    CONF_BUFFER_LITERAL(out,
                        "# Completion of confserv; made by confserv -list-options=bash, do not edit.\n"
                        "_confserv()\n{\n"
                        "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
                        "    case $previous in\n");
    for (unsigned i = 0; i < entries->len; i++) {
        const Entry *entry = &g_array_index(entries, Entry, i);
        if (strcmp(entry->section, "log") != 0 || entry->option->type != CONF_T_CHOICE)
            continue;
        g_auto(GStrv) words = g_strsplit(entry->option->range, "|", -1);
        g_autofree char *joined = g_strjoinv(" ", words);
        conf_buffer_printf(
            out,
            "    -log-%s|--log-%s) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$current\"); return ;;\n",
            entry->option->name, entry->option->name, joined);
    }
    CONF_BUFFER_LITERAL(out, "    esac\n    local words='");
    append_command_line_words(out);
    for (unsigned i = 0; i < entries->len; i++) {
        const Entry *entry = &g_array_index(entries, Entry, i);
        if (strcmp(entry->section, "log") == 0)
            conf_buffer_printf(out, " -log-%s", entry->option->name);
    }
    /* Two dashes are as good as one. */
    CONF_BUFFER_LITERAL(
        out, "'\n    case $current in\n"
             "    --*) mapfile -t COMPREPLY < <(compgen -P - -W \"$words\" -- \"${current#-}\") ;;\n"
             "    -*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\") ;;\n"
             "    *) mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
             "    esac\n}\ncomplete -o filenames -F _confserv confserv\n");
}

/* Registration order depends on what is loaded first; within an owner, sections stay together. */
static GArray *
collect(void)
{
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    unsigned count;
    const ConfOptionTable *tables = conf_option_tables(&count);
    for (unsigned t = 0; t < count; t++) {
        for (const ConfOption *option = tables[t].options; option->name != NULL; option++) {
            const char *own = tables[t].section != NULL ? tables[t].section : tables[t].owner;
            Entry entry = {tables[t].owner, option->section != NULL ? option->section : own, option};
            unsigned place = entries->len;
            for (unsigned i = 0; i < entries->len; i++) {
                const Entry *other = &g_array_index(entries, Entry, i);
                if (strcmp(other->owner, entry.owner) == 0 && strcmp(other->section, entry.section) == 0)
                    place = i + 1;
            }
            g_array_insert_val(entries, place, entry);
        }
    }
    return entries;
}

static bool
begins_section(const GArray *entries, unsigned index)
{
    if (index == 0)
        return true;
    const Entry *entry = &g_array_index(entries, Entry, index);
    const Entry *before = &g_array_index(entries, Entry, index - 1);
    return strcmp(entry->owner, before->owner) != 0 || strcmp(entry->section, before->section) != 0;
}

static const char *
type_word(ConfType type)
{
    static const char *const WORDS[] = {"boolean", "integer", "string", "secret", "choice"};
    return WORDS[type];
}

static const char *
when_words(ConfWhen when)
{
    static const char *const WORDS[] = {"at start", "on connect", "at once"};
    return WORDS[when];
}

static char *
first_sentence(const char *help)
{
    const char *end = strstr(help, ". ");
    return end != NULL ? g_strndup(help, (size_t)(end - help) + 1) : g_strdup(help);
}

static char
as_space(char c)
{
    if (c == '\n')
        return ' ';
    return c;
}

/* A cell of a table ends at a bar; angle brackets would be taken for HTML. */
static void
append_cell(ConfBuffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '<' || *text == '*' || *text == '_')
            conf_buffer_append_char(out, '\\');
        conf_buffer_append_char(out, as_space(*text));
    }
}

/* A point or an apostrophe at the start of a line is a request, a backslash an escape, a hyphen a dash. */
static void
append_roff(ConfBuffer *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        CONF_BUFFER_LITERAL(out, "\\&");
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            CONF_BUFFER_LITERAL(out, "\\e");
        else if (*text == '-')
            CONF_BUFFER_LITERAL(out, "\\-");
        else if (*text == '"')
            CONF_BUFFER_LITERAL(out, "\\(dq");
        else
            conf_buffer_append_char(out, as_space(*text));
    }
}

/* "-port N", "-list-options[=FORMAT]" */
static const char *
before_argument(const ConfOption *option)
{
    return option->range == NULL || option->range[0] == '[' ? "" : " ";
}

static void
append_command_line_text(ConfBuffer *out)
{
    const ConfOption *option = conf_option_command_line();
    if (option == NULL)
        return;
    CONF_BUFFER_LITERAL(out, "Command line\n");
    for (; option->name != NULL; option++) {
        g_autofree char *sentence = first_sentence(option->help);
        conf_buffer_printf(out, "  -%s%s%s\n      %s\n", option->name, before_argument(option),
                           option->range != NULL ? option->range : "", sentence);
    }
}

static void
append_command_line_markdown(ConfBuffer *out)
{
    const ConfOption *option = conf_option_command_line();
    if (option == NULL)
        return;
    CONF_BUFFER_LITERAL(out, "\n## Command line\n\n| option | meaning |\n|---|---|\n");
    for (; option->name != NULL; option++) {
        conf_buffer_printf(out, "| `-%s`%s", option->name, before_argument(option));
        append_cell(out, option->range != NULL ? option->range : "");
        CONF_BUFFER_LITERAL(out, " | ");
        append_cell(out, option->help);
        CONF_BUFFER_LITERAL(out, " |\n");
    }
}

static void
append_command_line_words(ConfBuffer *out)
{
    for (const ConfOption *option = conf_option_command_line(); option != NULL && option->name != NULL;
         option++)
        conf_buffer_printf(out, " -%s", option->name);
}

static void
json_option(ConfJsonWriter *writer, const Entry *entry)
{
    const ConfOption *option = entry->option;
    g_autofree char *allowed = conf_option_describe_allowed(option);
    conf_json_writer_begin_object(writer);
    if (entry->owner != NULL) {
        conf_json_writer_member_string(writer, "owner", entry->owner);
        conf_json_writer_member_string(writer, "section", entry->section);
    }
    conf_json_writer_member_string(writer, "name", option->name);
    conf_json_writer_member_string(writer, "type", type_word(option->type));
    if (option->fallback != NULL)
        conf_json_writer_member_string(writer, "default", option->fallback);
    if (option->range != NULL)
        conf_json_writer_member_string(writer, "range", option->range);
    conf_json_writer_member_string(writer, "allowed", allowed);
    if (entry->owner != NULL)
        conf_json_writer_member_string(writer, "takesEffect", when_words(option->when));
    conf_json_writer_member_string(writer, "help", option->help);
    conf_json_writer_end_object(writer);
}
