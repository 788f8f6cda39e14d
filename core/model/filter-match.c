/* filter-match.c - matches a compiled filter against an object: its head first, then one pass over its
 * body that ends as soon as all is known. */
#include "model/filter-private.h"

static bool match_head(const ConfFilter *filter, ConfCondition *condition, const ConfObject *object);
static bool match_body(const ConfFilter *filter, const ConfObject *object, const ConfTypeInfo *type);
static bool read_member(const ConfFilter *filter, const ConfTypeInfo *type, bool *matches, unsigned *decided);
static bool walk(const ConfFilter *filter, ConfJsonReader *reader, ConfCondition *condition,
                 const ConfField *field, unsigned step);
static bool walk_members(const ConfFilter *filter, ConfJsonReader *reader, ConfCondition *condition,
                         const ConfField *field, unsigned step);
static bool read_scalar(const ConfFilter *filter, ConfJsonReader *reader, ConfCondition *condition,
                        const ConfField *field);
static void reach(const ConfFilter *filter, ConfCondition *condition, const ConfReached *value);
static bool is_hit(const ConfTest *test, const ConfReached *value);
static bool judge(const ConfTest *test, bool is_reached, uint64_t match);

bool
conf_filter_match(const ConfFilter *filter, const ConfObject *object)
{
    if (filter->condition_count == 0)
        return true;
    const ConfTypeInfo *type = conf_schema_type(filter->schema, object->type);
    if (type == NULL)
        return false;
    filter->state->match++;
    for (unsigned i = 0; i < filter->condition_count; i++) {
        ConfCondition *condition = &filter->conditions[i];
        condition->is_reached = false;
        condition->is_decided = condition->head >= 0;
        if (condition->head >= 0 && !match_head(filter, condition, object))
            return false;
    }
    return filter->body_count == 0 || match_body(filter, object, type);
}

static bool
match_head(const ConfFilter *filter, ConfCondition *condition, const ConfObject *object)
{
    ConfReached value = {.kind = CONF_TEST_INTEGER};
    switch (condition->head) {
    case CONF_FIELD_AT_TYPE:
        value.kind = CONF_TEST_STRING;
        value.text = conf_slice_from_string(conf_schema_type(filter->schema, object->type)->name);
        break;
    case CONF_FIELD_AT_NAME:
        value.kind = CONF_TEST_STRING;
        value.text = conf_object_name(object);
        break;
    case CONF_FIELD_AT_STATE:
        value.kind = CONF_TEST_STRING;
        value.text = object->enabled ? CONF_SLICE("enabled") : CONF_SLICE("disabled");
        break;
    case CONF_FIELD_AT_DBID:
        value.integer = object->dbid;
        break;
    case CONF_FIELD_AT_REVISION:
        value.integer = object->revision;
        break;
    case CONF_FIELD_AT_TENANT:
        value.integer = object->tenant;
        value.key = (ConfKey){.type = CONF_TYPE_TENANT, .dbid = object->tenant};
        break;
    default:
        value.integer = object->folder;
        value.key = (ConfKey){.type = CONF_TYPE_FOLDER, .dbid = object->folder};
        break;
    }
    if (condition->head != CONF_FIELD_AT_FOLDER || object->folder != 0)
        reach(filter, condition, &value);
    return judge(condition->test, condition->is_reached, filter->state->match);
}

static bool
match_body(const ConfFilter *filter, const ConfObject *object, const ConfTypeInfo *type)
{
    struct ConfFilterState *state = filter->state;
    unsigned waiting = 0;
    for (unsigned i = 0; i < filter->condition_count; i++) {
        ConfCondition *condition = &filter->conditions[i];
        if (condition->head >= 0)
            continue;
        if (condition->fields[type->ordinal] != NULL) {
            waiting++;
            continue;
        }
        condition->is_decided = true;
        if (!judge(condition->test, false, state->match))
            return false;
    }
    conf_json_reader_start(&state->reader, conf_bytes_slice(object->body));
    bool is_open = waiting > 0 && conf_json_reader_next(&state->reader) == CONF_JSON_EVENT_OBJECT;
    while (is_open && waiting > 0 && conf_json_reader_next(&state->reader) == CONF_JSON_EVENT_KEY) {
        bool matches = true;
        unsigned decided = 0;
        if (!read_member(filter, type, &matches, &decided))
            break;
        if (!matches)
            return false;
        waiting -= decided;
    }
    for (unsigned i = 0; waiting > 0 && i < filter->condition_count; i++) {
        const ConfCondition *condition = &filter->conditions[i];
        if (!condition->is_decided && !judge(condition->test, false, state->match))
            return false;
    }
    return true;
}

