/* false-master.h - a replica's half (ConfUpstream) with a master that is played by the test: a socket of
 * its own, and a store out of which it speaks.  It may lie. */
#pragma once

#include "net-test.h"
#include "store-fixture.h"

#include "base/error.h"
#include "base/id.h"
#include "replication/upstream.h"

#define INT G_GINT64_FORMAT

typedef struct {
    /* the master */
    int door, port;
    Peer *peer;      /* the link; NULL: none yet */
    ConfStore *told; /* what it speaks of */
    int64_t epoch;
    /* the replica */
    ConfUpstream *upstream;
    ConfStore *store; /* ready() gave it; NULL: not yet */
    ConfPublisher *publisher;
    GPtrArray *published; /* of ConfCommit, references */
    unsigned statuses, environments, failures, lineages;
    int64_t confirmed;      /* of its history */
    GPtrArray *records;     /* texts that its history was given */
    bool refusing;          /* the history refuses them */
    ConfAccounts *accounts; /* NULL: no log-ins are decided here */
} Play;

/* The link is not there yet. */
Play *play_new(void);
void play_free(Play *play);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Play, play_free)

/* Waits for the request of this method on the link, accepted where there is none; its line, and its id.
 * What came before it is forgotten. */
char *play_expect(Play *play, const char *method, int64_t *id);
void play_answer(Play *play, int64_t id, const char *result);
/* A notification: printf text of its params. */
void play_tell(Play *play, const char *method, const char *params, ...) G_GNUC_PRINTF(3, 4);
void play_send(Play *play, const char *line);
/* The replica has closed the link; forgets it. */
void play_expect_closed(Play *play);

/* Answers session.open, and replica.open with that mode; the line of replica.open. */
char *play_open(Play *play, const char *mode);
/* Objects of `told`, schema first. */
void play_tell_objects(Play *play);
/* NULL: the right one. */
void play_tell_loaded(Play *play, const char *digest);
/* All of that: until ready, or until the fold is published. */
void play_load(Play *play);
/* Turns the loop until what was sent is taken: a request from the replica's side is not needed for it. */
void play_wait_revision(Play *play, int64_t revision);

/* A host under tenant 1, with "k" in its annex. */
ConfObject *play_host(Play *play, int64_t dbid, int64_t revision, const char *name, const char *k);
/* Applied to `told`, and told: `hash` NULL: the right one. */
void play_create(Play *play, int64_t dbid, const char *name);
void play_update(Play *play, int64_t dbid, const char *k, const char *hash);
void play_delete(Play *play, int64_t dbid);
