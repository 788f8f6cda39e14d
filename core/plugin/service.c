/* service.c - services that plugins provide to the core: "storage" and "history".
 *
 * There is one plugin a service, but for storage, of which there is one an engine name.  A table is copied
 * into one of the size that this server knows: what an older plugin did not know of is NULL. */
#include "plugin/service-private.h"

#include <string.h>

#include "base/error.h"
#include "plugin/plugin-private.h"

typedef struct {
    const char *name;
    size_t size;
    size_t first_func, last_func; /* offsets: all in between are functions that must be there */
} Kind;

static const Kind KINDS[] = {
    {"storage", sizeof(ConfStorageProvider), offsetof(ConfStorageProvider, open),
     offsetof(ConfStorageProvider, set_environment)},
    {"history", sizeof(ConfHistoryProvider), offsetof(ConfHistoryProvider, get_confirmed),
     offsetof(ConfHistoryProvider, replay)},
};

typedef struct {
    const Kind *kind;
    ConfPlugin *plugin;
    void *table;
    char *engines; /* of storage: a copy, since the plugin's may lie in its settings */
} Service;

struct ConfServices {
    GArray *list; /* of Service, in the order in which they came */
};

static void clear_service(void *service);
static const Kind *find_kind(const char *service);
static bool check_table(const Kind *kind, const void *table, GError **error);
static const Service *find_taker(const ConfServices *services, const Kind *kind, const void *table);
static bool share_engine(const char *one, const char *other);
static bool names_engine(const char *engines, const char *engine);

ConfServices *
conf_services_new(void)
{
    ConfServices *services = g_new0(ConfServices, 1);
    services->list = g_array_new(FALSE, FALSE, sizeof(Service));
    g_array_set_clear_func(services->list, clear_service);
    return services;
}

void
conf_services_free(ConfServices *services)
{
    g_array_unref(services->list);
    g_free(services);
}

bool
conf_services_add(ConfServices *services, ConfPlugin *p, const char *service, const void *table,
                  GError **error)
{
    const Kind *kind = find_kind(service);
    if (kind == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "there is no service \"%s\" that a plugin could provide", service);
        return false;
    }
    if (!check_table(kind, table, error))
        return false;
    const Service *taker = find_taker(services, kind, table);
    if (taker != NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_EXISTS, "service %s is provided by plugin %s already",
                    service, taker->plugin->name);
        return false;
    }
    size_t size;
    memcpy(&size, table, sizeof(size));
    Service added = {kind, p, g_malloc0(kind->size), NULL};
    memcpy(added.table, table, MIN(size, kind->size));
    if (kind == &KINDS[0]) {
        ConfStorageProvider *provider = added.table;
        provider->engine = added.engines = g_strdup(provider->engine);
    }
    g_array_append_val(services->list, added);
    return true;
}

void
conf_services_remove(ConfServices *services, ConfPlugin *p)
{
    for (unsigned i = services->list->len; i > 0; i--) {
        if (g_array_index(services->list, Service, i - 1).plugin == p)
            g_array_remove_index(services->list, i - 1);
    }
}

const void *
conf_services_lookup(ConfServices *services, const char *service, ConfPlugin **p)
{
    for (unsigned i = 0; i < services->list->len; i++) {
        const Service *candidate = &g_array_index(services->list, Service, i);
        if (strcmp(candidate->kind->name, service) != 0)
            continue;
        *p = candidate->plugin;
        return candidate->table;
    }
    return NULL;
}

const ConfStorageProvider *
conf_services_lookup_storage(ConfServices *services, const char *engine)
{
    for (unsigned i = 0; i < services->list->len; i++) {
        const Service *candidate = &g_array_index(services->list, Service, i);
        if (candidate->kind != &KINDS[0])
            continue;
        const ConfStorageProvider *provider = candidate->table;
        if (names_engine(provider->engine, engine))
            return provider;
    }
    return NULL;
}

static void
clear_service(void *service)
{
    g_free(((Service *)service)->table);
    g_free(((Service *)service)->engines);
}

static const Kind *
find_kind(const char *service)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(KINDS); i++)
        if (strcmp(KINDS[i].name, service) == 0)
            return &KINDS[i];
    return NULL;
}

static bool
check_table(const Kind *kind, const void *table, GError **error)
{
    size_t size;
    memcpy(&size, table, sizeof(size));
    if (size < kind->last_func + sizeof(void *)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "the table of service %s says a size of %zu bytes, which is too small", kind->name, size);
        return false;
    }
    for (size_t offset = kind->first_func; offset <= kind->last_func; offset += sizeof(void *)) {
        void *func;
        memcpy(&func, (const char *)table + offset, sizeof(func));
        if (func != NULL)
            continue;
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "the table of service %s lacks its function number %zu", kind->name,
                    (offset - kind->first_func) / sizeof(void *) + 1);
        return false;
    }
    if (kind == &KINDS[0] && ((const ConfStorageProvider *)table)->engine == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "the table of service storage names no engine");
        return false;
    }
    return true;
}

static const Service *
find_taker(const ConfServices *services, const Kind *kind, const void *table)
{
    for (unsigned i = 0; i < services->list->len; i++) {
        const Service *service = &g_array_index(services->list, Service, i);
        if (service->kind != kind)
            continue;
        if (kind != &KINDS[0] || share_engine(((const ConfStorageProvider *)service->table)->engine,
                                              ((const ConfStorageProvider *)table)->engine))
            return service;
    }
    return NULL;
}

static bool
share_engine(const char *one, const char *other)
{
    g_auto(GStrv) names = g_strsplit(other, ",", -1);
    for (unsigned i = 0; names[i] != NULL; i++)
        if (names_engine(one, g_strstrip(names[i])))
            return true;
    return false;
}

static bool
names_engine(const char *engines, const char *engine)
{
    g_auto(GStrv) names = g_strsplit(engines, ",", -1);
    for (unsigned i = 0; names[i] != NULL; i++)
        if (strcmp(g_strstrip(names[i]), engine) == 0)
            return true;
    return false;
}
