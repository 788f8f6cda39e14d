/* settings.c - where to, as whom, and how protected: the command line comes first, then a profile that
 * was asked for, the environment, the profile `default`. */
#include "confctl.h"

#include <stddef.h>
#include <string.h>

enum { TIMEOUT_MAX = 86400, CONNECT_TIMEOUT_MAX = 3600 };

/* Each has one name: option --NAME, environment CONFCTL_NAME, key of a profile. */
typedef struct {
    const char *name, *variable;
    size_t offset;
} Setting;

#define SETTING(name, variable, member) \
    { \
        name, variable, offsetof(CtlOptions, member) \
    }
static const Setting settings[] = {
    SETTING("server", "CONFCTL_SERVER", server),
    SETTING("user", "CONFCTL_USER", user),
    SETTING("password-file", "CONFCTL_PASSWORD_FILE", password_file),
    SETTING("application", "CONFCTL_APPLICATION", application),
    SETTING("addp-timeout", "CONFCTL_ADDP_TIMEOUT", addp_timeout),
    SETTING("timeout", "CONFCTL_TIMEOUT", timeout),
    SETTING("tls", "CONFCTL_TLS", tls),
    SETTING("tls-name-check", "CONFCTL_TLS_NAME_CHECK", tls_name_check),
    SETTING("tls-ca", "CONFCTL_TLS_CA", tls_ca),
    SETTING("tls-crl", "CONFCTL_TLS_CRL", tls_crl),
    SETTING("tls-certificate", "CONFCTL_TLS_CERTIFICATE", tls_certificate),
    SETTING("tls-key", "CONFCTL_TLS_KEY", tls_key),
    SETTING("tls-server-name", "CONFCTL_TLS_SERVER_NAME", tls_server_name),
};
static const char first_of_tls[] = "tls-ca"; /* this and what follows in the table turns TLS on */

static bool take_flags(CtlOptions *options, GError **error);
static bool load_profile(Ctl *ctl, GError **error);
static bool check_login(const CtlOptions *options, GError **error);
static bool parse_flag(const char *name, const char *text, bool *value, GError **error);
static bool parse_seconds(const char *name, const char *text, unsigned most, unsigned *seconds,
                          GError **error);
static bool has_tls(const CtlOptions *options);
static void clear_tls(CtlOptions *options);

static char **
value_of(CtlOptions *options, const Setting *setting)
{
    return (char **)(void *)((char *)options + setting->offset);
}

bool
ctl_settings_complete(Ctl *ctl, unsigned *addp_timeout, unsigned *timeout, GError **error)
{
    CtlOptions *options = &ctl->options;
    if (!take_flags(options, error))
        return false;
    if (options->profile != NULL && !load_profile(ctl, error))
        return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(settings); i++) {
        char **value = value_of(options, &settings[i]);
        const char *given = g_getenv(settings[i].variable);
        if (*value == NULL && given != NULL && given[0] != '\0')
            *value = g_strdup(given);
    }
    if (options->profile == NULL && !load_profile(ctl, error))
        return false;
    bool wants_tls = has_tls(options), checks_name = true;
    if (options->tls != NULL && !parse_flag("tls", options->tls, &wants_tls, error))
        return false;
    if (options->tls_name_check != NULL &&
        !parse_flag("tls-name-check", options->tls_name_check, &checks_name, error))
        return false;
    ctl->tls = wants_tls;
    ctl->tls_name_check = checks_name;
    if (!wants_tls)
        clear_tls(options);
    return parse_seconds("addp-timeout", options->addp_timeout, TIMEOUT_MAX, addp_timeout, error) &&
           parse_seconds("timeout", options->timeout, CONNECT_TIMEOUT_MAX, timeout, error) &&
           check_login(options, error);
}

void
ctl_settings_apply_tls(Ctl *ctl)
{
    const CtlOptions *options = &ctl->options;
    g_object_set(ctl->client, "tls", (gboolean)ctl->tls, "tls-name-check", (gboolean)ctl->tls_name_check,
                 "tls-ca", options->tls_ca, "tls-crl", options->tls_crl, "tls-certificate",
                 options->tls_certificate, "tls-key", options->tls_key, "tls-server-name",
                 options->tls_server_name, NULL);
}

