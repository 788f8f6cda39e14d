/* tls-relay.h - the server's end of TLS before something that speaks plain, in threads of its own: what a
 * server must do for the client to trust it, or must not. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct TlsRelay TlsRelay;

typedef struct {
    const char *certificate, *key; /* files */
    const char *client_ca;         /* clients have to show a certificate of it; NULL: they need none */
    const char *priority;          /* GnuTLS; NULL: its usual one */
    uint16_t port;                 /* 0: from the kernel */
} TlsRelayOptions;

/* Bytes go on to 127.0.0.1:`target` once the handshake is done. */
TlsRelay *tls_relay_new(uint16_t target, const TlsRelayOptions *options);
uint16_t tls_relay_get_port(const TlsRelay *relay);
/* Handshakes done; of those, how many took an earlier session up. */
unsigned tls_relay_get_handshakes(TlsRelay *relay);
unsigned tls_relay_get_resumed(TlsRelay *relay);
/* Handshakes that came to nothing. */
unsigned tls_relay_get_failures(TlsRelay *relay);
/* Bytes from clients that came out of TLS. */
size_t tls_relay_get_received(TlsRelay *relay);
/* Ends the connections that stand, without a word. */
void tls_relay_cut(TlsRelay *relay);
void tls_relay_free(TlsRelay *relay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TlsRelay, tls_relay_free)

/* ---- a listener that writes down what comes ---- */
typedef struct Capture Capture;

typedef enum {
    CAPTURE_SILENT,  /* answers nothing */
    CAPTURE_HANG_UP, /* closes after the first bytes */
    CAPTURE_ANSWER,  /* sends `answer` after the first bytes, and goes on listening */
} CaptureManner;

Capture *capture_new(uint16_t port, CaptureManner manner, const void *answer, size_t size);
uint16_t capture_get_port(const Capture *capture);
unsigned capture_get_connections(Capture *capture);
/* Everything that came on all connections. */
GBytes *capture_get_bytes(Capture *capture);
void capture_free(Capture *capture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Capture, capture_free)
