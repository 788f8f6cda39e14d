/* history-write.c - rows that are written, each within a transaction of the writer. */
#include "history-private.h"

#include <string.h>

static HistoryVerdict judge_known(HistoryFile *file, const HistoryEntry *entry, GError **error);
static void begin_at(HistoryFile *file, const HistoryEntry *entry);
static bool put_gap(HistoryFile *file, const HistoryEntry *entry, const char *why, GError **error);
static bool put_entry(HistoryFile *file, const HistoryEntry *entry, const uint8_t *digest, GError **error);
static bool put_changes(HistoryFile *file, const HistoryEntry *entry, GError **error);
static bool find_rights(HistoryFile *file, const char *rights, int64_t *id, GError **error);

HistoryVerdict
history_file_write_entry(HistoryFile *file, HistoryEntry *entry, bool strict, const char *why, GError **error)
{
    HistoryMark *last = &file->entries.last;
    if (history_file_lacks_origin(file) || (history_file_is_fresh(file) && entry->revision <= last->position))
        begin_at(file, entry);
    else if (entry->revision <= last->position)
        return judge_known(file, entry, error);
    bool follows = entry->revision == last->position + 1 && entry->from == 0;
    uint8_t digest[HISTORY_DIGEST_SIZE];
    char chain[HISTORY_CHAIN_SIZE];
    entry->linked = true;
    history_digest_entry(last->digest, last->chain, entry, digest, chain);
    bool continues = follows && last->chain[0] != '\0' && strcmp(chain, entry->chain) == 0;
    if (!continues) {
        if (strict && follows && last->chain[0] != '\0')
            return HISTORY_FOREIGN;
        entry->linked = false;
        history_digest_entry(last->digest, last->chain, entry, digest, chain);
    }
    if ((!follows && entry->from != last->position && !put_gap(file, entry, why, error)) ||
        !put_entry(file, entry, digest, error) || !put_changes(file, entry, error))
        return HISTORY_FAILED;
    last->position = entry->revision;
    last->time_ms = entry->time_ms;
    memcpy(last->digest, digest, sizeof digest);
    g_strlcpy(last->chain, entry->chain, sizeof last->chain);
    file->entries.last_moved = true;
    if (file->breaks.count >= 0)
        file->breaks.count++;
    if (!follows)
        file->breaks.replay_from = entry->from != 0 ? entry->revision : entry->revision - 1;
    return HISTORY_WRITTEN;
}

bool
history_file_write_audit(HistoryFile *file, HistoryAudit *audit, GError **error)
{
    sqlite3_stmt *put = history_file_statement(file, HISTORY_AUDIT_PUT, error);
    if (put == NULL)
        return false;
    HistoryMark *last = &file->audits.last;
    uint8_t digest[HISTORY_DIGEST_SIZE];
    audit->id = last->position + 1;
    history_digest_audit(last->digest, audit, digest);
    const int64_t integers[] = {audit->id, audit->time_ms, audit->session, audit->user, audit->application};
    const int integer_columns[] = {1, 2, 4, 5, 7};
    const char *const texts[] = {audit->kind, audit->user_name, audit->application_name, audit->address,
                                 audit->detail};
    const int text_columns[] = {3, 6, 8, 9, 10};
    for (unsigned i = 0; i < G_N_ELEMENTS(integers); i++)
        sqlite3_bind_int64(put, integer_columns[i], integers[i]);
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        sqlite3_bind_text(put, text_columns[i], texts[i], -1, SQLITE_STATIC);
    sqlite3_bind_blob(put, 11, digest, sizeof digest, SQLITE_STATIC);
    if (!history_sql_run(put, error))
        return false;
    last->position = audit->id;
    last->time_ms = audit->time_ms;
    memcpy(last->digest, digest, sizeof digest);
    file->audits.last_moved = true;
    if (audit->id == 1)
        file->audits.first_moved = true;
    return true;
}

bool
history_file_write_session(HistoryFile *file, const char *token, const char *json, int64_t time_ms,
                           GError **error)
{
    sqlite3_stmt *statement =
        history_file_statement(file, json != NULL ? HISTORY_SESSION_PUT : HISTORY_SESSION_FORGET, error);
    if (statement == NULL)
        return false;
    sqlite3_bind_text(statement, 1, token, -1, SQLITE_STATIC);
    if (json != NULL) {
        sqlite3_bind_int64(statement, 2, time_ms);
        sqlite3_bind_text(statement, 3, json, -1, SQLITE_STATIC);
    }
    return history_sql_run(statement, error);
}

bool
history_file_write_environment(HistoryFile *file, const char *environment, GError **error)
{
    sqlite3_stmt *put = history_file_statement(file, HISTORY_META_PUT, error);
    if (put == NULL)
        return false;
    sqlite3_bind_text(put, 1, "environment", -1, SQLITE_STATIC);
    sqlite3_bind_text(put, 2, environment, -1, SQLITE_STATIC);
    if (!history_sql_run(put, error))
        return false;
    g_strlcpy(file->environment, environment, sizeof file->environment);
    return true;
}

