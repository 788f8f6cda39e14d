/* ldap-link.c - one connection to a server, all of it on the main loop: connect, TLS, StartTLS, bind as
 * app-user, then whatever comes. */
#include <errno.h>
#include <netinet/tcp.h>
#include <openldap.h>
#include <string.h>
#include <unistd.h>

#include "ldap-private.h"

enum { MESSAGES_A_TURN = 64, OLD_USEC = 1000000 };

static bool dial(LdapLink *link);
static bool dial_next(LdapLink *link);
static void arm(LdapLink *link);
static void watch(LdapLink *link, GIOCondition condition);
static void turn(LdapLink *link);
static void connected(LdapLink *link);
static void shake(LdapLink *link);
static bool initialize(LdapLink *link);
static void ask_tls(LdapLink *link);
static void bind_application(LdapLink *link);
static void made(LdapLink *link);
static void take_messages(LdapLink *link);
static void take_message(LdapLink *link, LDAPMessage *message);
static void take_notice(LdapLink *link, LDAPMessage *message);
static void take_own(LdapLink *link, LDAPMessage *message);
static void too_late(void *self, void *data);
static void go_on(void *self, void *data);
static void rested(void *self, void *data);
static void release(LdapLink *link);

LdapLink *
ldap_link_open(LdapServer *server, bool searches)
{
    LdapLink *link = g_new0(LdapLink, 1);
    link->server = server;
    link->searches = searches;
    link->fd = -1;
    link->questions = g_hash_table_new(NULL, NULL);
    if (searches)
        server->searcher = link;
    else
        g_ptr_array_add(server->binders, link);
    server->set->owner->connections++;
    server->set->owner->connects++;
    link->made_at = g_get_monotonic_time();
    if (dial(link))
        return link;
    ldap_link_fail(link, "no connection");
    return NULL;
}

void
ldap_link_fail(LdapLink *link, const char *why)
{
    LdapServer *server = link->server;
    LdapSet *set = ldap_set_ref(server->set);
    bool searches = link->searches, was_ready = link->state == LINK_READY;
    /* An old connection that the server has closed meanwhile says nothing about the server. */
    bool was_old = was_ready && !link->at_fault &&
                   (link->answered > 0 || g_get_monotonic_time() - link->made_at > OLD_USEC);
    g_autoptr(GList) questions = g_hash_table_get_values(link->questions);
    for (GList *item = questions; item != NULL; item = item->next)
        ldap_question_detach(item->data);
    ldap_server_say(server, "A connection to an LDAP server ended", why);
    ldap_link_close(link);
    for (GList *item = questions; item != NULL; item = item->next) {
        LdapQuestion *question = item->data;
        if (was_old && !question->again) {
            question->again = true;
            question->queue = searches ? &server->to_search : &server->to_bind;
            g_queue_push_tail(question->queue, question);
        } else {
            ldap_question_fail(question, why);
        }
    }
    if (!was_ready && (searches || server->binders->len == 0))
        ldap_server_fail(server, searches, why);
    ldap_server_pump(server);
    ldap_set_unref(set);
}

void
ldap_link_close(LdapLink *link)
{
    if (link->dead)
        return;
    AuthLdap *owner = link->server->set->owner;
    conf_unwatch(owner->plugin, link->watch);
    conf_unwatch(owner->plugin, link->timer);
    conf_unwatch(owner->plugin, link->again);
    if (link->fd >= 0)
        g_hash_table_remove(owner->links, GINT_TO_POINTER(link->fd));
    if (link->searches)
        link->server->searcher = NULL;
    else
        g_ptr_array_remove(link->server->binders, link);
    owner->connections--;
    link->dead = true;
    release(link);
}

void
ldap_link_rest(LdapLink *link)
{
    const AuthLdapSettings *settings = &link->server->config->settings;
    conf_unwatch(link->server->set->owner->plugin, link->timer);
    link->timer = 0;
    if (settings->idle_timeout > 0 && ldap_link_is_free(link))
        link->timer = conf_timer(link->server->set->owner->plugin, (unsigned)settings->idle_timeout * 1000,
                                 rested, link);
}

void
ldap_link_answered(LdapLink *link)
{
    link->answered++;
    link->unasked_bytes = 0;
    link->passed_over = 0;
}

bool
ldap_link_is_free(const LdapLink *link)
{
    return !link->dead && link->state == LINK_READY && g_hash_table_size(link->questions) == 0;
}

void
ldap_link_ready(void *self, int fd, GIOCondition condition)
{
    (void)condition;
    LdapLink *link = g_hash_table_lookup(((AuthLdap *)self)->links, GINT_TO_POINTER(fd));
    if (link != NULL)
        turn(link);
}

