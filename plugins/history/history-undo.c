/* history-undo.c - the operations of a transaction that takes changes back, and what stands against it.
 *
 * The record is gone through from its end: what was deleted comes back first, then what was changed is
 * changed back, then what was created goes.  Members that are as they were need nothing; members that were
 * changed again since are conflicts, but with `force`. */
#include "history-methods-private.h"

#include <string.h>

/* One object whose members are changed back. */
typedef struct {
    HistoryUndo *undo;
    const HistoryTarget *target;
    HistoryIndex before, after, present;
    GString *patch;
} Patching;

/* What a section was, became, and is. */
typedef struct {
    HistorySlice before, after, present;
} Sides;

static bool is_secret(const HistoryUndo *undo, const HistoryTarget *target);
static bool is_given_only(const HistoryUndo *undo, const char *type, HistorySlice side, HistorySlice other);
static bool is_readable(History *history, ConfSession *session, const HistoryTarget *target);
static void undo_target(HistoryUndo *undo, History *history, const HistoryTarget *target);
static void undo_create(HistoryUndo *undo, const HistoryTarget *target, const ConfObject *present);
static void undo_delete(HistoryUndo *undo, History *history, const HistoryTarget *target,
                        const ConfObject *present);
static void undo_update(HistoryUndo *undo, const HistoryTarget *target, const ConfObject *present,
                        const char *after);
static void patch_members(Patching *patching, HistorySlice side);
static void patch_sections(Patching *patching, HistorySlice key);
static void patch_section(Patching *patching, HistorySlice key, HistorySlice name, Sides sides,
                          GString *sections);
static void add_sections(const Patching *patching, HistorySlice key, GString *sections);
static void restore(HistoryUndo *undo, const HistoryTarget *target);
static void undo_rights(HistoryUndo *undo, History *history, const HistoryTarget *target);
static void restore_rights(HistoryUndo *undo, History *history, const HistoryTarget *target);
static void begin_operation(HistoryUndo *undo, GString *operations, const char *op,
                            const HistoryTarget *target);
static void add_conflict(HistoryUndo *undo, const HistoryTarget *target, const char *member);
static GHashTable *read_fields(HistorySlice schema);
static const char *find_field(const HistoryUndo *undo, const char *type, HistorySlice member);
static bool is_given_by_server(const HistoryUndo *undo, const char *type, HistorySlice member);

void
history_target_free(void *data)
{
    HistoryTarget *target = data;
    char *texts[] = {target->type,         target->op,         target->name,
                     target->before,       target->after,      target->rights_before,
                     target->rights_after, target->rights_now, target->last_rights};
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    g_free(target);
}

void
history_undo_init(HistoryUndo *undo, const History *history, bool force)
{
    g_autofree char *schema = conf_plugin_get_schema(history->plugin);
    *undo = (HistoryUndo){
        .operations = g_string_new(NULL),
        .permissions = g_string_new(NULL),
        .conflicts = g_string_new("["),
        .force = force,
        .fields = read_fields(history_slice(schema)),
        .restored = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .roots = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL),
    };
}

void
history_undo_clear(HistoryUndo *undo)
{
    g_string_free(undo->operations, TRUE);
    g_string_free(undo->permissions, TRUE);
    g_string_free(undo->conflicts, TRUE);
    g_hash_table_unref(undo->fields);
    g_hash_table_unref(undo->restored);
    g_hash_table_unref(undo->roots);
}

void
history_undo_begin(HistoryUndo *undo, History *history, GPtrArray *targets)
{
    for (unsigned i = 0; i < targets->len; i++) {
        const HistoryTarget *target = targets->pdata[i];
        bool was_there = target->before != NULL && (target->is_target || strcmp(target->op, "delete") == 0);
        if (!was_there || conf_plugin_lookup(history->plugin, target->type, target->dbid) != NULL)
            continue;
        g_hash_table_add(undo->restored, g_strdup_printf("%s/%" G_GINT64_FORMAT, target->type, target->dbid));
        /* A tenant makes root folders anew, under other dbids. */
        if (strcmp(target->type, "folder") == 0 &&
            history_slice_member(history_slice(target->before), "folder").size == 0)
            g_hash_table_add(undo->roots, g_memdup2(&target->dbid, sizeof target->dbid));
    }
    undo->left = targets->len;
}

