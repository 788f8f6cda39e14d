/* history-methods-private.h - what the files of the methods share: pieces of JSON text, sessions that wait
 * for an answer, and who may see what. */
#pragma once

#include "history-private.h"

/* ---- history-scan.c: canonical JSON text by pieces, without a tree; any thread ----
 * The texts are those of the file, which a disk may have broken: nothing is believed, nothing read behind its end. */
typedef struct {
    const char *data;
    size_t size; /* 0: nothing there */
} HistorySlice;
typedef struct {
    const char *at, *end;
    bool is_object;
} HistoryScan;
HistorySlice history_slice(const char *text);
bool history_slice_equal(HistorySlice a, HistorySlice b);
/* Is it that very text? */
bool history_slice_is(HistorySlice slice, const char *text);
char *history_slice_dup(HistorySlice slice);
/* What stands between the quotes of a string; size 0: it is none. */
HistorySlice history_slice_unquote(HistorySlice string);
/* 0: it is no integer. */
int64_t history_slice_integer(HistorySlice slice);
/* False: neither array nor object. */
bool history_scan_begin(HistoryScan *scan, HistorySlice value);
/* The next item, or member with its key as it stands between the quotes.  False: the end, or broken. */
bool history_scan_next(HistoryScan *scan, HistorySlice *key, HistorySlice *value);
/* Of an object; size 0: it has none. */
HistorySlice history_slice_member(HistorySlice object, const char *name);
HistorySlice history_slice_member_raw(HistorySlice object, HistorySlice key);
/* The members of one object, to be asked for many: as a table where there are many, so that the time
 * follows the length of the text and not its square.  Borrows the text. */
typedef struct {
    HistorySlice object;
    GHashTable *members; /* NULL: few, or nobody asked so far */
} HistoryIndex;
#define HISTORY_INDEX(slice) ((HistoryIndex){.object = (slice)})
HistorySlice history_index_find(HistoryIndex *index, HistorySlice key);
void history_index_clear(HistoryIndex *index);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HistoryIndex, history_index_clear)

/* One change of a record. */
typedef struct {
    HistorySlice op, type, name; /* op and type without quotes, name with them */
    int64_t dbid;
    HistorySlice before, after;               /* whole bodies */
    HistorySlice rights_before, rights_after; /* own lists of rights: arrays of entries */
} HistoryPiece;
/* The changes of a record one after the other. */
bool history_pieces_begin(HistoryScan *scan, HistorySlice record);
bool history_pieces_next(HistoryScan *scan, HistoryPiece *piece);

/* ---- history-caller.c: a session that waits ---- */
typedef struct {
    ConfSession *session; /* NULL: it has ended */
    /* At unload, of what no job answers any more: frees data, and with it this.  NULL: a job does. */
    void (*abandon)(void *data);
    void *data;
} HistoryCaller;
extern const ConfHooks history_caller_hooks;
HistoryCaller *history_caller_new(History *history, ConfSession *session);
void history_caller_free(History *history, HistoryCaller *caller);
void history_callers_end(History *history);
/* ---- history-turns.c: long reads take turns ---- */
typedef struct {
    HistoryCaller *caller;
    ConfConnection *connection; /* of the request: there as long as caller->session is */
    /* Reads, and ends with history_turn_over(); not is_wanted: the session has ended meanwhile, and so it does now. */
    void (*begin)(History *history, void *data, bool is_wanted);
    void *data;
    GList link; /* in the queue of those that wait */
    bool waits;
} HistoryTurn;
bool history_turns_are_many(const History *history); /* No more of them */
/* Borrowed until it is over; it may begin at once. */
void history_turn_ask(History *history, HistoryTurn *turn);
void history_turn_over(History *history, HistoryTurn *turn);
/* Nobody wants it any more.  True: it had not begun, and will not; false: it ends by itself. */
bool history_turn_withdraw(History *history, HistoryTurn *turn);

/* May the session read it?  The object as it is now decides; of one that is gone its last list of rights
 * (NULL: not known), by what it was (`body`: any version). */
bool history_may_read(History *history, ConfSession *session, const char *type, int64_t dbid,
                      const char *body, const char *last_rights);
bool history_may_read_rights(History *history, ConfSession *session, const char *type, int64_t dbid,
                             const char *last_rights);

/* ---- history-past.c: what the file says of the past; in a job ---- */
/* False: *error of code -32011 where it does not reach back to the revision, or a gap lies behind it;
 * *oldest is then the lowest one that can be told of.  *upto: the newest entry. */
