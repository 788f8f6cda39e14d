/* confctl.h - the parts of confctl among themselves.
 *
 * main.c reads the command line; command.c knows the commands; shell.c runs one after another, complete.c
 * what may follow; settings.c says where to and as whom; context.c holds the connection and asks the server;
 * output.c prints; schema.c knows types and fields; place.c turns paths into numbers and numbers into paths;
 * value.c turns text into values.  The commands are in *-commands.c, watch.c, export.c, apply.c and import.c;
 * the latter two share file.c (the file) and plan.c (what has to be done). */
#pragma once

#include "confclient.h"
#include "json-members.h"

#include <stdbool.h>

enum { CTL_DONE = 0, CTL_REFUSED = 1, CTL_USAGE = 2, CTL_NOT_CONNECTED = 3 };

#define CTL_ERROR (ctl_error_quark())
GQuark ctl_error_quark(void);
typedef enum {
    CTL_ERROR_USAGE,   /* exit status 2 */
    CTL_ERROR_REFUSED, /* exit status 1: found out here instead of by the server */
} CtlError;

typedef struct {
    char *server, *user, *password_file, *application, *addp_timeout, *timeout, *profile, *output;
    char *tls, *tls_name_check, *tls_ca, *tls_crl, *tls_certificate, *tls_key, *tls_server_name;
    gboolean with_tls, no_tls, no_tls_name_check, no_color;
} CtlOptions;

typedef struct {
    CtlOptions options;
    bool json; /* -o json */
    bool tls, tls_name_check;
    gint64 as_of; /* reads are of this revision; 0: of now */
    bool colour;  /* standard output is a terminal that wants it */
    ConfcClient *client;
    char *password;
    JsonObject *schema; /* {"types":[...]}; NULL: not asked yet */
    GHashTable *types;  /* name → JsonObject of the schema */
    GHashTable *places; /* "type/dbid" → CtlPlace */
} Ctl;

typedef struct {
    const char *name, *arguments, *summary;
    const char *help;            /* more sentences for --help; NULL: none */
    const GOptionEntry *options; /* of the command; NULL: none */
    unsigned least, most;        /* arguments */
    bool (*run)(Ctl *ctl, char **arguments, unsigned count, GError **error);
    bool is_ended_by_interrupt; /* it takes SIGINT itself, and that is its end */
} CtlCommand;

/* Tables of the files, ended by a name NULL. */
extern const CtlCommand ctl_read_commands[];
extern const CtlCommand ctl_write_commands[];
extern const CtlCommand ctl_permission_commands[];
extern const CtlCommand ctl_watch_commands[];
extern const CtlCommand ctl_file_commands[];
extern const CtlCommand ctl_history_commands[];
extern const CtlCommand ctl_edit_commands[];
extern const CtlCommand ctl_shell_commands[];

extern const GOptionEntry ctl_tree_options[];
bool ctl_run_tree(Ctl *ctl, char **arguments, unsigned count, GError **error);

/* ---- command.c ---- */
/* In the order of the help; NULL: there are no more. */
const CtlCommand *ctl_command_get(unsigned index);
const CtlCommand *ctl_command_find(const char *name);
char *ctl_command_list(void); /* new: a line each */
/* Arguments without the name: their number, and that they are UTF-8. */
bool ctl_command_check(const CtlCommand *command, char **arguments, GError **error);
/* Prints why a command failed; the exit status. */
int ctl_command_report(const GError *error);

/* ---- complete.c ---- */
/* What may stand at the end of a line of the shell that is typed up to here. */
typedef struct {
    GPtrArray *words; /* whole words that may stand there, sorted; folders end with a slash */
    char *typed;      /* the last word as typed so far, without quotes; the words begin with it */
    char quote;       /* it was begun with this quote; 0: with none */
} CtlCompletion;
void ctl_complete(Ctl *ctl, const char *line, CtlCompletion *completion);
void ctl_completion_clear(CtlCompletion *completion);
/* How `text` is typed after what stands there; new. */
char *ctl_completion_quote(const char *text, char quote);

/* ---- read-commands.c ---- */
/* What lies in a tenant or folder ("/": the tenant Environment); anything else is its own list. */
GPtrArray *ctl_list_children(Ctl *ctl, const char *path, GError **error);

/* ---- settings.c ---- */
/* Fills in what the command line left open. */
bool ctl_settings_complete(Ctl *ctl, unsigned *addp_timeout, unsigned *timeout, GError **error);
void ctl_settings_apply_tls(Ctl *ctl);
void ctl_settings_clear(CtlOptions *options);

