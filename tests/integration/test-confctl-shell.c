/* test-confctl-shell.c - confctl shell: commands from a pipe, and as somebody types them on a terminal. */
#include "confctl-run.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { ANSWER_S = 30 };

/* A person at a terminal: what is shown is gathered. */
typedef struct {
    int terminal;
    GPid pid;
    GString *shown;
    gsize seen; /* of what is shown: up to where it was looked at */
} Person;

static void
test_pipe(void)
{
    g_auto(Run) run;
    run_init(&run);
    confctl_with(&run,
                 "# two hosts\n\nnew host 'a b' address=10.0.0.1\nnew host c\n"
                 "find host 'name=a*' --fields address\nfind host\nget '/Environment/Hosts/a b' address\n",
                 "shell");
    g_assert_cmpint(run.status, ==, 0);
    g_assert_has(run.output, "10.0.0.1\n");
    /* An option holds for its command only. */
    g_assert_cmpstr(strstr(strstr(run.output, "ADDRESS") + 1, "ADDRESS"), ==, NULL);
    confctl_with(&run, "new host d\nget /Environment/Hosts/none\nnew host e\n", "shell");
    g_assert_cmpint(run.status, ==, 1);
    g_assert_has(run.errors, "Line 2: ");
    g_assert_has(confctl(&run, "ls /Environment/Hosts"), "d\n");
    g_assert_lacks(run.output, " e\n");
    static const char *const wrong[] = {"frobnicate\n", "get\n", "get 'x\n", "ls --nonsense\n", "shell\n"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        confctl_with(&run, wrong[i], "shell");
        g_assert_cmpint(run.status, ==, 2);
        g_assert_has(run.errors, "Line 1: ");
    }
    confctl_with(&run, "help set\nset --help\nhelp\nexit\nfrobnicate\n", "shell");
    g_assert_cmpint(run.status, ==, 0);
    g_assert_has(run.output, "FIELD+=VALUE");
    g_assert_has(run.output, "Commands:");
    confctl_with(&run, "ls /Environment/Hosts\nget /Environment/Hosts/c\n", "-o json shell");
    g_assert_has(run.output, "{\"type\":\"host\"");
}

static void
sit_down(Person *person, Run *run)
{
    *person = (Person){.shown = g_string_new(NULL)};
    g_autofree char *address = g_strdup_printf("127.0.0.1:%u", test_server_get_port(run->server));
    g_auto(GStrv) environment = g_get_environ();
    const char *folder = test_server_get_folder(run->server);
    environment = g_environ_setenv(environment, "CONFCTL_SERVER", address, TRUE);
    environment = g_environ_setenv(environment, "CONFCTL_USER", "default", TRUE);
    environment = g_environ_setenv(environment, "XDG_CONFIG_HOME", folder, TRUE);
    environment = g_environ_setenv(environment, "XDG_STATE_HOME", folder, TRUE);
    environment = g_environ_setenv(environment, "HOME", folder, TRUE);
    environment = g_environ_setenv(environment, "TERM", "xterm", TRUE);
    environment = g_environ_setenv(environment, "LC_ALL", "C.UTF-8", TRUE);
    const char *program = g_getenv("CONFCTL_PROGRAM");
    char *const words[] = {(char *)"confctl", (char *)"shell", NULL};
    struct winsize size = {.ws_row = 50, .ws_col = 200};
    person->pid = forkpty(&person->terminal, NULL, NULL, &size);
    g_assert_cmpint(person->pid, >=, 0);
    if (person->pid == 0) {
        execve(program, words, environment);
        _exit(127);
    }
}

static void
type(Person *person, const char *text)
{
    g_assert_cmpint(write(person->terminal, text, strlen(text)), ==, (gssize)strlen(text));
}

/* Until it is shown, behind what was looked for before. */
static void
see(Person *person, const char *text)
{
    gint64 until = g_get_monotonic_time() + ANSWER_S * G_USEC_PER_SEC;
    for (;;) {
        char *found = strstr(person->shown->str + person->seen, text);
        if (found != NULL) {
            person->seen = (gsize)(found - person->shown->str) + strlen(text);
            return;
        }
        char bytes[4096];
        struct pollfd wait = {.fd = person->terminal, .events = POLLIN};
        int left = (int)MAX((until - g_get_monotonic_time()) / 1000, 0);
        gssize got = poll(&wait, 1, left) > 0 ? read(person->terminal, bytes, sizeof bytes) : 0;
        if (got <= 0)
            g_error("\"%s\" was not shown, but: %s", text, person->shown->str + person->seen);
        g_string_append_len(person->shown, bytes, got);
    }
}

