/* command-line.h - the command line of confserv (commands.md 2): options with one dash or two. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

typedef struct {
    char *config_file; /* -c; NULL: confserv.conf where it exists */
    char *section;     /* -s; "confserv" */
    char *hosts;       /* -host: be a proxy */
    int64_t port;      /* -port; 0: none */
    char *application; /* -app */
    char *user, *password_file;
    bool init;
    char *admin, *admin_password_file;
    char *import_file, *export_file;
    bool accept_rollback;
    int64_t rescue_port; /* 0: none */
    bool check_config, version, help;
    char *list_options; /* format */
    char *licence;      /* -l was given: one log line */
    ConfSettings *log;  /* -log-...: section log */
    /* Options that are not of the core, name → argument or "": a plugin may know them. */
    GHashTable *others;
} ConfCommandLine;

/* False: *error is the one line for stderr, exit status 2. */
bool conf_command_line_parse(ConfCommandLine *line, int argc, char **argv, GError **error);
void conf_command_line_clear(ConfCommandLine *line);
/* Declares them for -list-options. */
void conf_command_line_register(void);
void conf_command_line_print_help(void);
/* First line of a file without its end; "-" is standard input.  g_free() after wiping; NULL: *error. */
char *conf_read_password_file(const char *path, GError **error);
