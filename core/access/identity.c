/* identity.c - as whom something is read or written.
 *
 * An identity is a set of accounts: the groups that a person is in, EVERYONE, and the person itself only
 * where some list names it; so the many persons of the same groups share one, and with it the cached
 * rights by list.  Who has which identity is kept with the store until something structural changes, and
 * with a working set as long as that stands. */
#include "access/identity.h"

#include <string.h>

#include "base/json-reader.h"
#include "store/store.h"

enum {
    RIGHTS_UNKNOWN = 0x80,
    /* Lists beyond this id are looked up each time: the caches of a thousand identities stay within 16
     * MiB. */
    CACHED_IDS_MAX = 16384,
    /* Subjects remembered of one state; beyond, all are forgotten and found again. */
    SUBJECTS_MAX = 65536,
};

struct ConfIdentity {
    unsigned refs;
    unsigned hash;
    unsigned account_count;
    ConfKey *accounts; /* sorted, each once */
    /* By id of the list; stale as a whole when an id was given back. */
    uint8_t *rights;
    uint32_t rights_bound;
    uint64_t generation;
};

/* What a state remembers. */
typedef struct {
    /* conf_store_structure() of when it was found; a working set's cache is dropped instead. */
    uint64_t structure;
    GHashTable *subjects; /* ConfKey → ConfIdentity */
} Cache;

/* All identities there are: weak, each takes itself out. */
static GHashTable *identities;

typedef struct {
    const ConfState *state;
    ConfKey person;
    bool needs_check; /* groups refer to persons by other fields than `members` too */
    GArray *accounts;
} Collection;

typedef struct {
    ConfStore *store;
    GArray *found;     /* ConfKey */
    GHashTable *known; /* the same, as a set */
} Subjects;

static ConfIdentity *lookup_identity(ConfState *state, ConfKey subject);
static Cache *get_cache(ConfState *state);
static void free_cache(void *cache);
static ConfIdentity *find_identity(ConfState *state, const ConfObject *subject);
static bool collect_group(const ConfObject *group, void *data);
static bool collect_everyone(const ConfObject *group, void *data);
static bool has_other_person_fields(const ConfSchema *schema);
static bool is_member(const ConfObject *group, int64_t person);
static ConfIdentity *intern(GArray *accounts);
static int compare_accounts(const void *a, const void *b);
static unsigned hash_identity(const void *identity);
static int equal_identities(const void *a, const void *b);
static uint8_t compute_rights(const ConfIdentity *identity, const ConfAcl *acl);
static void make_room(ConfIdentity *identity);
static void unref_identity(void *identity);
static bool is_repairing_account(ConfState *state, ConfKey account);
static bool note_enabled(const ConfObject *object, void *data);
typedef bool (*MemberFunc)(int64_t person, void *data);
static bool foreach_member(const ConfObject *group, MemberFunc func, void *data);
static void add_group_change(const ConfObject *before, const ConfObject *after, Subjects *subjects);
static void add_list(const ConfAcl *acl, Subjects *subjects);
static bool add_subject(ConfKey key, Subjects *subjects);

ConfIdentity *
conf_identity_of(ConfStore *store, ConfKey subject)
{
    return conf_identity_ref(lookup_identity(conf_store_state(store), subject));
}

ConfIdentity *
conf_identity_of_all(ConfStore *store, const ConfKey *subjects, unsigned count)
{
    GArray *accounts = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    for (unsigned i = 0; i < count; i++) {
        const ConfIdentity *identity = lookup_identity(conf_store_state(store), subjects[i]);
        g_array_append_vals(accounts, identity->accounts, identity->account_count);
    }
    return intern(accounts);
}

ConfIdentity *
conf_identity_ref(ConfIdentity *identity)
{
    identity->refs++;
    return identity;
}

void
conf_identity_unref(ConfIdentity *identity)
{
    if (identity == NULL || --identity->refs > 0)
        return;
    g_hash_table_remove(identities, identity);
    if (g_hash_table_size(identities) == 0)
        g_hash_table_destroy(g_steal_pointer(&identities));
    g_free(identity->accounts);
    g_free(identity->rights);
    g_free(identity);
}

uint8_t
conf_identity_rights(ConfIdentity *identity, const ConfAcl *acl)
{
    if (acl == NULL)
        return 0;
    if (identity->generation != conf_acl_generation()) {
        if (identity->rights != NULL)
            memset(identity->rights, RIGHTS_UNKNOWN, identity->rights_bound);
        identity->generation = conf_acl_generation();
    }
    if (acl->id >= identity->rights_bound) {
        if (acl->id >= CACHED_IDS_MAX)
            return compute_rights(identity, acl);
        make_room(identity);
    }
    if (identity->rights[acl->id] == RIGHTS_UNKNOWN)
        identity->rights[acl->id] = compute_rights(identity, acl);
    return identity->rights[acl->id];
}

