/* auth-ldap.c - people log in with the passwords of their directory: options, which servers are asked
 * about whom, the verdict.  Read this first.
 *
 * Nothing waits: connections, TLS and requests are all on the main loop.  Rights stay internal; groups of
 * the directory may add access groups to the session. */
#include <string.h>

#include "ldap-private.h"

enum { SETS_MAX = 64, GROUPS_ANY = 0, GROUPS_NONE = -1 };

/* A log-in that waits for its answer. */
typedef struct {
    AuthLdap *self;
    ConfLogin *login;
    ConfLater *later;
    LdapQuestion *question;
    int64_t groups_of; /* the tenant whose access groups the servers may give; GROUPS_... */
} Attempt;

static const char *get_own(const void *data, const char *section, const char *key);
static const char *get_annex(const void *data, const char *section, const char *key);
static ConfVerdict refuse(GError **error, int code, const char *message);
static LdapSet *set_of(AuthLdap *self, const ConfJson *person, int *chase, int64_t *groups_of,
                       GError **error);
static LdapSet *set_of_annex(AuthLdap *self, const ConfJson *annex, GError **error);
static void forget_oldest(AuthLdap *self);
static void gone(void *data);
static void answered(LdapOutcome outcome, const char *text, const char *why, const GPtrArray *groups,
                     void *data);
static bool may_give(const Attempt *attempt, const char *name);
static bool read_errors(ConfPlugin *p, GHashTable **errors, GError **error);

static ConfVerdict
login(void *data, ConfLogin *l, GError **error)
{
    AuthLdap *self = data;
    const ConfObject *object = conf_login_get_person(l);
    const char *password = conf_login_get_password(l);
    const ConfJson *person =
        object != NULL ? conf_value_parse(conf_object_get_json(object, NULL), NULL) : NULL;
    if (person == NULL)
        return CONF_NEXT;
    /* RFC 4513, 5.1.2: a directory may take it for an anonymous bind, and say yes. */
    if (password == NULL || *password == '\0')
        return refuse(error, CONF_ERROR_DENIED, "An empty password");
    if (self->stopping)
        return refuse(error, CONF_ERROR_UNAVAILABLE, "The server stops");
    int chase = -1;
    int64_t groups_of = GROUPS_ANY;
    LdapSet *set = set_of(self, person, &chase, &groups_of, error);
    if (set == NULL)
        return CONF_REFUSE;
    const char *id = conf_value_string(conf_value_member(person, "externalId"));
    if (id == NULL || *id == '\0')
        id = conf_object_get_name(object);
    Attempt *attempt = g_new0(Attempt, 1);
    attempt->self = self;
    attempt->login = l;
    attempt->groups_of = groups_of;
    attempt->later = conf_login_later(l, ldap_question_limit_ms(set), gone, attempt);
    attempt->question = ldap_question_new(set, id, password, chase, answered, attempt);
    ldap_question_start(attempt->question);
    return CONF_LATER;
}

static bool
check_sections(ConfPlugin *p, const void *settings, GError **error)
{
    g_autoptr(GHashTable) errors = NULL;
    g_autoptr(GPtrArray) configs = auth_ldap_config_read(get_own, p, error);
    return configs != NULL && read_errors(p, &errors, error);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks HOOKS = {.size = sizeof(HOOKS), .login = login};
    g_autoptr(GHashTable) errors = NULL;
    GPtrArray *configs = auth_ldap_config_read(get_own, p, error);
    if (configs == NULL)
        return NULL;
    if (!read_errors(p, &errors, error) || !conf_plugin_authenticates(p, AUTH_LDAP, error)) {
        g_ptr_array_unref(configs);
        return NULL;
    }
    AuthLdap *self = g_new0(AuthLdap, 1);
    self->plugin = p;
    self->errors = g_steal_pointer(&errors);
    self->sets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)ldap_set_unref);
    self->links = g_hash_table_new(NULL, NULL);
    self->questions = g_hash_table_new(NULL, NULL);
    self->set = ldap_set_new(self, configs);
    conf_plugin_hook(p, CONF_NORMAL, &HOOKS);
    conf_plugin_statistic(p, "accepted", &self->accepted);
    conf_plugin_statistic(p, "rejected", &self->rejected);
    conf_plugin_statistic(p, "unknown", &self->unknown);
    conf_plugin_statistic(p, "unanswered", &self->unanswered);
    conf_plugin_statistic(p, "waiting", &self->waiting);
    conf_plugin_statistic(p, "connections", &self->connections);
    conf_plugin_statistic(p, "connects", &self->connects);
    conf_plugin_statistic(p, "searches", &self->searches);
    conf_plugin_statistic(p, "binds", &self->binds);
    conf_plugin_statistic(p, "failovers", &self->failovers);
    return self;
}

