/* measure-store.c - what an object costs, and what reads and large commits take: the budgets of
 * architecture.md 4.  No unit test: `meson test --benchmark`.  An argument gives the number of objects. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "access/identity.h"
#include "base/clock.h"
#include "store-fixture.h"

enum {
    PERSONS = 101,
    HOSTS = 103,
    APPLICATIONS = 104,
    FOLDERS = 1000,
    BODY_SIZE = 1000,
    CHANGES = 10000,
    READS = 1000000
};

static size_t
resident_bytes(void)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
        return 0;
    const char *second = strchr(text, ' ');
    return second != NULL ? (size_t)g_ascii_strtoull(second, NULL, 10) * 4096 : 0;
}

static void
report(const char *what, double value, const char *unit)
{
    g_print("%-44s %12.1f %s\n", what, value, unit);
}

/* Names come in no order, as they do. */
static unsigned
name_number(int64_t dbid)
{
    return (unsigned)dbid * 2654435761u;
}

/* An application on a host, with filling up to the size of a usual object.  Made as a start from the
 * database makes objects: with nothing else allocated in between, which would count as theirs. */
static ConfObject *
application(const ConfSchema *schema, int64_t dbid, int64_t revision, int64_t folder)
{
    static char text[2 * BODY_SIZE], filling[BODY_SIZE - 330];
    if (filling[0] == '\0')
        memset(filling, 'x', sizeof(filling) - 1);
    int size = g_snprintf(
        text, sizeof(text),
        "{\"type\":\"application\",\"dbid\":%d,\"revision\":%d,\"name\":\"application-%08x\",\"tenant\":1,"
        "\"folder\":%d,\"state\":\"enabled\",\"applicationType\":\"genericServer\",\"server\":true,"
        "\"version\":\"8.5.%d\",\"host\":%d,\"ports\":[{\"id\":\"default\",\"port\":%d}],"
        "\"connections\":[{\"server\":%d,\"protocol\":\"addp\"}],"
        "\"options\":{\"log\":{\"verbose\":\"standard\",\"x\":\"%s\"}}}",
        (int)dbid, (int)revision, name_number(dbid), (int)folder, (int)(revision % 100),
        (int)(dbid % 1000) + 1, (int)(dbid % 60000) + 1, (int)(dbid % 5000) + 1, filling);
    GError *error = NULL;
    const ConfSlice nothing = {NULL, 0};
    ConfObject *object =
        conf_object_from_stored(schema, (ConfSlice){text, (size_t)size}, nothing, nothing, 0, &error);
    g_assert_no_error(error);
    return object;
}

static int64_t
folder_of(int64_t dbid)
{
    return 10000 + dbid * 7 % FOLDERS;
}

static void
load(ConfStore *store, int64_t count)
{
    const ConfSchema *schema = conf_store_schema(store);
    for (int64_t i = 0; i < FOLDERS; i++) {
        g_autofree char *name = g_strdup_printf("folder-%d", (int)i);
        int64_t parent = i == 0 ? APPLICATIONS : 10000 + i / 10;
        fixture_load(store, FIXTURE_OBJECT(schema, CONF_TYPE_FOLDER, 10000 + i, 1, name, 1,
                                           i / 10 == i ? APPLICATIONS : parent));
    }
    for (int64_t dbid = 1; dbid <= 1000; dbid++) {
        g_autofree char *name = g_strdup_printf("host-%d", (int)dbid);
        fixture_load(store, FIXTURE_OBJECT(schema, CONF_TYPE_HOST, dbid, 1, name, 1, HOSTS));
    }
    int64_t made = 0, begin = conf_clock_monotonic_usec(), making = 0;
    size_t resident = resident_bytes();
    for (int64_t dbid = 1; dbid <= count; dbid++) {
        int64_t at = conf_clock_monotonic_usec();
        ConfObject *object = application(schema, dbid, 1, folder_of(dbid));
        making += conf_clock_monotonic_usec() - at;
        made += object->body->size;
        fixture_load(store, object);
    }
    report("load, without making the object",
           (double)(conf_clock_monotonic_usec() - begin - making) / (double)count, "us an object");
    malloc_trim(0);
    report("body", (double)made / (double)count, "bytes an object");
    struct mallinfo2 memory = mallinfo2();
    report("in use by malloc", (double)(memory.uordblks + memory.hblkhd) / (double)count, "bytes an object");
    report("resident", (double)(resident_bytes() - resident) / (double)count, "bytes an object");
    report("own estimate", (double)conf_store_memory(store) / (double)count, "bytes an object");
}

