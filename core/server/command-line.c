/* command-line.c - see command-line.h. */
#include "server/command-line.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define S ConfCommandLine
#define TEXT(member, name, argument, help) \
    CONF_OPTION_STRING(S, member, NULL, name, NULL, argument, CONF_AT_START, help)
#define PORT(member, name, help) CONF_OPTION_INT(S, member, NULL, name, NULL, "1..65535", CONF_AT_START, help)
#define FLAG(member, name, help) CONF_OPTION_BOOL(S, member, NULL, name, NULL, NULL, CONF_AT_START, help)

/* Declared as other options are; the range of a text is what its argument is called in listings. */
static const ConfOption switches[] = {
    TEXT(config_file, "c", "FILE", "Configuration file (default confserv.conf)."),
    TEXT(section, "s", "SECTION", "Its section for this server (default confserv; of a proxy, csproxy)."),
    TEXT(hosts, "host", "H", "Be a proxy of the master at H, or at one of a list a:2020,b:2020."),
    PORT(port, "port", "Port of the master."),
    TEXT(application, "app", "NAME", "The proxy's application."),
    TEXT(user, "user", "U", "Account that a proxy logs in with."),
    TEXT(password_file, "password-file", "F", "Its password (or environment CONFSERV_PASSWORD)."),
    FLAG(init, "init", "Make the database, then exit."),
    TEXT(admin, "admin", "NAME", "With -init: the administrator's name (default 'default')."),
    TEXT(admin_password_file, "admin-password-file", "F",
         "With -init: the administrator's password (default: random, shown once)."),
    TEXT(import_file, "import", "FILE", "Read objects, JSON Lines, offline."),
    TEXT(export_file, "export", "FILE", "Write all objects, JSON Lines, offline."),
    FLAG(accept_rollback, "accept-rollback",
         "The database is behind what this server has seen, and that is meant."),
    PORT(rescue_port, "rescue-port",
         "One more plain port on loopback; other ports that cannot be opened are a warning."),
    FLAG(check_config, "check-config",
         "Read configuration, schema and plugins' options, say what is wrong, exit."),
    TEXT(list_options, "list-options", "[=FORMAT]",
         "List all options as text, markdown, man, json or bash, and exit."),
    TEXT(licence, "l", "X", "Accepted and ignored: there are no licences."),
    FLAG(version, "V", "Print the release, exit."),
    FLAG(version, "version", "As -V."),
    FLAG(help, "help", "Print this text, exit."),
    FLAG(help, "h", "As -help."),
    CONF_OPTION_END,
};

/* Named by the reference, not there yet: told as such rather than as unknown. */
static const char *const later[] = {"proxy-persistent-mode"};

static const ConfOption *find_switch(const char *name, size_t size);
static bool needs_value(const ConfOption *found);
static void take_other(ConfCommandLine *line, char *name, const char *value, char **argv, int *index);
static bool set_value(ConfCommandLine *line, const ConfOption *found, const char *value, GError **error);
static bool check(const ConfCommandLine *line, GError **error);

bool
conf_command_line_parse(ConfCommandLine *line, int argc, char **argv, GError **error)
{
    *line = (ConfCommandLine){.log = conf_settings_new()};
    line->others = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (name[0] != '-' || name[1] == '\0') {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "'%s' is no option (see -help)", name);
            return false;
        }
        name += name[1] == '-' ? 2 : 1;
        const char *equals = strchr(name, '=');
        size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
        bool is_log = g_str_has_prefix(name, "log-");
        const ConfOption *found = is_log ? NULL : find_switch(name, size);
        for (unsigned k = 0; k < G_N_ELEMENTS(later) && found == NULL; k++) {
            if (strlen(later[k]) == size && strncmp(name, later[k], size) == 0) {
                g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                            "Option -%s is not available in this release", later[k]);
                return false;
            }
        }
        const char *value = equals != NULL ? equals + 1 : NULL;
        if (found == NULL && !is_log) {
            take_other(line, g_strndup(name, size), value, argv, &i);
            continue;
        }
        if (value == NULL && (is_log || needs_value(found))) {
            if (i + 1 >= argc) {
                g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Option '%s' needs a value", argv[i]);
                return false;
            }
            value = argv[++i];
        }
        if (is_log) {
            g_autofree char *key = g_strndup(name + 4, size - 4);
            conf_settings_set(line->log, "log", key, value);
        } else if (!set_value(line, found, value, error)) {
            return false;
        }
    }
    return check(line, error);
}

