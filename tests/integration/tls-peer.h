/* tls-peer.h - the other end of TLS: a client by GnuTLS that shows what a handshake came to, and a relay
 * through which a plain TestClient talks to a secured port. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <gnutls/gnutls.h>

#include "fixture.h"
#include "pki.h"

typedef struct {
    const char *ca;                /* what the server must prove; NULL: anything goes */
    const char *certificate, *key; /* files; NULL: none is shown */
    const char *priority;          /* NULL: NORMAL */
    const char *name;              /* asked for by SNI, and checked if there is a ca; NULL: localhost */
    const gnutls_datum_t *session; /* to be taken up */
} TestTlsOptions;

typedef struct TestTls TestTls;

/* Connects and shakes hands; what came of it is told by the functions below. */
TestTls *test_tls_connect(uint16_t port, const TestTlsOptions *options);
void test_tls_free(TestTls *tls);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestTls, test_tls_free)
bool test_tls_is_open(const TestTls *tls);
/* Of the session; gnutls_... functions ask it for the rest. */
gnutls_session_t test_tls_get_session(TestTls *tls);
/* The last fatal alert from the server; -1: none came. */
int test_tls_get_alert(const TestTls *tls);
/* A request and the next line, borrowed; NULL: the server closed. */
const char *test_tls_call(TestTls *tls, const char *line);
/* Waits for the end of the stream; true: it ended by close_notify. */
bool test_tls_wait_closed(TestTls *tls);
/* Raw bytes under the session, and the socket. */
void test_tls_write_raw(TestTls *tls, const void *data, size_t size);
int test_tls_get_fd(const TestTls *tls);
/* The server's certificate, its common name; borrowed. */
const char *test_tls_get_peer_name(TestTls *tls);

/* ---- a relay: plain on one side, TLS on the other ---- */
typedef struct TestTunnel TestTunnel;
/* One connection after the other; the options must outlive it. */
TestTunnel *test_tunnel_new(uint16_t server_port, const TestTlsOptions *options);
uint16_t test_tunnel_get_port(const TestTunnel *tunnel);
void test_tunnel_free(TestTunnel *tunnel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestTunnel, test_tunnel_free)
