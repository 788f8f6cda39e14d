/* test-auth-ldap-hostile.c - LDAP servers that lie, stall or never end: whoever logs in is answered in time,
 * others are served meanwhile, memory is bounded, and no password ever goes where it must not. */
#include "ldap-fixture.h"

#include <string.h>

#include "ldap-peer.h"

#define NOTICE_OF_DISCONNECTION "1.3.6.1.4.1.1466.20036"

enum { READS = 10, GROWTH_MAX_KB = 400 * 1024, LIMIT_USEC = 8 * G_USEC_PER_SEC };

typedef enum {
    GOOD,
    CUT_BIND,
    WRONG_KIND,
    HUGE_ENTRY,
    LARGE_NAMES,
    MANY_ENTRIES,
    NO_NAME,
    NOTICE,
    WRONG_IDS,
    INTERMEDIATES,
    REFERENCES,
    ENTRIES_FOR_BIND,
    DRIP,
    SLOW_DRIP,
    SILENCE,
    SILENT_BIND,
    HANG_UP,
    MANNERS
} Manner;

static const struct {
    const char *name;
    int64_t code; /* of the log-in */
} CASES[MANNERS] = {
    [GOOD] = {"good", 0},
    [CUT_BIND] = {"an answer that is cut", -32013},
    [WRONG_KIND] = {"an answer of another kind", -32013},
    [HUGE_ENTRY] = {"an entry beyond 1 MiB", -32013},
    [LARGE_NAMES] = {"ten entries of almost 1 MiB", -32001},
    [MANY_ENTRIES] = {"10,000 entries", -32001},
    [NO_NAME] = {"an entry without a name", -32013},
    [NOTICE] = {"notice of disconnection", -32013},
    [WRONG_IDS] = {"answers to nothing, without end", -32013},
    [INTERMEDIATES] = {"intermediate responses without end", -32013},
    [REFERENCES] = {"references without end", -32013},
    [ENTRIES_FOR_BIND] = {"entries for a bind, without end", -32013},
    [DRIP] = {"byte by byte", 0},
    [SLOW_DRIP] = {"byte by byte, beyond the time", -32013},
    [SILENCE] = {"silence", -32013},
    [SILENT_BIND] = {"silence about a password", -32013},
    [HANG_UP] = {"hangs up", -32013},
};

static void
flood(LdapGuest *guest, const GByteArray *message)
{
    g_autoptr(GByteArray) many = g_byte_array_new();
    while (many->len < 60000)
        g_byte_array_append(many, message->data, message->len);
    while (ldap_guest_send(guest, many->data, many->len))
        continue;
}

static void
send_large(LdapGuest *guest, int msgid, size_t size)
{
    g_autofree char *name = g_strnfill(size, 'x');
    memcpy(name, "cn=", 3);
    ldap_guest_entry(guest, msgid, name);
}

static void
drip(LdapGuest *guest, int msgid, uint8_t tag, unsigned pause_ms)
{
    const uint8_t result[] = {0x0a, 1, 0, 4, 0, 4, 0}, entry[] = {4, 5, 'c', 'n', '=', 'a', 'b', 0x30, 0};
    bool searches = tag == LDAP_PEER_SEARCH;
    g_autoptr(GByteArray)
        bytes = g_byte_array_new(),
        last = ldap_guest_message(msgid, searches ? LDAP_PEER_DONE : LDAP_PEER_BOUND, result, sizeof result);
    if (searches) {
        g_autoptr(GByteArray) first = ldap_guest_message(msgid, LDAP_PEER_ENTRY, entry, sizeof entry);
        g_byte_array_append(bytes, first->data, first->len);
    }
    g_byte_array_append(bytes, last->data, last->len);
    for (unsigned i = 0; i < bytes->len && ldap_guest_send(guest, bytes->data + i, 1); i++)
        g_usleep(pause_ms * 1000);
}

