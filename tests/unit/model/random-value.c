/* random-value.c - see random-value.h. */
#include "random-value.h"

#include <string.h>

static const char *const words[] = {"a",        "b",      "web1",     "web2",    "x y",
                                    "\303\251", "q\\\"q", "t\\\\\\n", "\\u0001", "\360\237\230\200"};
static const char *const sections[] = {"log", "a", "B", "s/1", "\303\251"};
static const char *const keys[] = {"verbose", "all", "k~1", "K"};
static const char *const times[] = {"2026-11-21T09:00:00Z", "2026-11-21T11:00:00.000+02:00",
                                    "1999-01-01T00:00:00.5Z"};

#define PICK(array) ((array)[g_test_rand_int_range(0, G_N_ELEMENTS(array))])

static int
below(int bound)
{
    return g_test_rand_int_range(0, bound);
}

static void
random_reference(const ConfSchema *schema, const ConfField *field, GString *text)
{
    int dbid = 1 + below(4);
    unsigned to = (unsigned)below((int)field->to_count);
    if (field->to_count > 1 && (to > 0 || below(2) == 0))
        g_string_append_printf(text, "{\"dbid\":%d,\"type\":\"%s\"}", dbid,
                               conf_schema_type(schema, field->to[to])->name);
    else
        g_string_append_printf(text, "%d", dbid);
}

static void
random_section(GString *text, bool is_patch)
{
    g_string_append_c(text, '{');
    unsigned first = (unsigned)below(G_N_ELEMENTS(keys)), count = (unsigned)below(G_N_ELEMENTS(keys) + 1);
    for (unsigned i = 0; i < count; i++) {
        const char *key = keys[(first + i) % G_N_ELEMENTS(keys)];
        if (is_patch && below(3) == 0)
            g_string_append_printf(text, "%s\"%s\":null", i > 0 ? "," : "", key);
        else
            g_string_append_printf(text, "%s\"%s\":\"%s\"", i > 0 ? "," : "", key, PICK(words));
    }
    g_string_append_c(text, '}');
}

static void
random_sections(GString *text, bool is_patch)
{
    g_string_append_c(text, '{');
    unsigned first = (unsigned)below(G_N_ELEMENTS(sections)), count = (unsigned)below(4);
    for (unsigned i = 0; i < count; i++) {
        g_string_append_printf(text, "%s\"%s\":", i > 0 ? "," : "",
                               sections[(first + i) % G_N_ELEMENTS(sections)]);
        if (is_patch && below(4) == 0)
            g_string_append(text, "null");
        else
            random_section(text, is_patch);
    }
    g_string_append_c(text, '}');
}

static void
random_struct(const ConfSchema *schema, const ConfField *field, const char *key_text, bool is_patch,
              GString *text)
{
    bool is_first = true;
    g_string_append_c(text, '{');
    for (unsigned n = field->field_count; n > 0; n--) { /* not in the order of the schema */
        const ConfField *member = &field->fields[n - 1];
        if (!member->required && below(2) == 0)
            continue;
        g_string_append_printf(text, "%s\"%s\":", is_first ? "" : ",", member->name);
        is_first = false;
        if (key_text != NULL && member->required)
            g_string_append(text, key_text);
        else if (!member->required && below(is_patch ? 3 : 8) == 0)
            g_string_append(text, "null");
        else
            random_value(schema, member, text);
    }
    g_string_append_c(text, '}');
}

/* Different keys first..first+count-1 of few. */
static void
random_items(const ConfSchema *schema, const ConfField *field, bool keys_only, GString *text)
{
    unsigned first = (unsigned)below(5), count = (unsigned)below(5);
    g_string_append_c(text, '[');
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            g_string_append_c(text, ',');
        if (field->key == NULL) {
            random_value(schema, field->of, text);
            continue;
        }
        unsigned number = (first + i * 2) % 5;
        g_autofree char *key = field->key->kind == CONF_FIELD_STRING
                                   ? g_strdup_printf("\"%s\"", words[number])
                                   : g_strdup_printf("%u", number + 1);
        if (keys_only && below(2) == 0)
            g_string_append(text, key);
        else
            random_struct(schema, field->of, key, false, text);
    }
    g_string_append_c(text, ']');
}

