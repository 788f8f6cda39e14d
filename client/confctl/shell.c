/* shell.c - the command shell: commands one after another on one connection, with a line to edit, a history
 * and completion on a terminal; from a file or pipe until the first one that fails.
 *
 * While a line is typed the main loop runs, so that the connection lives: libedit gets its characters from
 * next_character(). */
#include "confctl.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <histedit.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

enum { HISTORY_MAX = 1000, OFFERED_MAX = 200, CANCEL = 0x03 };

typedef struct {
    Ctl *ctl;
    EditLine *edit;
    History *history;
    char *prompt, *file; /* of the history; NULL: nowhere to keep it */
    GHashTable *numbers; /* of options: where they are kept -> gint64, what they are where they are not given */
    const CtlCommand *running;
    bool is_readable, is_over;
    bool is_interrupted;  /* the line that is typed */
    bool was_interrupted; /* the command that ran */
} Shell;

static bool run_shell(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_file(Shell *shell, GError **error);
static void run_terminal(Shell *shell);
static bool run_line(Shell *shell, const char *line, GError **error);
static bool run_command(Shell *shell, const CtlCommand *command, char **words, GError **error);
static bool run_builtin(Shell *shell, char **words, bool *is_builtin, GError **error);
static char *help_of(const CtlCommand *command);
static void reset_options(Shell *shell, const GOptionEntry *entries);
static void start_editing(Shell *shell);
static void stop_editing(Shell *shell);
static char *prompt(EditLine *edit);
static int next_character(EditLine *edit, wchar_t *character);
static gboolean note_readable(int fd, GIOCondition condition, void *data);
static gboolean interrupt(void *data);
static unsigned char complete(EditLine *edit, int character);
static unsigned char cancel(EditLine *edit, int character);
static void show_offers(Shell *shell, const CtlCompletion *completion);
static gsize common_length(const GPtrArray *words);

const CtlCommand ctl_shell_commands[] = {
    {"shell", "", "Takes commands one after another, on one connection",
     "On a terminal lines can be edited, tab completes commands, types and paths, and what was typed is kept\n"
     "for the next time.  From a file or pipe the first command that fails is the last.  # begins a comment,\n"
     "exit or the end of the input is the end.",
     NULL, 0, 0, run_shell},
    {NULL},
};

static bool
run_shell(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    (void)arguments;
    (void)count;
    Shell shell = {.ctl = ctl, .numbers = g_hash_table_new_full(NULL, NULL, NULL, g_free)};
    bool fine = true;
    if (isatty(STDIN_FILENO))
        run_terminal(&shell);
    else
        fine = run_file(&shell, error);
    g_hash_table_unref(shell.numbers);
    return fine;
}

static bool
run_file(Shell *shell, GError **error)
{
    char *line = NULL;
    size_t size = 0;
    bool fine = true;
    for (unsigned number = 1; fine && !shell->is_over && getline(&line, &size, stdin) >= 0; number++) {
        fine = run_line(shell, line, error);
        if (!fine)
            g_prefix_error(error, "Line %u: ", number);
    }
    free(line);
    return fine;
}

static void
run_terminal(Shell *shell)
{
    start_editing(shell);
    guint readable = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, note_readable, shell);
    guint interrupts = g_unix_signal_add(SIGINT, interrupt, shell);
    while (!shell->is_over) {
        int count = 0;
        const char *line = el_gets(shell->edit, &count);
        if (line == NULL || count <= 0)
            break;
        g_autofree char *copy = g_strndup(line, strcspn(line, "\r\n"));
        HistEvent event;
        /* As other shells have it, what begins with a blank is not kept. */
        if (copy[0] != '\0' && copy[0] != ' ')
            history(shell->history, &event, H_ENTER, copy);
        g_autoptr(GError) error = NULL;
        /* A command reads of the terminal itself. */
        g_source_remove(readable);
        if (!run_line(shell, copy, &error))
            ctl_command_report(error);
        if (shell->was_interrupted)
            putchar('\n'); /* Behind the ^C that the terminal shows. */
        shell->was_interrupted = false;
        fflush(stdout);
        readable = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, note_readable, shell);
    }
    g_source_remove(readable);
    g_source_remove(interrupts);
    stop_editing(shell);
}