/* ---- context.c ---- */
bool ctl_connect(Ctl *ctl, GError **error);
/* Again, where the connection of ctl_connect() is gone. */
bool ctl_reconnect(Ctl *ctl, GError **error);
void ctl_clear(Ctl *ctl);
/* The first line of a file, for passwords. */
char *ctl_read_secret_file(const char *file, GError **error);
/* Asks on the terminal without echo. */
char *ctl_prompt_secret(const char *prompt, GError **error);
void ctl_wipe(char **secret);
/* Asks a question on the terminal; without one the answer is yes. */
bool ctl_confirm(const char *question);
/* Takes params (NULL: none).  The result as an object. */
JsonObject *ctl_request(Ctl *ctl, const char *method, JsonObject *params, GError **error);
/* Many at once; `each` is called in order of the answers, with result or error.  False from it ends the
 * rest. */
typedef bool (*CtlAnswerFunc)(unsigned index, JsonObject *result, const GError *failure, void *data,
                              GError **error);
bool ctl_request_many(Ctl *ctl, const char *method, GPtrArray *params, CtlAnswerFunc each, void *data,
                      GError **error);
/* Page by page; `each` may ask the server itself.  Takes filter; type, filter and fields may be NULL. */
typedef bool (*CtlPageFunc)(JsonArray *objects, void *data, GError **error);
bool ctl_list(Ctl *ctl, const char *type, JsonObject *filter, const char *const *fields, CtlPageFunc each,
              void *data, GError **error);
/* All of them; for what fits in memory. */
GPtrArray *ctl_list_all(Ctl *ctl, const char *type, JsonObject *filter, const char *const *fields,
                        GError **error);

/* ---- json.c ---- */
JsonObject *ctl_array_object(JsonArray *array, unsigned index); /* NULL: not an object */
/* Of a node that may be of another kind: NULL, 0. */
const char *ctl_node_text(JsonNode *node);
gint64 ctl_node_number(JsonNode *node);
/* What a server calls an object has a type and a number. */
bool ctl_check_object(JsonObject *object, GError **error);
JsonNode *ctl_node_object(JsonObject *object); /* takes */
JsonNode *ctl_node_array(JsonArray *array);    /* takes */
JsonNode *ctl_node_string(const char *text);
JsonNode *ctl_node_integer(gint64 value);
JsonNode *ctl_node_boolean(bool value);
/* One JSON value; refuses what nests deeper than 64.  `what` names it in the error. */
JsonNode *ctl_parse_json(const char *text, gssize size, const char *what, GError **error);

/* ---- output.c ---- */
typedef struct CtlTable CtlTable;
CtlTable *ctl_table_new(const char *first, ...) G_GNUC_NULL_TERMINATED;
/* Copies. */
void ctl_table_add(CtlTable *table, const char *first, ...) G_GNUC_NULL_TERMINATED;
/* A column, before the first row; a further cell of the last row. */
void ctl_table_add_column(CtlTable *table, const char *heading);
void ctl_table_add_cell(CtlTable *table, const char *text);
/* Prints and frees.  Cells that are missing are empty; empty headings are not printed. */
void ctl_table_print(Ctl *ctl, CtlTable *table);
void ctl_table_free(CtlTable *table);
void ctl_print_json(JsonObject *object);
/* Text that cannot harm a terminal. */
void ctl_print(const char *format, ...) G_GNUC_PRINTF(1, 2);
typedef enum { CTL_PLAIN, CTL_BOLD, CTL_GREEN, CTL_YELLOW, CTL_RED, CTL_DIM } CtlStyle;
void ctl_print_styled(Ctl *ctl, CtlStyle style, const char *format, ...) G_GNUC_PRINTF(3, 4);
void ctl_warn(const char *format, ...) G_GNUC_PRINTF(1, 2);
char *ctl_clean(const char *text);
/* "host/105", quoted where needed. */
char *ctl_scalar_text(JsonNode *node);
/* A bar on a terminal, else nothing. */
typedef struct {
    const char *title;
    gint64 total;
    gint64 shown_at;
    bool visible;
} CtlProgress;
void ctl_progress_start(CtlProgress *progress, const char *title, gint64 total);
void ctl_progress_show(CtlProgress *progress, gint64 done);
void ctl_progress_end(CtlProgress *progress);

/* ---- changes.c ---- */
/* One transaction, as notification `changes` has it. */
bool ctl_changes_print(Ctl *ctl, JsonObject *changes, GError **error);
/* Before its changes are printed one by one. */
bool ctl_changes_want_places(Ctl *ctl, JsonObject *changes, GError **error);
void ctl_change_print(Ctl *ctl, JsonObject *change);
/* "  by joe, confctl", or nothing. */
char *ctl_describe_author(Ctl *ctl, JsonObject *by);

/* ---- compare.c ---- */
/* Reads what is needed to show references in these members (of an object of this type; may be NULL) as
 * paths. */
bool ctl_compare_want(Ctl *ctl, const char *type, JsonObject *before, JsonObject *after, GError **error);
/* Member by member what differs; how many lines were printed. */
unsigned ctl_compare_print(Ctl *ctl, const char *type, JsonObject *before, JsonObject *after);

