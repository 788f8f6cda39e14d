/* store-fixture.h - objects made by hand, and a naive model of a store to compare with: a plain list of
 * objects of which everything is asked by looking at all of them. */
#pragma once

#include "store/query.h"
#include "store/store.h"

/* The schema of the product. */
ConfSchema *fixture_schema(void);

typedef struct {
    ConfTypeId type;
    int64_t dbid, revision;
    const char *name;
    int64_t tenant, folder;
    bool disabled;
    const char *more;    /* further members, as JSON without braces; NULL: none */
    const char *secrets; /* JSON object; NULL: none */
    const ConfAcl *acl;  /* a reference that the function takes over; NULL: inherited */
    int64_t acl_revision;
} FixtureObject;
ConfObject *fixture_object(const ConfSchema *schema, const FixtureObject *object);
#define FIXTURE_OBJECT(schema, ...) fixture_object((schema), &(FixtureObject){__VA_ARGS__})
/* One account with these rights. */
ConfAcl *fixture_acl(ConfTypeId type, int64_t dbid, uint8_t rights);

void fixture_load(ConfStore *store, ConfObject *object);

/* One change of a commit; takes both objects. */
typedef struct {
    ConfChangeKind kind;
    ConfObject *before, *after;
} FixtureChange;
/* At the next revision of the store; the chain is made of the revision. */
ConfCommit *fixture_commit(ConfStore *store, const FixtureChange *changes, unsigned count);
void fixture_chain(int64_t revision, char chain[17]);

/* Environment (1) with root folders: Tenants 100, Persons 101, Access Groups 102, Hosts 103, Applications
 * 104. */
ConfStore *fixture_store(void);

/* ---- the naive model ---- */
typedef struct {
    const ConfSchema *schema;
    GPtrArray *objects; /* references, in (type, dbid) order */
} Naive;
Naive *naive_new(const ConfSchema *schema);
Naive *naive_copy(const Naive *naive);
void naive_free(Naive *naive);
void naive_put(Naive *naive, ConfObject *object); /* takes a new reference */
void naive_remove(Naive *naive, ConfKey key);
const ConfObject *naive_lookup(const Naive *naive, ConfKey key);
const ConfObject *naive_parent(const Naive *naive, const ConfObject *object);
const ConfAcl *naive_acl(const Naive *naive, const ConfObject *object, const ConfObject **holder);
bool naive_is_below(const Naive *naive, const ConfObject *object, ConfKey ancestor);
bool naive_refers_to(const Naive *naive, const ConfObject *object, ConfKey target);

/* Everything that a state answers, against the model. */
void naive_check_state(const Naive *naive, const ConfState *state);
/* Everything that a store keeps besides. */
void naive_check_store(const Naive *naive, ConfStore *store);

/* A random change of the model: creates, updates, moves, deletes, lists of rights; trees stay free of
 * circles, but what is deleted may leave children and referrers behind, as on a replica that may not see
 * all.  False: nothing came of it. */
bool naive_random_change(const Naive *naive, GRand *random, int64_t revision, FixtureChange *change);
