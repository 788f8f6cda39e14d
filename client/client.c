/* client.c - the object ConfcClient: its properties, its signals, what can be asked of it. */
#include "client-private.h"

#include <string.h>

enum {
    PROP_ADDRESSES = 1,
    PROP_USER,
    PROP_PASSWORD,
    PROP_APPLICATION,
    PROP_SECRET,
    PROP_CLIENT_NAME,
    PROP_CLIENT_VERSION,
    PROP_TLS_CA,
    PROP_TLS_CRL,
    PROP_TLS_CERTIFICATE,
    PROP_TLS_KEY,
    PROP_TLS_SERVER_NAME,
    PROP_TLS,
    PROP_TLS_NAME_CHECK,
    PROP_REPLACE,
    PROP_RECONNECT,
    PROP_CONNECT_TIMEOUT,
    PROP_REQUEST_TIMEOUT,
    PROP_ADDP_TIMEOUT,
    PROP_ADDP_REMOTE_TIMEOUT,
    PROP_COUNT,
};

guint confc_client_signals[CONFC_SIGNAL_COUNT];

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec);
static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec);
static void add_properties(GObjectClass *class);
static void add_signals(GType type);
static void dispose(GObject *object);
static void finalize(GObject *object);
static char **text_property(ConfcClient *client, guint id);
static guint *number_property(ConfcClient *client, guint id);
static gboolean *flag_property(ConfcClient *client, guint id);
static void wipe(char **secret);

G_DEFINE_TYPE(ConfcClient, confc_client, G_TYPE_OBJECT)

ConfcClient *
confc_client_new(const char *addresses)
{
    return g_object_new(CONFC_TYPE_CLIENT, "addresses", addresses, NULL);
}

gboolean
confc_client_is_connected(ConfcClient *client)
{
    return client->state == CONFC_STATE_READY;
}

JsonObject *
confc_client_get_server(ConfcClient *client)
{
    return client->server;
}

JsonObject *
confc_client_get_account(ConfcClient *client)
{
    return client->account;
}

const char *
confc_client_get_login_text(ConfcClient *client)
{
    return client->login_text;
}

const char *
confc_client_get_peer(ConfcClient *client)
{
    return client->peer;
}

const char *
confc_client_get_security(ConfcClient *client)
{
    ConfcTls *tls = client->link != NULL ? confc_link_get_tls(client->link) : NULL;
    return tls != NULL ? confc_tls_get_description(tls) : NULL;
}

gint64
confc_client_get_revision(ConfcClient *client)
{
    return client->revision;
}

const char *
confc_client_get_chain(ConfcClient *client)
{
    return client->chain;
}

GSource *
confc_client_add_timeout(ConfcClient *client, guint milliseconds, GSourceFunc func)
{
    GSource *source = g_timeout_source_new(milliseconds);
    g_source_set_callback(source, func, client, NULL);
    g_source_attach(source, client->context);
    return source;
}

