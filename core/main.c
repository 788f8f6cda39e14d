/* main.c - command line, configuration file, signals. */
#include <fcntl.h>
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/queue-main.h"
#include "server/server.h"
#include "server/server-options.h"

enum { STATUS_STOPPED = 0, STATUS_CANNOT_START = 1, STATUS_BAD_CONFIGURATION = 2 };

static void reserve_standard_descriptors(void);
static void raise_descriptor_limit(void);
static int run(const ConfCommandLine *line, const ConfSettings *settings);
static int run_server(const ConfCommandLine *line, const ConfSettings *settings);
static void take_signals(ConfServer *server);
static ConfSettings *load_settings(ConfCommandLine *line, GError **error);
static void name_others(const ConfCommandLine *line, GError **error);
static int fail(const GError *error);
static gboolean terminated(void *data);
static gboolean hung_up(void *data);

int
main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    reserve_standard_descriptors();
    conf_main_queue_init();
    conf_option_register("confserv", conf_server_options);
    ConfCommandLine line;
    g_autoptr(GError) error = NULL;
    if (!conf_command_line_parse(&line, argc, argv, &error)) {
        fprintf(stderr, "confserv: %s\n", error->message);
        conf_command_line_clear(&line);
        return STATUS_BAD_CONFIGURATION;
    }
    int status = STATUS_STOPPED;
    if (line.version) {
        printf("confserv %s\n", CONFSERV_VERSION);
    } else if (line.help) {
        conf_command_line_print_help();
    } else {
        g_autoptr(ConfSettings) settings = load_settings(&line, &error);
        if (settings != NULL) {
            status = run(&line, settings);
        } else {
            name_others(&line, &error);
            fail(error);
            status = STATUS_BAD_CONFIGURATION; /* a file that cannot be read, too */
        }
    }
    conf_log_flush(2000);
    conf_command_line_clear(&line);
    return status;
}

/* Started with one of them closed, a socket or the database would take its number, and a message be written
 * into it. */
static void
reserve_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(STATUS_CANNOT_START);
    }
}

static int
run(const ConfCommandLine *line, const ConfSettings *settings)
{
    g_autoptr(GError) error = NULL;
    bool done = true;
    if (g_hash_table_size(line->others) > 0)
        done = conf_offline_command(line, settings, &error);
    else if (line->list_options != NULL || line->check_config)
        done = conf_server_check(line, settings, line->list_options != NULL, &error);
    else if (line->init)
        done = conf_offline_init(line, settings, &error);
    else if (line->import_file != NULL)
        done = conf_offline_import(line, settings, &error);
    else if (line->export_file != NULL)
        done = conf_offline_export(line, settings, &error);
    else
        return run_server(line, settings);
    return done ? STATUS_STOPPED : fail(error);
}

/* Each client takes one: shells and service managers often give 1024, and let a process have more by
 * itself. */
static void
raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t given = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    bool raised = given == limit.rlim_max || setrlimit(RLIMIT_NOFILE, &limit) == 0;
    conf_log(CONF_LOG_DESCRIPTOR_LIMIT, "limit", conf_log_integer((int64_t)(raised ? limit.rlim_max : given)),
             "given", conf_log_integer((int64_t)given), NULL);
}

static int
run_server(const ConfCommandLine *line, const ConfSettings *settings)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    /* Libraries of plugins write to sockets with write() (libldap): a peer that is gone is their error, not our
     * end. */
    signal(SIGPIPE, SIG_IGN);
    if (!conf_log_configure(settings, &error))
        return fail(error);
    raise_descriptor_limit();
    if (line->licence != NULL)
        conf_log(CONF_LOG_LICENCE_IGNORED, NULL);
    ConfServer *server = conf_server_new(line, settings, loop, take_signals, &error);
    if (server == NULL)
        return fail(error);
    g_main_loop_run(loop);
    return conf_server_free(server);
}

/* Until now a signal has ended the program at once, which nobody could notice. */
static void
take_signals(ConfServer *server)
{
    g_unix_signal_add(SIGTERM, terminated, server);
    g_unix_signal_add(SIGINT, terminated, server);
    g_unix_signal_add(SIGHUP, hung_up, server);
}

/* Without -c the file confserv.conf of the working directory, where there is one; a proxy needs none. */
static ConfSettings *
load_settings(ConfCommandLine *line, GError **error)
{
    g_autoptr(ConfSettings) file = NULL;
    if (line->config_file == NULL && line->hosts == NULL && g_file_test("confserv.conf", G_FILE_TEST_EXISTS))
        line->config_file = g_strdup("confserv.conf");
    if (line->config_file != NULL)
        file = conf_settings_load_file(line->config_file, error);
    else
        file = conf_settings_new();
    if (file == NULL)
        return NULL;
    bool needs_file = line->hosts == NULL && line->list_options == NULL;
    if (needs_file && line->config_file == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "There is no configuration file confserv.conf here (option -c names one)");
        return NULL;
    }
    const char *section = line->section != NULL ? line->section : "confserv";
    if (needs_file && !conf_settings_has_section(file, section)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "%s: there is no section [%s]", line->config_file,
                    section);
        return NULL;
    }
    return conf_settings_merge(file, line->log);
}

/* Without a configuration there are no plugins that could know an option. */
static void
name_others(const ConfCommandLine *line, GError **error)
{
    GHashTableIter iter;
    void *name;
    g_hash_table_iter_init(&iter, line->others);
    if (!g_hash_table_iter_next(&iter, &name, NULL))
        return;
    g_autofree char *message = g_strdup((*error)->message);
    g_clear_error(error);
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                "Option '-%s' is not known (see -help), or of a plugin: %s", (char *)name, message);
}

static int
fail(const GError *error)
{
    fprintf(stderr, "confserv: %s\n", error->message);
    return g_error_matches(error, CONF_ERROR, CONF_ERROR_INVALID) ? STATUS_BAD_CONFIGURATION
                                                                  : STATUS_CANNOT_START;
}

static gboolean
terminated(void *data)
{
    conf_server_stop(data, true);
    return G_SOURCE_CONTINUE;
}

static gboolean
hung_up(void *data)
{
    conf_server_reload(data);
    return G_SOURCE_CONTINUE;
}
