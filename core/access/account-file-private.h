/* account-file-private.h - the file that account-state.c keeps: read at start, written whole by a thread
 * of its own a moment after a change, later where it is long, and at the end.  A kill loses that moment,
 * never the file. */
#pragma once

#include <glib.h>

#include "access/account-state.h"

enum { CONF_ACCOUNT_WRONG_MAX = 1000000 };

typedef struct {
    ConfKey key;
    int64_t last_login_ms;
    int64_t wrong, wrong_since_ms, wrong_at_ms;
    int64_t locked_until_ms; /* CONF_ACCOUNT_FOREVER_MS: until the password is set anew */
    int64_t forced_ms;       /* since when a rule of this tenant or person forces new passwords */
    int64_t right_ms;        /* the last right password */
    int64_t anew_ms;         /* when the password was set anew */
    /* What the server above has not been told of. */
    int64_t untold_wrong;
    bool untold_login, untold_right, untold_lock;
} ConfAccountRecord;

/* A server whose reports are numbered. */
typedef struct {
    char name[CONF_ACCOUNT_ORIGIN_MAX + 1];
    int64_t last; /* number of the last report that was taken */
    bool own;     /* this server, and the one above took it */
} ConfAccountOrigin;

typedef struct {
    GArray *records; /* of ConfAccountRecord */
    GArray *origins; /* of ConfAccountOrigin */
} ConfAccountSnapshot;

typedef struct ConfAccountFile ConfAccountFile;
typedef struct {
    /* Called for what the file holds of this environment, before conf_account_file_open() returns. */
    void (*load)(const ConfAccountRecord *record, void *data);
    void (*load_origin)(const ConfAccountOrigin *origin, void *data);
    /* All of it as it is now, in new arrays. */
    void (*snapshot)(ConfAccountSnapshot *snapshot, void *data);
    void *data;
} ConfAccountFileHost;

ConfAccountFile *conf_account_file_open(const char *folder, const char *environment,
                                        const ConfAccountFileHost *host);
/* Waits for the disk where something is to be written. NULL is allowed. */
void conf_account_file_close(ConfAccountFile *file);
void conf_account_file_change(ConfAccountFile *file);
void conf_account_file_set_environment(ConfAccountFile *file, const char *environment);
