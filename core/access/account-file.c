/* account-file.c - see account-file-private.h.
 *
 * The first line names the environment.  Then, "own NAME NUMBER" and "of NAME NUMBER": this server and
 * those below as reporters, and the last report that was taken.  Each further line is an account: type,
 * dbid, last log-in, wrong passwords, since, last, locked until, forced since, last right password, set
 * anew, and what the server above was not told of: 1 for the log-in, 2 for the right password, 4 for the
 * lock, and the number of wrong ones. Format 1 has neither reporters nor the last four. */
#include "access/account-file-private.h"

#include "base/log.h"
#include "base/queue-main.h"
#include "base/timer-wheel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WRITE_AFTER_MS = 300, /* and a second more for each 10,000 accounts: the whole file is written */
    FIELDS = 12,
    FIELDS_1 = 8,
    AT_LOCKED_UNTIL = 6,
    UNTOLD_LOGIN = 1,
    UNTOLD_RIGHT = 2,
    UNTOLD_LOCK = 4,
};
#define SIZE_MAX_BYTES ((off_t)512 << 20) /* Of some five million accounts. */
#define FORMAT_1 "confserv-accounts-1 "
#define FORMAT "confserv-accounts-2 "

typedef struct {
    char *path;
    char environment[37];
    ConfAccountSnapshot snapshot;
    ConfAccountFile *file; /* NULL: it was closed meanwhile, or waits for this itself */
    int fault;             /* errno; 0: written */
} Writing;

struct ConfAccountFile {
    char *path;
    char environment[37];
    ConfAccountFileHost host;
    ConfTimer timer;
    GThread *thread; /* is writing */
    bool changed;    /* since the last snapshot */
    bool failed;     /* the last time, and it was said */
};

static void read_file(ConfAccountFile *file);
static char *read_text(const char *path, const char **why);
static bool read_line(ConfAccountFile *file, const char *line, unsigned fields);
static bool read_origin(const char *text, ConfAccountOrigin *origin);
static bool read_record(const char *line, unsigned fields, ConfAccountRecord *record);
static void put_aside(const ConfAccountFile *file, const char *why, unsigned lines);
static void due(void *data);
static Writing *begin(ConfAccountFile *file);
static void *write_all(void *data);
static GString *text_of(const Writing *writing);
static int write_text(const char *path, const GString *text);
static void written(void *data);
static void take_outcome(ConfAccountFile *file, const Writing *writing);
static void write_later(ConfAccountFile *file, unsigned count);
static void writing_free(Writing *writing);

ConfAccountFile *
conf_account_file_open(const char *folder, const char *environment, const ConfAccountFileHost *host)
{
    ConfAccountFile *file = g_new0(ConfAccountFile, 1);
    file->path = g_build_filename(folder, "confserv.accounts", NULL);
    g_strlcpy(file->environment, environment, sizeof file->environment);
    file->host = *host;
    read_file(file);
    return file;
}

void
conf_account_file_close(ConfAccountFile *file)
{
    if (file == NULL)
        return;
    conf_timer_cancel(&file->timer);
    if (file->thread != NULL) {
        Writing *writing = g_thread_join(file->thread);
        take_outcome(file, writing);
        writing->file = NULL; /* written() comes still, and frees it. */
    }
    if (file->changed) {
        Writing *writing = write_all(begin(file));
        take_outcome(file, writing);
        writing_free(writing);
    }
    g_free(file->path);
    g_free(file);
}

void
conf_account_file_change(ConfAccountFile *file)
{
    file->changed = true;
    write_later(file, 0);
}

void
conf_account_file_set_environment(ConfAccountFile *file, const char *environment)
{
    g_strlcpy(file->environment, environment, sizeof file->environment);
    conf_account_file_change(file);
}

static void
read_file(ConfAccountFile *file)
{
    const char *why = NULL;
    g_autofree char *text = read_text(file->path, &why);
    if (text == NULL) {
        if (why != NULL)
            put_aside(file, why, 0);
        return;
    }
    bool is_first = g_str_has_prefix(text, FORMAT_1);
    if (!is_first && !g_str_has_prefix(text, FORMAT)) {
        put_aside(file, "It is no file of accounts", 0);
        return;
    }
    g_autofree char *head = g_strconcat(is_first ? FORMAT_1 : FORMAT, file->environment, "\n", NULL);
    if (!g_str_has_prefix(text, head))
        return; /* Of other data. */
    unsigned faults = 0;
    for (char *line = text + strlen(head), *next; *line != '\0'; line = next) {
        next = strchrnul(line, '\n');
        bool is_whole = *next != '\0'; /* A number that was cut is another number. */
        if (is_whole)
            *next++ = '\0';
        if (!is_whole || !read_line(file, line, is_first ? FIELDS_1 : FIELDS))
            faults++;
    }
    if (faults > 0)
        put_aside(file, "They are no accounts", faults);
}

