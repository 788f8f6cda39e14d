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

/* One change while it is read: slices of the record. */
typedef struct {
    ConfSlice op, before, after, permissions;
    ConfSlice entries_before, entries_after;
    int64_t acl_revision_before, acl_revision_after;
} RawChange;

typedef struct {
    ConfSlice time, by, changes, address;
    int64_t revision, from, user, application;
} RawRecord;

typedef struct {
    const char *name;
    int64_t *integer; /* one of the two is set */
    ConfSlice *raw;
} Member;

static void write_by(const ConfCommit *commit, ConfBuffer *buffer);
static void write_change(const ConfChange *change, const ConfSchema *schema, ConfBuffer *buffer);
static void write_permissions(const ConfChange *change, const ConfSchema *schema, ConfBuffer *buffer);
static void write_list(const char *side, const ConfObject *object, const ConfSchema *schema,
                       ConfBuffer *buffer);
static bool read_object(ConfSlice text, const Member *members, GError **error);
static bool read_members(ConfJsonReader *reader, const Member *members, GError **error);
static bool read_integer(ConfSlice raw, int64_t *value);
static bool read_string(ConfSlice raw, char **value);
static bool read_changes(const ConfSchema *schema, ConfSlice array, ConfCommit *commit, GError **error);
static bool read_change(const ConfSchema *schema, ConfJsonReader *reader, ConfChange *change, GError **error);
static bool read_permissions(RawChange *raw, GError **error);
static bool has_shape(const ConfChange *change);
static ConfCommit *fail(GError **error, ConfCommit *commit, const char *what);

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
    RawRecord raw = {0};
    const Member members[] = {
        {"revision", &raw.revision},     {"from", &raw.from},
        {"time", NULL, &raw.time},       {"by", NULL, &raw.by},
        {"changes", NULL, &raw.changes}, {NULL},
    };
    const Member by_members[] = {
        {"user", &raw.user},
        {"application", &raw.application},
        {"address", NULL, &raw.address},
        {NULL},
    };
    if (!read_object(record, members, error) || (raw.by.size > 0 && !read_object(raw.by, by_members, error)))
        return NULL;
    ConfCommit *commit = conf_commit_new(0);
    commit->revision = raw.revision;
    commit->from = raw.from;
    commit->recalled = true;
    if (chain != NULL)
        g_strlcpy(commit->chain, chain, sizeof(commit->chain));
    if (raw.user != 0)
        commit->user = (ConfKey){.type = CONF_TYPE_PERSON, .dbid = raw.user};
    if (raw.application != 0)
        commit->application = (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = raw.application};
    g_autofree char *time = NULL;
    if (raw.revision <= 0 || raw.from < 0 || raw.changes.size == 0)
        return fail(error, commit, "has no revision or no changes");
    if (!read_string(raw.time, &time) || !conf_clock_parse(conf_slice_from_string(time), &commit->time_ms))
        return fail(error, commit, "has no time");
    if (raw.address.size > 0 && !read_string(raw.address, &commit->address))
        return fail(error, commit, "has an address that is no string");
    if (!read_changes(schema, raw.changes, commit, error)) {
        g_prefix_error(error, "Change record of revision %" G_GINT64_FORMAT ": ", raw.revision);
        conf_commit_unref(commit);
        return NULL;
    }
    return commit;
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
fail_invalid(GError **error, const char *what)
{
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Change record %s", what);
    return false;
}

/* Takes the commit; NULL. */
static ConfCommit *
fail(GError **error, ConfCommit *commit, const char *what)
{
    conf_commit_unref(commit);
    fail_invalid(error, what);
    return NULL;
}

/* The members of one object that are asked for; others are passed over. */
static bool
read_object(ConfSlice text, const Member *members, GError **error)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, text);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_OBJECT)
        return fail_invalid(error, "has something else where an object belongs");
    if (!read_members(&reader, members, error))
        return false;
    return conf_json_reader_next(&reader) == CONF_JSON_EVENT_END ||
           fail_invalid(error, "goes on behind its end");
}