static void
lie_about_search(LdapGuest *guest, int msgid, Manner manner)
{
    const uint8_t done[] = {0x0a, 1, 0, 4, 0, 4, 0}, url[] = "\4\x0cldap://a.b/c";
    g_autoptr(GByteArray) message = NULL;
    switch (manner) {
    case WRONG_KIND:
        ldap_guest_result(guest, msgid, LDAP_PEER_BOUND, 0, NULL, NULL);
        return;
    case HUGE_ENTRY:
        send_large(guest, msgid, (1 << 20) + 1);
        return;
    case LARGE_NAMES:
        for (unsigned i = 0; i < 10; i++)
            send_large(guest, msgid, 1000000);
        return;
    case MANY_ENTRIES:
        for (unsigned i = 0; i < 10000; i++)
            ldap_guest_entry(guest, msgid, "cn=one of many");
        ldap_guest_result(guest, msgid, LDAP_PEER_DONE, 0, NULL, NULL);
        return;
    case NO_NAME:
        ldap_guest_entry(guest, msgid, "");
        ldap_guest_result(guest, msgid, LDAP_PEER_DONE, 0, NULL, NULL);
        return;
    case NOTICE:
        message = ldap_guest_message(0, LDAP_PEER_EXTENDED_DONE,
                                     "\x0a\1\x34\4\0\4\0\x8a\x16" NOTICE_OF_DISCONNECTION,
                                     9 + strlen(NOTICE_OF_DISCONNECTION));
        ldap_guest_send(guest, message->data, message->len);
        return;
    case WRONG_IDS:
        message = ldap_guest_message(msgid + 1000, LDAP_PEER_DONE, done, sizeof done);
        break;
    case INTERMEDIATES:
        message = ldap_guest_message(msgid, LDAP_PEER_INTERMEDIATE, "", 0);
        break;
    default:
        message = ldap_guest_message(msgid, LDAP_PEER_REFERENCE, url, sizeof url - 1);
        break;
    }
    flood(guest, message);
}

static void
lie_about_bind(LdapGuest *guest, int msgid, Manner manner)
{
    if (manner == CUT_BIND) {
        g_autoptr(GByteArray) message = ldap_guest_message(msgid, LDAP_PEER_BOUND, "\x0a\1\0\4\0\4\0", 7);
        ldap_guest_send(guest, message->data, message->len - 4);
        ldap_guest_close(guest);
    } else {
        g_autoptr(GByteArray) message = ldap_guest_message(msgid, LDAP_PEER_ENTRY, "\4\2a=\x30\0", 6);
        flood(guest, message);
    }
}

static void
answer(LdapGuest *guest, int msgid, uint8_t tag, void *data)
{
    Manner manner = (Manner)g_atomic_int_get((int *)data);
    bool asks = tag == LDAP_PEER_SEARCH || tag == LDAP_PEER_BIND;
    if (!asks || manner == GOOD) {
        ldap_guest_serve(guest, msgid, tag, NULL);
    } else if (manner == SILENCE || (manner == SILENT_BIND && tag == LDAP_PEER_BIND)) {
        return;
    } else if (manner == HANG_UP) {
        ldap_guest_close(guest);
    } else if (manner == DRIP || manner == SLOW_DRIP) {
        drip(guest, msgid, tag, manner == DRIP ? 1 : 100);
    } else if ((manner == CUT_BIND || manner == ENTRIES_FOR_BIND || manner == SILENT_BIND) ==
               (tag == LDAP_PEER_BIND)) {
        if (tag == LDAP_PEER_BIND)
            lie_about_bind(guest, msgid, manner);
        else
            lie_about_search(guest, msgid, manner);
    } else {
        ldap_guest_serve(guest, msgid, tag, NULL);
    }
}

/* Resident memory of the process, KiB. */
static int64_t
memory_of(TestServer *server)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", test_server_get_pid(server)), *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    const char *line = strstr(text, "VmRSS:");
    g_assert_nonnull(line);
    return g_ascii_strtoll(line + strlen("VmRSS:"), NULL, 10);
}