int
history_file_check(HistoryFile *file, int64_t revision, const char *chain, GError **error)
{
    const HistoryMark *const marks[] = {&file->entries.first, &file->entries.last};
    for (unsigned i = 0; i < G_N_ELEMENTS(marks); i++) {
        if (marks[i]->position == revision && marks[i]->chain[0] != '\0')
            return strcmp(marks[i]->chain, chain) == 0;
    }
    sqlite3_stmt *find = history_file_statement(file, HISTORY_ENTRY_CHAIN, error);
    if (find == NULL)
        return -1;
    sqlite3_bind_int64(find, 1, revision);
    int step = history_sql_step(find, error);
    int verdict = step == 1 ? strcmp(history_sql_text(find, 0), chain) == 0 : -1;
    sqlite3_reset(find);
    return verdict;
}

/* What comes again was filled in from the change records before.  What is older than the oldest entry, or
 * lies in a gap, is not put in any more: rows are chained in their order. */
static HistoryVerdict
judge_known(HistoryFile *file, const HistoryEntry *entry, GError **error)
{
    GError *failure = NULL;
    int verdict = history_file_check(file, entry->revision, entry->chain, &failure);
    if (failure == NULL)
        return verdict == 0 && entry->from == 0 ? HISTORY_FOREIGN : HISTORY_KNOWN;
    g_propagate_error(error, failure);
    return HISTORY_FAILED;
}

/* Before the first change record that the database still had: further back than where the server stood
 * when the file was made. */
static void
begin_at(HistoryFile *file, const HistoryEntry *entry)
{
    history_file_set_origin(file, entry->from != 0 ? entry->from : entry->revision - 1, "");
}

static bool
put_gap(HistoryFile *file, const HistoryEntry *entry, const char *why, GError **error)
{
    sqlite3_stmt *put = history_file_statement(file, HISTORY_GAP_PUT, error);
    if (put == NULL)
        return false;
    sqlite3_bind_int64(put, 1, file->entries.last.position + 1);
    sqlite3_bind_int64(put, 2, entry->revision - 1);
    sqlite3_bind_int64(put, 3, entry->time_ms);
    sqlite3_bind_text(put, 4, why != NULL ? why : "not known", -1, SQLITE_STATIC);
    return history_sql_run(put, error);
}

static bool
put_entry(HistoryFile *file, const HistoryEntry *entry, const uint8_t *digest, GError **error)
{
    sqlite3_stmt *put = history_file_statement(file, HISTORY_ENTRY_PUT, error);
    if (put == NULL)
        return false;
    const int64_t integers[] = {entry->revision, entry->from, entry->time_ms, entry->user,
                                entry->application};
    for (unsigned i = 0; i < G_N_ELEMENTS(integers); i++)
        sqlite3_bind_int64(put, (int)i + 1, integers[i]);
    sqlite3_bind_text(put, 6, entry->address, -1, SQLITE_STATIC);
    sqlite3_bind_text(put, 7, entry->chain, -1, SQLITE_STATIC);
    sqlite3_bind_int64(put, 8, entry->linked);
    sqlite3_bind_text64(put, 9, entry->record, entry->record_size, SQLITE_STATIC, SQLITE_UTF8);
    sqlite3_bind_blob(put, 10, digest, HISTORY_DIGEST_SIZE, SQLITE_STATIC);
    return history_sql_run(put, error);
}

static bool
put_changes(HistoryFile *file, const HistoryEntry *entry, GError **error)
{
    sqlite3_stmt *put = history_file_statement(file, HISTORY_CHANGE_PUT, error);
    if (put == NULL)
        return false;
    const char *known = NULL;
    int64_t known_id = 0;
    for (unsigned i = 0; i < entry->changes->len; i++) {
        const HistoryChange *change = &g_array_index(entry->changes, HistoryChange, i);
        if (change->rights != NULL && change->rights != known) {
            if (!find_rights(file, change->rights, &known_id, error))
                return false;
            known = change->rights;
        }
        sqlite3_bind_int64(put, 1, entry->revision);
        sqlite3_bind_int64(put, 2, i);
        sqlite3_bind_text(put, 3, change->type, -1, SQLITE_STATIC);
        sqlite3_bind_int64(put, 4, change->dbid);
        sqlite3_bind_text(put, 5, change->op, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 6, change->name, -1, SQLITE_STATIC);
        if (change->rights != NULL)
            sqlite3_bind_int64(put, 7, known_id);
        if (!history_sql_run(put, error))
            return false;
    }
    return true;
}

static bool
find_rights(HistoryFile *file, const char *rights, int64_t *id, GError **error)
{
    sqlite3_stmt *find = history_file_statement(file, HISTORY_RIGHTS_FIND, error);
    sqlite3_stmt *put = find != NULL ? history_file_statement(file, HISTORY_RIGHTS_PUT, error) : NULL;
    if (put == NULL)
        return false;
    uint8_t hash[HISTORY_DIGEST_SIZE];
    history_digest_text(rights, hash);
    sqlite3_bind_blob(find, 1, hash, sizeof hash, SQLITE_STATIC);
    int step = history_sql_step(find, error);
    if (step == 1)
        *id = sqlite3_column_int64(find, 0);
    sqlite3_reset(find);
    sqlite3_clear_bindings(find);
    if (step != 0)
        return step == 1;
    sqlite3_bind_blob(put, 1, hash, sizeof hash, SQLITE_STATIC);
    sqlite3_bind_text(put, 2, rights, -1, SQLITE_STATIC);
    if (!history_sql_run(put, error))
        return false;
    *id = sqlite3_last_insert_rowid(file->db);
    return true;
}
