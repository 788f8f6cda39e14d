/* json-members.h - JSON without surprises, for the library and for confctl: a member of the wrong kind
 * counts as missing. */
#pragma once

#include <json-glib/json-glib.h>
#include <stdbool.h>

/* Members of the wanted kind, or the fallback (NULL, false); `object` may be NULL. */
const char *confc_json_string(JsonObject *object, const char *name);
gint64 confc_json_integer(JsonObject *object, const char *name, gint64 fallback);
bool confc_json_boolean(JsonObject *object, const char *name);
JsonObject *confc_json_object(JsonObject *object, const char *name);
JsonArray *confc_json_array(JsonObject *object, const char *name);
/* Whether json-glib, which recurses with the nesting and makes a node of each value, may be given the
 * text: no deeper than `depth_max`, at most about `values_max` values, no comments and no 'strings',
 * which JSON does not have.  Whether it is well formed is the parser's business. */
bool confc_json_is_parsable(const char *text, gsize size, unsigned depth_max, unsigned values_max);
