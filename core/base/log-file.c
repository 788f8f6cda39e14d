/* log-file.c - a log file: the one being written keeps its name, a full segment is renamed to
 * NAME.YYYYMMDD-HHMMSS-mmm, and old segments are removed.  Writer thread, and the main thread while nothing
 * is written yet. */
#include "base/log-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

/* A rotation that failed (the folder is read-only) is tried again after this. */
static const int64_t RETRY_MS = 60000;

static int64_t read_start(int fd, const struct stat *status);
static bool rotate(ConfLogFile *file, GError **error);
static void remove_old(const ConfLogFile *file);
static void remove_segment(const ConfLogFile *file, const char *folder, const char *name, bool beyond_count);
static bool is_segment(const char *name, const char *base);
static int compare_names_down(const void *a, const void *b);
static bool fail(const char *path, GError **error);

bool
conf_log_file_open(ConfLogFile *file, GError **error)
{
    /* O_NONBLOCK: a named pipe without a reader is an error, and a full one never holds the writer. */
    int fd = open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    struct stat status;
    if (fd < 0)
        return fail(file->path, error);
    if (fstat(fd, &status) != 0) {
        fail(file->path, error);
        close(fd);
        return false;
    }
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    file->is_regular = S_ISREG(status.st_mode);
    file->size = status.st_size;
    file->started_ms = status.st_size > 0 ? read_start(fd, &status) : conf_clock_wall_ms();
    if (file->is_regular)
        remove_old(file);
    return true;
}

bool
conf_log_file_is_full(const ConfLogFile *file, size_t pending, size_t extra)
{
    int64_t size = file->size + (int64_t)pending;
    if (!file->is_regular || size == 0)
        return false;
    if (file->limits.segment_size > 0 && size + (int64_t)extra > file->limits.segment_size)
        return true;
    return file->limits.segment_ms > 0 && conf_clock_wall_ms() - file->started_ms >= file->limits.segment_ms;
}

bool
conf_log_file_rotate(ConfLogFile *file, GError **error)
{
    int64_t now = conf_clock_wall_ms();
    if (now < file->retry_ms && file->retry_ms - now <= RETRY_MS)
        return true;
    if (rotate(file, error))
        return true;
    file->retry_ms = now + RETRY_MS;
    return false;
}

/* When the file was made; where the file system does not know, when it was last written. */
static int64_t
read_start(int fd, const struct stat *status)
{
    struct statx extended;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &extended) == 0 && (extended.stx_mask & STATX_BTIME) != 0)
        return (int64_t)extended.stx_btime.tv_sec * 1000 + extended.stx_btime.tv_nsec / 1000000;
    return (int64_t)status->st_mtim.tv_sec * 1000;
}

static bool
rotate(ConfLogFile *file, GError **error)
{
    int64_t now = conf_clock_wall_ms();
    /* Two segments of one millisecond, or a clock set back: the next free name is taken. */
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        char time[CONF_TIME_TEXT_SIZE];
        conf_clock_format(now + attempt, time);
        g_autofree char *target =
            g_strdup_printf("%s.%.4s%.2s%.2s-%.2s%.2s%.2s-%.3s", file->path, time, time + 5, time + 8,
                            time + 11, time + 14, time + 17, time + 20);
        if (renameat2(AT_FDCWD, file->path, AT_FDCWD, target, RENAME_NOREPLACE) == 0)
            return conf_log_file_open(file, error);
        if (errno == EINVAL && access(target, F_OK) != 0 && rename(file->path, target) == 0)
            return conf_log_file_open(file, error);
        /* Somebody else moved it away: a new one is made. */
        if (errno == ENOENT)
            return conf_log_file_open(file, error);
        if (errno != EEXIST)
            return fail(file->path, error);
    }
    return fail(file->path, error);
}

static void
remove_old(const ConfLogFile *file)
{
    if (file->limits.expire_files == 0 && file->limits.expire_ms == 0)
        return;
    g_autofree char *folder = g_path_get_dirname(file->path);
    g_autofree char *base = g_path_get_basename(file->path);
    /* A folder that cannot be read keeps its segments: nothing is lost by it. */
    g_autoptr(GDir) listing = g_dir_open(folder, 0, NULL);
    if (listing == NULL)
        return;
    g_autoptr(GPtrArray) segments = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    while ((name = g_dir_read_name(listing)) != NULL)
        if (is_segment(name, base))
            g_ptr_array_add(segments, g_strdup(name));
    g_ptr_array_sort(segments, compare_names_down);
    for (unsigned i = 0; i < segments->len; i++) {
        /* The file being written counts as the first. */
        bool beyond_count = file->limits.expire_files > 0 && i + 2 > (uint64_t)file->limits.expire_files;
        remove_segment(file, folder, segments->pdata[i], beyond_count);
    }
}

static void
remove_segment(const ConfLogFile *file, const char *folder, const char *name, bool beyond_count)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    struct stat status;
    if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    int64_t age_ms = conf_clock_wall_ms() - (int64_t)status.st_mtim.tv_sec * 1000;
    bool too_old = file->limits.expire_ms > 0 && age_ms > file->limits.expire_ms;
    if ((beyond_count || too_old) && unlink(path) != 0 && errno != ENOENT)
        conf_log(CONF_LOG_LOG_OUTPUT_FAILED, "output", path, "why", g_strerror(errno), NULL);
}

/* Exactly the names that rotate() gives: nobody else's file is ever removed. */
static bool
is_segment(const char *name, const char *base)
{
    static const char FORM[] = ".00000000-000000-000";
    size_t size = strlen(base);
    if (strncmp(name, base, size) != 0 || strlen(name + size) != sizeof(FORM) - 1)
        return false;
    for (unsigned i = 0; i < sizeof(FORM) - 1; i++) {
        char c = name[size + i];
        if (FORM[i] == '0' ? !g_ascii_isdigit(c) : c != FORM[i])
            return false;
    }
    return true;
}

static int
compare_names_down(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*y, *x);
}

static bool
fail(const char *path, GError **error)
{
    int code = errno == ENOSPC || errno == EDQUOT ? CONF_ERROR_FULL : CONF_ERROR_INVALID;
    g_set_error(error, CONF_ERROR, code, "log file %s: %s", path, g_strerror(errno));
    return false;
}
