/* account-file.c - see account-file-private.h.
 *
 * The first line names the environment, each further one is an account: type, dbid, last log-in, wrong
 * passwords, since, last, locked until, forced since. */
#include "access/account-file-private.h"

#include "base/log.h"
#include "base/queue-main.h"
#include "base/timer-wheel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    WRITE_AFTER_MS = 2000, /* and a second more for each 10,000 accounts: the whole file is written */
    FIELDS = 8,
    AT_LOCKED_UNTIL = 6,
};
#define YEAR_9999_MS G_GINT64_CONSTANT(253402300799999)
#define FORMAT "confserv-accounts-1 "

typedef struct {
    char *path;
    char environment[37];
    GArray *records;
    ConfAccountFile *file; /* NULL: it was closed meanwhile, or waits for this itself */
    int fault;             /* errno; 0: written */
} Writing;

struct ConfAccountFile {
    char *path;
    char environment[37];
    GArray *(*snapshot)(void *data);
    void *data;
    ConfTimer timer;
    GThread *thread; /* is writing */
    bool changed;    /* since the last snapshot */
    bool failed;     /* the last time, and it was said */
};

static void read_file(ConfAccountFile *file, void (*load)(const ConfAccountRecord *record, void *data));
static bool read_record(const char *line, ConfAccountRecord *record);
static void due(void *data);
static Writing *begin(ConfAccountFile *file);
static void *write_all(void *data);
static int write_records(const Writing *writing);
static void written(void *data);
static void take_outcome(ConfAccountFile *file, const Writing *writing);
static void write_later(ConfAccountFile *file, unsigned count);
static void writing_free(Writing *writing);

ConfAccountFile *
conf_account_file_open(const char *folder, const char *environment,
                       void (*load)(const ConfAccountRecord *record, void *data),
                       GArray *(*snapshot)(void *data), void *data)
{
    ConfAccountFile *file = g_new0(ConfAccountFile, 1);
    file->path = g_build_filename(folder, "confserv.accounts", NULL);
    g_strlcpy(file->environment, environment, sizeof file->environment);
    file->snapshot = snapshot;
    file->data = data;
    read_file(file, load);
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
read_file(ConfAccountFile *file, void (*load)(const ConfAccountRecord *record, void *data))
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(file->path, &text, NULL, &error)) {
        if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            conf_log(CONF_LOG_ACCOUNTS_NOT_READ, "file", file->path, "reason", error->message, NULL);
        return;
    }
    g_autofree char *head = g_strconcat(FORMAT, file->environment, "\n", NULL);
    if (!g_str_has_prefix(text, FORMAT)) {
        conf_log(CONF_LOG_ACCOUNTS_NOT_READ, "file", file->path, "reason", "It is no file of accounts", NULL);
        return;
    }
    if (!g_str_has_prefix(text, head))
        return; /* Of other data. */
    unsigned faults = 0;
    for (char *line = text + strlen(head), *next; *line != '\0'; line = next) {
        next = strchrnul(line, '\n');
        if (*next != '\0')
            *next++ = '\0';
        ConfAccountRecord record;
        if (read_record(line, &record))
            load(&record, file->data);
        else
            faults++;
    }
    if (faults > 0)
        conf_log(CONF_LOG_ACCOUNTS_NOT_READ, "file", file->path, "lines", conf_log_integer(faults), "reason",
                 "They are no accounts", NULL);
}

static bool
read_record(const char *line, ConfAccountRecord *record)
{
    int64_t values[FIELDS];
    const char *at = line;
    for (unsigned i = 0; i < FIELDS; i++) {
        char *rest;
        if (*at == ' ')
            at++;
        if (!g_ascii_isdigit(*at))
            return false;
        values[i] = g_ascii_strtoll(at, &rest, 10);
        at = rest;
        if (i != AT_LOCKED_UNTIL && values[i] > YEAR_9999_MS)
            return false;
    }
    if (*at != '\0' || values[0] > UINT16_MAX || values[1] == 0)
        return false;
    *record = (ConfAccountRecord){.key = {.type = (ConfTypeId)values[0], .dbid = values[1]},
                                  .last_login_ms = values[2],
                                  .wrong = MIN(values[3], CONF_ACCOUNT_WRONG_MAX),
                                  .wrong_since_ms = values[4],
                                  .wrong_at_ms = values[5],
                                  .locked_until_ms = values[6],
                                  .forced_ms = values[7]};
    return true;
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
    write_later(file, writing->records->len);
    writing_free(writing);
}

static Writing *
begin(ConfAccountFile *file)
{
    Writing *writing = g_new0(Writing, 1);
    writing->path = g_strdup(file->path);
    g_strlcpy(writing->environment, file->environment, sizeof writing->environment);
    writing->records = file->snapshot(file->data);
    file->changed = false;
    return writing;
}

/* In its thread (at the end: in the main one). */
static void *
write_all(void *data)
{
    Writing *writing = data;
    writing->fault = write_records(writing);
    if (writing->file != NULL)
        conf_main_queue_push(written, writing);
    return writing;
}

static int
write_records(const Writing *writing)
{
    g_autofree char *fresh = g_strconcat(writing->path, ".new", NULL);
    g_autoptr(GString) text = g_string_new(FORMAT);
    g_string_append_printf(text, "%s\n", writing->environment);
    for (unsigned i = 0; i < writing->records->len; i++) {
        const ConfAccountRecord *record = &g_array_index(writing->records, ConfAccountRecord, i);
        const int64_t values[FIELDS - 1] = {
            record->key.dbid,    record->last_login_ms,   record->wrong,    record->wrong_since_ms,
            record->wrong_at_ms, record->locked_until_ms, record->forced_ms};
        g_string_append_printf(text, "%u", (unsigned)record->key.type);
        for (unsigned n = 0; n < G_N_ELEMENTS(values); n++)
            g_string_append_printf(text, " %" G_GINT64_FORMAT, values[n]);
        g_string_append_c(text, '\n');
    }
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
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
    if (fault == 0 && rename(fresh, writing->path) != 0)
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
        write_later(file, writing->records->len);
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
    g_array_unref(writing->records);
    g_free(writing->path);
    g_free(writing);
}