/* The next of the addresses. */
static bool
dial(LdapLink *link)
{
    LdapServer *server = link->server;
    AuthLdap *owner = server->set->owner;
    while (link->addresses_tried < server->name.count) {
        const AuthAddress *address = &server->name.addresses[server->address % server->name.count];
        link->addresses_tried++;
        int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int on = 1;
        if (fd >= 0)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (fd >= 0 &&
            (connect(fd, &address->any, auth_address_size(address)) == 0 || errno == EINPROGRESS)) {
            link->fd = fd;
            link->state = LINK_CONNECTING;
            g_hash_table_insert(owner->links, GINT_TO_POINTER(fd), link);
            watch(link, G_IO_OUT);
            if (link->watch != 0) {
                arm(link);
                return true;
            }
            g_hash_table_remove(owner->links, GINT_TO_POINTER(fd));
            link->fd = -1;
        }
        if (fd >= 0)
            close(fd);
        server->address++;
    }
    return false;
}

/* All of its making has connect-timeout; addresses that may not answer share it. */
static void
arm(LdapLink *link)
{
    LdapServer *server = link->server;
    int64_t limit = server->config->settings.connect_timeout * G_USEC_PER_SEC;
    int64_t left = MAX(link->made_at + limit - g_get_monotonic_time(), 0);
    if (link->state == LINK_CONNECTING)
        left /= 1 + server->name.count - MIN(link->addresses_tried, server->name.count);
    conf_unwatch(server->set->owner->plugin, link->timer);
    link->timer = conf_timer(server->set->owner->plugin, (unsigned)(left / 1000) + 1, too_late, link);
}

static void
watch(LdapLink *link, GIOCondition condition)
{
    ConfPlugin *plugin = link->server->set->owner->plugin;
    if (link->watch != 0 && link->watched == condition)
        return;
    conf_unwatch(plugin, link->watch);
    link->watched = condition;
    link->watch = conf_watch(plugin, link->fd, condition, ldap_link_ready);
}

static void
turn(LdapLink *link)
{
    LdapSet *set = ldap_set_ref(link->server->set);
    link->busy = true;
    if (link->state == LINK_CONNECTING)
        connected(link);
    else if (link->state == LINK_ENCRYPTING)
        shake(link);
    else
        take_messages(link);
    link->busy = false;
    if (link->dead)
        release(link);
    ldap_set_unref(set);
}

/* This address does not answer. */
static bool
dial_next(LdapLink *link)
{
    AuthLdap *owner = link->server->set->owner;
    conf_unwatch(owner->plugin, link->watch);
    link->watch = 0;
    g_hash_table_remove(owner->links, GINT_TO_POINTER(link->fd));
    close(link->fd);
    link->fd = -1;
    link->server->address++;
    return dial(link);
}

static void
connected(LdapLink *link)
{
    int code = 0;
    socklen_t size = sizeof code;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
        code = errno;
    if (code != 0) {
        if (!dial_next(link))
            ldap_link_fail(link, g_strerror(code));
        return;
    }
    link->state = LINK_ENCRYPTING;
    arm(link);
    if (link->server->tls) {
        shake(link);
    } else if (!initialize(link)) {
        ldap_link_fail(link, "no memory");
    } else if (link->server->start_tls) {
        ask_tls(link);
    } else {
        bind_application(link);
    }
}

static void
shake(LdapLink *link)
{
    GIOCondition wanted = G_IO_IN;
    g_autofree char *why = NULL;
    int result = ldap_tls_shake(link, &wanted, &why);
    if (result > 0) {
        watch(link, wanted);
    } else if (result < 0) {
        conf_plugin_log(link->server->set->owner->plugin, 1, "An LDAP server cannot be trusted", "server",
                        link->server->host, "reason", why, NULL);
        ldap_link_fail(link, why);
    } else if (link->ld == NULL && !initialize(link)) {
        ldap_link_fail(link, "no memory");
    } else {
        link->is_encrypted = true;
        bind_application(link);
    }
}

