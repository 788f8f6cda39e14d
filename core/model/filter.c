/* filter.c - compiles a filter: paths, tests, and what an index can do of it. */
#include "model/filter.h"

#include <string.h>

#include "base/clock.h"
#include "model/filter-private.h"

enum { CONDITIONS_MAX = 200, TESTS_MAX = 100000, PATTERNS_MAX = 100, PATTERN_SIZE_MAX = 256, TABLE_FROM = 8 };

/* What goes on while one filter is compiled. */
typedef struct {
    ConfFilter *filter;
    const ConfTypeInfo *type;
    ConfValueContext context;
    ConfCondition *condition;
    unsigned tests, patterns;
    const ConfJson *recursive; /* "recursive" as given */
} Compiler;

static bool compile_member(Compiler *compiler, const ConfJson *member, const ConfValuePath *path);
static bool compile_place(Compiler *compiler, const ConfJson *member, const ConfValuePath *path, bool *taken);
static bool split_path(Compiler *compiler, ConfCondition *condition, ConfSlice text,
                       const ConfValuePath *path);
static bool resolve(Compiler *compiler, ConfCondition *condition, const ConfValuePath *path);
static const ConfField *resolve_in(const ConfTypeInfo *type, const ConfCondition *condition,
                                   const ConfField **last);
static ConfTest *compile_test(Compiler *compiler, const ConfJson *value, const ConfValuePath *path,
                              bool in_array);
static ConfTest *compile_object(Compiler *compiler, const ConfJson *value, const ConfValuePath *path);
static bool read_key(const Compiler *compiler, const ConfJson *value, const ConfValuePath *path,
                     ConfKey *key);
static void make_table(Compiler *compiler, ConfCondition *condition);
static void take_hints(Compiler *compiler, const ConfCondition *condition);
static void take_reference_hint(Compiler *compiler, const ConfCondition *condition);

ConfFilter *
conf_filter_compile(const ConfSchema *schema, const ConfTypeInfo *type, const ConfJson *tree, const char *at,
                    ConfRpcError *error)
{
    ConfFilter *filter = g_new0(ConfFilter, 1);
    filter->arena = conf_arena_new();
    filter->schema = schema;
    Compiler compiler = {.filter = filter, .type = type, .context = {schema, filter->arena, error}};
    ConfValuePath root = conf_value_path_root(at);
    bool compiled = true;
    if (tree != NULL && (tree->kind != CONF_JSON_OBJECT || tree->count > CONDITIONS_MAX)) {
        compiled = conf_value_fail(&compiler.context, &root,
                                   "a filter must be an object of at most %d members", CONDITIONS_MAX);
    } else if (tree != NULL) {
        filter->conditions = conf_arena_alloc(filter->arena, (tree->count + 1) * sizeof(ConfCondition));
        for (const ConfJson *member = tree->first; member != NULL && compiled; member = member->next) {
            ConfValuePath path = conf_value_path_member(&root, member->key);
            compiled = compile_member(&compiler, member, &path);
        }
        ConfValuePath path = conf_value_path_member(&root, CONF_SLICE("recursive"));
        if (compiled && filter->hints.recursive && !filter->hints.has_folder)
            compiled = conf_value_fail(&compiler.context, &path, "recursive goes with a folder");
    }
    if (!compiled) {
        conf_filter_free(filter);
        return NULL;
    }
    filter->state = g_new0(struct ConfFilterState, 1);
    conf_json_reader_init(&filter->state->reader);
    conf_json_reader_init(&filter->state->inner);
    return filter;
}

void
conf_filter_free(ConfFilter *filter)
{
    if (filter == NULL)
        return;
    if (filter->state != NULL) {
        conf_json_reader_clear(&filter->state->reader);
        conf_json_reader_clear(&filter->state->inner);
        g_free(filter->state);
    }
    conf_arena_free(filter->arena);
    g_free(filter);
}

const ConfFilterHints *
conf_filter_hints(const ConfFilter *filter)
{
    return &filter->hints;
}

