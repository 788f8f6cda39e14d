/* history.h - what the commands of the history share: the past as plugin history of the server answers it. */
#pragma once

#include "confctl.h"

/* As ctl_request(); says so where the server keeps no history. */
JsonObject *ctl_history_request(Ctl *ctl, const char *method, JsonObject *params, GError **error);
/* Entries page by page, newest first.  Takes params.  `most`: 0 all.  *are_more (may be NULL): it was cut
 * off. */
bool ctl_history_list(Ctl *ctl, const char *method, const char *member, JsonObject *params, gint64 most,
                      CtlPageFunc each, void *data, bool *are_more, GError **error);
/* A revision, or a time: RFC 3339, a date, or how long ago ("90s", "30m", "2h", "7d").  NULL: *error. */
JsonNode *ctl_history_when(const char *text, GError **error);
/* A number above 0. */
bool ctl_history_revision(const char *text, gint64 *revision);
/* Reads the names that entries need. */
bool ctl_history_want_places(Ctl *ctl, JsonArray *entries, GError **error);
/* "joe, confctl", and where from. */
char *ctl_history_author(Ctl *ctl, JsonObject *by);
char *ctl_history_origin(JsonObject *by);
/* Its path, or the name it had. */
char *ctl_history_path(Ctl *ctl, JsonObject *entry);
bool ctl_history_print_entry(Ctl *ctl, JsonObject *entry, GError **error);

extern const GOptionEntry ctl_history_options[], ctl_revert_options[];
bool ctl_run_history(Ctl *ctl, char **arguments, unsigned count, GError **error);
bool ctl_run_diff(Ctl *ctl, char **arguments, unsigned count, GError **error);
bool ctl_run_revert(Ctl *ctl, char **arguments, unsigned count, GError **error);
