/* ldap-peer.h - the server's end of LDAP, in threads of its own: each request is answered as a test says, or
 * not at all; plain, by StartTLS or by ldaps. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "pki.h"

typedef struct LdapPeer LdapPeer;
typedef struct LdapGuest LdapGuest; /* a connection */

/* Tags of requests and answers (RFC 4511, 4.2-4.14). */
enum {
    LDAP_PEER_BIND = 0x60,
    LDAP_PEER_BOUND = 0x61,
    LDAP_PEER_UNBIND = 0x42,
    LDAP_PEER_SEARCH = 0x63,
    LDAP_PEER_ENTRY = 0x64,
    LDAP_PEER_DONE = 0x65,
    LDAP_PEER_REFERENCE = 0x73,
    LDAP_PEER_ABANDON = 0x50,
    LDAP_PEER_EXTENDED = 0x77,
    LDAP_PEER_EXTENDED_DONE = 0x78,
    LDAP_PEER_INTERMEDIATE = 0x79,
};

/* A request; `data` of ldap_peer_new().  In the thread of that connection. */
typedef void (*LdapPeerAnswer)(LdapGuest *guest, int msgid, uint8_t tag, void *data);

/* `pki` (may be NULL): with its certificate `server` StartTLS is done, or TLS from the start if `tls`. */
LdapPeer *ldap_peer_new(LdapPeerAnswer answer, void *data, TestPki *pki, bool tls);
LdapPeer *ldap_peer_new_at(const char *address, LdapPeerAnswer answer, void *data, TestPki *pki, bool tls);
uint16_t ldap_peer_get_port(const LdapPeer *peer);
unsigned ldap_peer_get_connections(LdapPeer *peer); /* that ever came */
unsigned ldap_peer_get_open(LdapPeer *peer);
unsigned ldap_peer_count(LdapPeer *peer, uint8_t tag);               /* requests */
void ldap_peer_wait(LdapPeer *peer, uint8_t tag, unsigned at_least); /* 30 s at most */
/* That text came, in plain, on any connection. */
bool ldap_peer_has_seen_plain(LdapPeer *peer, const char *text);
void ldap_peer_free(LdapPeer *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LdapPeer, ldap_peer_free)

/* As a good server would: everybody is uid=X,ou=people and has the password that was given. */
void ldap_guest_serve(LdapGuest *guest, int msgid, uint8_t tag, void *unused);
/* False: the connection has ended, or the test. */
bool ldap_guest_send(LdapGuest *guest, const void *bytes, size_t size);
/* LDAPResult, with a text and a referral, which may be NULL. */
bool ldap_guest_result(LdapGuest *guest, int msgid, uint8_t tag, int code, const char *text, const char *url);
/* An entry without attributes. */
bool ldap_guest_entry(LdapGuest *guest, int msgid, const char *dn);
bool ldap_guest_reference(LdapGuest *guest, int msgid, const char *url);
/* A message whose operation holds these bytes. */
GByteArray *ldap_guest_message(int msgid, uint8_t tag, const void *bytes, size_t size);
bool ldap_guest_shake(LdapGuest *guest); /* TLS from here on */
bool ldap_guest_pause(LdapGuest *guest, unsigned ms);
void ldap_guest_close(LdapGuest *guest);
