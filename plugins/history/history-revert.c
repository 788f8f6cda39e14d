/* history-revert.c - history.revert: one transaction is undone, or one object brought back to what it was.
 *
 * A job reads what is to be undone; the main loop makes operations of it, a piece a turn, and submits them
 * as the session that asked.  Each operation demands the revision that it was made for: where another
 * write came between, all is done again. */
#include "history-methods-private.h"

#include <string.h>

enum { LATER_MS = 120000, ATTEMPTS = 4 };

typedef struct {
    History *history;
    ConfLater *later;
    HistoryCaller *caller;
    char *type; /* NULL: a whole transaction */
    int64_t dbid, revision;
    bool dry_run, force;
    unsigned attempts;
    int64_t oldest, upto;
    GPtrArray *targets;
    HistoryUndo undo;
    bool is_undoing;
} Reverting;

/* The record that was read last, cut into its changes. */
typedef struct {
    int64_t revision;
    char *text;
    GArray *pieces;
} CutRecord;

static bool read_params(Reverting *reverting, ConfRequest *request);
static bool read_object(Reverting *reverting, ConfRequest *request, const ConfJson *params);
static void gone(void *data);
static void start(Reverting *reverting);
static void probed(void *self, const char *result_json, const char *error_json, void *data);
static char *query_targets(HistoryReader *reader, void *data, GError **error);
static bool read_transaction(sqlite3 *db, Reverting *reverting, GError **error);
static bool add_target(sqlite3 *db, Reverting *reverting, const HistoryPiece *piece, CutRecord *newest,
                       GError **error);
static bool read_newest(sqlite3 *db, HistoryTarget *target, CutRecord *newest, GError **error);
static bool find_newest(sqlite3 *db, const HistoryTarget *target, int64_t *revision, int64_t *ordinal,
                        GError **error);
static bool cut_record(sqlite3 *db, int64_t revision, CutRecord *cut, GError **error);
static void cut_clear(CutRecord *cut);
static bool read_single(sqlite3 *db, Reverting *reverting, GError **error);
static void targets_read(History *history, char *result, const GError *error, void *data);
static void go_on(void *self, void *data);
static void refuse(Reverting *reverting, int code, const char *message, const char *data_json);
static void refuse_gone(Reverting *reverting, const char *message);
static void submit(Reverting *reverting);
static void submitted(void *self, const char *result_json, const char *error_json, void *data);
static void pass_error(Reverting *reverting, const char *error_json);
static void abandon(void *data);
static void reverting_free(Reverting *reverting);

void
history_revert_method(void *self, ConfRequest *request)
{
    Reverting *reverting = g_new0(Reverting, 1);
    reverting->history = self;
    reverting->caller = history_caller_new(self, conf_request_get_owner(request));
    reverting->caller->abandon = abandon;
    reverting->caller->data = reverting;
    reverting->targets = g_ptr_array_new_with_free_func(history_target_free);
    if (!read_params(reverting, request)) {
        reverting_free(reverting);
        return;
    }
    if (conf_session_is_administrator(reverting->caller->session))
        history_audit_read(self, reverting->caller->session, "history.revert");
    reverting->later = conf_request_later(request, LATER_MS, gone, reverting);
    /* Where nothing can be written that is the answer, whatever else may be wrong. */
    if (strcmp(conf_plugin_get_role(reverting->history->plugin), "primary") != 0)
        conf_session_transaction(reverting->caller->session, reverting->history->plugin,
                                 "{\"operations\":[],\"dryRun\":true}", probed, reverting);
    else
        start(reverting);
}

static bool
read_params(Reverting *reverting, ConfRequest *request)
{
    static const char *const names[] = {"revision", "type",   "dbid",  "name",       "tenant",
                                        "path",     "dryRun", "force", "toRevision", NULL};
    const ConfJson *params = history_params(request, names);
    if (params == NULL || !history_param_boolean(request, params, "dryRun", &reverting->dry_run) ||
        !history_param_boolean(request, params, "force", &reverting->force))
        return false;
    static const char *const object_names[] = {"type", "dbid", "name", "tenant", "path"};
    bool names_object = false, is_single = conf_value_member(params, "toRevision") != NULL;
    for (unsigned i = 0; i < G_N_ELEMENTS(object_names); i++)
        names_object = names_object || conf_value_member(params, object_names[i]) != NULL;
    if (is_single == (conf_value_member(params, "revision") != NULL) || names_object != is_single) {
        history_refuse(
            request, is_single ? "/toRevision" : "/revision",
            "What is reverted is one transaction (revision), or one object (type, dbid, toRevision).");
        return false;
    }
    int64_t present = conf_plugin_get_revision(reverting->history->plugin);
    return history_param_integer(request, params, is_single ? "toRevision" : "revision", 1, present,
                                 &reverting->revision) &&
           (!is_single || read_object(reverting, request, params));
}

