/* history-dump.c - confserv -dumpauditxml FILE [-last DAYS]: what the file holds, as XML (1.0, UTF-8), oldest
 * first.  Also while the server runs.
 *
 * Values stand as the JSON texts that they are.  What XML cannot hold, in the name of a refused log-in, is
 * replaced. */
#include "history-methods-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    FILE *stream;
    sqlite3 *db;
    int64_t since_ms;
} Dump;

static bool run(ConfPlugin *p, const void *settings, const char *argument, const char *const *values,
                GError **error);
static bool read_days(const char *text, int64_t *since_ms, GError **error);
static sqlite3 *open_history(const char *path, GError **error);
static bool read_number(sqlite3 *db, const char *sql, int64_t *number, GError **error);
static bool write_file(Dump *dump, const char *name, GError **error);
static bool write_all(Dump *dump, GError **error);
static bool write_entries(Dump *dump, GError **error);
static bool write_changes(Dump *dump, sqlite3_stmt *row, GError **error);
static void write_members(Dump *dump, HistorySlice before, HistorySlice after, bool is_second);
static void write_pair(Dump *dump, const char *element, HistorySlice name, HistorySlice before,
                       HistorySlice after);
static bool write_sessions(Dump *dump, GError **error);
static void write_attribute(Dump *dump, const char *name, const char *text, size_t size);
static void write_number(Dump *dump, const char *name, int64_t number);
static void write_time(Dump *dump, const char *name, int64_t time_ms);
static void write_text(Dump *dump, const char *text, size_t size);

static const char *const with[] = {"last", NULL};
const ConfPluginCommand history_commands[] = {
    {.name = "dumpauditxml",
     .argument = "FILE",
     .with = with,
     .run = run,
     .help = "write what the history holds as XML, of the last DAYS with -last"},
    {.name = NULL},
};

static bool
run(ConfPlugin *p, const void *settings, const char *argument, const char *const *values, GError **error)
{
    (void)settings;
    Dump dump = {.since_ms = G_MININT64};
    if (values[0] != NULL && !read_days(values[0], &dump.since_ms, error))
        return false;
    g_autofree char *path = g_build_filename(conf_plugin_get_data_folder(p), "confserv.history", NULL);
    dump.db = open_history(path, error);
    if (dump.db == NULL)
        return false;
    bool done = write_file(&dump, argument, error);
    sqlite3_close(dump.db);
    return done;
}

static bool
read_days(const char *text, int64_t *since_ms, GError **error)
{
    guint64 days = 0;
    if (!g_ascii_string_to_unsigned(text, 10, 1, 36500, &days, NULL)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "Option '-last' needs a number of days from 1 to 36500, not '%s'", text);
        return false;
    }
    *since_ms = g_get_real_time() / 1000 - (int64_t)days * 24 * 3600 * 1000;
    return true;
}

static sqlite3 *
open_history(const char *path, GError **error)
{
    sqlite3 *db = NULL;
    if (access(path, F_OK) != 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_NOT_FOUND, "There is no history: %s: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &db, flags, NULL);
    int64_t application = 0, version = 0;
    bool fine = code == SQLITE_OK || history_sql_fail(db, code, error);
    if (fine)
        sqlite3_busy_timeout(db, 5000);
    fine = fine && history_sql_exec(db, "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF", error) &&
           read_number(db, "PRAGMA application_id", &application, error) &&
           read_number(db, "PRAGMA user_version", &version, error);
    if (fine && (application != HISTORY_APPLICATION_ID || version < 1 ||
                 version > (int64_t)history_migration_count)) {
        g_set_error(error, CONF_ERROR,
                    version > (int64_t)history_migration_count ? CONF_ERROR_NEWER : CONF_ERROR_INVALID,
                    "%s is no history of this release", path);
        fine = false;
    }
    if (fine)
        return db;
    sqlite3_close(db);
    return NULL;
}

static bool
read_number(sqlite3 *db, const char *sql, int64_t *number, GError **error)
{
    sqlite3_stmt *find = history_sql_prepare(db, sql, error);
    if (find == NULL)
        return false;
    int step = history_sql_step(find, error);
    *number = step == 1 ? sqlite3_column_int64(find, 0) : 0;
    sqlite3_finalize(find);
    return step >= 0;
}

/* Under another name until it is whole: half a file is not mistaken for all. */
static bool
write_file(Dump *dump, const char *name, GError **error)
{
    bool is_standard = strcmp(name, "-") == 0;
    g_autofree char *part = g_strconcat(name, ".part", NULL);
    int fd = is_standard ? -1 : open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    dump->stream = is_standard ? stdout : fd >= 0 ? fdopen(fd, "w") : NULL;
    if (dump->stream == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "%s cannot be written: %s", part,
                    g_strerror(errno));
        return false;
    }
    bool done = write_all(dump, error);
    bool is_kept = fflush(dump->stream) == 0 && ferror(dump->stream) == 0 && (is_standard || fsync(fd) == 0);
    is_kept = (is_standard || fclose(dump->stream) == 0) && is_kept;
    if (done && (!is_kept || (!is_standard && rename(part, name) != 0))) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FULL, "%s cannot be written: %s", name, g_strerror(errno));
        done = false;
    }
    if (!done && !is_standard)
        unlink(part);
    return done;
}

