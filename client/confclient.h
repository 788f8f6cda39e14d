/* confclient.h - the client library of confserv: log in, ask, be told of changes, keep a mirror, come back
 * after a break.
 *
 * Everything happens in the main context that was the thread's default when the client was made; signals
 * are emitted there, in the order of the server's lines.  The wire contract is docs/protocol.md. */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#ifndef CONFC_API
#define CONFC_API __attribute__((visibility("default"))) extern
#endif

G_BEGIN_DECLS

/**
 * ConfcError:
 * @CONFC_ERROR_PARSE: the server could not parse the line
 * @CONFC_ERROR_INVALID_REQUEST: no request
 * @CONFC_ERROR_NO_METHOD: no such method
 * @CONFC_ERROR_INVALID_PARAMS: wrong params; the data's `path` points at the member
 * @CONFC_ERROR_INTERNAL: the server failed
 * @CONFC_ERROR_NOT_LOGGED_IN: not logged in
 * @CONFC_ERROR_LOGIN_REFUSED: wrong user, password or application
 * @CONFC_ERROR_CHALLENGE: the directory asks for more
 * @CONFC_ERROR_SESSION_UNKNOWN: the session cannot be resumed
 * @CONFC_ERROR_NOT_FOUND: not there, or not readable
 * @CONFC_ERROR_NOT_PERMITTED: a right is missing
 * @CONFC_ERROR_TOO_LARGE: the request was too long
 * @CONFC_ERROR_READ_ONLY: a read-only proxy; the data names the master
 * @CONFC_ERROR_REFERRED_TO: something refers to the object
 * @CONFC_ERROR_CHANGED: not the revision that was expected
 * @CONFC_ERROR_NAME_TAKEN: the name is taken
 * @CONFC_ERROR_HISTORY_GONE: changes since then are no longer held
 * @CONFC_ERROR_NO_COMMON_PROTOCOL: no common protocol
 * @CONFC_ERROR_UNAVAILABLE: try again later
 * @CONFC_ERROR_STOPPING: the server is stopping, or not the primary
 * @CONFC_ERROR_PASSWORD_EXPIRED: the password must be changed first
 * @CONFC_ERROR_LIMIT: a limit was reached
 * @CONFC_ERROR_OUTCOME_UNKNOWN: the server cannot tell whether the write happened
 * @CONFC_ERROR_TLS_REQUIRED: the port takes log-ins over TLS only
 * @CONFC_ERROR_CONNECT: no address could be reached
 * @CONFC_ERROR_LOST: the connection broke before the answer; whether a write happened is unknown
 * @CONFC_ERROR_NOT_CONNECTED: the client is not connected
 * @CONFC_ERROR_TIMEOUT: no answer in time
 * @CONFC_ERROR_MALFORMED: the server sent what the protocol does not have
 * @CONFC_ERROR_ARGUMENT: wrong use: an address, a property, a combination
 * @CONFC_ERROR_QUEUE_FULL: too much is waiting to be sent
 * @CONFC_ERROR_UNSUPPORTED: not available in this release
 * @CONFC_ERROR_TLS: no TLS with this server: it is not trusted, refuses, or does not speak it
 *
 * Codes below zero are the protocol's, those above the client's own.  confc_error_get_data() gives the
 * protocol's data.
 */
typedef enum {
    CONFC_ERROR_PARSE = -32700,
    CONFC_ERROR_INTERNAL = -32603,
    CONFC_ERROR_INVALID_PARAMS = -32602,
    CONFC_ERROR_NO_METHOD = -32601,
    CONFC_ERROR_INVALID_REQUEST = -32600,
    CONFC_ERROR_TLS_REQUIRED = -32018,
    CONFC_ERROR_OUTCOME_UNKNOWN = -32017,
    CONFC_ERROR_LIMIT = -32016,
    CONFC_ERROR_PASSWORD_EXPIRED = -32015,
    CONFC_ERROR_STOPPING = -32014,
    CONFC_ERROR_UNAVAILABLE = -32013,
    CONFC_ERROR_NO_COMMON_PROTOCOL = -32012,
    CONFC_ERROR_HISTORY_GONE = -32011,
    CONFC_ERROR_NAME_TAKEN = -32010,
    CONFC_ERROR_CHANGED = -32009,
    CONFC_ERROR_REFERRED_TO = -32008,
    CONFC_ERROR_READ_ONLY = -32007,
    CONFC_ERROR_TOO_LARGE = -32006,
    CONFC_ERROR_NOT_PERMITTED = -32005,
    CONFC_ERROR_NOT_FOUND = -32004,
    CONFC_ERROR_SESSION_UNKNOWN = -32003,
    CONFC_ERROR_CHALLENGE = -32002,
    CONFC_ERROR_LOGIN_REFUSED = -32001,
    CONFC_ERROR_NOT_LOGGED_IN = -32000,
    CONFC_ERROR_CONNECT = 1,
    CONFC_ERROR_LOST,
    CONFC_ERROR_NOT_CONNECTED,
    CONFC_ERROR_TIMEOUT,
    CONFC_ERROR_MALFORMED,
    CONFC_ERROR_ARGUMENT,
    CONFC_ERROR_QUEUE_FULL,
    CONFC_ERROR_UNSUPPORTED,
    CONFC_ERROR_TLS,
} ConfcError;

