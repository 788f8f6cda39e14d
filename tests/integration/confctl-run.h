/* confctl-run.h - confctl as a user starts it: environment of its own, exit status, what it printed. */
#pragma once

#include "fixture.h"

#include <gio/gio.h>

typedef struct {
    TestServer *server;
    char *password_file;
    uint16_t port; /* where confctl goes; 0: the server's */
    int status;
    char *output, *errors;
} Run;

/* A primary of its own, on which confctl is `default`. */
void run_init(Run *run);
void run_clear(Run *run);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)
GSubprocess *start(Run *run, const char *command);
void finish(Run *run, GSubprocess *process, const char *input);
void confctl_with(Run *run, const char *input, const char *command);
/* Done, or the test fails; what it printed. */
const char *confctl(Run *run, const char *command);
/* Ended with this status and said why; what it said. */
const char *refused(Run *run, int status, const char *command);

#define g_assert_has(text, part) g_assert_nonnull(strstr(text, part))
#define g_assert_lacks(text, part) g_assert_null(strstr(text, part))