/* What is gone is named by type and dbid. */
static bool
read_object(Reverting *reverting, ConfRequest *request, const ConfJson *params)
{
    const char *type = conf_value_string(conf_value_member(params, "type"));
    int64_t dbid = 0;
    if (type != NULL && conf_value_member(params, "dbid") != NULL &&
        conf_value_member(params, "name") == NULL && conf_value_member(params, "path") == NULL &&
        conf_value_member(params, "tenant") == NULL) {
        if (!history_param_integer(request, params, "dbid", 1, G_MAXINT64, &dbid))
            return false;
        reverting->type = g_strdup(type);
        reverting->dbid = dbid;
        return true;
    }
    const ConfObject *object = conf_request_find(request);
    if (object == NULL)
        return false;
    reverting->type = g_strdup(conf_object_get_type(object));
    reverting->dbid = conf_object_get_dbid(object);
    return true;
}

static void
gone(void *data)
{
    ((Reverting *)data)->caller->session = NULL;
}

static void
start(Reverting *reverting)
{
    reverting->attempts++;
    /* Rows are missing behind it, of which the file itself does not tell. */
    if (reverting->revision <= reverting->history->state.breaks.missing) {
        refuse_gone(reverting, "The history has lost what came after that revision");
        return;
    }
    history_query_call(reverting->history, query_targets, targets_read, reverting);
}

static void
probed(void *self, const char *result_json, const char *error_json, void *data)
{
    (void)self;
    (void)result_json;
    Reverting *reverting = data;
    HistorySlice code = history_slice_member(history_slice(error_json), "code");
    if (history_slice_is(code, "-32007"))
        pass_error(reverting, error_json);
    else
        start(reverting);
}

static char *
query_targets(HistoryReader *reader, void *data, GError **error)
{
    Reverting *reverting = data;
    sqlite3 *db = history_reader_get(reader);
    if (!history_past_begin(db, error))
        return NULL;
    bool fine =
        reverting->type != NULL ? read_single(db, reverting, error) : read_transaction(db, reverting, error);
    history_past_end(db);
    return fine ? g_strdup("") : NULL;
}

static bool
read_transaction(sqlite3 *db, Reverting *reverting, GError **error)
{
    CutRecord record = {0}, newest = {0};
    bool fine = history_past_check(db, reverting->revision, &reverting->upto, &reverting->oldest, error) &&
                history_past_is_whole(db, reverting->revision, reverting->upto, &reverting->oldest, error) &&
                cut_record(db, reverting->revision, &record, error);
    for (unsigned i = 0; fine && i < record.pieces->len; i++)
        fine = add_target(db, reverting, &g_array_index(record.pieces, HistoryPiece, i), &newest, error);
    cut_clear(&record);
    cut_clear(&newest);
    return fine;
}

static bool
add_target(sqlite3 *db, Reverting *reverting, const HistoryPiece *piece, CutRecord *newest, GError **error)
{
    HistoryTarget *target = g_new0(HistoryTarget, 1);
    g_ptr_array_add(reverting->targets, target);
    target->type = history_slice_dup(piece->type);
    target->op = history_slice_dup(piece->op);
    target->dbid = piece->dbid;
    target->before = history_slice_dup(piece->before);
    target->after = history_slice_dup(piece->after);
    target->rights_before = history_slice_dup(piece->rights_before);
    target->rights_after = history_slice_dup(piece->rights_after);
    GError *failure = NULL;
    target->last_rights = history_past_last_rights(db, target->type, target->dbid, &failure);
    if (failure == NULL)
        return read_newest(db, target, newest, error);
    g_propagate_error(error, failure);
    return false;
}

/* Its own list of rights as it is now stands in its newest change. */
static bool
read_newest(sqlite3 *db, HistoryTarget *target, CutRecord *newest, GError **error)
{
    int64_t ordinal;
    bool rights =
        !history_slice_equal(history_slice(target->rights_before), history_slice(target->rights_after));
    if (!find_newest(db, target, &target->changed_last, &ordinal, error))
        return false;
    if (!rights || target->changed_last == 0)
        return true;
    if (!cut_record(db, target->changed_last, newest, error))
        return false;
    if (ordinal < newest->pieces->len)
        target->rights_now =
            history_slice_dup(g_array_index(newest->pieces, HistoryPiece, (unsigned)ordinal).rights_after);
    return true;
}