/* Files may have changed too: sets are read anew, those in use end with what they have. */
static void
changed(void *data, const void *settings)
{
    AuthLdap *self = data;
    g_autoptr(GError) error = NULL;
    GHashTable *errors = NULL;
    GPtrArray *configs = auth_ldap_config_read(get_own, self->plugin, &error);
    if (configs == NULL || !read_errors(self->plugin, &errors, &error)) {
        conf_plugin_log(self->plugin, 0, "The LDAP servers stay as they were", "reason", error->message,
                        NULL);
        g_clear_pointer(&configs, g_ptr_array_unref);
        return;
    }
    g_clear_pointer(&self->errors, g_hash_table_unref);
    self->errors = errors;
    g_hash_table_remove_all(self->sets);
    ldap_set_unref(self->set);
    self->set = ldap_set_new(self, configs);
}

static void
stop(void *data)
{
    AuthLdap *self = data;
    self->stopping = true;
    for (;;) {
        GHashTableIter iter;
        gpointer key = NULL;
        g_hash_table_iter_init(&iter, self->questions);
        if (!g_hash_table_iter_next(&iter, &key, NULL))
            return;
        LdapQuestion *question = key;
        question->done(LDAP_SILENT, NULL, "the server stops", NULL, question->data);
        ldap_question_free(question);
    }
}

static void
unload(void *data)
{
    AuthLdap *self = data;
    g_hash_table_unref(self->sets);
    ldap_set_unref(self->set);
    g_hash_table_unref(self->links);
    g_hash_table_unref(self->questions);
    g_clear_pointer(&self->errors, g_hash_table_unref);
    g_free(self);
}

static const char *
get_own(const void *data, const char *section, const char *key)
{
    return conf_plugin_get_option(data, section, key);
}

static const char *
get_annex(const void *data, const char *section, const char *key)
{
    /* A file of this machine is named by whoever runs it. */
    if (strcmp(key, "error-file") == 0)
        return NULL;
    return conf_value_string(conf_value_member(conf_value_member(data, section), key));
}

static ConfVerdict
refuse(GError **error, int code, const char *message)
{
    g_set_error_literal(error, CONF_ERROR, code, message);
    return CONF_REFUSE;
}

/* The servers of the person's annex, of its tenant's, of this server. Each may say of referrals alone.
 * Whoever may write an annex must not give more rights by it than that: a tenant's names groups of that
 * tenant, a person's none. */
static LdapSet *
set_of(AuthLdap *self, const ConfJson *person, int *chase, int64_t *groups_of, GError **error)
{
    int64_t dbid = 0;
    const ConfObject *tenant = conf_value_integer(conf_value_member(person, "tenant"), &dbid)
                                   ? conf_plugin_lookup(self->plugin, "tenant", dbid)
                                   : NULL;
    const ConfJson *bodies[] = {
        person, tenant != NULL ? conf_value_parse(conf_object_get_json(tenant, NULL), NULL) : NULL};
    for (unsigned i = 0; i < G_N_ELEMENTS(bodies); i++) {
        const ConfJson *annex = conf_value_member(bodies[i], "annex");
        g_autoptr(GError) why = NULL;
        LdapSet *set = annex != NULL ? set_of_annex(self, annex, &why) : NULL;
        if (why != NULL) {
            conf_plugin_log(self->plugin, 0, "An annex names no LDAP server that can be asked", "reason",
                            why->message, NULL);
            g_propagate_error(error, g_error_new_literal(CONF_ERROR, CONF_ERROR_UNAVAILABLE, why->message));
            return NULL;
        }
        if (set != NULL) {
            *groups_of = bodies[i] == person ? GROUPS_NONE : dbid;
            return set;
        }
        const char *word = annex != NULL ? get_annex(annex, AUTH_LDAP, "chase-referrals") : NULL;
        if (*chase < 0 && word != NULL && strlen(word) == 1 && *word >= '0' && *word <= '2')
            *chase = *word - '0';
    }
    if (self->set->servers->len > 0)
        return self->set;
    refuse(error, CONF_ERROR_UNAVAILABLE, "No LDAP server is named for this account");
    return NULL;
}