static bool
initialize(LdapLink *link)
{
    int version = LDAP_VERSION3;
    if (ldap_init_fd(link->fd, LDAP_PROTO_TCP, "ldap://server", &link->ld) != LDAP_SUCCESS)
        return false;
    ldap_set_option(link->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
    ldap_set_option(link->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    ldap_set_option(link->ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
    return ldap_tls_install(link);
}

static void
ask_tls(LdapLink *link)
{
    link->state = LINK_ASKING_TLS;
    if (ldap_extended_operation(link->ld, LDAP_EXOP_START_TLS, NULL, NULL, NULL, &link->msgid) !=
        LDAP_SUCCESS)
        ldap_link_fail(link, "StartTLS could not be asked for");
    else
        watch(link, G_IO_IN);
}

static void
bind_application(LdapLink *link)
{
    const AuthLdapSettings *settings = &link->server->config->settings;
    watch(link, G_IO_IN);
    if (!link->searches || link->server->anonymous || settings->app_user == NULL) {
        made(link);
        return;
    }
    struct berval password = {.bv_val = settings->password, .bv_len = strlen(settings->password)};
    link->state = LINK_BINDING;
    if (ldap_sasl_bind(link->ld, settings->app_user, LDAP_SASL_SIMPLE, &password, NULL, NULL, &link->msgid) !=
        LDAP_SUCCESS)
        ldap_link_fail(link, "the connection broke");
}

static void
made(LdapLink *link)
{
    link->state = LINK_READY;
    link->made_at = g_get_monotonic_time();
    ldap_server_say(link->server, "Connected to an LDAP server", link->tls != NULL ? "encrypted" : "plain");
    ldap_link_rest(link);
    ldap_server_pump(link->server);
    if (!link->dead && link->tls != NULL && link->again == 0)
        link->again = conf_timer(link->server->set->owner->plugin, 1, go_on, link);
}

static void
take_messages(LdapLink *link)
{
    int type = 1;
    link->turn_bytes = 0;
    for (unsigned i = 0; i < MESSAGES_A_TURN && type > 0; i++) {
        struct timeval none = {0, 0};
        LDAPMessage *message = NULL;
        size_t before = link->turn_bytes;
        link->may_read = true;
        type = ldap_result(link->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &none, &message);
        if (type > 0)
            take_message(link, message);
        else if (type < 0)
            ldap_link_fail(link, "the server closed the connection, or spoke no LDAP");
        else if (link->turn_bytes > before) {
            /* A part of a message, or one that answers nothing and was passed over. */
            link->passed_over++;
            type = 1;
        }
        if (link->dead || link->state == LINK_ENCRYPTING)
            return;
    }
    if (link->unasked_bytes > LDAP_UNASKED_MAX || link->passed_over > LDAP_PASSED_OVER_MAX) {
        link->at_fault = true;
        ldap_link_fail(link, "the server says too much that was not asked");
    } else if (link->again == 0 &&
               (type > 0 || link->turn_bytes >= LDAP_TURN_BYTES || ldap_tls_has_more(link))) {
        /* Others come first; what TLS has read already wakes nobody. */
        link->again = conf_timer(link->server->set->owner->plugin, 1, go_on, link);
    }
}

static void
take_message(LdapLink *link, LDAPMessage *message)
{
    int msgid = ldap_msgid(message);
    LdapQuestion *question = g_hash_table_lookup(link->questions, GINT_TO_POINTER(msgid));
    link->received_at = g_get_monotonic_time();
    if (msgid == LDAP_RES_UNSOLICITED)
        take_notice(link, message);
    else if (link->state != LINK_READY && msgid == link->msgid)
        take_own(link, message);
    else if (question != NULL)
        ldap_question_message(question, message);
    ldap_msgfree(message);
}

/* The notice of disconnection (RFC 4511, 4.4.1): what is under way there will not be answered.  No other
 * notice is known. */
static void
take_notice(LdapLink *link, LDAPMessage *message)
{
    char *oid = NULL;
    if (ldap_msgtype(message) == LDAP_RES_EXTENDED &&
        ldap_parse_extended_result(link->ld, message, &oid, NULL, 0) == LDAP_SUCCESS && oid != NULL &&
        strcmp(oid, LDAP_NOTICE_OF_DISCONNECTION) == 0)
        ldap_link_fail(link, "the server gave notice of disconnection");
    ldap_memfree(oid);
}

/* The answer to StartTLS or to the bind as app-user. */
static void
take_own(LdapLink *link, LDAPMessage *message)
{
    int code = LDAP_OTHER, kind = (int)(link->state == LINK_BINDING ? LDAP_RES_BIND : LDAP_RES_EXTENDED);
    char *text = NULL;
    if (ldap_msgtype(message) != kind ||
        ldap_parse_result(link->ld, message, &code, NULL, &text, NULL, NULL, 0) != LDAP_SUCCESS)
        code = LDAP_DECODING_ERROR;
    if (code == LDAP_SUCCESS && link->state == LINK_ASKING_TLS) {
        link->state = LINK_ENCRYPTING;
        shake(link);
    } else if (code == LDAP_SUCCESS) {
        ldap_link_answered(link);
        made(link);
    } else {
        g_autofree char *why = g_strdup_printf(
            "%s: %s", link->state == LINK_BINDING ? "app-user was refused" : "StartTLS was refused",
            text != NULL && *text != '\0' && g_utf8_validate(text, -1, NULL) ? text : ldap_err2string(code));
        conf_plugin_log(link->server->set->owner->plugin, 0, "An LDAP server refuses this server", "server",
                        link->server->host, "reason", why, NULL);
        ldap_link_fail(link, why);
    }
    ldap_memfree(text);
}

static void
too_late(void *self, void *data)
{
    (void)self;
    LdapLink *link = data;
    link->timer = 0;
    if (link->state != LINK_CONNECTING || !dial_next(link))
        ldap_link_fail(link, "no connection within connect-timeout");
}

static void
go_on(void *self, void *data)
{
    (void)self;
    LdapLink *link = data;
    link->again = 0;
    turn(link);
}

static void
rested(void *self, void *data)
{
    (void)self;
    LdapLink *link = data;
    link->timer = 0;
    if (ldap_link_is_free(link))
        ldap_link_close(link);
}

/* Not under the feet of turn(). */
static void
release(LdapLink *link)
{
    if (link->busy)
        return;
    if (link->ld != NULL)
        ldap_unbind_ext(link->ld, NULL, NULL);
    else if (link->fd >= 0)
        close(link->fd);
    if (link->tls != NULL)
        gnutls_deinit(link->tls);
    g_hash_table_unref(link->questions);
    g_free(link);
}
