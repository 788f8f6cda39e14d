/* login-private.h - a log-in under way. */
#pragma once

#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "plugin/loader.h"
#include "session/session-private.h"

/* Who is asked now. */
typedef enum { CONF_LOGIN_HOOKS, CONF_LOGIN_LIBRARIES, CONF_LOGIN_INTERNAL } ConfLoginStage;

struct ConfLogin {
    ConfSessions *sessions;
    ConfClient *client;   /* NULL: its connection is gone */
    ConfRequest *request; /* held; NULL while a challenge waits for its response */
    char *user, *application, *password, *secret, *mechanism, *token, *address;
    char *client_name, *client_version;
    char *text; /* what the directory said to the user */
    bool replace;
    ConfLoginStage stage;
    unsigned position;        /* in the chain of hooks */
    const ConfObject *judged; /* a reference: the account that the password is, or was, looked at for */
    char **libraries; /* of [authentication] library for this account; NULL: the internal password decides */
    unsigned library; /* the next of them */
    bool asked;       /* one of them was */
    bool unanswered;  /* one of them could not find out */
    bool waits_for_library;
    bool later_next; /* a hook that had taken it later finished with CONF_NEXT: go on behind it */
    ConfLater *later;
    const ConfPlugin *asker; /* the plugin that last took it later: a challenge and its answer are its own */
    ConfPasswordCheck *check;
    bool paused;    /* refused without a look at the password */
    bool hopeless;  /* no password would let it in */
    bool *decided;  /* set when the check answers before it returns */
    GArray *groups; /* of ConfKey */
    GBytes *state;  /* of the plugin that asked for more */
    char *response;
    char challenge[33];
    ConfTimer challenge_timer;
};

/* False: *error (-32602, -32012). */
bool conf_login_read_params(ConfLogin *login, ConfRequest *request, ConfRpcError *error);
/* authentication.c */
/* Asks on from where the log-in stands.  CONF_NEXT: the internal password decides. */
ConfVerdict conf_authentication_ask(ConfLogin *login, GError **error);
/* True: this verdict of a library is not the end, conf_authentication_ask() asks the next. */
bool conf_authentication_goes_on(ConfLogin *login, ConfVerdict verdict, const GError *error);
/* Who was asked last is asked again: a challenge was answered. */
void conf_authentication_again(ConfLogin *login);
/* It does not wait any more for what it was put off for. */
void conf_authentication_let_go(ConfLogin *login);
/* The password was right for whoever was asked last. */
void conf_authentication_succeeded(ConfLogin *login);
/* Whoever was asked last says no to the password, or asks for more. */
void conf_authentication_refused(ConfLogin *login);
/* Is who has the name now the account that the password was right for? */
bool conf_authentication_is_of(const ConfLogin *login);
/* Does the internal password of this person count, and nothing before it? */
bool conf_authentication_is_internal(const ConfSessions *sessions, const ConfObject *person);
/* login-session.c */
/* The session that this log-in would get, in no table yet; NULL: its account may not log in by this
 * application. */
ConfSession *conf_login_find_candidate(ConfLogin *login);
/* Would a right password let it in? */
bool conf_login_may_succeed(ConfLogin *login);
/* That session, with whatever stood in its way displaced.  False: *error. */
bool conf_login_make_session(ConfLogin *login, ConfSession **session, ConfRpcError *error);
/* One sentence for all: which part was wrong is nobody's business.  False. */
bool conf_login_set_refused(ConfRpcError *error);
/* account-rules.c */
/* May this person not log in by the internal password, whatever that is? */
bool conf_rules_bar(ConfSessions *sessions, const ConfObject *person);
/* An internal password was looked at, and wrong. */
void conf_rules_note_wrong(ConfSessions *sessions, const ConfObject *person, const char *address);
void conf_rules_note_login(ConfSession *session, bool by_plugin);
/* The internal password was right, and is too old by the rules. */
bool conf_rules_must_change(ConfSessions *sessions, const ConfObject *person);
/* When the internal password ends, as far as its owner is to be told now, wall ms; 0: not. */
int64_t conf_rules_password_end(ConfSessions *sessions, const ConfObject *person);
/* A plugin that had taken the log-in has finished. Takes `error`. */
void conf_login_later_verdict(ConfLogin *login, ConfVerdict verdict, GError *error);
/* Takes no reference. */
void conf_login_judge(ConfLogin *login, const ConfObject *account);
/* Takes `state`. */
void conf_login_later_challenge(ConfLogin *login, const char *prompt, GBytes *state);
/* Wipes what stands there. */
void conf_secret_replace(char **secret, char *value);