static bool
write_all(Dump *dump, GError **error)
{
    /* One state of the file, whatever the server writes meanwhile. */
    if (!history_past_begin(dump->db, error))
        return false;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<audit", dump->stream);
    write_time(dump, "made", g_get_real_time() / 1000);
    fputs(">\n", dump->stream);
    bool done = write_entries(dump, error) && write_sessions(dump, error);
    fputs("</audit>\n", dump->stream);
    history_past_end(dump->db);
    return done;
}

static bool
write_entries(Dump *dump, GError **error)
{
    sqlite3_stmt *find = history_sql_prepare(
        dump->db,
        "SELECT revision, from_revision, time, user, application, address, chain, record FROM entry WHERE time >= ?1 "
        "ORDER BY revision",
        error);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, dump->since_ms);
    int step;
    bool fine = true;
    while (fine && (step = history_sql_step(find, error)) == 1) {
        fputs("  <entry", dump->stream);
        write_number(dump, "revision", sqlite3_column_int64(find, 0));
        write_number(dump, "from", sqlite3_column_int64(find, 1));
        write_time(dump, "time", sqlite3_column_int64(find, 2));
        write_number(dump, "user", sqlite3_column_int64(find, 3));
        write_number(dump, "application", sqlite3_column_int64(find, 4));
        write_attribute(dump, "address", history_sql_text(find, 5), (size_t)sqlite3_column_bytes(find, 5));
        write_attribute(dump, "chain", history_sql_text(find, 6), (size_t)sqlite3_column_bytes(find, 6));
        fputs(">\n", dump->stream);
        fine = write_changes(dump, find, error);
        fputs("  </entry>\n", dump->stream);
    }
    sqlite3_finalize(find);
    return fine && step >= 0;
}

static bool
write_changes(Dump *dump, sqlite3_stmt *row, GError **error)
{
    HistoryScan scan;
    HistoryPiece piece;
    HistorySlice record = {history_sql_text(row, 7), (size_t)sqlite3_column_bytes(row, 7)};
    if (!history_pieces_begin(&scan, record)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "The record of revision %" G_GINT64_FORMAT " is broken",
                    (int64_t)sqlite3_column_int64(row, 0));
        return false;
    }
    while (history_pieces_next(&scan, &piece)) {
        HistorySlice name = history_slice_unquote(piece.name);
        fputs("    <change", dump->stream);
        write_attribute(dump, "op", piece.op.data, piece.op.size);
        write_attribute(dump, "type", piece.type.data, piece.type.size);
        write_number(dump, "dbid", piece.dbid);
        write_attribute(dump, "name", name.data, name.size);
        fputs(">\n", dump->stream);
        g_autofree char *before = NULL, *after = NULL;
        if (piece.before.size > 0 && piece.after.size > 0)
            history_difference(piece.before, piece.after, &before, &after);
        HistorySlice sides[] = {before != NULL ? history_slice(before) : piece.before,
                                after != NULL ? history_slice(after) : piece.after};
        write_members(dump, sides[0], sides[1], false);
        write_members(dump, sides[0], sides[1], true);
        if (!history_slice_equal(piece.rights_before, piece.rights_after))
            write_pair(dump, "permissions", (HistorySlice){NULL, 0}, piece.rights_before, piece.rights_after);
        fputs("    </change>\n", dump->stream);
    }
    return true;
}