static bool
run_line(Shell *shell, const char *line, GError **error)
{
    g_auto(GStrv) words = NULL;
    g_autoptr(GError) fault = NULL;
    bool is_builtin = false;
    if (!g_shell_parse_argv(line, NULL, &words, &fault)) {
        if (g_error_matches(fault, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
            return true;
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s", fault->message);
        return false;
    }
    bool fine = run_builtin(shell, words, &is_builtin, error);
    if (is_builtin)
        return fine;
    const CtlCommand *command = ctl_command_find(words[0]);
    if (command == NULL || command == ctl_shell_commands) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "There is no command \"%s\" here; help lists them",
                    words[0]);
        return false;
    }
    return run_command(shell, command, words, error);
}

static bool
run_command(Shell *shell, const CtlCommand *command, char **words, GError **error)
{
    Ctl *ctl = shell->ctl;
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    /* GLib's own would end the program. */
    g_option_context_set_help_enabled(context, FALSE);
    reset_options(shell, command->options);
    if (command->options != NULL)
        g_option_context_add_main_entries(context, command->options, NULL);
    g_auto(GStrv) arguments = g_strdupv(words);
    g_autoptr(GError) fault = NULL;
    if (!g_option_context_parse_strv(context, &arguments, &fault)) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s", fault->message);
        return false;
    }
    if (!ctl_command_check(command, arguments + 1, error))
        return false;
    /* Names may have changed since the last command. */
    g_clear_pointer(&ctl->places, g_hash_table_unref);
    ctl->as_of = 0;
    if (!confc_client_is_connected(ctl->client) && !ctl_reconnect(ctl, error))
        return false;
    shell->running = command;
    bool fine = command->run(ctl, arguments + 1, g_strv_length(arguments + 1), error);
    shell->running = NULL;
    g_object_set(ctl->client, "reconnect", FALSE, NULL);
    /* What it has subscribed to ends with its session. */
    if (command->is_ended_by_interrupt)
        confc_client_disconnect(ctl->client);
    return fine;
}

static bool
run_builtin(Shell *shell, char **words, bool *is_builtin, GError **error)
{
    bool wants_help = words[1] != NULL && g_strv_contains((const char *const *)words, "--help");
    *is_builtin =
        wants_help || g_strv_contains((const char *const[]){"help", "exit", "quit", NULL}, words[0]);
    if (!*is_builtin)
        return true;
    shell->is_over = !wants_help && words[0][0] != 'h';
    if (shell->is_over)
        return true;
    const char *name = wants_help ? words[0] : words[1];
    const CtlCommand *command = name != NULL ? ctl_command_find(name) : NULL;
    if (name != NULL && command == NULL) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "There is no command \"%s\" here; help lists them",
                    name);
        return false;
    }
    g_autofree char *text = command != NULL ? help_of(command) : ctl_command_list();
    printf("%s\n", text);
    return true;
}

static char *
help_of(const CtlCommand *command)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%s %s\n%s.", command->name, command->arguments, command->summary);
    if (command->help != NULL)
        g_string_append_printf(text, "\n%s", command->help);
    for (const GOptionEntry *entry = command->options; entry != NULL && entry->long_name != NULL; entry++) {
        g_autofree char *option =
            g_strdup_printf("--%s%s%s", entry->long_name, entry->arg_description != NULL ? "=" : "",
                            entry->arg_description != NULL ? entry->arg_description : "");
        g_string_append_printf(text, "\n  %-30s %s", option, entry->description);
    }
    return g_string_free(text, FALSE);
}

