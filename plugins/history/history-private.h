/* history-private.h - what the files of plugin history share.
 *
 * Three sides.  The main loop owns History: hooks, methods and provider functions run there, queue what is
 * to be written, and never touch the file.  The writer thread owns the HistoryFile and alone writes it,
 * all that is queued in one transaction.  Jobs of the worker pool read it on connections of their own
 * (HistoryReader).
 *
 * The file holds two chains of digests (history-digest.c): one over the entries, one over the audit rows.
 * Each leads from a mark at its beginning, which retention moves on, to a mark at its end. */
#pragma once

#include <sqlite3.h>
#include <sys/types.h>

#include "plugin/confserv-plugin.h"

enum { HISTORY_DIGEST_SIZE = 32, HISTORY_CHAIN_SIZE = 17 };

typedef struct History History;
typedef struct HistoryWriter HistoryWriter;
typedef struct HistoryFile HistoryFile;
typedef struct HistoryReader HistoryReader;
typedef struct HistoryReplay HistoryReplay;

typedef struct {
    bool active, write_former_value, failsafe;
    int64_t expiration, audit_expiration, client_expiration; /* days */
    int64_t max_records, audit_max_records;
} HistorySettings;

/* What a commit did to one object. */
typedef struct {
    char
        *type; /* GRefString, none that is interned: GLib frees those while another thread finds them again */
    char *name;
    const char *op;
    int64_t dbid;
    char *rights; /* of a deleted object: the list in force (GRefString); NULL: not known */
} HistoryChange;

/* One commit: a row of table entry and its rows of table change. */
typedef struct {
    int64_t revision, from, time_ms, user, application;
    char *address; /* NULL: none */
    char chain[HISTORY_CHAIN_SIZE];
    bool linked;
    char *record;
    size_t record_size;
    GArray *changes; /* HistoryChange */
} HistoryEntry;

/* One row of table audit. */
typedef struct {
    int64_t id, time_ms, session, user, application;
    const char *kind;
    char *user_name, *application_name, *address, *detail;
} HistoryAudit;

typedef struct {
    int64_t position;               /* revision, or id of an audit row */
    char chain[HISTORY_CHAIN_SIZE]; /* "": not known */
    uint8_t digest[HISTORY_DIGEST_SIZE];
    int64_t time_ms;
} HistoryMark;

typedef struct {
    int version;
    const char *name;
    const char *sql;
} HistoryMigration;

extern const HistoryMigration history_migrations[];
extern const unsigned history_migration_count;

/* ---- history-digest.c ---- */
/* The digest of an entry whose predecessor has `previous`; `chain`: what the commit's chain is if the entry
 * before has previous_chain and this record is the one that it was made of. */
void history_digest_entry(const uint8_t previous[HISTORY_DIGEST_SIZE], const char *previous_chain,
                          const HistoryEntry *entry, uint8_t digest[HISTORY_DIGEST_SIZE],
                          char chain[HISTORY_CHAIN_SIZE]);
/* SHA-256(previous chain, record), and its beginning, the chain of protocol.md 2. */
void history_digest_link(const char *previous_chain, const char *record, size_t record_size,
                         uint8_t link[HISTORY_DIGEST_SIZE], char chain[HISTORY_CHAIN_SIZE]);
void history_digest_audit(const uint8_t previous[HISTORY_DIGEST_SIZE], const HistoryAudit *audit,
                          uint8_t digest[HISTORY_DIGEST_SIZE]);
/* Of a mark's own row. */
void history_digest_mark(const char *name, const HistoryMark *mark, uint8_t seal[HISTORY_DIGEST_SIZE]);
void history_digest_text(const char *text, uint8_t digest[HISTORY_DIGEST_SIZE]);