static bool
compile_member(Compiler *compiler, const ConfJson *member, const ConfValuePath *path)
{
    bool taken = false;
    if (!compile_place(compiler, member, path, &taken) || taken)
        return taken;
    ConfFilter *filter = compiler->filter;
    ConfCondition *condition = &filter->conditions[filter->condition_count];
    compiler->condition = condition;
    if (!split_path(compiler, condition, member->key, path) || !resolve(compiler, condition, path))
        return false;
    condition->test = compile_test(compiler, member, path, false);
    if (condition->test == NULL)
        return false;
    make_table(compiler, condition);
    for (unsigned i = 0; i < filter->condition_count; i++) {
        ConfCondition *other = &filter->conditions[i];
        if (conf_slice_equal(other->steps[0], condition->steps[0]))
            other->shares_member = condition->shares_member = true;
    }
    filter->condition_count++;
    filter->body_count += condition->head < 0;
    take_hints(compiler, condition);
    return true;
}

/* What the store judges: where an object lies, what it refers to. */
static bool
compile_place(Compiler *compiler, const ConfJson *member, const ConfValuePath *path, bool *taken)
{
    ConfFilterHints *hints = &compiler->filter->hints;
    if (conf_slice_is(member->key, "recursive")) {
        if (member->kind != CONF_JSON_BOOLEAN)
            return conf_value_fail(&compiler->context, path, "recursive must be true or false");
        hints->recursive = member->boolean;
        *taken = true;
    } else if (conf_slice_is(member->key, "refersTo")) {
        if (member->kind != CONF_JSON_OBJECT)
            return conf_value_fail(&compiler->context, path, "refersTo must be {\"type\",\"dbid\"}");
        *taken = hints->has_refers_to = read_key(compiler, member, path, &hints->refers_to);
        return *taken;
    } else if (conf_slice_is(member->key, "folder")) {
        if (member->kind == CONF_JSON_NULL) {
            *taken = hints->folder_is_unset = true;
        } else if (member->kind == CONF_JSON_NUMBER && member->is_integer) {
            hints->folder = member->integer;
            *taken = hints->has_folder = true;
        }
    }
    return true;
}

static bool
split_path(Compiler *compiler, ConfCondition *condition, ConfSlice text, const ConfValuePath *path)
{
    ConfArena *arena = compiler->filter->arena;
    condition->steps = conf_arena_alloc(arena, CONF_CONDITION_STEPS_MAX * sizeof(ConfSlice));
    char *to = conf_arena_alloc(arena, text.size + 1);
    char *begin = to;
    for (size_t i = 0; i <= text.size; i++) {
        if (i == text.size || text.data[i] == '/') {
            if (condition->step_count == CONF_CONDITION_STEPS_MAX)
                return conf_value_fail(&compiler->context, path, "the path of a field has at most %d steps",
                                       CONF_CONDITION_STEPS_MAX);
            condition->steps[condition->step_count++] = (ConfSlice){begin, (size_t)(to - begin)};
            begin = to;
        } else if (text.data[i] == '~') {
            i++;
            if (i == text.size || (text.data[i] != '0' && text.data[i] != '1'))
                return conf_value_fail(&compiler->context, path,
                                       "in the path of a field ~ is written ~0 and / is written ~1");
            *to++ = text.data[i] == '0' ? '~' : '/';
        } else {
            *to++ = text.data[i];
        }
    }
    return true;
}

static bool
resolve(Compiler *compiler, ConfCondition *condition, const ConfValuePath *path)
{
    const ConfSchema *schema = compiler->filter->schema;
    condition->fields = conf_arena_alloc(compiler->filter->arena, schema->type_count * sizeof(ConfField *));
    condition->head = -1;
    bool is_known = false;
    for (unsigned i = 0; i < schema->type_count; i++) {
        const ConfTypeInfo *type = schema->types[i];
        const ConfField *last;
        const ConfField *field = resolve_in(type, condition, &last);
        is_known = is_known || field != NULL;
        /* What only other types have is unset in this one. */
        if (compiler->type != NULL && compiler->type->id != type->id)
            continue;
        condition->fields[i] = field;
        if (condition->fields[i] != NULL && condition->fields[i]->index < CONF_FIELD_AT_OWN)
            condition->head = (int)condition->fields[i]->index;
    }
    if (is_known)
        return true;
    g_autofree char *text = conf_slice_dup(path->step);
    return conf_value_fail(&compiler->context, path, "there is no field %.128s", text);
}

