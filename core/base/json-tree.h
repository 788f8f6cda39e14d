/* json-tree.h - a JSON text as a tree in an arena: for requests and objects on their way in, never on the
 * path of a read or a notification. */
#pragma once

#include "base/arena.h"
#include "base/json-reader.h"

typedef enum {
    CONF_JSON_NULL,
    CONF_JSON_BOOLEAN,
    CONF_JSON_NUMBER,
    CONF_JSON_STRING,
    CONF_JSON_ARRAY,
    CONF_JSON_OBJECT,
} ConfJsonKind;

typedef struct ConfJson ConfJson;
struct ConfJson {
    ConfJsonKind kind;
    bool boolean;    /* of BOOLEAN */
    bool is_integer; /* of NUMBER: see json-reader.h */
    unsigned count;  /* of ARRAY, OBJECT: members */
    int64_t integer; /* of NUMBER, where is_integer */
    ConfSlice key;   /* decoded; of a member of an object */
    ConfSlice text;  /* of STRING: decoded; of NUMBER: as written */
    ConfJson *first; /* of ARRAY, OBJECT: in the order of the text */
    ConfJson *last;
    ConfJson *next; /* in the parent */
};

/* The tree and all its text live in `arena` (text is copied only where it had escapes: `text` must live as
 * long). NULL: *fault, *offset and *message say what is wrong where; each may be NULL. */
ConfJson *conf_json_parse(ConfArena *arena, ConfSlice text, ConfJsonFault *fault, size_t *offset,
                          const char **message);
/* As above with one GError (CONF_ERROR_INVALID) that names line and column: for files. */
ConfJson *conf_json_parse_file_text(ConfArena *arena, ConfSlice text, const char *file_name, GError **error);

/* NULL where `object` is NULL, no object or has no such member. */
ConfJson *conf_json_member(const ConfJson *object, const char *key);
ConfJson *conf_json_member_slice(const ConfJson *object, ConfSlice key);
/* The same JSON value: numbers by value where integers, else by their text; members in any order. */
bool conf_json_equal(const ConfJson *a, const ConfJson *b);

/* Making trees. Text given is borrowed by the tree. */
ConfJson *conf_json_new(ConfArena *arena, ConfJsonKind kind);
ConfJson *conf_json_new_string(ConfArena *arena, ConfSlice text);
ConfJson *conf_json_new_integer(ConfArena *arena, int64_t value);
/* Appends `child` to an array, or to an object under `key`.  `child` must have no parent. */
void conf_json_append(ConfJson *parent, ConfSlice key, ConfJson *child);
/* A copy of this node alone (its children shared, next cleared), to stand in another parent. */
ConfJson *conf_json_shallow_copy(ConfArena *arena, const ConfJson *node);
