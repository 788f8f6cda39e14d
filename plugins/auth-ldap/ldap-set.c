/* ldap-set.c - sets of servers, what waits for their connections, and their names (auth-common). */
#include <string.h>

#include "ldap-private.h"

static LdapServer *server_new(LdapSet *set, const AuthLdapServerConfig *config, const AuthLdapUrl *url);
static void server_free(void *data);
static bool server_is_idle(const LdapServer *server);
static void looked_up(void *data, bool changed);
static void pump_searches(LdapServer *server);
static void pump_binds(LdapServer *server);

LdapSet *
ldap_set_new(AuthLdap *owner, GPtrArray *configs)
{
    LdapSet *set = g_new0(LdapSet, 1);
    set->refs = 1;
    set->owner = owner;
    set->configs = configs;
    set->servers = g_ptr_array_new_with_free_func(server_free);
    set->referred = g_ptr_array_new_with_free_func(server_free);
    for (unsigned i = 0; i < configs->len; i++) {
        const AuthLdapServerConfig *config = configs->pdata[i];
        LdapServer *server = server_new(set, config, config->url);
        server->index = i;
        g_ptr_array_add(set->servers, server);
    }
    return set;
}

LdapSet *
ldap_set_ref(LdapSet *set)
{
    set->refs++;
    return set;
}

void
ldap_set_unref(LdapSet *set)
{
    if (set == NULL || --set->refs > 0)
        return;
    g_ptr_array_unref(set->servers);
    g_ptr_array_unref(set->referred);
    g_ptr_array_unref(set->configs);
    g_free(set);
}

LdapServer *
ldap_server_refer(LdapServer *from, const AuthLdapUrl *url, AuthLdapChase chase)
{
    LdapSet *set = from->set;
    bool encrypted = from->tls || from->start_tls, anonymous = chase == AUTH_LDAP_ANONYMOUS;
    for (unsigned i = 0; i < set->referred->len; i++) {
        LdapServer *server = set->referred->pdata[i];
        if (server->config == from->config && server->port == url->port && server->tls == url->tls &&
            server->anonymous == anonymous && g_ascii_strcasecmp(server->host, url->host) == 0)
            return server;
    }
    for (unsigned i = 0; set->referred->len >= LDAP_REFERRED_MAX && i < set->referred->len; i++) {
        if (server_is_idle(set->referred->pdata[i]))
            g_ptr_array_remove_index(set->referred, i);
    }
    /* Without credentials for TLS there is no way to an ldaps:// server that is worth its name. */
    if (set->referred->len >= LDAP_REFERRED_MAX || (url->tls && from->config->credentials == NULL))
        return NULL;
    LdapServer *server = server_new(set, from->config, url);
    server->anonymous = anonymous;
    /* What was encrypted stays so, whatever the referral says. */
    server->start_tls = encrypted && !url->tls;
    server->index = UINT_MAX;
    g_ptr_array_add(set->referred, server);
    return server;
}

bool
ldap_server_resolve(LdapServer *server)
{
    bool was_awaited = server->name.is_awaited, is_awaited = auth_name_look_up(&server->name, false);
    if (is_awaited && !was_awaited)
        ldap_set_ref(server->set);
    return is_awaited || server->name.count > 0;
}

void
ldap_server_say(const LdapServer *server, const char *what, const char *more)
{
    if (!server->config->settings.verbose)
        return;
    char port[8];
    g_snprintf(port, sizeof port, "%u", server->port);
    conf_plugin_log(server->set->owner->plugin, 2, what, "server", server->host, "port", port, "what",
                    more != NULL ? more : "", NULL);
}

void
ldap_server_pump(LdapServer *server)
{
    ldap_set_ref(server->set);
    LdapSet *set = server->set;
    if (!set->owner->stopping) {
        pump_searches(server);
        pump_binds(server);
    }
    ldap_set_unref(set);
}