void
conf_command_line_clear(ConfCommandLine *line)
{
    conf_option_clear(switches, line);
    conf_settings_free(line->log);
    g_hash_table_unref(line->others);
}

void
conf_command_line_register(void)
{
    conf_option_register_command_line(switches);
}

void
conf_command_line_print_help(void)
{
    printf("confserv - configuration server: primary, or proxy of one (-host, -port, -app)\n\n");
    for (const ConfOption *option = switches; option->name != NULL; option++) {
        const char *argument = option->type == CONF_T_INT ? "N" : option->range;
        g_autofree char *shown = g_strdup_printf("-%s%s%s", option->name, needs_value(option) ? " " : "",
                                                 argument != NULL ? argument : "");
        printf("  %-26s %s\n", shown, option->help);
    }
    printf("  %-26s %s\n", "-log-OPTION VALUE", "An option of section [log] from the first moment on.");
    printf("\nPlugins that the configuration file names may know further options, told on their pages.\n");
    printf("\nExit status: 0 stopped as asked, 1 cannot start, 2 bad command line or configuration.\n");
}

char *
conf_read_password_file(const char *path, GError **error)
{
    g_autofree char *content = NULL;
    gsize size = 0;
    const char *name = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    if (!g_file_get_contents(name, &content, &size, error))
        return NULL;
    size_t length = strcspn(content, "\r\n");
    char *password = g_strndup(content, length);
    explicit_bzero(content, size);
    if (length == 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "The first line of password file %s is empty",
                    path);
        g_clear_pointer(&password, g_free);
    }
    return password;
}

static const ConfOption *
find_switch(const char *name, size_t size)
{
    for (const ConfOption *option = switches; option->name != NULL; option++) {
        if (strlen(option->name) == size && strncmp(option->name, name, size) == 0)
            return option;
    }
    return NULL;
}

/* One in brackets may follow an equals sign, and nothing else may. */
static bool
needs_value(const ConfOption *found)
{
    return found->range != NULL && found->range[0] != '[';
}

/* Whether it takes a value only the plugin knows, which is not there yet: what follows is one unless it is
 * an option. */
static void
take_other(ConfCommandLine *line, char *name, const char *value, char **argv, int *index)
{
    const char *next = argv[*index + 1];
    if (value == NULL && next != NULL && (next[0] != '-' || next[1] == '\0')) {
        value = next;
        ++*index;
    }
    g_hash_table_insert(line->others, name, g_strdup(value != NULL ? value : ""));
}

static bool
set_value(ConfCommandLine *line, const ConfOption *found, const char *value, GError **error)
{
    void *member = (char *)line + found->offset;
    if (found->type == CONF_T_BOOL) {
        *(bool *)member = true;
    } else if (found->type == CONF_T_INT) {
        guint64 number = 0;
        if (!g_ascii_string_to_unsigned(value, 10, 1, 65535, &number, NULL)) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                        "Option '-%s' needs a port from 1 to 65535, not '%s'", found->name, value);
            return false;
        }
        *(int64_t *)member = (int64_t)number;
    } else {
        g_free(*(char **)member);
        *(char **)member = g_strdup(value != NULL ? value : "text");
    }
    return true;
}

static bool
check(const ConfCommandLine *line, GError **error)
{
    bool proxy = line->hosts != NULL || line->application != NULL;
    if (proxy && (line->hosts == NULL || line->application == NULL)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "A proxy needs both -host and -app");
        return false;
    }
    if (proxy &&
        (line->init || line->import_file != NULL || line->export_file != NULL || line->accept_rollback)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "A proxy has no database: -init, -import, -export and -accept-rollback are not for it");
        return false;
    }
    if ((line->admin != NULL || line->admin_password_file != NULL) && !line->init) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "-admin and -admin-password-file go with -init");
        return false;
    }
    return true;
}
