/* option.h - the registry of declared options, the configuration file, and settings structs filled
 * from both. */
#pragma once

#include <stdbool.h>

#include <glib.h>

#include "base/option-declaration.h"

/* Sections and values as text, from a file or from an application object.  Keys and sections keep their
 * order. */
typedef struct ConfSettings ConfSettings;

ConfSettings *conf_settings_new(void);
void conf_settings_free(ConfSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfSettings, conf_settings_free)
/* The configuration file: [section], key = value, '#' and ';' comments at the start of a line.  UTF-8, at
 * most 4 MiB, no key twice in a section.  Errors name file and line, never what stands there. */
ConfSettings *conf_settings_load_file(const char *path, GError **error);
void conf_settings_set(ConfSettings *settings, const char *section, const char *key, const char *value);
/* NULL: unset.  Borrowed until the next change. */
const char *conf_settings_get(const ConfSettings *settings, const char *section, const char *key);
bool conf_settings_has_section(const ConfSettings *settings, const char *section);
typedef void (*ConfSettingFunc)(const char *section, const char *key, const char *value, int line,
                                void *data);
void conf_settings_foreach(const ConfSettings *settings, ConfSettingFunc func, void *data);
/* `over` wins.  Returns new. */
ConfSettings *conf_settings_merge(const ConfSettings *base, const ConfSettings *over);

/* Tables are borrowed for ever (static); one that is registered already is left as it stands.  `owner`:
 * "confserv" or a plugin's name, for listings.  A section "gauth_ldap*" means that one and those with a
 * number, gauth_ldap_1 or gauth_ldap-1; it is filled with own_section, one at a time.  A table that
 * contradicts itself (a default out of range) aborts. */
#define CONF_OPTION_OWNER_SERVER "confserv"
void conf_option_register(const char *owner, const ConfOption *options);
/* As above for a table whose NULL sections are `section`, where the file names the section itself (that of
 * the database): register it under that name. */
void conf_option_register_section(const char *owner, const char *section, const ConfOption *options);
/* Is that the section, or one of the family, that an option is declared for? */
bool conf_option_section_matches(const char *declared, const char *section);
/* The program's command line, in the same form (the section is not used): for the listing and the completion.
 * Several tables make one, a name that is there stays as it was first; strings are borrowed for ever. */
void conf_option_register_command_line(const ConfOption *options);
/* Fills `target` (zeroed or filled before: strings are freed) from `settings`, else the fallback.  Where an
 * option's section is NULL, `own_section` is read.  False: *error names section, key, value and what is
 * allowed; target is unchanged. */
bool conf_option_fill(const ConfOption *options, const char *own_section, const ConfSettings *settings,
                      void *target, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* As above, but a bad value keeps the old one (in a struct of zeroes, which was never filled: the default)
 * and is appended to `refused` ("section/key: why", char *). */
void conf_option_fill_lenient(const ConfOption *options, const char *own_section,
                              const ConfSettings *settings, void *target, GPtrArray *refused);
/* As above for a server that runs, whose `target` is filled: what takes effect at start keeps its value. */
void conf_option_fill_running(const ConfOption *options, const char *own_section,
                              const ConfSettings *settings, void *target, GPtrArray *refused);
/* Frees the strings, zeroes the members. */
void conf_option_clear(const ConfOption *options, void *target);
/* The words of a boolean; false: it is none of them. */
bool conf_option_read_boolean(const char *text, bool *value) G_GNUC_WARN_UNUSED_RESULT;
/* One value by itself: for tests and confctl-like tools. */
bool conf_option_check_value(const ConfOption *option, const char *value, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Calls func for every setting that no registered option declares; [hca] and [soap] are known and ignored.
 * `own_section` stands for NULL sections. */
void conf_option_find_unknown(const ConfSettings *settings, const char *own_section, ConfSettingFunc func,
                              void *data);
/* "text", "markdown", "man", "json", "bash"; other formats: an error.  To standard output. */
bool conf_option_list(const char *format, GError **error) G_GNUC_WARN_UNUSED_RESULT;
