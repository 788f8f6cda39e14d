/* upstream-private.h - a link to the master and the store that it fills. */
#pragma once

#include "base/timer-wheel.h"
#include "replication/upstream.h"
#include "rpc/client-call.h"

typedef enum {
    CONF_LINK_WAITING, /* the next try is timed */
    CONF_LINK_CONNECTING,
    CONF_LINK_LOGGING_IN,
    CONF_LINK_OPENING, /* replica.open is sent */
    CONF_LINK_LOADING, /* objects of a snapshot come */
    CONF_LINK_FOLDING, /* the snapshot is complete, its differences are being found */
    CONF_LINK_LIVE,
} ConfLinkState;

typedef struct {
    char *host;
    uint16_t port;
} ConfMasterAddress;

/* Older change records, while a link has been asked for them. */
typedef struct {
    bool wanted;  /* false: none were asked for, or no more are taken */
    bool paused;  /* the input is held until the history has written more */
    int64_t last; /* revision of the last one taken; 0: none */
    char chain[17];
    GQueue recent; /* the newest of them, for the ring at the first load */
    size_t recent_bytes;
    int64_t lines[32]; /* last revisions of the lines that the history has in hand: 8 MiB */
    unsigned line_count;
    unsigned patience; /* further looks at it until it is given up */
    ConfTimer pause;
} ConfRecords;

/* What this replica knows of the primary, and since when: upstream-knowledge.c.  Monotonic. */
typedef struct {
    ConfTimer due;      /* the next question */
    bool asking;        /* the link is live */
    int64_t asked_usec; /* when the question went out that is not settled; 0: none is under way */
    int64_t revision;   /* of its answer, not applied yet; -1: it has not come */
    int64_t as_of_usec; /* what is known once that is applied; 0: nothing */
    int64_t known_usec; /* 0: never */
} ConfKnowledge;

/* upstream-accounts.c */
typedef struct {
    ConfTimer due;
    bool asking;  /* the link is live */
    bool agreed;  /* which of this server's reports the master has taken is known */
    bool is_full; /* the report under way has as much as fits: others wait behind it */
    int64_t next; /* of the master's: what changed after it is asked for */
} ConfAccountsLink;

struct ConfUpstream {
    ConfUpstreamSettings settings; /* strings owned */
    ConfUpstreamHost host;
    GArray *addresses; /* of ConfMasterAddress */
    unsigned address_index;
    ConfLinkState state;
    ConfMethodTable *table;
    ConfConnection *connection;
    ConfCalls *calls;
    ConfTimer retry, watchdog;
    unsigned delay_ms;
    ConfStore *store;   /* what the server serves; NULL before the first load */
    ConfStore *fresh;   /* being filled */
    ConfSchema *schema; /* came with this link, for the store to be made; NULL: the store's own stands */
    ConfFold *fold;
    ConfSlicedWork *fold_work;
    GQueue lines;        /* of ConfBytes: replica.changes not applied yet */
    size_t lines_size;   /* bytes in them */
    ConfCommit *pending; /* waits for objects that came out otherwise than at the master */
    GArray *misfits;     /* of ConfKey: these */
    unsigned fetching;   /* calls under way for them */
    ConfBytes *loaded;   /* replica.loaded came while they were fetched: its params */
    ConfRecords records;
    char environment[37];      /* of the link */
    char told_environment[37]; /* by lineage() */
    int64_t epoch;
    int64_t epoch_seen; /* the highest ever */
    bool reload;        /* the next opening must ask for a snapshot */
    bool was_ready;
    bool link_up; /* what status() last told */
    bool diverged;
    bool without_secrets; /* the master keeps them from this replica */
    int64_t since_ms;
    ConfKnowledge knowledge;
    ConfAccountsLink accounts;
    unsigned digest_faults;
    ConfArena *arena;
    ConfUpstreamStatistics statistics;
};

/* upstream.c */
void conf_upstream_fail(ConfUpstream *upstream, const char *why); /* closes the link; it is tried again */
/* The same, and it says so until a master can be followed. */
void conf_upstream_diverge(ConfUpstream *upstream, const char *why);
/* From now on the master has its time to say something. */
void conf_upstream_watch(ConfUpstream *upstream);
void conf_upstream_set_up(ConfUpstream *upstream, bool up);
void conf_upstream_add_stream_methods(ConfUpstream *upstream);
bool conf_upstream_is_from_master(const ConfUpstream *upstream, ConfRequest *request);
/* upstream-accounts.c: while the link is live */
void conf_upstream_start_accounts(ConfUpstream *upstream);
void conf_upstream_stop_accounts(ConfUpstream *upstream);
/* The master's answer to replica.accounts.  False: it is none, and nothing is known of the report that it
 * should answer. */
bool conf_upstream_take_accounts(ConfUpstream *upstream, const ConfJson *answer);
/* upstream-knowledge.c */
/* The link is live: from now on the master is asked for its position. */
void conf_upstream_start_asking(ConfUpstream *upstream);
/* The link is gone; what is known stays, and grows older. */
void conf_upstream_stop_asking(ConfUpstream *upstream);
/* replica.open is such a question too: it goes out; its answer came. */
void conf_upstream_note_question(ConfUpstream *upstream);
void conf_upstream_note_answer(ConfUpstream *upstream, const ConfJson *answer);
/* Commits were applied: perhaps up to the revision of the answer. */
void conf_upstream_check_knowledge(ConfUpstream *upstream);
/* upstream-records.c */
void conf_upstream_add_record_methods(ConfUpstream *upstream);
/* Member changesFrom of replica.open, where older records are of use. */
void conf_upstream_ask_records(ConfUpstream *upstream, ConfJsonWriter *writer);
void conf_upstream_stop_records(ConfUpstream *upstream);
/* The ring of a store just loaded for the first time. */
void conf_upstream_fill_recent(ConfUpstream *upstream, ConfStore *store);
/* upstream-stream.c */
/* replica.loaded, once everything before it is applied. */
void conf_upstream_loaded(ConfUpstream *upstream, ConfSlice text);
void conf_upstream_stop_loading(ConfUpstream *upstream);
/* Applies what stands in `lines`, as far as whole transactions are there and none waits for a fetch. */
void conf_upstream_apply_lines(ConfUpstream *upstream);
/* Takes `error`. */
void conf_upstream_broken(ConfUpstream *upstream, GError *error);
/* An item of the stream as an object of `store`'s schema.  NULL: *error. */
ConfObject *conf_upstream_read_item(ConfStore *store, ConfSlice item, GError **error);
bool conf_upstream_make_fresh(ConfUpstream *upstream, GError **error);
/* upstream-changes.c: the lines of one transaction as a commit over `store`; keys whose body came out
 * otherwise than its hash says are appended to upstream->misfits.  NULL: *error. */
ConfCommit *conf_upstream_read_commit(ConfUpstream *upstream, ConfStore *store, GPtrArray *lines,
                                      GError **error);
/* Of what the master sends.  False: no such member, or of another kind. */
bool conf_upstream_read_integer(const ConfJson *object, const char *name, int64_t least, int64_t *value);
bool conf_upstream_read_string(const ConfJson *object, const char *name, ConfSlice *value);
bool conf_upstream_is_chain(ConfSlice text);
ConfBytes *conf_upstream_difference(ConfStore *store, const ConfObject *before, const ConfObject *after);
