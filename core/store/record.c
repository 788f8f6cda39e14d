/* record.c - the change record: a commit as one line of canonical JSON, whole enough to make the commit
 * again.
 *
 * {"revision":N,["from":N,]"time":"...","by":{["user":D,]["application":D,]["address":"..."]},"changes":[
 *   {"op":"update","type":"host","dbid":D,"name":"...","before":{body},"after":{body},
 *    "permissions":{"before":{"revision":N,"entries":[...]},"after":{...}}}]}
 * `permissions` names the own list of rights of each side that has one.  Secrets are not in it. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/commit.h"

static const char *const op_names[] = {
    [CONF_CHANGE_CREATE] = "create",         [CONF_CHANGE_UPDATE] = "update", [CONF_CHANGE_DELETE] = "delete",
    [CONF_CHANGE_PERMISSION] = "permission", [CONF_CHANGE_SECRET] = "secret",
};

/* A record while it is read: once, by one reader. */
typedef struct {
    ConfJsonReader json;
    const ConfSchema *schema;
    ConfCommit *commit;
    unsigned capacity; /* of its changes */
    bool has_changes;
} Reading;

/* A member that is wanted, and where it goes: one of the five. */
typedef struct Member Member;
struct Member {
    const char *name;
    int64_t *integer;
    char **string;         /* new */
    ConfSlice *raw;        /* of the record */
    const Member *members; /* of an object; ended by one without a name */
    bool (*read)(Reading *reading, GError **error);
};

/* One side of a change: slices of the record. */
typedef struct {
    ConfSlice body, entries;
    int64_t acl_revision;
} RawSide;

static void write_by(const ConfCommit *commit, ConfBuffer *buffer);
static void write_change(const ConfChange *change, const ConfSchema *schema, ConfBuffer *buffer);
static void write_permissions(const ConfChange *change, const ConfSchema *schema, ConfBuffer *buffer);
static void write_list(const char *side, const ConfObject *object, const ConfSchema *schema,
                       ConfBuffer *buffer);
static bool read_record(Reading *reading, GError **error);
static bool read_object(Reading *reading, const Member *members, GError **error);
static bool read_members(Reading *reading, const Member *members, GError **error);
static bool read_member(Reading *reading, const Member *member, GError **error);
static bool read_changes(Reading *reading, GError **error);
static bool read_change(Reading *reading, ConfChange *change, GError **error);
static bool read_side(Reading *reading, const RawSide *raw, ConfObject **object, GError **error);
static bool has_shape(const ConfChange *change);
static bool fail(GError **error, const char *what);

void
conf_commit_write_record(const ConfCommit *commit, const ConfSchema *schema, ConfBuffer *buffer)
{
    char time[CONF_TIME_TEXT_SIZE];
    if (commit->record.size > 0) {
        conf_buffer_append_slice(buffer, commit->record);
        return;
    }
    conf_clock_format(commit->time_ms, time);
    CONF_BUFFER_LITERAL(buffer, "{\"revision\":");
    conf_buffer_append_integer(buffer, commit->revision);
    if (commit->from != 0) {
        CONF_BUFFER_LITERAL(buffer, ",\"from\":");
        conf_buffer_append_integer(buffer, commit->from);
    }
    CONF_BUFFER_LITERAL(buffer, ",\"time\":\"");
    conf_buffer_append_string(buffer, time);
    CONF_BUFFER_LITERAL(buffer, "\",\"by\":");
    write_by(commit, buffer);
    CONF_BUFFER_LITERAL(buffer, ",\"changes\":[");
    for (unsigned i = 0; i < commit->change_count; i++) {
        if (i > 0)
            conf_buffer_append_char(buffer, ',');
        write_change(&commit->changes[i], schema, buffer);
    }
    CONF_BUFFER_LITERAL(buffer, "]}");
}

ConfCommit *
conf_commit_from_record(const ConfSchema *schema, ConfSlice record, const char *chain, GError **error)
{
    Reading reading = {.schema = schema, .commit = conf_commit_new(0)};
    reading.commit->recalled = true;
    if (chain != NULL)
        g_strlcpy(reading.commit->chain, chain, sizeof(reading.commit->chain));
    conf_json_reader_init(&reading.json);
    conf_json_reader_start(&reading.json, record);
    bool is_read = read_record(&reading, error);
    conf_json_reader_clear(&reading.json);
    if (is_read)
        return reading.commit;
    if (reading.commit->revision > 0)
        g_prefix_error(error, "Revision %" G_GINT64_FORMAT ": ", reading.commit->revision);
    conf_commit_unref(reading.commit);
    return NULL;
}