/* ---- schema.c ---- */
bool ctl_schema_load(Ctl *ctl, GError **error);
/* NULL: *error (usage). */
JsonObject *ctl_type(Ctl *ctl, const char *name, GError **error);
/* In the order of the schema. */
JsonArray *ctl_types(Ctl *ctl);
const char *ctl_type_plural(JsonObject *type);
JsonObject *ctl_field(JsonObject *type, const char *name);
/* Is it how the type shows that a secret is set ("passwordSet")? */
bool ctl_type_shows(JsonObject *type, const char *member);
/* A member of a struct; NULL: none. */
JsonObject *ctl_field_member(JsonObject *field, const char *name);
bool ctl_field_is(JsonObject *field, const char *kind);
/* Type names that a reference may point at. */
JsonArray *ctl_field_targets(JsonObject *field);

/* ---- place.c ---- */
typedef struct {
    char *name; /* NULL: not there, or not readable */
    char *type;
    gint64 dbid, tenant, folder;
} CtlPlace;
/* "/path", "type/dbid" or, of the one type in `types` (a JSON array of names or NULL), "dbid". */
bool ctl_resolve(Ctl *ctl, const char *text, JsonArray *types, char **type, gint64 *dbid, GError **error);
/* The object; NULL: *error. */
JsonObject *ctl_resolve_object(Ctl *ctl, const char *text, GError **error);
/* As above, of this type only, also where the path leads to something else of the same name first. */
JsonObject *ctl_find_at(Ctl *ctl, const char *type, const char *path, GError **error);
/* Takes what an object says of itself into the cache. */
void ctl_place_note(Ctl *ctl, JsonObject *object);
/* Between the pages of long lists: what is known of places does not grow for ever. */
void ctl_place_trim(Ctl *ctl);
void ctl_place_forget(Ctl *ctl, const char *type, gint64 dbid);
/* From the cache only; NULL: not known. */
const char *ctl_place_name(Ctl *ctl, const char *type, gint64 dbid);
/* Reads what is missing of the places of these references ("type/dbid" strings), and of what they lie in. */
bool ctl_place_want(Ctl *ctl, GPtrArray *keys, GError **error);
/* Of the objects themselves and, by the schema, of what they refer to. */
bool ctl_place_want_objects(Ctl *ctl, JsonArray *objects, GError **error);
/* From the cache only: the path, or "type/dbid" where it cannot be told. */
char *ctl_place_path(Ctl *ctl, const char *type, gint64 dbid);
/* Reads what is missing. */
char *ctl_path(Ctl *ctl, const char *type, gint64 dbid, GError **error);
char *ctl_path_join(const char *parent, const char *name);
/* False: no path with a step to take off. */
bool ctl_path_split(const char *path, char **parent, char **name, GError **error);
/* A person or access group: path, type/dbid, or plain name. */
bool ctl_resolve_account(Ctl *ctl, const char *text, char **type, gint64 *dbid, GError **error);
/* {"type","dbid"} */
JsonObject *ctl_reference(const char *type, gint64 dbid);

/* ---- value.c ---- */
/* Turns a reference as written into what the server takes.  `field`: of kind ref.  NULL: *error. */
typedef JsonNode *(*CtlReferenceFunc)(JsonObject *field, const char *text, void *data, GError **error);
/* A value as files have it (references as paths) to the wire, and back. */
JsonNode *ctl_value_to_wire(JsonObject *field, JsonNode *value, CtlReferenceFunc resolve, void *data,
                            GError **error);
JsonNode *ctl_value_from_wire(Ctl *ctl, JsonObject *field, JsonNode *value);
/* Text of the command line, of this field, as files have it. */
JsonNode *ctl_value_parse(JsonObject *field, const char *text, GError **error);
/* Resolves by asking the server (CtlReferenceFunc; data is Ctl). */
JsonNode *ctl_value_reference(JsonObject *field, const char *text, void *data, GError **error);
/* FIELD=VALUE, FIELD+=VALUE, FIELD-=VALUE: fills in the members of an object.update. */
typedef struct {
    JsonObject *patch, *add, *remove;
} CtlEdit;
bool ctl_edit_parse(Ctl *ctl, JsonObject *type, const char *assignment, CtlEdit *edit, GError **error);
bool ctl_edit_unset(JsonObject *type, const char *field, CtlEdit *edit, GError **error);
void ctl_edit_init(CtlEdit *edit);
void ctl_edit_clear(CtlEdit *edit);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CtlEdit, ctl_edit_clear)
/* Splits at the first '='; *operation is '=', '+', '-' or '!'. */
bool ctl_assignment_split(const char *text, char **field, char *operation, const char **value,
                          GError **error);
/* Steps of a field path: `~1` is `/`, `~0` is `~`. */
char **ctl_field_steps(const char *path);