/* The member whose key was read: what conditions say of it.  False: the body is broken. */
static bool
read_member(const ConfFilter *filter, const ConfTypeInfo *type, bool *matches, unsigned *decided)
{
    struct ConfFilterState *state = filter->state;
    ConfCondition *first = NULL;
    for (unsigned i = 0; i < filter->condition_count && first == NULL; i++) {
        ConfCondition *condition = &filter->conditions[i];
        if (!condition->is_decided && conf_slice_equal(condition->steps[0], state->reader.text))
            first = condition;
    }
    if (first == NULL)
        return conf_json_reader_skip(&state->reader, NULL);
    if (!first->shares_member) {
        if (!walk(filter, &state->reader, first, first->fields[type->ordinal], 1))
            return false;
        first->is_decided = true;
        *decided = 1;
        *matches = judge(first->test, first->is_reached, state->match);
        return true;
    }
    ConfSlice raw;
    if (!conf_json_reader_skip(&state->reader, &raw))
        return false;
    for (unsigned i = (unsigned)(first - filter->conditions); i < filter->condition_count && *matches; i++) {
        ConfCondition *condition = &filter->conditions[i];
        if (condition->is_decided || !conf_slice_equal(condition->steps[0], first->steps[0]))
            continue;
        conf_json_reader_start(&state->inner, raw);
        if (!walk(filter, &state->inner, condition, condition->fields[type->ordinal], 1))
            return false;
        condition->is_decided = true;
        ++*decided;
        *matches = judge(condition->test, condition->is_reached, state->match);
    }
    return true;
}

/* The next value, of this field; `step` is the first one not gone yet.  Depth is that of the schema. */
static bool
walk(const ConfFilter *filter, ConfJsonReader *reader, ConfCondition *condition, const ConfField *field,
     unsigned step)
{
    switch (field->kind) {
    case CONF_FIELD_LIST:
        if (conf_json_reader_next(reader) != CONF_JSON_EVENT_ARRAY)
            return false;
        while (conf_json_reader_has_item(reader)) {
            if (!walk(filter, reader, condition, field->of, step))
                return false;
        }
        return conf_json_reader_next(reader) == CONF_JSON_EVENT_ARRAY_END;
    case CONF_FIELD_STRUCT:
    case CONF_FIELD_SECTIONS:
        return walk_members(filter, reader, condition, field, step);
    default:
        return read_scalar(filter, reader, condition, field);
    }
}

/* A struct, all sections, a section: an object of members.  At the end of the path it is something if it
 * is not empty. */
static bool
walk_members(const ConfFilter *filter, ConfJsonReader *reader, ConfCondition *condition,
             const ConfField *field, unsigned step)
{
    bool is_end = step == condition->step_count;
    if (conf_json_reader_next(reader) != CONF_JSON_EVENT_OBJECT)
        return false;
    bool is_struct = field->kind == CONF_FIELD_STRUCT;
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(reader)) == CONF_JSON_EVENT_KEY) {
        bool read;
        if (is_end) {
            condition->is_reached = true;
            read = conf_json_reader_skip(reader, NULL);
        } else if (!conf_slice_equal(reader->text, condition->steps[step])) {
            read = conf_json_reader_skip(reader, NULL);
        } else if (is_struct) {
            const ConfField *member = conf_struct_member(field, reader->text);
            read = member != NULL && walk(filter, reader, condition, member, step + 1);
        } else if (step == 1) {
            read = walk_members(filter, reader, condition, field, step + 1);
        } else {
            read = read_scalar(filter, reader, condition, field);
        }
        if (!read)
            return false;
    }
    return event == CONF_JSON_EVENT_OBJECT_END;
}

