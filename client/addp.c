/* addp.c - the keep-alive: asks the server when nothing came for the time agreed on, and gives the
 * connection up when nothing comes for that time again (protocol.md 8). */
#include "client-private.h"

static void schedule(ConfcClient *client, gint64 milliseconds);
static gboolean due(void *data);
static void answered(ConfcClient *client, JsonNode *result, const GError *error, void *data);

void
confc_addp_start(ConfcClient *client)
{
    client->addp_asked = false;
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
}

static gboolean
due(void *data)
{
    g_autoptr(ConfcClient) client = g_object_ref(data);
    gint64 quiet_ms = (g_get_monotonic_time() - confc_link_get_received_at(client->link)) / 1000;
    gint64 limit_ms = client->addp_asked ? 2 * client->addp_quiet_ms : client->addp_quiet_ms;
    if (quiet_ms < client->addp_quiet_ms)
        client->addp_asked = false;
    if (quiet_ms < limit_ms) {
        schedule(client, (client->addp_asked ? limit_ms : client->addp_quiet_ms) - quiet_ms);
        return G_SOURCE_REMOVE;
    }
    if (client->addp_asked) {
        g_autoptr(GError) error =
            g_error_new(CONFC_ERROR, CONFC_ERROR_LOST,
                        "Nothing came from the server for %" G_GINT64_FORMAT " ms", quiet_ms);
        confc_client_lose(client, error);
        return G_SOURCE_REMOVE;
    }
    client->addp_asked = true;
    schedule(client, client->addp_quiet_ms);
    confc_client_call_now(client, "addp.poll", NULL, answered, NULL);
    return G_SOURCE_REMOVE;
}

/* That something came is what counts, and the link has noted when. */
static void
answered(ConfcClient *client, JsonNode *result, const GError *error, void *data)
{
}
