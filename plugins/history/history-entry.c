/* history-entry.c - entries and audit rows in memory. */
#include "history-private.h"

#include <string.h>

static void clear_change(void *data);

void
history_entry_clear(HistoryEntry *entry)
{
    g_clear_pointer(&entry->address, g_free);
    g_clear_pointer(&entry->record, g_free);
    g_clear_pointer(&entry->changes, g_array_unref);
}

void
history_audit_clear(HistoryAudit *audit)
{
    g_clear_pointer(&audit->user_name, g_free);
    g_clear_pointer(&audit->application_name, g_free);
    g_clear_pointer(&audit->address, g_free);
    g_clear_pointer(&audit->detail, g_free);
}

size_t
history_entry_memory(const HistoryEntry *entry)
{
    return sizeof *entry + entry->record_size + entry->changes->len * (sizeof(HistoryChange) + 64);
}

GArray *
history_changes_new(unsigned reserved)
{
    GArray *changes = g_array_sized_new(FALSE, FALSE, sizeof(HistoryChange), reserved);
    g_array_set_clear_func(changes, clear_change);
    return changes;
}

const char *
history_change_op(const char *op)
{
    static const char *const ops[] = {"create", "update", "delete", "permission", "secret"};
    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        if (g_strcmp0(op, ops[i]) == 0)
            return ops[i];
    }
    return "?";
}

static void
clear_change(void *data)
{
    HistoryChange *change = data;
    g_ref_string_release(change->type);
    g_free(change->name);
    if (change->rights != NULL)
        g_ref_string_release(change->rights);
}
