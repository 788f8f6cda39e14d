/* tls-context.c - what sessions with the same options share: credentials, priorities, the key of tickets.
 *
 * A session holds the context that it began with; renewal puts a new one in the cache for those that come. */
#include <string.h>

#include "tls-private.h"

/* The options of ports are few; whoever changes them all day must not fill the memory. */
enum { CONTEXTS_MAX = 256, IDLE_MAX = 20 };

/* GnuTLS derives the keys that it uses from this one and changes them after three lifetimes; with the key
 * itself goes what could open older tickets. */
static const int64_t KEY_LIFETIMES = 4;

static char *make_key(const TlsParameters *parameters);
static void list_texts(const TlsParameters *p, const char *texts[6]);
static void copy_parameters(TlsContext *context, const TlsParameters *parameters);
static void drop_unused(Tls *self);

TlsContext *
tls_context_new(const TlsParameters *parameters, GError **error)
{
    g_autofree char *priority =
        tls_priority_string(parameters->protocol, parameters->ciphers, parameters->is_server, error);
    if (priority == NULL)
        return NULL;
    TlsCredentials *credentials = tls_credentials_load(parameters, error);
    if (credentials == NULL)
        return NULL;
    g_autoptr(TlsContext) context = g_new0(TlsContext, 1);
    context->refs = 1;
    context->key = make_key(parameters);
    context->credentials = credentials;
    copy_parameters(context, parameters);
    int result = gnutls_priority_init(&context->priority, priority, NULL);
    if (result < 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "%s", gnutls_strerror(result));
        return NULL;
    }
    return g_steal_pointer(&context);
}

TlsContext *
tls_context_ref(TlsContext *context)
{
    context->refs++;
    return context;
}

void
tls_context_unref(TlsContext *context)
{
    if (context == NULL || --context->refs > 0)
        return;
    tls_credentials_free(context->credentials);
    if (context->priority != NULL)
        gnutls_priority_deinit(context->priority);
    if (context->ticket_key.data != NULL)
        gnutls_memset(context->ticket_key.data, 0, context->ticket_key.size);
    gnutls_free(context->ticket_key.data);
    for (unsigned i = 0; i < G_N_ELEMENTS(context->texts); i++)
        g_free(context->texts[i]);
    g_free(context->key);
    g_free(context);
}

TlsContext *
tls_context_get(Tls *self, const TlsParameters *parameters, GError **error)
{
    g_autofree char *key = make_key(parameters);
    TlsContext *context = g_hash_table_lookup(self->contexts, key);
    if (context == NULL) {
        context = tls_context_new(parameters, error);
        if (context == NULL)
            return NULL;
        if (g_hash_table_size(self->contexts) >= CONTEXTS_MAX)
            g_hash_table_remove_all(self->contexts);
        g_hash_table_insert(self->contexts, context->key, context);
        tls_expiry_note(self, context->credentials);
        tls_expiry_look(self);
    }
    context->idle = 0;
    return context;
}

void
tls_contexts_renew(Tls *self)
{
    drop_unused(self);
    g_autoptr(GPtrArray) fresh = g_ptr_array_new();
    GHashTableIter iter;
    void *value;
    g_hash_table_iter_init(&iter, self->contexts);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const TlsContext *old = value;
        g_autoptr(GError) error = NULL;
        TlsContext *context = tls_context_new(&old->parameters, &error);
        if (context != NULL) {
            context->idle = old->idle;
            g_ptr_array_add(fresh, context);
            continue;
        }
        self->statistics.bad_reloads++;
        conf_plugin_log(self->plugin, 0, "New files are not taken, the old ones stay in force", "why",
                        error->message, NULL);
    }
    for (unsigned i = 0; i < fresh->len; i++) {
        TlsContext *context = g_ptr_array_index(fresh, i);
        g_hash_table_replace(self->contexts, context->key, context);
        tls_expiry_note(self, context->credentials);
        self->statistics.reloads++;
    }
    tls_expiry_look(self);
}

void
tls_contexts_forget(Tls *self, const TlsParameters *before, const TlsParameters *now)
{
    const char *old[6], *fresh[6];
    list_texts(before, old);
    list_texts(now, fresh);
    GHashTableIter iter;
    void *value;
    g_hash_table_iter_init(&iter, self->contexts);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const TlsContext *context = value;
        bool outdated = false;
        for (unsigned i = 0; i < G_N_ELEMENTS(old); i++)
            outdated = outdated || (old[i] != NULL && g_strcmp0(old[i], fresh[i]) != 0 &&
                                    g_strcmp0(old[i], context->texts[i]) == 0);
        if (outdated && context->parameters.is_server == before->is_server)
            g_hash_table_iter_remove(&iter);
    }
}

/* NULL: none. */
const gnutls_datum_t *
tls_context_ticket_key(Tls *self, TlsContext *context)
{
    int64_t lifetime = self->settings->ticket_lifetime_s;
    int64_t now = g_get_monotonic_time();
    if (lifetime == 0)
        return NULL;
    if (context->ticket_key.data != NULL && now < context->ticket_key_until)
        return &context->ticket_key;
    gnutls_datum_t fresh;
    if (gnutls_session_ticket_key_generate(&fresh) < 0)
        return NULL;
    /* Sessions under way have copied what they need of the old one. */
    if (context->ticket_key.data != NULL)
        gnutls_memset(context->ticket_key.data, 0, context->ticket_key.size);
    gnutls_free(context->ticket_key.data);
    context->ticket_key = fresh;
    context->ticket_key_until = now + KEY_LIFETIMES * lifetime * G_USEC_PER_SEC;
    return &context->ticket_key;
}

static char *
make_key(const TlsParameters *p)
{
    const char *texts[6];
    list_texts(p, texts);
    GString *key = g_string_new(p->is_server ? "server" : "client");
    g_string_append(key, p->mutual ? " mutual" : "");
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        g_string_append_printf(key, "\n%s", texts[i] != NULL ? texts[i] : "");
    return g_string_free(key, FALSE);
}

static void
list_texts(const TlsParameters *p, const char *texts[6])
{
    texts[0] = p->certificate;
    texts[1] = p->certificate_key;
    texts[2] = p->trusted_ca;
    texts[3] = p->crl;
    texts[4] = p->protocol;
    texts[5] = p->ciphers;
}

static void
copy_parameters(TlsContext *context, const TlsParameters *p)
{
    const char *texts[6];
    list_texts(p, texts);
    G_STATIC_ASSERT(G_N_ELEMENTS(texts) == G_N_ELEMENTS(context->texts));
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        context->texts[i] = g_strdup(texts[i]);
    context->parameters = (TlsParameters){
        .is_server = p->is_server,
        .mutual = p->mutual,
        .certificate = context->texts[0],
        .certificate_key = context->texts[1],
        .trusted_ca = context->texts[2],
        .crl = context->texts[3],
        .protocol = context->texts[4],
        .ciphers = context->texts[5],
    };
}

/* Ports that are gone: their files need not be good any more. */
static void
drop_unused(Tls *self)
{
    GHashTableIter iter;
    void *value;
    g_hash_table_iter_init(&iter, self->contexts);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        TlsContext *context = value;
        if (++context->idle > IDLE_MAX)
            g_hash_table_iter_remove(&iter);
    }
}