/* Logs in while others read; the slowest of these reads, usec. */
static int64_t
log_in_beside(TestServer *server, TestClient *admin, int64_t code)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t since = g_get_monotonic_time(), most = 0, id = ldap_send_login(client, "anna", "alicepw");
    for (unsigned i = 0; i < READS; i++) {
        int64_t before = g_get_monotonic_time();
        test_call(admin, "object.read", "{'type':'person','name':'anna'}");
        most = MAX(most, g_get_monotonic_time() - before);
        g_usleep(5000);
    }
    g_assert_cmpint(ldap_wait_login(client, id, NULL), ==, code);
    g_assert_cmpint(g_get_monotonic_time() - since, <, LIMIT_USEC);
    return most;
}

static void
check_lies(const char *scheme, const char *more)
{
    int manner = GOOD;
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(LdapPeer) peer = ldap_peer_new(answer, &manner, pki, strcmp(scheme, "ldaps") == 0);
    g_autofree char *lines =
        g_strdup_printf("max-connections = 2\ncacert-path = %s\n%s", test_pki_path(pki, "ca.pem"), more);
    g_autofree char *section = ldap_section(scheme, ldap_peer_get_port(peer), PEOPLE, "(uid=X)", lines);
    g_autofree char *options = ldap_options("", section, NULL);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    int64_t memory = memory_of(server);
    for (unsigned i = GOOD + 1; i < MANNERS; i++) {
        /* By StartTLS a few of them: after it, it is as ldaps. */
        if (*more != '\0' && i != CUT_BIND && i != WRONG_IDS && i != ENTRIES_FOR_BIND && i != SILENCE)
            continue;
        g_atomic_int_set(&manner, (int)i);
        int64_t most = log_in_beside(server, admin, CASES[i].code);
        g_test_message("%s, %s: the slowest read took %" INT " us", scheme, CASES[i].name, most);
        g_assert_cmpint(most, <, G_USEC_PER_SEC);
        g_atomic_int_set(&manner, GOOD);
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
        g_assert_cmpint(test_statistic(admin, "auth-ldap.waiting"), ==, 0);
        g_assert_cmpint(test_statistic(admin, "auth-ldap.connections"), <=, 3);
    }
    g_assert_cmpint(memory_of(server) - memory, <, GROWTH_MAX_KB);
    g_assert_true(ldap_peer_has_seen_plain(peer, "alicepw") ==
                  (strcmp(more, "") == 0 && strcmp(scheme, "ldap") == 0));
}

static void
test_lies_plain(void)
{
    check_lies("ldap", "");
}

static void
test_lies_start_tls(void)
{
    check_lies("ldap", "start-tls = true\n");
}

static void
test_lies_tls(void)
{
    check_lies("ldaps", "");
}

static void
answer_and_flood(LdapGuest *guest, int msgid, uint8_t tag, void *unused)
{
    ldap_guest_serve(guest, msgid, tag, NULL);
    if (tag != LDAP_PEER_SEARCH)
        return;
    g_autoptr(GByteArray) message = ldap_guest_message(msgid + 1000, LDAP_PEER_DONE, "\x0a\1\0\4\0\4\0", 7);
    flood(guest, message);
}

/* A connection that nobody uses now is no way to keep the server busy. */
static void
test_unasked(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(LdapPeer) peer = ldap_peer_new(answer_and_flood, NULL, pki, i == 1);
        g_autofree char *more = g_strdup_printf("cacert-path = %s\n", test_pki_path(pki, "ca.pem"));
        g_autofree char *section =
            ldap_section(i == 1 ? "ldaps" : "ldap", ldap_peer_get_port(peer), PEOPLE, "(uid=X)", more);
        g_autofree char *options = ldap_options("", section, NULL);
        g_autoptr(TestServer) server = test_primary_new(options);
        g_autoptr(TestClient) admin = test_client_new(server);
        ldap_add_person(admin, "anna", "alice");
        g_assert_cmpint(log_in_beside(server, admin, 0), <, G_USEC_PER_SEC);
        ldap_wait_at_most(admin, "auth-ldap.connections", 1);
    }
}

