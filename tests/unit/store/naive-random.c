/* naive-random.c - random changes for the model tests. */
#include "store-fixture.h"

static const char *const names[] = {"a", "b", "c", "Hosts", "d/e"};

static const ConfObject *
pick_of_type(const Naive *naive, GRand *random, ConfTypeId type, int64_t tenant, int64_t below)
{
    const ConfObject *found = NULL;
    int count = 0;
    for (unsigned i = 0; i < naive->objects->len; i++) {
        const ConfObject *object = naive->objects->pdata[i];
        if (object->type != type || (tenant != 0 && object->tenant != tenant) ||
            (below != 0 && object->dbid >= below))
            continue;
        if (g_rand_int_range(random, 0, ++count) == 0)
            found = object;
    }
    return found;
}

static int64_t
random_dbid(GRand *random, ConfTypeId type)
{
    switch (type) {
    case CONF_TYPE_TENANT:
        return g_rand_int_range(random, 1, 7);
    case CONF_TYPE_FOLDER:
        return g_rand_int_range(random, 100, 125);
    case CONF_TYPE_PERSON:
        return g_rand_int_range(random, 1, 9);
    case CONF_TYPE_ACCESS_GROUP:
        return g_rand_int_range(random, 1, 7);
    default:
        return g_rand_int_range(random, 1, 13);
    }
}

static const ConfAcl *
random_acl(GRand *random)
{
    if (g_rand_int_range(random, 0, 3) > 0)
        return NULL;
    ConfTypeId type = g_rand_boolean(random) ? CONF_TYPE_PERSON : CONF_TYPE_ACCESS_GROUP;
    return fixture_acl(type, random_dbid(random, type), (uint8_t)g_rand_int_range(random, 0, 128));
}

static char *
random_members(GRand *random, ConfTypeId type, int64_t dbid)
{
    int64_t first = random_dbid(random, CONF_TYPE_PERSON), second = random_dbid(random, CONF_TYPE_PERSON);
    switch (type) {
    case CONF_TYPE_FOLDER:
        return g_strdup_printf("\"holds\":\"%s\"", g_rand_boolean(random) ? "host" : "person");
    case CONF_TYPE_ACCESS_GROUP:
        /* A group keeps its kind. */
        if (dbid >= 5)
            return g_strdup("\"kind\":\"everyone\"");
        if (first == second)
            return g_strdup_printf("\"kind\":\"custom\",\"members\":[%d]", (int)first);
        return g_strdup_printf("\"kind\":\"custom\",\"members\":[%d,%d]", (int)first, (int)second);
    case CONF_TYPE_HOST:
        return g_strdup_printf("\"lcaPort\":%d,\"solutionControlServer\":%d", g_rand_int_range(random, 0, 9),
                               (int)random_dbid(random, CONF_TYPE_APPLICATION));
    case CONF_TYPE_APPLICATION:
        return g_strdup_printf("\"applicationType\":\"genericServer\",\"server\":true,\"host\":%d,"
                               "\"connections\":[{\"server\":%d},{\"server\":%d}],\"backup\":%d",
                               (int)random_dbid(random, CONF_TYPE_HOST), (int)first, (int)first + 1,
                               (int)second);
    default:
        return NULL;
    }
}

/* Where the object lies: in a tenant that is there, in one of its folders, without a circle. */
static bool
random_place(const Naive *naive, GRand *random, FixtureObject *object)
{
    int64_t below = object->type == CONF_TYPE_TENANT ? object->dbid : 0;
    const ConfObject *tenant = pick_of_type(naive, random, CONF_TYPE_TENANT, 0, below);
    if (tenant == NULL)
        return false;
    object->tenant = tenant->dbid;
    below = object->type == CONF_TYPE_FOLDER ? object->dbid : 0;
    const ConfObject *folder = pick_of_type(naive, random, CONF_TYPE_FOLDER, tenant->dbid, below);
    if (folder != NULL && (object->type != CONF_TYPE_FOLDER || g_rand_boolean(random)))
        object->folder = folder->dbid;
    return object->type != CONF_TYPE_TENANT || object->folder != 0;
}

/* A folder or tenant made again under its old dbid elsewhere could close one. */
static bool
closes_circle(const Naive *naive, const ConfObject *object)
{
    enum { STEPS_MAX = 50 };
    unsigned steps = 0;
    Naive *after = naive_copy(naive);
    naive_put(after, (ConfObject *)object);
    for (const ConfObject *at = object; at != NULL && steps < STEPS_MAX; steps++) {
        const ConfObject *parent = naive_parent(after, at);
        if (parent == NULL && at->folder != 0)
            parent = naive_lookup(after, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = at->tenant});
        at = parent;
    }
    naive_free(after);
    return steps == STEPS_MAX;
}

bool
naive_random_change(const Naive *naive, GRand *random, int64_t revision, FixtureChange *change)
{
    static const ConfTypeId types[] = {CONF_TYPE_TENANT,      CONF_TYPE_FOLDER, CONF_TYPE_FOLDER,
                                       CONF_TYPE_PERSON,      CONF_TYPE_HOST,   CONF_TYPE_APPLICATION,
                                       CONF_TYPE_ACCESS_GROUP};
    ConfTypeId type = types[g_rand_int_range(random, 0, G_N_ELEMENTS(types))];
    FixtureObject object = {.type = type, .dbid = random_dbid(random, type), .revision = revision};
    const ConfObject *before = naive_lookup(naive, (ConfKey){.type = type, .dbid = object.dbid});
    *change = (FixtureChange){.before = conf_object_ref(before)};
    int what = g_rand_int_range(random, 0, 10);
    bool is_environment = type == CONF_TYPE_TENANT && object.dbid == 1;
    if (before != NULL && what < 3 && !is_environment) {
        change->kind = CONF_CHANGE_DELETE;
        return true;
    }
    if (before != NULL && what < 5) {
        const ConfAcl *acl = random_acl(random);
        change->kind = CONF_CHANGE_PERMISSION;
        change->after = conf_object_with_acl(before, acl, acl != NULL ? revision : 0);
        conf_acl_unref(acl);
        return true;
    }
    if (is_environment)
        object.tenant = 1;
    else if (!random_place(naive, random, &object)) {
        conf_object_unref(before);
        return false;
    }
    /* Most updates leave tenant and place alone. */
    if (before != NULL && what < 8) {
        object.tenant = before->tenant;
        object.folder = before->folder;
    }
    g_autofree char *more = random_members(random, type, object.dbid);
    object.name = names[g_rand_int_range(random, 0, G_N_ELEMENTS(names))];
    object.disabled = g_rand_int_range(random, 0, 4) == 0;
    object.more = more;
    object.acl = before != NULL ? conf_acl_ref(before->acl) : random_acl(random);
    object.acl_revision = before != NULL ? before->acl_revision : object.acl != NULL ? revision : 0;
    change->kind = before != NULL ? CONF_CHANGE_UPDATE : CONF_CHANGE_CREATE;
    change->after = fixture_object(naive->schema, &object);
    if (closes_circle(naive, change->after)) {
        conf_object_unref(change->before);
        conf_object_unref(change->after);
        return false;
    }
    return true;
}
