/* module.c - finds the file of a plugin, reads its descriptor as data and opens it for good.
 *
 * Nothing of the plugin's is called here.  A file is opened lazily first, so that one built for another
 * ABI is named as such instead of by the first symbol it misses; then closed, because GModule ignores the
 * flags of a second open while the first stands; then opened with all symbols bound, so that a missing one
 * shows now and not at the first log-in. */
#include <string.h>

#include "base/error.h"
#include "plugin/plugin-private.h"

static char *find_file(const char *item, const char *path, GError **error);
static char *find_in_folder(const char *folder, const char *item);
static const ConfPluginDescriptor *read_descriptor(GModule *module, const char *file, GError **error);
static bool check_descriptor(const ConfPluginDescriptor *descriptor, const char *file, GError **error);
static void set_bind_error(const char *file, GError **error);
static char *name_of_file(const char *file);
static void clear_statistic(void *statistic);

ConfPlugin *
conf_plugin_open(const char *item, const char *path, GError **error)
{
    g_autofree char *file = find_file(item, path, error);
    if (file == NULL)
        return NULL;

    GModule *module = g_module_open(file, G_MODULE_BIND_LAZY | G_MODULE_BIND_LOCAL);
    if (module == NULL) {
        set_bind_error(file, error);
        return NULL;
    }
    const ConfPluginDescriptor *descriptor = read_descriptor(module, file, error);
    g_module_close(module);
    if (descriptor == NULL)
        return NULL;

    module = g_module_open(file, G_MODULE_BIND_LOCAL);
    if (module == NULL) {
        set_bind_error(file, error);
        return NULL;
    }
    descriptor = read_descriptor(module, file, error);
    if (descriptor == NULL) {
        g_module_close(module);
        return NULL;
    }
    /* Quarks, options and pool jobs point into it: it stays mapped until the process ends. */
    g_module_make_resident(module);

    ConfPlugin *p = g_new0(ConfPlugin, 1);
    p->refs = 1;
    p->name = g_strdup(descriptor->name);
    p->path = g_steal_pointer(&file);
    p->descriptor = descriptor;
    p->state = PLUGIN_FOUND;
    p->hook_tables = g_array_new(FALSE, FALSE, sizeof(ConfHookTable));
    p->statistics = g_array_new(FALSE, FALSE, sizeof(ConfPluginStatistic));
    g_array_set_clear_func(p->statistics, clear_statistic);
    p->params = g_ptr_array_new_with_free_func(g_free);
    g_queue_init(&p->laters);
    return p;
}

bool
conf_plugin_has_file(const char *name, const char *path)
{
    g_autofree char *file = find_file(name, path, NULL);
    return file != NULL;
}

static char *
find_file(const char *item, const char *path, GError **error)
{
    if (strchr(item, '/') != NULL) {
        if (g_file_test(item, G_FILE_TEST_IS_REGULAR))
            return g_strdup(item);
        g_set_error(error, CONF_ERROR, CONF_ERROR_NOT_FOUND, "plugin file %s does not exist", item);
        return NULL;
    }
    g_auto(GStrv) folders = g_strsplit(path != NULL ? path : "", ":", -1);
    for (unsigned i = 0; folders[i] != NULL; i++) {
        char *file = *folders[i] != '\0' ? find_in_folder(folders[i], item) : NULL;
        if (file != NULL)
            return file;
    }
    g_set_error(error, CONF_ERROR, CONF_ERROR_NOT_FOUND,
                "plugin %s was not found: there is neither %s/%s.so nor %s.so in the plugin folders (%s)",
                item, item, item, item, path != NULL && *path != '\0' ? path : "none is set");
    return NULL;
}

static char *
find_in_folder(const char *folder, const char *item)
{
    g_autofree char *file_name = g_strconcat(item, ".so", NULL);
    g_autofree char *in_own_folder = g_build_filename(folder, item, file_name, NULL);
    if (g_file_test(in_own_folder, G_FILE_TEST_IS_REGULAR))
        return g_steal_pointer(&in_own_folder);
    g_autofree char *beside = g_build_filename(folder, file_name, NULL);
    return g_file_test(beside, G_FILE_TEST_IS_REGULAR) ? g_steal_pointer(&beside) : NULL;
}

static const ConfPluginDescriptor *
read_descriptor(GModule *module, const char *file, GError **error)
{
    gpointer symbol = NULL;
    if (!g_module_symbol(module, "conf_plugin", &symbol) || symbol == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "%s is no plugin of confserv: it exports no symbol conf_plugin", file);
        return NULL;
    }
    const ConfPluginDescriptor *descriptor = symbol;
    return check_descriptor(descriptor, file, error) ? descriptor : NULL;
}

/* In this order: until magic and ABI are known to be right, nothing behind them may be looked at. */
static bool
check_descriptor(const ConfPluginDescriptor *descriptor, const char *file, GError **error)
{
    if (descriptor->magic != CONF_PLUGIN_MAGIC) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "%s is no plugin of confserv: its descriptor begins with 0x%08x, not with 0x%08x", file,
                    descriptor->magic, CONF_PLUGIN_MAGIC);
        return false;
    }
    if (descriptor->abi != CONF_PLUGIN_ABI) {
        g_set_error(
            error, CONF_ERROR, CONF_ERROR_INVALID,
            "%s was built for plugin ABI %u, and this server has plugin ABI %u: build the plugin anew", file,
            descriptor->abi, (unsigned)CONF_PLUGIN_ABI);
        return false;
    }
    if (descriptor->feature > CONF_PLUGIN_FEATURE) {
        g_set_error(
            error, CONF_ERROR, CONF_ERROR_INVALID,
            "%s was built for a newer server (plugin feature level %u; this server has %u): update the "
            "server or build the plugin for this one",
            file, descriptor->feature, (unsigned)CONF_PLUGIN_FEATURE);
        return false;
    }
    g_autofree char *name = name_of_file(file);
    if (descriptor->name == NULL || strcmp(descriptor->name, name) != 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "%s calls itself plugin \"%s\": the file must be called as the plugin is", file,
                    descriptor->name != NULL ? descriptor->name : "");
        return false;
    }
    if (descriptor->load == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "plugin %s (%s) has no function load", name, file);
        return false;
    }
    return true;
}

static void
set_bind_error(const char *file, GError **error)
{
    static const char MISSING[] = "undefined symbol: ";
    const char *reason = g_module_error();
    if (reason == NULL)
        reason = "unknown error";
    const char *symbol = strstr(reason, MISSING);
    if (symbol == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "plugin file %s cannot be opened: %s", file,
                    reason);
        return;
    }
    symbol += sizeof(MISSING) - 1;
    /* A versioned symbol goes on with ", version V". */
    g_autofree char *name = g_strndup(symbol, strcspn(symbol, ", "));
    g_set_error(
        error, CONF_ERROR, CONF_ERROR_INVALID,
        "plugin file %s needs the symbol %s, which neither this server nor a library of the plugin has", file,
        name);
}

static char *
name_of_file(const char *file)
{
    char *name = g_path_get_basename(file);
    if (g_str_has_suffix(name, ".so"))
        name[strlen(name) - 3] = '\0';
    return name;
}

static void
clear_statistic(void *statistic)
{
    g_free(((ConfPluginStatistic *)statistic)->name);
}
