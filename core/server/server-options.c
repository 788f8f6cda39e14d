/* server-options.c - see server-options.h.  The same table makes -list-options, the manual and the checks. */
#include "server/server-options.h"

#include "base/error.h"
#include "net/address-list.h"

#define S ConfServerOptions
#define OWN NULL
#define AUTHENTICATION "authentication"

const ConfOption conf_server_options[] = {
    CONF_OPTION_INT(S, port, OWN, "port", NULL, "1..65535", CONF_AT_START,
                    "Port for clients. Read by -init, which stores it in the server's application object; "
                    "later starts take the ports from there."),
    CONF_OPTION_INT(S, management_port, OWN, "management-port", NULL, "1..65535", CONF_AT_ONCE,
                    "Port for server.* methods without a log-in."),
    CONF_OPTION_STRING(S, management_address, OWN, "management-address", "loopback", NULL, CONF_AT_ONCE,
                       "Address that the management port listens on."),
    CONF_OPTION_STRING(S, database, OWN, "server", "dbserver", NULL, CONF_AT_START,
                       "Section that describes the database."),
    CONF_OPTION_CHOICE(S, encoding, OWN, "encoding", "utf-8", "utf-8|utf8", CONF_AT_START,
                       "Known for old files: everything is UTF-8."),
    CONF_OPTION_STRING(S, plugins, OWN, "plugins", NULL, NULL, CONF_AT_START,
                       "Plugins to load, a comma list in their order. One written ?name may be missing."),
    CONF_OPTION_STRING(S, plugin_path, OWN, "plugin-path", NULL, NULL, CONF_AT_START,
                       "Further folders of plugins, a colon list."),
    CONF_OPTION_STRING(S, schema_path, OWN, "schema-path", NULL, NULL, CONF_AT_START,
                       "Further folders of schema files, a colon list."),
    CONF_OPTION_STRING(S, data_folder, OWN, "data-folder", ".", NULL, CONF_AT_START,
                       "Folder for what this server keeps itself."),
    CONF_OPTION_CHOICE(S, listening_mode, OWN, "listening-mode", "unsecured", "unsecured|secured|auto-detect",
                       CONF_AT_START,
                       "Listening mode of the port in the file. All but unsecured need plugin tls."),
    CONF_OPTION_INT(S, max_request_size, OWN, "max-request-size", "16 MiB", "4096..1073741824 B",
                    CONF_AT_ONCE, "Longest line of a client that is logged in."),
    CONF_OPTION_INT(S, login_timeout, OWN, "login-timeout", "10 s", "1..3600 s", CONF_AT_ONCE,
                    "Time to log in."),
    CONF_OPTION_INT(S, max_unauthenticated, OWN, "max-unauthenticated", "10000", "1..1000000", CONF_AT_ONCE,
                    "Connections that have not logged in; beyond, the oldest goes."),
    CONF_OPTION_INT(S, login_attempts, OWN, "login-attempts", "5", "1..1000", CONF_AT_ONCE,
                    "Refusals of one account from one address before it must pause."),
    CONF_OPTION_INT(S, login_pause, OWN, "login-pause", "1 s", "0..60 s", CONF_AT_ONCE,
                    "First pause; it doubles up to 60 s."),
    CONF_OPTION_BOOL(S, proxy_protocol, OWN, "proxy-protocol", "false", NULL, CONF_AT_ONCE,
                     "Whether connections of trusted-balancers begin with a PROXY header of version 2, which "
                     "says whose they are. They are closed without one; other connections are closed with "
                     "one. A port's transport string may have it for that port. Not on the management port."),
    CONF_OPTION_STRING(S, trusted_balancers, OWN, "trusted-balancers", NULL, NULL, CONF_AT_ONCE,
                       "Addresses and networks (10.0.0.5, 10.1.0.0/16, fd00::7) that PROXY headers are "
                       "accepted from, a comma list. A port's transport string may have its own."),
    CONF_OPTION_CHOICE(S, plain_login, OWN, "plain-login", "allow", "allow|loopback|refuse", CONF_AT_ONCE,
                       "Log-ins in plain text."),
    CONF_OPTION_INT(S, lease_time, OWN, "lease-time", "10 s", "1..600 s", CONF_AT_START,
                    "A primary whose lease does not move for this long is taken for frozen."),
    CONF_OPTION_INT(S, change_retention, OWN, "change-retention", "24 h", "1..87600 h", CONF_AT_ONCE,
                    "How long change records stay in the database."),
    CONF_OPTION_INT(S, change_retention_size, OWN, "change-retention-size", "1 GiB", "1048576.. B",
                    CONF_AT_ONCE, "How many bytes of change records stay in the database."),
    CONF_OPTION_INT(S, max_transaction_operations, OWN, "max-transaction-operations", "10000", "1..1000000",
                    CONF_AT_ONCE, "Operations of one transaction, what it cascades to included."),
    CONF_OPTION_INT(
        S, view_change_max, OWN, "view-change-max", "1000", "1..1000000", CONF_AT_ONCE,
        "Objects that may enter or leave a session's view by one commit; beyond, it is told to read anew."),
    CONF_OPTION_INT(S, max_client_output_queue_size, OWN, "max-client-output-queue-size", "1 MiB",
                    "65536.. B", CONF_AT_ONCE,
                    "Unsent bytes above which no more requests of a client are read."),
    CONF_OPTION_INT(S, max_notification_backlog, OWN, "max-notification-backlog", "16 MiB", "1048576.. B",
                    CONF_AT_ONCE, "Unsent notifications above which a session is closed; it may be resumed."),
    CONF_OPTION_INT(S, session_resume_timeout, OWN, "session-resume-timeout", "3600 s", "0..604800 s",
                    CONF_AT_ONCE, "How long a broken session can be resumed."),
    CONF_OPTION_INT(S, recent_changes, OWN, "recent-changes", "64 MiB", "1048576.. B", CONF_AT_ONCE,
                    "Changes held in memory for resumption."),
    CONF_OPTION_INT(S, slow_turn_warning, OWN, "slow-turn-warning", "100 ms", "0..60000 ms", CONF_AT_ONCE,
                    "Turns of the event loop longer than this are logged; 0: none."),
    CONF_OPTION_BOOL(
        S, no_default_access, OWN, "no-default-access", "true", NULL, CONF_AT_START,
        "A new person gets no group and no right. The only value that this server knows is true."),
    CONF_OPTION_BOOL(S, allow_plain_replica, OWN, "allow-plain-replica", "false", NULL, CONF_ON_CONNECT,
                     "Send password hashes to proxies over plain links that leave this machine."),
    CONF_OPTION_BOOL(S, last_login, OWN, "last-login", "true", NULL, CONF_AT_ONCE,
                     "Remember when each account last logged in: session.open tells it, and the rule "
                     "account-expiration counts from it. What is known stays known."),
    CONF_OPTION_BOOL(
        S, password_change, OWN, "password-change", "true", NULL, CONF_AT_ONCE,
        "Whether everybody may change the own password. If not, only who has right change on the "
        "own person object may, and who must."),
    CONF_OPTION_STRING(
        S, library, AUTHENTICATION, "library", NULL, NULL, CONF_AT_ONCE,
        "Who checks passwords of persons with an externalId: a comma list of gauth_ldap, gauth_radius and "
        "internal, asked in this order. The same option in the annex of a person or of a tenant stands "
        "over it, that of a person whether there is an externalId or not."),
    CONF_OPTION_BOOL(
        S, enforce_external, AUTHENTICATION, "enforce-external-auth", "false", NULL, CONF_AT_ONCE,
        "Whether persons without an externalId are checked by library too. A tenant's annex may have its "
        "own."),
    CONF_OPTION_BOOL(
        S, enforce_internal, AUTHENTICATION, "enforce-internal-auth", "false", NULL, CONF_AT_ONCE,
        "Whether everybody is checked by the internal password, whatever library says. A tenant's annex "
        "may have its own."),
    CONF_OPTION_INT(S, authentication_queue, AUTHENTICATION, "authentication-queue-threshold", "1000",
                    "1..100000", CONF_AT_ONCE,
                    "Log-ins that wait for directories; more are refused for the time being."),
    CONF_OPTION_INT(
        S, offline_login, AUTHENTICATION, "offline-login", "0 s", "0..604800 s", CONF_AT_ONCE,
        "While no directory answers, whoever logged in by one with the same password within this time is let "
        "in; 0: nobody is."),
    CONF_OPTION_INT(
        S, delay_reload, "csproxy", "delay-reload", "0 s", "0..86400 s", CONF_AT_ONCE,
        "Wait of a proxy before it loads everything anew; not before the first load, nor before a "
        "resumption."),
    CONF_OPTION_BOOL(S, proxy_writable, "csproxy", "proxy-writable", "false", NULL, CONF_AT_START,
                     "Pass writes on to the master. Not available in this release."),
    CONF_OPTION_END,
};

bool
conf_server_options_check(const ConfServerOptions *options, GError **error)
{
    g_autoptr(ConfAddressList) balancers = conf_address_list_new(options->trusted_balancers, error);
    if (balancers == NULL) {
        g_prefix_error(error, "Option trusted-balancers: ");
        return false;
    }
    const char *unavailable = options->proxy_writable       ? "proxy-writable"
                              : !options->no_default_access ? "no-default-access = false"
                                                            : NULL;
    if (unavailable == NULL)
        return true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Option %s is not available in this release",
                unavailable);
    return false;
}
