/* identity.h - as whom something is read or written: an account and the groups that count for it, with a
 * cache of its rights by list.  Sessions whose accounts have the same rights share one identity.  Main
 * loop only.
 *
 * Subject of a session: a person, or (a server application logged in as itself) its `account`, a person or
 * a group. */
#pragma once

#include "store/commit.h"
#include "store/state.h"

typedef struct ConfIdentity ConfIdentity;

/* A reference; the same pointer for subjects with the same rights everywhere, while no structural change
 * comes between. */
ConfIdentity *conf_identity_of(ConfStore *store, ConfKey subject);
/* Of several subjects together: an account and further groups that a directory named for the session. */
ConfIdentity *conf_identity_of_all(ConfStore *store, const ConfKey *subjects, unsigned count);
ConfIdentity *conf_identity_ref(ConfIdentity *identity);
void conf_identity_unref(ConfIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfIdentity, conf_identity_unref)
/* Of a list, NULL list: 0. Cached: one array access. */
uint8_t conf_identity_rights(ConfIdentity *identity, const ConfAcl *acl);
/* In the store as it is. */
static inline bool conf_identity_may_read(ConfStore *store, ConfIdentity *identity, const ConfObject *object);
uint8_t conf_identity_rights_on(ConfStore *store, ConfIdentity *identity, const ConfObject *object);
static inline bool
conf_identity_may_read(ConfStore *store, ConfIdentity *identity, const ConfObject *object)
{
    return (conf_identity_rights_on(store, identity, object) & CONF_RIGHT_READ) != 0;
}

/* Under a working set: groups, states and lists as they would be.  Cached in the working set; dropped with
 * it. */
uint8_t conf_access_rights(ConfState *state, ConfKey subject, const ConfObject *object);
/* changePermissions on tenant Environment: "administrators" (model.md 5). */
bool conf_access_is_administrator(ConfState *state, ConfKey subject);
/* Does an enabled person remain who has changePermissions on tenant Environment (list, groups, states)? */
bool conf_access_has_repairer(ConfState *state);

/* Subjects whose identity a commit may have changed: members of groups changed, created, deleted, enabled
 * or disabled; accounts named in lists before and after.  Appends ConfKeys (persons and groups; a group
 * stands for "every member as before and after" only where the group itself is a subject), each once.
 * Call after the commit was applied. */
void conf_access_changed_subjects(ConfStore *store, const ConfCommit *commit, GArray *subjects);
