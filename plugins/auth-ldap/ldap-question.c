/* ldap-question.c - the course of a log-in: search, exactly one entry, bind as it, groups; and where it
 * goes when a server is silent: the next one, and after a pause all of them again. */
#include <string.h>

#include "ldap-private.h"

enum { LIMIT_MAX_MS = 60000, ATTRIBUTES_NONE = 1, TEXT_MAX = 1024 };
#define MANY_ENTRIES "the directory has more than one entry for it"

static void ask(LdapQuestion *question, LdapServer *server);
static void wait_in(LdapQuestion *question, GQueue *queue);
static void arm(LdapQuestion *question, unsigned ms);
static void too_late(void *self, void *data);
static void ask_again(void *self, void *data);
static void abandon(LdapQuestion *question);
static void go_on_with(LdapLink *link);
static int send_search(LdapQuestion *question, LdapLink *link);
static int send_bind(LdapQuestion *question, LdapLink *link);
static int send_group(LdapQuestion *question, LdapLink *link);
static int search(LdapLink *link, const char *base, int scope, const char *filter, int *msgid);
static void take_remark(LdapQuestion *question, LDAPMessage *message, int type);
static void take_entry(LdapQuestion *question, LDAPMessage *message);
static void take_references(LdapQuestion *question, char **urls);
static AuthLdapChase chase_of(const LdapQuestion *question);
static void searched(LdapQuestion *question, int code, const char *text);
static void follow(LdapQuestion *question);
static void bound(LdapQuestion *question, int code, const char *text, char **urls, LDAPControl **controls);
static void next_group(LdapQuestion *question, int code, const char *text);
static void answered(LdapQuestion *question);
static void refused(LdapQuestion *question, int code, const char *text, const char *policy);
static void finish(LdapQuestion *question, LdapOutcome outcome, const char *text, const char *why);

LdapQuestion *
ldap_question_new(LdapSet *set, const char *id, const char *password, int chase, LdapDone done, void *data)
{
    LdapQuestion *question = g_new0(LdapQuestion, 1);
    question->set = ldap_set_ref(set);
    question->id = g_strdup(id);
    question->password = g_strdup(password);
    question->chase = chase;
    question->first = set->active;
    question->once = g_get_monotonic_time() < set->away_until;
    question->groups = g_ptr_array_new();
    question->done = done;
    question->data = data;
    g_queue_init(&question->references);
    g_hash_table_add(set->owner->questions, question);
    set->owner->waiting++;
    return question;
}

void
ldap_question_start(LdapQuestion *question)
{
    ask(question, question->set->servers->pdata[question->first]);
}

void
ldap_question_free(LdapQuestion *question)
{
    LdapSet *set = question->set;
    LdapLink *link = question->link;
    /* Until a bind is answered nothing may be sent (RFC 4511, 4.2.1), and nobody waits for this one. */
    bool binds = link != NULL && question->step == STEP_BIND;
    if (!binds)
        abandon(question);
    ldap_question_detach(question);
    g_hash_table_remove(set->owner->questions, question);
    set->owner->waiting--;
    auth_ldap_wipe(question->password);
    auth_ldap_url_free(question->referred);
    g_queue_clear_full(&question->references, g_free);
    g_ptr_array_unref(question->groups);
    g_free(question->id);
    g_free(question->dn);
    g_free(question->why);
    g_free(question->warning);
    g_free(question);
    if (binds) {
        LdapServer *server = link->server;
        ldap_link_close(link);
        ldap_server_pump(server);
    } else {
        go_on_with(link);
    }
    ldap_set_unref(set);
}

unsigned
ldap_question_limit_ms(const LdapSet *set)
{
    int64_t limit = 0, pause = 0;
    for (unsigned i = 0; i < set->configs->len; i++) {
        const AuthLdapSettings *settings = &((AuthLdapServerConfig *)set->configs->pdata[i])->settings;
        limit += settings->retry_attempts * (settings->connect_timeout + settings->response_timeout) +
                 2 * settings->response_timeout;
        pause = MAX(pause, (settings->retry_attempts - 1) * settings->retry_interval);
    }
    return (unsigned)MIN((limit + pause) * 1000, LIMIT_MAX_MS);
}

