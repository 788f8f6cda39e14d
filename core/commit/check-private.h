/* check-private.h - the check of one transaction: operation by operation against a working set over the
 * batch's working set, then names, references and referrers, then the net effect as a ConfCommit.
 *
 * A check is a chain of steps, each a small piece of work, so that ten thousand operations, or one that
 * cascades to a hundred thousand objects, are spread over many slices of the event loop.  The store must not
 * change between the steps of one batch: nothing is published while a batch is being checked. */
#pragma once

#include "access/identity.h"
#include "commit/transaction-private.h"

/* 2^53 - 1: what JSON carries exactly. */
#define CONF_DBID_MAX INT64_C(9007199254740991)

/* ---- what a batch gathers, and a check stands on ---- */

typedef struct {
    ConfStore *store;
    const ConfSchema *schema;
    ConfState *state;       /* the batch's working set */
    int64_t revision;       /* the last one given out */
    GHashTable *next_dbids; /* type → next dbid (int64_t *), where it is above the store's */
    /* Where the working sets differ from the store: container → set of keys that lie in it and did not in the
     * store; keys of objects whose own list differs.  Supersets: an entry is believed only after a look at
     * the state. */
    GHashTable *placements;
    GHashTable *relisted;
} ConfCheckBase;

void conf_check_base_init(ConfCheckBase *base, ConfStore *store, ConfState *state, int64_t revision);
void conf_check_base_clear(ConfCheckBase *base);

/* ---- one check ---- */

typedef enum {
    CONF_STEP_MORE, /* call again */
    CONF_STEP_DONE,
    CONF_STEP_FAILED, /* check->error is set */
} ConfStep;

typedef enum {
    CONF_OPERATION_CREATE,
    CONF_OPERATION_UPDATE,
    CONF_OPERATION_DELETE,
    CONF_OPERATION_PERMISSION,
    CONF_OPERATION_AMEND,
} ConfOperationKind;

typedef struct {
    ConfOperationKind kind;
    ConfKey key;
} ConfOperation;

/* One object that the transaction has to do with. */
typedef struct {
    ConfKey key;
    ConfObject *before; /* reference; NULL: made here */
    unsigned named_by;  /* the last operation that gave it its name and place */
    bool is_counted;    /* against max-transaction-operations */
    bool is_named;      /* named_by is valid */
    bool is_doomed;     /* a folder or tenant that goes when all operations are done */
    bool is_deleted;
} ConfTouched;

/* A reference that an operation put in: judged when all are done. */
typedef struct {
    unsigned operation;
    ConfKey object, target;
    const ConfField *field; /* NULL: an entry of the list of rights */
    bool is_readable;       /* at that operation, whose author may lose rights by a later one */
} ConfNewReference;

typedef struct {
    unsigned operation;
    ConfKey key;
} ConfDeletion;

typedef struct ConfCheck ConfCheck;
typedef struct ConfSpread ConfSpread;

struct ConfCheck {
    const ConfTransaction *transaction;
    ConfCheckBase *base;
    ConfStore *store;
    const ConfSchema *schema;
    ConfState *state; /* this transaction's working set; NULL once merged or dropped */
    int64_t revision; /* of the commit, if there will be one */
    int64_t max_operations;
    ConfRpcError error;

    ConfArena *arena;   /* of the operation under way */
    ConfArena *scratch; /* of the step under way */
    ConfJsonReader reader;
    unsigned phase;
    unsigned cursor; /* within the phase */
    bool phase_begun;

    GArray *texts;      /* ConfSlice, one an operation */
    int64_t text_count; /* also those beyond the limit, which are not kept */
    int64_t counted;    /* operations and what they cascade to */
    GArray *operations; /* ConfOperation, those done and the one under way */
    unsigned index;     /* the operation under way */
    char at[40];        /* its path prefix */
    GPtrArray *spreads; /* ConfSpread *, what the operation under way still has to reach */

    GHashTable *touched; /* ConfKey * → ConfTouched * */
    GPtrArray *order;    /* ConfTouched *, in the order they were first touched */
    GArray *deletions;   /* ConfDeletion, in order */
    GArray *references;  /* ConfNewReference, in order */
    GHashTable *next_dbids;
    GHashTable *placements;
    GHashTable *relisted;
    bool touches_rights; /* groups, persons' states, the list of tenant Environment */
    unsigned rights_operation;