void
random_value(const ConfSchema *schema, const ConfField *field, GString *text)
{
    switch (field->kind) {
    case CONF_FIELD_STRING:
        g_string_append_printf(text, "\"%s\"", field->names_type ? "host" : PICK(words));
        break;
    case CONF_FIELD_INTEGER:
        g_string_append_printf(text, "%" G_GINT64_FORMAT, MAX(field->minimum, 0) + below(3));
        break;
    case CONF_FIELD_BOOLEAN:
        g_string_append(text, below(2) == 0 ? "true" : "false");
        break;
    case CONF_FIELD_ENUM: {
        unsigned count = g_strv_length((char **)field->values);
        g_string_append_printf(text, "\"%s\"", field->values[below((int)count)]);
        break;
    }
    case CONF_FIELD_TIME:
        g_string_append_printf(text, "\"%s\"", PICK(times));
        break;
    case CONF_FIELD_REF:
        random_reference(schema, field, text);
        break;
    case CONF_FIELD_LIST:
        random_items(schema, field, false, text);
        break;
    case CONF_FIELD_STRUCT:
        random_struct(schema, field, NULL, false, text);
        break;
    case CONF_FIELD_SECTIONS:
        random_sections(text, false);
        break;
    case CONF_FIELD_SECRET:
        g_assert_not_reached();
    }
}

bool
random_may_set(const ConfField *field)
{
    return field->index >= CONF_FIELD_AT_OWN && field->kind != CONF_FIELD_SECRET && !field->computed;
}

void
random_object(const ConfSchema *schema, const ConfTypeInfo *type, GString *text)
{
    g_string_append_printf(text, "{\"name\":\"%s%d\"", words[below(6)], below(100));
    for (unsigned n = type->field_count; n > 0; n--) {
        const ConfField *field = &type->fields[n - 1];
        if (!random_may_set(field) || (!field->required && below(3) == 0))
            continue;
        g_string_append_printf(text, ",\"%s\":", field->name);
        random_value(schema, field, text);
    }
    g_string_append_c(text, '}');
}

static void
begin_member(GString *text, const ConfField *field)
{
    g_string_append_printf(text, "%s\"%s\":", text->len > 1 ? "," : "", field->name);
}

void
random_change(const ConfSchema *schema, const ConfTypeInfo *type, GString *patch, GString *add,
              GString *remove)
{
    g_string_assign(patch, "{");
    g_string_assign(add, "{");
    g_string_assign(remove, "{");
    if (below(6) == 0)
        g_string_append_printf(patch, "\"name\":\"%s\"", words[below(6)]);
    if (below(6) == 0)
        g_string_append_printf(patch, "%s\"state\":%s", patch->len > 1 ? "," : "",
                               below(2) == 0 ? "\"disabled\"" : "null");
    for (unsigned i = CONF_FIELD_AT_OWN; i < type->field_count; i++) {
        const ConfField *field = &type->fields[i];
        if (!random_may_set(field) || field->immutable)
            continue;
        if (field->kind == CONF_FIELD_LIST && below(3) == 0) {
            begin_member(add, field);
            random_items(schema, field, false, add);
        }
        if (field->kind == CONF_FIELD_LIST && below(3) == 0) {
            begin_member(remove, field);
            random_items(schema, field, true, remove);
        }
        if (below(3) != 0)
            continue;
        begin_member(patch, field);
        if (!field->required && below(4) == 0)
            g_string_append(patch, "null");
        else if (field->kind == CONF_FIELD_SECTIONS)
            random_sections(patch, true);
        else if (field->kind == CONF_FIELD_STRUCT)
            random_struct(schema, field, NULL, true, patch);
        else
            random_value(schema, field, patch);
    }
    g_string_append_c(patch, '}');
    g_string_append_c(add, '}');
    g_string_append_c(remove, '}');
}
