/* dependency-private.h - puts nodes into an order in which what an object lies in and points at comes
 * before it: the order in which a fold creates, and reversed the one in which it deletes.  Works in
 * slices. */
#pragma once

#include "store/index-private.h"

typedef struct ConfDependencyOrder ConfDependencyOrder;

/* `nodes` (ConfNode *) are of one index, which must not change meanwhile; borrowed. */
ConfDependencyOrder *conf_dependency_order_new(const GPtrArray *nodes);
void conf_dependency_order_free(ConfDependencyOrder *order);
/* True: done.  Ends early once conf_work_is_due(). */
bool conf_dependency_order_step(ConfDependencyOrder *order);
/* The nodes in order; borrowed. */
const GPtrArray *conf_dependency_order_result(const ConfDependencyOrder *order);