/* libedit takes the terminal only after it has shown the prompt; what is typed before that the terminal
 * itself shows, and a Ctrl-C throws away. */
static void
wait_editing(Person *person, bool is_editing)
{
    gint64 until = g_get_monotonic_time() + ANSWER_S * G_USEC_PER_SEC;
    struct termios mode;
    do {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(1000);
        g_assert_cmpint(tcgetattr(person->terminal, &mode), ==, 0);
    } while (((mode.c_lflag & ICANON) == 0) != is_editing);
}

static void
see_prompt(Person *person)
{
    see(person, "> ");
    wait_editing(person, true);
}

/* Its exit status. */
static int
leave(Person *person)
{
    int status = 0;
    type(person, "exit\n");
    g_assert_cmpint(waitpid(person->pid, &status, 0), ==, person->pid);
    close(person->terminal);
    g_string_free(person->shown, TRUE);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
log_in(Person *person)
{
    see(person, "Password of default: ");
    type(person, TEST_PASSWORD "\n");
    see_prompt(person);
}

static void
test_terminal(void)
{
    g_auto(Run) run;
    Person person;
    run_init(&run);
    sit_down(&person, &run);
    log_in(&person);
    type(&person, "new host \"my h\303\266st\" address=10.0.0.1\n");
    see(&person, "revision 2");
    /* Tab goes as far as it is clear. */
    type(&person, "ls /Env\t");
    see(&person, "ironment/");
    type(&person, "Hos\t");
    see(&person, "ts/");
    type(&person, "m\t");
    see(&person, "y\\ h\303\266st ");
    type(&person, "\n");
    see(&person, "enabled");
    type(&person, "find hos\t\n");
    see(&person, "PATH");
    see(&person, "my h\303\266st");
    type(&person, "find host --fie\t");
    see(&person, "lds ");
    /* The line is dropped, and the watching ends; the shell stays. */
    type(&person, "\003");
    see_prompt(&person);
    type(&person, "watch host\n");
    see(&person, "watching from revision 2");
    type(&person, "\003");
    see_prompt(&person);
    type(&person, "nonsense\n");
    see(&person, "There is no command");
    see_prompt(&person);
    g_assert_cmpint(leave(&person), ==, 0);
    /* What was typed is there again, for this person only; a password is not. */
    g_autofree char *file = g_build_filename(test_server_get_folder(run.server), "confctl", "history", NULL);
    g_autofree char *kept = NULL;
    GStatBuf state;
    g_assert_true(g_file_get_contents(file, &kept, NULL, NULL));
    g_assert_has(kept, "watch");
    g_assert_lacks(kept, TEST_PASSWORD);
    g_assert_cmpint(g_stat(file, &state), ==, 0);
    g_assert_cmpint(state.st_mode & 077, ==, 0);
    sit_down(&person, &run);
    log_in(&person);
    type(&person, "\033[A\033[A\033[A\n"); /* exit, nonsense, watch */
    see(&person, "watching from revision 2");
    type(&person, "\003");
    see_prompt(&person);
    g_assert_cmpint(leave(&person), ==, 0);
}

static void
test_lost_connection(void)
{
    g_auto(Run) run;
    Person person;
    run_init(&run);
    sit_down(&person, &run);
    log_in(&person);
    test_server_signal(run.server, SIGKILL);
    type(&person, "info\n");
    see(&person, "confctl: ");
    see_prompt(&person);
    test_server_start(run.server);
    type(&person, "info\n");
    see(&person, "primary");
    see_prompt(&person);
    /* A server that says nothing is not waited for when somebody does not want to. */
    kill(test_server_get_pid(run.server), SIGSTOP);
    type(&person, "sessions\n");
    wait_editing(&person, false);
    type(&person, "\003");
    see(&person, "confctl: ");
    see_prompt(&person);
    kill(test_server_get_pid(run.server), SIGCONT);
    type(&person, "info\n");
    see(&person, "primary");
    see_prompt(&person);
    g_assert_cmpint(leave(&person), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/confctl-shell/pipe", test_pipe);
    g_test_add_func("/integration/confctl-shell/terminal", test_terminal);
    g_test_add_func("/integration/confctl-shell/lost-connection", test_lost_connection);
    return g_test_run();
}
