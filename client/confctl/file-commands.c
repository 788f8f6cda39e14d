/* file-commands.c - apply and import: one transaction that is shown first, or as many as it takes. */
#include "plan.h"

enum { IMPORT_OPERATIONS = 1000 };

static bool plan_all(CtlPlan *plan, CtlFile *file, GError **error);
static void print_summary(Ctl *ctl, const CtlPlanCounts *counts);
static bool import_items(CtlPlan *plan, CtlFile *file, CtlProgress *progress, GError **error);
static bool import_rest(CtlPlan *plan, GError **error);
static bool send(CtlPlan *plan, GError **error);

static gboolean dry_run;
const GOptionEntry ctl_apply_options[] = {
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &dry_run,
     "Show the plan and ask the server about it, change nothing", NULL},
    {NULL},
};

const CtlCommand ctl_file_commands[] = {
    {"export", "[PATH|TYPE]", "Writes objects as JSON Lines to standard output",
     "All that you may read, or a type, or what lies at and below PATH; in an order that import can take.\n"
     "References are written as paths.  Passwords and secrets are not in it.",
     ctl_export_options, 0, 1, ctl_run_export},
    {"apply", "FILE", "Makes the server match a file, in one transaction",
     "Each line is an object: {\"type\",\"path\",fields...}.  Fields that are not named stay as they are,\n"
     "null unsets.  \"permissions\":[{\"account\":PATH,\"rights\":[...]}] gives it an own list of rights,\n"
     "null lets it inherit.  "
     "\"$delete\":true deletes.  Shows what it does: + new, ~ changed, - deleted.  FILE - is standard input.",
     ctl_apply_options, 1, 1, ctl_run_apply},
    {"import", "FILE", "Takes a file of any size, in transactions of 1000 operations",
     "The file is that of apply and export.  FILE - is standard input.", NULL, 1, 1, ctl_run_import},
    {NULL},
};

bool
ctl_run_apply(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(CtlFile) file = ctl_schema_load(ctl, error) ? ctl_file_read(ctl, arguments[0], error) : NULL;
    if (file == NULL)
        return false;
    g_autoptr(CtlPlan) plan = ctl_plan_new(ctl, file, true);
    if (!plan_all(plan, file, error))
        return false;
    const CtlPlanCounts *counts = ctl_plan_counts(plan);
    if (!ctl->json)
        print_summary(ctl, counts);
    if (ctl_plan_operation_count(plan) == 0) {
        if (!ctl->json)
            ctl_print("Nothing to do");
        return true;
    }
    g_autoptr(JsonObject) answer = ctl_plan_send(plan, dry_run, error);
    if (answer == NULL)
        return false;
    if (ctl->json)
        ctl_print_json(answer);
    else if (dry_run)
        ctl_print("The server would do so; nothing was changed");
    else
        ctl_print("Applied, revision %" G_GINT64_FORMAT, confc_json_integer(answer, "revision", 0));
    return true;
}

bool
ctl_run_import(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(CtlFile) file = ctl_schema_load(ctl, error) ? ctl_file_read(ctl, arguments[0], error) : NULL;
    if (file == NULL)
        return false;
    g_autoptr(CtlPlan) plan = ctl_plan_new(ctl, file, false);
    CtlProgress progress;
    ctl_progress_start(&progress, "Importing", file->items->len);
    bool fine = import_items(plan, file, &progress, error) && import_rest(plan, error);
    ctl_progress_end(&progress);
    const CtlPlanCounts *counts = ctl_plan_counts(plan);
    if (ctl->json) {
        g_autoptr(JsonObject) summary = json_object_new();
        json_object_set_int_member(summary, "created", counts->created);
        json_object_set_int_member(summary, "updated", counts->updated);
        json_object_set_int_member(summary, "deleted", counts->deleted);
        json_object_set_int_member(summary, "permissions", counts->permissions);
        json_object_set_int_member(summary, "unchanged", counts->unchanged);
        json_object_set_boolean_member(summary, "complete", fine);
        ctl_print_json(summary);
    } else if (fine) {
        ctl_print("%u created, %u changed, %u deleted, %u lists of rights, %u as they were", counts->created,
                  counts->updated, counts->deleted, counts->permissions, counts->unchanged);
    } else {
        /* Earlier transactions stand; the same file can be given again. */
        g_prefix_error(error, "Not complete, the transactions before this one stand: ");
    }
    return fine;
}

/* In one transaction or not at all. */
static bool
plan_all(CtlPlan *plan, CtlFile *file, GError **error)
{
    unsigned next = 0;
    bool needs_send = false, more = false;
    if (!ctl_plan_items(plan, &next, G_MAXUINT, &needs_send, error))
        return false;
    if (!needs_send)
        return ctl_plan_rest(plan, G_MAXUINT, &more, error);
    g_set_error_literal(
        error, CTL_ERROR, CTL_ERROR_REFUSED,
        "is placed in a folder of a tenant that this file makes: it has no number before the tenant is "
        "there, so apply the tenant by itself first, or use import");
    ctl_item_prefix_error(g_ptr_array_index(file->items, next), error);
    return false;
}

static void
print_summary(Ctl *ctl, const CtlPlanCounts *counts)
{
    ctl_print("%u to create, %u to change, %u to delete, %u lists of rights; %u as they are", counts->created,
              counts->updated, counts->deleted, counts->permissions, counts->unchanged);
}

static bool
import_items(CtlPlan *plan, CtlFile *file, CtlProgress *progress, GError **error)
{
    unsigned next = 0;
    while (next < file->items->len) {
        bool needs_send;
        if (!ctl_plan_items(plan, &next, IMPORT_OPERATIONS, &needs_send, error) || !send(plan, error))
            return false;
        ctl_progress_show(progress, next);
    }
    return true;
}

static bool
import_rest(CtlPlan *plan, GError **error)
{
    bool more = true;
    while (more) {
        if (!ctl_plan_rest(plan, IMPORT_OPERATIONS, &more, error) || !send(plan, error))
            return false;
    }
    return true;
}

static bool
send(CtlPlan *plan, GError **error)
{
    if (ctl_plan_operation_count(plan) == 0)
        return true;
    g_autoptr(JsonObject) answer = ctl_plan_send(plan, false, error);
    return answer != NULL;
}
