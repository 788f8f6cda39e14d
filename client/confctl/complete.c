/* complete.c - what the shell offers for the word that is being typed: commands, their options, types of
 * objects, and paths, which are asked of the server. */
#include "confctl.h"

#include <string.h>

static const char *const builtins[] = {"help", "exit"};

static GPtrArray *split(const char *line, CtlCompletion *completion);
static void offer(CtlCompletion *completion, const char *word);
static void offer_commands(CtlCompletion *completion);
static void offer_options(const CtlCommand *command, CtlCompletion *completion);
static void offer_types(Ctl *ctl, CtlCompletion *completion);
static void offer_paths(Ctl *ctl, CtlCompletion *completion);
static int compare(const void *a, const void *b);

void
ctl_complete(Ctl *ctl, const char *line, CtlCompletion *completion)
{
    *completion = (CtlCompletion){.words = g_ptr_array_new_with_free_func(g_free)};
    g_autoptr(GPtrArray) before = split(line, completion);
    const char *name = before->len > 0 ? g_ptr_array_index(before, 0) : NULL;
    const CtlCommand *command = name != NULL ? ctl_command_find(name) : NULL;
    bool wants_command = name == NULL || (before->len == 1 && strcmp(name, "help") == 0);
    if (wants_command)
        offer_commands(completion);
    else if (completion->typed[0] == '-' && command != NULL)
        offer_options(command, completion);
    else if (completion->typed[0] == '/')
        offer_paths(ctl, completion);
    else if (before->len == 1 && g_strv_contains((const char *const[]){"find", "new", "watch", NULL}, name))
        offer_types(ctl, completion);
    g_ptr_array_sort(completion->words, compare);
}

void
ctl_completion_clear(CtlCompletion *completion)
{
    g_ptr_array_unref(completion->words);
    g_free(completion->typed);
}

char *
ctl_completion_quote(const char *text, char quote)
{
    const char *special = quote == '\'' ? "" : quote == '"' ? "\"\\$`" : "\"\\$` '#&;|<>()*?[]~!";
    GString *quoted = g_string_new(NULL);
    for (const char *p = text; *p != '\0'; p++) {
        if (strchr(special, *p) != NULL)
            g_string_append_c(quoted, '\\');
        /* Within single quotes there is no way to say one: out of them, and in again. */
        if (quote == '\'' && *p == '\'')
            g_string_append(quoted, "'\\'");
        g_string_append_c(quoted, *p);
    }
    return g_string_free(quoted, FALSE);
}

/* The words before the last one, by the rules of g_shell_parse_argv(); the last one, which may be empty, is
 * what is being typed. */
static GPtrArray *
split(const char *line, CtlCompletion *completion)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) word = g_string_new(NULL);
    char quote = '\0';
    bool in_word = false;
    for (const char *p = line; *p != '\0'; p++) {
        bool is_escaped = *p == '\\' && quote != '\'' && p[1] != '\0';
        if (is_escaped) {
            g_string_append_c(word, *++p);
            in_word = true;
        } else if (quote != '\0' ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote != '\0' ? '\0' : *p;
            in_word = true;
        } else if (quote == '\0' && (*p == ' ' || *p == '\t')) {
            if (in_word)
                g_ptr_array_add(words, g_strdup(word->str));
            g_string_truncate(word, 0);
            in_word = false;
        } else {
            g_string_append_c(word, *p);
            in_word = true;
        }
    }
    completion->quote = quote;
    completion->typed = g_strdup(word->str);
    return words;
}

static void
offer(CtlCompletion *completion, const char *word)
{
    if (g_str_has_prefix(word, completion->typed))
        g_ptr_array_add(completion->words, g_strdup(word));
}

static void
offer_commands(CtlCompletion *completion)
{
    const CtlCommand *command;
    for (unsigned i = 0; (command = ctl_command_get(i)) != NULL; i++) {
        if (command != ctl_shell_commands)
            offer(completion, command->name);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(builtins); i++)
        offer(completion, builtins[i]);
}

static void
offer_options(const CtlCommand *command, CtlCompletion *completion)
{
    offer(completion, "--help");
    for (const GOptionEntry *entry = command->options; entry != NULL && entry->long_name != NULL; entry++) {
        g_autofree char *word = g_strconcat("--", entry->long_name, NULL);
        offer(completion, word);
    }
}

static void
offer_types(Ctl *ctl, CtlCompletion *completion)
{
    JsonArray *types = ctl_schema_load(ctl, NULL) ? ctl_types(ctl) : NULL;
    for (unsigned i = 0; types != NULL && i < json_array_get_length(types); i++) {
        const char *name = confc_json_string(ctl_array_object(types, i), "type");
        if (name != NULL)
            offer(completion, name);
    }
}

/* A server that does not answer leaves nothing to offer. */
static void
offer_paths(Ctl *ctl, CtlCompletion *completion)
{
    const char *slash = strrchr(completion->typed, '/');
    g_autofree char *parent = g_strndup(completion->typed, (gsize)(slash - completion->typed));
    g_autoptr(GPtrArray) children = ctl_list_children(ctl, parent[0] != '\0' ? parent : "/", NULL);
    for (unsigned i = 0; children != NULL && i < children->len; i++) {
        JsonObject *child = g_ptr_array_index(children, i);
        const char *name = confc_json_string(child, "name"), *type = confc_json_string(child, "type");
        if (name == NULL)
            continue;
        bool is_container = g_strcmp0(type, "folder") == 0 || g_strcmp0(type, "tenant") == 0;
        g_autofree char *path = ctl_path_join(parent, name);
        g_autofree char *word = g_strconcat(path, is_container ? "/" : "", NULL);
        offer(completion, word);
    }
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}
