/* history-list.c - history.list: what changed, newest first, a page at a time.
 *
 * A job reads a chunk of rows that fit the filter; the main loop leaves out what the session may not read,
 * and asks for more until the page is full.  Rights of now decide; of what is gone, the last ones. */
#include "history-methods-private.h"

#include <string.h>

enum {
    CHUNK_ROWS_MIN = 16,
    CHUNK_ROWS = 200,
    CHUNK_BYTES = 256 * 1024,
    PAGE_BYTES = 1000 * 1000, /* of a line of at most 1 MiB */
    ROWS_MAX = 20000,         /* looked at for one page */
    GAPS_MAX = 1000,          /* told by one page */
    LATER_MS = 60000,
};

/* One change, as the job found it. */
typedef struct {
    int64_t revision, ordinal, from, time_ms, user, application, dbid;
    char *type, *op, *name, *address;
    char *before, *after;               /* objects of members; NULL: none */
    char *rights_before, *rights_after; /* own lists; NULL: none, or the same */
    char *body, *last_rights;           /* of an object that is gone */
    char *user_rights, *application_rights;
    bool rights_changed;
} Row;

/* Revisions that the file has not. */
typedef struct {
    int64_t first, last;
    char *why;
} Gap;

typedef struct {
    History *history;
    ConfLater *later; /* NULL: nobody waits any more */
    HistoryCaller *caller;
    HistoryTurn turn;
    /* the filter */
    char *type;
    int64_t dbid, user, application;
    int64_t since, until, since_ms, until_ms;
    bool is_nobody; /* a name that the session knows nobody of */
    bool with_former;
    int64_t limit;
    int64_t revision, ordinal; /* behind this row the job reads on */
    int64_t taken_revision,
        taken_ordinal; /* the last row that was looked at: behind it the next page begins */
    GPtrArray *rows;
    GArray *gaps; /* Gap, descending */
    bool is_complete;
    unsigned looked_at;
    GString *page;
    int64_t count;
} Listing;

/* The record that stands open, since the changes of a commit come one after the other. */
typedef struct {
    int64_t revision, ordinal;
    char *text;
    size_t size;
    HistoryScan scan;
    HistoryPiece piece;
} OpenRecord;

static void begin(History *history, void *data, bool is_wanted);
static bool read_filter(Listing *listing, ConfRequest *request);
static bool read_object(Listing *listing, ConfRequest *request, const ConfJson *params);
static void gone(void *data);
static void fail_ended(Listing *listing);
static char *query_rows(HistoryReader *reader, void *data, GError **error);
static bool find_gaps(sqlite3 *db, Listing *listing, int64_t above, GError **error);
static sqlite3_stmt *prepare_rows(sqlite3 *db, const Listing *listing, GError **error);
static bool take_row(sqlite3 *db, Listing *listing, sqlite3_stmt *find, OpenRecord *record, size_t *bytes,
                     GError **error);
static bool open_piece(sqlite3 *db, OpenRecord *record, const Row *row, GError **error);
static void describe(Row *row, const HistoryPiece *piece);
static void rows_read(History *history, char *result, const GError *error, void *data);
static bool take_page(Listing *listing);
static bool is_visible(const Listing *listing, const Row *row);
static void write_row(const Listing *listing, const Row *row, GString *text);
static void write_by(const Listing *listing, const Row *row, ConfJsonWriterHandle *w);
static void write_side(const char *name, const char *members, const char *rights, ConfJsonWriterHandle *w);
static void write_gaps(Listing *listing);
static void answer(Listing *listing);
static void listing_free(Listing *listing);
static void free_row(void *data);
static void clear_gap(void *data);

