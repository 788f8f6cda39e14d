/* log-output.c - where lines go: standard output and error, files, syslog.  Used by the writer thread alone.
 *
 * No output may hold the writer for long, because the others wait behind it: one that takes nothing for a
 * while loses its lines, they are counted, and the count is told when it takes lines again. */
#include "base/log-private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

enum {
    PENDING_MAX = 64 * 1024, /* gathered before a write */
    CHUNK_MAX = 4096,        /* PIPE_BUF: a pipe that says it is writable takes this much without blocking */
    PATIENCE_MS = 200,       /* how long one flush waits for a reader */
    SYSLOG_FACILITY = 3,     /* daemon */
};

/* Where the daemon listens; another one in tests, set before the output is made. */
const char *conf_log_syslog_path = "/dev/log";

typedef enum { OUTPUT_STREAM, OUTPUT_FILE, OUTPUT_SYSLOG } OutputKind;

struct ConfLogOutput {
    OutputKind kind;
    char *name;
    ConfLogLevel level;
    int fd; /* of a stream, of syslog; -1: not connected */
    bool is_socket;
    bool is_failing;      /* the last write failed, and that was told */
    bool has_broken_line; /* what was written last lacks its end */
    uint64_t lost;        /* lines since it is failing */
    ConfBuffer pending;
    ConfLogFile file;
};

static void add_to_file(ConfLogOutput *output, ConfSlice text);
static void add_to_syslog(ConfLogOutput *output, const ConfLogLine *line, ConfLogFormat format);
static bool connect_syslog(ConfLogOutput *output);
static void write_pending(ConfLogOutput *output, int fd);
static ssize_t write_some(ConfLogOutput *output, int fd, ConfSlice rest, int patience_ms);
static void tell_failed(ConfLogOutput *output, const char *why);
static void tell_works(ConfLogOutput *output);
static uint64_t count_lines(ConfSlice text);

ConfLogOutput *
conf_log_output_new(const char *name, ConfLogLevel level, const ConfLogFileLimits *limits, GError **error)
{
    ConfLogOutput *output = g_new0(ConfLogOutput, 1);
    output->name = g_strdup(name);
    output->level = level;
    output->fd = -1;
    output->file.fd = -1;
    if (strcmp(name, "syslog") == 0) {
        output->kind = OUTPUT_SYSLOG;
        return output;
    }
    if (strcmp(name, "stdout") == 0 || strcmp(name, "stderr") == 0) {
        struct stat status;
        output->kind = OUTPUT_STREAM;
        output->fd = strcmp(name, "stdout") == 0 ? STDOUT_FILENO : STDERR_FILENO;
        output->is_socket = fstat(output->fd, &status) == 0 && S_ISSOCK(status.st_mode);
        return output;
    }
    output->kind = OUTPUT_FILE;
    output->file.path = g_strdup(name);
    output->file.limits = *limits;
    if (!conf_log_file_open(&output->file, error)) {
        conf_log_output_free(output);
        return NULL;
    }
    return output;
}

void
conf_log_output_free(ConfLogOutput *output)
{
    if (output == NULL)
        return;
    if (output->kind == OUTPUT_SYSLOG && output->fd >= 0)
        close(output->fd);
    if (output->file.fd >= 0)
        close(output->file.fd);
    g_free(output->file.path);
    conf_buffer_clear(&output->pending);
    g_free(output->name);
    g_free(output);
}

const char *
conf_log_output_get_name(const ConfLogOutput *output)
{
    return output->name;
}

ConfLogLevel
conf_log_output_get_level(const ConfLogOutput *output)
{
    return output->level;
}

void
conf_log_output_add(ConfLogOutput *output, const ConfLogLine *line, ConfLogFormat format, ConfSlice text)
{
    switch (output->kind) {
    case OUTPUT_SYSLOG:
        add_to_syslog(output, line, format);
        return;
    case OUTPUT_FILE:
        add_to_file(output, text);
        break;
    case OUTPUT_STREAM:
        conf_buffer_append_slice(&output->pending, text);
        break;
    }
    if (output->pending.size >= PENDING_MAX)
        conf_log_output_flush(output);
}

void
conf_log_output_flush(ConfLogOutput *output)
{
    if (output->pending.size == 0)
        return;
    write_pending(output, output->kind == OUTPUT_FILE ? output->file.fd : output->fd);
    conf_buffer_truncate(&output->pending, 0);
}

void
conf_log_output_reopen(ConfLogOutput *output)
{
    if (output->kind == OUTPUT_SYSLOG && output->fd >= 0) {
        close(output->fd);
        output->fd = -1;
    }
    if (output->kind != OUTPUT_FILE)
        return;
    conf_log_output_flush(output);
    g_autoptr(GError) error = NULL;
    /* The old file stays in use where the new one cannot be opened. */
    if (!conf_log_file_open(&output->file, &error))
        tell_failed(output, error->message);
    output->has_broken_line = false;
}