bool
history_undo_step(HistoryUndo *undo, History *history, ConfSession *session, GPtrArray *targets)
{
    enum { BYTES_A_STEP = 64 * 1024, BYTES_A_TARGET = 640 };
    for (size_t bytes = 0; undo->left > 0 && bytes < BYTES_A_STEP && !undo->is_hidden;) {
        const HistoryTarget *target = targets->pdata[--undo->left];
        bytes += BYTES_A_TARGET + history_slice(target->before).size + history_slice(target->after).size;
        undo->is_hidden = !is_readable(history, session, target);
        if (!undo->is_hidden)
            undo_target(undo, history, target);
    }
    if (undo->left > 0 && !undo->is_hidden)
        return false;
    g_string_append_c(undo->conflicts, ']');
    if (undo->permissions->len > 0)
        g_string_append_printf(undo->operations, "%s%s", undo->operations->len > 0 ? "," : "",
                               undo->permissions->str);
    return true;
}

bool
history_undo_is_only_secrets(const HistoryUndo *undo, const GPtrArray *targets)
{
    bool only = targets->len > 0;
    for (unsigned i = 0; i < targets->len && only; i++)
        only = is_secret(undo, targets->pdata[i]);
    return only;
}

static bool
is_readable(History *history, ConfSession *session, const HistoryTarget *target)
{
    const char *body = target->before != NULL ? target->before : target->after;
    bool rights =
        !history_slice_equal(history_slice(target->rights_before), history_slice(target->rights_after));
    return history_may_read(history, session, target->type, target->dbid, body, target->last_rights) &&
           (!rights ||
            history_may_read_rights(history, session, target->type, target->dbid, target->last_rights));
}

/* The first one shows: as a member that says that there is one, or as its age. */
static bool
is_secret(const HistoryUndo *undo, const HistoryTarget *target)
{
    if (strcmp(target->op, "secret") == 0)
        return true;
    HistorySlice before = history_slice(target->before), after = history_slice(target->after);
    return strcmp(target->op, "update") == 0 &&
           history_slice_equal(history_slice(target->rights_before), history_slice(target->rights_after)) &&
           is_given_only(undo, target->type, before, after) &&
           is_given_only(undo, target->type, after, before);
}

/* Every member of `side` that `other` has differently is one that the server gives. */
static bool
is_given_only(const HistoryUndo *undo, const char *type, HistorySlice side, HistorySlice other)
{
    HistoryScan scan;
    HistorySlice key, value;
    bool given = true;
    for (bool more = history_scan_begin(&scan, side);
         given && more && history_scan_next(&scan, &key, &value);)
        given = history_slice_equal(value, history_slice_member_raw(other, key)) ||
                is_given_by_server(undo, type, key);
    return given;
}

static void
undo_target(HistoryUndo *undo, History *history, const HistoryTarget *target)
{
    const ConfObject *present = conf_plugin_lookup(history->plugin, target->type, target->dbid);
    if (strcmp(target->type, "folder") == 0 && g_hash_table_contains(undo->roots, &target->dbid))
        return;
    if (target->before == NULL) {
        undo_create(undo, target, present);
    } else if (target->after == NULL || target->is_target) {
        undo_delete(undo, history, target, present);
    } else {
        undo_update(undo, target, present, target->after);
        if (present != NULL)
            undo_rights(undo, history, target);
    }
}

static void
undo_create(HistoryUndo *undo, const HistoryTarget *target, const ConfObject *present)
{
    if (present == NULL)
        return;
    const char *body = conf_object_get_json(present, NULL);
    if (!target->is_target && !undo->force && strcmp(body, target->after != NULL ? target->after : "") != 0) {
        add_conflict(undo, target, NULL);
        return;
    }
    begin_operation(undo, undo->operations, "delete", target);
    g_string_append_printf(undo->operations, ",\"ifRevision\":%" G_GINT64_FORMAT "}",
                           conf_object_get_revision(present));
}