uint8_t
conf_identity_rights_on(ConfStore *store, ConfIdentity *identity, const ConfObject *object)
{
    return conf_identity_rights(identity, conf_store_acl(store, object));
}

uint8_t
conf_access_rights(ConfState *state, ConfKey subject, const ConfObject *object)
{
    /* Under a working set that changes nothing of the kind, who is in the store is who he is there. */
    ConfStore *store = conf_state_store(state);
    bool is_same = !conf_state_is_structural(state) && conf_store_lookup(store, subject) != NULL;
    ConfState *decisive = is_same ? conf_store_state(store) : state;
    return conf_identity_rights(lookup_identity(decisive, subject), conf_state_acl(state, object, NULL));
}

bool
conf_access_is_administrator(ConfState *state, ConfKey subject)
{
    const ConfObject *environment =
        conf_state_lookup(state, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = CONF_DBID_ENVIRONMENT});
    return environment != NULL &&
           (conf_access_rights(state, subject, environment) & CONF_RIGHT_CHANGE_PERMISSIONS) != 0;
}

bool
conf_access_has_repairer(ConfState *state)
{
    const ConfObject *environment =
        conf_state_lookup(state, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = CONF_DBID_ENVIRONMENT});
    const ConfAcl *acl = environment != NULL ? conf_state_acl(state, environment, NULL) : NULL;
    for (unsigned i = 0; acl != NULL && i < acl->count; i++) {
        if ((acl->entries[i].rights & CONF_RIGHT_CHANGE_PERMISSIONS) != 0 &&
            is_repairing_account(state, acl->entries[i].account))
            return true;
    }
    return false;
}

void
conf_access_changed_subjects(ConfStore *store, const ConfCommit *commit, GArray *subjects)
{
    Subjects changed = {
        .store = store,
        .found = subjects,
        .known = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, NULL),
    };
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfObject *before = commit->changes[i].before, *after = commit->changes[i].after;
        const ConfObject *any = after != NULL ? after : before;
        if (any->type == CONF_TYPE_ACCESS_GROUP)
            add_group_change(before, after, &changed);
        if (any->type == CONF_TYPE_PERSON &&
            (before == NULL || after == NULL || before->enabled != after->enabled))
            add_subject(conf_object_key(any), &changed);
        const ConfAcl *acl_before = before != NULL ? before->acl : NULL,
                      *acl_after = after != NULL ? after->acl : NULL;
        if (acl_before != acl_after) {
            add_list(acl_before, &changed);
            add_list(acl_after, &changed);
        }
    }
    g_hash_table_destroy(changed.known);
}

/* Borrowed: good until the next call. */
static ConfIdentity *
lookup_identity(ConfState *state, ConfKey subject)
{
    Cache *cache = get_cache(state);
    ConfIdentity *identity = g_hash_table_lookup(cache->subjects, &subject);
    if (identity != NULL)
        return identity;
    if (g_hash_table_size(cache->subjects) >= SUBJECTS_MAX)
        g_hash_table_remove_all(cache->subjects);
    const ConfObject *object = conf_state_lookup(state, subject);
    identity = find_identity(state, object);
    /* That a subject is not there is not remembered under its key: its creation is not structural. */
    ConfKey remembered = object != NULL ? subject : (ConfKey){0};
    g_hash_table_insert(cache->subjects, g_memdup2(&remembered, sizeof(remembered)), identity);
    return identity;
}

static Cache *
get_cache(ConfState *state)
{
    uint64_t structure = conf_store_structure(conf_state_store(state));
    Cache *cache = conf_state_get_cache(state);
    if (cache == NULL) {
        cache = g_new0(Cache, 1);
        cache->subjects = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, unref_identity);
        cache->structure = structure;
        conf_state_set_cache(state, cache, free_cache);
    } else if (cache->structure != structure) {
        g_hash_table_remove_all(cache->subjects);
        cache->structure = structure;
    }
    return cache;
}

static void
free_cache(void *data)
{
    Cache *cache = data;
    g_hash_table_destroy(cache->subjects);
    g_free(cache);
}

