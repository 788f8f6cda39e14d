/* context.c - the connection: logging in, and asking the server. */
#include "confctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { SECRET_MAX = 1024, WINDOW = 128, PAGE_LIMIT = 1000, EMPTY_MAX = 1000, OBJECTS_MAX = 2 * 1000 * 1000 };

typedef struct {
    Ctl *ctl;
    const char *method;
    GPtrArray *params;
    CtlAnswerFunc each;
    void *data;
    unsigned sent, answered;
    GError *error;
} Many;

typedef struct {
    Many *many;
    unsigned index;
} One;

static struct termios shown_terminal;

static void restore_terminal(int signal_number);
static bool find_password(Ctl *ctl, GError **error);
static void answer_challenge(ConfcClient *client, const char *prompt, Ctl *ctl);
static void send_more(Many *many);
static void one_answered(GObject *source, GAsyncResult *result, void *data);
static bool append_page(JsonArray *objects, void *data, GError **error);

GQuark
ctl_error_quark(void)
{
    return g_quark_from_static_string("ctl-error-quark");
}

bool
ctl_connect(Ctl *ctl, GError **error)
{
    CtlOptions *options = &ctl->options;
    unsigned addp_timeout = 0, timeout = 0;
    if (!ctl_settings_complete(ctl, &addp_timeout, &timeout, error))
        return false;
    if (options->user != NULL && !find_password(ctl, error))
        return false;
    ctl->client = confc_client_new(options->server);
    g_object_set(ctl->client, "user", options->user, "password", ctl->password, "application",
                 options->application != NULL ? options->application : "confctl", "client-name", "confctl",
                 "addp-timeout", addp_timeout, "addp-remote-timeout", addp_timeout, NULL);
    if (timeout > 0)
        g_object_set(ctl->client, "connect-timeout", timeout, "request-timeout", timeout, NULL);
    ctl_settings_apply_tls(ctl);
    if (isatty(STDIN_FILENO))
        g_signal_connect(ctl->client, "challenge", G_CALLBACK(answer_challenge), ctl);
    return ctl_reconnect(ctl, error);
}

bool
ctl_reconnect(Ctl *ctl, GError **error)
{
    if (!confc_client_connect(ctl->client, NULL, error))
        return false;
    /* A command that was cut off must say so, not wait for a server that may never come back. */
    g_object_set(ctl->client, "reconnect", FALSE, NULL);
    JsonObject *account = confc_client_get_account(ctl->client);
    const char *text = confc_client_get_login_text(ctl->client);
    if (text != NULL && text[0] != '\0')
        ctl_warn("%s", text);
    if (confc_json_boolean(account, "mustChangePassword"))
        ctl_warn("The password has to be changed: confctl passwd");
    return true;
}

void
ctl_clear(Ctl *ctl)
{
    if (ctl->client != NULL)
        confc_client_disconnect(ctl->client);
    g_clear_object(&ctl->client);
    g_clear_pointer(&ctl->types, g_hash_table_unref);
    g_clear_pointer(&ctl->places, g_hash_table_unref);
    g_clear_pointer(&ctl->schema, json_object_unref);
    ctl_wipe(&ctl->password);
    ctl_settings_clear(&ctl->options);
}

char *
ctl_read_secret_file(const char *file, GError **error)
{
    FILE *stream = fopen(file, "re");
    char line[SECRET_MAX + 2];
    if (stream == NULL) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Cannot read %s: %s", file, g_strerror(errno));
        return NULL;
    }
    bool is_read = fgets(line, sizeof line, stream) != NULL;
    fclose(stream);
    gsize size = is_read ? strcspn(line, "\r\n") : 0;
    if (size == 0 || size > SECRET_MAX) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "The first line of %s must hold the password, of at most %d bytes", file, SECRET_MAX);
        return NULL;
    }
    char *secret = g_strndup(line, size);
    explicit_bzero(line, sizeof line);
    return secret;
}

char *
ctl_prompt_secret(const char *prompt, GError **error)
{
    char line[SECRET_MAX + 2];
    if (tcgetattr(STDIN_FILENO, &shown_terminal) != 0) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                            "There is no terminal to ask for a password on");
        return NULL;
    }
    /* Whoever interrupts here gets a terminal back that shows what is typed. */
    struct sigaction restore = {.sa_handler = restore_terminal, .sa_flags = (int)SA_RESETHAND}, before[2];
    sigaction(SIGINT, &restore, &before[0]);
    sigaction(SIGTERM, &restore, &before[1]);
    struct termios hidden = shown_terminal;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    /* Not before: what is typed at once would be shown, and dropped. */
    fputs(prompt, stderr);
    bool is_read = fgets(line, sizeof line, stdin) != NULL;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown_terminal);
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
    fputc('\n', stderr);
    if (!is_read) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE, "No password was entered");
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    char *secret = g_strdup(line);
    explicit_bzero(line, sizeof line);
    return secret;
}

void
ctl_wipe(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    g_clear_pointer(secret, g_free);
}

bool
ctl_confirm(const char *question)
{
    char line[16] = "";
    if (!isatty(STDIN_FILENO))
        return true;
    fflush(stdout);
    fprintf(stderr, "%s [y/N] ", question);
    fflush(stderr);
    if (fgets(line, sizeof line, stdin) == NULL)
        fputc('\n', stderr);
    return line[0] == 'y' || line[0] == 'Y';
}

