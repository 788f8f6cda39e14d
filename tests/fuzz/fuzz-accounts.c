/* fuzz-accounts.c - what is told of log-ins; the first byte says where: 0 a replica's replica.accounts
 * comes to the master, a line each; 1 the master's answers come to the replica, a line each; 2 the text is
 * the file confserv.accounts.  Whatever comes: a numbered report counts once, only persons that exist are
 * remembered, and nothing is out of its bounds. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "access/account-state-private.h"
#include "replication/downstream-private.h"
#include "replication/upstream-private.h"
#include "session/session-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENVIRONMENT "6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11"
#define ALL \
    "\"permissions\":{\"revision\":1,\"entries\":[{\"account\":{\"type\":\"person\",\"dbid\":100},\"rights\":" \
    "[\"read\",\"change\",\"changePermissions\"]}]}"

static const char *const objects[] = {
    "{\"object\":{\"type\":\"tenant\",\"dbid\":1,\"revision\":1,\"name\":\"Environment\",\"tenant\":1,\"state\":\"enabled\","
    "\"annex\":{\"security-authentication-rules\":{\"account-lockout-threshold\":\"3\",\"account-lockout-attempts-period\":"
    "\"60\",\"force-password-reset\":\"true\"}}}," ALL "}",
    "{\"object\":{\"type\":\"person\",\"dbid\":100,\"revision\":1,\"name\":\"default\",\"tenant\":1,\"state\":\"enabled\"}," ALL
    "}",
    "{\"object\":{\"type\":\"person\",\"dbid\":101,\"revision\":1,\"name\":\"ann\",\"tenant\":1,\"state\":\"enabled\"}," ALL
    "}",
    "{\"object\":{\"type\":\"person\",\"dbid\":102,\"revision\":1,\"name\":\"bob\",\"tenant\":1,\"state\":\"enabled\"}}",
};

static void
check(const ConfAccounts *accounts)
{
    unsigned untold = 0;
    for (const GList *link = accounts->order.head; link != NULL; link = link->next) {
        const ConfAccount *account = link->data;
        const ConfAccountRecord *record = &account->record;
        const int64_t times[] = {record->last_login_ms,   record->wrong_since_ms, record->wrong_at_ms,
                                 record->locked_until_ms, record->forced_ms,      record->right_ms,
                                 record->anew_ms};
        for (unsigned i = 0; i < G_N_ELEMENTS(times); i++)
            g_assert_true(times[i] >= 0 && times[i] <= CONF_ACCOUNT_FOREVER_MS);
        g_assert_true(record->wrong >= 0 && record->wrong <= CONF_ACCOUNT_WRONG_MAX);
        g_assert_true(record->untold_wrong >= 0 && record->untold_wrong <= CONF_ACCOUNT_WRONG_MAX);
        untold += account->is_untold;
    }
    g_assert_cmpuint(accounts->order.length, ==, g_hash_table_size(accounts->table));
    g_assert_cmpuint(accounts->untold.length, ==, untold);
    g_assert_cmpuint(accounts->origins->len, <=, CONF_ACCOUNT_ORIGINS_MAX);
    g_assert_cmpint(accounts->own.last, <, CONF_ACCOUNT_REPORT_MAX);
}

static ConfStore *
make_store(void)
{
    static ConfSchema *schema;
    if (schema == NULL)
        schema = conf_schema_load(SCHEMA_FOLDER, NULL);
    g_assert_nonnull(schema);
    ConfStore *store = conf_store_new(conf_schema_parse(conf_schema_text(schema), NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(objects); i++) {
        g_autoptr(GError) error = NULL;
        ConfObject *object = conf_upstream_read_item(store, conf_slice_from_string(objects[i]), &error);
        g_assert_no_error(error);
        bool loaded = conf_store_load(store, object, NULL);
        g_assert_true(loaded);
    }
    return store;
}

/* ---- the master ---- */
typedef struct {
    ConfStore *store;
    ConfAccess *access;
    ConfPublisher *publisher;
    ConfMethodTable *table;
    ConfSessions *sessions;
    ConfDownstream *downstream;
    ConfConnection *connection;
    int fd;
} Master;

static void
write_server(ConfBuffer *buffer, void *data)
{
    (void)buffer, (void)data;
}

static bool
always(void *data)
{
    (void)data;
    return true;
}

static bool
may_open(ConfRpcError *error, void *data)
{
    (void)error, (void)data;
    return true;
}

static void
master_open(Master *master)
{
    static const ConfAccessSettings access = {
        .login_attempts = 5, .login_pause_ms = 1000, .address_rate = 60, .hash_queue = 10};
    static const ConfSessionSettings settings = {.resume_timeout_s = 60,
                                                 .login_timeout_s = 60,
                                                 .max_unauthenticated = 10,
                                                 .max_request_size = 1 << 20,
                                                 .max_output_queue = 64 << 20,
                                                 .max_notification_backlog = 1 << 20,
                                                 .view_change_max = 10,
                                                 .broken_max = 10};
    static const ConfSessionHost host = {
        .write_server = write_server, .is_writable = always, .may_open = may_open, .has_secrets = always};
    static const ConfDownstreamSettings downstream = {.release = "1", .allow_plain_replica = true};
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    master->fd = fds[1];
    master->store = make_store();
    master->access = conf_access_new(master->store, &access);
    master->publisher = conf_publisher_new(master->store);
    master->table = conf_method_table_new();
    master->sessions = conf_sessions_new(master->store, master->access, master->publisher, &settings, &host);
    conf_sessions_install(master->sessions, master->table);
    master->downstream = conf_downstream_new(master->sessions, master->publisher, master->table, &downstream);
    conf_sessions_accept(master->sessions, master->table, fds[0], &(ConfAcceptance){.port_id = "default"});
    ConfSession *session = conf_session_new(master->sessions);
    session->subject = session->person = (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 100};
    session->person_name = g_strdup("default");
    session->application_name = g_strdup("px");
    session->identity = conf_session_current_identity(session);
    char token[33];
    conf_session_register(session, token);
    conf_session_bind(session, g_queue_peek_tail(&master->sessions->unauthenticated));
    master->connection = conf_session_connection(session);
    ConfReplica *replica = g_new0(ConfReplica, 1);
    replica->downstream = master->downstream;
    replica->session = session;
    replica->connection = master->connection;
    replica->identity = conf_identity_ref(session->identity);
    replica->secrets = true;
    g_ptr_array_add(master->downstream->replicas, replica);
}

