/* radius-private.h - servers, their sockets, and questions under way: shared by radius-client.c (the
 * course of a question) and radius-socket.c (datagrams). */
#pragma once

#include "auth-lookup.h"
#include "radius-client.h"

enum {
    RADIUS_IDS = 256,
};

typedef struct RadiusPool RadiusPool;

typedef struct {
    RadiusPool *pool;
    const RadiusServerConfig *config;
    unsigned index;
    AuthName name;
    int64_t answered_at; /* monotonic usec; 0: never */
    unsigned address;    /* of the name's, the one in use */
    GPtrArray *sockets;  /* RadiusSocket in use; others only end what they have */
    GQueue waiting;      /* RadiusExchange, for the first address */
} RadiusServer;

/* The servers of one configuration: kept while one of its questions or look-ups is under way. */
struct RadiusPool {
    unsigned refs;
    RadiusClient *client;
    RadiusConfig *config;
    RadiusServer *servers;
    unsigned count;
    unsigned active; /* the first to be asked */
};

typedef struct {
    RadiusServer *server; /* with a reference to its pool */
    int fd;
    unsigned watch, used;
    bool retired; /* closed with its last question */
    uint8_t next_id;
    RadiusExchange *exchanges[RADIUS_IDS];
} RadiusSocket;

struct RadiusExchange {
    RadiusPool *pool; /* a reference */
    RadiusServer *server;
    int only;
    unsigned tried;           /* servers */
    unsigned addresses_tried; /* of this server */
    unsigned sent;            /* packets to this server */
    bool met_silence;         /* of one of them; else they had no number left */
    int64_t began_at;
    unsigned timer;
    RadiusSocket *socket; /* NULL: waits for an address */
    uint8_t id;
    GList waiting; /* in server->waiting; data NULL: not */
    GList node;    /* in client->exchanges */
    RadiusRequest request;
    char *user, *password, *nas_identifier, *calling_station;
    GBytes *state;
    RadiusDone done;
    void *data;
};

struct RadiusClient {
    ConfPlugin *plugin;
    RadiusPool *pool;
    GHashTable *sockets; /* fd -> RadiusSocket */
    GQueue exchanges;    /* all that are under way */
    bool stopping;
    RadiusStatistics statistics;
};

RadiusPool *radius_pool_ref(RadiusPool *pool);
void radius_pool_unref(RadiusPool *pool);

/* radius-client.c */
/* An answer that is proved. */
void radius_exchange_answered(RadiusExchange *exchange, const RadiusAnswer *answer);
/* Where there is another server to be asked, it is asked now. */
void radius_exchange_unreachable(RadiusExchange *exchange);

/* radius-socket.c */
/* A socket with a free number; NULL: there is none. *id is taken. */
RadiusSocket *radius_socket_take(RadiusServer *server, RadiusExchange *exchange, uint8_t *id);
void radius_socket_release(RadiusSocket *socket, uint8_t id);
void radius_socket_send(RadiusSocket *socket, const RadiusRequest *request);
/* The sockets of an address that is not used any more. */
void radius_sockets_retire(RadiusServer *server);