void
history_list_method(void *self, ConfRequest *request)
{
    Listing *listing = g_new0(Listing, 1);
    *listing =
        (Listing){.history = self, .since_ms = G_MININT64, .until_ms = G_MAXINT64, .until = G_MAXINT64};
    listing->rows = g_ptr_array_new_with_free_func(free_row);
    listing->gaps = g_array_new(FALSE, FALSE, sizeof(Gap));
    g_array_set_clear_func(listing->gaps, clear_gap);
    listing->page = g_string_new("{\"entries\":[");
    listing->caller = history_caller_new(self, conf_request_get_owner(request));
    listing->with_former = listing->history->settings.write_former_value;
    if (!read_filter(listing, request)) {
        listing_free(listing);
        return;
    }
    if (history_turns_are_many(self)) {
        conf_request_answer_error(request, -32013, "Too many listings wait", "{\"retryAfter\":10}");
        listing_free(listing);
        return;
    }
    if (conf_session_is_administrator(listing->caller->session))
        history_audit_read(self, listing->caller->session, "history.list");
    listing->later = conf_request_later(request, LATER_MS, gone, listing);
    listing->turn = (HistoryTurn){.caller = listing->caller,
                                  .connection = conf_request_get_peer(request),
                                  .begin = begin,
                                  .data = listing};
    history_turn_ask(self, &listing->turn);
}

static void
begin(History *history, void *data, bool is_wanted)
{
    if (is_wanted)
        history_query_call(history, query_rows, rows_read, data);
    else
        rows_read(history, NULL, NULL, data);
}

/* False: it was answered. */
static bool
read_filter(Listing *listing, ConfRequest *request)
{
    static const char *const names[] = {"type",        "dbid",  "name",  "tenant", "path",   "user",
                                        "application", "since", "until", "limit",  "cursor", NULL};
    const ConfJson *params = history_params(request, names);
    int64_t max = listing->history->settings.max_records;
    listing->limit = max;
    if (params == NULL || !read_object(listing, request, params) ||
        !history_param_account(request, params, "user", "person", &listing->user, &listing->is_nobody) ||
        !history_param_account(request, params, "application", "application", &listing->application,
                               &listing->is_nobody) ||
        !history_param_moment(request, params, "since", &listing->since, &listing->since_ms) ||
        !history_param_moment(request, params, "until", &listing->until, &listing->until_ms) ||
        !history_param_integer(request, params, "limit", 1, 10000, &listing->limit))
        return false;
    listing->limit = MIN(listing->limit, max);
    listing->revision = G_MAXINT64;
    listing->ordinal = G_MAXINT64;
    const ConfJson *cursor = conf_value_member(params, "cursor");
    bool is_cursor = cursor == NULL ||
                     history_cursor_read(conf_value_string(cursor), &listing->revision, &listing->ordinal);
    listing->taken_revision = listing->revision;
    listing->taken_ordinal = listing->ordinal;
    if (is_cursor)
        return true;
    history_refuse(request, "/cursor", "This is no cursor of history.list.");
    return false;
}

/* What is gone is named by type and dbid; by name and path, what is there. */
static bool
read_object(Listing *listing, ConfRequest *request, const ConfJson *params)
{
    const ConfJson *type = conf_value_member(params, "type");
    if (conf_value_member(params, "name") != NULL || conf_value_member(params, "path") != NULL) {
        const ConfObject *object = conf_request_find(request);
        if (object == NULL)
            return false;
        listing->type = g_strdup(conf_object_get_type(object));
        listing->dbid = conf_object_get_dbid(object);
        return true;
    }
    if (conf_value_member(params, "tenant") != NULL ||
        (type == NULL && conf_value_member(params, "dbid") != NULL)) {
        history_refuse(request, type == NULL ? "/type" : "/tenant",
                       "An object is named by path alone, by type and dbid, or by type and name.");
        return false;
    }
    if (type != NULL && conf_value_string(type) == NULL) {
        history_refuse(request, "/type", "This is no name of a type.");
        return false;
    }
    listing->type = type != NULL ? g_strdup(conf_value_string(type)) : NULL;
    return history_param_integer(request, params, "dbid", 1, G_MAXINT64, &listing->dbid);
}

/* One that is being read is finished when the job is done.  So that none waits at unload(): by then no
 * later may be touched any more. */