#define CONFC_ERROR (confc_error_quark())
CONFC_API GQuark confc_error_quark(void);

/**
 * confc_error_get_data:
 * @error: an error of domain CONFC_ERROR
 *
 * Returns: (transfer none) (nullable): the `data` that the server sent with it
 */
CONFC_API JsonNode *confc_error_get_data(const GError *error);

/**
 * confc_error_get_path:
 * @error: an error of domain CONFC_ERROR
 *
 * Returns: (transfer none) (nullable): `data.path`, the member that was wrong
 */
CONFC_API const char *confc_error_get_path(const GError *error);

/* ---- ConfcClient ---- */

#define CONFC_TYPE_CLIENT (confc_client_get_type())
CONFC_API GType confc_client_get_type(void);
typedef struct _ConfcClient ConfcClient;
typedef GObjectClass ConfcClientClass;
typedef struct _ConfcSubscription ConfcSubscription;
typedef GObjectClass ConfcSubscriptionClass;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfcClient, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfcSubscription, g_object_unref)
#define CONFC_CLIENT(object) (G_TYPE_CHECK_INSTANCE_CAST((object), CONFC_TYPE_CLIENT, ConfcClient))
#define CONFC_IS_CLIENT(object) (G_TYPE_CHECK_INSTANCE_TYPE((object), CONFC_TYPE_CLIENT))

/**
 * confc_client_new:
 * @addresses: "host:port,host:port"; an IPv6 address stands in brackets
 *
 * Properties, to be set before connecting: addresses, user, password, application, secret, client-name,
 * client-version, replace, reconnect, connect-timeout, request-timeout, addp-timeout, addp-remote-timeout
 * (seconds; 0 leaves it to the server, without whose agreement there is no keep-alive), and for TLS:
 *
 * - tls: use it.  Setting one of the files or the server's name does so too.  A client that uses TLS never
 *   speaks plain, whatever happens.
 * - tls-ca: file of trusted certificates (PEM); unset: what the system trusts.
 * - tls-crl: file of lists of revoked ones.  Once a list is out of date, no server of its authority is
 * trusted.
 * - tls-certificate, tls-key: files of an own certificate with its key (unset: the key is in the same file).
 *   With neither user nor secret the application logs in by it.
 * - tls-server-name: what the server's certificate must be for; unset: the host of the address.
 * - tls-name-check: false accepts any server with a certificate of the trusted ones.
 *
 * Files that have changed are read again at the next connection.
 *
 * Signals: `changes` (JsonObject), one complete transaction; `objects` (subscription id, JsonArray),
 * `loaded` (subscription id, revision); `reset` (revision, reason): forget everything and read anew;
 * `status` (JsonObject); `ending` (reason); `connected` (resumed); `disconnected` (GError, will-reconnect);
 * `challenge` (prompt): answer with confc_client_answer_challenge().
 *
 * Returns: (transfer full): a client that is not connected yet
 */
CONFC_API ConfcClient *confc_client_new(const char *addresses);

/**
 * confc_client_connect_async:
 * @client: a client
 * @cancellable: (nullable): ends the attempt
 * @callback: (scope async): called when the session stands or no address gave one
 * @user_data: for @callback
 *
 * Tries each address once, in order, and logs in.  Later breaks are mended by themselves (property
 * reconnect).
 */
CONFC_API void confc_client_connect_async(ConfcClient *client, GCancellable *cancellable,
                                          GAsyncReadyCallback callback, gpointer user_data);
