/* paths.c - where plugins and schema files lie: beside the program in the build tree, or installed. */
#include "server/server-private.h"

static bool is_build_tree(void);
static char *join(const char *own, const char *further);

char *
conf_paths_plugins(const ConfServerOptions *options)
{
    return join(is_build_tree() ? CONFSERV_BUILD_ROOT "/plugins" : CONFSERV_PLUGIN_DIR, options->plugin_path);
}

char *
conf_paths_schema(const ConfServerOptions *options)
{
    return join(is_build_tree() ? CONFSERV_SOURCE_ROOT "/data/schema" : CONFSERV_SCHEMA_DIR,
                options->schema_path);
}

static bool
is_build_tree(void)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    return program != NULL && g_str_has_prefix(program, CONFSERV_BUILD_ROOT "/");
}

static char *
join(const char *own, const char *further)
{
    return further != NULL && further[0] != '\0' ? g_strdup_printf("%s:%s", own, further) : g_strdup(own);
}