/* `subject` NULL, disabled or no account: nobody, who has no rights at all.  Returns new. */
static ConfIdentity *
find_identity(ConfState *state, const ConfObject *subject)
{
    Collection collection = {.state = state, .accounts = g_array_new(FALSE, FALSE, sizeof(ConfKey))};
    if (subject != NULL && subject->enabled &&
        (subject->type == CONF_TYPE_PERSON || subject->type == CONF_TYPE_ACCESS_GROUP)) {
        ConfKey key = conf_object_key(subject);
        if (key.type == CONF_TYPE_ACCESS_GROUP || conf_acl_count_mentions(key) > 0)
            g_array_append_val(collection.accounts, key);
        if (key.type == CONF_TYPE_PERSON) {
            collection.person = key;
            collection.needs_check = has_other_person_fields(conf_state_schema(state));
            conf_state_foreach_referrer(state, key, collect_group, &collection);
        }
        conf_state_foreach_everyone(state, collect_everyone, &collection);
    }
    return intern(collection.accounts);
}

static bool
collect_group(const ConfObject *group, void *data)
{
    Collection *collection = data;
    if (group->type != CONF_TYPE_ACCESS_GROUP || !group->enabled)
        return true;
    if (collection->needs_check && !is_member(group, collection->person.dbid))
        return true;
    ConfKey key = conf_object_key(group);
    g_array_append_val(collection->accounts, key);
    return true;
}

static bool
collect_everyone(const ConfObject *group, void *data)
{
    Collection *collection = data;
    ConfKey key = conf_object_key(group);
    if (group->enabled)
        g_array_append_val(collection->accounts, key);
    return true;
}

/* Could the field, or what it is made of, refer to a person?  Schemas nest a few levels only. */
static bool
may_name_person(const ConfField *field)
{
    if (field->kind == CONF_FIELD_REF) {
        for (unsigned i = 0; i < field->to_count; i++) {
            if (field->to[i] == CONF_TYPE_PERSON)
                return true;
        }
        return field->to_count == 0;
    }
    if (field->kind == CONF_FIELD_LIST)
        return may_name_person(field->of);
    for (unsigned i = 0; field->kind == CONF_FIELD_STRUCT && i < field->field_count; i++) {
        if (may_name_person(&field->fields[i]))
            return true;
    }
    return false;
}

/* A site may add fields to groups ("owner"), which make nobody a member. */
static bool
has_other_person_fields(const ConfSchema *schema)
{
    const ConfTypeInfo *type = conf_schema_type(schema, CONF_TYPE_ACCESS_GROUP);
    for (unsigned i = 0; type != NULL && i < type->field_count; i++) {
        if (strcmp(type->fields[i].name, "members") != 0 && may_name_person(&type->fields[i]))
            return true;
    }
    return false;
}

static bool
is_another_member(int64_t person, void *data)
{
    return person != *(int64_t *)data;
}

static bool
is_member(const ConfObject *group, int64_t person)
{
    return !foreach_member(group, is_another_member, &person);
}

/* Takes `accounts`; returns a reference. */
static ConfIdentity *
intern(GArray *accounts)
{
    if (accounts->len > 1)
        qsort(accounts->data, accounts->len, sizeof(ConfKey), compare_accounts);
    ConfIdentity probe = {.accounts = (ConfKey *)(void *)accounts->data};
    for (unsigned i = 0; i < accounts->len; i++) {
        ConfKey key = g_array_index(accounts, ConfKey, i);
        if (probe.account_count > 0 && conf_key_equal(probe.accounts[probe.account_count - 1], key))
            continue;
        probe.accounts[probe.account_count++] = key;
        probe.hash = (unsigned)(probe.hash * 31 + (conf_key_hash(key) >> 32));
    }
    if (identities == NULL)
        identities = g_hash_table_new(hash_identity, equal_identities);
    ConfIdentity *identity = g_hash_table_lookup(identities, &probe);
    if (identity != NULL) {
        g_array_free(accounts, TRUE);
        return conf_identity_ref(identity);
    }
    identity = g_new0(ConfIdentity, 1);
    identity->refs = 1;
    identity->hash = probe.hash;
    identity->account_count = probe.account_count;
    identity->accounts = (ConfKey *)(void *)g_array_free(accounts, FALSE);
    g_hash_table_add(identities, identity);
    return identity;
}

static int
compare_accounts(const void *a, const void *b)
{
    return conf_key_compare(*(const ConfKey *)a, *(const ConfKey *)b);
}

static unsigned
hash_identity(const void *identity)
{
    return ((const ConfIdentity *)identity)->hash;
}

