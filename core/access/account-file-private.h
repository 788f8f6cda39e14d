/* account-file-private.h - the file that account-state.c keeps: read at start, written whole by a thread
 * of its own some seconds after a change, and at the end.  A kill loses these seconds, never the file. */
#pragma once

#include <glib.h>

#include "model/key.h"

enum { CONF_ACCOUNT_WRONG_MAX = 1000000 };

typedef struct {
    ConfKey key;
    int64_t last_login_ms;
    int64_t wrong, wrong_since_ms, wrong_at_ms;
    int64_t locked_until_ms; /* G_MAXINT64: until the password is set anew */
    int64_t forced_ms;       /* of a tenant: since when its rule forces new passwords */
} ConfAccountRecord;

typedef struct ConfAccountFile ConfAccountFile;

/* Calls `load` for each record of this environment, before it returns.  `snapshot`: all records as they
 * are, a new array. */
ConfAccountFile *conf_account_file_open(const char *folder, const char *environment,
                                        void (*load)(const ConfAccountRecord *record, void *data),
                                        GArray *(*snapshot)(void *data), void *data);
/* Waits for the disk where something is to be written. NULL is allowed. */
void conf_account_file_close(ConfAccountFile *file);
void conf_account_file_change(ConfAccountFile *file);
void conf_account_file_set_environment(ConfAccountFile *file, const char *environment);
