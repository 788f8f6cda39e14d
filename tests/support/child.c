/* child.c - see child.h. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEADLINE_S = 30, LOG_SHOWN = 4000 };

static void set_up(void *folder);
static void fail_to_start(const char *program, const char *folder);

char *
test_child_find(const char *program, const char *package)
{
    char *path = g_find_program_in_path(program);
    if (path == NULL) {
        g_autofree char *of_root = g_build_filename("/usr/sbin", program, NULL);
        path = g_find_program_in_path(of_root);
    }
    if (path != NULL)
        return path;
    if (g_getenv("CI") != NULL)
        g_error("%s is missing (package %s)", program, package);
    g_autofree char *why = g_strdup_printf("%s is missing (package %s)", program, package);
    g_test_skip(why);
    return NULL;
}

void
test_child_start(TestChild *child, const char *folder, const char *const *argv,
                 bool (*answers)(const void *data), const void *data)
{
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(child->pid, ==, 0);
    g_spawn_async(folder, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, set_up, (void *)folder, &child->pid,
                  &error);
    g_assert_no_error(error);
    int64_t until = g_get_monotonic_time() + DEADLINE_S * G_USEC_PER_SEC;
    while (!answers(data)) {
        if (waitpid(child->pid, NULL, WNOHANG) == child->pid || g_get_monotonic_time() > until)
            fail_to_start(argv[0], folder);
        g_usleep(5000);
    }
}

void
test_child_signal(TestChild *child, int signal_number)
{
    g_assert_cmpint(child->pid, >, 0);
    g_assert_cmpint(kill(child->pid, signal_number), ==, 0);
    if (signal_number != SIGKILL && signal_number != SIGTERM)
        return;
    while (waitpid(child->pid, NULL, 0) < 0)
        g_assert_cmpint(errno, ==, EINTR);
    child->pid = 0;
}

void
test_child_end(TestChild *child)
{
    if (child->pid != 0)
        test_child_signal(child, SIGKILL);
}

void
test_child_write(const char *folder, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

/* In the child.  A test that fails leaves nobody behind. */
static void
set_up(void *folder)
{
    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = at >= 0 ? openat(at, "log", O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(127);
}

static void
fail_to_start(const char *program, const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "log", NULL), *log = NULL;
    size_t size = 0;
    g_file_get_contents(path, &log, &size, NULL);
    g_error("%s did not start: %s", program,
            log != NULL ? log + (size > LOG_SHOWN ? size - LOG_SHOWN : 0) : "");
}