bool history_past_check(sqlite3 *db, int64_t revision, int64_t *upto, int64_t *oldest, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Are all entries between the revision and `upto` there?  False: *error of code -32011 and *oldest, or
 * another one. */
bool history_past_is_whole(sqlite3 *db, int64_t revision, int64_t upto, int64_t *oldest, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Is the last change of the object a deletion?  And the list of rights that was in force on it then,
 * g_free(); NULL: not known, or it is not gone, or *error. */
char *history_past_gone(sqlite3 *db, const char *type, int64_t dbid, bool *is_gone, GError **error);
/* The same without the question. */
char *history_past_last_rights(sqlite3 *db, const char *type, int64_t dbid, GError **error);
/* Of one object; *body NULL: it was not there.  False: *error. *is_unchanged: no change of it is known. */
bool history_past_read(sqlite3 *db, const char *type, int64_t dbid, int64_t revision, char **body,
                       bool *is_unchanged, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A read transaction around several questions. */
bool history_past_begin(sqlite3 *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void history_past_end(sqlite3 *db);

/* ---- history-difference.c ---- */
/* The members that differ, each side as an object; g_free(). */
void history_difference(HistorySlice before, HistorySlice after, char **before_members, char **after_members);
/* Are these sections of keys? */
bool history_is_sections(HistorySlice key);

/* ---- history-dump.c: options of the command line ---- */
extern const ConfPluginCommand history_commands[];

/* ---- the methods ---- */
void history_list_method(void *self, ConfRequest *request);
void history_sessions_method(void *self, ConfRequest *request);
void history_revert_method(void *self, ConfRequest *request);
/* history-params.c: params of a method as its members, others refused.  NULL: it was answered. */
const ConfJson *history_params(ConfRequest *request, const char *const *names);
void history_refuse(ConfRequest *request, const char *path, const char *message);
/* A member that is an integer within bounds; absent: untouched.  False: it was answered. */
bool history_param_integer(ConfRequest *request, const ConfJson *params, const char *name, int64_t minimum,
                           int64_t maximum, int64_t *value);
bool history_param_boolean(ConfRequest *request, const ConfJson *params, const char *name, bool *value);
/* `since` or `until`: a revision (*revision), or a time (*time_ms). */
bool history_param_moment(ConfRequest *request, const ConfJson *params, const char *name, int64_t *revision,
                          int64_t *time_ms);
/* A dbid, or a name (*name, borrowed). */
bool history_param_who(ConfRequest *request, const ConfJson *params, const char *name, int64_t *dbid,
                       const char **text);
/* The same, and what the session may read of that name; *is_nobody: nobody. */
bool history_param_account(ConfRequest *request, const ConfJson *params, const char *name, const char *type,
                           int64_t *dbid, bool *is_nobody);
char *history_time_text(int64_t time_ms); /* RFC 3339; g_free() */
/* "FIRST.SECOND" or, with `second` NULL, "FIRST". */
bool history_cursor_read(const char *text, int64_t *first, int64_t *second);

/* ---- history-undo.c: the operations that take changes back; main loop ---- */
/* One object of what is to be undone. */
typedef struct {
    char *type, *op, *name;
    int64_t dbid;
    int64_t changed_last;               /* revision of its newest change; 0: none is known */
    char *before, *after;               /* what it was before the change and after it; NULL: not there */
    char *rights_before, *rights_after; /* own list of rights; NULL: inherited */
    char *rights_now;
    char *last_rights; /* of one that is gone: the list that was in force; NULL: not known */
    bool is_target;    /* toRevision: `before` is what it shall be, whatever it is now */
} HistoryTarget;
void history_target_free(void *target);
typedef struct {
    GString *operations;  /* between the brackets */
    GString *permissions; /* the same; they come last */
    GString *conflicts;
    unsigned count, conflict_count;
    bool force;
    bool is_hidden;       /* something of it may not be read: nothing else counts */
    unsigned left;        /* targets not looked at yet */
    GHashTable *fields;   /* what is to be known of the schema */
    GHashTable *restored; /* "type/dbid" of what comes back */
    GHashTable *roots;    /* dbids of root folders that come back by themselves, under other dbids */
} HistoryUndo;
void history_undo_init(HistoryUndo *undo, const History *history, bool force);
void history_undo_clear(HistoryUndo *undo);
/* Targets in the order of the record; then step by step, a short piece of a turn each, until it answers
 * true. */
void history_undo_begin(HistoryUndo *undo, History *history, GPtrArray *targets);
bool history_undo_step(HistoryUndo *undo, History *history, ConfSession *session, GPtrArray *targets);
/* Was nothing changed but secrets, and what the server shows of them? */
bool history_undo_is_only_secrets(const HistoryUndo *undo, const GPtrArray *targets);
/* history-merge.c: what a member becomes where `after` is taken back to `before` and it is `present` now
 * (texts of values; size 0: unset). `key`: of a list of structs the member that names an item, else NULL. */
typedef enum { HISTORY_SAME, HISTORY_SET, HISTORY_CONFLICT } HistoryMerge;
/* *value: of SET, new text, NULL: unset. With `force` there is no conflict. */
HistoryMerge history_merge(HistorySlice before, HistorySlice after, HistorySlice present, const char *key,
                           bool force, char **value);
/* A merge patch that makes `present` the value `wanted`: what it has not must be named. */
void history_merge_patch(HistorySlice present, HistorySlice wanted, GString *patch);
