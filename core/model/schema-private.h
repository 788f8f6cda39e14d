/* schema-private.h - the inside of a schema, for the files of this folder and their tests. */
#pragma once

#include "base/arena.h"
#include "model/schema.h"

enum {
    CONF_SCHEMA_TYPES_MAX = 1000,
    CONF_SCHEMA_FIELDS_MAX = 500,      /* of a type */
    CONF_SCHEMA_MEMBERS_MAX = 100,     /* of a struct */
    CONF_SCHEMA_DEPTH_MAX = 8,         /* structs and lists inside each other */
    CONF_SCHEMA_PATTERN_LENGTH = 4096, /* longest text that a pattern is tried on */
    CONF_SCHEMA_SITE_ID = 1000,        /* first id of types that a site adds */
    CONF_SCHEMA_ID_MAX = 65534,
    CONF_STRING_SIZE_MAX = 1024 * 1024,
    CONF_LIST_LENGTH_MAX = 100000,
    CONF_BODY_SIZE_MAX = 16 * 1024 * 1024, /* of an object as clients make it: one request could hold it */
};
#define CONF_INTEGER_MAX ((int64_t)9007199254740991) /* 2^53-1 */

/* A member of a body: a field under its own name, or a secret under the name that tells its presence. */
typedef struct {
    const char *name;
    unsigned name_size;
    const ConfField *field;
} ConfMember;

struct ConfTypeIndex {
    unsigned count;
    ConfMember members[]; /* sorted by size, then bytes; secrets by shown_as */
};

struct ConfSchema {
    ConfArena *arena;           /* everything below but patterns and text */
    const ConfTypeInfo **types; /* ascending id */
    unsigned type_count;
    const ConfTypeInfo **by_name; /* ascending name */
    const ConfTypeInfo **by_id;   /* index: id, up to id_max */
    unsigned id_max;
    GPtrArray *patterns; /* GRegex */
    ConfBuffer text;
    char hash[65];
};

/* The name as a member of the body: of a secret the one that tells its presence. */
static inline ConfSlice
conf_field_member_name(const ConfField *field)
{
    return field->shown_as != NULL ? conf_slice_from_string(field->shown_as)
                                   : (ConfSlice){field->name, field->name_size};
}
/* The field whose member of the body has this name; NULL: none such. */
const ConfField *conf_type_member(const ConfTypeInfo *type, ConfSlice name);
/* The member of a struct; NULL: none such. */
const ConfField *conf_struct_member(const ConfField *structure, ConfSlice name);

/* ---- making one (schema-load.c, schema-parse.c, schema-finish.c) ---- */

/* A field with references, a default, or computed: judged when all types are read. */
typedef struct {
    ConfField *field;
    const ConfJson *tree; /* of the field */
    const char *file;
    char *path;
} ConfPendingField;

/* A type while it is being read. */
typedef struct {
    ConfTypeInfo *info;
    GPtrArray *fields; /* ConfField *: own ones */
    const char *file;
} ConfTypeDraft;

typedef struct {
    ConfSchema *schema;
    ConfArena *arena;  /* schema's */
    ConfArena *trees;  /* of the texts being read */
    GPtrArray *drafts; /* ConfTypeDraft */
    GArray *pending;   /* ConfPendingField: with references, a default, or computed */
    const char *file;  /* being read */
    GString *path;     /* JSON pointer within it */
    GError **error;
} ConfSchemaParser;

void conf_schema_parser_init(ConfSchemaParser *parser, GError **error);
/* Frees what was not handed over by conf_schema_parser_finish(). */
void conf_schema_parser_clear(ConfSchemaParser *parser);
/* A type ("type":...), or more fields of one ("extend":...).  `is_text`: of conf_schema_write, where
 * fields that are common stand too (and are passed over). */
bool conf_schema_parse_type(ConfSchemaParser *parser, const ConfJson *tree, bool is_text);
bool conf_schema_parse_extension(ConfSchemaParser *parser, const ConfJson *tree);
/* A field of a type or of a struct; `depth` of structs and lists around it. */
bool conf_schema_parse_field(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field,
                             unsigned depth);
/* Resolves, checks, indexes.  NULL: parser->error. */
ConfSchema *conf_schema_parser_finish(ConfSchemaParser *parser);
ConfTypeDraft *conf_schema_parser_find(ConfSchemaParser *parser, ConfSlice name);

/* Answers false, with file and path. */
bool conf_schema_fail(ConfSchemaParser *parser, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Steps of the path: push answers what pop takes. */
size_t conf_schema_push(ConfSchemaParser *parser, const char *step);
size_t conf_schema_push_index(ConfSchemaParser *parser, unsigned index);
void conf_schema_pop(ConfSchemaParser *parser, size_t mark);

/* schema-write.c */
void conf_schema_write(const ConfSchema *schema, ConfBuffer *buffer);
const char *conf_field_kind_name(ConfFieldKind kind);
