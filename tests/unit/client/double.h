/* double.h - a line server that does as a test says: for what a real server does not do on request (break
 * in the middle, answer nonsense, lose its history).  Lives in the test's own main context. */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#include <stdbool.h>

typedef struct Double Double;
typedef struct DoublePeer DoublePeer;
/* True: handled.  False: session.open, session.close and server.schema get a usual answer, others -32601. */
typedef bool (*DoubleFunc)(Double *server, DoublePeer *peer, const char *method, JsonObject *request,
                           void *data);

Double *double_new(DoubleFunc func, void *data);
void double_free(Double *server);
/* "127.0.0.1:PORT" */
const char *double_address(Double *server);
/* The connection that was accepted last; NULL: none, or gone. */
DoublePeer *double_last_peer(Double *server);
unsigned double_connections(Double *server);
/* Answers with a result, or an error, given as JSON. */
void double_answer(DoublePeer *peer, JsonObject *request, const char *result);
void double_refuse(DoublePeer *peer, JsonObject *request, int code, const char *data);
/* A line as it is; LF is added. */
void double_say(DoublePeer *peer, const char *line);
/* Exactly these bytes. */
void double_write(DoublePeer *peer, const char *bytes, gsize size);
void double_hang_up(DoublePeer *peer);
JsonObject *double_params(JsonObject *request);
/* The usual answer to a log-in: session "t1", environment "e1", revision 10, chain "c10". */
#define DOUBLE_SESSION \
    "\"protocol\":1,\"features\":[],\"session\":\"t1\",\"resumable\":3600," \
    "\"server\":{\"name\":\"double\",\"role\":\"primary\"," \
    "\"release\":\"0\",\"environment\":\"e1\",\"epoch\":1,\"revision\":10,\"chain\":\"c10\"," \
    "\"writable\":true}," \
    "\"account\":{\"dbid\":100,\"name\":\"admin\",\"tenant\":1}"

/* Iterates the main context until *condition, at most ten seconds. */
void double_wait(const volatile unsigned *count, unsigned wanted);
