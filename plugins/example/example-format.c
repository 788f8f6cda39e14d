/* example-format.c - a commit as a line: text for people, JSON for programs. */
#include "example-private.h"

static char *format_text(Example *self, const ConfCommit *commit);
static char *format_json(Example *self, const ConfCommit *commit);
static char *format_time(int64_t wall_ms);
static const char *name_of(Example *self, const char *type, int64_t dbid);
static void append_quoted(GString *text, const char *name);

char *
example_format(Example *self, const ConfCommit *commit)
{
    return self->settings->format == FORMAT_JSON ? format_json(self, commit) : format_text(self, commit);
}

static char *
format_text(Example *self, const ConfCommit *commit)
{
    g_autofree char *time = format_time(conf_commit_get_time(commit));
    const char *address = conf_commit_get_address(commit);
    GString *line = g_string_new(time);
    g_string_append_printf(line, " %" G_GINT64_FORMAT " ", conf_commit_get_revision(commit));
    append_quoted(line, name_of(self, "person", conf_commit_get_user(commit)));
    g_string_append_c(line, ' ');
    append_quoted(line, name_of(self, "application", conf_commit_get_application(commit)));
    g_string_append_printf(line, " %s:", address != NULL ? address : "-");

    for (unsigned i = 0; i < conf_commit_get_length(commit); i++) {
        const ConfObject *before, *after;
        const char *change = conf_commit_get_change(commit, i, &before, &after);
        const ConfObject *object = after != NULL ? after : before;
        g_string_append_printf(line, "%s %s %s %" G_GINT64_FORMAT " ", i > 0 ? "," : "", change,
                               conf_object_get_type(object), conf_object_get_dbid(object));
        append_quoted(line, conf_object_get_name(object));
    }
    g_string_append_c(line, '\n');
    return g_string_free(line, FALSE);
}

static char *
format_json(Example *self, const ConfCommit *commit)
{
    g_autofree char *time = format_time(conf_commit_get_time(commit));
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "time");
    conf_writer_string(w, time);
    conf_writer_key(w, "revision");
    conf_writer_integer(w, conf_commit_get_revision(commit));
    conf_writer_key(w, "user");
    conf_writer_string(w, name_of(self, "person", conf_commit_get_user(commit)));
    conf_writer_key(w, "application");
    conf_writer_string(w, name_of(self, "application", conf_commit_get_application(commit)));
    conf_writer_key(w, "address");
    conf_writer_string(w, conf_commit_get_address(commit));
    conf_writer_key(w, "changes");
    conf_writer_begin_array(w);
    for (unsigned i = 0; i < conf_commit_get_length(commit); i++) {
        const ConfObject *before, *after;
        const char *change = conf_commit_get_change(commit, i, &before, &after);
        const ConfObject *object = after != NULL ? after : before;
        conf_writer_begin_object(w);
        conf_writer_key(w, "op");
        conf_writer_string(w, change);
        conf_writer_key(w, "type");
        conf_writer_string(w, conf_object_get_type(object));
        conf_writer_key(w, "dbid");
        conf_writer_integer(w, conf_object_get_dbid(object));
        conf_writer_key(w, "name");
        conf_writer_string(w, conf_object_get_name(object));
        conf_writer_end_object(w);
    }
    conf_writer_end_array(w);
    conf_writer_end_object(w);
    g_autofree char *json = conf_writer_finish(w);
    return g_strconcat(json, "\n", NULL);
}

static char *
format_time(int64_t wall_ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(wall_ms / 1000);
    g_autofree char *seconds = time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S") : NULL;
    return g_strdup_printf("%s.%03dZ", seconds != NULL ? seconds : "-", (int)(wall_ms % 1000));
}

/* NULL: nobody, or one that was deleted by this very commit. */
static const char *
name_of(Example *self, const char *type, int64_t dbid)
{
    const ConfObject *object = dbid != 0 ? conf_plugin_lookup(self->plugin, type, dbid) : NULL;
    return object != NULL ? conf_object_get_name(object) : NULL;
}

/* As JSON does: a name may hold spaces and quotes, and a line must stay one that can be taken apart again. */
static void
append_quoted(GString *text, const char *name)
{
    if (name == NULL) {
        g_string_append_c(text, '-');
        return;
    }
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_string(w, name);
    g_autofree char *quoted = conf_writer_finish(w);
    g_string_append(text, quoted);
}
