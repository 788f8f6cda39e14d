/* authentication.c - who decides on a password: option `library` of [authentication] names, in order, the
 * plugins that ask a directory, for the whole server, for a tenant's or for a person's annex (the nearest
 * counts).
 *
 * The directory takes the place of the password check only.  Of whom is unknown or disabled here it is not
 * asked: it would count there as an attempt. */
#include "base/clock.h"
#include "base/json-tree.h"
#include "base/option.h"
#include "session/login-private.h"

#define SECTION "authentication"
#define INTERNAL "internal"

static void find_libraries(ConfLogin *login);
static bool comes_to_rescue(const ConfLogin *login);
static char **libraries_of(const ConfSessions *sessions, const ConfObject *person);
static char *annex_value(const ConfObject *object, const char *key);
static char *annex_library(const ConfObject *object);
static bool annex_boolean(const ConfObject *object, const char *key, bool otherwise);
static char **split(const char *list);
static ConfVerdict ask_libraries(ConfLogin *login, GError **error);
static bool may_be_internal(const ConfLogin *login);
static bool was_right_lately(ConfLogin *login);
static ConfVerdict conclude(ConfLogin *login, GError **error);
static void tell_missing(const char *library);

ConfVerdict
conf_authentication_ask(ConfLogin *login, GError **error)
{
    ConfVerdict verdict = CONF_NEXT;
    if (login->stage == CONF_LOGIN_HOOKS) {
        if (login->judged == NULL)
            conf_login_judge(login, conf_login_get_person(login));
        verdict = conf_hooks_login(login, &login->position, error);
        if (verdict != CONF_NEXT)
            return verdict;
        find_libraries(login);
        login->stage = login->libraries != NULL ? CONF_LOGIN_LIBRARIES : CONF_LOGIN_INTERNAL;
    }
    return login->stage == CONF_LOGIN_LIBRARIES ? ask_libraries(login, error) : CONF_NEXT;
}

bool
conf_authentication_goes_on(ConfLogin *login, ConfVerdict verdict, const GError *error)
{
    if (login->stage != CONF_LOGIN_LIBRARIES || verdict != CONF_REFUSE ||
        !g_error_matches(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE))
        return false;
    login->unanswered = true;
    g_clear_pointer(&login->text, g_free); /* Another decides: what this one said is no part of it. */
    return true;
}

void
conf_authentication_again(ConfLogin *login)
{
    if (login->stage == CONF_LOGIN_LIBRARIES && login->library > 0)
        login->library--;
    else if (login->position > 0)
        login->position--;
}

void
conf_authentication_let_go(ConfLogin *login)
{
    if (login->waits_for_library)
        login->sessions->waiting_for_libraries--;
    login->waits_for_library = false;
}

void
conf_authentication_succeeded(ConfLogin *login)
{
    const ConfObject *person = conf_login_get_person(login);
    if (login->stage == CONF_LOGIN_LIBRARIES && person != NULL && login->response == NULL &&
        login->sessions->settings.offline_login_s > 0)
        conf_access_note_external(login->sessions->access, person, conf_slice_from_string(login->password));
}

/* It may have been right until it was changed there; or it is not enough any more, where a challenge
 * follows. */
void
conf_authentication_refused(ConfLogin *login)
{
    const ConfObject *person = conf_login_get_person(login);
    if (login->stage == CONF_LOGIN_LIBRARIES && login->asked && person != NULL && login->response == NULL)
        conf_access_forget_external(login->sessions->access, person, conf_slice_from_string(login->password));
}

