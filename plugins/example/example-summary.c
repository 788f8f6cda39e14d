/* example-summary.c - method example.summary {"type","dbid","note"?}: what the session may see of an
 * object, in short; with `note` the text is first written into its annex, as the session, with its rights. */
#include <string.h>

#include "example-private.h"

enum {
    NOT_FOUND = -32004,
    INVALID_PARAMS = -32602,
    ANSWER_MS = 30000, /* for a commit; then the server answers "unavailable" */
};

/* A request that waits for its transaction. */
typedef struct {
    ConfLater *later;
    char *type;
    int64_t dbid;
} Noting;

static bool read_params(ConfRequest *request, const char **type, int64_t *dbid, const char **note);
static bool refuse(ConfRequest *request, const char *member, const char *message);
static void submit_note(Example *self, ConfRequest *request, const char *type, int64_t dbid,
                        const char *note);
static char *make_operations(const char *type, int64_t dbid, const char *note);
static void committed_note(void *self, int64_t revision, const char *error_json, void *data);
static GError *read_error(const char *error_json);
static char *make_summary(Example *self, const ConfObject *object, int64_t noted_revision);

void
example_summary(void *data, ConfRequest *request)
{
    Example *self = data;
    const char *type = NULL, *note = NULL;
    int64_t dbid = 0;
    if (!read_params(request, &type, &dbid, &note))
        return;

    /* Read as the session: what it may not see is not there, and so answers everybody else too. */
    ConfSession *session = conf_request_get_owner(request);
    const ConfObject *object = session != NULL ? conf_session_read(session, type, dbid) : NULL;
    if (object == NULL) {
        conf_request_answer_error(request, NOT_FOUND, "There is no such object", NULL);
        return;
    }
    if (note != NULL) {
        submit_note(self, request, type, dbid, note);
        return;
    }
    g_autofree char *summary = make_summary(self, object, 0);
    conf_request_answer_json(request, summary);
}

/* False: answered. */
static bool
read_params(ConfRequest *request, const char **type, int64_t *dbid, const char **note)
{
    const ConfJson *params = conf_value_parse(conf_request_get_params_json(request), NULL);
    if (params == NULL || conf_value_kind(params) != CONF_V_OBJECT)
        return refuse(request, NULL, "params must be an object");
    for (const ConfJson *member = conf_value_item(params, 0); member != NULL;
         member = conf_value_next(member)) {
        const char *key = conf_value_key(member);
        if (key == NULL || (strcmp(key, "type") != 0 && strcmp(key, "dbid") != 0 && strcmp(key, "note") != 0))
            return refuse(request, key, "There is no such member of params");
    }
    *type = conf_value_string(conf_value_member(params, "type"));
    if (*type == NULL)
        return refuse(request, "type", "type must be the name of a type");
    if (!conf_value_integer(conf_value_member(params, "dbid"), dbid))
        return refuse(request, "dbid", "dbid must be an integer");
    const ConfJson *given = conf_value_member(params, "note");
    *note = conf_value_string(given);
    if (given != NULL && *note == NULL)
        return refuse(request, "note", "note must be a text");
    return true;
}

/* `member` of params is at fault; NULL: all of it.  Answers -32602 with the JSON pointer to it. */
static bool
refuse(ConfRequest *request, const char *member, const char *message)
{
    GString *path = g_string_new(member != NULL ? "/" : "");
    for (const char *c = member; c != NULL && *c != '\0'; c++) {
        if (*c == '~' || *c == '/')
            g_string_append(path, *c == '~' ? "~0" : "~1");
        else
            g_string_append_c(path, *c);
    }
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "path");
    conf_writer_string(w, path->str);
    conf_writer_end_object(w);
    g_autofree char *data = conf_writer_finish(w);
    conf_request_answer_error(request, INVALID_PARAMS, message, data);
    g_string_free(path, TRUE);
    return false;
}

static void
submit_note(Example *self, ConfRequest *request, const char *type, int64_t dbid, const char *note)
{
    ConfSession *session = conf_request_get_owner(request);
    g_autofree char *operations = make_operations(type, dbid, note);
    Noting *noting = g_new0(Noting, 1);
    noting->type = g_strdup(type);
    noting->dbid = dbid;
    /* committed_note() comes in every case, so there is nothing to do should nobody wait for the answer
     * any more. */
    noting->later = conf_request_later(request, ANSWER_MS, NULL, NULL);
    conf_session_submit(session, self->plugin, operations, committed_note, noting);
}

static char *
make_operations(const char *type, int64_t dbid, const char *note)
{
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_array(w);
    conf_writer_begin_object(w);
    conf_writer_key(w, "op");
    conf_writer_string(w, "update");
    conf_writer_key(w, "type");
    conf_writer_string(w, type);
    conf_writer_key(w, "dbid");
    conf_writer_integer(w, dbid);
    conf_writer_key(w, "patch");
    conf_writer_begin_object(w);
    conf_writer_key(w, "annex");
    conf_writer_begin_object(w);
    conf_writer_key(w, "example");
    conf_writer_begin_object(w);
    conf_writer_key(w, "note");
    conf_writer_string(w, note);
    for (unsigned i = 0; i < 4; i++)
        conf_writer_end_object(w);
    conf_writer_end_array(w);
    return conf_writer_finish(w);
}

static void
committed_note(void *data, int64_t revision, const char *error_json, void *noting_data)
{
    Example *self = data;
    Noting *noting = noting_data;
    /* Rights were asked for the transaction; who may change an object that he may not read learns no more
     * than that. */
    const ConfObject *object = conf_plugin_lookup(self->plugin, noting->type, noting->dbid);
    if (error_json != NULL) {
        conf_later_finish(noting->later, CONF_REFUSE, read_error(error_json));
    } else if (object != NULL) {
        g_autofree char *summary = make_summary(self, object, revision);
        conf_later_answer(noting->later, summary);
    } else {
        conf_later_finish(noting->later, CONF_REFUSE,
                          g_error_new(CONF_PLUGIN_RPC_ERROR, NOT_FOUND, "The object was deleted meanwhile"));
    }
    g_free(noting->type);
    g_free(noting);
}

/* The client gets what the transaction got. */
static GError *
read_error(const char *error_json)
{
    const ConfJson *error = conf_value_parse(error_json, NULL);
    const char *message = conf_value_string(conf_value_member(error, "message"));
    int64_t code;
    if (!conf_value_integer(conf_value_member(error, "code"), &code) || message == NULL)
        return g_error_new(CONF_ERROR, CONF_ERROR_FAILED, "The note was refused");
    return g_error_new(CONF_PLUGIN_RPC_ERROR, (int)code, "%s", message);
}

static char *
make_summary(Example *self, const ConfObject *object, int64_t noted_revision)
{
    const ConfJson *body = conf_value_parse(conf_object_get_json(object, NULL), NULL);
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "type");
    conf_writer_string(w, conf_object_get_type(object));
    conf_writer_key(w, "dbid");
    conf_writer_integer(w, conf_object_get_dbid(object));
    conf_writer_key(w, "name");
    conf_writer_string(w, conf_object_get_name(object));
    conf_writer_key(w, "revision");
    conf_writer_integer(w, conf_object_get_revision(object));
    conf_writer_key(w, "members");
    conf_writer_integer(w, conf_value_length(body));
    if (noted_revision != 0) {
        conf_writer_key(w, "noted");
        conf_writer_integer(w, noted_revision);
    }
    conf_writer_key(w, "audited");
    conf_writer_integer(w, (int64_t)self->entries);
    conf_writer_end_object(w);
    return conf_writer_finish(w);
}
