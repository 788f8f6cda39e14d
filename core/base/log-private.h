/* log-private.h - what the files of the log share: a line on its way, how it is written, where it goes. */
#pragma once

#include "base/buffer.h"
#include "base/log.h"

enum {
    CONF_LOG_QUEUE_MAX = 1024 * 1024, /* bytes of lines that wait for the writer */
    CONF_LOG_VALUE_MAX = 2048,        /* bytes of one value; what is longer is cut */
    CONF_LOG_PAIRS_MAX = 32,
};

typedef enum { CONF_LOG_SHORT, CONF_LOG_MEDIUM, CONF_LOG_FULL, CONF_LOG_JSON } ConfLogFormat;

typedef struct {
    unsigned number;
    ConfLogLevel level;
    const char *name;
    const char *sentence;
    const char *advice; /* "": none */
} ConfLogMessage;

const ConfLogMessage *conf_log_message(ConfLogId id);

typedef struct {
    ConfLogId id;
    int64_t wall_ms;
    unsigned pair_count;
    const char *pairs; /* key NUL value NUL, and so on */
} ConfLogLine;

/* log-format.c: one line with its end. */
void conf_log_format(ConfBuffer *buffer, const ConfLogLine *line, ConfLogFormat format);
/* The sentence and its pairs alone, without end: syslog adds time and level itself. */
void conf_log_format_message(ConfBuffer *buffer, const ConfLogLine *line, ConfLogFormat format);

/* log-output.c.  Made by the main thread, used by the writer alone from then on. */
typedef struct ConfLogOutput ConfLogOutput;
typedef struct {
    int64_t segment_size; /* bytes; 0: no limit */
    int64_t segment_ms;   /* 0: no limit */
    int64_t expire_files; /* with the file being written; 0: no limit */
    int64_t expire_ms;    /* 0: no limit */
} ConfLogFileLimits;

extern const char *conf_log_syslog_path;
/* `name`: stdout, stderr, syslog, or a path. */
ConfLogOutput *conf_log_output_new(const char *name, ConfLogLevel level, const ConfLogFileLimits *limits,
                                   GError **error);
void conf_log_output_free(ConfLogOutput *output);
const char *conf_log_output_get_name(const ConfLogOutput *output);
ConfLogLevel conf_log_output_get_level(const ConfLogOutput *output);
void conf_log_output_add(ConfLogOutput *output, const ConfLogLine *line, ConfLogFormat format,
                         ConfSlice text);
void conf_log_output_flush(ConfLogOutput *output);
void conf_log_output_reopen(ConfLogOutput *output);

/* log-file.c: files with rotation. */
typedef struct {
    char *path;
    int fd;
    bool is_regular; /* else: a device or a pipe, which does not rotate */
    ConfLogFileLimits limits;
    int64_t size;
    int64_t started_ms; /* wall clock: of the first line */
    int64_t retry_ms;   /* after a rotation that failed: not before this */
} ConfLogFile;

bool conf_log_file_open(ConfLogFile *file, GError **error);
/* Do the limits ask for a new segment before `extra` bytes, with `pending` bytes not yet written? */
bool conf_log_file_is_full(const ConfLogFile *file, size_t pending, size_t extra);
/* Begins a new segment.  False: could not; the old one goes on, and for a minute this does nothing. */
bool conf_log_file_rotate(ConfLogFile *file, GError **error);

/* log-config.c: section [log] as outputs. */
typedef struct {
    GPtrArray *outputs; /* ConfLogOutput */
    ConfLogFormat format;
    int64_t check_point_ms; /* 0: none */
} ConfLogPlan;

/* *verbose: borrowed for ever. */
ConfLogPlan *conf_log_plan_new(const ConfSettings *settings, const char **verbose, GError **error);
void conf_log_plan_free(ConfLogPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfLogPlan, conf_log_plan_free)
/* Until configured: standard error. */
ConfLogPlan *conf_log_plan_new_default(void);
/* The least urgent level that any output takes; -1: there is none. */
int conf_log_plan_get_level(const ConfLogPlan *plan);
/* The words of option verbose: NULL is returned for others, else the same word, borrowed for ever. */
const char *conf_log_parse_verbose(const char *word, int *level);