void
ldap_question_send(LdapQuestion *question, LdapLink *link)
{
    AuthLdap *owner = question->set->owner;
    int result = question->step == STEP_SEARCH ? send_search(question, link)
                 : question->step == STEP_BIND ? send_bind(question, link)
                                               : send_group(question, link);
    if (result == LDAP_SUCCESS) {
        question->link = link;
        question->remarks = 0;
        question->sent_at = g_get_monotonic_time();
        g_hash_table_insert(link->questions, GINT_TO_POINTER(question->msgid), question);
        conf_unwatch(owner->plugin, link->timer);
        link->timer = 0;
        arm(question, (unsigned)link->server->config->settings.response_timeout * 1000);
    } else if (result == LDAP_SERVER_DOWN || result == LDAP_BUSY) {
        /* The link is broken, or full: what else it has goes elsewhere too. */
        g_hash_table_insert(link->questions, GINT_TO_POINTER(-1), question);
        question->link = link;
        question->msgid = -1;
        ldap_link_fail(link, "the connection broke");
    } else {
        ldap_question_fail(question, ldap_err2string(result));
    }
}

void
ldap_question_message(LdapQuestion *question, LDAPMessage *message)
{
    LdapLink *link = question->link;
    int code = LDAP_OTHER;
    char *text = NULL, **urls = NULL;
    LDAPControl **controls = NULL;
    int type = ldap_msgtype(message);
    if (type == LDAP_RES_SEARCH_ENTRY || type == LDAP_RES_SEARCH_REFERENCE || type == LDAP_RES_INTERMEDIATE) {
        take_remark(question, message, type);
        return;
    }
    if (type != (int)(question->step == STEP_BIND ? LDAP_RES_BIND : LDAP_RES_SEARCH_RESULT)) {
        link->at_fault = true;
        ldap_link_fail(link, "an answer of another kind than the request");
        return;
    }
    if (ldap_parse_result(link->ld, message, &code, NULL, &text, &urls, &controls, 0) != LDAP_SUCCESS)
        code = LDAP_DECODING_ERROR;
    ldap_link_answered(link);
    const char *said =
        text != NULL && *text != '\0' && strlen(text) <= TEXT_MAX && g_utf8_validate(text, -1, NULL) ? text
                                                                                                     : NULL;
    LdapSet *set = ldap_set_ref(question->set);
    LdapServer *server = link->server;
    /* Controls are read by the link that question leaves now. */
    if (question->step == STEP_BIND) {
        bound(question, code, said, urls, controls);
    } else {
        bool searching = question->step == STEP_SEARCH;
        if (searching && code == LDAP_REFERRAL && urls != NULL)
            take_references(question, urls);
        ldap_question_detach(question);
        if (searching)
            searched(question, code, said);
        else if (ldap_verdict_is_retryable(question->set->owner, code))
            ldap_question_fail(question, said != NULL ? said : ldap_err2string(code));
        else
            next_group(question, code, said);
    }
    if (!link->dead)
        ldap_link_rest(link);
    ldap_server_pump(server);
    ldap_set_unref(set);
    ldap_memfree(text);
    ber_memvfree((void **)urls);
    ldap_controls_free(controls);
}

void
ldap_question_detach(LdapQuestion *question)
{
    conf_unwatch(question->set->owner->plugin, question->timer);
    question->timer = 0;
    if (question->queue != NULL)
        g_queue_remove(question->queue, question);
    question->queue = NULL;
    if (question->link != NULL)
        g_hash_table_remove(question->link->questions, GINT_TO_POINTER(question->msgid));
    question->link = NULL;
}

/* The next server; after the last all of them again, after a pause. */
void
ldap_question_fail(LdapQuestion *question, const char *why)
{
    LdapSet *set = question->set;
    g_autofree char *kept = g_strdup(why);
    ldap_question_detach(question);
    g_free(question->why);
    question->why = g_steal_pointer(&kept);
    /* Another place that was referred to may have the entry. */
    if (question->step == STEP_SEARCH && question->followed > 0 && question->references.length > 0) {
        question->lost = true;
        follow(question);
        return;
    }
    unsigned count = set->servers->len;
    for (;;) {
        question->tried++;
        unsigned round = question->tried / count;
        LdapServer *server = set->servers->pdata[(question->first + question->tried) % count];
        const AuthLdapSettings *settings = &server->config->settings;
        if (round > 0 && (question->once || round >= 10))
            break;
        if (round >= settings->retry_attempts)
            continue;
        if (round == question->round) {
            ask(question, server);
            return;
        }
        question->round = round;
        question->timer = conf_timer(set->owner->plugin, MAX(1, (unsigned)settings->retry_interval * 1000),
                                     ask_again, question);
        return;
    }
    const AuthLdapServerConfig *config = set->configs->pdata[0];
    set->away_until = g_get_monotonic_time() + MAX(1, config->settings.retry_interval) * G_USEC_PER_SEC;
    finish(question, LDAP_SILENT, NULL, question->why);
}