static void
gone(void *data)
{
    Listing *listing = data;
    listing->caller->session = NULL;
    if (!history_turn_withdraw(listing->history, &listing->turn))
        return;
    fail_ended(listing);
    listing_free(listing);
}

static char *
query_rows(HistoryReader *reader, void *data, GError **error)
{
    Listing *listing = data;
    sqlite3 *db = history_reader_get(reader);
    if (listing->is_nobody) {
        listing->is_complete = true;
        return g_strdup("");
    }
    if (!history_past_begin(db, error))
        return NULL;
    int64_t above = listing->revision;
    sqlite3_stmt *find = prepare_rows(db, listing, error);
    OpenRecord record = {0};
    size_t bytes = 0;
    unsigned count = 0;
    /* One more tells whether a page follows; those that may not be seen are made up for by the next chunk. */
    unsigned wanted = (unsigned)CLAMP(listing->limit + 1, CHUNK_ROWS_MIN, CHUNK_ROWS);
    int step = 0;
    bool fine = find != NULL;
    while (fine && bytes < CHUNK_BYTES && count < wanted && (step = history_sql_step(find, error)) == 1) {
        fine = take_row(db, listing, find, &record, &bytes, error);
        count++;
    }
    fine = fine && step >= 0;
    listing->is_complete = step == 0;
    g_free(record.text);
    sqlite3_finalize(find);
    fine = fine && find_gaps(db, listing, above, error);
    history_past_end(db);
    return fine ? g_strdup("") : NULL;
}

/* Between the row before this chunk and its last one: whatever was done then may have been to what is
 * asked for. */
static bool
find_gaps(sqlite3 *db, Listing *listing, int64_t above, GError **error)
{
    sqlite3_stmt *find = history_sql_prepare(
        db,
        "SELECT first, last, why FROM gap WHERE last < ?1 AND last > ?2 AND last >= ?3 AND first <= ?4 AND time >= ?5 "
        "ORDER BY last DESC LIMIT ?6",
        error);
    if (find == NULL)
        return false;
    const int64_t numbers[] = {above,
                               listing->is_complete ? -1 : listing->revision,
                               listing->since,
                               listing->until,
                               listing->since_ms,
                               GAPS_MAX};
    for (int i = 0; i < (int)G_N_ELEMENTS(numbers); i++)
        sqlite3_bind_int64(find, i + 1, numbers[i]);
    int step;
    while ((step = history_sql_step(find, error)) == 1) {
        Gap gap = {sqlite3_column_int64(find, 0), sqlite3_column_int64(find, 1),
                   g_strdup(history_sql_text(find, 2))};
        g_array_append_val(listing->gaps, gap);
    }
    sqlite3_finalize(find);
    return step == 0;
}

/* By the revision, newest first; where one object is asked for, by its index.  Records are not sorted
 * along. */
static sqlite3_stmt *
prepare_rows(sqlite3 *db, const Listing *listing, GError **error)
{
    g_autofree char *sql = g_strdup_printf(
        "SELECT c.revision, c.ordinal, c.type, c.dbid, c.op, c.name, e.from_revision, e.time, e.user, e.application, "
        "e.address FROM change c CROSS JOIN entry e ON e.revision = c.revision WHERE c.revision <= ?1 AND "
        "(c.revision < ?1 OR c.ordinal > ?2) AND c.revision >= ?3 AND c.revision <= ?4 AND e.time >= ?5 AND "
        "e.time <= ?6%s%s%s%s ORDER BY c.revision DESC, c.ordinal",
        listing->type == NULL ? ""
        : listing->dbid != 0  ? " AND c.type = ?7"
                              : " AND +c.type = ?7",
        listing->dbid != 0 ? " AND c.dbid = ?8" : "", listing->user != 0 ? " AND e.user = ?9" : "",
        listing->application != 0 ? " AND e.application = ?10" : "");
    sqlite3_stmt *find = history_sql_prepare(db, sql, error);
    if (find == NULL)
        return NULL;
    const int64_t numbers[] = {listing->revision, listing->ordinal,  listing->since,
                               listing->until,    listing->since_ms, listing->until_ms};
    for (int i = 0; i < (int)G_N_ELEMENTS(numbers); i++)
        sqlite3_bind_int64(find, i + 1, numbers[i]);
    if (listing->type != NULL)
        sqlite3_bind_text(find, 7, listing->type, -1, SQLITE_STATIC);
    sqlite3_bind_int64(find, 8, listing->dbid);
    sqlite3_bind_int64(find, 9, listing->user);
    sqlite3_bind_int64(find, 10, listing->application);
    return find;
}

