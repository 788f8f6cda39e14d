/* command-line.c - see command-line.h. */
#include "server/command-line.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

typedef enum { FLAG, TEXT, NUMBER, OPTIONAL_TEXT } Kind;

typedef struct {
    const char *name;
    Kind kind;
    size_t offset;
    const char *argument, *help;
} Switch;

#define AT(member) offsetof(ConfCommandLine, member)
static const Switch switches[] = {
    {"c", TEXT, AT(config_file), "FILE", "configuration file (default confserv.conf)"},
    {"s", TEXT, AT(section), "SECTION", "its section for this server (default confserv)"},
    {"host", TEXT, AT(hosts), "H", "be a proxy of the master at H, or at one of a list a:2020,b:2020"},
    {"port", NUMBER, AT(port), "P", "port of the master"},
    {"app", TEXT, AT(application), "NAME", "the proxy's application"},
    {"user", TEXT, AT(user), "U", "account that a proxy logs in with"},
    {"password-file", TEXT, AT(password_file), "F", "its password (or environment CONFSERV_PASSWORD)"},
    {"init", FLAG, AT(init), NULL, "make the database, then exit"},
    {"admin", TEXT, AT(admin), "NAME", "with -init: the administrator's name (default 'default')"},
    {"admin-password-file", TEXT, AT(admin_password_file), "F",
     "with -init: the administrator's password (default: random, shown once)"},
    {"import", TEXT, AT(import_file), "FILE", "read objects, JSON Lines, offline"},
    {"export", TEXT, AT(export_file), "FILE", "write all objects, JSON Lines, offline"},
    {"accept-rollback", FLAG, AT(accept_rollback), NULL,
     "the database is behind what this server has seen, and that is meant"},
    {"rescue-port", NUMBER, AT(rescue_port), "N",
     "one more plain port on loopback; other ports that cannot be opened are a warning"},
    {"check-config", FLAG, AT(check_config), NULL,
     "read configuration and plugins' options, say what is wrong, exit"},
    {"list-options", OPTIONAL_TEXT, AT(list_options), "[=FORMAT]", "text, markdown, man, json or bash"},
    {"l", TEXT, 0, "X", "accepted and ignored: there are no licences"},
    {"V", FLAG, AT(version), NULL, "version"},
    {"version", FLAG, AT(version), NULL, "version"},
    {"help", FLAG, AT(help), NULL, "this text"},
    {"h", FLAG, AT(help), NULL, "this text"},
};

/* Named by the reference, not there yet: told as such rather than as unknown. */
static const char *const later[] = {"proxy-persistent-mode", "dumpauditxml", "last"};

static const Switch *find_switch(const char *name, size_t size);
static bool set_value(ConfCommandLine *line, const Switch *found, const char *name, const char *value,
                      GError **error);
static bool check(const ConfCommandLine *line, GError **error);

bool
conf_command_line_parse(ConfCommandLine *line, int argc, char **argv, GError **error)
{
    *line = (ConfCommandLine){.log = conf_settings_new()};
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
        const Switch *found = is_log ? NULL : find_switch(name, size);
        for (unsigned k = 0; k < G_N_ELEMENTS(later) && found == NULL; k++) {
            if (strlen(later[k]) == size && strncmp(name, later[k], size) == 0) {
                g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                            "Option -%s is not available in this release", later[k]);
                return false;
            }
        }
        if (found == NULL && !is_log) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Option '%s' is not known (see -help)",
                        argv[i]);
            return false;
        }
        const char *value = equals != NULL ? equals + 1 : NULL;
        if (value == NULL && (is_log || found->kind == TEXT || found->kind == NUMBER)) {
            if (i + 1 >= argc) {
                g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Option '%s' needs a value", argv[i]);
                return false;
            }
            value = argv[++i];
        }
        if (is_log) {
            g_autofree char *key = g_strndup(name + 4, size - 4);
            conf_settings_set(line->log, "log", key, value);
        } else if (!set_value(line, found, argv[i], value, error)) {
            return false;
        }
    }
    return check(line, error);
}

void
conf_command_line_clear(ConfCommandLine *line)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(switches); i++) {
        if ((switches[i].kind != TEXT && switches[i].kind != OPTIONAL_TEXT) ||
            strcmp(switches[i].name, "l") == 0)
            continue;
        char **member = (char **)(void *)((char *)line + switches[i].offset);
        g_clear_pointer(member, g_free);
    }
    conf_settings_free(line->log);
}

void
conf_command_line_print_help(void)
{
    printf("confserv - configuration server: primary, or proxy of one (-host, -port, -app)\n\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(switches); i++) {
        g_autofree char *shown =
            g_strdup_printf("-%s%s%s", switches[i].name,
                            switches[i].argument == NULL || switches[i].argument[0] == '[' ? "" : " ",
                            switches[i].argument != NULL ? switches[i].argument : "");
        printf("  %-26s %s\n", shown, switches[i].help);
    }
    printf("  %-26s %s\n", "-log-OPTION VALUE", "an option of section [log] from the first moment on");
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

static const Switch *
find_switch(const char *name, size_t size)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(switches); i++) {
        if (strlen(switches[i].name) == size && strncmp(switches[i].name, name, size) == 0)
            return &switches[i];
    }
    return NULL;
}

static bool
set_value(ConfCommandLine *line, const Switch *found, const char *name, const char *value, GError **error)
{
    void *member = (char *)line + found->offset;
    if (strcmp(found->name, "l") == 0) {
        line->licence = true;
        return true;
    }
    if (found->kind == FLAG) {
        *(bool *)member = true;
    } else if (found->kind == NUMBER) {
        guint64 number = 0;
        if (!g_ascii_string_to_unsigned(value, 10, 1, 65535, &number, NULL)) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                        "Option '%s' needs a port from 1 to 65535, not '%s'", name, value);
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
