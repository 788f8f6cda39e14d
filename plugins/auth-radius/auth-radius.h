/* auth-radius.h - the parts of the plugin. */
#pragma once

#include "radius-client.h"

typedef struct {
    ConfPlugin *plugin;
    RadiusClient *client;
    uint64_t accepted, rejected, challenged;
} AuthRadius;

/* auth-rule.c: is this log-in one for RADIUS?  What the person says goes before what its tenant says, and that
 * before the options of this server. */
bool auth_radius_is_mine(const AuthRadius *self, const ConfLogin *l);
/* Member externalId of a person; NULL: empty.  Until the hook returns. */
const char *auth_radius_external_id(const ConfObject *person);
/* Option library: false where a word of the list is unknown. */
bool auth_radius_check_library(const char *list, GError **error);
