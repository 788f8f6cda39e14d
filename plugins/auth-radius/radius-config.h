/* radius-config.h - which servers are asked, and how: the options of section gauth_radius, and the files
 * of the original that they name. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "radius-packet.h"

enum { RADIUS_SERVERS_MAX = 16, RADIUS_PORT = 1812 };

typedef struct {
    char *servers, *secret, *secret_file, *servers_file, *client_file;
    int64_t timeout, retries; /* 0 and -1: the file's, or the default */
    int64_t sockets;
    char *nas_identifier, *realm, *group_map;
    int64_t match; /* of RADIUS_MATCHES */
    bool must_be_signed;
} RadiusSettings;
#define RADIUS_MATCHES "user-name|external-id"

typedef struct {
    char *host;
    uint16_t port;
    char *secret; /* wiped */
} RadiusServerConfig;

/* A value of Class or Filter-Id, and the access group that it stands for. */
typedef struct {
    GBytes *value;
    char *group;
} RadiusGroup;

typedef struct {
    GArray *servers; /* RadiusServerConfig, in the order in which they are asked */
    unsigned timeout_ms, retries, sockets;
    char *nas_identifier; /* NULL: the name of the server's application */
    char *realm;          /* without '@'; NULL: none */
    GArray *groups;       /* RadiusGroup */
    bool must_be_signed, by_external_id;
} RadiusConfig;

/* Reads the files that are named, and nothing else.  NULL and *error: what is wrong with which. */
RadiusConfig *radius_config_new(const RadiusSettings *settings, GError **error);
/* Nothing of them differs. */
bool radius_config_equal(const RadiusConfig *a, const RadiusConfig *b);
void radius_config_free(RadiusConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RadiusConfig, radius_config_free)
