/* option-private.h - what the files of the option registry share. */
#pragma once

#include "base/option.h"

/* A value read: which member counts follows from the option's type. */
typedef struct {
    bool boolean;
    int64_t integer;
    const char *string; /* borrowed from the text parsed; NULL: unset */
} ConfOptionValue;

/* "1..600 s", "0.. B": what is left out is the limit of int64_t. */
typedef struct {
    int64_t minimum;
    int64_t maximum;
    char unit[16]; /* "": a plain number */
} ConfOptionRange;

/* False: `range` is not of that form (a programmer's error, found when the table is registered). */
bool conf_option_parse_range(const char *range, ConfOptionRange *parsed);
/* `text` NULL: unset, which for numbers is 0.  The message of *error says what is allowed; it never has the
 * value of a secret. */
bool conf_option_parse_value(const ConfOption *option, const char *text, ConfOptionValue *value,
                             GError **error);
/* "a whole number of seconds from 1 to 600", for errors and manuals.  Returns new. */
char *conf_option_describe_allowed(const ConfOption *option);
/* What conf_settings_load_file() does with the text, which is changed; `path` is for messages. */
ConfSettings *conf_settings_parse(const char *path, char *text, size_t size, GError **error);

typedef struct {
    const char *owner;
    const char *section; /* of options that name none; NULL: the owner's own */
    const ConfOption *options;
} ConfOptionTable;

/* Registered tables in the order of registration; the command line stands apart (NULL: none is registered).
 */
const ConfOptionTable *conf_option_tables(unsigned *count);
const ConfOption *conf_option_command_line(void);