static void
ask(LdapQuestion *question, LdapServer *server)
{
    question->server = server;
    question->home = NULL;
    question->entries = question->followed = question->group = 0;
    question->again = question->bind_referred = question->lost = false;
    g_clear_pointer(&question->dn, g_free);
    g_clear_pointer(&question->referred, auth_ldap_url_free);
    g_queue_clear_full(&question->references, g_free);
    g_ptr_array_set_size(question->groups, 0);
    question->step = STEP_SEARCH;
    wait_in(question, &server->to_search);
}

static void
wait_in(LdapQuestion *question, GQueue *queue)
{
    const AuthLdapSettings *settings = &question->server->config->settings;
    question->queue = queue;
    g_queue_push_tail(queue, question);
    arm(question, (unsigned)(settings->connect_timeout + settings->response_timeout) * 1000);
    ldap_server_pump(question->server);
}

static void
arm(LdapQuestion *question, unsigned ms)
{
    ConfPlugin *plugin = question->set->owner->plugin;
    conf_unwatch(plugin, question->timer);
    question->timer = conf_timer(plugin, ms, too_late, question);
}

static void
too_late(void *self, void *data)
{
    (void)self;
    LdapQuestion *question = data;
    LdapLink *link = question->link;
    question->timer = 0;
    /* Silent since this was sent, or held by a bind that can hardly be taken back: of no use to others. */
    if (link != NULL &&
        (!link->searches || link->received_at < question->sent_at || link->abandoned >= LDAP_ABANDONED_MAX)) {
        link->at_fault = true;
        ldap_link_fail(link, "no answer within response-timeout");
        return;
    }
    abandon(question);
    go_on_with(link);
    ldap_question_fail(question, "no answer within response-timeout");
}

/* A search; the connection goes on without it. */
static void
abandon(LdapQuestion *question)
{
    LdapLink *link = question->link;
    if (link == NULL)
        return;
    link->abandoned++;
    ldap_abandon_ext(link->ld, question->msgid, NULL, NULL);
    ldap_question_detach(question);
}

/* It has room for others, or for nobody. */
static void
go_on_with(LdapLink *link)
{
    if (link == NULL || link->dead)
        return;
    LdapServer *server = link->server;
    /* What was abandoned is never answered, and libldap remembers it. */
    if (link->abandoned >= LDAP_ABANDONED_MAX && ldap_link_is_free(link))
        ldap_link_close(link);
    else
        ldap_link_rest(link);
    ldap_server_pump(server);
}

static void
ask_again(void *self, void *data)
{
    (void)self;
    LdapQuestion *question = data;
    LdapSet *set = question->set;
    question->timer = 0;
    ask(question, set->servers->pdata[(question->first + question->tried) % set->servers->len]);
}

static int
send_search(LdapQuestion *question, LdapLink *link)
{
    const AuthLdapUrl *url = link->server->config->url, *referred = question->referred;
    const char *base = referred != NULL && *referred->base != '\0' ? referred->base : url->base;
    int scope = referred != NULL && referred->scope >= 0 ? referred->scope : url->scope;
    g_autofree char *filter = auth_ldap_filter_make(url->filter, question->id);
    question->set->owner->searches++;
    ldap_server_say(link->server, "An account is searched for", filter);
    return search(link, base, scope >= 0 ? scope : LDAP_SCOPE_BASE, filter, &question->msgid);
}

static int
send_bind(LdapQuestion *question, LdapLink *link)
{
    struct berval password = {.bv_val = question->password, .bv_len = strlen(question->password)};
    LDAPControl policy = {.ldctl_oid = (char *)LDAP_CONTROL_PASSWORDPOLICYREQUEST},
                *controls[] = {&policy, NULL};
    question->set->owner->binds++;
    ldap_server_say(link->server, "A password is checked", question->dn);
    return ldap_sasl_bind(link->ld, question->dn, LDAP_SASL_SIMPLE, &password, controls, NULL,
                          &question->msgid);
}

