/* object-private.h - how a body is taken apart and put together. */
#pragma once

#include "model/object.h"
#include "model/value-private.h"

/* Texts of the members of a body by field->index; data NULL: unset.  They point into the body.  False:
 * *error (may be NULL) says what is broken. */
bool conf_body_split(const ConfTypeInfo *type, ConfSlice body, ConfSlice *values, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;

/* An object while it is being made or changed.  The head stands in its own members; `values` holds the
 * fields from CONF_FIELD_AT_OWN on, of secrets what tells their presence. */
typedef struct {
    const ConfSchema *schema;
    const ConfTypeInfo *type;
    ConfValueContext context;
    ConfSlice *values;
    ConfSlice *before; /* the values as conf_draft_read() found them */
    ConfObjectHead head;
    ConfSlice name;
    bool is_trusted; /* of the server itself or a master: everything may be set */
} ConfDraft;

void conf_draft_init(ConfDraft *draft, const ConfSchema *schema, ConfTypeId type, ConfArena *arena,
                     ConfRpcError *error);
/* Type, dbid, revision, name, tenant, folder, state of an object. */
void conf_draft_take_head(ConfDraft *draft, const ConfObject *object);
/* The draft of an object as it is. */
bool conf_draft_read(ConfDraft *draft, const ConfObject *object) G_GNUC_WARN_UNUSED_RESULT;
/* Sets (null: clears) an own field, options or annex; structs and sections are merged where `merge`. */
bool conf_draft_set(ConfDraft *draft, const ConfField *field, const ConfJson *value, bool merge,
                    const ConfValuePath *path) G_GNUC_WARN_UNUSED_RESULT;
bool conf_draft_set_name(ConfDraft *draft, const ConfJson *value, const ConfValuePath *path)
    G_GNUC_WARN_UNUSED_RESULT;
/* Computes what is computed; what is required must be there. */
bool conf_draft_complete(ConfDraft *draft, const ConfValuePath *path) G_GNUC_WARN_UNUSED_RESULT;
bool conf_draft_computed(const ConfDraft *draft, const ConfField *field);
void conf_draft_write(const ConfDraft *draft, ConfBuffer *buffer);
/* Nothing changed since conf_draft_read(), the revision apart? */
bool conf_draft_equals(const ConfDraft *draft, const ConfObject *object);
/* Takes `secrets` (NULL: none), references `acl`.  NULL: a client's object would be too large. */
ConfObject *conf_draft_make(const ConfDraft *draft, ConfBytes *secrets, const ConfAcl *acl,
                            int64_t acl_revision);

/* A new object of its parts: takes `body` and `secrets`, references `acl`; computes the digest. */
ConfObject *conf_object_make(const ConfObjectHead *head, ConfSlice name, ConfBytes *body, ConfBytes *secrets,
                             const ConfAcl *acl, int64_t acl_revision);

/* ---- lists as text ---- */
typedef struct {
    ConfSlice text;
    ConfSlice key; /* of a set: the text */
} ConfListItem;
/* The items of the canonical text of a list (data NULL: none), appended to an array of ConfListItem. */
void conf_list_split(const ConfField *field, ConfSlice list, GArray *items);
/* Items put in and taken out, in this order; NULL: none.  *result: the new text, in the arena; data NULL:
 * empty. */
bool conf_list_edit(const ConfValueContext *context, const ConfField *field, ConfSlice list,
                    const ConfJson *add, const ConfValuePath *add_path, const ConfJson *remove,
                    const ConfValuePath *remove_path, ConfSlice *result) G_GNUC_WARN_UNUSED_RESULT;

/* Applies patch, add and remove (each may be NULL). */
bool conf_draft_apply(ConfDraft *draft, const ConfObject *before, const ConfJson *patch, const ConfJson *add,
                      const ConfJson *remove, const char *at) G_GNUC_WARN_UNUSED_RESULT;

/* *error from an error meant for a client; answers false. */
bool conf_model_error(GError **error, const char *what, const ConfObject *object, const ConfRpcError *from);
