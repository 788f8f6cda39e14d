/* tls.h - what the tests of plugin tls share: servers with certificates, and ports of all modes. */
#pragma once

#include <string.h>

#include "tls-peer.h"

#define TEST_LOGIN_LINE \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.open\",\"params\":{\"user\":\"default\",\"password\":\"" TEST_PASSWORD \
    "\",\"application\":\"confctl\"}}"
#define TEST_INFO_LINE "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"server.info\",\"params\":{}}"
#define TEST_LOGIN "{'user':'default','password':'" TEST_PASSWORD "','application':'confctl'}"

/* [tls] with the server's certificate; `own` and `more`: further lines of the own section and of [tls]. */
static inline char *
test_tls_file(TestPki *pki, const char *own, const char *more)
{
    return g_strdup_printf(
        "plugins = tls\n%s\n[tls]\ncertificate = %s\ncertificate-key = %s\ntrusted-ca = %s\n%s\n",
        own != NULL ? own : "", test_pki_path(pki, "server.pem"), test_pki_path(pki, "server.key"),
        test_pki_path(pki, "ca.pem"), more != NULL ? more : "");
}

static inline TestServer *
test_tls_primary(TestPki *pki, const char *own, const char *more)
{
    g_autofree char *options = test_tls_file(pki, own, more);
    return test_primary_new(options);
}

/* Adds a port to the server's own application object, and waits until it is open. */
static inline uint16_t
test_tls_add_port(TestServer *server, TestClient *admin, const char *id, const char *members)
{
    uint16_t port = test_free_port();
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','add':{'ports':[{'id':'%s','port':%u,%s}]}}", id, port,
              members);
    g_autofree char *opened = g_strdup_printf("port=%u", port);
    test_server_wait_log(server, opened);
    return port;
}

/* What a client of the options comes to that asks one thing: the alert, or 0 for an answer, or -1 for
 * neither. */
static inline int
test_tls_try(uint16_t port, const TestTlsOptions *options)
{
    g_autoptr(TestTls) tls = test_tls_connect(port, options);
    if (test_tls_is_open(tls) && test_tls_call(tls, TEST_INFO_LINE) != NULL)
        return 0;
    return test_tls_get_alert(tls);
}

/* On the management port, which stays plain. */
static inline TestClient *
test_tls_manager(TestServer *server)
{
    return test_client_connect(test_server_get_management_port(server));
}
