/* confctl-run.c - see confctl-run.h. */
#include "confctl-run.h"

#include <string.h>

void
run_init(Run *run)
{
    *run = (Run){.server = test_primary_new(NULL)};
    run->password_file = g_build_filename(test_server_get_folder(run->server), "password", NULL);
    g_assert_true(g_file_set_contents(run->password_file, TEST_PASSWORD "\n", -1, NULL));
}

void
run_clear(Run *run)
{
    if (run->server != NULL)
        test_server_free(run->server);
    g_free(run->password_file);
    g_free(run->output);
    g_free(run->errors);
}
GSubprocess *
start(Run *run, const char *command)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = NULL;
    g_autofree char *line = g_strconcat(g_getenv("CONFCTL_PROGRAM"), " ", command, NULL);
    g_autofree char *address =
        g_strdup_printf("127.0.0.1:%u", run->port != 0 ? run->port : test_server_get_port(run->server));
    g_assert_true(g_shell_parse_argv(line, NULL, &words, &error));
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_subprocess_launcher_setenv(launcher, "CONFCTL_SERVER", address, TRUE);
    g_subprocess_launcher_setenv(launcher, "CONFCTL_USER", "default", TRUE);
    g_subprocess_launcher_setenv(launcher, "CONFCTL_PASSWORD_FILE", run->password_file, TRUE);
    g_subprocess_launcher_setenv(launcher, "XDG_CONFIG_HOME", test_server_get_folder(run->server), TRUE);
    GSubprocess *process = g_subprocess_launcher_spawnv(launcher, (const char *const *)words, &error);
    g_assert_no_error(error);
    return process;
}

void
finish(Run *run, GSubprocess *process, const char *input)
{
    g_autoptr(GError) error = NULL;
    g_clear_pointer(&run->output, g_free);
    g_clear_pointer(&run->errors, g_free);
    g_subprocess_communicate_utf8(process, input, NULL, &run->output, &run->errors, &error);
    g_assert_no_error(error);
    run->status = g_subprocess_get_if_exited(process) ? g_subprocess_get_exit_status(process) : -1;
}

void
confctl_with(Run *run, const char *input, const char *command)
{
    g_test_message("confctl %s", command);
    g_autoptr(GSubprocess) process = start(run, command);
    finish(run, process, input);
    g_test_message("%d\n%.2000s%.2000s", run->status, run->output, run->errors);
}

const char *
confctl(Run *run, const char *command)
{
    confctl_with(run, NULL, command);
    g_assert_cmpint(run->status, ==, 0);
    return run->output;
}

const char *
refused(Run *run, int status, const char *command)
{
    confctl_with(run, NULL, command);
    g_assert_cmpint(run->status, ==, status);
    g_assert_true(g_str_has_prefix(run->errors, "confctl: "));
    return run->errors;
}