static void
undo_delete(HistoryUndo *undo, History *history, const HistoryTarget *target, const ConfObject *present)
{
    if (present == NULL) {
        restore(undo, target);
        /* Without a list of its own it inherits anyway. */
        if (target->rights_before != NULL)
            restore_rights(undo, history, target);
        return;
    }
    const char *body = conf_object_get_json(present, NULL);
    if (target->is_target || undo->force) {
        undo_update(undo, target, present, body);
        return;
    }
    /* It has come back already; what became of it since is not to be lost. */
    g_autofree char *was = NULL, *is = NULL;
    history_difference(history_slice(target->before), history_slice(body), &was, &is);
    if (strcmp(was, "{}") != 0 || strcmp(is, "{}") != 0)
        add_conflict(undo, target, NULL);
}

static void
undo_update(HistoryUndo *undo, const HistoryTarget *target, const ConfObject *present, const char *after)
{
    if (present == NULL) {
        /* Deleted since, and this does not bring it back. */
        if (!undo->force)
            add_conflict(undo, target, NULL);
        return;
    }
    Patching patching = {
        .undo = undo,
        .target = target,
        .before = HISTORY_INDEX(history_slice(target->before)),
        .after = HISTORY_INDEX(history_slice(after)),
        .present = HISTORY_INDEX(history_slice(conf_object_get_json(present, NULL))),
        .patch = g_string_new("{"),
    };
    patch_members(&patching, patching.before.object);
    patch_members(&patching, patching.after.object);
    g_string_append_c(patching.patch, '}');
    if (patching.patch->len > 2) {
        begin_operation(undo, undo->operations, "update", target);
        g_string_append_printf(undo->operations, ",\"ifRevision\":%" G_GINT64_FORMAT ",\"patch\":%s}",
                               conf_object_get_revision(present), patching.patch->str);
    }
    g_string_free(patching.patch, TRUE);
    history_index_clear(&patching.before);
    history_index_clear(&patching.after);
    history_index_clear(&patching.present);
}

/* Those of `side`: of before all, of after those that before has not. */
static void
patch_members(Patching *patching, HistorySlice side)
{
    HistoryUndo *undo = patching->undo;
    const char *type = patching->target->type;
    HistoryScan scan;
    HistorySlice key, unused;
    for (bool more = history_scan_begin(&scan, side); more && history_scan_next(&scan, &key, &unused);) {
        HistorySlice before = history_index_find(&patching->before, key),
                     after = history_index_find(&patching->after, key),
                     present = history_index_find(&patching->present, key);
        bool is_second = side.data != patching->before.object.data;
        if (history_slice_equal(before, after) || (is_second && before.size > 0) ||
            is_given_by_server(undo, type, key))
            continue;
        if (history_is_sections(key)) {
            patch_sections(patching, key);
            continue;
        }
        g_autofree char *value = NULL;
        HistoryMerge merge =
            history_merge(before, after, present, find_field(undo, type, key), undo->force, &value);
        if (merge == HISTORY_CONFLICT) {
            g_autofree char *member = history_slice_dup(key);
            add_conflict(undo, patching->target, member);
        } else if (merge == HISTORY_SET) {
            g_string_append_printf(patching->patch, "%s\"%.*s\":", patching->patch->len > 1 ? "," : "",
                                   (int)key.size, key.data);
            history_merge_patch(present, history_slice(value), patching->patch);
        }
    }
}

/* Key by key: others of the same section may have been changed since. */
static void
patch_sections(Patching *patching, HistorySlice key)
{
    g_auto(HistoryIndex) before = HISTORY_INDEX(history_index_find(&patching->before, key)),
                         after = HISTORY_INDEX(history_index_find(&patching->after, key)),
                         present = HISTORY_INDEX(history_index_find(&patching->present, key));
    const HistorySlice both[] = {before.object, after.object};
    g_autoptr(GString) sections = g_string_new("{");
    for (unsigned i = 0; i < G_N_ELEMENTS(both); i++) {
        HistoryScan scan;
        HistorySlice name, value;
        for (bool more = history_scan_begin(&scan, both[i]);
             more && history_scan_next(&scan, &name, &value);) {
            Sides sides = {history_index_find(&before, name), history_index_find(&after, name),
                           history_index_find(&present, name)};
            if (i == 0 || sides.before.size == 0)
                patch_section(patching, key, name, sides, sections);
        }
    }
    add_sections(patching, key, sections);
}

static void
add_sections(const Patching *patching, HistorySlice key, GString *sections)
{
    if (sections->len > 1)
        g_string_append_printf(patching->patch, "%s\"%.*s\":%s}", patching->patch->len > 1 ? "," : "",
                               (int)key.size, key.data, sections->str);
}