bool
conf_authentication_is_of(const ConfLogin *login)
{
    static const char *const DECISIVE[] = {"externalId", "annex"};
    const ConfObject *then = login->judged;
    const ConfObject *now =
        then == NULL
            ? NULL
            : conf_store_lookup_name(
                  login->sessions->store, then->type,
                  conf_slice_from_string(login->user != NULL ? login->user : login->application), NULL);
    if (then == NULL || now == then)
        return true;
    if (now == NULL || !conf_key_equal(conf_object_key(then), conf_object_key(now)))
        return false;
    /* A hook may itself write into the account what its directory says of it. */
    bool same = login->stage == CONF_LOGIN_HOOKS ||
                (now->tenant == then->tenant &&
                 conf_slice_equal(conf_bytes_slice(now->secrets), conf_bytes_slice(then->secrets)));
    for (unsigned i = 0; same && login->stage != CONF_LOGIN_HOOKS && i < G_N_ELEMENTS(DECISIVE); i++)
        same =
            conf_slice_equal(conf_object_get_raw(now, DECISIVE[i]), conf_object_get_raw(then, DECISIVE[i]));
    return same;
}

bool
conf_authentication_is_internal(const ConfSessions *sessions, const ConfObject *person)
{
    g_auto(GStrv) libraries = libraries_of(sessions, person);
    return libraries == NULL;
}

static void
find_libraries(ConfLogin *login)
{
    bool password = login->mechanism == NULL || strcmp(login->mechanism, "password") == 0;
    const ConfObject *person = password && login->user != NULL ? conf_login_get_person(login) : NULL;
    const ConfObject *application = conf_store_lookup_name(login->sessions->store, CONF_TYPE_APPLICATION,
                                                           conf_slice_from_string(login->application), NULL);
    /* Rights are not asked yet: groups that a directory names may bring them. */
    if (person != NULL && person->enabled && application != NULL && application->enabled &&
        !comes_to_rescue(login)) {
        conf_login_judge(login, person);
        login->libraries = libraries_of(login->sessions, person);
    }
}

/* Who was started with -rescue-port must be got at without any directory. */
static bool
comes_to_rescue(const ConfLogin *login)
{
    return login->client->management &&
           strcmp(conf_connection_get_port_id(login->client->connection), "rescue") == 0;
}

/* NULL: the internal password decides. */
static char **
libraries_of(const ConfSessions *sessions, const ConfObject *person)
{
    const ConfSessionSettings *settings = &sessions->settings;
    const ConfObject *tenant =
        conf_store_lookup(sessions->store, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = person->tenant});
    if (annex_boolean(tenant, "enforce-internal-auth", settings->enforce_internal))
        return NULL;
    g_autofree char *own = annex_library(person);
    if (own != NULL)
        return split(own);
    g_autofree char *external_id = conf_object_get_string(person, "externalId");
    if ((external_id == NULL || *external_id == '\0') &&
        !annex_boolean(tenant, "enforce-external-auth", settings->enforce_external))
        return NULL;
    g_autofree char *of_tenant = annex_library(tenant);
    if (of_tenant != NULL)
        return split(of_tenant);
    char **libraries = split(settings->library);
    if (libraries == NULL || conf_hooks_have_library(NULL))
        return libraries;
    /* An option without any module behind it: external authentication is off. */
    tell_missing(settings->library);
    g_strfreev(libraries);
    return NULL;
}

static char *
annex_value(const ConfObject *object, const char *key)
{
    ConfSlice annex = object != NULL ? conf_object_get_raw(object, "annex") : (ConfSlice){NULL, 0};
    if (annex.size == 0)
        return NULL;
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *sections = conf_json_parse(arena, annex, NULL, NULL, NULL);
    const ConfJson *value = conf_json_member(conf_json_member(sections, SECTION), key);
    return value != NULL && value->kind == CONF_JSON_STRING ? conf_slice_dup(value->text) : NULL;
}

/* NULL: it names none.  What names nothing is not "internal": that would open a way round the directory. */
static char *
annex_library(const ConfObject *object)
{
    char *list = annex_value(object, "library");
    if (list != NULL && list[strspn(list, ", \t\r\n")] == '\0')
        g_clear_pointer(&list, g_free);
    return list;
}

static bool
annex_boolean(const ConfObject *object, const char *key, bool otherwise)
{
    g_autofree char *text = annex_value(object, key);
    bool value;
    return text != NULL && conf_option_read_boolean(g_strstrip(text), &value) ? value : otherwise;
}