/* The field of the first step, and of the *last one (of sections: themselves); NULL: no such path in this
 * type. */
static const ConfField *
resolve_in(const ConfTypeInfo *type, const ConfCondition *condition, const ConfField **last)
{
    const ConfField *first = conf_type_member(type, condition->steps[0]);
    const ConfField *field = first;
    for (unsigned i = 1; i < condition->step_count && field != NULL; i++) {
        if (field->kind == CONF_FIELD_SECTIONS) {
            if (condition->step_count > 3)
                return NULL;
            break;
        }
        if (field->kind == CONF_FIELD_LIST)
            field = field->of;
        field = field->kind == CONF_FIELD_STRUCT ? conf_struct_member(field, condition->steps[i]) : NULL;
    }
    *last = field;
    return field != NULL ? first : NULL;
}

static ConfTest *
new_test(Compiler *compiler, ConfTestKind kind, const ConfValuePath *path)
{
    if (++compiler->tests > TESTS_MAX || (kind == CONF_TEST_LIKE && ++compiler->patterns > PATTERNS_MAX)) {
        conf_value_fail(&compiler->context, path, "a filter has at most %d values and %d patterns", TESTS_MAX,
                        PATTERNS_MAX);
        return NULL;
    }
    ConfTest *test = CONF_ARENA_NEW(compiler->filter->arena, ConfTest);
    test->kind = kind;
    if (kind < CONF_TEST_NULL) {
        test->leaf = compiler->condition->leaves;
        compiler->condition->leaves = test;
    }
    return test;
}

/* Text to compare with: of names in their normal form. */
static ConfSlice
keep_text(Compiler *compiler, ConfSlice text)
{
    ConfArena *arena = compiler->filter->arena;
    if (compiler->condition->head == CONF_FIELD_AT_NAME && text.size > 0) {
        g_autofree char *normal = g_utf8_normalize(text.data, (gssize)text.size, G_NORMALIZE_NFC);
        if (normal != NULL && memchr(text.data, '\0', text.size) == NULL)
            return (ConfSlice){conf_arena_copy(arena, normal, strlen(normal)), strlen(normal)};
    }
    return (ConfSlice){conf_arena_copy(arena, text.size > 0 ? text.data : "", text.size), text.size};
}

static ConfTest *
compile_string(Compiler *compiler, const ConfJson *value, const ConfValuePath *path)
{
    ConfTest *test = new_test(compiler, CONF_TEST_STRING, path);
    if (test == NULL)
        return NULL;
    test->text = keep_text(compiler, value->text);
    int64_t wall_ms;
    if (conf_clock_parse(value->text, &wall_ms)) {
        char text[CONF_TIME_TEXT_SIZE];
        conf_clock_format(wall_ms, text);
        test->time = (ConfSlice){conf_arena_copy(compiler->filter->arena, text, strlen(text)), strlen(text)};
    }
    return test;
}

/* Leaves go behind the tests that must be judged: they tell the whole when they are hit, and need not be
 * asked. */
static ConfTest *
compile_any(Compiler *compiler, const ConfJson *array, const ConfValuePath *path)
{
    ConfTest *any = new_test(compiler, CONF_TEST_ANY, path);
    ConfTest *leaves = NULL, **tail = &leaves;
    unsigned index = 0;
    for (const ConfJson *item = array->first; item != NULL && any != NULL; item = item->next, index++) {
        ConfValuePath inner = conf_value_path_item(path, index);
        ConfTest *test = compile_test(compiler, item, &inner, true);
        if (test == NULL)
            return NULL;
        if (test->kind < CONF_TEST_NULL) {
            test->any = any;
            *tail = test;
            tail = &test->next;
        } else {
            test->next = any->first;
            any->first = test;
        }
    }
    if (any == NULL)
        return NULL;
    for (tail = &any->first; *tail != NULL;)
        tail = &(*tail)->next;
    *tail = leaves;
    return any;
}

