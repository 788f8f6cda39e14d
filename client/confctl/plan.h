/* plan.h - the file of apply, import and export, and what has to be done so that the server matches it. */
#pragma once

#include "confctl.h"

/* ---- file.c ---- */
/* One line of the file.  Kept as text: a tree of it takes sixteen times the memory. */
typedef struct {
    unsigned line;
    char *type, *path; /* path in NFC */
    char *text;
    bool is_delete;
    /* what planning finds out */
    bool is_resolved;    /* asked the server whether it is there */
    bool is_hidden;      /* something else of the same name stands before it at its path */
    JsonObject *present; /* as it is on the server; NULL: not there, or planned already */
    gint64 dbid;         /* 0: not there */
    int operation;       /* that creates it in the transaction being made; -1: none */
} CtlItem;

typedef struct {
    GPtrArray *items; /* CtlItem, in the order in which they have to be made; deletions last, deepest first */
    GHashTable *index; /* "type path" → CtlItem */
} CtlFile;

/* "-": standard input. */
CtlFile *ctl_file_read(Ctl *ctl, const char *name, GError **error);
void ctl_file_free(CtlFile *file);
CtlItem *ctl_file_lookup(CtlFile *file, const char *type, const char *path);
/* Of the types that may be meant; NULL: none stands in the file. */
CtlItem *ctl_file_lookup_any(CtlFile *file, JsonArray *types, const char *path);
JsonObject *ctl_item_parse(const CtlItem *item, GError **error);
/* Says in front of the error which line it is about. */
void ctl_item_prefix_error(const CtlItem *item, GError **error);
/* Every reference that stands in the members, as text. */
typedef void (*CtlTextFunc)(JsonObject *field, const char *text, void *data);
void ctl_members_foreach_reference(JsonObject *type, JsonObject *members, CtlTextFunc func, void *data);
/* Members that say where and what, not how: never compared. */
bool ctl_member_is_head(const char *name);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CtlFile, ctl_file_free)

/* ---- plan.c ---- */
typedef struct CtlPlan CtlPlan;
typedef struct {
    unsigned created, updated, deleted, permissions, unchanged;
} CtlPlanCounts;
/* `show`: print each step. */
CtlPlan *ctl_plan_new(Ctl *ctl, CtlFile *file, bool show);
void ctl_plan_free(CtlPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CtlPlan, ctl_plan_free)
const CtlPlanCounts *ctl_plan_counts(const CtlPlan *plan);
/* Adds operations for items from *next on, until all are planned, there are `most` operations, or (then
 * *needs_send) what comes next needs something that only exists once these are sent. */
bool ctl_plan_items(CtlPlan *plan, unsigned *next, unsigned most, bool *needs_send, GError **error);
/* References that could not be set when their object was made; then lists of rights; then deletions.
 * False in *more: all are planned. */
bool ctl_plan_rest(CtlPlan *plan, unsigned most, bool *more, GError **error);
unsigned ctl_plan_operation_count(const CtlPlan *plan);
/* Sends what was planned as one transaction; the answer.  Nothing planned: an error of the caller. */
JsonObject *ctl_plan_send(CtlPlan *plan, bool dry_run, GError **error);

/* ---- difference.c ---- */
/* A merge patch that takes `present` to `wanted` (wire values); NULL: they are the same. */
JsonNode *ctl_difference(JsonObject *field, JsonNode *present, JsonNode *wanted);
/* One line a member: "address: old -> new". */
void ctl_difference_print(const char *path, JsonNode *present, JsonNode *patch);

/* ---- export.c ---- */
/* What the file of apply says of an object that is as this one; its places are known already. */
JsonObject *ctl_make_line(Ctl *ctl, JsonObject *object);

/* ---- the commands ---- */
extern const GOptionEntry ctl_apply_options[], ctl_export_options[];
bool ctl_run_apply(Ctl *ctl, char **arguments, unsigned count, GError **error);
bool ctl_run_import(Ctl *ctl, char **arguments, unsigned count, GError **error);
bool ctl_run_export(Ctl *ctl, char **arguments, unsigned count, GError **error);