void
confc_client_clear_source(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static void
confc_client_class_init(ConfcClientClass *class)
{
    class->set_property = set_property;
    class->get_property = get_property;
    class->dispose = dispose;
    class->finalize = finalize;
    add_properties(class);
    add_signals(G_OBJECT_CLASS_TYPE(class));
}

static void
add_properties(GObjectClass *class)
{
    static const struct {
        guint id;
        const char *name, *fallback;
        bool write_only;
    } texts[] = {
        {PROP_ADDRESSES, "addresses", NULL, false},
        {PROP_USER, "user", NULL, false},
        {PROP_PASSWORD, "password", NULL, true},
        {PROP_APPLICATION, "application", NULL, false},
        {PROP_SECRET, "secret", NULL, true},
        {PROP_CLIENT_NAME, "client-name", "confclient", false},
        {PROP_CLIENT_VERSION, "client-version", CONFC_VERSION, false},
        {PROP_TLS_CA, "tls-ca", NULL, false},
        {PROP_TLS_CRL, "tls-crl", NULL, false},
        {PROP_TLS_CERTIFICATE, "tls-certificate", NULL, false},
        {PROP_TLS_KEY, "tls-key", NULL, false},
        {PROP_TLS_SERVER_NAME, "tls-server-name", NULL, false},
    };
    static const struct {
        guint id;
        const char *name;
        gboolean fallback;
    } flags[] = {
        {PROP_TLS, "tls", FALSE},
        {PROP_TLS_NAME_CHECK, "tls-name-check", TRUE},
        {PROP_REPLACE, "replace", FALSE},
        {PROP_RECONNECT, "reconnect", TRUE},
    };
    static const struct {
        guint id;
        const char *name;
        guint maximum, fallback;
    } numbers[] = {
        {PROP_CONNECT_TIMEOUT, "connect-timeout", 3600, 10},
        /* Longer than the server's response-timeout, so that its answer comes before ours. */
        {PROP_REQUEST_TIMEOUT, "request-timeout", 86400, 660},
        {PROP_ADDP_TIMEOUT, "addp-timeout", 86400, 0},
        {PROP_ADDP_REMOTE_TIMEOUT, "addp-remote-timeout", 86400, 0},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        GParamFlags access = texts[i].write_only ? G_PARAM_WRITABLE : G_PARAM_READWRITE;
        g_object_class_install_property(
            class, texts[i].id,
            g_param_spec_string(texts[i].name, NULL, NULL, texts[i].fallback,
                                access | G_PARAM_CONSTRUCT | G_PARAM_STATIC_STRINGS));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++)
        g_object_class_install_property(
            class, numbers[i].id,
            g_param_spec_uint(numbers[i].name, NULL, NULL, 0, numbers[i].maximum, numbers[i].fallback,
                              G_PARAM_READWRITE | G_PARAM_CONSTRUCT | G_PARAM_STATIC_STRINGS));
    for (unsigned i = 0; i < G_N_ELEMENTS(flags); i++)
        g_object_class_install_property(
            class, flags[i].id,
            g_param_spec_boolean(flags[i].name, NULL, NULL, flags[i].fallback,
                                 G_PARAM_READWRITE | G_PARAM_CONSTRUCT | G_PARAM_STATIC_STRINGS));
}

static void
add_signals(GType type)
{
    guint *signals = confc_client_signals;
    signals[CONFC_SIGNAL_CHANGES] = g_signal_new("changes", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                 G_TYPE_NONE, 1, JSON_TYPE_OBJECT);
    signals[CONFC_SIGNAL_OBJECTS] = g_signal_new("objects", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                 G_TYPE_NONE, 2, G_TYPE_INT64, JSON_TYPE_ARRAY);
    signals[CONFC_SIGNAL_LOADED] = g_signal_new("loaded", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                G_TYPE_NONE, 2, G_TYPE_INT64, G_TYPE_INT64);
    signals[CONFC_SIGNAL_RESET] = g_signal_new("reset", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                               G_TYPE_NONE, 2, G_TYPE_INT64, G_TYPE_STRING);
    signals[CONFC_SIGNAL_STATUS] = g_signal_new("status", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                G_TYPE_NONE, 1, JSON_TYPE_OBJECT);
    signals[CONFC_SIGNAL_ENDING] =
        g_signal_new("ending", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
    signals[CONFC_SIGNAL_CONNECTED] = g_signal_new("connected", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                   G_TYPE_NONE, 1, G_TYPE_BOOLEAN);
    signals[CONFC_SIGNAL_DISCONNECTED] = g_signal_new("disconnected", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                                      NULL, G_TYPE_NONE, 2, G_TYPE_ERROR, G_TYPE_BOOLEAN);
    signals[CONFC_SIGNAL_CHALLENGE] = g_signal_new("challenge", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                   G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
confc_client_init(ConfcClient *client)
{
    client->context = g_main_context_ref_thread_default();
    client->calls = g_hash_table_new(g_int64_hash, g_int64_equal);
    client->tickets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    client->subscriptions = g_ptr_array_new_with_free_func(g_object_unref);
    g_queue_init(&client->waiting);
}

static void
dispose(GObject *object)
{
    ConfcClient *client = CONFC_CLIENT(object);
    /* Pending calls, the connecting and the disconnecting hold a reference each, so none of them stands
     * here. */
    confc_client_stop(client, NULL);
    confc_subscriptions_release(client);
    G_OBJECT_CLASS(confc_client_parent_class)->dispose(object);
}

static void
finalize(GObject *object)
{
    ConfcClient *client = CONFC_CLIENT(object);
    g_hash_table_unref(client->calls);
    g_ptr_array_unref(client->subscriptions);
    g_clear_pointer(&client->addresses, g_ptr_array_unref);
    g_clear_pointer(&client->schema, json_object_unref);
    g_clear_error(&client->last_error);
    g_free(client->addresses_text);
    g_free(client->user);
    g_free(client->application);
    g_free(client->client_name);
    g_free(client->client_version);
    g_free(client->tls_ca);
    g_free(client->tls_crl);
    g_free(client->tls_certificate);
    g_free(client->tls_key);
    g_free(client->tls_server_name);
    confc_credentials_free(client->credentials);
    g_hash_table_unref(client->tickets);
    g_free(client->peer);
    wipe(&client->password);
    wipe(&client->secret);
    g_main_context_unref(client->context);
    G_OBJECT_CLASS(confc_client_parent_class)->finalize(object);
}

static void
set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    ConfcClient *client = CONFC_CLIENT(object);
    char **text = text_property(client, id);
    guint *number = number_property(client, id);
    gboolean *flag = flag_property(client, id);
    if (text != NULL) {
        wipe(text);
        *text = g_value_dup_string(value);
    } else if (number != NULL) {
        *number = g_value_get_uint(value);
    } else if (flag != NULL) {
        *flag = g_value_get_boolean(value);
    } else {
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void
get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    ConfcClient *client = CONFC_CLIENT(object);
    char **text = text_property(client, id);
    guint *number = number_property(client, id);
    gboolean *flag = flag_property(client, id);
    if (text != NULL)
        g_value_set_string(value, *text);
    else if (number != NULL)
        g_value_set_uint(value, *number);
    else if (flag != NULL)
        g_value_set_boolean(value, *flag);
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static char **
text_property(ConfcClient *client, guint id)
{
    switch (id) {
    case PROP_ADDRESSES:
        return &client->addresses_text;
    case PROP_USER:
        return &client->user;
    case PROP_PASSWORD:
        return &client->password;
    case PROP_APPLICATION:
        return &client->application;
    case PROP_SECRET:
        return &client->secret;
    case PROP_CLIENT_NAME:
        return &client->client_name;
    case PROP_CLIENT_VERSION:
        return &client->client_version;
    case PROP_TLS_CA:
        return &client->tls_ca;
    case PROP_TLS_CRL:
        return &client->tls_crl;
    case PROP_TLS_CERTIFICATE:
        return &client->tls_certificate;
    case PROP_TLS_KEY:
        return &client->tls_key;
    case PROP_TLS_SERVER_NAME:
        return &client->tls_server_name;
    default:
        return NULL;
    }
}

static guint *
number_property(ConfcClient *client, guint id)
{
    switch (id) {
    case PROP_CONNECT_TIMEOUT:
        return &client->connect_timeout;
    case PROP_REQUEST_TIMEOUT:
        return &client->request_timeout;
    case PROP_ADDP_TIMEOUT:
        return &client->addp_timeout;
    case PROP_ADDP_REMOTE_TIMEOUT:
        return &client->addp_remote_timeout;
    default:
        return NULL;
    }
}

static gboolean *
flag_property(ConfcClient *client, guint id)
{
    switch (id) {
    case PROP_TLS:
        return &client->tls;
    case PROP_TLS_NAME_CHECK:
        return &client->tls_name_check;
    case PROP_REPLACE:
        return &client->replace;
    case PROP_RECONNECT:
        return &client->reconnect;
    default:
        return NULL;
    }
}

static void
wipe(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    g_clear_pointer(secret, g_free);
}