/* NULL without an error: it names none. */
static LdapSet *
set_of_annex(AuthLdap *self, const ConfJson *annex, GError **error)
{
    char *text = auth_ldap_config_print(get_annex, annex);
    if (text == NULL)
        return NULL;
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    auth_ldap_wipe(text);
    LdapSet *set = g_hash_table_lookup(self->sets, digest);
    if (set == NULL) {
        GPtrArray *configs = auth_ldap_config_read(get_annex, annex, error);
        if (configs == NULL)
            return NULL;
        if (g_hash_table_size(self->sets) >= SETS_MAX)
            forget_oldest(self);
        set = ldap_set_new(self, configs);
        g_hash_table_insert(self->sets, g_steal_pointer(&digest), set);
    }
    set->used_at = g_get_monotonic_time();
    return set;
}

static void
forget_oldest(AuthLdap *self)
{
    GHashTableIter iter;
    gpointer key, value;
    const char *oldest = NULL;
    int64_t used_at = G_MAXINT64;
    g_hash_table_iter_init(&iter, self->sets);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (((LdapSet *)value)->used_at >= used_at)
            continue;
        oldest = key;
        used_at = ((LdapSet *)value)->used_at;
    }
    g_hash_table_remove(self->sets, oldest);
}

/* Nobody waits any more. */
static void
gone(void *data)
{
    Attempt *attempt = data;
    ldap_question_free(attempt->question);
    conf_later_finish(attempt->later, CONF_REFUSE, NULL);
    g_free(attempt);
}

static void
answered(LdapOutcome outcome, const char *text, const char *why, const GPtrArray *groups, void *data)
{
    g_autofree Attempt *attempt = data;
    AuthLdap *self = attempt->self;
    ConfVerdict verdict = CONF_REFUSE;
    GError *error = NULL;
    switch (outcome) {
    case LDAP_YES:
        self->accepted++;
        if (text != NULL)
            conf_login_set_text(attempt->login, text);
        for (unsigned i = 0; i < groups->len; i++) {
            if (may_give(attempt, groups->pdata[i]))
                conf_login_add_group(attempt->login, groups->pdata[i]);
        }
        verdict = CONF_DONE;
        break;
    case LDAP_NO:
        self->rejected++;
        if (text != NULL)
            conf_login_set_text(attempt->login, text);
        error = g_error_new(CONF_ERROR, CONF_ERROR_DENIED, "Refused by the directory: %s", why);
        break;
    case LDAP_NOT_KNOWN:
        self->unknown++;
        verdict = CONF_NEXT;
        break;
    case LDAP_SILENT:
        self->unanswered++;
        conf_plugin_log(self->plugin, 1, "A log-in could not be checked", "reason", why, "user",
                        conf_login_get_user(attempt->login), NULL);
        error = g_error_new_literal(CONF_ERROR, CONF_ERROR_UNAVAILABLE, why);
        break;
    }
    conf_later_finish(attempt->later, verdict, error);
}

static bool
may_give(const Attempt *attempt, const char *name)
{
    if (attempt->groups_of == GROUPS_ANY)
        return true;
    ConfPlugin *plugin = attempt->self->plugin;
    const ConfObject *group =
        attempt->groups_of != GROUPS_NONE ? conf_login_find_group(attempt->login, name) : NULL;
    int64_t tenant = 0;
    if (group != NULL &&
        conf_value_integer(
            conf_value_member(conf_value_parse(conf_object_get_json(group, NULL), NULL), "tenant"),
            &tenant) &&
        tenant == attempt->groups_of)
        return true;
    conf_plugin_log(plugin, 0, "An annex may not give this access group", "group", name, "user",
                    conf_login_get_user(attempt->login), NULL);
    return false;
}

static bool
read_errors(ConfPlugin *p, GHashTable **errors, GError **error)
{
    const char *path = conf_plugin_get_option(p, AUTH_LDAP, "error-file");
    if (path == NULL || *path == '\0')
        return true;
    g_autofree char *text = auth_ldap_read_file(path, error);
    *errors = text != NULL ? auth_ldap_errors_new(text, error) : NULL;
    if (*errors == NULL)
        g_prefix_error(error, "error-file: ");
    return *errors != NULL;
}

CONF_PLUGIN(.name = "auth-ldap", .version = AUTH_LDAP_VERSION,
            .summary = "Log-ins with the passwords of LDAP directories", .options = auth_ldap_options,
            .settings_size = sizeof(AuthLdapSettings), .check_sections = check_sections, .load = load,
            .changed = changed, .stop = stop, .unload = unload);
