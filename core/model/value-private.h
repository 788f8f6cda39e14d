/* value-private.h - one value of a field: checked against the schema and written as canonical JSON. */
#pragma once

#include "base/arena.h"
#include "model/acl.h"
#include "model/schema-private.h"

/* Where a value stands in params, told only when something is wrong with it.  Lives on the stack. */
typedef struct ConfValuePath ConfValuePath;
struct ConfValuePath {
    const ConfValuePath *parent;
    const char *prefix; /* of the root: a JSON pointer already */
    ConfSlice step;     /* else: a name, or ... */
    unsigned index;     /* ... the place in an array */
    bool is_item;
};

typedef struct {
    const ConfSchema *schema; /* NULL: no types are known yet (defaults of a schema being read) */
    ConfArena *arena;
    ConfRpcError *error;
} ConfValueContext;

static inline ConfValuePath
conf_value_path_root(const char *prefix)
{
    return (ConfValuePath){.prefix = prefix};
}
static inline ConfValuePath
conf_value_path_member(const ConfValuePath *parent, ConfSlice step)
{
    return (ConfValuePath){.parent = parent, .step = step};
}
static inline ConfValuePath
conf_value_path_item(const ConfValuePath *parent, unsigned index)
{
    return (ConfValuePath){.parent = parent, .index = index, .is_item = true};
}
/* -32602 at this path; answers false. */
bool conf_value_fail(const ConfValueContext *context, const ConfValuePath *path, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Appends the canonical text.  Nothing is appended where the value is unset: null, an empty list, no
 * sections, a struct of which nothing is set. */
bool conf_value_write(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                      const ConfValuePath *path, ConfBuffer *buffer) G_GNUC_WARN_UNUSED_RESULT;
/* As above, and tells the text of the member `key` of a struct (as a slice of the buffer as it is then). */
bool conf_value_write_item(const ConfValueContext *context, const ConfField *item, const ConfField *key,
                           const ConfJson *value, const ConfValuePath *path, ConfBuffer *buffer,
                           ConfSlice *key_text) G_GNUC_WARN_UNUSED_RESULT;
/* The value of `old` (canonical text, data NULL: unset) after a merge patch (RFC 7396) of a struct or of
 * sections, as a tree to be written; of other kinds the patch itself. */
const ConfJson *conf_value_merge(const ConfValueContext *context, const ConfField *field, ConfSlice old,
                                 const ConfJson *patch);
/* A canonical text as a tree; it was written by us, so it parses. */
ConfJson *conf_value_tree(ConfArena *arena, ConfSlice text);
unsigned conf_utf8_count(ConfSlice text);

/* A name as a step of a JSON pointer (RFC 6901): new. */
char *conf_pointer_step(ConfSlice step);
/* conf_acl_write() without a schema. */
void conf_acl_write_canonical(const ConfAcl *acl, ConfBuffer *buffer);

/* The texts 0..count-1 of somebody else's array, found again by their content. */
typedef ConfSlice (*ConfTextFunc)(const void *data, unsigned index);
typedef struct {
    ConfTextFunc get;
    const void *data;
    uint32_t *slots; /* index + 1; 0: free */
    unsigned count, mask;
} ConfTextSet;
/* `capacity` texts at most. */
void conf_text_set_init(ConfTextSet *set, ConfArena *arena, unsigned capacity, ConfTextFunc get,
                        const void *data);
/* The number of the text that is equal to `text`; -1: none. */
int conf_text_set_find(const ConfTextSet *set, ConfSlice text);
/* The next text, which is `text`; not there yet. */
void conf_text_set_add(ConfTextSet *set, ConfSlice text);
