/* example-private.h - what the files of this plugin share.  Everything runs on the main loop, but for the
 * one function of example-writer.c that says otherwise. */
#pragma once

#include "plugin/confserv-plugin.h"

/* Filled from section [example] by the server; see OPTIONS in example.c. */
typedef struct {
    char *file;
    int64_t format;
    int64_t queue;
} Settings;

enum { FORMAT_TEXT, FORMAT_JSON }; /* as the words of option format */

/* This plugin in one server: what load() returns and every hook is given as self. */
typedef struct {
    ConfPlugin *plugin;
    const Settings *settings; /* the server's; exchanged by changed() */

    /* The writer: lines that no job has yet, and whether one is under way. */
    GString *waiting;
    bool is_writing;
    unsigned retry_timer; /* 0: none */
    unsigned retry_ms;

    /* Statistics: their addresses are known to the server. */
    uint64_t entries;  /* commits noted */
    uint64_t lost;     /* commits not noted, because too much waited */
    uint64_t failures; /* attempts to write that failed */
} Example;

/* example-format.c: the line of a commit, with its line end; g_free(). */
char *example_format(Example *self, const ConfCommit *commit);

/* example-writer.c */
void example_writer_init(Example *self);
void example_writer_append(Example *self, const char *line);
/* Hands what waits to a job, unless one is under way. */
void example_writer_flush(Example *self);
/* Writes what is left at once: at the end, when no job can be started any more. */
void example_writer_finish(Example *self);

/* example-summary.c: method example.summary. */
void example_summary(void *self, ConfRequest *request);