static void
patch_section(Patching *patching, HistorySlice key, HistorySlice name, Sides sides, GString *sections)
{
    if (history_slice_equal(sides.before, sides.after) || history_slice_equal(sides.before, sides.present))
        return;
    g_string_append_printf(sections, "%s\"%.*s\":", sections->len > 1 ? "," : "", (int)name.size, name.data);
    /* As a whole where nothing else was done to it. */
    if (history_slice_equal(sides.present, sides.after)) {
        history_merge_patch(sides.present, sides.before, sections);
        return;
    }
    g_auto(HistoryIndex) before = HISTORY_INDEX(sides.before), after = HISTORY_INDEX(sides.after),
                         present = HISTORY_INDEX(sides.present);
    const HistorySlice both[] = {sides.before, sides.after};
    bool first = true;
    g_string_append_c(sections, '{');
    for (unsigned i = 0; i < G_N_ELEMENTS(both); i++) {
        HistoryScan scan;
        HistorySlice option, unused;
        for (bool more = history_scan_begin(&scan, both[i]);
             more && history_scan_next(&scan, &option, &unused);) {
            HistorySlice was = history_index_find(&before, option),
                         became = history_index_find(&after, option);
            g_autofree char *value = NULL;
            if (history_slice_equal(was, became) || (i == 1 && was.size > 0))
                continue;
            HistoryMerge merge = history_merge(was, became, history_index_find(&present, option), NULL,
                                               patching->undo->force, &value);
            if (merge == HISTORY_CONFLICT) {
                g_autofree char *member =
                    g_strdup_printf("%.*s/%.*s/%.*s", (int)key.size, key.data, (int)name.size, name.data,
                                    (int)option.size, option.data);
                add_conflict(patching->undo, patching->target, member);
            } else if (merge == HISTORY_SET) {
                g_string_append_printf(sections, "%s\"%.*s\":%s", first ? "" : ",", (int)option.size,
                                       option.data, value != NULL ? value : "null");
                first = false;
            }
        }
    }
    g_string_append_c(sections, '}');
}

/* Under its old dbid, without what the server gives. */
static void
restore(HistoryUndo *undo, const HistoryTarget *target)
{
    HistoryScan scan;
    HistorySlice key, value;
    g_string_append_printf(undo->operations, "%s{\"op\":\"create\",\"object\":{",
                           undo->operations->len > 0 ? "," : "");
    undo->count++;
    bool first = true;
    for (bool more = history_scan_begin(&scan, history_slice(target->before));
         more && history_scan_next(&scan, &key, &value);) {
        int64_t folder = history_slice_is(key, "folder") ? history_slice_integer(value) : 0;
        bool is_kept = history_slice_is(key, "type") || history_slice_is(key, "dbid") ||
                       history_slice_is(key, "tenant") || !is_given_by_server(undo, target->type, key);
        if (!is_kept || (folder != 0 && g_hash_table_contains(undo->roots, &folder)))
            continue;
        g_string_append_printf(undo->operations, "%s\"%.*s\":%.*s", first ? "" : ",", (int)key.size, key.data,
                               (int)value.size, value.data);
        first = false;
    }
    g_string_append(undo->operations, "}}");
}

static void
undo_rights(HistoryUndo *undo, History *history, const HistoryTarget *target)
{
    HistorySlice before = history_slice(target->rights_before), after = history_slice(target->rights_after),
                 now = history_slice(target->rights_now);
    if (history_slice_equal(before, after) || history_slice_equal(before, now))
        return;
    if (!history_slice_equal(now, after) && !undo->force)
        add_conflict(undo, target, "permissions");
    else
        restore_rights(undo, history, target);
}

