/* option-declaration.h - how an option is declared: once, in a table.  From it come checking, --help,
 * -list-options, the reference manual, the man page and the completion.  Installed: plugins see it through
 * confserv-plugin.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum {
    CONF_AT_START,   /* a change needs a restart */
    CONF_ON_CONNECT, /* connections made afterwards */
    CONF_AT_ONCE,
} ConfWhen;

typedef enum {
    CONF_T_BOOL, /* member bool: true/false, yes/no, on/off, 1/0 */
    CONF_T_INT,  /* member int64_t: with the unit named in range; suffixes KiB MiB GiB, ms s min h d where the
                    unit fits */
    CONF_T_STRING, /* member char *, NULL if unset */
    CONF_T_SECRET, /* as string; never shown */
    CONF_T_CHOICE, /* member int64_t: the index in range "a|b|c" */
} ConfType;

typedef struct {
    /* NULL: the server's own section (or, in a plugin, the section of the plugin's name). */
    const char *section;
    const char *name;
    ConfType type;
    size_t offset;        /* of the member of the settings struct */
    const char *fallback; /* the default, written as in the file; NULL: unset */
    const char *range;    /* "1..600 s", "0.. B", "a|b|c"; NULL: any */
    ConfWhen when;
    const char *help; /* first sentence: --help; all of it: the manual */
} ConfOption;

/* The _Generic makes a member of the wrong type fail to compile. */
#define CONF_OPTION_BOOL(S, member, section, name, ...) \
    { \
        section, name, CONF_T_BOOL, offsetof(S, member) + _Generic(((S *)0)->member, _Bool : 0), __VA_ARGS__ \
    }
#define CONF_OPTION_INT(S, member, section, name, ...) \
    { \
        section, name, CONF_T_INT, offsetof(S, member) + _Generic(((S *)0)->member, int64_t : 0), \
            __VA_ARGS__ \
    }
#define CONF_OPTION_STRING(S, member, section, name, ...) \
    { \
        section, name, CONF_T_STRING, offsetof(S, member) + _Generic(((S *)0)->member, char * : 0), \
            __VA_ARGS__ \
    }
#define CONF_OPTION_SECRET(S, member, section, name, ...) \
    { \
        section, name, CONF_T_SECRET, offsetof(S, member) + _Generic(((S *)0)->member, char * : 0), \
            __VA_ARGS__ \
    }
#define CONF_OPTION_CHOICE(S, member, section, name, ...) \
    { \
        section, name, CONF_T_CHOICE, offsetof(S, member) + _Generic(((S *)0)->member, int64_t : 0), \
            __VA_ARGS__ \
    }
#define CONF_OPTION_END \
    { \
        NULL, NULL, CONF_T_BOOL, 0, NULL, NULL, CONF_AT_START, NULL \
    }