    /* The net effect. */
    GArray *changes; /* ConfChange: creates and updates; deletes are put behind */
    GArray *updates;
    GArray *deletes;
    void *sorting;      /* order of deletions under way */
    ConfCommit *commit; /* NULL: nothing changes */
    ConfOperationResult *results;
};

ConfCheck *conf_check_new(const ConfTransaction *transaction, ConfCheckBase *base, int64_t max_operations);
/* Drops the working set unless conf_check_accept() merged it. */
void conf_check_free(ConfCheck *check);
ConfStep conf_check_step(ConfCheck *check);
/* After DONE, where there is a commit: the batch goes on from here.  `merge`: false for the last one of a
 * batch, on whose working set nothing is built. */
void conf_check_accept(ConfCheck *check, bool merge);
unsigned conf_check_operation_count(const ConfCheck *check);

/* ---- check-state.c: the working set as the parts of a check see and change it ---- */
/* NULL: none such, or it goes with this transaction. */
const ConfObject *conf_check_lookup(ConfCheck *check, ConfKey key);
uint8_t conf_check_rights(ConfCheck *check, const ConfObject *object);
bool conf_check_may(ConfCheck *check, const ConfObject *object, uint8_t right);
/* changePermissions on tenant Environment, which suffices to edit any list. */
bool conf_check_is_administrator(ConfCheck *check);
/* As the transaction found it; NULL: made here. */
const ConfObject *conf_check_before(ConfCheck *check, const ConfObject *object);
ConfTouched *conf_check_touch(ConfCheck *check, ConfKey key);
/* Takes `object`.  False: too many objects are touched; nothing is put any more, only counted. */
bool conf_check_put(ConfCheck *check, ConfObject *object);
void conf_check_remove(ConfCheck *check, ConfKey key);
/* The object of the operation itself: it is counted already. */
void conf_check_own(ConfCheck *check, ConfKey key);
static inline bool
conf_check_is_over(const ConfCheck *check)
{
    return check->counted > check->max_operations;
}
/* -32016 with the number; false. */
bool conf_check_fail_limit(ConfCheck *check);
int64_t conf_check_next_dbid(ConfCheck *check, ConfTypeId type);
/* The same without taking it. */
int64_t conf_check_peek_dbid(const ConfCheck *check, ConfTypeId type);
/* What it lies in: its folder; of a root folder its tenant; dbid 0: nothing. */
ConfKey conf_object_container(const ConfObject *object);
/* A folder or a tenant, which others lie in. */
static inline bool
conf_type_is_container(ConfTypeId type)
{
    return type == CONF_TYPE_FOLDER || type == CONF_TYPE_TENANT;
}
static inline bool
conf_object_is_root_folder(const ConfObject *object)
{
    return object->type == CONF_TYPE_FOLDER && object->folder == 0;
}
/* `host "srv1" (105)`; in the scratch arena. */
const char *conf_check_describe(ConfCheck *check, const ConfObject *object);
/* -32602 with path at + member. */
bool conf_check_fail_member(ConfCheck *check, const char *member, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
bool conf_check_fail_right(ConfCheck *check, const ConfObject *object, const char *what);
/* The same object with its state set to disabled; NULL: check->error. */
ConfObject *conf_check_disabled(ConfCheck *check, const ConfObject *object);
/* Keys in hashes. */
GHashTable *conf_key_set_new(void);
bool conf_key_set_add(GHashTable *set, ConfKey key); /* false: it is there */

/* ---- check-address.c ---- */
/* Puts dbids in the place of {"$created":N}. */
bool conf_check_resolve_created(ConfCheck *check, ConfJson *operation, unsigned index, const char *at);
/* What the operation names (type and dbid, type and name, path), existing and readable: -32004 else. */
const ConfObject *conf_check_find(ConfCheck *check, const ConfJson *operation, bool repair);
/* ifRevision against the present one. */
bool conf_check_if_revision(ConfCheck *check, const ConfJson *operation, int64_t present);
/* The path of the reference to `target` by `field` within the operation's own text; error path only. */
char *conf_check_locate(ConfCheck *check, const ConfNewReference *reference);

/* ---- operations: each false with check->error ---- */
bool conf_check_create(ConfCheck *check, ConfJson *operation);
bool conf_check_update(ConfCheck *check, ConfJson *operation);
bool conf_check_delete(ConfCheck *check, ConfJson *operation);
bool conf_check_permission(ConfCheck *check, ConfJson *operation);
bool conf_check_amend(ConfCheck *check);
/* A folder as a place for an object of `type`: `folder` may be NULL.  `member` ("/object/folder") for the
 * fault. */
bool conf_check_folder_holds(ConfCheck *check, const ConfObject *folder, ConfTypeId type, const char *holds,
                             const char *member);
void conf_check_note_reference(ConfCheck *check, ConfKey object, ConfKey target, const ConfField *field);
/* Notes the references that `after` has and `before` (may be NULL) has not. */
void conf_check_note_references(ConfCheck *check, const ConfObject *before, const ConfObject *after);

/* ---- what an operation reaches beyond its own object (spread.c, below.c) ---- */
typedef ConfStep (*ConfSpreadFunc)(ConfCheck *check, ConfSpread *spread);

/* All that lies below a folder or tenant, in the working set, over many steps. */
typedef struct {
    GArray *ahead; /* containers not entered yet */
    ConfKey container;
    unsigned depth;
    ConfKey after; /* the last child taken from the store */
    GArray *moved; /* ConfKey: children that the store has elsewhere */
    unsigned moved_position;
    bool is_inside;
    bool in_store;
    bool folders_only;
} ConfBelow;
void conf_below_init(ConfBelow *below, ConfKey container, bool folders_only);
void conf_below_clear(ConfBelow *below);
/* *step MORE and NULL: ask again; DONE and NULL: the end. */
const ConfObject *conf_below_next(ConfCheck *check, ConfBelow *below, ConfStep *step);

/* All objects with a list of rights of their own that `wanted` says yes to, over many steps. */
typedef struct {
    uint32_t id;
    ConfKey after;
    GArray *relisted; /* ConfKey; NULL: not begun */
    unsigned relisted_position;
} ConfListed;
typedef bool (*ConfListedFunc)(const ConfAcl *acl, const void *data);
void conf_listed_clear(ConfListed *listed);
const ConfObject *conf_listed_next(ConfCheck *check, ConfListed *listed, ConfListedFunc wanted,
                                   const void *data, ConfStep *step);

struct ConfSpread {
    ConfSpreadFunc func;
    ConfKey key; /* folder, tenant, or account that it is about */
    ConfBelow below;
    ConfListed listed;
    GArray *keys; /* ConfKey: a worklist */
    unsigned position;
    GArray *referrers; /* ConfKey: of the object under way */
    unsigned referrer_position;
    bool is_listing;
    unsigned depth;
};
ConfSpread *conf_spread_add(ConfCheck *check, ConfSpreadFunc func, ConfKey key);
void conf_spread_free(ConfSpread *spread);
ConfStep conf_spread_disable(ConfCheck *check, ConfSpread *spread);
ConfStep conf_spread_delete(ConfCheck *check, ConfSpread *spread);
ConfStep conf_spread_propagate(ConfCheck *check, ConfSpread *spread);
ConfStep conf_spread_depth(ConfCheck *check, ConfSpread *spread);
enum { CONF_NESTING_MAX = 32 };
/* Folders above and with this one in its tenant, or tenants above and with this one. */
unsigned conf_check_nesting(ConfCheck *check, const ConfObject *container);

/* ---- after the last operation: phases ---- */
ConfStep conf_check_repairer(ConfCheck *check);
ConfStep conf_check_names(ConfCheck *check);
ConfStep conf_check_references(ConfCheck *check);
ConfStep conf_check_referrers(ConfCheck *check);
ConfStep conf_check_remove_doomed(ConfCheck *check);
ConfStep conf_check_net_effect(ConfCheck *check);
ConfStep conf_check_order_deletes(ConfCheck *check);
ConfStep conf_check_make_commit(ConfCheck *check);
void conf_check_forget_sorting(ConfCheck *check);