/* The same bytes for whoever asks anything: what is no LDAP at all. */
static void
answer_bytes(LdapGuest *guest, int msgid, uint8_t tag, void *data)
{
    const GByteArray *bytes = g_atomic_pointer_get((GByteArray **)data);
    if (bytes->len < 1000)
        ldap_guest_send(guest, bytes->data, bytes->len);
    else
        flood(guest, bytes);
    ldap_guest_close(guest);
}

static void
test_noise(void)
{
    static const uint8_t CUT[] = {0x30, 0x20, 2, 1, 1, 0x64, 0x1b, 4},
                         HUGE_SIZE[] = {0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 2, 1, 1},
                         ENDLESS[] = {0x30, 0x80, 0x30, 0x80}, NOISE[] = "HTTP/1.1 400 Bad Request\r\n\r\n",
                         BAD_ENTRY[] = {0x30, 0x0b, 2, 1, 1, 0x64, 6, 4, 0x7f, 'x', 'x', 'x', 'x'},
                         NEGATIVE[] = {0x30, 12, 2, 1, 0xff, 0x65, 7, 0x0a, 1, 0, 4, 0, 4, 0};
    static const struct {
        const uint8_t *bytes;
        size_t size, times;
    } NOISES[] = {
        {CUT, sizeof CUT, 1},     {HUGE_SIZE, sizeof HUGE_SIZE, 1}, {ENDLESS, sizeof ENDLESS, 1},
        {NOISE, sizeof NOISE, 1}, {BAD_ENTRY, sizeof BAD_ENTRY, 1}, {ENDLESS, sizeof ENDLESS, 20000},
        {CUT, sizeof CUT, 20000}, {NEGATIVE, sizeof NEGATIVE, 1},   {NEGATIVE, sizeof NEGATIVE, 20000}};
    GByteArray *bytes[G_N_ELEMENTS(NOISES)], *now = NULL;
    g_autoptr(LdapPeer) peer = ldap_peer_new(answer_bytes, &now, NULL, false);
    g_autoptr(TestServer) server = ldap_primary_new(ldap_peer_get_port(peer), "", "");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    for (unsigned i = 0; i < G_N_ELEMENTS(NOISES); i++) {
        bytes[i] = g_byte_array_new();
        for (unsigned k = 0; k < NOISES[i].times; k++)
            g_byte_array_append(bytes[i], NOISES[i].bytes, (unsigned)NOISES[i].size);
        g_atomic_pointer_set(&now, bytes[i]);
        g_assert_cmpint(log_in_beside(server, admin, -32013), <, G_USEC_PER_SEC);
    }
    g_assert_cmpint(test_statistic(admin, "auth-ldap.binds"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.waiting"), ==, 0);
    g_clear_pointer(&peer, ldap_peer_free);
    for (unsigned i = 0; i < G_N_ELEMENTS(NOISES); i++)
        g_byte_array_unref(bytes[i]);
}

typedef enum {
    REFUSES,
    TALKS_ON,
    CLOSES,
    ANSWERS_ANOTHER,
    INJECTS,
    STALLS,
    STRANGER,
    START_MANNERS
} StartManner;

/* What goes wrong on the way to TLS. */
static void
answer_start(LdapGuest *guest, int msgid, uint8_t tag, void *data)
{
    StartManner manner = (StartManner)g_atomic_int_get((int *)data);
    if (tag != LDAP_PEER_EXTENDED || manner == STRANGER) {
        ldap_guest_serve(guest, msgid, tag, NULL);
        return;
    }
    int code = manner == REFUSES ? 52 : 0;
    ldap_guest_result(guest, manner == ANSWERS_ANOTHER ? msgid + 1 : msgid, LDAP_PEER_EXTENDED_DONE, code,
                      "not now", NULL);
    if (manner == TALKS_ON)
        ldap_guest_send(guest, "HTTP/1.1 200 OK\r\n\r\n", 19);
    if (manner == CLOSES)
        ldap_guest_close(guest);
    /* Answers to what will be asked next, sent before anything is proved. */
    for (int i = 1; manner == INJECTS && i < 4; i++) {
        ldap_guest_result(guest, msgid + i, LDAP_PEER_BOUND, 0, NULL, NULL);
        ldap_guest_entry(guest, msgid + i, "cn=evil");
        ldap_guest_result(guest, msgid + i, LDAP_PEER_DONE, 0, NULL, NULL);
    }
    if (manner == INJECTS)
        ldap_guest_shake(guest);
}

static void
test_start_tls(void)
{
    int manner = REFUSES;
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(LdapPeer) peer = ldap_peer_new(answer_start, &manner, pki, false);
    g_autofree char *more =
        g_strdup_printf("start-tls = true\ncacert-path = %s\n" AS_ADMIN, test_pki_path(pki, "other-ca.pem"));
    g_autoptr(TestServer) server = ldap_primary_new(ldap_peer_get_port(peer), "", more);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    for (unsigned i = 0; i < START_MANNERS; i++) {
        g_atomic_int_set(&manner, (int)i);
        g_assert_cmpint(log_in_beside(server, admin, -32013), <, G_USEC_PER_SEC);
        g_assert_cmpint(ldap_peer_get_connections(peer), ==, i + 1);
    }
    g_assert_cmpint(ldap_peer_count(peer, LDAP_PEER_EXTENDED), ==, START_MANNERS);
    g_assert_cmpint(ldap_peer_count(peer, LDAP_PEER_BIND), ==, 0);
    g_assert_cmpint(ldap_peer_count(peer, LDAP_PEER_SEARCH), ==, 0);
    g_assert_false(ldap_peer_has_seen_plain(peer, "alicepw"));
    g_assert_false(ldap_peer_has_seen_plain(peer, TEST_LDAP_ADMIN_PASSWORD));
    g_assert_cmpint(test_statistic(admin, "auth-ldap.binds"), ==, 0);
}

/* Whoever hangs up leaves a bind behind that is not answered yet: nothing else is sent on that connection. */
static void
test_client_gone(void)
{
    int manner = GOOD;
    g_autoptr(LdapPeer) peer = ldap_peer_new(answer, &manner, NULL, false);
    g_autoptr(TestServer) server =
        ldap_primary_new(ldap_peer_get_port(peer), "", "max-connections = 1\nresponse-timeout = 20\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(ldap_peer_get_connections(peer), ==, 2);
    for (unsigned i = 0; i < 2; i++) {
        /* The search is not answered, then the bind. */
        g_atomic_int_set(&manner, i == 0 ? SILENCE : SILENT_BIND);
        TestClient *client = test_client_connect(test_server_get_port(server));
        ldap_send_login(client, "anna", "alicepw");
        ldap_peer_wait(peer, i == 0 ? LDAP_PEER_SEARCH : LDAP_PEER_BIND, 2 + i);
        test_client_abort(client);
        test_client_free(client);
        ldap_wait_at_most(admin, "auth-ldap.waiting", 0);
        g_atomic_int_set(&manner, GOOD);
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    }
    g_assert_cmpint(ldap_peer_count(peer, LDAP_PEER_ABANDON), ==, 1);
    g_assert_cmpint(ldap_peer_get_connections(peer), ==, 3);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.connections"), ==, 2);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/auth-ldap-hostile/lies-plain", test_lies_plain);
    g_test_add_func("/auth-ldap-hostile/lies-start-tls", test_lies_start_tls);
    g_test_add_func("/auth-ldap-hostile/lies-tls", test_lies_tls);
    g_test_add_func("/auth-ldap-hostile/unasked", test_unasked);
    g_test_add_func("/auth-ldap-hostile/noise", test_noise);
    g_test_add_func("/auth-ldap-hostile/start-tls", test_start_tls);
    g_test_add_func("/auth-ldap-hostile/client-gone", test_client_gone);
    return g_test_run();
}
