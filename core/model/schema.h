/* schema.h - the types of objects and their fields, as data: model.md 1.  Immutable once loaded; main loop
 * only. */
#pragma once

#include "base/json-writer.h"
#include "model/key.h"
#include "rpc/rpc-error.h"

typedef enum {
    CONF_FIELD_STRING,
    CONF_FIELD_INTEGER,
    CONF_FIELD_BOOLEAN,
    CONF_FIELD_ENUM,
    CONF_FIELD_TIME,
    CONF_FIELD_REF,
    CONF_FIELD_SECRET,
    CONF_FIELD_LIST,
    CONF_FIELD_STRUCT,
    CONF_FIELD_SECTIONS,
} ConfFieldKind;

typedef enum { CONF_ON_DELETE_RESTRICT, CONF_ON_DELETE_CLEAR, CONF_ON_DELETE_CASCADE } ConfOnDelete;

typedef struct ConfField ConfField;
struct ConfField {
    const char *name;
    ConfFieldKind kind;
    bool required;
    bool immutable;
    bool computed; /* set by the server (application.server); ignored on input where equal, else refused */
    ConfOnDelete on_delete;    /* REF, and REF items of a LIST */
    int64_t minimum, maximum;  /* INTEGER; of STRING lengths in code points (maximum 0: no bound but 1 MiB) */
    void *pattern;             /* STRING: compiled GRegex or NULL */
    const char *const *values; /* ENUM, NULL-ended */
    const ConfTypeId *to;      /* REF, 0-ended */
    unsigned to_count;
    const ConfField *of;     /* LIST: the item */
    const ConfField *key;    /* LIST of STRUCT: the member that names an item; NULL: a set */
    const ConfField *fields; /* STRUCT */
    unsigned field_count;
    const char *help;
    unsigned index; /* place in canonical order within its parent */

    unsigned name_size;
    bool common; /* of every type: type, dbid, revision, name, tenant, folder, state, options, annex */
    bool holds_references;    /* a REF, or one stands somewhere inside */
    bool names_type;          /* STRING: its value is the name of a type */
    const char *pattern_text; /* as in the file; NULL: none */
    const char *shown_as;     /* SECRET: the boolean member of the body that tells its presence; else NULL */
    const char *since;        /* release that the field came with; NULL: the first */
    ConfSlice fallback; /* what an unset field counts as, canonical JSON; data NULL: none.  Never written */
    const ConfField *computed_from;     /* ENUM that the value follows from: true where it is one of ... */
    const char *const *computed_values; /* ... these; NULL-ended */
};

typedef struct {
    ConfTypeId id;
    const char *name;   /* "accessGroup" */
    const char *title;  /* "Access Group" */
    const char *plural; /* "Access Groups": the root folder's name */
    bool has_options;
    bool unique_in_environment; /* else per tenant; folders: per parent */
    bool foldered;              /* has a root folder in each tenant (all but folder itself) */
    /* All: common ones first (type, dbid, revision, name, tenant, folder, state), own, options, annex. */
    const ConfField *fields;
    unsigned field_count;

    unsigned name_size;
    unsigned ordinal;                  /* place among the types in ascending id order */
    const struct ConfTypeIndex *index; /* members by name: schema-private.h */
} ConfTypeInfo;

/* Places of the common fields in ConfTypeInfo.fields. */
enum {
    CONF_FIELD_AT_TYPE,
    CONF_FIELD_AT_DBID,
    CONF_FIELD_AT_REVISION,
    CONF_FIELD_AT_NAME,
    CONF_FIELD_AT_TENANT,
    CONF_FIELD_AT_FOLDER,
    CONF_FIELD_AT_STATE,
    CONF_FIELD_AT_OWN, /* the first own field */
};

/* Reads every *.json of the colon list of folders, earlier first; a later file may add a type, or fields
 * to one ("extend":"host").  Errors name file and member. */
ConfSchema *conf_schema_load(const char *folders, GError **error);
/* From the text of conf_schema_write (replicas). */
ConfSchema *conf_schema_parse(ConfSlice text, GError **error);
void conf_schema_free(ConfSchema *schema);
/* {"types":[...]}: what server.schema answers and replicas take.  Borrowed, canonical. */
ConfSlice conf_schema_text(const ConfSchema *schema);
/* Hex SHA-256 of it. */
const char *conf_schema_hash(const ConfSchema *schema);

const ConfTypeInfo *conf_schema_type(const ConfSchema *schema, ConfTypeId id);          /* NULL: unknown */
const ConfTypeInfo *conf_schema_type_by_name(const ConfSchema *schema, ConfSlice name); /* NULL: unknown */
/* In ascending id order. */
const ConfTypeInfo *const *conf_schema_types(const ConfSchema *schema, unsigned *count);
const ConfField *conf_type_field(const ConfTypeInfo *type, ConfSlice name);
