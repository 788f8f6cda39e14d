/* history-record.c - an entry made of a commit, or of the text of a change record.  Main loop. */
#include "history-private.h"

#include <string.h>

static bool read_changes(HistoryEntry *entry, const ConfJson *record, GError **error);
static bool read_integer(const ConfJson *object, const char *name, int64_t *integer);
static bool fail(GError **error, const char *what);

void
history_entry_from_commit(HistoryEntry *entry, const ConfCommit *commit)
{
    unsigned count = conf_commit_get_length(commit);
    *entry = (HistoryEntry){
        .revision = conf_commit_get_revision(commit),
        .from = conf_commit_get_from(commit),
        .time_ms = conf_commit_get_time(commit),
        .user = conf_commit_get_user(commit),
        .application = conf_commit_get_application(commit),
        .address = g_strdup(conf_commit_get_address(commit)),
        .record = conf_commit_to_json(commit),
        .changes = history_changes_new(count),
    };
    entry->record_size = strlen(entry->record);
    g_strlcpy(entry->chain, conf_commit_get_chain(commit), sizeof entry->chain);
    const char *shared = NULL;
    for (unsigned i = 0; i < count; i++) {
        const ConfObject *before = NULL, *after = NULL;
        const char *op = conf_commit_get_change(commit, i, &before, &after);
        const ConfObject *object = after != NULL ? after : before;
        HistoryChange change = {
            .type = g_ref_string_new(conf_object_get_type(object)),
            .name = g_strdup(conf_object_get_name(object)),
            .op = history_change_op(op),
            .dbid = conf_object_get_dbid(object),
        };
        /* A cascade deletes many objects of one list. */
        g_autofree char *rights = after == NULL ? conf_commit_get_rights(commit, i) : NULL;
        if (rights != NULL && g_strcmp0(rights, shared) == 0)
            change.rights = g_ref_string_acquire((char *)shared);
        else if (rights != NULL)
            shared = change.rights = g_ref_string_new(rights);
        g_array_append_val(entry->changes, change);
    }
}

bool
history_entry_from_record(HistoryEntry *entry, int64_t revision, const char *chain, const char *record,
                          GError **error)
{
    const ConfJson *tree = conf_value_parse(record, error);
    if (tree == NULL)
        return false;
    const ConfJson *by = conf_value_member(tree, "by"), *time = conf_value_member(tree, "time");
    const ConfJson *address = by != NULL ? conf_value_member(by, "address") : NULL;
    const char *time_text = time != NULL ? conf_value_string(time) : NULL;
    g_autoptr(GDateTime) date = time_text != NULL ? g_date_time_new_from_iso8601(time_text, NULL) : NULL;
    int64_t own_revision = 0;
    if (!read_integer(tree, "revision", &own_revision) || own_revision != revision || date == NULL ||
        strlen(chain) != HISTORY_CHAIN_SIZE - 1)
        return fail(error, "its revision, time or chain is wrong");
    *entry = (HistoryEntry){
        .revision = revision,
        .time_ms = g_date_time_to_unix(date) * 1000 + g_date_time_get_microsecond(date) / 1000,
        .address = g_strdup(address != NULL ? conf_value_string(address) : NULL),
        .record = g_strdup(record),
        .record_size = strlen(record),
        .changes = history_changes_new(4),
    };
    g_strlcpy(entry->chain, chain, sizeof entry->chain);
    read_integer(tree, "from", &entry->from);
    read_integer(by, "user", &entry->user);
    read_integer(by, "application", &entry->application);
    if (read_changes(entry, tree, error))
        return true;
    history_entry_clear(entry);
    return false;
}

static bool
read_changes(HistoryEntry *entry, const ConfJson *record, GError **error)
{
    const ConfJson *list = conf_value_member(record, "changes");
    if (list == NULL || conf_value_kind(list) != CONF_V_ARRAY)
        return fail(error, "it has no changes");
    for (const ConfJson *item = conf_value_item(list, 0); item != NULL; item = conf_value_next(item)) {
        const ConfJson *op = conf_value_member(item, "op"), *type = conf_value_member(item, "type"),
                       *name = conf_value_member(item, "name");
        const char *op_text = op != NULL ? conf_value_string(op) : NULL;
        const char *type_text = type != NULL ? conf_value_string(type) : NULL;
        const char *name_text = name != NULL ? conf_value_string(name) : NULL;
        HistoryChange change = {.op = history_change_op(op_text)};
        if (change.op[0] == '?' || type_text == NULL || !read_integer(item, "dbid", &change.dbid))
            return fail(error, "a change has no op, type or dbid");
        change.type = g_ref_string_new(type_text);
        change.name = g_strdup(name_text != NULL ? name_text : "");
        g_array_append_val(entry->changes, change);
    }
    return true;
}

static bool
read_integer(const ConfJson *object, const char *name, int64_t *integer)
{
    const ConfJson *member = object != NULL ? conf_value_member(object, name) : NULL;
    return member != NULL && conf_value_integer(member, integer);
}

static bool
fail(GError **error, const char *what)
{
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "A change record is not understood: %s", what);
    return false;
}