/* Those of before, then those that only after has. */
static void
write_members(Dump *dump, HistorySlice before, HistorySlice after, bool is_second)
{
    HistoryScan scan;
    HistorySlice key, unused;
    bool more = history_scan_begin(&scan, is_second ? after : before);
    while (more && history_scan_next(&scan, &key, &unused)) {
        HistorySlice was = history_slice_member_raw(before, key),
                     became = history_slice_member_raw(after, key);
        if (!is_second || was.size == 0)
            write_pair(dump, "member", key, was, became);
    }
}

static void
write_pair(Dump *dump, const char *element, HistorySlice name, HistorySlice before, HistorySlice after)
{
    static const char *const names[] = {"before", "after"};
    const HistorySlice sides[] = {before, after};
    fprintf(dump->stream, "      <%s", element);
    write_attribute(dump, "name", name.data, name.size);
    fputs(">", dump->stream);
    for (unsigned i = 0; i < G_N_ELEMENTS(sides); i++) {
        if (sides[i].size == 0)
            continue;
        fprintf(dump->stream, "<%s>", names[i]);
        write_text(dump, sides[i].data, sides[i].size);
        fprintf(dump->stream, "</%s>", names[i]);
    }
    fprintf(dump->stream, "</%s>\n", element);
}

static bool
write_sessions(Dump *dump, GError **error)
{
    static const char *const names[] = {"userName", "applicationName", "address", "detail"};
    sqlite3_stmt *find = history_sql_prepare(
        dump->db,
        "SELECT kind, time, session, user, application, user_name, application_name, address, detail FROM audit "
        "WHERE time >= ?1 ORDER BY id",
        error);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, dump->since_ms);
    int step;
    while ((step = history_sql_step(find, error)) == 1) {
        fputs("  <session", dump->stream);
        write_attribute(dump, "kind", history_sql_text(find, 0), (size_t)sqlite3_column_bytes(find, 0));
        write_time(dump, "time", sqlite3_column_int64(find, 1));
        write_number(dump, "number", sqlite3_column_int64(find, 2));
        write_number(dump, "user", sqlite3_column_int64(find, 3));
        write_number(dump, "application", sqlite3_column_int64(find, 4));
        for (int i = 0; i < (int)G_N_ELEMENTS(names); i++)
            write_attribute(dump, names[i], history_sql_text(find, 5 + i),
                            (size_t)sqlite3_column_bytes(find, 5 + i));
        fputs("/>\n", dump->stream);
    }
    sqlite3_finalize(find);
    return step == 0;
}

/* Empty ones are left out. */
static void
write_attribute(Dump *dump, const char *name, const char *text, size_t size)
{
    if (size == 0)
        return;
    fprintf(dump->stream, " %s=\"", name);
    write_text(dump, text, size);
    fputs("\"", dump->stream);
}

static void
write_number(Dump *dump, const char *name, int64_t number)
{
    if (number != 0)
        fprintf(dump->stream, " %s=\"%" G_GINT64_FORMAT "\"", name, number);
}

static void
write_time(Dump *dump, const char *name, int64_t time_ms)
{
    g_autofree char *text = history_time_text(time_ms);
    write_attribute(dump, name, text, strlen(text));
}

/* XML 1.0, 2.2: most control characters, and two others, can stand in no document, not even escaped. */
static void
write_text(Dump *dump, const char *text, size_t size)
{
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)size);
    g_autoptr(GString) plain = g_string_sized_new(size);
    for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar character = g_utf8_get_char(at);
        bool is_allowed = character == '\t' || character == '\n' || character == '\r' ||
                          (character >= 0x20 && character != 0xfffe && character != 0xffff);
        g_string_append_unichar(plain, is_allowed ? character : 0xfffd);
    }
    g_autofree char *escaped = g_markup_escape_text(plain->str, (gssize)plain->len);
    fputs(escaped, dump->stream);
}