/* NULL: *why, or there is none. */
static char *
read_text(const char *path, const char **why)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        *why = errno == ENOENT ? NULL : g_strerror(errno);
        return NULL;
    }
    if (fstat(fd, &status) != 0)
        *why = g_strerror(errno);
    else if (!S_ISREG(status.st_mode))
        *why = "It is no regular file";
    else if (status.st_size > SIZE_MAX_BYTES)
        *why = "It is too large";
    g_autofree char *text = *why == NULL ? g_malloc((size_t)status.st_size + 1) : NULL;
    size_t done = 0;
    while (text != NULL && *why == NULL && done < (size_t)status.st_size) {
        ssize_t size = read(fd, text + done, (size_t)status.st_size - done);
        if (size > 0)
            done += (size_t)size;
        else if (size == 0)
            break;
        else if (errno != EINTR)
            *why = g_strerror(errno);
    }
    close(fd);
    if (text == NULL || *why != NULL)
        return NULL;
    text[done] = '\0';
    if (strlen(text) != done) {
        *why = "It has a NUL";
        return NULL;
    }
    return g_steal_pointer(&text);
}

static bool
read_line(ConfAccountFile *file, const char *line, unsigned fields)
{
    ConfAccountRecord record;
    ConfAccountOrigin origin = {.own = g_str_has_prefix(line, "own ")};
    if (origin.own || g_str_has_prefix(line, "of ")) {
        if (!read_origin(strchr(line, ' ') + 1, &origin))
            return false;
        file->host.load_origin(&origin, file->host.data);
        return true;
    }
    if (!read_record(line, fields, &record))
        return false;
    file->host.load(&record, file->host.data);
    return true;
}

static bool
read_origin(const char *text, ConfAccountOrigin *origin)
{
    const char *end = strchrnul(text, ' ');
    char *rest = NULL;
    if (end == text || *end == '\0' || (size_t)(end - text) >= sizeof origin->name ||
        !g_ascii_isdigit(end[1]))
        return false;
    memcpy(origin->name, text, (size_t)(end - text));
    origin->name[end - text] = '\0';
    origin->last = g_ascii_strtoll(end + 1, &rest, 10);
    return *rest == '\0' && origin->last <= CONF_ACCOUNT_REPORT_MAX;
}

static bool
read_record(const char *line, unsigned fields, ConfAccountRecord *record)
{
    int64_t values[FIELDS] = {0};
    const char *at = line;
    for (unsigned i = 0; i < fields; i++) {
        char *rest;
        if (i > 0 && *at++ != ' ')
            return false;
        if (!g_ascii_isdigit(*at))
            return false;
        values[i] = g_ascii_strtoll(at, &rest, 10);
        at = rest;
        if (i != AT_LOCKED_UNTIL && values[i] > CONF_ACCOUNT_FOREVER_MS)
            return false;
    }
    if (*at != '\0' || values[0] > UINT16_MAX || values[1] == 0)
        return false;
    *record = (ConfAccountRecord){.key = {.type = (ConfTypeId)values[0], .dbid = values[1]},
                                  .last_login_ms = values[2],
                                  .wrong = MIN(values[3], CONF_ACCOUNT_WRONG_MAX),
                                  .wrong_since_ms = values[4],
                                  .wrong_at_ms = values[5],
                                  .locked_until_ms = MIN(values[6], CONF_ACCOUNT_FOREVER_MS),
                                  .forced_ms = values[7],
                                  .right_ms = values[8],
                                  .anew_ms = values[9],
                                  .untold_login = (values[10] & UNTOLD_LOGIN) != 0,
                                  .untold_right = (values[10] & UNTOLD_RIGHT) != 0,
                                  .untold_lock = (values[10] & UNTOLD_LOCK) != 0,
                                  .untold_wrong = MIN(values[11], CONF_ACCOUNT_WRONG_MAX)};
    return true;
}

/* It is about to be written anew: whoever wants to know what it was finds it beside. */
static void
put_aside(const ConfAccountFile *file, const char *why, unsigned lines)
{
    g_autofree char *aside = g_strconcat(file->path, ".bad", NULL);
    if (rename(file->path, aside) != 0)
        *aside = '\0';
    conf_log(CONF_LOG_ACCOUNTS_NOT_READ, "file", file->path, "lines",
             lines > 0 ? conf_log_integer(lines) : NULL, "reason", why, "kept", aside, NULL);
}

