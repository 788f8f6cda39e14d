/* session-fixture.h - sessions over the store, the queue and the company of the commit fixture.  Log-in is
 * left out: a session is put on one end of a socket pair, the test reads the other. */
#pragma once

#include "fixture.h"

#include "session/session-private.h"

typedef struct {
    Fixture *company;
    ConfSessions *sessions;
    ConfMethodTable *table;
} Desk;

typedef struct {
    ConfSession *session;
    int fd; /* the client's end */
    GString *input;
} Seat;

Desk *desk_new(int64_t view_change_max);
void desk_free(Desk *desk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Desk, desk_free)
/* A transaction of `default` that must go well. */
ConfCommit *desk_commit(Desk *desk, const char *text);
/* {"types":...} with @name@ and ' for ": a reference. */
ConfScope *desk_scope(Desk *desk, const char *text);
/* NULL: *error is set. */
ConfScope *desk_try_scope(Desk *desk, const char *text, ConfRpcError *error);
ConfIdentity *desk_identity(Desk *desk, const char *person);
ConfKey desk_key(Desk *desk, const char *type, const char *name);

/* A live session; `group` (may be NULL): one that a directory named. */
Seat *seat_new(Desk *desk, const char *person, const char *group);
void seat_free(Seat *seat);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Seat, seat_free)
void seat_subscribe(Desk *desk, Seat *seat, const char *scope);
/* What came since, one line of text a notification (see describe_line). */
char *seat_read(Seat *seat);

/* "create host 12 scope, delete folder 3" of a line of notification changes, "+" at the end for `more`;
 * "reset scope". */
char *describe_line(const char *line);
/* The same of a view. */
char *describe_view(ConfView *view, const ConfViewer *viewer);