JsonObject *
ctl_request(Ctl *ctl, const char *method, JsonObject *params, GError **error)
{
    g_autoptr(JsonNode) node = params != NULL ? ctl_node_object(params) : NULL;
    g_autoptr(JsonNode) result = confc_client_request(ctl->client, method, node, NULL, error);
    if (result == NULL)
        return NULL;
    if (JSON_NODE_HOLDS_OBJECT(result))
        return json_object_ref(json_node_get_object(result));
    g_set_error(error, CONFC_ERROR, CONFC_ERROR_MALFORMED, "The server's answer to %s is no object", method);
    return NULL;
}

bool
ctl_request_many(Ctl *ctl, const char *method, GPtrArray *params, CtlAnswerFunc each, void *data,
                 GError **error)
{
    Many many = {.ctl = ctl, .method = method, .params = params, .each = each, .data = data};
    send_more(&many);
    while (many.answered < many.sent)
        g_main_context_iteration(NULL, TRUE);
    if (many.error == NULL)
        return true;
    g_propagate_error(error, many.error);
    return false;
}

bool
ctl_list(Ctl *ctl, const char *type, JsonObject *filter, const char *const *fields, CtlPageFunc each,
         void *data, GError **error)
{
    g_autoptr(JsonNode) filter_node = filter != NULL ? ctl_node_object(filter) : NULL;
    g_autofree char *cursor = NULL;
    unsigned empty = 0;
    do {
        JsonObject *params = json_object_new();
        if (type != NULL)
            json_object_set_string_member(params, "type", type);
        if (ctl->as_of > 0)
            json_object_set_int_member(params, "asOf", ctl->as_of);
        if (filter_node != NULL)
            json_object_set_member(params, "filter", json_node_copy(filter_node));
        if (fields != NULL) {
            JsonArray *names = json_array_new();
            for (unsigned i = 0; fields[i] != NULL; i++)
                json_array_add_string_element(names, fields[i]);
            json_object_set_array_member(params, "fields", names);
        }
        json_object_set_int_member(params, "limit", PAGE_LIMIT);
        if (cursor != NULL)
            json_object_set_string_member(params, "cursor", cursor);
        g_autoptr(JsonObject) page = ctl_request(ctl, "object.list", params, error);
        if (page == NULL)
            return false;
        JsonArray *objects = confc_json_array(page, "objects");
        for (unsigned i = 0; objects != NULL && i < json_array_get_length(objects); i++) {
            if (!ctl_check_object(ctl_array_object(objects, i), error))
                return false;
        }
        if (objects != NULL && !each(objects, data, error))
            return false;
        const char *next = confc_json_string(page, "cursor");
        empty = objects == NULL || json_array_get_length(objects) == 0 ? empty + 1 : 0;
        if (next != NULL && (g_strcmp0(next, cursor) == 0 || empty > EMPTY_MAX)) {
            g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_MALFORMED,
                                "The server's list does not go on");
            return false;
        }
        g_free(cursor);
        cursor = g_strdup(next);
    } while (cursor != NULL);
    return true;
}

GPtrArray *
ctl_list_all(Ctl *ctl, const char *type, JsonObject *filter, const char *const *fields, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    if (!ctl_list(ctl, type, filter, fields, append_page, list, error))
        return NULL;
    return g_steal_pointer(&list);
}

static void
restore_terminal(int signal_number)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &shown_terminal);
    raise(signal_number);
}

static bool
find_password(Ctl *ctl, GError **error)
{
    if (ctl->options.password_file != NULL) {
        ctl->password = ctl_read_secret_file(ctl->options.password_file, error);
    } else if (isatty(STDIN_FILENO)) {
        g_autofree char *user = ctl_clean(ctl->options.user);
        g_autofree char *prompt = g_strdup_printf("Password of %s: ", user);
        ctl->password = ctl_prompt_secret(prompt, error);
    } else {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                            "No password: use --password-file FILE or CONFCTL_PASSWORD_FILE, or a terminal");
    }
    return ctl->password != NULL;
}

static void
answer_challenge(ConfcClient *client, const char *prompt, Ctl *ctl)
{
    g_autofree char *clean = ctl_clean(prompt);
    g_autofree char *shown = g_strconcat(clean, " ", NULL);
    char *response = ctl_prompt_secret(shown, NULL);
    confc_client_answer_challenge(client, response != NULL ? response : "");
    ctl_wipe(&response);
}

static void
send_more(Many *many)
{
    while (many->error == NULL && many->sent < many->params->len && many->sent - many->answered < WINDOW) {
        One *one = g_new(One, 1);
        *one = (One){.many = many, .index = many->sent};
        g_autoptr(JsonNode) node =
            ctl_node_object(json_object_ref(g_ptr_array_index(many->params, many->sent)));
        many->sent++;
        confc_client_request_async(many->ctl->client, many->method, node, NULL, one_answered, one);
    }
}

static void
one_answered(GObject *source, GAsyncResult *result, void *data)
{
    g_autofree One *one = data;
    Many *many = one->many;
    g_autoptr(GError) failure = NULL;
    g_autoptr(JsonNode) node = confc_client_request_finish(CONFC_CLIENT(source), result, &failure);
    JsonObject *object = node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    many->answered++;
    bool is_lost = failure != NULL && (failure->domain != CONFC_ERROR || failure->code > 0);
    if (many->error == NULL && is_lost)
        many->error = g_error_copy(failure);
    else if (many->error == NULL)
        many->each(one->index, object, failure, many->data, &many->error);
    send_more(many);
}

static bool
append_page(JsonArray *objects, void *data, GError **error)
{
    for (unsigned i = 0; i < json_array_get_length(objects); i++) {
        JsonObject *object = ctl_array_object(objects, i);
        if (object != NULL)
            g_ptr_array_add(data, json_object_ref(object));
    }
    if (((GPtrArray *)data)->len > OBJECTS_MAX) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "These are more than %d objects", OBJECTS_MAX);
        return false;
    }
    return true;
}
