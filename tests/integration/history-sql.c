/* history-sql.c - see history-sql.h. */
#include "history-sql.h"

#include <sqlite3.h>

static int64_t run(const char *path, const char *sql);

char *
test_history_path(TestServer *server)
{
    return g_build_filename(test_server_get_folder(server), "confserv.history", NULL);
}

int64_t
test_history_sql(TestServer *server, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *sql = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *path = test_history_path(server);
    return run(path, sql);
}

int64_t
test_database_sql(TestServer *server, const char *sql)
{
    g_autofree char *path = g_build_filename(test_server_get_folder(server), "confserv.db", NULL);
    return run(path, sql);
}

static int64_t
run(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK)
        g_error("%s: %s", sql, sqlite3_errmsg(db));
    code = sqlite3_step(statement);
    g_assert_true(code == SQLITE_ROW || code == SQLITE_DONE);
    int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}