static int
send_group(LdapQuestion *question, LdapLink *link)
{
    const AuthLdapGroup *group = &g_array_index(link->server->config->groups, AuthLdapGroup, question->group);
    g_autofree char *dn = auth_ldap_escape(question->dn), *id = auth_ldap_escape(question->id);
    g_autofree char *filter = g_strdup_printf("(|(member=%s)(uniqueMember=%s)(memberUid=%s))", dn, dn, id);
    question->is_member = false;
    return search(link, group->dn, LDAP_SCOPE_BASE, filter, &question->msgid);
}

static int
search(LdapLink *link, const char *base, int scope, const char *filter, int *msgid)
{
    static char *attributes[] = {(char *)LDAP_NO_ATTRS, NULL};
    struct timeval limit = {link->server->config->settings.response_timeout, 0};
    return ldap_search_ext(link->ld, base, scope, filter, attributes, ATTRIBUTES_NONE, NULL, NULL, &limit, 2,
                           msgid);
}

/* What comes before the end of an answer. */
static void
take_remark(LdapQuestion *question, LDAPMessage *message, int type)
{
    LdapLink *link = question->link;
    char **urls = NULL;
    if (++question->remarks > LDAP_REMARKS_MAX) {
        link->at_fault = true;
        ldap_link_fail(link, "an answer has no end");
    } else if (type == LDAP_RES_SEARCH_ENTRY) {
        take_entry(question, message);
    } else if (type == LDAP_RES_SEARCH_REFERENCE && question->step == STEP_SEARCH &&
               ldap_parse_reference(link->ld, message, &urls, NULL, 0) == LDAP_SUCCESS) {
        take_references(question, urls);
    }
    ber_memvfree((void **)urls);
}

static void
take_entry(LdapQuestion *question, LDAPMessage *message)
{
    if (question->step == STEP_GROUPS) {
        question->is_member = true;
        return;
    }
    if (question->step != STEP_SEARCH)
        return;
    /* Two were asked for at most.  One that does not keep to that may go on for long. */
    if (++question->entries > 2) {
        LdapLink *link = question->link;
        ldap_question_detach(question);
        answered(question);
        finish(question, LDAP_NO, NULL, MANY_ENTRIES);
        ldap_link_fail(link, "the server tells of more entries than were asked for");
        return;
    }
    if (question->entries > 1)
        return;
    char *dn = ldap_get_dn(question->link->ld, message);
    /* A bind as nobody would need no password. */
    if (dn != NULL && *dn != '\0') {
        question->dn = g_strdup(dn);
        question->home = question->link->server;
    }
    ldap_memfree(dn);
}

static void
take_references(LdapQuestion *question, char **urls)
{
    if (chase_of(question) == AUTH_LDAP_IGNORE || urls == NULL || urls[0] == NULL)
        return;
    /* The further ones are other ways to the same. */
    if (question->references.length + question->followed < LDAP_REFERRALS_MAX)
        g_queue_push_tail(&question->references, g_strdup(urls[0]));
    else
        question->lost = true;
}

/* Of the server that referrals began at. */
static AuthLdapChase
chase_of(const LdapQuestion *question)
{
    return question->chase >= 0 ? (AuthLdapChase)question->chase
                                : (AuthLdapChase)question->server->config->settings.chase;
}

static void
searched(LdapQuestion *question, int code, const char *text)
{
    if (code == LDAP_SIZELIMIT_EXCEEDED && question->entries > 0)
        question->entries = MAX(question->entries, 2);
    else if (code != LDAP_SUCCESS && code != LDAP_REFERRAL) {
        /* The account is not at fault: the base, a right of app-user... */
        if (!ldap_verdict_is_retryable(question->set->owner, code))
            conf_plugin_log(question->set->owner->plugin, 0, "An LDAP server does not search", "server",
                            question->server->host, "reason", text != NULL ? text : ldap_err2string(code),
                            NULL);
        ldap_question_fail(question, text != NULL ? text : ldap_err2string(code));
        return;
    }
    if (question->entries == 0 && question->references.length > 0) {
        follow(question);
        return;
    }
    if (question->entries == 0 && question->lost) {
        ldap_question_fail(question, "a referral leads nowhere, or there are too many");
        return;
    }
    answered(question);
    if (question->entries > 1) {
        finish(question, LDAP_NO, NULL, MANY_ENTRIES);
    } else if (question->entries == 0) {
        finish(question, LDAP_NOT_KNOWN, NULL, "the directory has no entry for it");
    } else if (question->dn == NULL) {
        ldap_question_fail(question, "the entry has no name");
    } else {
        question->server = question->home;
        question->step = STEP_BIND;
        question->again = false;
        wait_in(question, &question->server->to_bind);
    }
}

