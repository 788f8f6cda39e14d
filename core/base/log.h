/* log.h - the log: one constant sentence an id, key=value pairs, outputs by level.
 *
 * Each id stands once in log-ids.def and never changes its meaning.  Lines repeated within a second are
 * counted, not written (per id; more than 20 a second).  Writing is done by a thread from a bounded ring: a
 * full disk or a stopped reader of stderr never holds the main loop; what is dropped is counted and told. Any
 * thread may log. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "base/option.h"

typedef enum {
    CONF_LOG_ERROR,   /* someone must act */
    CONF_LOG_WARNING, /* service goes on, degraded */
    CONF_LOG_NOTICE,  /* a state changed */
    CONF_LOG_INFO,    /* sessions, connections */
    CONF_LOG_DEBUG,
} ConfLogLevel;

typedef enum {
#define CONF_LOG_ID(name, number, level, sentence, advice) CONF_LOG_##name,
#include "base/log-ids.def"
#undef CONF_LOG_ID
    CONF_LOG_ID_COUNT
} ConfLogId;

/* Pairs: const char *key, const char *value, ..., NULL.  A NULL value is written as "-".
 * conf_log(CONF_LOG_STARTED, "port", "2120", NULL); */
void conf_log(ConfLogId id, ...) G_GNUC_NULL_TERMINATED;
/* True if a line of this id would be written somewhere: guards costly values. */
bool conf_log_is_on(ConfLogId id);
/* For conf_log arguments: text of a number; good until 16 further calls on this thread. */
const char *conf_log_integer(int64_t value);

/* Registers the options of section [log], for the listing; conf_log_configure() does it too. */
void conf_log_register_options(void);
/* Whether conf_log_configure() would take section [log]; opens nothing. */
bool conf_log_check(const ConfSettings *settings, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Section [log]: verbose (none|standard|interaction|trace|debug|all); all, standard, interaction, trace,
 * debug: comma lists of stdout, stderr, syslog or file names; message-format (short|medium|full|json);
 * segment and expire (rotation); check-point.  Until configured: standard error, level notice and above.
 * False: what was in force stays. */
bool conf_log_configure(const ConfSettings *settings, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* server.logLevel: the words of `verbose`. */
bool conf_log_set_verbose(const char *verbose, GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *conf_log_get_verbose(void);
/* Reopens files (SIGHUP, after rotation from outside). */
void conf_log_reopen(void);
/* Writes what is queued, within `timeout_ms`; before exit. */
void conf_log_flush(unsigned timeout_ms);
