/* login-params.c - the parameters of session.open: shape, and what goes with what. */
#include "session/login-private.h"

enum { TEXT_MAX = 255 };

static bool copy_text(const ConfJson *params, const char *name, char **text, ConfRpcError *error);
static bool check_combination(ConfLogin *login, ConfRpcError *error);
static bool read_client(ConfLogin *login, const ConfJson *params, ConfRpcError *error);
static bool check_protocols(const ConfJson *params, ConfRpcError *error);

bool
conf_login_read_params(ConfLogin *login, ConfRequest *request, ConfRpcError *error)
{
    static const char *const names[] = {"user",      "password", "application", "client",
                                        "protocols", "replace",  "secret",      "mechanism",
                                        "token",     "addp",     NULL};
    const ConfJson *params = conf_request_parse_params(request, names, error);
    if (params == NULL || !copy_text(params, "user", &login->user, error) ||
        !copy_text(params, "application", &login->application, error) ||
        !copy_text(params, "password", &login->password, error) ||
        !copy_text(params, "secret", &login->secret, error) ||
        !copy_text(params, "mechanism", &login->mechanism, error) ||
        !copy_text(params, "token", &login->token, error) ||
        !conf_params_boolean(params, "", "replace", &login->replace, error) ||
        !read_client(login, params, error) || !check_protocols(params, error))
        return false;
    return check_combination(login, error);
}

static bool
copy_text(const ConfJson *params, const char *name, char **text, ConfRpcError *error)
{
    ConfSlice value = {NULL, 0};
    if (!conf_params_string(params, "", name, false, &value, error))
        return false;
    g_autofree char *path = g_strdup_printf("/%s", name);
    if (value.data == NULL)
        return true;
    if (memchr(value.data, '\0', value.size) != NULL)
        return conf_rpc_fail_path(error, path, "%s holds a NUL character", name);
    *text = conf_slice_dup(value);
    return true;
}

static bool
check_combination(ConfLogin *login, ConfRpcError *error)
{
    if (login->application == NULL)
        return conf_rpc_fail_path(error, "/application", "application is missing");
    bool password = login->mechanism == NULL || strcmp(login->mechanism, "password") == 0;
    if (login->user == NULL && password && login->secret == NULL)
        return conf_rpc_fail_path(error, "/user", "Either user and password, or secret is needed");
    if (login->user != NULL && login->secret != NULL)
        return conf_rpc_fail_path(error, "/secret",
                                  "secret is for an application that logs in as itself, without user");
    if (login->user != NULL && password && login->password == NULL)
        return conf_rpc_fail_path(error, "/password", "password is missing");
    /* Names are compared as they are stored. */
    if (login->user != NULL) {
        g_autofree char *normal = g_utf8_normalize(login->user, -1, G_NORMALIZE_NFC);
        if (normal != NULL)
            g_free(g_steal_pointer(&login->user)), login->user = g_steal_pointer(&normal);
    }
    g_autofree char *normal = g_utf8_normalize(login->application, -1, G_NORMALIZE_NFC);
    if (normal != NULL)
        g_free(g_steal_pointer(&login->application)), login->application = g_steal_pointer(&normal);
    return true;
}

static bool
read_client(ConfLogin *login, const ConfJson *params, ConfRpcError *error)
{
    const ConfJson *client = conf_json_member(params, "client");
    if (client == NULL)
        return true;
    if (client->kind != CONF_JSON_OBJECT)
        return conf_rpc_fail_path(error, "/client", "client must be an object");
    ConfSlice name = {NULL, 0}, version = {NULL, 0};
    if (!conf_params_string(client, "/client", "name", false, &name, error) ||
        !conf_params_string(client, "/client", "version", false, &version, error))
        return false;
    login->client_name = g_strndup(name.data != NULL ? name.data : "", MIN(name.size, TEXT_MAX));
    login->client_version = g_strndup(version.data != NULL ? version.data : "", MIN(version.size, TEXT_MAX));
    return true;
}

static bool
check_protocols(const ConfJson *params, ConfRpcError *error)
{
    const ConfJson *protocols = conf_json_member(params, "protocols");
    if (protocols == NULL)
        return true;
    if (protocols->kind != CONF_JSON_ARRAY)
        return conf_rpc_fail_path(error, "/protocols", "protocols must be an array of numbers");
    for (const ConfJson *item = protocols->first; item != NULL; item = item->next) {
        if (item->is_integer && item->integer == 1)
            return true;
        if (!item->is_integer)
            return conf_rpc_fail_path(error, "/protocols", "protocols must be an array of numbers");
    }
    conf_rpc_fail(error, CONF_RPC_NO_COMMON_PROTOCOL, "This server speaks protocol 1 only");
    conf_rpc_error_add_data(error, "protocols", "[1]");
    return false;
}
