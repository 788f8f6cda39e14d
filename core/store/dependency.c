/* dependency.c - topological order (Kahn).  Objects that point at each other in a circle come in the order
 * they were given in. */
#include "store/dependency-private.h"

#include "net/poller.h"

/* Nodes between two looks at the clock. */
enum { NODES_A_LOOK = 64 };

struct ConfDependencyOrder {
    const GPtrArray *nodes;
    /* Node → number of its dependencies not yet in the result, plus 1; gone once it is in there itself. */
    GHashTable *pending;
    GPtrArray *result;
    unsigned counted;     /* nodes whose dependencies are counted */
    unsigned seeded;      /* nodes looked at for having none */
    unsigned followed;    /* members of the result whose dependents were told */
    unsigned next_forced; /* nodes before it are in the result: where a circle is cut */
    bool is_entered;
};

static bool enter(ConfDependencyOrder *order);
static bool count_dependencies(ConfDependencyOrder *order);
static bool seed(ConfDependencyOrder *order);
static void count_one(ConfDependencyOrder *order, ConfNode *node);
static bool follow(ConfDependencyOrder *order);
static bool release_dependent(ConfNode *node, void *data);
static bool cut_circle(ConfDependencyOrder *order);
static void emit(ConfDependencyOrder *order, ConfNode *node);

ConfDependencyOrder *
conf_dependency_order_new(const GPtrArray *nodes)
{
    ConfDependencyOrder *order = g_new0(ConfDependencyOrder, 1);
    order->nodes = nodes;
    order->pending = g_hash_table_new(NULL, NULL);
    order->result = g_ptr_array_sized_new(nodes->len);
    return order;
}

void
conf_dependency_order_free(ConfDependencyOrder *order)
{
    if (order == NULL)
        return;
    g_hash_table_destroy(order->pending);
    g_ptr_array_free(order->result, TRUE);
    g_free(order);
}

bool
conf_dependency_order_step(ConfDependencyOrder *order)
{
    if (!order->is_entered && !enter(order))
        return false;
    if (!count_dependencies(order) || !seed(order))
        return false;
    do {
        if (!follow(order))
            return false;
    } while (cut_circle(order));
    return true;
}

const GPtrArray *
conf_dependency_order_result(const ConfDependencyOrder *order)
{
    return order->result;
}

/* All are known before any is counted. */
static bool
enter(ConfDependencyOrder *order)
{
    while (order->counted < order->nodes->len) {
        g_hash_table_insert(order->pending, order->nodes->pdata[order->counted++], GUINT_TO_POINTER(1));
        if (order->counted % NODES_A_LOOK == 0 && conf_work_is_due())
            return false;
    }
    order->counted = 0;
    order->is_entered = true;
    return true;
}

static bool
count_dependencies(ConfDependencyOrder *order)
{
    while (order->counted < order->nodes->len) {
        count_one(order, order->nodes->pdata[order->counted++]);
        if (order->counted % NODES_A_LOOK == 0 && conf_work_is_due())
            return false;
    }
    return true;
}

/* Only after all are counted, since what is in the result is no longer known as pending. */
static bool
seed(ConfDependencyOrder *order)
{
    while (order->seeded < order->nodes->len) {
        ConfNode *node = order->nodes->pdata[order->seeded++];
        if (GPOINTER_TO_UINT(g_hash_table_lookup(order->pending, node)) == 1)
            emit(order, node);
        if (order->seeded % NODES_A_LOOK == 0 && conf_work_is_due())
            return false;
    }
    return true;
}

static void
count_one(ConfDependencyOrder *order, ConfNode *node)
{
    unsigned pending = 1;
    if (node->parent != NULL && node->parent != node)
        pending += g_hash_table_contains(order->pending, node->parent);
    for (unsigned i = 0; node->links != NULL && i < node->links->target_count; i++) {
        ConfNode *target = node->links->targets[i];
        if (target != node)
            pending += g_hash_table_contains(order->pending, target);
    }
    g_hash_table_insert(order->pending, node, GUINT_TO_POINTER(pending));
}

static bool
follow(ConfDependencyOrder *order)
{
    while (order->followed < order->result->len) {
        const ConfNode *node = order->result->pdata[order->followed++];
        if (node->links != NULL) {
            conf_node_set_foreach(&node->links->children, release_dependent, order);
            conf_node_set_foreach(&node->links->referrers, release_dependent, order);
        }
        if (order->followed % NODES_A_LOOK == 0 && conf_work_is_due())
            return false;
    }
    return true;
}

static bool
release_dependent(ConfNode *node, void *data)
{
    ConfDependencyOrder *order = data;
    unsigned pending = GPOINTER_TO_UINT(g_hash_table_lookup(order->pending, node));
    if (pending > 2)
        g_hash_table_insert(order->pending, node, GUINT_TO_POINTER(pending - 1));
    else if (pending == 2)
        emit(order, node);
    return true;
}

/* False: all are in the result. */
static bool
cut_circle(ConfDependencyOrder *order)
{
    while (order->next_forced < order->nodes->len) {
        ConfNode *node = order->nodes->pdata[order->next_forced++];
        if (g_hash_table_contains(order->pending, node)) {
            emit(order, node);
            return true;
        }
    }
    return false;
}

static void
emit(ConfDependencyOrder *order, ConfNode *node)
{
    g_hash_table_remove(order->pending, node);
    g_ptr_array_add(order->result, node);
}
