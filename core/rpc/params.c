/* params.c - the readings of params that methods have in common. */
#include "rpc/request-private.h"

static bool is_known(const ConfRequest *request, ConfSlice member);
static bool is_among(ConfSlice key, const char *const *names);
static void fail(ConfRpcError *error, const char *at, ConfSlice name, const char *what);

static ConfKnownParamFunc known_param;
static void *known_param_data;

const ConfJson *
conf_request_parse_params(ConfRequest *request, const char *const *names, ConfRpcError *error)
{
    const char *message = NULL;
    ConfJson *params =
        conf_json_parse(conf_request_arena(), conf_request_get_params(request), NULL, NULL, &message);
    if (params == NULL) {
        conf_rpc_fail(error, CONF_RPC_INVALID_PARAMS, "%s", message);
        return NULL;
    }
    if (params->kind != CONF_JSON_OBJECT) {
        conf_rpc_fail_path(error, "", "The params must be an object.");
        return NULL;
    }
    for (const ConfJson *member = params->first; member != NULL; member = member->next) {
        if (!is_among(member->key, names) && !is_known(request, member->key)) {
            fail(error, "", member->key, "is not known here");
            return NULL;
        }
    }
    return params;
}

void
conf_request_set_known_param_func(ConfKnownParamFunc func, void *data)
{
    known_param = func;
    known_param_data = data;
}

bool
conf_params_integer(const ConfJson *params, const char *at, const char *name, int64_t minimum,
                    int64_t maximum, bool required, int64_t *value, ConfRpcError *error)
{
    const ConfJson *member = conf_json_member(params, name);
    ConfSlice slice = conf_slice_from_string(name);
    if (member == NULL) {
        if (required)
            fail(error, at, slice, "is required");
        return !required;
    }
    if (member->kind != CONF_JSON_NUMBER || !member->is_integer) {
        fail(error, at, slice, "must be an integer");
        return false;
    }
    if (member->integer < minimum || member->integer > maximum) {
        g_autofree char *what = g_strdup_printf("must be between %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT,
                                                minimum, MIN(maximum, CONF_JSON_INTEGER_MAX));
        fail(error, at, slice, what);
        return false;
    }
    *value = member->integer;
    return true;
}

bool
conf_params_string(const ConfJson *params, const char *at, const char *name, bool required, ConfSlice *value,
                   ConfRpcError *error)
{
    const ConfJson *member = conf_json_member(params, name);
    if (member == NULL) {
        if (required)
            fail(error, at, conf_slice_from_string(name), "is required");
        return !required;
    }
    if (member->kind != CONF_JSON_STRING) {
        fail(error, at, conf_slice_from_string(name), "must be a string");
        return false;
    }
    *value = member->text;
    return true;
}

bool
conf_params_boolean(const ConfJson *params, const char *at, const char *name, bool *value,
                    ConfRpcError *error)
{
    const ConfJson *member = conf_json_member(params, name);
    if (member == NULL)
        return true;
    if (member->kind != CONF_JSON_BOOLEAN) {
        fail(error, at, conf_slice_from_string(name), "must be true or false");
        return false;
    }
    *value = member->boolean;
    return true;
}

bool
conf_params_only(const ConfJson *params, const char *at, const char *const *names, ConfRpcError *error)
{
    for (const ConfJson *member = params->first; member != NULL; member = member->next) {
        if (!is_among(member->key, names)) {
            fail(error, at, member->key, "is not known here");
            return false;
        }
    }
    return true;
}

/* What the core does not know, a plugin may. */
static bool
is_known(const ConfRequest *request, ConfSlice member)
{
    return known_param != NULL && request->method != NULL &&
           known_param(request->method->name, member, known_param_data);
}

static bool
is_among(ConfSlice key, const char *const *names)
{
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (conf_slice_is(key, names[i]))
            return true;
    }
    return false;
}

/* A name from the wire may be as long as a line, and hold any character. */
static void
fail(ConfRpcError *error, const char *at, ConfSlice name, const char *what)
{
    enum { SHOWN_MAX = 128 };
    g_autoptr(GString) path = g_string_new(at);
    g_string_append_c(path, '/');
    g_autofree char *shown =
        g_utf8_make_valid(name.data != NULL ? name.data : "", (gssize)MIN(name.size, SHOWN_MAX));
    for (const char *p = shown; *p != '\0'; p++) {
        if (*p == '~')
            g_string_append(path, "~0");
        else if (*p == '/')
            g_string_append(path, "~1");
        else
            g_string_append_c(path, *p);
    }
    conf_rpc_fail_path(error, path->str, "Member \"%s\" %s.", shown, what);
}