/* Each command begins with what its options are where they are not given. */
static void
reset_options(Shell *shell, const GOptionEntry *entries)
{
    for (const GOptionEntry *entry = entries; entry != NULL && entry->long_name != NULL; entry++) {
        switch (entry->arg) {
        case G_OPTION_ARG_STRING:
        case G_OPTION_ARG_FILENAME:
            g_clear_pointer((char **)entry->arg_data, g_free);
            break;
        case G_OPTION_ARG_INT64: {
            const gint64 *first = g_hash_table_lookup(shell->numbers, entry->arg_data);
            if (first != NULL)
                *(gint64 *)entry->arg_data = *first;
            else
                g_hash_table_insert(shell->numbers, entry->arg_data,
                                    g_memdup2(entry->arg_data, sizeof(gint64)));
            break;
        }
        default: /* A flag. */
            *(int *)entry->arg_data = 0;
        }
    }
}

static void
start_editing(Shell *shell)
{
    HistEvent event;
    g_autofree char *folder = g_build_filename(g_get_user_state_dir(), "confctl", NULL);
    const char *user = shell->ctl->options.user;
    g_autofree char *shown = g_strdup_printf("%s%s%s> ", user != NULL ? user : "", user != NULL ? "@" : "",
                                             confc_client_get_peer(shell->ctl->client));
    shell->prompt = ctl_clean(shown);
    shell->edit = el_init("confctl", stdin, stdout, stderr);
    shell->history = history_init();
    history(shell->history, &event, H_SETSIZE, HISTORY_MAX);
    history(shell->history, &event, H_SETUNIQUE, 1);
    if (g_mkdir_with_parents(folder, 0700) == 0) {
        shell->file = g_build_filename(folder, "history", NULL);
        history(shell->history, &event, H_LOAD, shell->file);
    }
    el_set(shell->edit, EL_CLIENTDATA, shell);
    el_set(shell->edit, EL_PROMPT, prompt);
    el_set(shell->edit, EL_EDITOR, "emacs");
    el_set(shell->edit, EL_SIGNAL, 0);
    el_set(shell->edit, EL_HIST, history, shell->history);
    el_set(shell->edit, EL_GETCFN, next_character);
    el_set(shell->edit, EL_ADDFN, "confctl-complete", "Completes the word", complete);
    el_set(shell->edit, EL_ADDFN, "confctl-cancel", "Drops the line", cancel);
    el_set(shell->edit, EL_BIND, "^I", "confctl-complete", NULL);
    el_set(shell->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(shell->edit, NULL);
    el_set(shell->edit, EL_BIND, "^C", "confctl-cancel", NULL);
}

static void
stop_editing(Shell *shell)
{
    HistEvent event;
    if (shell->file != NULL) {
        /* Others need not know what was looked for. */
        mode_t mask = umask(0077);
        if (history(shell->history, &event, H_SAVE, shell->file) < 0)
            ctl_warn("What was typed could not be kept in %s: %s", shell->file, g_strerror(errno));
        umask(mask);
    }
    history_end(shell->history);
    el_end(shell->edit);
    g_free(shell->prompt);
    g_free(shell->file);
    putchar('\n');
}

static char *
prompt(EditLine *edit)
{
    Shell *shell = NULL;
    el_get(edit, EL_CLIENTDATA, &shell);
    return shell->prompt;
}

/* 1: there is one.  0: the end. */
static int
next_character(EditLine *edit, wchar_t *character)
{
    Shell *shell = NULL;
    mbstate_t state = {0};
    el_get(edit, EL_CLIENTDATA, &shell);
    for (;;) {
        while (!shell->is_readable && !shell->is_interrupted)
            g_main_context_iteration(NULL, TRUE);
        if (shell->is_interrupted) {
            shell->is_interrupted = false;
            *character = CANCEL;
            return 1;
        }
        char byte;
        shell->is_readable = false;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return 0;
        size_t size = mbrtowc(character, &byte, 1, &state);
        if (size == (size_t)-2)
            continue;
        if (size != (size_t)-1)
            return 1;
        state = (mbstate_t){0}; /* No character of this locale: passed over. */
    }
}

static gboolean
note_readable(int fd, GIOCondition condition, void *data)
{
    (void)fd;
    (void)condition;
    ((Shell *)data)->is_readable = true;
    return G_SOURCE_CONTINUE;
}

/* At the prompt the line is dropped; a command that waits for the server waits no longer. */
static gboolean
interrupt(void *data)
{
    Shell *shell = data;
    shell->was_interrupted = shell->running != NULL;
    if (shell->running == NULL) {
        shell->is_interrupted = true;
    } else if (!shell->running->is_ended_by_interrupt) {
        /* Without waiting for the server's good-bye: it may be the one that does not answer. */
        g_autoptr(GCancellable) now = g_cancellable_new();
        g_cancellable_cancel(now);
        confc_client_disconnect_async(shell->ctl->client, now, NULL, NULL);
    }
    return G_SOURCE_CONTINUE;
}

static unsigned char
cancel(EditLine *edit, int character)
{
    (void)character;
    const LineInfo *line = el_line(edit);
    el_cursor(edit, (int)(line->lastchar - line->cursor));
    line = el_line(edit);
    el_deletestr(edit, (int)(line->lastchar - line->buffer));
    fputs("^C\n", stdout);
    return CC_REDISPLAY;
}

static unsigned char
complete(EditLine *edit, int character)
{
    (void)character;
    Shell *shell = NULL;
    el_get(edit, EL_CLIENTDATA, &shell);
    if (!confc_client_is_connected(shell->ctl->client) && !ctl_reconnect(shell->ctl, NULL))
        return CC_ERROR;
    const LineInfo *info = el_line(edit);
    g_autofree char *line = g_strndup(info->buffer, (gsize)(info->cursor - info->buffer));
    CtlCompletion completion;
    shell->ctl->as_of = 0;
    ctl_complete(shell->ctl, line, &completion);
    unsigned char verdict = CC_ERROR;
    if (completion.words->len > 0) {
        const char *first = g_ptr_array_index(completion.words, 0);
        gsize typed = strlen(completion.typed), common = common_length(completion.words);
        g_autofree char *more = g_strndup(first + typed, common - typed);
        g_autofree char *quoted = ctl_completion_quote(more, completion.quote);
        bool is_whole = completion.words->len == 1 && !g_str_has_suffix(first, "/");
        const char quote[] = {completion.quote, '\0'};
        g_autofree char *inserted = g_strconcat(quoted, is_whole ? quote : "", is_whole ? " " : "", NULL);
        if (inserted[0] == '\0')
            show_offers(shell, &completion);
        else
            el_insertstr(edit, inserted);
        verdict = inserted[0] == '\0' ? CC_REDISPLAY : CC_REFRESH;
    }
    ctl_completion_clear(&completion);
    return verdict;
}

static void
show_offers(Shell *shell, const CtlCompletion *completion)
{
    (void)shell;
    const char *slash = strrchr(completion->typed, '/');
    gsize hidden = slash != NULL ? (gsize)(slash + 1 - completion->typed) : 0;
    putchar('\n');
    for (unsigned i = 0; i < MIN(completion->words->len, OFFERED_MAX); i++) {
        g_autofree char *clean = ctl_clean((char *)g_ptr_array_index(completion->words, i) + hidden);
        printf("%s\n", clean);
    }
    if (completion->words->len > OFFERED_MAX)
        printf("and %u more\n", completion->words->len - OFFERED_MAX);
    fflush(stdout);
}

/* Bytes that all of them begin with, up to a whole character. */
static gsize
common_length(const GPtrArray *words)
{
    const char *first = g_ptr_array_index(words, 0);
    gsize length = strlen(first);
    for (unsigned i = 1; i < words->len; i++) {
        const char *word = g_ptr_array_index(words, i);
        gsize same = 0;
        while (same < length && word[same] == first[same])
            same++;
        length = same;
    }
    while (length > 0 && ((unsigned char)first[length] & 0xc0) == 0x80)
        length--;
    return length;
}
