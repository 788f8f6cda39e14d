/* test-log.c - what reaches which output, in which form, and what happens when an output takes nothing. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include "base/error.h"
#include "base/log-private.h"

/* Lines of one id within a second are counted after the twentieth, so the tests share the ids out. */
static char *folder;

static void
remove_all(const char *path)
{
    g_autoptr(GDir) listing = g_dir_open(path, 0, NULL);
    const char *name;
    while (listing != NULL && (name = g_dir_read_name(listing)) != NULL) {
        g_autofree char *member = g_build_filename(path, name, NULL);
        g_unlink(member);
    }
    g_rmdir(path);
}

static char *
path_of(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* Pairs of key and value for section [log]. */
static bool G_GNUC_NULL_TERMINATED
configure(GError **error, ...)
{
    g_autoptr(ConfSettings) settings = conf_settings_new();
    va_list pairs;
    va_start(pairs, error);
    const char *key;
    while ((key = va_arg(pairs, const char *)) != NULL)
        conf_settings_set(settings, "log", key, va_arg(pairs, const char *));
    va_end(pairs);
    return conf_log_configure(settings, error);
}

static char *
read_log(const char *path)
{
    conf_log_flush(10000);
    char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static unsigned
count_of(const char *text, const char *part)
{
    unsigned count = 0;
    while ((text = strstr(text, part)) != NULL) {
        count++;
        text += strlen(part);
    }
    return count;
}

static void
assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        g_error("\"%s\" is not in:\n%s", part, text);
}

/* Until `path` holds `part`: some things the writer does in its own time. */
static char *
wait_for(const char *path, const char *part)
{
    gint64 until = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    for (;;) {
        g_autofree char *text = read_log(path);
        if (strstr(text, part) != NULL)
            return g_steal_pointer(&text);
        if (g_get_monotonic_time() > until)
            g_error("\"%s\" did not come:\n%s", part, text);
        g_usleep(5000);
    }
}

/* Numbers are what operators search for: each stands for one message, in the thousand of its layer. */
static void
test_numbers_are_unique(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    for (unsigned id = 0; id < CONF_LOG_ID_COUNT; id++) {
        const ConfLogMessage *message = conf_log_message((ConfLogId)id);
        g_test_message("%u %s", message->number, message->name);
        g_assert_true(g_hash_table_add(seen, GUINT_TO_POINTER(message->number)));
        g_assert_cmpuint(message->number, >=, 1000);
        g_assert_cmpuint(message->number, <, 10000);
        g_assert_cmpstr(message->sentence, !=, "");
        /* What an operator must act upon says how. */
        if (message->level == CONF_LOG_ERROR)
            g_assert_cmpstr(message->advice, !=, "");
    }
}

static void
test_short_form(void)
{
    g_autofree char *path = path_of("short");
    g_assert_true(configure(NULL, "all", path, NULL));
    conf_log(CONF_LOG_STARTED, "port", "2120", "name", "two words", "empty", "", "none", NULL, NULL);
    g_autofree char *text = read_log(path);
    g_assert_true(g_regex_match_simple(
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z notice 8001 Server is started "
        "port=2120 name=\"two words\" empty=\"\" none=-\n$",
        text, 0, 0));
    struct stat status;
    g_assert_cmpint(g_stat(path, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 07, ==, 0);
}

/* Nothing from outside can add a line, move the cursor or break the encoding. */
static void
test_values_are_tamed(void)
{
    g_autofree char *path = path_of("tamed");
    g_assert_true(configure(NULL, "all", path, NULL));
    conf_log(CONF_LOG_STOPPING, "a", "x\n2026 error 1 forged", "b", "\033[2J\x7f", "c", "q\"\\=", "d",
             "\xff\xc3", "e", "\xc3\xa9\xe2\x80\xa8", NULL);
    g_autofree char *text = read_log(path);
    g_assert_cmpuint(count_of(text, "\n"), ==, 1);
    assert_contains(
        text, " a=\"x\\n2026 error 1 forged\" b=\"\\u001b[2J\\u007f\" c=\"q\\\"\\\\=\" d=\"\\xff\\xc3\" "
              "e=\"\xc3\xa9\\u2028\"\n");
}

static void
test_long_value_is_cut(void)
{
    g_autofree char *path = path_of("long");
    g_autofree char *value = g_strnfill(1000000, 'v');
    g_assert_true(configure(NULL, "all", path, NULL));
    conf_log(CONF_LOG_STOPPING, "value", value, "after", "it", NULL);
    g_autofree char *text = read_log(path);
    g_assert_cmpuint(strlen(text), <, 3000);
    g_assert_true(g_str_has_suffix(text, "v after=it\n"));
}

static void
test_full_and_medium_forms(void)
{
    g_autofree char *path = path_of("full");
    g_autofree char *host = g_strdup_printf(" %s ", g_get_host_name());
    g_assert_true(configure(NULL, "all", path, "message-format", "medium", NULL));
    conf_log(CONF_LOG_OPTION_UNKNOWN, "key", "medium", NULL);
    g_assert_true(configure(NULL, "all", path, "message-format", "full", NULL));
    conf_log(CONF_LOG_OPTION_UNKNOWN, "key", "full", NULL);
    g_autofree char *text = read_log(path);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    assert_contains(lines[0], host);
    g_assert_true(g_str_has_suffix(lines[0], "key=medium"));
    assert_contains(lines[1], host);
    g_assert_true(
        g_str_has_suffix(lines[1], "key=full -- Check its spelling against confserv -list-options."));
}

static void
test_json_form(void)
{
    g_autofree char *path = path_of("json");
    g_assert_true(configure(NULL, "all", path, "message-format", "json", NULL));
    conf_log(CONF_LOG_STOPPED, "time", "taken\n\"", "bad", "\xff", NULL);
    g_autofree char *text = read_log(path);
    g_assert_cmpuint(count_of(text, "\n"), ==, 1);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_assert_true(json_parser_load_from_data(parser, text, -1, NULL));
    JsonObject *line = json_node_get_object(json_parser_get_root(parser));
    g_assert_cmpstr(json_object_get_string_member(line, "level"), ==, "notice");
    g_assert_cmpint(json_object_get_int_member(line, "id"), ==, 8003);
    g_assert_cmpstr(json_object_get_string_member(line, "message"), ==, "Server is stopped");
    JsonObject *data = json_object_get_object_member(line, "data");
    g_assert_cmpstr(json_object_get_string_member(data, "time"), ==, "taken\n\"");
    g_assert_true(g_utf8_validate(json_object_get_string_member(data, "bad"), -1, NULL));
}

static void
test_levels(void)
{
    g_autofree char *all = path_of("level-all");
    g_autofree char *standard = path_of("level-standard");
    g_autofree char *interaction = path_of("level-interaction");
    g_autofree char *both = g_strdup_printf("%s , %s", standard, interaction);
    g_assert_true(
        configure(NULL, "verbose", "all", "all", all, "standard", both, "interaction", interaction, NULL));
    g_assert_true(conf_log_is_on(CONF_LOG_PLUGIN_MESSAGE_DEBUG));
    conf_log(CONF_LOG_PLUGIN_MESSAGE_ERROR, NULL);
    conf_log(CONF_LOG_PLUGIN_MESSAGE_NOTICE, NULL);
    conf_log(CONF_LOG_PLUGIN_MESSAGE_INFO, NULL);
    conf_log(CONF_LOG_PLUGIN_MESSAGE_DEBUG, NULL);
    g_autofree char *all_text = read_log(all);
    g_autofree char *standard_text = read_log(standard);
    g_autofree char *interaction_text = read_log(interaction);
    g_assert_cmpuint(count_of(all_text, "\n"), ==, 4);
    g_assert_cmpuint(count_of(standard_text, "\n"), ==, 2);
    g_assert_cmpuint(count_of(interaction_text, "\n"), ==,
                     3); /* named twice: one output, of the wider level */
}

static void
test_verbose(void)
{
    static const struct {
        const char *word;
        bool error, info, debug;
    } CASES[] = {
        {"none", false, false, false}, {"standard", true, false, false}, {"interaction", true, true, false},
        {"trace", true, true, false},  {"debug", true, true, true},      {"ALL", true, true, true},
    };
    g_autofree char *path = path_of("verbose");
    g_assert_true(configure(NULL, "all", path, NULL));
    g_assert_cmpstr(conf_log_get_verbose(), ==, "standard");
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_assert_true(conf_log_set_verbose(CASES[i].word, NULL));
        g_assert_cmpint(g_ascii_strcasecmp(conf_log_get_verbose(), CASES[i].word), ==, 0);
        g_assert_true(conf_log_is_on(CONF_LOG_PLUGIN_MESSAGE_ERROR) == CASES[i].error);
        g_assert_true(conf_log_is_on(CONF_LOG_PLUGIN_MESSAGE_INFO) == CASES[i].info);
        g_assert_true(conf_log_is_on(CONF_LOG_PLUGIN_MESSAGE_DEBUG) == CASES[i].debug);
    }
    g_autoptr(GError) error = NULL;
    g_assert_false(conf_log_set_verbose("loud", &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    g_assert_cmpstr(conf_log_get_verbose(), ==, "all");
    /* What no output takes is not made at all. */
    g_assert_true(configure(NULL, "verbose", "all", "standard", path, NULL));
    g_assert_false(conf_log_is_on(CONF_LOG_PLUGIN_MESSAGE_INFO));
}

static void
test_refused_settings(void)
{
    static const char *const CASES[][3] = {
        {"verbose", "loud", "log/verbose: \"loud\" is not allowed"},
        {"segment", "big", "log/segment: \"big\" is not allowed"},
        {"segment", "0 KB", "log/segment"},
        {"expire", "1001 file", "log/expire"},
        {"expire", "101 day", "log/expire"},
        {"all", "network", "log/all: there is no output network"},
        {"standard", "/nonexistent/log", "log file /nonexistent/log: No such file"},
        {"message-format", "csv", "log/message-format"},
        {"check-point", "25", "log/check-point"},
    };
    g_autofree char *path = path_of("refused");
    g_assert_true(configure(NULL, "all", path, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(configure(&error, CASES[i][0], CASES[i][1], NULL));
        g_assert_nonnull(error);
        assert_contains(error->message, CASES[i][2]);
    }
    /* What was in force stays so. */
    conf_log(CONF_LOG_STARTED, "after", "refusals", NULL);
    g_autofree char *text = read_log(path);
    assert_contains(text, "after=refusals");
}

static void
test_repeated_lines(void)
{
    g_autofree char *path = path_of("repeated");
    g_assert_true(configure(NULL, "all", path, NULL));
    for (unsigned i = 0; i < 500; i++)
        conf_log(CONF_LOG_DESCRIPTORS_EXHAUSTED, "n", conf_log_integer(i), NULL);
    conf_log(CONF_LOG_LISTENING, "other", "id", NULL);
    g_autofree char *text = wait_for(path, "repeated=");
    unsigned written = count_of(text, " n=");
    assert_contains(text, "other=id");
    g_autofree char *told =
        g_strdup_printf("No descriptors are free, new connections wait repeated=%u\n", 500 - written);
    assert_contains(text, told);
    g_assert_cmpuint(written, >=, 20);
    g_assert_cmpuint(written, <, 200); /* a slow machine may see a few seconds go by */
    /* The next second is like the first. */
    conf_log(CONF_LOG_DESCRIPTORS_EXHAUSTED, "again", "yes", NULL);
    g_autofree char *later = read_log(path);
    assert_contains(later, "again=yes");
}

static unsigned
count_files(const char *prefix)
{
    g_autoptr(GDir) listing = g_dir_open(folder, 0, NULL);
    unsigned count = 0;
    const char *name;
    while ((name = g_dir_read_name(listing)) != NULL)
        count += g_str_has_prefix(name, prefix);
    return count;
}

static void
test_segments(void)
{
    g_autofree char *path = path_of("seg");
    g_autofree char *foreign = path_of("seg.20200101-000000-00");
    g_autofree char *old = path_of("seg.20200101-000000-000");
    g_autofree char *value = g_strnfill(900, 's');
    g_assert_true(g_file_set_contents(foreign, "mine", -1, NULL));
    g_assert_true(g_file_set_contents(old, "an old segment", -1, NULL));
    g_assert_true(configure(NULL, "all", path, "segment", "1 KB", "expire", "3 file", NULL));
    for (unsigned i = 0; i < 10; i++)
        conf_log(CONF_LOG_LISTENING, "n", conf_log_integer(i), "value", value, NULL);
    g_autofree char *text = read_log(path);
    /* One line fits in a segment; the newest is in the file of the name given. */
    g_assert_cmpuint(count_of(text, "\n"), ==, 1);
    assert_contains(text, " n=9 ");
    g_assert_cmpuint(count_files("seg"), ==, 3 + 1);
    g_assert_true(g_file_test(foreign, G_FILE_TEST_EXISTS));
    g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
}

static void
test_segments_by_day(void)
{
    g_autofree char *path = path_of("day");
    g_autofree char *old = path_of("day.20200101-000000-000");
    g_autofree char *fresh = path_of("day.20200102-000000-000");
    g_assert_true(g_file_set_contents(old, "old", -1, NULL));
    g_assert_true(g_file_set_contents(fresh, "fresh", -1, NULL));
    struct timespec times[2] = {{.tv_sec = 1577836800}, {.tv_sec = 1577836800}};
    g_assert_cmpint(utimensat(AT_FDCWD, old, times, 0), ==, 0);
    g_assert_true(configure(NULL, "all", path, "segment", "1 hr", "expire", "7 day", NULL));
    conf_log_flush(10000);
    g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(fresh, G_FILE_TEST_EXISTS));
}

static void
test_reopen(void)
{
    g_autofree char *path = path_of("reopened");
    g_autofree char *moved = path_of("moved");
    g_assert_true(configure(NULL, "all", path, NULL));
    conf_log(CONF_LOG_PLUGIN_MISSING, "before", "1", NULL);
    conf_log_flush(10000);
    g_assert_cmpint(g_rename(path, moved), ==, 0);
    conf_log(CONF_LOG_PLUGIN_MISSING, "between", "1", NULL);
    conf_log_reopen();
    conf_log_flush(10000);
    conf_log(CONF_LOG_PLUGIN_MISSING, "after", "1", NULL);
    g_autofree char *old_text = read_log(moved);
    g_autofree char *new_text = read_log(path);
    assert_contains(old_text, "before=1");
    assert_contains(old_text, "between=1");
    g_assert_null(strstr(old_text, "after"));
    assert_contains(new_text, "after=1");
}

/* A full disk: told once by the other outputs, not once a line. */
static void
test_full_disk(void)
{
    g_autofree char *path = path_of("beside-full");
    g_autofree char *both = g_strdup_printf("/dev/full,%s", path);
    g_assert_true(configure(NULL, "all", both, NULL));
    for (unsigned i = 0; i < 10; i++) {
        conf_log(CONF_LOG_PLUGIN_MESSAGE_WARNING, "n", conf_log_integer(i), NULL);
        conf_log_flush(10000);
    }
    g_autofree char *text = read_log(path);
    g_assert_cmpuint(count_of(text, " n="), ==, 10);
    g_assert_cmpuint(count_of(text, "Log output cannot be written output=/dev/full"), ==, 1);
}

/* A reader that does not read: the caller goes on, the file beside it gets every line, and the loss is told.
 */
static void
test_stopped_reader(void)
{
    g_autofree char *pipe_path = path_of("pipe");
    g_autofree char *path = path_of("beside-pipe");
    g_autofree char *both = g_strdup_printf("%s,%s", pipe_path, path);
    g_autofree char *value = g_strnfill(1500, 'p');
    g_assert_cmpint(mkfifo(pipe_path, 0600), ==, 0);
    int reader = g_open(pipe_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(reader, >=, 0);
    g_assert_true(configure(NULL, "all", both, NULL));

    static const ConfLogId IDS[] = {CONF_LOG_OPTION_REFUSED, CONF_LOG_SLOW_TURN, CONF_LOG_OPTION_UNKNOWN};
    gint64 begin = g_get_monotonic_time();
    for (unsigned i = 0; i < 54; i++) /* 240 KB: a pipe takes 64 */
        conf_log(IDS[i % 3], "n", conf_log_integer(i), "a", value, "b", value, "c", value, NULL);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 5 * G_USEC_PER_SEC);
    g_autofree char *text = read_log(path);
    g_assert_cmpuint(count_of(text, " n="), ==, 54);
    assert_contains(text, "Log output cannot be written output=");

    char sink[65536];
    while (read(reader, sink, sizeof(sink)) > 0)
        continue;
    conf_log(CONF_LOG_PLUGIN_MESSAGE_NOTICE, "after", "1", NULL);
    g_autofree char *told = wait_for(path, "Log lines were dropped");
    assert_contains(told, "count=");
    ssize_t got = read(reader, sink, sizeof(sink) - 1);
    g_assert_cmpint(got, >, 0);
    sink[got] = '\0';
    /* The end of the line that was torn is put before the next. */
    assert_contains(sink, " after=1\n");
    g_assert_true(configure(NULL, "all", path, NULL));
    conf_log_flush(10000);
    close(reader);
}

static int
listen_as_syslog(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_unlink(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    return fd;
}

static void
test_syslog(void)
{
    g_autofree char *socket_path = path_of("devlog");
    g_autofree char *path = path_of("beside-syslog");
    g_autofree char *both = g_strdup_printf("syslog,%s", path);
    char packet[4096];
    conf_log_syslog_path = socket_path;
    g_assert_true(configure(NULL, "all", both, NULL));
    conf_log(CONF_LOG_PLUGIN_LOADED, "hidden", "1", NULL);
    conf_log(CONF_LOG_STARTED, "nobody", "listens", NULL);
    g_autofree char *text = wait_for(path, "Log output cannot be written output=syslog");
    g_assert_null(strstr(text, "hidden"));

    /* The daemon comes, and is started anew later: lines reach whoever listens. */
    for (unsigned round = 0; round < 2; round++) {
        int daemon = listen_as_syslog(socket_path);
        conf_log(CONF_LOG_STARTED, "some", "one", NULL);
        conf_log_flush(10000);
        /* That lines before it were lost may be told first. */
        do {
            ssize_t got = recv(daemon, packet, sizeof(packet) - 1, 0);
            g_assert_cmpint(got, >, 0);
            packet[got] = '\0';
        } while (strstr(packet, "Server is started") == NULL);
        g_assert_true(g_regex_match_simple("^<29>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [^ ]+\\[[0-9]+\\]: "
                                           "8001 Server is started some=one$",
                                           packet, 0, 0));
        close(daemon);
    }
    g_autofree char *told = wait_for(path, "Log lines were dropped");
    /* The line that told of the failure was lost there too. */
    assert_contains(told, "output=syslog count=2\n");

    /* A daemon that does not read holds nobody up. */
    int daemon = listen_as_syslog(socket_path);
    gint64 begin = g_get_monotonic_time();
    g_autofree char *value = g_strnfill(2000, 'd');
    for (unsigned i = 0; i < 18; i++) /* 36 KB each: more than the socket takes */
        conf_log(CONF_LOG_PLUGIN_MESSAGE_ERROR, "a", value, "b", value, "c", value, "d", value, "e", value,
                 "f", value, "g", value, "h", value, "i", value, "k", value, "l", value, "m", value, "n",
                 value, "o", value, "p", value, "q", value, "r", value, "s", value, NULL);
    conf_log_flush(20000);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 10 * G_USEC_PER_SEC);
    g_autofree char *full = read_log(path);
    g_assert_cmpuint(count_of(full, "output=syslog"), ==, 3);
    g_assert_cmpuint(count_of(full, " s=ddd"), ==, 18);
    g_assert_true(configure(NULL, "all", path, NULL));
    conf_log_flush(10000);
    close(daemon);
}

static void *
log_from_thread(void *data)
{
    g_autofree char *value = g_strnfill(2000, 't');
    for (unsigned id = 0; id < CONF_LOG_ID_COUNT; id++)
        for (unsigned i = 0; i < 20; i++)
            conf_log((ConfLogId)id, "x", value, "x", value, "x", value, "x", value, "x", value, "x", value,
                     NULL);
    return NULL;
}

/* More than the queue holds, from several threads: every line is written, counted as repeated, or counted as
 * dropped. */
static void
test_nothing_is_lost_silently(void)
{
    enum { THREADS = 4 };
    g_autofree char *path = path_of("crowd");
    g_assert_true(configure(NULL, "verbose", "all", "all", path, NULL));
    GThread *threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("crowd", log_from_thread, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);

    const uint64_t sent = (uint64_t)THREADS * CONF_LOG_ID_COUNT * 20;
    gint64 until = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    for (;;) {
        g_autofree char *text = read_log(path);
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        uint64_t accounted = 0;
        for (unsigned i = 0; lines[i] != NULL; i++) {
            const char *number = strstr(lines[i], " repeated=");
            if (number == NULL && strstr(lines[i], " 1003 ") != NULL)
                number = strstr(lines[i], " count=");
            accounted += strstr(lines[i], " x=") != NULL;
            if (number != NULL)
                accounted += g_ascii_strtoull(strchr(number, '=') + 1, NULL, 10);
        }
        if (accounted == sent)
            break;
        g_assert_cmpuint(accounted, <, sent);
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(20000);
    }
}

static void
test_before_configuration(void)
{
    if (g_test_subprocess()) {
        conf_log(CONF_LOG_STARTED, "to", "stderr", NULL);
        conf_log(CONF_LOG_PLUGIN_LOADED, "info", "hidden", NULL);
        return; /* the exit itself writes what is queued */
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*notice 8001 Server is started to=stderr*");
    g_test_trap_assert_stderr_unmatched("*hidden*");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("confserv-log-XXXXXX", NULL);
    g_assert_nonnull(folder);
    g_test_add_func("/base/log/numbers-are-unique", test_numbers_are_unique);
    g_test_add_func("/base/log/short-form", test_short_form);
    g_test_add_func("/base/log/values-are-tamed", test_values_are_tamed);
    g_test_add_func("/base/log/long-value-is-cut", test_long_value_is_cut);
    g_test_add_func("/base/log/full-and-medium-forms", test_full_and_medium_forms);
    g_test_add_func("/base/log/json-form", test_json_form);
    g_test_add_func("/base/log/levels", test_levels);
    g_test_add_func("/base/log/verbose", test_verbose);
    g_test_add_func("/base/log/refused-settings", test_refused_settings);
    g_test_add_func("/base/log/repeated-lines", test_repeated_lines);
    g_test_add_func("/base/log/segments", test_segments);
    g_test_add_func("/base/log/segments-by-day", test_segments_by_day);
    g_test_add_func("/base/log/reopen", test_reopen);
    g_test_add_func("/base/log/full-disk", test_full_disk);
    g_test_add_func("/base/log/stopped-reader", test_stopped_reader);
    g_test_add_func("/base/log/syslog", test_syslog);
    g_test_add_func("/base/log/nothing-is-lost-silently", test_nothing_is_lost_silently);
    g_test_add_func("/base/log/before-configuration", test_before_configuration);
    int result = g_test_run();
    remove_all(folder);
    g_free(folder);
    return result;
}
