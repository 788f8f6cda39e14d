/* radius-client.h - questions to RADIUS servers and their answers, on the server's main loop: nothing waits.
 *
 * The servers are asked in order, and the one that answered stays the first to be asked.  Each has a few
 * connected UDP sockets of 256 questions each.  A question is sent again after its timeout; bytes that
 * prove nothing are passed over.  Names are looked up by the worker pool, anew every minute and whenever a
 * server was silent. */
#pragma once

#include "plugin/confserv-plugin.h"
#include "radius-config.h"

typedef struct RadiusClient RadiusClient;
typedef struct RadiusExchange RadiusExchange;

typedef struct {
    uint64_t questions; /* that were begun */
    uint64_t resent;    /* packets */
    uint64_t ignored;   /* datagrams that are no answer to anything, forged, or unsigned */
    uint64_t unsigned_; /* of these: only the signature is missing */
    uint64_t failovers; /* another server became the first to be asked */
    uint64_t unanswered;
    uint64_t waiting, sockets; /* now */
} RadiusStatistics;

/* answer NULL: no server answered, `why` says what was tried.  `server`: which one answered; lent, like
 * the rest.  The exchange is over. */
typedef void (*RadiusDone)(const RadiusAnswer *answer, const RadiusServerConfig *server, const char *why,
                           void *data);

/* Takes config; never NULL. */
RadiusClient *radius_client_new(ConfPlugin *plugin, RadiusConfig *config);
/* Questions under way end with the servers that they were begun with. Takes config. */
void radius_client_configure(RadiusClient *client, RadiusConfig *config);
/* Whatever is under way ends now, and so does what is asked yet. */
void radius_client_stop(RadiusClient *client);
/* Nothing may be under way. */
void radius_client_free(RadiusClient *client);
const RadiusConfig *radius_client_get_config(const RadiusClient *client);
RadiusStatistics *radius_client_get_statistics(RadiusClient *client);
/* How long a question may take at most. */
unsigned radius_client_get_limit_ms(const RadiusClient *client);
/* `only`: the number of the server that must answer (it knows the challenge), or -1.  Copies what it
 * needs.  done() comes later, never from within.  NULL: the question does not fit into a packet. */
RadiusExchange *radius_client_ask(RadiusClient *client, const RadiusQuestion *question, int only,
                                  RadiusDone done, void *data);
/* Its answer is not wanted any more: done() does not come. */
void radius_exchange_cancel(RadiusExchange *exchange);

/* conf_watch tells the descriptor that is ready: to be called by the plugin's. */
void radius_client_ready(RadiusClient *client, int fd);
/* The client of the plugin's self. */
RadiusClient *radius_client_of(void *self);