/* The reader has had the beginning of the object, and has its end after this. */
static bool
read_members(ConfJsonReader *reader, const Member *members, GError **error)
{
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(reader)) == CONF_JSON_EVENT_KEY) {
        const Member *member = members;
        while (member->name != NULL && !conf_slice_is(reader->text, member->name))
            member++;
        ConfSlice raw;
        if (!conf_json_reader_skip(reader, &raw))
            return fail_invalid(error, reader->message);
        if (member->raw != NULL)
            *member->raw = raw;
        else if (member->integer != NULL && !read_integer(raw, member->integer))
            return fail_invalid(error, "has something else where an integer belongs");
    }
    return event == CONF_JSON_EVENT_OBJECT_END || fail_invalid(error, reader->message);
}

static bool
read_integer(ConfSlice raw, int64_t *value)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, raw);
    bool is_integer = conf_json_reader_next(&reader) == CONF_JSON_EVENT_NUMBER && reader.is_integer;
    if (is_integer)
        *value = reader.integer;
    return is_integer;
}

static bool
read_string(ConfSlice raw, char **value)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, raw);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_STRING)
        return false;
    *value = conf_slice_dup(reader.text);
    return true;
}

/* Fills commit->changes. */
static bool
read_changes(const ConfSchema *schema, ConfSlice array, ConfCommit *commit, GError **error)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, array);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_ARRAY)
        return fail_invalid(error, "has something else where an array belongs");
    unsigned capacity = 0;
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(&reader)) == CONF_JSON_EVENT_OBJECT) {
        if (commit->change_count == capacity) {
            capacity = MAX(capacity * 2, 4u);
            commit->changes = g_renew(ConfChange, commit->changes, capacity);
        }
        ConfChange *change = &commit->changes[commit->change_count++];
        *change = (ConfChange){0};
        if (!read_change(schema, &reader, change, error))
            return false;
    }
    return event == CONF_JSON_EVENT_ARRAY_END ||
           fail_invalid(error,
                        event == CONF_JSON_EVENT_ERROR ? reader.message : "has a change that is no object");
}

static bool
read_change(const ConfSchema *schema, ConfJsonReader *reader, ConfChange *change, GError **error)
{
    RawChange raw = {0};
    const Member members[] = {
        {"op", NULL, &raw.op},
        {"before", NULL, &raw.before},
        {"after", NULL, &raw.after},
        {"permissions", NULL, &raw.permissions},
        {NULL},
    };
    if (!read_members(reader, members, error) || !read_permissions(&raw, error))
        return false;
    unsigned kind = 0;
    g_autofree char *op = NULL;
    if (!read_string(raw.op, &op))
        return fail_invalid(error, "has a change without op");
    while (kind < G_N_ELEMENTS(op_names) && strcmp(op_names[kind], op) != 0)
        kind++;
    if (kind == G_N_ELEMENTS(op_names))
        return fail_invalid(error, "has a change of an unknown op");
    change->kind = kind;
    const ConfSlice no_secrets = {NULL, 0};
    if (raw.before.size > 0) {
        change->before = conf_object_from_stored(schema, raw.before, no_secrets, raw.entries_before,
                                                 raw.acl_revision_before, error);
        if (change->before == NULL)
            return false;
    }
    if (raw.after.size > 0) {
        change->after = conf_object_from_stored(schema, raw.after, no_secrets, raw.entries_after,
                                                raw.acl_revision_after, error);
        if (change->after == NULL)
            return false;
    }
    if (!has_shape(change))
        return fail_invalid(error, "has a change whose before and after do not fit its op");
    if (change->kind == CONF_CHANGE_UPDATE) {
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        conf_object_write_difference(schema, change->before, change->after, &buffer);
        change->difference = conf_buffer_to_bytes(&buffer);
    }
    return true;
}

static bool
read_permissions(RawChange *raw, GError **error)
{
    ConfSlice before = {NULL, 0}, after = {NULL, 0};
    const Member sides[] = {{"before", NULL, &before}, {"after", NULL, &after}, {NULL}};
    const Member before_members[] = {
        {"revision", &raw->acl_revision_before}, {"entries", NULL, &raw->entries_before}, {NULL}};
    const Member after_members[] = {
        {"revision", &raw->acl_revision_after}, {"entries", NULL, &raw->entries_after}, {NULL}};
    if (raw->permissions.size > 0 && !read_object(raw->permissions, sides, error))
        return false;
    if (before.size > 0 && !read_object(before, before_members, error))
        return false;
    return after.size == 0 || read_object(after, after_members, error);
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