CONFC_API gboolean confc_client_connect_finish(ConfcClient *client, GAsyncResult *result, GError **error);
/**
 * confc_client_connect:
 * @client: a client
 * @cancellable: (nullable): ends the attempt
 * @error: why not
 *
 * As confc_client_connect_async(), running the main context until it is over.
 */
CONFC_API gboolean confc_client_connect(ConfcClient *client, GCancellable *cancellable, GError **error);

/**
 * confc_client_disconnect_async:
 * @client: a client
 * @cancellable: (nullable): stops waiting for the server's answer
 * @callback: (scope async) (nullable): called when the connection is closed
 * @user_data: for @callback
 *
 * Ends the session for good; pending requests end with CONFC_ERROR_LOST.
 */
CONFC_API void confc_client_disconnect_async(ConfcClient *client, GCancellable *cancellable,
                                             GAsyncReadyCallback callback, gpointer user_data);
CONFC_API gboolean confc_client_disconnect_finish(ConfcClient *client, GAsyncResult *result, GError **error);
/* The same, running the main context until it is over. */
CONFC_API void confc_client_disconnect(ConfcClient *client);

/**
 * confc_client_request_async:
 * @client: a client
 * @method: "object.read"
 * @params: (nullable) (transfer none): an object; %NULL: {}
 * @cancellable: (nullable): stops waiting; the server may do the work all the same
 * @callback: (scope async): called with the answer
 * @user_data: for @callback
 *
 * Requests may be made without waiting for earlier ones; they are sent in order.  While the client is
 * reconnecting they wait for the session.
 */
CONFC_API void confc_client_request_async(ConfcClient *client, const char *method, JsonNode *params,
                                          GCancellable *cancellable, GAsyncReadyCallback callback,
                                          gpointer user_data);
/**
 * confc_client_request_finish:
 * @client: a client
 * @result: of the callback
 * @error: in domain CONFC_ERROR, with the protocol's code and message
 *
 * Returns: (transfer full): the result
 */
CONFC_API JsonNode *confc_client_request_finish(ConfcClient *client, GAsyncResult *result, GError **error);
/**
 * confc_client_request:
 * @client: a client
 * @method: "object.read"
 * @params: (nullable) (transfer none): an object; %NULL: {}
 * @cancellable: (nullable): stops waiting
 * @error: as of confc_client_request_finish()
 *
 * Runs the main context until the answer is there.
 *
 * Returns: (transfer full): the result
 */
CONFC_API JsonNode *confc_client_request(ConfcClient *client, const char *method, JsonNode *params,
                                         GCancellable *cancellable, GError **error);

/* The answer to what signal `challenge` asked; false: nothing was asked. */
CONFC_API gboolean confc_client_answer_challenge(ConfcClient *client, const char *response);
CONFC_API gboolean confc_client_is_connected(ConfcClient *client);
/**
 * confc_client_get_server:
 * @client: a client
 *
 * Returns: (transfer none) (nullable): `server` of the log-in's answer
 */
CONFC_API JsonObject *confc_client_get_server(ConfcClient *client);
/**
 * confc_client_get_account:
 * @client: a client
 *
 * Returns: (transfer none) (nullable): `account` of the log-in's answer
 */
CONFC_API JsonObject *confc_client_get_account(ConfcClient *client);
/**
 * confc_client_get_login_text:
 * @client: a client
 *
 * Returns: (transfer none) (nullable): `text` of the log-in's answer: what a directory says to the user it
 * let in,
 *   that the password expires soon perhaps.  A resumption has none
 */
CONFC_API const char *confc_client_get_login_text(ConfcClient *client);
/**
 * confc_client_get_peer:
 * @client: a client
 *
 * Returns: (transfer none) (nullable): the address it is connected to, "host:port"
 */
CONFC_API const char *confc_client_get_peer(ConfcClient *client);
/**
 * confc_client_get_security:
 * @client: a client
 *
 * Returns: (transfer none) (nullable): version and ciphers of TLS, for people; %NULL: plain, or not connected
 */
CONFC_API const char *confc_client_get_security(ConfcClient *client);
/* The revision up to which everything was told, and its chain (NULL: not known). */
CONFC_API gint64 confc_client_get_revision(ConfcClient *client);
CONFC_API const char *confc_client_get_chain(ConfcClient *client);

/* ---- ConfcSubscription ---- */

