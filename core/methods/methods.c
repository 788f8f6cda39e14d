/* methods.c - puts the families together. */
#include "methods/methods-private.h"

ConfMethods *
conf_methods_new(ConfMethodTable *table, const ConfMethodsContext *context)
{
    ConfMethods *methods = g_new0(ConfMethods, 1);
    methods->context = *context;
    conf_write_order_init(methods);
    conf_methods_add_session(methods, table);
    conf_methods_add_read(methods, table);
    conf_methods_add_list(methods, table);
    conf_methods_add_write(methods, table);
    conf_methods_add_permission(methods, table);
    conf_methods_add_account(methods, table);
    conf_methods_add_subscription(methods, table);
    conf_methods_lend(methods);
    return methods;
}

void
conf_methods_free(ConfMethods *methods)
{
    if (methods == NULL)
        return;
    conf_write_order_clear(methods);
    conf_methods_stop_past(methods);
    conf_methods_lend(NULL);
    g_free(methods);
}

const ConfMethodsStatistics *
conf_methods_statistics(const ConfMethods *methods)
{
    return &methods->statistics;
}

void
conf_methods_add_all(ConfMethods *methods, ConfMethodTable *table, const ConfMethod *family, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ConfMethod method = family[i];
        method.data = methods;
        bool added = conf_method_table_add(table, &method);
        g_assert(added);
    }
}
