/* service-private.h - services that plugins provide to the core, with their tables checked and brought to
 * the size that this server knows. */
#pragma once

#include "plugin/confserv-plugin.h"

typedef struct ConfServices ConfServices;

ConfServices *conf_services_new(void);
void conf_services_free(ConfServices *services);
/* False: the service is unknown, taken, or the table lacks what it must have. */
bool conf_services_add(ConfServices *services, ConfPlugin *p, const char *service, const void *table,
                       GError **error);
void conf_services_remove(ConfServices *services, ConfPlugin *p);
/* NULL: nobody provides it. */
const void *conf_services_lookup(ConfServices *services, const char *service, ConfPlugin **p);
const ConfStorageProvider *conf_services_lookup_storage(ConfServices *services, const char *engine);