/* Entries of accounts that are gone are gone with them. */
static void
restore_rights(HistoryUndo *undo, History *history, const HistoryTarget *target)
{
    begin_operation(undo, undo->permissions, "permission", target);
    if (target->rights_before == NULL) {
        g_string_append(undo->permissions, ",\"inherit\":true}");
        return;
    }
    HistoryScan scan;
    HistorySlice unused, entry;
    bool first = true;
    g_string_append(undo->permissions, ",\"entries\":[");
    for (bool more = history_scan_begin(&scan, history_slice(target->rights_before));
         more && history_scan_next(&scan, &unused, &entry);) {
        HistorySlice account = history_slice_member(entry, "account"),
                     type = history_slice_member(account, "type");
        int64_t dbid = history_slice_integer(history_slice_member(account, "dbid"));
        g_autofree char *type_name = type.size > 2 ? g_strndup(type.data + 1, type.size - 2) : g_strdup("");
        g_autofree char *key = g_strdup_printf("%s/%" G_GINT64_FORMAT, type_name, dbid);
        if (conf_plugin_lookup(history->plugin, type_name, dbid) == NULL &&
            !g_hash_table_contains(undo->restored, key))
            continue;
        g_string_append_printf(undo->permissions, "%s%.*s", first ? "" : ",", (int)entry.size, entry.data);
        first = false;
    }
    g_string_append(undo->permissions, "]}");
}

static void
begin_operation(HistoryUndo *undo, GString *operations, const char *op, const HistoryTarget *target)
{
    g_string_append_printf(operations, "%s{\"op\":\"%s\",\"type\":\"%s\",\"dbid\":%" G_GINT64_FORMAT,
                           operations->len > 0 ? "," : "", op, target->type, target->dbid);
    undo->count++;
}

/* member NULL: the object as a whole. */
static void
add_conflict(HistoryUndo *undo, const HistoryTarget *target, const char *member)
{
    enum { TOLD_MAX = 1000 };
    if (undo->conflict_count++ >= TOLD_MAX)
        return;
    g_string_append_printf(undo->conflicts, "%s{\"type\":\"%s\",\"dbid\":%" G_GINT64_FORMAT,
                           undo->conflicts->len > 1 ? "," : "", target->type, target->dbid);
    /* Keys are parts of JSON strings as they stand. */
    if (member != NULL)
        g_string_append_printf(undo->conflicts, ",\"member\":\"%s\"", member);
    if (target->changed_last != 0)
        g_string_append_printf(undo->conflicts, ",\"revision\":%" G_GINT64_FORMAT, target->changed_last);
    g_string_append_c(undo->conflicts, '}');
}

/* What an undo needs of the fields: "type/member" → the key of a list of structs, or "" where only the
 * server gives it. */
static GHashTable *
read_fields(HistorySlice schema)
{
    HistoryScan types, fields;
    HistorySlice unused, type, field;
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    bool more = history_scan_begin(&types, history_slice_member(schema, "types"));
    while (more && history_scan_next(&types, &unused, &type)) {
        HistorySlice type_name = history_slice_unquote(history_slice_member(type, "type"));
        bool more_fields = history_scan_begin(&fields, history_slice_member(type, "fields"));
        while (more_fields && history_scan_next(&fields, &unused, &field)) {
            HistorySlice name = history_slice_unquote(history_slice_member(field, "name")),
                         shown = history_slice_unquote(history_slice_member(field, "shownAs")),
                         key = history_slice_unquote(history_slice_member(field, "key"));
            bool is_secret = history_slice_is(history_slice_member(field, "kind"), "\"secret\"");
            if (shown.size > 0)
                name = shown;
            if (is_secret || key.size > 0 || history_slice_member(field, "computed").size > 0)
                g_hash_table_replace(table,
                                     g_strdup_printf("%.*s/%.*s", (int)type_name.size, type_name.data,
                                                     (int)name.size, name.data),
                                     g_strndup(key.data != NULL ? key.data : "", key.size));
        }
    }
    return table;
}

static const char *
find_field(const HistoryUndo *undo, const char *type, HistorySlice member)
{
    g_autofree char *name = g_strdup_printf("%s/%.*s", type, (int)member.size, member.data);
    return g_hash_table_lookup(undo->fields, name);
}

/* What no client gives: what follows from other members, and what shows that a secret is there. */
static bool
is_given_by_server(const HistoryUndo *undo, const char *type, HistorySlice member)
{
    /* A password is not brought back, so what tells of its age is not either. */
    static const char *const common[] = {"type", "dbid", "revision", "tenant", "passwordChanged"};
    for (unsigned i = 0; i < G_N_ELEMENTS(common); i++) {
        if (history_slice_is(member, common[i]))
            return true;
    }
    const char *key = find_field(undo, type, member);
    return key != NULL && key[0] == '\0';
}
