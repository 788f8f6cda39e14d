/* t-records.c - test plugin: a history that keeps every change record in a file "records" of data-folder,
 * a line "REVISION CHAIN RECORD" each, so that it is there after a kill.  t-records.check says what it
 * holds and whether the chain of it can be recomputed. */
#include "plugin-test.h"

#include <stdio.h>

typedef struct {
    int64_t revision;
    char chain[17];
    char *record;
} Entry;

typedef struct {
    ConfPlugin *plugin;
    char *path;
    FILE *file;
    GPtrArray *entries; /* of Entry */
    unsigned caught_up, repeated, folds;
    bool stuck; /* t-records.stick: what comes is dropped */
} Self;

static void
entry_free(void *data)
{
    Entry *entry = data;
    g_free(entry->record);
    g_free(entry);
}

static int64_t
get_confirmed(void *data)
{
    Self *self = data;
    const Entry *last =
        self->entries->len > 0 ? g_ptr_array_index(self->entries, self->entries->len - 1) : NULL;
    return last != NULL ? last->revision : 0;
}

static void
keep(Self *self, int64_t revision, const char *chain, const char *record, bool write)
{
    Entry *entry = g_new0(Entry, 1);
    entry->revision = revision;
    g_strlcpy(entry->chain, chain, sizeof entry->chain);
    entry->record = g_strdup(record);
    g_ptr_array_add(self->entries, entry);
    if (!write)
        return;
    fprintf(self->file, "%" G_GINT64_FORMAT " %s %s\n", revision, chain, record);
    fflush(self->file);
}

static void
committed(void *data, const ConfCommit *commit)
{
    Self *self = data;
    if (conf_commit_get_from(commit) != 0) {
        self->folds++;
        return;
    }
    if (self->stuck || conf_commit_get_revision(commit) <= get_confirmed(self))
        return;
    g_autofree char *record = conf_commit_to_json(commit);
    keep(self, conf_commit_get_revision(commit), conf_commit_get_chain(commit), record, true);
}

static bool
catch_up(void *data, int64_t revision, const char *chain, const char *record, GError **error)
{
    Self *self = data;
    (void)error;
    if (revision <= get_confirmed(self)) {
        self->repeated++;
        return true;
    }
    self->caught_up++;
    keep(self, revision, chain, record, true);
    return true;
}

static void
read_as_of(void *data, ConfSession *s, const char *type, int64_t dbid, int64_t revision,
           void (*done)(const char *object_json, const GError *error, void *data), void *done_data)
{
    (void)data, (void)s, (void)type, (void)dbid, (void)revision;
    g_autoptr(GError) error =
        g_error_new(CONF_ERROR, CONF_ERROR_NOT_FOUND, "This history reads nothing back");
    done(NULL, error, done_data);
}

static void
replay(void *data, int64_t after, bool (*func)(const char *record_json, const char *chain, void *data),
       void (*done)(const GError *error, void *data), void *done_data)
{
    Self *self = data;
    bool going = true;
    for (unsigned i = 0; i < self->entries->len && going; i++) {
        const Entry *entry = g_ptr_array_index(self->entries, i);
        if (entry->revision > after)
            going = func(entry->record, entry->chain, done_data);
    }
    done(NULL, done_data);
}

/* The start of SHA-256(previous chain, change record). */
static bool
follows(const Entry *previous, const Entry *entry)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(sum, (const guchar *)previous->chain, (gssize)strlen(previous->chain));
    g_checksum_update(sum, (const guchar *)entry->record, (gssize)strlen(entry->record));
    return strncmp(g_checksum_get_string(sum), entry->chain, 16) == 0;
}

static void
method_check(void *data, ConfRequest *r)
{
    Self *self = data;
    int64_t gaps = 0, broken = 0;
    for (unsigned i = 1; i < self->entries->len; i++) {
        const Entry *previous = g_ptr_array_index(self->entries, i - 1),
                    *entry = g_ptr_array_index(self->entries, i);
        if (entry->revision != previous->revision + 1)
            gaps++;
        else if (!follows(previous, entry))
            broken++;
    }
    const Entry *first = self->entries->len > 0 ? g_ptr_array_index(self->entries, 0) : NULL;
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"first", first != NULL ? first->revision : 0},
        {"last", get_confirmed(self)},
        {"gaps", gaps},
        {"broken", broken},
        {"caughtUp", self->caught_up},
        {"repeated", self->repeated},
        {"folds", self->folds},
    };
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        conf_writer_key(w, numbers[i].key);
        conf_writer_integer(w, numbers[i].value);
    }
    conf_writer_end_object(w);
    g_autofree char *json = conf_writer_finish(w);
    conf_request_answer_json(r, json);
}

static void
method_stick(void *data, ConfRequest *r)
{
    Self *self = data;
    self->stuck = !self->stuck;
    conf_request_answer_json(r, "{}");
}

static void
load_file(Self *self)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(self->path, &text, NULL, NULL))
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i] != NULL && lines[i][0] != '\0'; i++) {
        g_auto(GStrv) words = g_strsplit(lines[i], " ", 3);
        keep(self, g_ascii_strtoll(words[0], NULL, 10), words[1], words[2], false);
    }
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHistoryProvider provider = {
        .size = sizeof provider,
        .get_confirmed = get_confirmed,
        .read_as_of = read_as_of,
        .replay = replay,
        .catch_up = catch_up,
    };
    static const ConfHooks hooks = {.size = sizeof hooks, .committed = committed};
    (void)settings;
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->entries = g_ptr_array_new_with_free_func(entry_free);
    self->path = g_build_filename(conf_plugin_get_data_folder(p), "records", NULL);
    load_file(self);
    self->file = fopen(self->path, "ae");
    if (self->file == NULL || !conf_plugin_provide(p, "history", &provider, error) ||
        !conf_plugin_add_method(p, "t-records.check", true, method_check, error) ||
        !conf_plugin_add_method(p, "t-records.stick", true, method_stick, error))
        g_error("t-records cannot be loaded");
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    return self;
}

static void
unload(void *data)
{
    Self *self = data;
    fclose(self->file);
    g_ptr_array_unref(self->entries);
    g_free(self->path);
    g_free(self);
}

CONF_PLUGIN(.name = "t-records", .version = "1", .summary = "A history of change records", .load = load,
            .unload = unload);
