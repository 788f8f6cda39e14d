/* past.h - the store as it was at a revision: what changed since then, laid over the store as it is.
 *
 * What changed is given by whoever knows the past (conf_past_add); commits that happen while it stands are
 * taken from the recent changes (conf_past_follow).  Rights are not of the past: those of now decide, and of
 * an object that is gone the last ones.  Main loop only. */
#pragma once

#include "store/store.h"

typedef struct ConfPast ConfPast;

ConfPast *conf_past_new(ConfStore *store, int64_t revision);
/* Freed in slices. */
void conf_past_free(ConfPast *past);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfPast, conf_past_free)
int64_t conf_past_revision(const ConfPast *past);
/* An object that changed since, as it was then; `body` empty: it was not there.  `last_rights`: stored
 * text of the list that was in force on one that is gone now; empty: it is not known.  False: *error. */
bool conf_past_add(ConfPast *past, ConfKey key, ConfSlice body, ConfSlice last_rights, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* All that changed up to this revision was added. */
void conf_past_set_complete(ConfPast *past, int64_t upto);
/* Brings it up to the store's present; to be called before each use that the store may have changed before.
 * False: what happened meanwhile is not held any more, or the schema is another; free it. */
bool conf_past_follow(ConfPast *past) G_GNUC_WARN_UNUSED_RESULT;
/* Objects, names, places and references as they were.  Not for rights. */
ConfState *conf_past_state(ConfPast *past);
/* Of an object that is gone now: the list in force on it last; NULL: not known. Borrowed. */
const ConfAcl *conf_past_last_acl(const ConfPast *past, ConfKey key);
/* Approximately, bytes. */
size_t conf_past_memory(const ConfPast *past);
