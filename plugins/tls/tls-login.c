/* tls-login.c - session.open with {"mechanism":"certificate"}: an application logs in as itself by the
 * certificate that its connection has proved.
 *
 * The certificate's names are its subject, the common names in it, and its other names of the kinds DNS,
 * e-mail and URI.  One of them must be the name of the application object, or stand in option
 * certificate-names, section [tls], of that object. */
#include <string.h>

#include "tls-private.h"

static bool is_named(const ConfObject *application, ConfConnection *c);
static bool proves(ConfConnection *c, const char *name);
static const char *mapped_names(const ConfObject *application);
static ConfVerdict refuse(int code, const char *why, GError **error);

ConfVerdict
tls_login(void *data, ConfLogin *l, GError **error)
{
    Tls *self = data;
    if (strcmp(conf_login_get_mechanism(l), "certificate") != 0)
        return CONF_NEXT;
    if (conf_login_get_user(l)[0] != '\0')
        return refuse(-32602, "By its certificate an application logs in as itself: leave user out", error);
    ConfConnection *c = conf_login_get_connection(l);
    const TlsFilter *filter = c != NULL ? conf_connection_get_plugin_data(c, self->plugin) : NULL;
    if (filter == NULL || !filter->peer_proved)
        return refuse(-32001, "The connection has proved no certificate", error);
    const ConfObject *application =
        conf_plugin_lookup_name(self->plugin, "application", conf_login_get_application(l));
    if (application != NULL && is_named(application, c))
        return CONF_DONE;
    conf_plugin_log(self->plugin, 2, "A certificate is not of the application that it was shown for",
                    "application", conf_login_get_application(l), "subject",
                    conf_connection_get_peer_subject(c), "peer", conf_connection_get_peer(c), NULL);
    return refuse(-32001, "The certificate is not of this application", error);
}

static bool
is_named(const ConfObject *application, ConfConnection *c)
{
    if (proves(c, conf_object_get_name(application)))
        return true;
    const char *mapped = mapped_names(application);
    g_auto(GStrv) names = g_strsplit(mapped != NULL ? mapped : "", ";", -1);
    for (unsigned i = 0; names[i] != NULL; i++) {
        const char *name = g_strstrip(names[i]);
        if (*name != '\0' && proves(c, name))
            return true;
    }
    return false;
}

static bool
proves(ConfConnection *c, const char *name)
{
    const char *subject = conf_connection_get_peer_subject(c);
    const char *const *names = conf_connection_get_peer_names(c);
    return g_strcmp0(subject, name) == 0 || (names != NULL && g_strv_contains(names, name));
}

/* Borrowed until the hook returns; NULL: none. */
static const char *
mapped_names(const ConfObject *application)
{
    size_t size;
    const ConfJson *body = conf_value_parse(conf_object_get_json(application, &size), NULL);
    const ConfJson *options = body != NULL ? conf_value_member(body, "options") : NULL;
    const ConfJson *section = options != NULL ? conf_value_member(options, "tls") : NULL;
    return section != NULL ? conf_value_string(conf_value_member(section, "certificate-names")) : NULL;
}

/* To the client every refusal of a log-in is alike. */
static ConfVerdict
refuse(int code, const char *why, GError **error)
{
    if (code == -32001)
        g_set_error_literal(error, CONF_ERROR, CONF_ERROR_DENIED, why);
    else
        g_set_error_literal(error, CONF_PLUGIN_RPC_ERROR, code, why);
    return CONF_REFUSE;
}
