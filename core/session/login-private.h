/* login-private.h - a log-in under way. */
#pragma once

#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "plugin/loader.h"
#include "session/session-private.h"

struct ConfLogin {
    ConfSessions *sessions;
    ConfClient *client;   /* NULL: its connection is gone */
    ConfRequest *request; /* held; NULL while a challenge waits for its response */
    char *user, *application, *password, *secret, *mechanism, *token, *address;
    char *client_name, *client_version;
    char *text; /* what the directory said to the user */
    bool replace;
    unsigned position; /* in the chain of hooks */
    bool later_next;   /* a hook that had taken it later finished with CONF_NEXT: go on behind it */
    ConfLater *later;
    const ConfPlugin *asker; /* the plugin that last took it later: a challenge and its answer are its own */
    ConfPasswordCheck *check;
    bool hopeless; /* no password would let it in */
    bool *decided;  /* set when the check answers before it returns */
    GArray *groups; /* of ConfKey */
    GBytes *state;  /* of the plugin that asked for more */
    char *response;
    char challenge[33];
    ConfTimer challenge_timer;
};

/* False: *error (-32602, -32012). */
bool conf_login_read_params(ConfLogin *login, ConfRequest *request, ConfRpcError *error);
/* A plugin that had taken the log-in has finished. Takes `error`. */
void conf_login_later_verdict(ConfLogin *login, ConfVerdict verdict, GError *error);
/* Takes `state`. */
void conf_login_later_challenge(ConfLogin *login, const char *prompt, GBytes *state);
/* Wipes what stands there. */
void conf_secret_replace(char **secret, char *value);

