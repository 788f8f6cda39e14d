/* child.h - a real server of others (slapd, FreeRADIUS, HAProxy) as a child of the test: it dies with the
 * test, says what it has to say in `folder`/log, is waited for until it answers, and stopped by its pid. */
#pragma once

#include <stdbool.h>

#include <glib.h>

typedef struct {
    GPid pid; /* 0: not running */
} TestChild;

/* Its path, g_free().  NULL: it is not installed, the test is skipped (an error where CI is set: nothing
 * may be missing there). */
char *test_child_find(const char *program, const char *package);
/* In `folder`; argv[0] is the path.  Asks `answers` until it says yes, for 30 s at most; one that ends
 * before fails the test, with the end of its log. */
void test_child_start(TestChild *child, const char *folder, const char *const *argv,
                      bool (*answers)(const void *data), const void *data);
/* SIGKILL and SIGTERM are waited for. */
void test_child_signal(TestChild *child, int signal_number);
/* Killed, if it runs. */
void test_child_end(TestChild *child);
/* A file for it. */
void test_child_write(const char *folder, const char *name, const char *text);