void
ldap_server_fail(LdapServer *server, bool searches, const char *why)
{
    GQueue *queue = searches ? &server->to_search : &server->to_bind, failed = G_QUEUE_INIT;
    /* What comes back to the same server waits for the next connection. */
    while (queue->length > 0) {
        LdapQuestion *question = g_queue_pop_head(queue);
        question->queue = &failed;
        g_queue_push_tail(&failed, question);
    }
    while (failed.length > 0) {
        LdapQuestion *question = g_queue_pop_head(&failed);
        question->queue = NULL;
        ldap_question_fail(question, why);
    }
}

static LdapServer *
server_new(LdapSet *set, const AuthLdapServerConfig *config, const AuthLdapUrl *url)
{
    LdapServer *server = g_new0(LdapServer, 1);
    server->set = set;
    server->config = config;
    server->host = g_strdup(url->host);
    server->port = url->port;
    auth_name_init(&server->name, set->owner->plugin, url->host, url->port, SOCK_STREAM, looked_up, server);
    server->tls = url->tls;
    server->start_tls = config->settings.start_tls && !url->tls;
    server->binders = g_ptr_array_new();
    g_queue_init(&server->to_search);
    g_queue_init(&server->to_bind);
    return server;
}

static void
server_free(void *data)
{
    LdapServer *server = data;
    if (server->searcher != NULL)
        ldap_link_close(server->searcher);
    while (server->binders->len > 0)
        ldap_link_close(server->binders->pdata[0]);
    g_ptr_array_unref(server->binders);
    auth_name_clear(&server->name);
    g_free(server->host);
    g_free(server);
}

static bool
server_is_idle(const LdapServer *server)
{
    bool idle = server->to_search.length == 0 && server->to_bind.length == 0 && !server->name.is_awaited &&
                (server->searcher == NULL || ldap_link_is_free(server->searcher));
    for (unsigned i = 0; idle && i < server->binders->len; i++)
        idle = ldap_link_is_free(server->binders->pdata[i]);
    /* A log-in may be between two steps, and come back. */
    GHashTableIter iter;
    gpointer question;
    g_hash_table_iter_init(&iter, server->set->owner->questions);
    while (idle && g_hash_table_iter_next(&iter, &question, NULL))
        idle = ((LdapQuestion *)question)->server != server && ((LdapQuestion *)question)->home != server;
    return idle;
}

static void
looked_up(void *data, bool changed)
{
    (void)changed;
    LdapServer *server = data;
    LdapSet *set = server->set;
    if (server->name.count > 0) {
        ldap_server_pump(server);
    } else {
        ldap_server_fail(server, true, "the server's name is not known");
        ldap_server_fail(server, false, "the server's name is not known");
    }
    ldap_set_unref(set);
}

/* Many searches share one connection. */
static void
pump_searches(LdapServer *server)
{
    while (server->to_search.length > 0) {
        LdapLink *link = server->searcher;
        if (link == NULL) {
            if (!ldap_server_resolve(server)) {
                ldap_server_fail(server, true, "the server's name is not known");
                return;
            }
            if (server->name.count == 0 || ldap_link_open(server, true) == NULL)
                return;
            continue;
        }
        if (link->state != LINK_READY || g_hash_table_size(link->questions) >= LDAP_SEARCHES_MAX)
            return;
        LdapQuestion *question = g_queue_pop_head(&server->to_search);
        question->queue = NULL;
        ldap_question_send(question, link);
    }
}

/* A bind has its connection for itself (RFC 4511, 4.2.1). */
static void
pump_binds(LdapServer *server)
{
    while (server->to_bind.length > 0) {
        LdapLink *link = NULL;
        unsigned coming = 0;
        for (unsigned i = 0; link == NULL && i < server->binders->len; i++) {
            LdapLink *one = server->binders->pdata[i];
            coming += one->state != LINK_READY;
            link = ldap_link_is_free(one) ? one : NULL;
        }
        if (link != NULL) {
            LdapQuestion *question = g_queue_pop_head(&server->to_bind);
            question->queue = NULL;
            ldap_question_send(question, link);
            continue;
        }
        if (coming >= server->to_bind.length ||
            server->binders->len >= (unsigned)server->config->settings.connections)
            return;
        if (!ldap_server_resolve(server)) {
            ldap_server_fail(server, false, "the server's name is not known");
            return;
        }
        if (server->name.count == 0 || ldap_link_open(server, false) == NULL)
            return;
    }
}
