/* plan-private.h - the parts of the plan: plan.c keeps it and sends it; plan-lookup.c finds out what the
 * server has; plan-items.c turns lines into creations and updates; plan-rest.c does what has to come
 * afterwards. */
#pragma once

#include "plan.h"

typedef struct {
    CtlItem *item;
    JsonObject *members; /* as the file has them */
} CtlLeftover;

struct CtlPlan {
    Ctl *ctl;
    CtlFile *file;
    bool show;
    CtlPlanCounts counts;
    JsonArray *operations;
    GPtrArray *operation_items; /* CtlItem of each */
    GHashTable *references;     /* path → what the server has there: plan-lookup.c */
    JsonObject *account_field;  /* a reference to a person or access group */
    GQueue deferred;            /* CtlLeftover: references to be set at the end */
    GQueue permissions;         /* CtlLeftover */
    unsigned next_deletion;
    bool is_unresolved; /* the value converted last refers to what does not exist yet */
    bool makes_tenant;  /* the transaction being made creates one */
};

/* ---- plan.c ---- */
/* Borrowed: the plan holds it. */
JsonObject *ctl_plan_add_operation(CtlPlan *plan, CtlItem *item, const char *op);
void ctl_plan_defer(GQueue *queue, CtlItem *item, const char *name, JsonNode *value);
/* The dbid, or {"$created":N}. */
JsonNode *ctl_plan_number_of(const CtlItem *item);
void ctl_plan_show(CtlPlan *plan, const CtlItem *item, char sign, const char *what);
/* With the members that change: maps of sections as a patch, others as they will be. */
bool ctl_plan_show_update(CtlPlan *plan, const CtlItem *item, JsonObject *shown, GError **error);

/* ---- plan-lookup.c ---- */
GHashTable *ctl_plan_references_new(void);
/* Asks for the items from `begin` on, many at once, and for what they refer to. */
bool ctl_plan_prefetch(CtlPlan *plan, unsigned begin, GError **error);
/* A member's value for the wire; plan->is_unresolved says that it must wait.  NULL: *error. */
JsonNode *ctl_plan_convert(CtlPlan *plan, JsonObject *field, const char *name, JsonNode *value,
                           GError **error);
bool ctl_plan_is_missing(const GError *failure);

/* ---- plan-items.c ---- */
bool ctl_plan_item(CtlPlan *plan, CtlItem *item, bool *needs_send, GError **error);

/* ---- plan-rest.c ---- */
bool ctl_plan_deferred(CtlPlan *plan, CtlLeftover *leftover, GError **error);
bool ctl_plan_permissions(CtlPlan *plan, CtlLeftover *leftover, GError **error);
bool ctl_plan_deletion(CtlPlan *plan, CtlItem *item, GError **error);