static void
due(void *data)
{
    ConfAccountFile *file = data;
    g_autoptr(GError) error = NULL;
    Writing *writing = begin(file);
    writing->file = file;
    file->thread = g_thread_try_new("accounts", write_all, writing, &error);
    if (file->thread != NULL)
        return;
    writing->fault = EAGAIN;
    take_outcome(file, writing);
    write_later(file, writing->snapshot.records->len);
    writing_free(writing);
}

static Writing *
begin(ConfAccountFile *file)
{
    Writing *writing = g_new0(Writing, 1);
    writing->path = g_strdup(file->path);
    g_strlcpy(writing->environment, file->environment, sizeof writing->environment);
    file->host.snapshot(&writing->snapshot, file->host.data);
    file->changed = false;
    return writing;
}

/* In its thread (at the end: in the main one). */
static void *
write_all(void *data)
{
    Writing *writing = data;
    g_autofree char *fresh = g_strconcat(writing->path, ".new", NULL);
    g_autoptr(GString) text = text_of(writing);
    writing->fault = write_text(fresh, text);
    if (writing->fault == 0 && rename(fresh, writing->path) != 0)
        writing->fault = errno;
    if (writing->fault != 0)
        unlink(fresh); /* On a full disk it only takes room. */
    if (writing->file != NULL)
        conf_main_queue_push(written, writing);
    return writing;
}

static GString *
text_of(const Writing *writing)
{
    GString *text = g_string_new(FORMAT);
    g_string_append_printf(text, "%s\n", writing->environment);
    for (unsigned i = 0; i < writing->snapshot.origins->len; i++) {
        const ConfAccountOrigin *origin = &g_array_index(writing->snapshot.origins, ConfAccountOrigin, i);
        g_string_append_printf(text, "%s %s %" G_GINT64_FORMAT "\n", origin->own ? "own" : "of", origin->name,
                               origin->last);
    }
    for (unsigned i = 0; i < writing->snapshot.records->len; i++) {
        const ConfAccountRecord *record = &g_array_index(writing->snapshot.records, ConfAccountRecord, i);
        int untold = (record->untold_login ? UNTOLD_LOGIN : 0) | (record->untold_right ? UNTOLD_RIGHT : 0) |
                     (record->untold_lock ? UNTOLD_LOCK : 0);
        const int64_t values[FIELDS] = {record->key.type,
                                        record->key.dbid,
                                        record->last_login_ms,
                                        record->wrong,
                                        record->wrong_since_ms,
                                        record->wrong_at_ms,
                                        record->locked_until_ms,
                                        record->forced_ms,
                                        record->right_ms,
                                        record->anew_ms,
                                        untold,
                                        record->untold_wrong};
        for (unsigned n = 0; n < FIELDS; n++)
            g_string_append_printf(text, "%s%" G_GINT64_FORMAT, n > 0 ? " " : "", values[n]);
        g_string_append_c(text, '\n');
    }
    return text;
}

/* An errno, or 0. */
static int
write_text(const char *path, const GString *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno;
    size_t done = 0;
    int fault = 0;
    while (fault == 0 && done < text->len) {
        ssize_t size = write(fd, text->str + done, text->len - done);
        if (size > 0)
            done += (size_t)size;
        else if (size == 0 || errno != EINTR)
            fault = size == 0 ? EIO : errno;
    }
    if (fault == 0 && fdatasync(fd) != 0)
        fault = errno;
    if (close(fd) != 0 && fault == 0)
        fault = errno;
    return fault;
}

static void
written(void *data)
{
    Writing *writing = data;
    ConfAccountFile *file = writing->file;
    if (file != NULL) {
        g_thread_join(file->thread);
        file->thread = NULL;
        take_outcome(file, writing);
        write_later(file, writing->snapshot.records->len);
    }
    writing_free(writing);
}

/* Said once, until it goes well again. */
static void
take_outcome(ConfAccountFile *file, const Writing *writing)
{
    if (writing->fault != 0) {
        if (!file->failed)
            conf_log(CONF_LOG_ACCOUNTS_NOT_WRITTEN, "file", file->path, "reason", g_strerror(writing->fault),
                     NULL);
        file->changed = true;
    }
    file->failed = writing->fault != 0;
}

static void
write_later(ConfAccountFile *file, unsigned count)
{
    if (file->changed && file->thread == NULL && !conf_timer_is_armed(&file->timer))
        conf_timer_arm(&file->timer, WRITE_AFTER_MS + count / 10, due, file);
}

static void
writing_free(Writing *writing)
{
    g_array_unref(writing->snapshot.records);
    g_array_unref(writing->snapshot.origins);
    g_free(writing->path);
    g_free(writing);
}
