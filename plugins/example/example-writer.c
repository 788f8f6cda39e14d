/* example-writer.c - appends to the file without ever holding the main loop up.
 *
 * Lines gather in memory; one job at a time takes all of them to a worker thread, which writes and syncs.
 * While it is away the next lines gather.  A write that fails leaves the file as it was, and the lines
 * are tried again after a while; meanwhile they are bounded by option queue. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "example-private.h"

enum { RETRY_FIRST_MS = 1000, RETRY_LAST_MS = 60000 };

/* Belongs to the main loop, then to the worker, then to the main loop again: no locks. */
typedef struct {
    char *path;
    GString *text;
    GError *error; /* NULL: written */
} Job;

static Job *new_job(Example *self);
static void free_job(Job *job);
static void write_job(void *job);
static bool append_to_file(const char *path, const GString *text, GError **error);
static bool write_all(int fd, const char *data, size_t size);
static void job_done(void *self, void *job);
static void take_back(Example *self, Job *job);
static void retry(void *self, void *data);

void
example_writer_init(Example *self)
{
    self->waiting = g_string_new(NULL);
    self->retry_ms = RETRY_FIRST_MS;
}

void
example_writer_append(Example *self, const char *line)
{
    size_t size = strlen(line);
    /* Every queue has a bound: a disk that is full for a week must not take the server's memory. */
    if (self->waiting->len + size > (size_t)self->settings->queue) {
        self->lost++;
        conf_plugin_log(self->plugin, 1, "A commit is missing in the audit, too much waits to be written",
                        "file", self->settings->file, NULL);
        return;
    }
    g_string_append_len(self->waiting, line, (gssize)size);
    self->entries++;
    /* After a failure the timer says when to try again. */
    if (self->retry_timer == 0)
        example_writer_flush(self);
}

void
example_writer_flush(Example *self)
{
    if (self->is_writing || self->waiting->len == 0)
        return;
    Job *job = new_job(self);
    if (conf_work(self->plugin, write_job, job_done, job)) {
        self->is_writing = true;
        return;
    }
    /* The workers have more than enough to do: try again later. */
    take_back(self, job);
    if (self->retry_timer == 0)
        self->retry_timer = conf_timer(self->plugin, RETRY_FIRST_MS, retry, NULL);
}

void
example_writer_finish(Example *self)
{
    if (self->waiting->len == 0)
        return;
    Job *job = new_job(self);
    write_job(job);
    if (job->error != NULL)
        conf_plugin_log(self->plugin, 0, "The end of the audit is lost", "file", job->path, "reason",
                        job->error->message, NULL);
    free_job(job);
}

static Job *
new_job(Example *self)
{
    Job *job = g_new0(Job, 1);
    job->path = g_path_is_absolute(self->settings->file)
                    ? g_strdup(self->settings->file)
                    : g_build_filename(conf_plugin_get_data_folder(self->plugin), self->settings->file, NULL);
    job->text = self->waiting;
    self->waiting = g_string_new(NULL);
    return job;
}

static void
free_job(Job *job)
{
    g_clear_error(&job->error);
    g_string_free(job->text, TRUE);
    g_free(job->path);
    g_free(job);
}

/* In a worker thread: it may wait for the disk, and must touch nothing but the job. */
static void
write_job(void *data)
{
    Job *job = data;
    append_to_file(job->path, job->text, &job->error);
}

static bool
append_to_file(const char *path, const GString *text, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    struct stat status;
    bool written = fd >= 0 && fstat(fd, &status) == 0;
    if (written && (!write_all(fd, text->str, text->len) || fdatasync(fd) != 0)) {
        int why = errno;
        written = false;
        /* Half a line must not stay, and what stands there must not come twice.  Others than a plain file
         * (a pipe) keep what they got. */
        if (S_ISREG(status.st_mode) && ftruncate(fd, status.st_size) != 0)
            why = errno;
        errno = why;
    }
    if (!written)
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "%s", g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return written;
}

static bool
write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        data += written;
        size -= (size_t)written;
    }
    return true;
}

/* On the main loop again. */
static void
job_done(void *data, void *job_data)
{
    Example *self = data;
    Job *job = job_data;
    self->is_writing = false;
    if (job->error == NULL) {
        self->retry_ms = RETRY_FIRST_MS;
        free_job(job);
        example_writer_flush(self);
        return;
    }
    self->failures++;
    conf_plugin_log(self->plugin, 0, "The audit cannot be written, it will be tried again", "file", job->path,
                    "reason", job->error->message, NULL);
    take_back(self, job);
    self->retry_timer = conf_timer(self->plugin, self->retry_ms, retry, NULL);
    self->retry_ms = MIN(2 * self->retry_ms, (unsigned)RETRY_LAST_MS);
}

/* In front of what came meanwhile. */
static void
take_back(Example *self, Job *job)
{
    GString *text = job->text;
    job->text = self->waiting;
    g_string_append_len(text, job->text->str, (gssize)job->text->len);
    self->waiting = text;
    free_job(job);
}

static void
retry(void *data, void *unused)
{
    Example *self = data;
    self->retry_timer = 0;
    example_writer_flush(self);
}
