/* hook-chain.h - the hooks of all plugins, flattened into one array a hook point: an unused point costs
 * one test. The core calls plugins through these only.  Main loop only. */
#pragma once

#include "plugin/confserv-plugin.h"

/* True if any plugin has this hook. */
bool conf_hooks_have_transport(void);
bool conf_hooks_have_visible(void);
bool conf_hooks_have_received(void);
bool conf_hooks_have_answered(void);
bool conf_hooks_have_committed(void);

ConfVerdict conf_hooks_accepted(ConfConnection *c, GError **error);
ConfVerdict conf_hooks_transport(ConfConnection *c, GError **error);
void conf_hooks_opened(ConfConnection *c);
void conf_hooks_closed(ConfConnection *c);
/* `p`: whose idle watch is due. */
void conf_hooks_idle(ConfConnection *c, ConfPlugin *p, unsigned quiet_ms);
/* `position`: where in the chain to begin (0 at first; after CONF_LATER finished with CONF_NEXT, the one
 * after the hook that took it).  On CONF_LATER *position is that. */
ConfVerdict conf_hooks_received(ConfRequest *r, unsigned *position, GError **error);
ConfVerdict conf_hooks_login(ConfLogin *l, unsigned *position, GError **error);
/* The login hook of the plugin that is this library; CONF_NEXT: there is none.  What it keeps for later
 * goes on with another library's. */
ConfVerdict conf_hooks_login_by(ConfLogin *l, const char *library, GError **error);
/* NULL: any. */
bool conf_hooks_have_library(const char *library);
void conf_hooks_login_refused(ConfLogin *l, const char *why);
void conf_hooks_answered(ConfRequest *r, int code, uint64_t usec);
void conf_hooks_committed(const ConfCommit *commit);
bool conf_hooks_visible(ConfSession *s, const ConfObject *object);
void conf_hooks_session_opened(ConfSession *s, bool resumed);
void conf_hooks_session_closed(ConfSession *s, const char *reason);

/* The plugin whose code runs now (within a hook, method, timer...): NULL outside. */
ConfPlugin *conf_plugin_current(void);