/* The depth is that of the request's JSON. */
static ConfTest *
compile_test(Compiler *compiler, const ConfJson *value, const ConfValuePath *path, bool in_array)
{
    ConfTest *test;
    switch (value->kind) {
    case CONF_JSON_NULL:
        return new_test(compiler, CONF_TEST_NULL, path);
    case CONF_JSON_BOOLEAN:
        test = new_test(compiler, CONF_TEST_BOOLEAN, path);
        if (test != NULL)
            test->boolean = value->boolean;
        return test;
    case CONF_JSON_NUMBER:
        if (!value->is_integer) {
            conf_value_fail(&compiler->context, path,
                            "numbers have no fraction or exponent and lie within 2^53");
            return NULL;
        }
        test = new_test(compiler, CONF_TEST_INTEGER, path);
        if (test != NULL)
            test->integer = value->integer;
        return test;
    case CONF_JSON_STRING:
        return compile_string(compiler, value, path);
    case CONF_JSON_ARRAY:
        if (!in_array)
            return compile_any(compiler, value, path);
        conf_value_fail(&compiler->context, path, "an array of values does not hold arrays");
        return NULL;
    case CONF_JSON_OBJECT:
        return compile_object(compiler, value, path);
    }
    g_assert_not_reached();
}

/* {"not":VALUE}, {"like":PATTERN}, {"type","dbid"} */
static ConfTest *
compile_object(Compiler *compiler, const ConfJson *value, const ConfValuePath *path)
{
    const ConfJson *inner = value->count == 1 ? value->first : NULL;
    if (inner != NULL && conf_slice_is(inner->key, "not")) {
        ConfValuePath inner_path = conf_value_path_member(path, inner->key);
        ConfTest *test = new_test(compiler, CONF_TEST_NOT, path);
        if (test == NULL)
            return NULL;
        test->first = compile_test(compiler, inner, &inner_path, false);
        return test->first != NULL ? test : NULL;
    }
    if (inner != NULL && conf_slice_is(inner->key, "like")) {
        ConfValuePath inner_path = conf_value_path_member(path, inner->key);
        if (inner->kind != CONF_JSON_STRING || inner->text.size > PATTERN_SIZE_MAX) {
            conf_value_fail(&compiler->context, &inner_path, "a pattern must be a string of at most %d bytes",
                            PATTERN_SIZE_MAX);
            return NULL;
        }
        ConfTest *test = new_test(compiler, CONF_TEST_LIKE, path);
        if (test != NULL)
            test->text = keep_text(compiler, inner->text);
        return test;
    }
    if (conf_json_member(value, "type") == NULL || conf_json_member(value, "dbid") == NULL) {
        conf_value_fail(
            &compiler->context, path,
            "a value must be a scalar, null, an array, {\"not\"}, {\"like\"} or {\"type\",\"dbid\"}");
        return NULL;
    }
    ConfKey key;
    if (!read_key(compiler, value, path, &key))
        return NULL;
    ConfTest *test = new_test(compiler, CONF_TEST_REFERENCE, path);
    if (test != NULL)
        test->key = key;
    return test;
}

static bool
read_key(const Compiler *compiler, const ConfJson *value, const ConfValuePath *path, ConfKey *key)
{
    const ConfJson *name = conf_json_member(value, "type"), *dbid = conf_json_member(value, "dbid");
    const ConfTypeInfo *type = NULL;
    if (name != NULL && name->kind == CONF_JSON_STRING)
        type = conf_schema_type_by_name(compiler->filter->schema, name->text);
    if (type == NULL || value->count != 2 || dbid == NULL || dbid->kind != CONF_JSON_NUMBER ||
        !dbid->is_integer || dbid->integer < 1)
        return conf_value_fail(&compiler->context, path,
                               "an object is named by {\"type\",\"dbid\"}, the name of a type and a number");
    *key = (ConfKey){.type = type->id, .dbid = dbid->integer};
    return true;
}

uint64_t
conf_test_hash(ConfTestKind kind, ConfSlice text, int64_t integer, ConfKey key)
{
    if (kind == CONF_TEST_STRING)
        return conf_slice_hash(text);
    if (kind == CONF_TEST_INTEGER)
        return conf_key_hash((ConfKey){.dbid = integer});
    return conf_key_hash(key);
}