static int
equal_identities(const void *a, const void *b)
{
    const ConfIdentity *first = a, *second = b;
    if (first->account_count != second->account_count)
        return false;
    for (unsigned i = 0; i < first->account_count; i++) {
        if (!conf_key_equal(first->accounts[i], second->accounts[i]))
            return false;
    }
    return true;
}

static uint8_t
compute_rights(const ConfIdentity *identity, const ConfAcl *acl)
{
    uint8_t rights = 0;
    for (unsigned i = 0; i < identity->account_count; i++)
        rights |= conf_acl_lookup(acl, identity->accounts[i]);
    return rights;
}

static void
make_room(ConfIdentity *identity)
{
    uint32_t bound = conf_acl_id_bound();
    bound = MIN(bound + bound / 2 + 16, (uint32_t)CACHED_IDS_MAX);
    identity->rights = g_realloc(identity->rights, bound);
    memset(identity->rights + identity->rights_bound, RIGHTS_UNKNOWN, bound - identity->rights_bound);
    identity->rights_bound = bound;
}

static void
unref_identity(void *identity)
{
    conf_identity_unref(identity);
}

typedef struct {
    const ConfState *state;
    bool is_found;
} PersonSearch;

static bool
note_enabled(const ConfObject *object, void *data)
{
    PersonSearch *search = data;
    search->is_found = object->enabled;
    return !search->is_found;
}

static bool
note_enabled_member(int64_t person, void *data)
{
    PersonSearch *search = data;
    const ConfObject *object =
        conf_state_lookup(search->state, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = person});
    return object == NULL || note_enabled(object, search);
}

/* An enabled person, or an enabled group that has one. */
static bool
is_repairing_account(ConfState *state, ConfKey account)
{
    PersonSearch search = {.state = state};
    const ConfObject *object = conf_state_lookup(state, account);
    if (object == NULL || !object->enabled)
        return false;
    if (object->type == CONF_TYPE_PERSON)
        return true;
    if (object->type != CONF_TYPE_ACCESS_GROUP)
        return false;
    if (conf_slice_is(conf_object_get_raw(object, "kind"), "\"everyone\""))
        conf_state_foreach_of_type(state, CONF_TYPE_PERSON, note_enabled, &search);
    else
        foreach_member(object, note_enabled_member, &search);
    return search.is_found;
}

/* func answers false to end the walk; so does this then. */
static bool
foreach_member(const ConfObject *group, MemberFunc func, void *data)
{
    ConfSlice members = conf_object_get_raw(group, "members");
    if (members.size == 0)
        return true;
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, members);
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(&reader)) != CONF_JSON_EVENT_END &&
           event != CONF_JSON_EVENT_ERROR) {
        if (event == CONF_JSON_EVENT_NUMBER && !func(reader.integer, data))
            return false;
    }
    return true;
}

static bool
add_member(int64_t person, void *data)
{
    return add_subject((ConfKey){.type = CONF_TYPE_PERSON, .dbid = person}, data);
}

static bool
add_person(const ConfObject *person, void *data)
{
    return add_subject(conf_object_key(person), data);
}

static void
add_group_change(const ConfObject *before, const ConfObject *after, Subjects *subjects)
{
    const ConfObject *any = after != NULL ? after : before;
    if (before != NULL && after != NULL && before->enabled == after->enabled &&
        conf_slice_equal(conf_object_get_raw(before, "members"), conf_object_get_raw(after, "members")))
        return;
    add_subject(conf_object_key(any), subjects);
    if (before != NULL)
        foreach_member(before, add_member, subjects);
    if (after != NULL)
        foreach_member(after, add_member, subjects);
    if (conf_slice_is(conf_object_get_raw(any, "kind"), "\"everyone\"")) {
        conf_state_foreach_of_type(conf_store_state(subjects->store), CONF_TYPE_PERSON, add_person, subjects);
        conf_state_foreach_of_type(conf_store_state(subjects->store), CONF_TYPE_ACCESS_GROUP, add_person,
                                   subjects);
    }
}

static void
add_list(const ConfAcl *acl, Subjects *subjects)
{
    for (unsigned i = 0; acl != NULL && i < acl->count; i++)
        add_subject(acl->entries[i].account, subjects);
}

static bool
add_subject(ConfKey key, Subjects *subjects)
{
    if (g_hash_table_contains(subjects->known, &key))
        return true;
    g_hash_table_add(subjects->known, g_memdup2(&key, sizeof(key)));
    g_array_append_val(subjects->found, key);
    return true;
}