static void
master_close(Master *master)
{
    conf_downstream_free(master->downstream);
    conf_sessions_free(master->sessions);
    conf_poller_end_turn(conf_poller_default());
    for (unsigned i = 0; i < 16 && g_main_context_iteration(NULL, FALSE); i++)
        continue;
    conf_access_free(master->access);
    conf_publisher_free(master->publisher);
    conf_method_table_free(master->table);
    conf_store_free(master->store);
    close(master->fd);
}

/* Has it a report that is counted once, all of it? */
static bool
is_numbered(ConfSlice line)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *root = conf_json_parse(arena, line, NULL, NULL, NULL);
    const ConfJson *params = conf_json_member(root, "params");
    return root != NULL && root->kind == CONF_JSON_OBJECT && conf_json_member(params, "origin") != NULL &&
           conf_json_member(params, "report") != NULL;
}

static int64_t
sum_of_wrong(const ConfAccounts *accounts)
{
    int64_t sum = 0;
    for (const GList *link = accounts->order.head; link != NULL; link = link->next) {
        const ConfAccountRecord *record = &((const ConfAccount *)link->data)->record;
        sum += record->wrong + record->untold_wrong + (record->locked_until_ms != 0);
    }
    return sum;
}

static void
fuzz_master(const char *text, size_t size)
{
    Master master = {0};
    master_open(&master);
    const ConfAccounts *accounts = conf_access_accounts(master.access);
    while (size > 0 && conf_connection_is_open(master.connection)) {
        const char *end = memchr(text, '\n', size);
        size_t length = end != NULL ? (size_t)(end - text) : size;
        ConfSlice line = {text, length};
        if (length > 0)
            conf_dispatch_line(master.table, master.connection, line);
        check(accounts);
        if (length > 0 && is_numbered(line) && conf_connection_is_open(master.connection)) {
            int64_t before = sum_of_wrong(accounts);
            conf_dispatch_line(master.table, master.connection, line);
            g_assert_cmpint(sum_of_wrong(accounts), ==, before);
        }
        text += MIN(length + 1, size);
        size -= MIN(length + 1, size);
    }
    /* Two persons that the replica may read, no others. */
    g_assert_cmpuint(g_hash_table_size(accounts->table), <=, 3);
    master_close(&master);
}

/* ---- the replica ---- */
static ConfAccounts *
accounts_of(void *data)
{
    return data;
}

static void
fuzz_replica(const char *text, size_t size)
{
    ConfAccounts *accounts = conf_accounts_new();
    const ConfPolicy policy = {.lockout_threshold = 2};
    ConfUpstream upstream = {.host = {.accounts = accounts_of, .data = accounts}};
    conf_accounts_note_login(accounts, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 101}, 1000);
    conf_accounts_note_wrong(accounts, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 102}, &policy, 3, 2000,
                             2000);
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end != NULL ? (size_t)(end - text) : size;
        const ConfAccountReport *reports;
        int64_t number;
        conf_accounts_report(accounts, &reports, &number);
        g_assert_cmpint(number, <=, CONF_ACCOUNT_REPORT_MAX);
        g_autoptr(ConfArena) arena = conf_arena_new();
        const ConfJson *answer = conf_json_parse(arena, (ConfSlice){text, length}, NULL, NULL, NULL);
        if (answer != NULL)
            conf_upstream_take_accounts(&upstream, answer);
        check(accounts);
        text += MIN(length + 1, size);
        size -= MIN(length + 1, size);
    }
    conf_accounts_free(accounts);
}

/* ---- the file ---- */
static void
fuzz_file(const char *text, size_t size)
{
    char folder[] = "/tmp/fuzz-accounts-XXXXXX";
    g_assert_nonnull(g_mkdtemp(folder));
    g_autofree char *path = g_build_filename(folder, "confserv.accounts", NULL);
    g_autofree char *bad = g_strconcat(path, ".bad", NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    g_assert_cmpint(write(fd, text, size), ==, (ssize_t)size);
    close(fd);
    ConfAccounts *accounts = conf_accounts_new();
    conf_accounts_open(accounts, folder, ENVIRONMENT);
    for (const GList *link = accounts->order.head; link != NULL; link = link->next) {
        const ConfAccountRecord *record = &((const ConfAccount *)link->data)->record;
        g_assert_true(record->wrong >= 0 && record->wrong <= CONF_ACCOUNT_WRONG_MAX);
        g_assert_true(record->locked_until_ms >= 0 && record->locked_until_ms <= CONF_ACCOUNT_FOREVER_MS);
    }
    g_assert_cmpuint(accounts->origins->len, <=, CONF_ACCOUNT_ORIGINS_MAX);
    conf_accounts_free(accounts);
    unlink(path);
    unlink(bad);
    g_assert_cmpint(rmdir(folder), ==, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 1;
    if ((data[0] & 3) == 0)
        fuzz_master(text, size - 1);
    else if ((data[0] & 3) == 1)
        fuzz_replica(text, size - 1);
    else
        fuzz_file(text, size - 1);
    return 0;
}
