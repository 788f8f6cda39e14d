/* history-sql.h - the file of plugin history, behind the server's back. */
#pragma once

#include "fixture.h"

/* Its path; g_free(). */
char *test_history_path(TestServer *server);
/* Runs SQL on it; the first column of the first row, or -1. */
int64_t test_history_sql(TestServer *server, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same on the database of a primary. */
int64_t test_database_sql(TestServer *server, const char *sql);