static void
write_by(const ConfCommit *commit, ConfBuffer *buffer)
{
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, buffer);
    conf_json_writer_begin_object(&writer);
    if (commit->user.dbid != 0)
        conf_json_writer_member_integer(&writer, "user", commit->user.dbid);
    if (commit->application.dbid != 0)
        conf_json_writer_member_integer(&writer, "application", commit->application.dbid);
    if (commit->address != NULL)
        conf_json_writer_member_string(&writer, "address", commit->address);
    conf_json_writer_end_object(&writer);
}

static void
write_change(const ConfChange *change, const ConfSchema *schema, ConfBuffer *buffer)
{
    const ConfObject *object = change->after != NULL ? change->after : change->before;
    CONF_BUFFER_LITERAL(buffer, "{\"op\":\"");
    conf_buffer_append_string(buffer, op_names[change->kind]);
    CONF_BUFFER_LITERAL(buffer, "\",\"type\":\"");
    conf_buffer_append_string(buffer, conf_schema_type(schema, object->type)->name);
    CONF_BUFFER_LITERAL(buffer, "\",\"dbid\":");
    conf_buffer_append_integer(buffer, object->dbid);
    CONF_BUFFER_LITERAL(buffer, ",\"name\":");
    conf_json_append_string(buffer, conf_object_name(object));
    if (change->before != NULL) {
        CONF_BUFFER_LITERAL(buffer, ",\"before\":");
        conf_buffer_append_slice(buffer, conf_bytes_slice(change->before->body));
    }
    if (change->after != NULL) {
        CONF_BUFFER_LITERAL(buffer, ",\"after\":");
        conf_buffer_append_slice(buffer, conf_bytes_slice(change->after->body));
    }
    write_permissions(change, schema, buffer);
    conf_buffer_append_char(buffer, '}');
}

static void
write_permissions(const ConfChange *change, const ConfSchema *schema, ConfBuffer *buffer)
{
    bool has_before = change->before != NULL && change->before->acl != NULL;
    bool has_after = change->after != NULL && change->after->acl != NULL;
    if (!has_before && !has_after)
        return;
    CONF_BUFFER_LITERAL(buffer, ",\"permissions\":{");
    if (has_before)
        write_list("before", change->before, schema, buffer);
    if (has_before && has_after)
        conf_buffer_append_char(buffer, ',');
    if (has_after)
        write_list("after", change->after, schema, buffer);
    conf_buffer_append_char(buffer, '}');
}

static void
write_list(const char *side, const ConfObject *object, const ConfSchema *schema, ConfBuffer *buffer)
{
    conf_buffer_append_char(buffer, '"');
    conf_buffer_append_string(buffer, side);
    CONF_BUFFER_LITERAL(buffer, "\":{\"revision\":");
    conf_buffer_append_integer(buffer, object->acl_revision);
    CONF_BUFFER_LITERAL(buffer, ",\"entries\":");
    conf_acl_write(object->acl, schema, buffer);
    conf_buffer_append_char(buffer, '}');
}

static bool
read_record(Reading *reading, GError **error)
{
    ConfCommit *commit = reading->commit;
    int64_t user = 0, application = 0;
    g_autofree char *time = NULL;
    const Member by[] = {
        {"user", .integer = &user},
        {"application", .integer = &application},
        {"address", .string = &commit->address},
        {NULL},
    };
    const Member members[] = {
        {"revision", .integer = &commit->revision},
        {"from", .integer = &commit->from},
        {"time", .string = &time},
        {"by", .members = by},
        {"changes", .read = read_changes},
        {NULL},
    };
    if (!read_object(reading, members, error))
        return false;
    if (conf_json_reader_next(&reading->json) != CONF_JSON_EVENT_END)
        return fail(error, "goes on behind its end");
    if (commit->revision <= 0 || commit->from < 0 || !reading->has_changes)
        return fail(error, "has no revision or no changes");
    if (time == NULL || !conf_clock_parse(conf_slice_from_string(time), &commit->time_ms))
        return fail(error, "has no time");
    if (user != 0)
        commit->user = (ConfKey){.type = CONF_TYPE_PERSON, .dbid = user};
    if (application != 0)
        commit->application = (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = application};
    return true;
}

/* The members that are asked for; others are passed over. */
static bool
read_object(Reading *reading, const Member *members, GError **error)
{
    if (conf_json_reader_next(&reading->json) != CONF_JSON_EVENT_OBJECT)
        return fail(error, "has something else where an object belongs");
    return read_members(reading, members, error);
}

