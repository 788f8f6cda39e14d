/* provide.c - provides the service that its options say; built under several names. */
#include <string.h>

#include "noted.h"

typedef struct {
    char *service;
    char *engine;
    bool hollow;
} Settings;

static const ConfOption OPTIONS[] = {
    CONF_OPTION_STRING(Settings, service, NULL, "service", "storage", NULL, CONF_AT_START, "Which service."),
    CONF_OPTION_STRING(Settings, engine, NULL, "engine", "memory", NULL, CONF_AT_START,
                       "Names of a storage's engine."),
    CONF_OPTION_BOOL(Settings, hollow, NULL, "hollow", "false", NULL, CONF_AT_START,
                     "Whether a function lacks."),
    CONF_OPTION_END,
};

static void
nothing(void)
{
}

static void *
load(ConfPlugin *p, const void *data, GError **error)
{
    static ConfStorageProvider storage;
    static ConfHistoryProvider history;
    const Settings *settings = data;
    void (*func)(void) = nothing;
    bool is_storage = strcmp(settings->service, "history") != 0;

    char *table = is_storage ? (char *)&storage : (char *)&history;
    size_t size = is_storage ? sizeof(storage) : sizeof(history);
    size_t first =
        is_storage ? offsetof(ConfStorageProvider, open) : offsetof(ConfHistoryProvider, get_confirmed);
    for (size_t offset = first; offset < size; offset += sizeof(func))
        memcpy(table + offset, &func, sizeof(func));
    memcpy(table, &size, sizeof(size));
    storage.engine = settings->engine;
    if (settings->hollow)
        storage.migrate = NULL;
    return conf_plugin_provide(p, settings->service, table, error) ? p : NULL;
}

CONF_PLUGIN(.name = PLUGIN_NAME, .version = "1", .options = OPTIONS, .settings_size = sizeof(Settings),
            .load = load);