void
ctl_settings_clear(CtlOptions *options)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(settings); i++)
        g_clear_pointer(value_of(options, &settings[i]), g_free);
    g_clear_pointer(&options->profile, g_free);
    g_clear_pointer(&options->output, g_free);
}

static bool
take_flags(CtlOptions *options, GError **error)
{
    if (options->no_tls && (options->with_tls || has_tls(options))) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                            "--no-tls contradicts the other options of TLS");
        return false;
    }
    if (options->no_tls || options->with_tls)
        options->tls = g_strdup(options->no_tls ? "no" : "yes");
    if (options->no_tls_name_check)
        options->tls_name_check = g_strdup("no");
    return true;
}

/* Fills in what is still open. */
static bool
load_profile(Ctl *ctl, GError **error)
{
    CtlOptions *options = &ctl->options;
    g_autofree char *file = g_build_filename(g_get_user_config_dir(), "confctl", "config", NULL);
    g_autoptr(GKeyFile) keys = g_key_file_new();
    g_autoptr(GError) fault = NULL;
    const char *group = options->profile != NULL ? options->profile : "default";
    if (!g_key_file_load_from_file(keys, file, G_KEY_FILE_NONE, &fault)) {
        bool is_missing = g_error_matches(fault, G_FILE_ERROR, G_FILE_ERROR_NOENT);
        if (is_missing && options->profile == NULL)
            return true;
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Cannot read %s: %s", file, fault->message);
        return false;
    }
    if (!g_key_file_has_group(keys, group)) {
        if (options->profile == NULL)
            return true;
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s has no profile [%s]", file, group);
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(settings); i++) {
        char **value = value_of(options, &settings[i]);
        if (*value == NULL)
            *value = g_key_file_get_string(keys, group, settings[i].name, NULL);
    }
    return true;
}

/* Without a user it is the application that logs in, by its certificate. */
static bool
check_login(const CtlOptions *options, GError **error)
{
    if (options->server != NULL && (options->user != NULL || options->tls_certificate != NULL))
        return true;
    g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "No %s was given: use %s, or a profile",
                options->server == NULL ? "server" : "user",
                options->server == NULL ? "--server HOST:PORT or CONFCTL_SERVER"
                                        : "--user NAME or CONFCTL_USER");
    return false;
}

static bool
parse_flag(const char *name, const char *text, bool *value, GError **error)
{
    static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"0", "1"}};
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        for (unsigned meaning = 0; meaning < 2; meaning++) {
            if (g_ascii_strcasecmp(text, words[i][meaning]) != 0)
                continue;
            *value = meaning == 1;
            return true;
        }
    }
    g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is yes or no, not \"%s\"", name, text);
    return false;
}

/* Not given: untouched. */
static bool
parse_seconds(const char *name, const char *text, unsigned most, unsigned *seconds, GError **error)
{
    guint64 number;
    if (text == NULL)
        return true;
    if (!g_ascii_string_to_unsigned(text, 10, 1, most, &number, NULL)) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s takes 1 to %u seconds, not \"%s\"", name, most,
                    text);
        return false;
    }
    *seconds = (unsigned)number;
    return true;
}

static bool
has_tls(const CtlOptions *options)
{
    bool found = false, is_tls = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(settings); i++) {
        is_tls = is_tls || strcmp(settings[i].name, first_of_tls) == 0;
        found = found || (is_tls && *value_of((CtlOptions *)options, &settings[i]) != NULL);
    }
    return found;
}

static void
clear_tls(CtlOptions *options)
{
    bool is_tls = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(settings); i++) {
        is_tls = is_tls || strcmp(settings[i].name, first_of_tls) == 0;
        if (is_tls)
            g_clear_pointer(value_of(options, &settings[i]), g_free);
    }
}