/* *revision 0: no change of it is known. */
static bool
find_newest(sqlite3 *db, const HistoryTarget *target, int64_t *revision, int64_t *ordinal, GError **error)
{
    *revision = *ordinal = 0;
    sqlite3_stmt *find = history_sql_prepare(
        db,
        "SELECT revision, ordinal FROM change WHERE type = ?1 AND dbid = ?2 ORDER BY revision DESC LIMIT 1",
        error);
    if (find == NULL)
        return false;
    sqlite3_bind_text(find, 1, target->type, -1, SQLITE_STATIC);
    sqlite3_bind_int64(find, 2, target->dbid);
    int step = history_sql_step(find, error);
    if (step == 1) {
        *revision = sqlite3_column_int64(find, 0);
        *ordinal = MAX(sqlite3_column_int64(find, 1), 0);
    }
    sqlite3_finalize(find);
    return step >= 0;
}

/* Kept until another is asked for: many objects were changed last by the same transaction. */
static bool
cut_record(sqlite3 *db, int64_t revision, CutRecord *cut, GError **error)
{
    if (cut->pieces != NULL && cut->revision == revision)
        return true;
    cut_clear(cut);
    cut->revision = revision;
    cut->pieces = g_array_new(FALSE, FALSE, sizeof(HistoryPiece));
    sqlite3_stmt *find =
        history_sql_prepare(db, "SELECT record, from_revision FROM entry WHERE revision = ?1", error);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, revision);
    int step = history_sql_step(find, error);
    size_t size = step == 1 ? (size_t)sqlite3_column_bytes(find, 0) : 0;
    cut->text = step == 1 ? g_strndup(history_sql_text(find, 0), size) : NULL;
    bool is_fold = step == 1 && sqlite3_column_int64(find, 1) != 0;
    sqlite3_finalize(find);
    if (step < 0)
        return false;
    if (step == 0 || is_fold) {
        g_set_error(error, CONF_PLUGIN_RPC_ERROR, -32011,
                    "The history has no transaction of revision %" G_GINT64_FORMAT, revision);
        return false;
    }
    HistoryScan scan;
    HistoryPiece piece;
    bool more = history_pieces_begin(&scan, (HistorySlice){cut->text, size});
    while (more && history_pieces_next(&scan, &piece))
        g_array_append_val(cut->pieces, piece);
    return true;
}

static void
cut_clear(CutRecord *cut)
{
    if (cut->pieces != NULL)
        g_array_unref(cut->pieces);
    g_free(cut->text);
    *cut = (CutRecord){0};
}

static bool
read_single(sqlite3 *db, Reverting *reverting, GError **error)
{
    bool is_unchanged;
    CutRecord newest = {0};
    HistoryTarget *target = g_new0(HistoryTarget, 1);
    g_ptr_array_add(reverting->targets, target);
    target->type = g_strdup(reverting->type);
    target->dbid = reverting->dbid;
    target->op = g_strdup("update");
    target->is_target = true;
    if (!history_past_check(db, reverting->revision, &reverting->upto, &reverting->oldest, error) ||
        !history_past_is_whole(db, reverting->revision, reverting->upto, &reverting->oldest, error) ||
        !history_past_read(db, target->type, target->dbid, reverting->revision, &target->before,
                           &is_unchanged, error))
        return false;
    /* Nothing has happened to it since: it stays. */
    if (is_unchanged)
        g_ptr_array_set_size(reverting->targets, 0);
    if (is_unchanged || target->before == NULL)
        return true;
    GError *failure = NULL;
    bool is_gone = false;
    target->last_rights = history_past_gone(db, target->type, target->dbid, &is_gone, &failure);
    if (failure != NULL) {
        g_propagate_error(error, failure);
        return false;
    }
    if (!is_gone)
        return true;
    /* With the list of rights that it had last. */
    int64_t revision, ordinal;
    bool fine =
        find_newest(db, target, &revision, &ordinal, error) && cut_record(db, revision, &newest, error);
    if (fine && ordinal < newest.pieces->len)
        target->rights_before =
            history_slice_dup(g_array_index(newest.pieces, HistoryPiece, (unsigned)ordinal).rights_before);
    cut_clear(&newest);
    return fine;
}

static void
targets_read(History *history, char *result, const GError *error, void *data)
{
    Reverting *reverting = data;
    g_free(result);
    if (reverting->caller->session == NULL) {
        refuse(reverting, -32013, "The session has ended.", NULL);
        return;
    }
    if (error != NULL) {
        if (g_error_matches(error, CONF_PLUGIN_RPC_ERROR, -32011)) {
            history->refused_oldest = reverting->oldest;
            refuse_gone(reverting, error->message);
            history->refused_oldest = 0;
            return;
        }
        history_fail_later(reverting->later, error);
        reverting_free(reverting);
        return;
    }
    history_undo_init(&reverting->undo, history, reverting->force);
    reverting->is_undoing = true;
    history_undo_begin(&reverting->undo, history, reverting->targets);
    go_on(history, reverting);
}

