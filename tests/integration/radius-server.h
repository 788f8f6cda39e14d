/* radius-server.h - a real FreeRADIUS for tests, as a child in a folder of its own on a port of the kernel.
 *
 * It knows: alice/alicepw (Class "admins", Filter-Id "web", Reply-Message "hello"); alice@corp/realmpw;
 * locked (refused with "Your account is locked"); otp/otppw, who is then asked "Enter code" and says
 * 123456. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#define RADIUS_TEST_SECRET "testing123"

typedef struct RadiusServer RadiusServer;

/* NULL: FreeRADIUS is not installed; the test is skipped then, and fails where CI is set. */
RadiusServer *radius_server_new(void);
/* Changes what it does from its next start on: signed_: its answers have a Message-Authenticator (it is so
 * at first). */
void radius_server_set(RadiusServer *server, bool signed_, const char *secret);
/* Started and ready when it returns. */
void radius_server_start(RadiusServer *server);
/* SIGKILL and SIGTERM are waited for. */
void radius_server_signal(RadiusServer *server, int signal_number);
uint16_t radius_server_get_port(const RadiusServer *server);
void radius_server_free(RadiusServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RadiusServer, radius_server_free)