/* ---- history-entry.c: entries and audit rows in memory; history-record.c: where entries come from ---- */
void history_entry_clear(HistoryEntry *entry);
void history_audit_clear(HistoryAudit *audit);
/* Of the hook `committed`: main loop. */
void history_entry_from_commit(HistoryEntry *entry, const ConfCommit *commit);
/* Of a change record: main loop (conf_value_parse).  CONF_ERROR_INVALID: it is none. */
bool history_entry_from_record(HistoryEntry *entry, int64_t revision, const char *chain, const char *record,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* An empty list of HistoryChange. */
GArray *history_changes_new(unsigned reserved);
/* The constant of that text; "?": there is no such op. */
const char *history_change_op(const char *op);
/* Bytes of memory, for the bound of the queue. */
size_t history_entry_memory(const HistoryEntry *entry);

/* ---- history-file.c: the file, for one thread at a time; blocks ---- */
typedef enum {
    HISTORY_BEGIN,
    HISTORY_COMMIT,
    HISTORY_MARK_PUT,
    HISTORY_ENTRY_PUT,
    HISTORY_ENTRY_CHAIN,
    HISTORY_CHANGE_PUT,
    HISTORY_RIGHTS_FIND,
    HISTORY_RIGHTS_PUT,
    HISTORY_GAP_PUT,
    HISTORY_AUDIT_PUT,
    HISTORY_SESSION_PUT,
    HISTORY_SESSION_FORGET,
    HISTORY_META_PUT,
    HISTORY_STATEMENT_COUNT
} HistoryStatement;

/* The chain of one kind of rows: `first` stands before its oldest row, `last` is its newest. */
typedef struct {
    HistoryMark first, last;
    bool first_moved, last_moved; /* in this transaction: to be written */
} HistoryChainOf;

/* history-breaks.c: revisions; 0: none. */
typedef struct {
    int64_t count;       /* entries; -1: to be counted, and the rest to be looked for */
    int64_t replay_from; /* from here on every entry follows the one before it */
    int64_t missing;     /* up to here rows are missing of which no gap tells: somebody has removed them */
    int64_t expired;     /* up to here entries are too old to be replayed */
} HistoryBreaks;
/* All but `expired`. */
bool history_breaks_find(sqlite3 *db, HistoryBreaks *breaks, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The newest entry that is older; 0: there is none. */
bool history_breaks_expired(sqlite3 *db, int64_t before_ms, int64_t *revision, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;

struct HistoryFile {
    sqlite3 *db;
    char *path;
    dev_t device; /* of the file when it was opened */
    ino_t inode;
    int wal_fd; /* to wait for the disk when it suits, -1: not open yet */
    bool is_damaged;
    char environment[37]; /* "": not known yet */
    HistoryChainOf entries, audits;
    int64_t change_counter; /* PRAGMA data_version: another process has written */
    int wal_pages, wal_pages_left;
    HistoryBreaks breaks;
    bool shrinks;     /* made so that it can give room back */
    bool shrunk;      /* it has, in the log: the file is shorter with the next copy */
    bool rights_left; /* lists of rights may be there that no row names any more */
    sqlite3_stmt *statements[HISTORY_STATEMENT_COUNT];
};

/* Makes the file if it is missing.  CONF_ERROR_INVALID: damaged or another program's; CONF_ERROR_FULL;
 * CONF_ERROR_DENIED: folder or file cannot be written; CONF_ERROR_NEWER. */
HistoryFile *history_file_open(const char *path, GError **error);
void history_file_close(HistoryFile *file);
/* Renames the closed file out of the way, and what SQLite keeps beside it; `why` becomes part of the name.
 * Returns the new name, g_free(); NULL: *error. */
char *history_file_set_aside(const char *path, const char *why, GError **error);
/* A new file, which is to be told where it begins. */
bool history_file_lacks_origin(const HistoryFile *file);
/* Where a file without entries begins; within a transaction. */
void history_file_set_origin(HistoryFile *file, int64_t revision, const char *chain);
/* Takes the write lock, and looks whether somebody else has written.  CONF_ERROR_UNAVAILABLE where the
 * file is not the one at its path any more. */
bool history_file_begin(HistoryFile *file, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Not synchronised with the disk: see history_file_sync(). */
bool history_file_commit(HistoryFile *file, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void history_file_rollback(HistoryFile *file);
/* All that was committed is on the disk. */
bool history_file_sync(HistoryFile *file, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Copies the write-ahead log into the file, where it has grown. */
void history_file_tidy(HistoryFile *file);
/* Ready to be bound; history_sql_run() or a reset ends its use.  NULL: *error. */
sqlite3_stmt *history_file_statement(HistoryFile *file, HistoryStatement which, GError **error);
/* No entry was ever written. */
bool history_file_is_fresh(const HistoryFile *file);

/* ---- history-write.c: within a transaction ---- */
typedef enum {
    HISTORY_WRITTEN,
    HISTORY_KNOWN,   /* it is there already, or older than what is kept */
    HISTORY_FOREIGN, /* of another history than what the file holds: set the file aside */
    HISTORY_FAILED,  /* *error */
} HistoryVerdict;
/* `strict`: of a primary, where every record continues the chain. `why`: of a gap before it. */
HistoryVerdict history_file_write_entry(HistoryFile *file, HistoryEntry *entry, bool strict, const char *why,
                                        GError **error);
bool history_file_write_audit(HistoryFile *file, HistoryAudit *audit, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* NULL json: forget. */
bool history_file_write_session(HistoryFile *file, const char *token, const char *json, int64_t time_ms,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool history_file_write_environment(HistoryFile *file, const char *environment, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Does the file hold that revision of that chain?  1: yes, 0: no, another; -1: not known, or *error. */
int history_file_check(HistoryFile *file, int64_t revision, const char *chain, GError **error);

/* ---- history-retention.c ---- */
/* One small slice, in a transaction of its own: removes what is older than the settings say, and where
 * nothing is, gives back room that is not used.  *more: there is more to do. */
bool history_file_clean(HistoryFile *file, const HistorySettings *settings, int64_t now_ms, bool *more,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- history-walk.c: both chains verified ---- */
typedef struct {
    const char *first_name, *last_name; /* marks */
    bool is_audit;
    HistoryMark at; /* the row that was verified last */
    bool begun, over, damaged;
    int64_t count, broken; /* broken: the first row that is not as it was written; 0: none yet */
} HistoryWalk;
#define HISTORY_WALK_ENTRIES ((HistoryWalk){.first_name = "entry-first", .last_name = "entry-last"})
#define HISTORY_WALK_AUDITS \
    ((HistoryWalk){.first_name = "audit-first", .last_name = "audit-last", .is_audit = true})
/* One slice; walk->over: that was the last.  Damage is an answer, not an error. */
bool history_walk(sqlite3 *db, HistoryWalk *walk, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- history-statement.c: SQLite, on either side ---- */
enum { HISTORY_APPLICATION_ID = 0x63686973 };
bool history_sql_exec(sqlite3 *db, const char *sql, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Prepares once a text and connection: keep the result no longer than the connection. NULL: *error. */
sqlite3_stmt *history_sql_prepare(sqlite3 *db, const char *sql, GError **error);
/* Steps once: 1 a row, 0 the end, -1 *error. */
int history_sql_step(sqlite3_stmt *statement, GError **error);
/* The first column of the only row; 0: there is none. */
bool history_sql_integer(sqlite3 *db, const char *sql, int64_t *value, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* A statement without rows; resets it and its bindings. */
bool history_sql_run(sqlite3_stmt *statement, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *error of the connection's last failure (CONF_ERROR_FULL, _INVALID: damaged, _UNAVAILABLE, _FAILED);
 * false. */
bool history_sql_fail(sqlite3 *db, int code, GError **error);
/* Text of a column, never NULL; good until the next step. */
const char *history_sql_text(sqlite3_stmt *statement, int column);
bool history_sql_mark(sqlite3 *db, const char *name, HistoryMark *mark, bool *sealed, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Fills an entry from a row of ENTRY_COLUMNS, and its changes. */
#define HISTORY_ENTRY_COLUMNS \
    "revision, from_revision, time, user, application, address, chain, linked, record, digest"
bool history_sql_entry(sqlite3_stmt *row, sqlite3_stmt *changes, HistoryEntry *entry,
                       uint8_t digest[HISTORY_DIGEST_SIZE], GError **error) G_GNUC_WARN_UNUSED_RESULT;
#define HISTORY_CHANGES_OF_ENTRY \
    "SELECT c.type, c.dbid, c.op, c.name, r.entries FROM change c " \
    "LEFT JOIN right_list r ON r.id = c.rights WHERE c.revision = ?1 ORDER BY c.ordinal"

/* ---- history-read.c: queries in the worker pool ---- */
/* The connection that a query may use; of this query alone, and no longer than it runs. It cannot write.
 * A query that takes over 30 s is ended by SQLITE_INTERRUPT. */
sqlite3 *history_reader_get(HistoryReader *reader);
/* Runs in the pool: the text of the result (g_free()), or NULL and *error: of domain CONF_PLUGIN_RPC_ERROR
 * the client gets that code, CONF_ERROR_UNAVAILABLE -32013, CONF_ERROR_NOT_FOUND -32011. */
typedef char *(*HistoryQueryFunc)(HistoryReader *reader, void *data, GError **error);
/* Answers `later` with what run() returns.  Everything that was committed or noted before this call is
 * visible to the query, unless the file cannot be written for now.  Takes later and data (free_data may be
 * NULL). */
void history_query(History *history, ConfLater *later, HistoryQueryFunc run, void *data,
                   GDestroyNotify free_data);
/* The same for anything but an answer: done on the main loop gets the result (its own now) or the error
 * (borrowed); it frees data. */
typedef void (*HistoryDoneFunc)(History *history, char *result, const GError *error, void *data);
void history_query_call(History *history, HistoryQueryFunc run, HistoryDoneFunc done, void *data);
/* The next one of a row of queries: without waiting for what was queued meanwhile. */
void history_query_again(History *history, HistoryQueryFunc run, HistoryDoneFunc done, void *data);
void history_reader_free(HistoryReader *reader);
/* An error of the file as clients are told it. */
void history_fail_later(ConfLater *later, const GError *error);

/* ---- history-writer.c, history-batch.c: the thread; these functions are the main loop's ---- */
/* Opens the file and starts the thread.  NULL: CONF_ERROR_DENIED, _NEWER: no server could use the file.  A
 * full disk or a damaged file is no reason: the thread sees to it. */
HistoryWriter *history_writer_new(ConfPlugin *plugin, const char *path, const HistorySettings *settings,
                                  GError **error);
/* Writes what is queued and waits for the disk and the end of the thread, for some seconds at most. */
void history_writer_free(HistoryWriter *writer);
/* Takes the entry.  False: the queue is full (64 MiB).  `wait`: for room, at most 5 s.  `why`: constant
 * text, why the entries before this one may be missing. */
bool history_writer_push_entry(HistoryWriter *writer, HistoryEntry *entry, const char *why, bool wait);
/* The same of an audit row. */
bool history_writer_push_audit(HistoryWriter *writer, HistoryAudit *audit);
/* NULL json: forget.  Later texts take the place of those that wait: nothing is ever refused. */
void history_writer_push_session(HistoryWriter *writer, const char *token, const char *json);
/* Where the server's data stand.  `wait`: until it was looked at, at most 5 s. */
void history_writer_push_position(HistoryWriter *writer, const char *environment, int64_t revision,
                                  const char *chain, bool wait);
void history_writer_set_settings(HistoryWriter *writer, const HistorySettings *settings);
typedef enum {
    HISTORY_ASK_WRITE = 1, /* somebody waits: what is queued is written without waiting for more */
    HISTORY_ASK_SYNC = 2,  /* somebody waits for the disk: what was queued is to be confirmed soon */
    HISTORY_ASK_CLEAN = 4, /* retention is due */
    HISTORY_ASK_CHECK = 8, /* a reader met damage: the writer looks itself, and sets the file aside */
} HistoryAsked;
/* Stands until the thread has begun with it. */
void history_writer_ask(HistoryWriter *writer, HistoryAsked what);
typedef struct {
    int64_t first, last, durable; /* revisions; `first` is that before the oldest entry */
    char last_chain[HISTORY_CHAIN_SIZE];
    uint8_t last_digest[HISTORY_DIGEST_SIZE];
    uint64_t pushed, written; /* numbers of what was queued */
    uint64_t queue_bytes, entries, audits, batches, failures, removed, set_aside, gaps;
    HistoryBreaks breaks;
    bool fresh;          /* the file has no entries yet: older ones than where it begins may come */
    bool failing;        /* the file cannot be written for now */
    unsigned generation; /* grows when another file takes the place of this one */
    unsigned opens;      /* how often the file was opened: readers of before may read one that is gone */
} HistoryState;
void history_writer_get_state(HistoryWriter *writer, HistoryState *state);
/* The session's text that waits to be written.  False: none waits; *json NULL: it is to be forgotten. */
bool history_writer_lookup_session(HistoryWriter *writer, const char *token, char **json);

/* ---- history-audit.c ---- */
extern const ConfHooks history_audit_hooks;
/* Notes that an administrator has read of the past: kind "read", what: "history.list", "asOf". */
void history_audit_read(History *history, const ConfSession *session, const char *what);

/* ---- history-store.c: commits on their way to the writer, and what is missing filled in ---- */
extern const ConfHooks history_commit_hooks;
extern const ConfHistoryProvider history_provider;
/* Main loop: the writer has got on, or is in trouble. */
void history_store_written(void *self, void *unused);
/* func(history, data) once everything queued so far is visible to readers, or cannot be written for now;
 * maybe at once. */
/* `abandon`: in its place where it comes to nothing, since the plugin is unloaded. */
typedef void (*HistoryFlushFunc)(History *history, void *data);
void history_store_flush(History *history, HistoryFlushFunc func, GDestroyNotify abandon, void *data);
/* The last entry that the file holds; 0: none yet, any may come. */
int64_t history_store_known(const History *history);
/* The settings are others now. */
void history_store_changed(History *history);
/* Abandons what waits for the writer. */
void history_store_end(History *history);

/* ---- history-replay.c, history-verify.c, history-head.c ---- */
void history_replay(void *self, int64_t after,
                    bool (*func)(const char *record_json, const char *chain, void *data),
                    void (*done)(const GError *error, void *data), void *data);
/* The plugin is unloaded: tells those that wait. */
void history_replay_end(History *history);
int64_t history_get_replay_start(void *self, int64_t upto);
void history_verify_method(void *self, ConfRequest *request);
extern const ConfHooks history_head_hooks;
void history_head_method(void *self, ConfRequest *request);
void history_head_start(History *history);
/* history-as-of.c */
void history_read_as_of(void *self, ConfSession *s, const char *type, int64_t dbid, int64_t revision,
                        void (*done)(const char *object_json, const GError *error, void *data), void *data);
int64_t history_get_oldest(void *self);
void history_list_as_of(void *self, int64_t revision,
                        bool (*func)(const char *type, int64_t dbid, const char *object_json,
                                     const char *last_rights, void *data),
                        void (*done)(int64_t upto, const GError *error, void *data), void *data);
void history_past_was_read(void *self, ConfSession *s, const char *method, const char *params_json);

/* The plugin in this server; main loop. Methods of other files are added by load() in history.c. */
struct History {
    ConfPlugin *plugin;
    HistorySettings settings;
    char *path;
    HistoryWriter *writer;
    HistoryState state;      /* as last told by the writer */
    int64_t queued_revision; /* the last entry that was queued; 0: none yet */
    const char *gap;         /* why entries are missing before the next one; NULL: they are not */
    bool is_behind;          /* entries were dropped: they are to be filled in from the change records */
    bool is_filling;         /* change records were asked for */
    GQueue flushes;          /* those that wait for the writer */
    GHashTable *addresses;   /* id of a session → address: a broken session has no connection to ask */
    GMutex reader_lock;
    GQueue readers;           /* HistoryReader, idle; under reader_lock */
    ConfConnection *upstream; /* of a proxy; NULL: none now */
    unsigned head_timer;
    GQueue replaying;                    /* HistoryReplay */
    GQueue verifies;                     /* ConfLater: they wait for the next verification */
    void *verification;                  /* NULL: none runs */
    GQueue callers;                      /* HistoryCaller: sessions that wait for an answer */
    GQueue turns_waiting, turns_running; /* HistoryTurn */
    bool is_beginning_turns;
    unsigned turns_timer;   /* 0: nobody is waited for to take what was answered */
    int64_t refused_oldest; /* while a question of the past is refused: from where it would be answered */
    int64_t replay_from;    /* behind a break that a replay met, or that is on its way to the file */
    /* server.statistics */
    uint64_t entries, audits, batches, failures, removed, set_aside, gaps, queue_bytes, failing, lost_entries,
        lost_audits, first_revision, last_revision, durable_revision, replays, replayed, verifications,
        broken, damages, heads, heads_differing;
    uint64_t untold_audits; /* rows lost since the last that was written */
};
