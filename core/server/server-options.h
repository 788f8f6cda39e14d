/* server-options.h - the options of the server itself, declared once (commands.md 3). */
#pragma once

#include "base/option.h"

typedef struct {
    int64_t port, management_port;
    char *management_address;
    char *database;   /* server: the section of the database */
    int64_t encoding; /* there is only one */
    char *plugins, *plugin_path, *schema_path, *data_folder;
    int64_t listening_mode;
    int64_t max_request_size, login_timeout, max_unauthenticated, login_attempts, login_pause;
    bool proxy_protocol;
    char *trusted_balancers;
    int64_t plain_login;
    int64_t lease_time, change_retention, change_retention_size;
    int64_t max_transaction_operations, view_change_max;
    int64_t max_client_output_queue_size, max_notification_backlog, session_resume_timeout, recent_changes,
        slow_turn_warning;
    bool no_default_access, allow_plain_replica, last_login, password_change;
    /* [authentication] */
    char *library;
    bool enforce_external, enforce_internal;
    int64_t authentication_queue, offline_login;
    /* proxies */
    int64_t delay_reload;
    bool proxy_writable;
} ConfServerOptions;

extern const ConfOption conf_server_options[]; /* of the server's own section */

/* Values that are known but cannot be served. */
bool conf_server_options_check(const ConfServerOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