/* The reader has had the beginning of the object, and has its end after this. */
static bool
read_members(Reading *reading, const Member *members, GError **error)
{
    ConfJsonReader *json = &reading->json;
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(json)) == CONF_JSON_EVENT_KEY) {
        const Member *member = members;
        while (member->name != NULL && !conf_slice_is(json->text, member->name))
            member++;
        if (!read_member(reading, member, error))
            return false;
    }
    return event == CONF_JSON_EVENT_OBJECT_END || fail(error, json->message);
}

static bool
read_member(Reading *reading, const Member *member, GError **error)
{
    ConfJsonReader *json = &reading->json;
    if (member->read != NULL)
        return member->read(reading, error);
    if (member->members != NULL)
        return read_object(reading, member->members, error);
    if (member->integer != NULL) {
        if (conf_json_reader_next(json) != CONF_JSON_EVENT_NUMBER || !json->is_integer)
            return fail(error, "has something else where an integer belongs");
        *member->integer = json->integer;
        return true;
    }
    if (member->string != NULL) {
        if (conf_json_reader_next(json) != CONF_JSON_EVENT_STRING)
            return fail(error, "has something else where a string belongs");
        *member->string = conf_slice_dup(json->text);
        return true;
    }
    return conf_json_reader_skip(json, member->raw) || fail(error, json->message);
}

static bool
read_changes(Reading *reading, GError **error)
{
    ConfJsonReader *json = &reading->json;
    ConfCommit *commit = reading->commit;
    if (conf_json_reader_next(json) != CONF_JSON_EVENT_ARRAY)
        return fail(error, "has something else where an array belongs");
    reading->has_changes = true;
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(json)) == CONF_JSON_EVENT_OBJECT) {
        if (commit->change_count == reading->capacity) {
            reading->capacity = MAX(reading->capacity * 2, 1u);
            commit->changes = g_renew(ConfChange, commit->changes, reading->capacity);
        }
        ConfChange *change = &commit->changes[commit->change_count++];
        *change = (ConfChange){0};
        if (!read_change(reading, change, error))
            return false;
    }
    return event == CONF_JSON_EVENT_ARRAY_END ||
           fail(error, event == CONF_JSON_EVENT_ERROR ? json->message : "has a change that is no object");
}

static bool
read_change(Reading *reading, ConfChange *change, GError **error)
{
    RawSide before = {0}, after = {0};
    g_autofree char *op = NULL;
    const Member list_before[] = {
        {"revision", .integer = &before.acl_revision}, {"entries", .raw = &before.entries}, {NULL}};
    const Member list_after[] = {
        {"revision", .integer = &after.acl_revision}, {"entries", .raw = &after.entries}, {NULL}};
    const Member lists[] = {{"before", .members = list_before}, {"after", .members = list_after}, {NULL}};
    const Member members[] = {
        {"op", .string = &op},
        {"before", .raw = &before.body},
        {"after", .raw = &after.body},
        {"permissions", .members = lists},
        {NULL},
    };
    if (!read_members(reading, members, error))
        return false;
    unsigned kind = 0;
    while (op != NULL && kind < G_N_ELEMENTS(op_names) && strcmp(op_names[kind], op) != 0)
        kind++;
    if (op == NULL || kind == G_N_ELEMENTS(op_names))
        return fail(error, "has a change without op, or of an unknown one");
    change->kind = kind;
    if (!read_side(reading, &before, &change->before, error) ||
        !read_side(reading, &after, &change->after, error))
        return false;
    if (!has_shape(change))
        return fail(error, "has a change whose before and after do not fit its op");
    if (change->kind == CONF_CHANGE_UPDATE) {
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        conf_object_write_difference(reading->schema, change->before, change->after, &buffer);
        change->difference = conf_buffer_to_bytes(&buffer);
    }
    return true;
}

static bool
read_side(Reading *reading, const RawSide *raw, ConfObject **object, GError **error)
{
    if (raw->body.size == 0)
        return true;
    *object = conf_object_recall(reading->schema, raw->body, raw->entries, raw->acl_revision, error);
    return *object != NULL;
}

static bool
has_shape(const ConfChange *change)
{
    bool has_before = change->before != NULL, has_after = change->after != NULL;
    if (change->kind == CONF_CHANGE_CREATE)
        return !has_before && has_after;
    if (change->kind == CONF_CHANGE_DELETE)
        return has_before && !has_after;
    return has_before && has_after &&
           conf_key_equal(conf_object_key(change->before), conf_object_key(change->after));
}

static bool
fail(GError **error, const char *what)
{
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Change record %s", what);
    return false;
}