/**
 * ConfcSubscriptionFlags:
 * @CONFC_SUBSCRIPTION_NONE: changes only
 * @CONFC_SUBSCRIPTION_INITIAL: the present objects first (signals `objects`, `loaded`)
 * @CONFC_SUBSCRIPTION_MIRROR: as INITIAL, and the subscription keeps the objects up to date
 */
typedef enum {
    CONFC_SUBSCRIPTION_NONE = 0,
    CONFC_SUBSCRIPTION_INITIAL = 1 << 0,
    CONFC_SUBSCRIPTION_MIRROR = 1 << 1,
} ConfcSubscriptionFlags;

#define CONFC_TYPE_SUBSCRIPTION (confc_subscription_get_type())
CONFC_API GType confc_subscription_get_type(void);
#define CONFC_SUBSCRIPTION(object) \
    (G_TYPE_CHECK_INSTANCE_CAST((object), CONFC_TYPE_SUBSCRIPTION, ConfcSubscription))

/**
 * confc_client_subscribe_async:
 * @client: a client
 * @scope: (nullable) (transfer none): types, objects, tenant, folder, since, as protocol.md 6 has them;
 * %NULL: everything
 * @flags: what is wanted
 * @cancellable: (nullable): stops waiting
 * @callback: (scope async): called when the subscription stands
 * @user_data: for @callback
 *
 * The server tells a change once, however many subscriptions it matches.  A mirror therefore picks its
 * changes by type and dbid; one whose scope has a tenant or a folder must be the client's only subscription.
 *
 * Signals of the subscription: `objects` (JsonArray), `loaded` (revision), `reset` (revision, reason): the
 * mirror is empty now and fills again; `closed` (GError): it could not be opened anew.
 */
CONFC_API void confc_client_subscribe_async(ConfcClient *client, JsonObject *scope,
                                            ConfcSubscriptionFlags flags, GCancellable *cancellable,
                                            GAsyncReadyCallback callback, gpointer user_data);
/**
 * confc_client_subscribe_finish:
 * @client: a client
 * @result: of the callback
 * @error: why not
 *
 * Returns: (transfer full): the subscription; the client holds it too until it is closed
 */
CONFC_API ConfcSubscription *confc_client_subscribe_finish(ConfcClient *client, GAsyncResult *result,
                                                           GError **error);
/**
 * confc_client_subscribe:
 * @client: a client
 * @scope: (nullable) (transfer none): as above
 * @flags: what is wanted
 * @cancellable: (nullable): stops waiting
 * @error: why not
 *
 * Runs the main context until the subscription stands (not until it is loaded).
 *
 * Returns: (transfer full): the subscription
 */
CONFC_API ConfcSubscription *confc_client_subscribe(ConfcClient *client, JsonObject *scope,
                                                    ConfcSubscriptionFlags flags, GCancellable *cancellable,
                                                    GError **error);

CONFC_API gint64 confc_subscription_get_id(ConfcSubscription *subscription);
/* The revision at which it was opened. */
CONFC_API gint64 confc_subscription_get_revision(ConfcSubscription *subscription);
CONFC_API gboolean confc_subscription_is_loaded(ConfcSubscription *subscription);
CONFC_API guint confc_subscription_get_count(ConfcSubscription *subscription);
/**
 * confc_subscription_lookup:
 * @subscription: one with a mirror
 * @type: name of the type
 * @dbid: number
 *
 * Returns: (transfer none) (nullable): the object as it is now, until the next turn of the main loop
 */
CONFC_API JsonObject *confc_subscription_lookup(ConfcSubscription *subscription, const char *type,
                                                gint64 dbid);
/**
 * confc_subscription_get_objects:
 * @subscription: one with a mirror
 *
 * Returns: (transfer full) (element-type JsonObject): references to the objects, in order of type and dbid
 */
CONFC_API GPtrArray *confc_subscription_get_objects(ConfcSubscription *subscription);
/**
 * confc_subscription_close_async:
 * @subscription: a subscription
 * @cancellable: (nullable): stops waiting
 * @callback: (scope async) (nullable): called when the server has confirmed
 * @user_data: for @callback
 */
CONFC_API void confc_subscription_close_async(ConfcSubscription *subscription, GCancellable *cancellable,
                                              GAsyncReadyCallback callback, gpointer user_data);
CONFC_API gboolean confc_subscription_close_finish(ConfcSubscription *subscription, GAsyncResult *result,
                                                   GError **error);

G_END_DECLS