static bool
take_row(sqlite3 *db, Listing *listing, sqlite3_stmt *find, OpenRecord *record, size_t *bytes, GError **error)
{
    Row *row = g_new0(Row, 1);
    g_ptr_array_add(listing->rows, row);
    *row = (Row){
        .revision = sqlite3_column_int64(find, 0),
        .ordinal = sqlite3_column_int64(find, 1),
        .type = g_strdup(history_sql_text(find, 2)),
        .dbid = sqlite3_column_int64(find, 3),
        .op = g_strdup(history_sql_text(find, 4)),
        .name = g_strdup(history_sql_text(find, 5)),
        .from = sqlite3_column_int64(find, 6),
        .time_ms = sqlite3_column_int64(find, 7),
        .user = sqlite3_column_int64(find, 8),
        .application = sqlite3_column_int64(find, 9),
        .address = g_strdup((const char *)sqlite3_column_text(find, 10)),
    };
    listing->revision = row->revision;
    listing->ordinal = row->ordinal;
    if (!open_piece(db, record, row, error))
        return false;
    describe(row, &record->piece);
    GError *failure = NULL;
    bool is_gone = false;
    row->last_rights = history_past_gone(db, row->type, row->dbid, &is_gone, &failure);
    if (is_gone)
        row->body =
            history_slice_dup(record->piece.after.size > 0 ? record->piece.after : record->piece.before);
    /* Most rows are of the same as the one before. */
    const Row *last = listing->rows->len > 1 ? listing->rows->pdata[listing->rows->len - 2] : NULL;
    if (last != NULL && last->user == row->user)
        row->user_rights = g_strdup(last->user_rights);
    else if (failure == NULL && row->user != 0)
        row->user_rights = history_past_last_rights(db, "person", row->user, &failure);
    if (last != NULL && last->application == row->application)
        row->application_rights = g_strdup(last->application_rights);
    else if (failure == NULL && row->application != 0)
        row->application_rights = history_past_last_rights(db, "application", row->application, &failure);
    *bytes += record->piece.before.size + record->piece.after.size + 256;
    if (failure != NULL)
        g_propagate_error(error, failure);
    return failure == NULL;
}

static bool
open_piece(sqlite3 *db, OpenRecord *record, const Row *row, GError **error)
{
    if (record->revision != row->revision) {
        g_clear_pointer(&record->text, g_free);
        sqlite3_stmt *find = history_sql_prepare(db, "SELECT record FROM entry WHERE revision = ?1", error);
        if (find == NULL)
            return false;
        sqlite3_bind_int64(find, 1, row->revision);
        int step = history_sql_step(find, error);
        record->size = step == 1 ? (size_t)sqlite3_column_bytes(find, 0) : 0;
        record->text = step == 1 ? g_strndup(history_sql_text(find, 0), record->size) : NULL;
        sqlite3_finalize(find);
        if (step < 0)
            return false;
        record->revision = row->revision;
        record->ordinal = -1;
        if (record->text != NULL)
            history_pieces_begin(&record->scan, (HistorySlice){record->text, record->size});
    }
    bool found = record->text != NULL;
    while (found && record->ordinal < row->ordinal) {
        found = history_pieces_next(&record->scan, &record->piece);
        record->ordinal++;
    }
    if (found && record->piece.dbid == row->dbid && history_slice_is(record->piece.type, row->type))
        return true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "A record of the history is broken");
    return false;
}