static void
go_on(void *self, void *data)
{
    History *history = self;
    Reverting *reverting = data;
    HistoryUndo *undo = &reverting->undo;
    if (reverting->caller->session == NULL) {
        refuse(reverting, -32013, "The session has ended.", NULL);
        return;
    }
    if (!history_undo_step(undo, history, reverting->caller->session, reverting->targets)) {
        conf_timer(history->plugin, 1, go_on, reverting);
        return;
    }
    const HistoryTarget *first = reverting->targets->len > 0 ? reverting->targets->pdata[0] : NULL;
    bool is_missing = reverting->type != NULL &&
                      (undo->is_hidden || first == NULL || (first->before == NULL && undo->count == 0)) &&
                      conf_session_read(reverting->caller->session, reverting->type, reverting->dbid) == NULL;
    if (is_missing) {
        refuse(reverting, -32004, "There is and was no such object.", NULL);
    } else if (undo->is_hidden) {
        refuse(reverting, -32005, "That transaction changed what you may not read.", NULL);
    } else if (reverting->type == NULL && history_undo_is_only_secrets(undo, reverting->targets)) {
        refuse(reverting, -32602,
               "Passwords and secrets are not in the history: they cannot be brought back.",
               "{\"path\":\"/revision\"}");
    } else if (undo->conflict_count > 0) {
        g_autofree char *conflicts = g_strdup_printf("{\"conflicts\":%s}", undo->conflicts->str);
        refuse(reverting, -32009, "Later changes would be lost (force overrides).", conflicts);
    } else {
        submit(reverting);
    }
}

static void
refuse(Reverting *reverting, int code, const char *message, const char *data_json)
{
    conf_later_answer_error(reverting->later, code, message, data_json);
    reverting_free(reverting);
}

static void
refuse_gone(Reverting *reverting, const char *message)
{
    g_autofree char *oldest =
        g_strdup_printf("{\"oldest\":%" G_GINT64_FORMAT "}", history_get_oldest(reverting->history));
    refuse(reverting, -32011, message, oldest);
}

static void
submit(Reverting *reverting)
{
    HistoryUndo *undo = &reverting->undo;
    if (undo->operations->len == 0) {
        g_autofree char *nothing =
            g_strdup_printf("{\"revision\":%" G_GINT64_FORMAT ",\"results\":[]%s}",
                            conf_plugin_get_revision(reverting->history->plugin),
                            reverting->dry_run ? ",\"dryRun\":true,\"changes\":[]" : "");
        conf_later_answer(reverting->later, nothing);
        reverting_free(reverting);
        return;
    }
    g_autofree char *params = g_strdup_printf("{\"operations\":[%s]%s}", undo->operations->str,
                                              reverting->dry_run ? ",\"dryRun\":true" : "");
    conf_session_transaction(reverting->caller->session, reverting->history->plugin, params, submitted,
                             reverting);
}

static void
submitted(void *self, const char *result_json, const char *error_json, void *data)
{
    (void)self;
    Reverting *reverting = data;
    if (result_json != NULL) {
        conf_later_answer(reverting->later, result_json);
        reverting_free(reverting);
        return;
    }
    bool raced = history_slice_is(history_slice_member(history_slice(error_json), "code"), "-32009");
    if (!raced || reverting->attempts >= ATTEMPTS || reverting->caller->session == NULL) {
        pass_error(reverting, error_json);
        return;
    }
    history_undo_clear(&reverting->undo);
    reverting->is_undoing = false;
    g_ptr_array_set_size(reverting->targets, 0);
    start(reverting);
}

static void
pass_error(Reverting *reverting, const char *error_json)
{
    const ConfJson *error = conf_value_parse(error_json, NULL);
    int64_t code = -32603;
    conf_value_integer(conf_value_member(error, "code"), &code);
    const char *message = conf_value_string(conf_value_member(error, "message"));
    g_autofree char *data_json = history_slice_dup(history_slice_member(history_slice(error_json), "data"));
    refuse(reverting, (int)code, message != NULL ? message : "It was refused.", data_json);
}

static void
abandon(void *data)
{
    reverting_free(data);
}

static void
reverting_free(Reverting *reverting)
{
    history_caller_free(reverting->history, reverting->caller);
    if (reverting->is_undoing)
        history_undo_clear(&reverting->undo);
    g_ptr_array_unref(reverting->targets);
    g_free(reverting->type);
    g_free(reverting);
}