/* Names from among the first `count`. */
static void
measure_reads(ConfStore *store, int64_t count)
{
    report("reads among objects", (double)count, "");
    ConfIdentity *identity = conf_identity_of(store, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 1});
    g_autofree char(*names)[32] = g_malloc(READS * sizeof(*names));
    GRand *random = g_rand_new_with_seed(1);
    for (unsigned i = 0; i < READS; i++)
        g_snprintf(names[i], sizeof(names[i]), "application-%08x",
                   name_number(g_rand_int_range(random, 1, (int)count + 1)));
    g_rand_free(random);
    for (unsigned round = 0; round < 3; round++) {
        int64_t begin = conf_clock_monotonic_usec();
        unsigned found = 0;
        for (unsigned i = 0; i < READS; i++) {
            bool others;
            ConfSlice name = {names[i], sizeof("application-00000000") - 1};
            found += conf_store_lookup_name(store, CONF_TYPE_APPLICATION, name, &others) != NULL;
        }
        int64_t looked_up = conf_clock_monotonic_usec();
        g_assert_cmpuint(found, ==, READS);
        for (unsigned i = 0; i < READS; i++) {
            bool others;
            ConfSlice name = {names[i], sizeof("application-00000000") - 1};
            const ConfObject *object = conf_store_lookup_name(store, CONF_TYPE_APPLICATION, name, &others);
            found += conf_identity_may_read(store, identity, object);
        }
        int64_t end = conf_clock_monotonic_usec();
        g_assert_cmpuint(found, ==, 2 * READS);
        report("lookup by name", (double)(looked_up - begin) * 1000 / READS, "ns");
        report("lookup by name and right to read", (double)(end - looked_up) * 1000 / READS, "ns");
    }
    conf_identity_unref(identity);
}

static void
apply(ConfStore *store, const char *what, FixtureChange *changes, unsigned count)
{
    ConfCommit *commit = fixture_commit(store, changes, count);
    int64_t begin = conf_clock_monotonic_usec();
    conf_store_apply(store, commit, NULL, NULL);
    report(what, (double)(conf_clock_monotonic_usec() - begin) / 1000, "ms");
    g_auto(ConfBuffer) record = CONF_BUFFER_INIT;
    begin = conf_clock_monotonic_usec();
    conf_commit_write_record(commit, conf_store_schema(store), &record);
    report("  its record", (double)(conf_clock_monotonic_usec() - begin) / 1000, "ms");
    conf_commit_unref(commit);
}

static void
measure_commits(ConfStore *store, int64_t count)
{
    const ConfSchema *schema = conf_store_schema(store);
    FixtureChange *changes = g_new0(FixtureChange, CHANGES);
    int64_t step = MAX(count / CHANGES, 1), begin = conf_clock_monotonic_usec();
    for (int64_t i = 0; i < CHANGES; i++)
        changes[i] =
            (FixtureChange){CONF_CHANGE_CREATE, NULL, application(schema, count + 1 + i, 2, folder_of(i))};
    ConfState *state = conf_state_new(conf_store_state(store));
    for (int64_t i = 0; i < CHANGES; i++)
        conf_state_put(state, conf_object_ref(changes[i].after));
    begin = conf_clock_monotonic_usec();
    conf_state_free(state);
    report("10,000 freed from a working set", (double)(conf_clock_monotonic_usec() - begin) / 1000, "ms");
    apply(store, "10,000 created", changes, CHANGES);
    for (int64_t i = 0; i < CHANGES; i++) {
        const ConfObject *before = conf_store_lookup(
            store, (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = (i * step) % count + 1});
        changes[i] = (FixtureChange){CONF_CHANGE_UPDATE, conf_object_ref(before),
                                     application(schema, before->dbid, 3, before->folder)};
    }
    apply(store, "10,000 updated", changes, CHANGES);
    for (int64_t i = 0; i < CHANGES; i++) {
        const ConfObject *before = conf_store_lookup(
            store, (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = (i * step) % count + 1});
        changes[i] = (FixtureChange){CONF_CHANGE_UPDATE, conf_object_ref(before),
                                     application(schema, before->dbid, 4, folder_of(before->dbid + 1))};
    }
    apply(store, "10,000 moved", changes, CHANGES);
    for (int64_t i = 0; i < CHANGES; i++) {
        const ConfObject *before =
            conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = count + 1 + i});
        changes[i] = (FixtureChange){CONF_CHANGE_DELETE, conf_object_ref(before), NULL};
    }
    apply(store, "10,000 deleted", changes, CHANGES);
    g_free(changes);
}

int
main(int argc, char **argv)
{
    int64_t count = argc > 1 ? (int64_t)g_ascii_strtoull(argv[1], NULL, 10) : 100000;
    ConfStore *store = fixture_store();
    const ConfSchema *schema = conf_store_schema(store);
    fixture_load(store, FIXTURE_OBJECT(schema, CONF_TYPE_PERSON, 1, 1, "p", 1, PERSONS));
    const ConfObject *environment = conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = 1});
    ConfAcl *acl = fixture_acl(CONF_TYPE_PERSON, 1, CONF_RIGHT_ALL);
    FixtureChange change = {CONF_CHANGE_PERMISSION, conf_object_ref(environment),
                            conf_object_with_acl(environment, acl, 2)};
    g_autoptr(ConfCommit) commit = fixture_commit(store, &change, 1);
    conf_store_apply(store, commit, NULL, NULL);
    conf_acl_unref(acl);
    load(store, count);
    measure_reads(store, MIN(count, 1000));
    measure_reads(store, count);
    measure_commits(store, count);
    conf_store_free(store);
    return 0;
}