static void
describe(Row *row, const HistoryPiece *piece)
{
    if (piece->before.size > 0 && piece->after.size > 0) {
        if (strcmp(row->op, "update") == 0)
            history_difference(piece->before, piece->after, &row->before, &row->after);
    } else {
        row->before = history_slice_dup(piece->before);
        row->after = history_slice_dup(piece->after);
    }
    row->rights_changed = !history_slice_equal(piece->rights_before, piece->rights_after);
    if (!row->rights_changed)
        return;
    row->rights_before = history_slice_dup(piece->rights_before);
    row->rights_after = history_slice_dup(piece->rights_after);
}

static void
rows_read(History *history, char *result, const GError *error, void *data)
{
    Listing *listing = data;
    g_free(result);
    if (listing->caller->session == NULL) {
        fail_ended(listing);
    } else if (error != NULL) {
        history_fail_later(listing->later, error);
    } else {
        bool is_full = take_page(listing);
        listing->looked_at += listing->rows->len;
        g_ptr_array_set_size(listing->rows, 0);
        if (!is_full && !listing->is_complete && listing->looked_at < ROWS_MAX) {
            history_query_again(history, query_rows, rows_read, listing);
            return;
        }
        answer(listing);
    }
    history_turn_over(history, &listing->turn);
    listing_free(listing);
}

