/* addp-private.h - the keep-alive from inside.
 *
 * addp.c options, hooks and method; addp-link.c one connection: what was agreed on, polls and the verdict;
 * addp-times.c what options and connection objects say, and the JSON of it. */
#pragma once

#include "plugin/confserv-plugin.h"

enum {
    ADDP_UNSAID = -1,
    ADDP_SECONDS_MAX = 86400,
};

/* Seconds; 0: off, ADDP_UNSAID: left to whoever is asked next. */
typedef struct {
    int own;  /* the timer of this server */
    int peer; /* the timer of the other side */
} AddpTimes;

/* Bits: which polls are written to the log of this server. */
typedef enum {
    ADDP_TRACE_NONE = 0,
    ADDP_TRACE_SENT = 1, /* its own, and their answers */
    ADDP_TRACE_CAME = 2, /* those of the peer */
    ADDP_TRACE_ALL = 3,
    ADDP_TRACE_UNSAID = 4,
} AddpTrace;

/* What one place of the configuration says of a connection. */
typedef struct {
    AddpTimes times;
    AddpTrace trace;
} AddpWords;

typedef struct {
    int64_t protocol, trace; /* of ADDP_PROTOCOLS and ADDP_TRACES */
    int64_t timeout, remote_timeout;
} AddpSettings;
#define ADDP_PROTOCOLS "default|addp|none"
#define ADDP_TRACES "off|false|no|local|on|true|yes|remote|both|full"

typedef struct {
    ConfPlugin *plugin;
    const AddpSettings *settings;
    GHashTable *applications; /* dbid -> AddpApplication, of those with links */
    GQueue links;             /* AddpLink, the next to be reviewed first */
    unsigned to_review;       /* so many of them */
    unsigned review_timer;    /* 0: none */
    uint64_t polls, answers, lost, polled, active;
} Addp;

/* An application object whose clients are connected, and what it says of their connections to this server. */
typedef struct {
    int64_t dbid;
    unsigned links;
    unsigned serial; /* grows when its words change */
    AddpWords words;
} AddpApplication;

/* A connection with whose other side the keep-alive was agreed on, or may be: a link to the master, or a
 * client that said `addp`. */
typedef struct {
    GList node; /* of self->links */
    Addp *self;
    ConfConnection *connection;
    AddpApplication *application; /* of the client; NULL: none, or not known yet */
    unsigned serial;              /* of the application, when `asked` was said */
    bool agreed, pending;
    AddpTimes asked;  /* by the peer; of a link to the master: what that answered */
    AddpTimes asking; /* pending: what a log-in under way asked for */
    AddpTimes in_force;
    AddpTimes told; /* to the peer: in_force, or the own words to the master */
    AddpTrace trace;
    int64_t polled_at;     /* monotonic usec; 0: no poll is open */
    unsigned quiet_ms;     /* the silence when it was sent */
    uint64_t acknowledged; /* bytes by then, where much was on its way; 0: not so */
    unsigned repeated;     /* polls in a row without a verdict, since the loop was held up */
} AddpLink;

/* ---- addp-times.c ---- */
/* `first` where it says something, else `second`. */
AddpTimes addp_times_merge(AddpTimes first, AddpTimes second);
bool addp_times_equal(AddpTimes a, AddpTimes b);
/* Member `addp` as its sender means it: own is "timeout".  False: *path points at the faulty member,
 * g_free(). */
bool addp_times_read(const ConfJson *json, AddpTimes *times, char **path);
/* JSON pointer to a member; g_free(). */
char *addp_times_path(const char *base, const char *member);
/* {"timeout":own,"remoteTimeout":peer}, without what is unsaid; g_free(). */
char *addp_times_write(AddpTimes times);
/* As the other side sees it. */
AddpTimes addp_times_mirror(AddpTimes times);
/* The server's own section. */
AddpWords addp_words_of_settings(const AddpSettings *settings);
/* Connection of the own application object to the master. */
AddpWords addp_words_of_link(const ConfConnection *c);
/* Connection of a client's application object to this server. */
AddpWords addp_words_of_client(Addp *self, int64_t application);

/* ---- addp-link.c ---- */
AddpLink *addp_link_lookup(const Addp *self, const ConfConnection *c);
AddpLink *addp_link_get(Addp *self, ConfConnection *c);
void addp_link_set_application(AddpLink *link, int64_t dbid);
/* What would be in force if the peer asked for these. */
AddpTimes addp_link_weigh(const AddpLink *link, AddpTimes asked);
/* The peer asked for these, now and finally; `told`: it is told so by an answer. */
void addp_link_agree(AddpLink *link, AddpTimes asked, bool told);
/* Of a link to the master: what is configured for it, without what is unsaid; g_free(). */
char *addp_link_write_wish(AddpLink *link);
/* The configuration may have changed. */
void addp_link_review(AddpLink *link);
/* Nothing came for the time agreed on, or for that time again. */
void addp_link_quiet(AddpLink *link, unsigned quiet_ms);
/* The words of an application that has links are read again; true: they changed. */
bool addp_application_read(Addp *self, AddpApplication *application);