static void
add_to_file(ConfLogOutput *output, ConfSlice text)
{
    if (conf_log_file_is_full(&output->file, output->pending.size, text.size)) {
        conf_log_output_flush(output);
        g_autoptr(GError) error = NULL;
        if (!conf_log_file_rotate(&output->file, &error))
            tell_failed(output, error->message);
    }
    conf_buffer_append_slice(&output->pending, text);
}

/* RFC 3164 to /dev/log by hand: syslog() of the C library blocks while the daemon does not read. */
static void
add_to_syslog(ConfLogOutput *output, const ConfLogLine *line, ConfLogFormat format)
{
    static const int SEVERITIES[] = {3, 4, 5, 6, 7};
    if (output->fd < 0 && !connect_syslog(output))
        return;
    const char *program = g_get_prgname();
    time_t seconds = (time_t)(line->wall_ms / 1000);
    struct tm local;
    char stamp[32] = "";
    if (localtime_r(&seconds, &local) != NULL) {
        /* Not strftime's %b: the name of the month must not follow the locale. */
        static const char *const MONTHS[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        g_snprintf(stamp, sizeof(stamp), "%s %2d %02d:%02d:%02d ", MONTHS[local.tm_mon], local.tm_mday,
                   local.tm_hour, local.tm_min, local.tm_sec);
    }

    g_auto(ConfBuffer) packet = CONF_BUFFER_INIT;
    conf_buffer_printf(&packet,
                       "<%d>%s%s[%d]: ", SYSLOG_FACILITY << 3 | SEVERITIES[conf_log_message(line->id)->level],
                       stamp, program != NULL ? program : "confserv", (int)getpid());
    conf_log_format_message(&packet, line, format);
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        if (send(output->fd, packet.data, packet.size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            tell_works(output);
            return;
        }
        /* The daemon was restarted: its socket is another one now. */
        bool is_gone = errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET || errno == EPIPE;
        if (!is_gone || attempt > 0)
            break;
        close(output->fd);
        output->fd = -1;
        if (!connect_syslog(output))
            return;
    }
    output->lost++;
    tell_failed(output, g_strerror(errno));
}

static bool
connect_syslog(ConfLogOutput *output)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, conf_log_syslog_path, sizeof(address.sun_path));
    output->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (output->fd >= 0 && connect(output->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return true;
    int failure = errno;
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
    output->lost++;
    tell_failed(output, g_strerror(failure));
    return false;
}

static void
write_pending(ConfLogOutput *output, int fd)
{
    ConfSlice rest = conf_buffer_slice(&output->pending);
    /* After a failure nobody is waited for until it works again. */
    int64_t until = conf_clock_monotonic_usec() + (output->is_failing ? 0 : PATIENCE_MS * 1000);
    if (output->has_broken_line && write_some(output, fd, CONF_SLICE("\n"), 0) == 1)
        output->has_broken_line = false;
    while (rest.size > 0) {
        int64_t left_usec = MAX(until - conf_clock_monotonic_usec(), 0);
        ssize_t written = write_some(output, fd, rest, (int)(left_usec / 1000));
        if (written < 0) {
            output->lost += count_lines(rest);
            tell_failed(output, g_strerror(errno));
            return;
        }
        output->has_broken_line = written > 0 && rest.data[written - 1] != '\n';
        rest = (ConfSlice){rest.data + written, rest.size - (size_t)written};
    }
    tell_works(output);
}

/* -1 and errno: nothing was written. */
static ssize_t
write_some(ConfLogOutput *output, int fd, ConfSlice rest, int patience_ms)
{
    bool is_file = output->kind == OUTPUT_FILE && output->file.is_regular;
    if (!is_file) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        if (poll(&wait, 1, patience_ms) == 0) {
            errno = EAGAIN;
            return -1;
        }
    }
    size_t size = is_file ? rest.size : MIN(rest.size, (size_t)CHUNK_MAX);
    ssize_t written;
    do
        written = output->is_socket ? send(fd, rest.data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                    : write(fd, rest.data, size);
    while (written < 0 && errno == EINTR);
    if (written > 0 && is_file)
        output->file.size += written;
    return written;
}

/* The other outputs carry it; the one that fails loses this line too. */
static void
tell_failed(ConfLogOutput *output, const char *why)
{
    if (output->is_failing)
        return;
    output->is_failing = true;
    conf_log(CONF_LOG_LOG_OUTPUT_FAILED, "output", output->name, "why", why, NULL);
}

static void
tell_works(ConfLogOutput *output)
{
    output->is_failing = false;
    if (output->lost == 0)
        return;
    conf_log(CONF_LOG_LINES_DROPPED, "output", output->name, "count", conf_log_integer((int64_t)output->lost),
             NULL);
    output->lost = 0;
}

static uint64_t
count_lines(ConfSlice text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    return count;
}
