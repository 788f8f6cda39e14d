/* server.h - ConfServer: the role this process plays, and all the parts it plays it with.  Main loop only. */
#pragma once

#include <stdbool.h>

#include <glib.h>

#include "server/command-line.h"

typedef struct ConfServer ConfServer;

/* Loads plugins; as a primary opens the database and loads it, as a proxy begins to follow the master. Blocks
 * as long as that needs (no clients yet).  NULL: *error is the one line for stderr; CONF_ERROR_INVALID means
 * exit status 2. `line` and `settings` are borrowed for the server's life.  about_to_serve() is called once
 * before the first port opens: from then on a stop must be a graceful one. */
ConfServer *conf_server_new(const ConfCommandLine *line, const ConfSettings *settings, GMainLoop *loop,
                            void (*about_to_serve)(ConfServer *server), GError **error);
/* SIGHUP, server.reload. */
void conf_server_reload(ConfServer *server);
/* Answers in flight finish (at most 10 s), sessions end; then the loop is quit. */
void conf_server_stop(ConfServer *server, bool graceful);
/* After the loop: 0 stopped as asked, 1 something made it end. */
int conf_server_free(ConfServer *server);

/* -check-config, -list-options: plugins are inspected, nothing is opened. */
bool conf_server_check(const ConfCommandLine *line, const ConfSettings *settings, bool list, GError **error);

/* offline-command.c: an option that a plugin knows. */
bool conf_offline_command(const ConfCommandLine *line, const ConfSettings *settings, GError **error);
/* offline.c: -init, -import, -export. */
bool conf_offline_init(const ConfCommandLine *line, const ConfSettings *settings, GError **error);
bool conf_offline_import(const ConfCommandLine *line, const ConfSettings *settings, GError **error);
bool conf_offline_export(const ConfCommandLine *line, const ConfSettings *settings, GError **error);