/* NULL: it names nothing, or the internal password first. */
static char **
split(const char *list)
{
    g_auto(GStrv) items = g_strsplit(list != NULL ? list : "", ",", 16);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (char **item = items; *item != NULL; item++) {
        g_strstrip(*item);
        if (**item != '\0')
            g_ptr_array_add(names, g_strdup(*item));
    }
    if (names->len == 0 || strcmp(names->pdata[0], INTERNAL) == 0)
        return NULL;
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_steal(names, NULL);
}

static ConfVerdict
ask_libraries(ConfLogin *login, GError **error)
{
    ConfSessions *sessions = login->sessions;
    const char *name;
    while ((name = login->libraries[login->library]) != NULL) {
        login->library++;
        if (strcmp(name, INTERNAL) == 0) {
            if (login->unanswered && !may_be_internal(login))
                continue;
            login->stage = CONF_LOGIN_INTERNAL;
            return login->unanswered && was_right_lately(login) ? CONF_DONE : CONF_NEXT;
        }
        if (!conf_hooks_have_library(name)) {
            tell_missing(name);
            continue;
        }
        /* An LDAP server takes it for an anonymous bind, and says yes. */
        if (login->password == NULL || *login->password == '\0') {
            g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "the password is empty");
            return CONF_REFUSE;
        }
        if (sessions->waiting_for_libraries >= sessions->settings.authentication_queue) {
            login->stage = CONF_LOGIN_INTERNAL;
            g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE,
                        "Too many log-ins wait for their directories");
            return CONF_REFUSE;
        }
        login->asked = true;
        g_autoptr(GError) why = NULL;
        ConfVerdict verdict = conf_hooks_login_by(login, name, &why);
        if (verdict == CONF_LATER) {
            login->waits_for_library = true;
            sessions->waiting_for_libraries++;
        } else if (verdict == CONF_NEXT || conf_authentication_goes_on(login, verdict, why)) {
            continue;
        }
        if (why != NULL)
            g_propagate_error(error, g_steal_pointer(&why));
        return verdict;
    }
    return conclude(login, error);
}

/* Who has no password here is not refused by it: the directory that knows did not answer. */
static bool
may_be_internal(const ConfLogin *login)
{
    const ConfObject *person = conf_login_get_person(login);
    return person == NULL || conf_object_get_boolean(person, "passwordSet");
}

/* By a directory that does not answer now. */
static bool
was_right_lately(ConfLogin *login)
{
    const ConfObject *person = conf_login_get_person(login);
    int64_t within_s = login->sessions->settings.offline_login_s;
    /* Whoever may not log in is told alike whatever the password is. */
    if (within_s <= 0 || person == NULL || !conf_login_may_succeed(login) ||
        !conf_access_check_external(login->sessions->access, person, login->address,
                                    conf_slice_from_string(login->password), within_s))
        return false;
    conf_log(CONF_LOG_LOGIN_OFFLINE, "user", login->user, "address", login->address, NULL);
    return true;
}

/* Nobody of the list has decided. */
static ConfVerdict
conclude(ConfLogin *login, GError **error)
{
    if (!login->unanswered)
        conf_authentication_refused(login);
    login->stage = CONF_LOGIN_INTERNAL; /* What is said now is final. */
    if (!login->asked) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE,
                    "No plugin is loaded for the library that this account logs in by");
        return CONF_REFUSE;
    }
    if (!login->unanswered) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "no directory knows this account");
        return CONF_REFUSE;
    }
    if (was_right_lately(login))
        return CONF_DONE;
    g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE,
                "No directory answers that could know this account");
    return CONF_REFUSE;
}

static void
tell_missing(const char *library)
{
    static int64_t told_usec;
    int64_t now = conf_clock_monotonic_usec();
    if (told_usec != 0 && now - told_usec < G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC)
        return;
    told_usec = now;
    conf_log(CONF_LOG_LIBRARY_MISSING, "library", library, NULL);
}
