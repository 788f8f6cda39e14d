/* addp.c - the keep-alive: asks the server when nothing came for the time agreed on, and gives the
 * connection up when nothing comes for that time again (protocol.md 8). */
#include "client-private.h"

enum { TIMEOUT_MAX_S = 86400 };

static void schedule(ConfcClient *client, gint64 milliseconds);
static gboolean due(void *data);
static void answered(ConfcClient *client, JsonNode *result, const GError *error, void *data);

void
confc_addp_agree(ConfcClient *client, gint64 seconds)
{
    client->addp_quiet_ms = seconds > 0 && seconds <= TIMEOUT_MAX_S ? seconds * 1000 : 0;
}

void
confc_addp_take_poll(ConfcClient *client, JsonObject *params)
{
    gint64 seconds = confc_json_integer(confc_json_object(params, "addp"), "remoteTimeout", -1);
    if (seconds < 0 || client->state != CONFC_STATE_READY)
        return;
    confc_addp_stop(client);
    confc_addp_agree(client, seconds);
    confc_addp_start(client);
}

void
confc_addp_start(ConfcClient *client)
{
    client->addp_asked_at = 0;
    if (client->addp_quiet_ms > 0)
        schedule(client, client->addp_quiet_ms);
}

void
confc_addp_stop(ConfcClient *client)
{
    confc_client_clear_source(&client->addp);
}

static void
schedule(ConfcClient *client, gint64 milliseconds)
{
    confc_client_clear_source(&client->addp);
    client->addp = confc_client_add_timeout(client, (guint)MAX(milliseconds, 1), due);
    /* After a stall of our own, what has come meanwhile is read before the server is blamed. */
    g_source_set_priority(client->addp, G_PRIORITY_DEFAULT + 10);
}

static gboolean
due(void *data)
{
    g_autoptr(ConfcClient) client = g_object_ref(data);
    gint64 now = g_get_monotonic_time(), received_at = confc_link_get_received_at(client->link);
    if (client->addp_asked_at != 0 && received_at >= client->addp_asked_at)
        client->addp_asked_at = 0;
    gint64 since = client->addp_asked_at != 0 ? client->addp_asked_at : received_at;
    gint64 left_ms = client->addp_quiet_ms - (now - since) / 1000;
    if (left_ms > 0) {
        schedule(client, left_ms);
        return G_SOURCE_REMOVE;
    }
    if (client->addp_asked_at != 0) {
        g_autoptr(GError) error = g_error_new(CONFC_ERROR, CONFC_ERROR_LOST,
                                              "Nothing came from the server for %" G_GINT64_FORMAT " ms",
                                              (now - received_at) / 1000);
        confc_client_lose(client, error);
        return G_SOURCE_REMOVE;
    }
    client->addp_asked_at = now;
    schedule(client, client->addp_quiet_ms);
    confc_client_call_now(client, "addp.poll", NULL, answered, NULL);
    return G_SOURCE_REMOVE;
}

/* That something came is what counts, and the link has noted when. */
static void
answered(ConfcClient *client, JsonNode *result, const GError *error, void *data)
{
}