/* {"type","dbid"}, opened. */
static bool
read_key(const ConfFilter *filter, ConfJsonReader *reader, ConfKey *key)
{
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(reader)) == CONF_JSON_EVENT_KEY) {
        event = conf_json_reader_next(reader);
        if (event == CONF_JSON_EVENT_NUMBER) {
            key->dbid = reader->integer;
        } else if (event == CONF_JSON_EVENT_STRING) {
            const ConfTypeInfo *type = conf_schema_type_by_name(filter->schema, reader->text);
            key->type = type != NULL ? type->id : 0;
        } else {
            return false;
        }
    }
    return event == CONF_JSON_EVENT_OBJECT_END;
}

static bool
read_scalar(const ConfFilter *filter, ConfJsonReader *reader, ConfCondition *condition,
            const ConfField *field)
{
    ConfReached value = {.kind = CONF_TEST_NULL};
    switch (conf_json_reader_next(reader)) {
    case CONF_JSON_EVENT_STRING:
        value.kind = CONF_TEST_STRING;
        value.text = reader->text;
        value.is_time = field->kind == CONF_FIELD_TIME;
        break;
    case CONF_JSON_EVENT_NUMBER:
        value.kind = CONF_TEST_INTEGER;
        value.integer = reader->integer;
        if (field->kind == CONF_FIELD_REF)
            value.key = (ConfKey){.type = field->to[0], .dbid = reader->integer};
        break;
    case CONF_JSON_EVENT_TRUE:
    case CONF_JSON_EVENT_FALSE:
        value.kind = CONF_TEST_BOOLEAN;
        value.boolean = reader->raw.data[0] == 't';
        break;
    case CONF_JSON_EVENT_OBJECT:
        value.kind = CONF_TEST_REFERENCE;
        if (!read_key(filter, reader, &value.key))
            return false;
        break;
    default:
        return false;
    }
    reach(filter, condition, &value);
    return true;
}

static void
hit(ConfTest *test, uint64_t match)
{
    test->hit = match;
    if (test->any != NULL)
        test->any->hit = match;
}

static void
look_up(const ConfCondition *condition, const ConfReached *value, ConfTestKind kind, uint64_t match)
{
    unsigned slot =
        (unsigned)(conf_test_hash(kind, value->text, value->integer, value->key) >> 16) & condition->mask;
    for (; condition->table[slot] != NULL; slot = (slot + 1) & condition->mask) {
        if (is_hit(condition->table[slot], value))
            hit(condition->table[slot], match);
    }
}

/* One of the values that the path leads to. */
static void
reach(const ConfFilter *filter, ConfCondition *condition, const ConfReached *value)
{
    uint64_t match = filter->state->match;
    condition->is_reached = true;
    for (ConfTest *test = condition->leaves; test != NULL; test = test->leaf) {
        if (test->hit != match && is_hit(test, value))
            hit(test, match);
    }
    if (condition->mask == 0)
        return;
    if (value->kind == CONF_TEST_STRING || value->kind == CONF_TEST_INTEGER)
        look_up(condition, value, value->kind, match);
    if (value->key.dbid != 0)
        look_up(condition, value, CONF_TEST_REFERENCE, match);
}

static bool
is_hit(const ConfTest *test, const ConfReached *value)
{
    switch (test->kind) {
    case CONF_TEST_STRING:
        if (value->kind != CONF_TEST_STRING)
            return false;
        return conf_slice_equal(value->is_time && test->time.data != NULL ? test->time : test->text,
                                value->text);
    case CONF_TEST_LIKE:
        return value->kind == CONF_TEST_STRING && conf_like_match(test->text, value->text);
    case CONF_TEST_INTEGER:
        return value->kind == CONF_TEST_INTEGER && value->integer == test->integer;
    case CONF_TEST_BOOLEAN:
        return value->kind == CONF_TEST_BOOLEAN && value->boolean == test->boolean;
    case CONF_TEST_REFERENCE:
        return conf_key_equal(value->key, test->key);
    default:
        return false;
    }
}

static bool
judge(const ConfTest *test, bool is_reached, uint64_t match)
{
    switch (test->kind) {
    case CONF_TEST_NULL:
        return !is_reached;
    case CONF_TEST_NOT:
        return !judge(test->first, is_reached, match);
    case CONF_TEST_ANY:
        for (const ConfTest *one = test->first; one != NULL && one->kind >= CONF_TEST_NULL; one = one->next) {
            if (judge(one, is_reached, match))
                return true;
        }
        return test->hit == match;
    default:
        return test->hit == match;
    }
}
