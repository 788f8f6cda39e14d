/* mirror.h - a client's copy of what it may see, kept by the rules of protocol.md 6 and nothing else. */
#pragma once

#include "fixture.h"

typedef struct {
    GHashTable *objects; /* "type/dbid" → JsonNode */
    int64_t revision;    /* of the last changes applied */
    bool loaded;
    unsigned resets;
    unsigned applied;
} Mirror;

Mirror *mirror_new(void);
void mirror_free(Mirror *mirror);
/* One notification, whatever it is. */
void mirror_take(Mirror *mirror, const char *method, JsonObject *params);
/* All that has come to the client; ends when nothing is left and every initial subscription is loaded. */
void mirror_follow(Mirror *mirror, TestClient *client);
/* Fails the test with both sides shown where the mirror is not what the session reads afresh. */
void mirror_compare(Mirror *mirror, TestClient *client, const char *when);