static void
fail_ended(Listing *listing)
{
    conf_later_finish(listing->later, CONF_REFUSE,
                      g_error_new_literal(CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The session has ended"));
}

/* True: the page is full, and behind its last row the next one begins. */
static bool
take_page(Listing *listing)
{
    for (unsigned i = 0; i < listing->rows->len; i++) {
        const Row *row = listing->rows->pdata[i];
        if (is_visible(listing, row)) {
            size_t before = listing->page->len;
            if (listing->count > 0)
                g_string_append_c(listing->page, ',');
            if (listing->count < listing->limit)
                write_row(listing, row, listing->page);
            if (listing->count == listing->limit || (listing->count > 0 && listing->page->len > PAGE_BYTES)) {
                g_string_truncate(listing->page, before);
                listing->is_complete = false;
                return true;
            }
            listing->count++;
        }
        listing->taken_revision = row->revision;
        listing->taken_ordinal = row->ordinal;
    }
    return false;
}

/* Who may not read a person or an application is not told by its changes that it made them. */
static bool
is_visible(const Listing *listing, const Row *row)
{
    History *history = listing->history;
    ConfSession *session = listing->caller->session;
    if (!history_may_read(history, session, row->type, row->dbid, row->body, row->last_rights))
        return false;
    if (strcmp(row->op, "permission") == 0 &&
        !history_may_read_rights(history, session, row->type, row->dbid, row->last_rights))
        return false;
    return (listing->user == 0 ||
            history_may_read(history, session, "person", row->user, NULL, row->user_rights)) &&
           (listing->application == 0 || history_may_read(history, session, "application", row->application,
                                                          NULL, row->application_rights));
}

static void
write_row(const Listing *listing, const Row *row, GString *text)
{
    ConfJsonWriterHandle *w = conf_writer_new();
    g_autofree char *time = history_time_text(row->time_ms);
    bool may_rights =
        row->rights_changed && history_may_read_rights(listing->history, listing->caller->session, row->type,
                                                       row->dbid, row->last_rights);
    conf_writer_begin_object(w);
    conf_writer_key(w, "revision");
    conf_writer_integer(w, row->revision);
    if (row->from != 0) {
        conf_writer_key(w, "from");
        conf_writer_integer(w, row->from);
    }
    conf_writer_key(w, "time");
    conf_writer_string(w, time);
    write_by(listing, row, w);
    conf_writer_key(w, "op");
    conf_writer_string(w, row->op);
    conf_writer_key(w, "type");
    conf_writer_string(w, row->type);
    conf_writer_key(w, "dbid");
    conf_writer_integer(w, row->dbid);
    conf_writer_key(w, "name");
    conf_writer_string(w, row->name);
    if (listing->with_former)
        write_side("before", row->before, may_rights ? row->rights_before : NULL, w);
    write_side("after", row->after, may_rights ? row->rights_after : NULL, w);
    conf_writer_end_object(w);
    g_autofree char *json = conf_writer_finish(w);
    g_string_append(text, json);
}

/* The address is told of whom one may read. */
static void
write_by(const Listing *listing, const Row *row, ConfJsonWriterHandle *w)
{
    History *history = listing->history;
    ConfSession *session = listing->caller->session;
    bool user =
        row->user != 0 && history_may_read(history, session, "person", row->user, NULL, row->user_rights);
    bool application =
        row->application != 0 &&
        history_may_read(history, session, "application", row->application, NULL, row->application_rights);
    bool address = row->address != NULL && (row->user != 0 ? user : application);
    conf_writer_key(w, "by");
    conf_writer_begin_object(w);
    if (user) {
        conf_writer_key(w, "user");
        conf_writer_integer(w, row->user);
    }
    if (application) {
        conf_writer_key(w, "application");
        conf_writer_integer(w, row->application);
    }
    if (address) {
        conf_writer_key(w, "address");
        conf_writer_string(w, row->address);
    }
    conf_writer_end_object(w);
}

/* A list of rights stands among the members as "permissions". */
static void
write_side(const char *name, const char *members, const char *rights, ConfJsonWriterHandle *w)
{
    if (members == NULL && rights == NULL)
        return;
    conf_writer_key(w, name);
    if (rights == NULL) {
        conf_writer_json(w, members);
        return;
    }
    size_t size = members != NULL ? strlen(members) : 2;
    g_autofree char *joined = g_strdup_printf("%.*s%s\"permissions\":%s}", (int)size - 1,
                                              members != NULL ? members : "{}", size > 2 ? "," : "", rights);
    conf_writer_json(w, joined);
}

/* Those below the page are the next one's. */
static void
write_gaps(Listing *listing)
{
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_array(w);
    unsigned count = 0;
    for (unsigned i = 0; i < listing->gaps->len; i++) {
        const Gap *gap = &g_array_index(listing->gaps, Gap, i);
        if (!listing->is_complete && gap->last < listing->taken_revision)
            break;
        conf_writer_begin_object(w);
        conf_writer_key(w, "first");
        conf_writer_integer(w, gap->first);
        conf_writer_key(w, "last");
        conf_writer_integer(w, gap->last);
        conf_writer_key(w, "reason");
        conf_writer_string(w, gap->why);
        conf_writer_end_object(w);
        count++;
    }
    conf_writer_end_array(w);
    g_autofree char *json = conf_writer_finish(w);
    if (count > 0)
        g_string_append_printf(listing->page, ",\"gaps\":%s", json);
}

static void
answer(Listing *listing)
{
    g_string_append_c(listing->page, ']');
    write_gaps(listing);
    if (!listing->is_complete)
        g_string_append_printf(listing->page, ",\"cursor\":\"%" G_GINT64_FORMAT ".%" G_GINT64_FORMAT "\"",
                               listing->taken_revision, listing->taken_ordinal);
    g_string_append_c(listing->page, '}');
    conf_later_answer(listing->later, listing->page->str);
}

static void
listing_free(Listing *listing)
{
    history_caller_free(listing->history, listing->caller);
    g_ptr_array_unref(listing->rows);
    g_array_unref(listing->gaps);
    g_string_free(listing->page, TRUE);
    g_free(listing->type);
    g_free(listing);
}

static void
free_row(void *data)
{
    Row *row = data;
    char *texts[] = {row->type,   row->op,          row->name,          row->address,
                     row->before, row->after,       row->rights_before, row->rights_after,
                     row->body,   row->last_rights, row->user_rights,   row->application_rights};
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    g_free(row);
}

static void
clear_gap(void *data)
{
    g_free(((Gap *)data)->why);
}
