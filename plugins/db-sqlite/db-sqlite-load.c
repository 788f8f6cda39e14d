/* db-sqlite-load.c - reading everything in order, row by row; the text is lent to the caller where SQLite
 * has it. */
#include "db-sqlite-private.h"

typedef struct {
    uint16_t type;
    uint16_t slot;
} Slot;

static GArray *list_slots(ConfSqlite *db, GError **error);
static bool load_type(ConfSqlite *db, Slot slot, ConfStorageObjectFunc func, void *data, GError **error);
static bool finish(ConfSqlite *db, sqlite3_stmt *statement, int code, bool going, GError **error);

bool
conf_sqlite_load_objects(void *self, ConfStorageObjectFunc func, void *data, GError **error)
{
    ConfSqlite *db = self;
    g_autoptr(GArray) slots = list_slots(db, error);
    if (slots == NULL)
        return false;
    for (unsigned i = 0; i < slots->len; i++)
        if (!load_type(db, g_array_index(slots, Slot, i), func, data, error))
            return false;
    return true;
}

bool
conf_sqlite_load_next_dbids(void *self, ConfStorageDbidFunc func, void *data, GError **error)
{
    ConfSqlite *db = self;
    sqlite3_stmt *list = conf_sqlite_statement(db, CONF_SQLITE_DBID_LIST, error);
    if (list == NULL)
        return false;
    int code;
    bool going = true;
    while (going && (code = sqlite3_step(list)) == SQLITE_ROW)
        going = func((uint16_t)sqlite3_column_int(list, 0), sqlite3_column_int64(list, 1), data, error);
    return finish(db, list, code, going, error);
}

bool
conf_sqlite_load_changes(void *self, int64_t after, ConfStorageChangeFunc func, void *data, GError **error)
{
    ConfSqlite *db = self;
    sqlite3_stmt *list = conf_sqlite_statement(db, CONF_SQLITE_CHANGE_LIST, error);
    if (list == NULL)
        return false;
    sqlite3_bind_int64(list, 1, after);
    int code;
    bool going = true;
    while (going && (code = sqlite3_step(list)) == SQLITE_ROW) {
        ConfStorageChange change = {
            .revision = sqlite3_column_int64(list, 0),
            .time_ms = sqlite3_column_int64(list, 1),
            .chain = (const char *)sqlite3_column_text(list, 2),
            .record = sqlite3_column_blob(list, 3),
            .record_size = (size_t)sqlite3_column_bytes(list, 3),
        };
        going = func(&change, data, error);
    }
    return finish(db, list, code, going, error);
}

static GArray *
list_slots(ConfSqlite *db, GError **error)
{
    sqlite3_stmt *list = conf_sqlite_statement(db, CONF_SQLITE_SLOT_LIST, error);
    if (list == NULL)
        return NULL;
    g_autoptr(GArray) slots = g_array_new(FALSE, FALSE, sizeof(Slot));
    int code;
    while ((code = sqlite3_step(list)) == SQLITE_ROW) {
        Slot slot = {(uint16_t)sqlite3_column_int(list, 0), (uint16_t)sqlite3_column_int(list, 1)};
        g_array_append_val(slots, slot);
    }
    return finish(db, list, code, true, error) ? g_steal_pointer(&slots) : NULL;
}

static bool
load_type(ConfSqlite *db, Slot slot, ConfStorageObjectFunc func, void *data, GError **error)
{
    sqlite3_stmt *list = conf_sqlite_statement(db, CONF_SQLITE_OBJECT_LIST, error);
    if (list == NULL)
        return false;
    int64_t first = (int64_t)slot.slot << CONF_SQLITE_DBID_BITS;
    int64_t mask = ((int64_t)1 << CONF_SQLITE_DBID_BITS) - 1;
    sqlite3_bind_int64(list, 1, first);
    sqlite3_bind_int64(list, 2, first | mask);
    int code;
    bool going = true;
    while (going && (code = sqlite3_step(list)) == SQLITE_ROW) {
        ConfStorageObject object = {
            .type = slot.type,
            .dbid = sqlite3_column_int64(list, 0) & mask,
            .revision = sqlite3_column_int64(list, 1),
            .acl_revision = sqlite3_column_int64(list, 2),
        };
        /* The pointer first: asking for the size first could move it. */
        object.body = sqlite3_column_blob(list, 3);
        object.body_size = (size_t)sqlite3_column_bytes(list, 3);
        object.secrets = sqlite3_column_blob(list, 4);
        object.secrets_size = (size_t)sqlite3_column_bytes(list, 4);
        object.permissions = sqlite3_column_blob(list, 5);
        object.permissions_size = (size_t)sqlite3_column_bytes(list, 5);
        going = func(&object, data, error);
    }
    return finish(db, list, code, going, error);
}

/* `going` false: the caller's function has set *error. */
static bool
finish(ConfSqlite *db, sqlite3_stmt *statement, int code, bool going, GError **error)
{
    bool done = going && (code == SQLITE_DONE || conf_sqlite_fail(db, code, "cannot be read", error));
    conf_sqlite_reset(statement);
    return done;
}