static void
follow(LdapQuestion *question)
{
    g_autofree char *text = g_queue_pop_head(&question->references);
    g_autoptr(GError) error = NULL;
    AuthLdapUrl *url = auth_ldap_url_new(text, &error);
    question->followed++;
    LdapServer *server = url != NULL ? ldap_server_refer(question->server, url, chase_of(question)) : NULL;
    if (server == NULL) {
        auth_ldap_url_free(url);
        question->lost = true;
        ldap_question_fail(question, "a referral cannot be followed");
        return;
    }
    ldap_server_say(server, "A referral is followed", text);
    auth_ldap_url_free(question->referred);
    question->referred = url;
    question->server = server;
    question->again = false;
    wait_in(question, &server->to_search);
}

static void
bound(LdapQuestion *question, int code, const char *text, char **urls, LDAPControl **controls)
{
    bool must_change = false;
    g_clear_pointer(&question->warning, g_free);
    const char *policy = ldap_verdict_policy(question->link->ld, controls, &must_change, &question->warning);
    ldap_question_detach(question);
    if (code == LDAP_REFERRAL && urls != NULL && urls[0] != NULL && chase_of(question) != AUTH_LDAP_IGNORE &&
        !question->bind_referred) {
        g_autoptr(AuthLdapUrl) url = auth_ldap_url_new(urls[0], NULL);
        LdapServer *server =
            url != NULL ? ldap_server_refer(question->server, url, chase_of(question)) : NULL;
        question->bind_referred = true;
        if (server != NULL) {
            question->server = server;
            wait_in(question, &server->to_bind);
            return;
        }
    }
    if (code == LDAP_REFERRAL || ldap_verdict_is_retryable(question->set->owner, code)) {
        ldap_question_fail(question, text != NULL ? text : ldap_err2string(code));
    } else if (code != LDAP_SUCCESS || must_change) {
        answered(question);
        refused(question, code, text, policy);
    } else {
        question->step = STEP_GROUPS;
        question->group = 0;
        question->is_member = false;
        question->server = question->home;
        if (question->server->config->groups->len == 0)
            finish(question, LDAP_YES, question->warning, NULL);
        else
            wait_in(question, &question->server->to_search);
    }
}

static void
next_group(LdapQuestion *question, int code, const char *text)
{
    const GArray *groups = question->server->config->groups;
    /* A group that is not there has nobody; one that may not be read must be known of. */
    if (code != LDAP_SUCCESS && code != LDAP_NO_SUCH_OBJECT)
        conf_plugin_log(question->set->owner->plugin, 0, "A group cannot be read", "group",
                        g_array_index(groups, AuthLdapGroup, question->group).dn, "server",
                        question->server->host, "reason", text != NULL ? text : ldap_err2string(code), NULL);
    if (question->is_member)
        g_ptr_array_add(question->groups, g_array_index(groups, AuthLdapGroup, question->group).group);
    question->again = false;
    if (++question->group < groups->len)
        wait_in(question, &question->server->to_search);
    else
        finish(question, LDAP_YES, question->warning, NULL);
}

/* The first server that can say something stays the first to be asked. */
static void
answered(LdapQuestion *question)
{
    LdapSet *set = question->set;
    unsigned index = (question->first + question->tried) % set->servers->len;
    set->away_until = 0;
    if (set->active == index || question->tried == 0)
        return;
    set->active = index;
    set->owner->failovers++;
    const LdapServer *server = set->servers->pdata[index];
    char port[8];
    g_snprintf(port, sizeof port, "%u", server->port);
    conf_plugin_log(set->owner->plugin, 1, "Another LDAP server is asked from now on", "server", server->host,
                    "port", port, NULL);
}

/* What the user is told comes from ldap-verdict.c. */
static void
refused(LdapQuestion *question, int code, const char *text, const char *policy)
{
    const char *told = ldap_verdict_text(question->set->owner, code, text, policy);
    g_autofree char *why = g_strdup_printf("LDAP code %d: %s", code, policy != NULL ? policy : told);
    g_autofree char *kept = g_strdup(told);
    finish(question, LDAP_NO, kept, why);
}

static void
finish(LdapQuestion *question, LdapOutcome outcome, const char *text, const char *why)
{
    LdapDone done = question->done;
    void *data = question->data;
    ldap_question_detach(question);
    done(outcome, text, why, question->groups, data);
    ldap_question_free(question);
}