static void
put_in_table(ConfCondition *condition, ConfTest *test, ConfSlice text)
{
    unsigned slot =
        (unsigned)(conf_test_hash(test->kind, text, test->integer, test->key) >> 16) & condition->mask;
    while (condition->table[slot] != NULL)
        slot = (slot + 1) & condition->mask;
    condition->table[slot] = test;
}

/* Many values to be equal to: found by hash.  What is found there leaves the list of leaves. */
static void
make_table(Compiler *compiler, ConfCondition *condition)
{
    unsigned count = 0;
    for (const ConfTest *test = condition->leaves; test != NULL; test = test->leaf)
        count += test->kind == CONF_TEST_STRING || test->kind == CONF_TEST_INTEGER ||
                 test->kind == CONF_TEST_REFERENCE;
    if (count <= TABLE_FROM)
        return;
    unsigned size = 64;
    while (size < count * 4) /* a time may stand there twice */
        size *= 2;
    condition->mask = size - 1;
    condition->table = conf_arena_alloc(compiler->filter->arena, size * sizeof(ConfTest *));
    ConfTest *rest = NULL;
    for (ConfTest *test = condition->leaves, *next; test != NULL; test = next) {
        next = test->leaf;
        if (test->kind != CONF_TEST_STRING && test->kind != CONF_TEST_INTEGER &&
            test->kind != CONF_TEST_REFERENCE) {
            test->leaf = rest;
            rest = test;
            continue;
        }
        put_in_table(condition, test, test->text);
        if (test->time.data != NULL && !conf_slice_equal(test->time, test->text))
            put_in_table(condition, test, test->time);
    }
    condition->leaves = rest;
}

/* Of any-of all must be integers. */
static void
take_dbids(Compiler *compiler, const ConfTest *test)
{
    ConfFilterHints *hints = &compiler->filter->hints;
    const ConfTest *first = test->kind == CONF_TEST_ANY ? test->first : test;
    unsigned count = 0;
    for (const ConfTest *one = first; one != NULL; one = one->next, count++) {
        if (one->kind != CONF_TEST_INTEGER)
            return;
    }
    int64_t *dbids = conf_arena_alloc(compiler->filter->arena, (count + 1) * sizeof(int64_t));
    for (const ConfTest *one = first; one != NULL; one = one->next)
        dbids[hints->dbid_count++] = one->integer;
    hints->dbids = dbids;
    hints->has_dbids = true;
}

static void
take_hints(Compiler *compiler, const ConfCondition *condition)
{
    ConfFilterHints *hints = &compiler->filter->hints;
    const ConfTest *test = condition->test;
    if (condition->head == CONF_FIELD_AT_NAME && test->kind == CONF_TEST_STRING)
        hints->name = test->text;
    else if (condition->head == CONF_FIELD_AT_DBID)
        take_dbids(compiler, test);
    else if (condition->head == CONF_FIELD_AT_TENANT && test->kind == CONF_TEST_INTEGER)
        hints->tenant = test->integer;
    else if (condition->head < 0 && hints->reference.dbid == 0)
        take_reference_hint(compiler, condition);
}

/* Only if the path is a reference wherever it leads somewhere, and to the same type. */
static void
take_reference_hint(Compiler *compiler, const ConfCondition *condition)
{
    const ConfTest *test = condition->test;
    if (test->kind != CONF_TEST_REFERENCE && !(test->kind == CONF_TEST_INTEGER && test->integer >= 1))
        return;
    ConfKey key = test->kind == CONF_TEST_REFERENCE ? test->key : (ConfKey){.dbid = test->integer};
    const ConfSchema *schema = compiler->filter->schema;
    for (unsigned i = 0; i < schema->type_count; i++) {
        const ConfField *last;
        if (condition->fields[i] == NULL || resolve_in(schema->types[i], condition, &last) == NULL)
            continue;
        if (last->kind == CONF_FIELD_LIST)
            last = last->of;
        if (last->kind != CONF_FIELD_REF)
            return;
        if (test->kind == CONF_TEST_REFERENCE)
            continue;
        if (last->to_count != 1 || (key.type != 0 && key.type != last->to[0]))
            return;
        key.type = last->to[0];
    }
    if (key.type != 0)
        compiler->filter->hints.reference = key;
}
