/* option-settings.c - sections and values as text, in their order, and the configuration file they come from.
 */
#include "base/option-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* A configuration file beyond this is not one. */
enum { FILE_SIZE_MAX = 4 * 1024 * 1024 };

typedef struct {
    char *section;
    char *key; /* NULL: the section by itself, so that one without keys is known too */
    char *value;
    int line; /* 0: not from a file */
} Setting;

struct ConfSettings {
    GPtrArray *list;   /* Setting, in order */
    GHashTable *index; /* of the same, by section and key */
};

typedef struct {
    const char *path;
    ConfSettings *settings;
    char *section;
    int line;
} FileReader;

static void set_at(ConfSettings *settings, const char *section, const char *key, const char *value, int line);
static Setting *lookup(const ConfSettings *settings, const char *section, const char *key);
static void setting_free(void *data);
static unsigned setting_hash(const void *data);
static gboolean setting_equal(const void *a, const void *b);
static char *read_whole(const char *path, size_t *size, GError **error);
static bool read_text(FileReader *reader, char *text, size_t size, GError **error);
static bool read_line(FileReader *reader, char *line, GError **error);
static bool read_section(FileReader *reader, char *line, GError **error);
static bool read_pair(FileReader *reader, char *line, GError **error);
static bool refuse(const FileReader *reader, GError **error, const char *why);

ConfSettings *
conf_settings_new(void)
{
    ConfSettings *settings = g_new0(ConfSettings, 1);
    settings->list = g_ptr_array_new_with_free_func(setting_free);
    settings->index = g_hash_table_new(setting_hash, setting_equal);
    return settings;
}

void
conf_settings_free(ConfSettings *settings)
{
    if (settings == NULL)
        return;
    g_hash_table_unref(settings->index);
    g_ptr_array_unref(settings->list);
    g_free(settings);
}

ConfSettings *
conf_settings_load_file(const char *path, GError **error)
{
    size_t size;
    g_autofree char *text = read_whole(path, &size, error);
    return text != NULL ? conf_settings_parse(path, text, size, error) : NULL;
}

/* A NUL stands behind `text`, as read_whole() leaves it. */
ConfSettings *
conf_settings_parse(const char *path, char *text, size_t size, GError **error)
{
    g_autoptr(ConfSettings) settings = conf_settings_new();
    FileReader reader = {.path = path, .settings = settings};
    bool read = read_text(&reader, text, size, error);
    g_free(reader.section);
    return read ? g_steal_pointer(&settings) : NULL;
}

void
conf_settings_set(ConfSettings *settings, const char *section, const char *key, const char *value)
{
    set_at(settings, section, key, value, 0);
}

const char *
conf_settings_get(const ConfSettings *settings, const char *section, const char *key)
{
    Setting *setting = lookup(settings, section, key);
    return setting != NULL ? setting->value : NULL;
}

bool
conf_settings_has_section(const ConfSettings *settings, const char *section)
{
    return lookup(settings, section, NULL) != NULL;
}

void
conf_settings_foreach(const ConfSettings *settings, ConfSettingFunc func, void *data)
{
    for (unsigned i = 0; i < settings->list->len; i++) {
        const Setting *setting = settings->list->pdata[i];
        if (setting->key != NULL)
            func(setting->section, setting->key, setting->value, setting->line, data);
    }
}

ConfSettings *
conf_settings_merge(const ConfSettings *base, const ConfSettings *over)
{
    ConfSettings *merged = conf_settings_new();
    const ConfSettings *sources[] = {base, over};
    for (unsigned s = 0; s < G_N_ELEMENTS(sources); s++) {
        for (unsigned i = 0; i < sources[s]->list->len; i++) {
            const Setting *setting = sources[s]->list->pdata[i];
            set_at(merged, setting->section, setting->key, setting->value, setting->line);
        }
    }
    return merged;
}

/* `key` NULL: notes the section. */
static void
set_at(ConfSettings *settings, const char *section, const char *key, const char *value, int line)
{
    if (key != NULL && lookup(settings, section, NULL) == NULL)
        set_at(settings, section, NULL, NULL, line);
    Setting *setting = lookup(settings, section, key);
    if (setting == NULL) {
        setting = g_new0(Setting, 1);
        setting->section = g_strdup(section);
        setting->key = g_strdup(key);
        g_ptr_array_add(settings->list, setting);
        g_hash_table_add(settings->index, setting);
    }
    /* A copy first: `value` may be what is replaced. */
    char *copy = g_strdup(value);
    g_free(setting->value);
    setting->value = copy;
    setting->line = line;
}

static Setting *
lookup(const ConfSettings *settings, const char *section, const char *key)
{
    Setting wanted = {(char *)section, (char *)key, NULL, 0};
    return g_hash_table_lookup(settings->index, &wanted);
}

static void
setting_free(void *data)
{
    Setting *setting = data;
    g_free(setting->section);
    g_free(setting->key);
    g_free(setting->value);
    g_free(setting);
}

static unsigned
setting_hash(const void *data)
{
    const Setting *setting = data;
    unsigned hash = g_str_hash(setting->section) * 31;
    return setting->key != NULL ? hash + g_str_hash(setting->key) : hash;
}

static gboolean
setting_equal(const void *a, const void *b)
{
    const Setting *x = a, *y = b;
    return strcmp(x->section, y->section) == 0 && g_strcmp0(x->key, y->key) == 0;
}

static char *
read_whole(const char *path, size_t *size, GError **error)
{
    /* Not blocking: a named pipe without a writer would hold the start for ever. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        int code = errno == ENOENT ? CONF_ERROR_NOT_FOUND : CONF_ERROR_INVALID;
        g_set_error(error, CONF_ERROR, code, "%s: %s", path, g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (S_ISDIR(status.st_mode) || status.st_size > FILE_SIZE_MAX) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "%s: %s", path,
                    S_ISDIR(status.st_mode) ? "is a folder" : "is larger than 4 MiB");
        close(fd);
        return NULL;
    }

    g_autofree char *text = g_malloc(FILE_SIZE_MAX + 1);
    size_t filled = 0;
    ssize_t got = 0;
    while (filled <= FILE_SIZE_MAX && (got = read(fd, text + filled, FILE_SIZE_MAX + 1 - filled)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        filled += (size_t)got;
    }
    int failure = got < 0 ? errno : filled > FILE_SIZE_MAX ? EFBIG : 0;
    close(fd);
    if (failure != 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "%s: %s", path, g_strerror(failure));
        return NULL;
    }
    *size = filled;
    text[filled] = '\0';
    return g_realloc(g_steal_pointer(&text), filled + 1);
}

static bool
read_text(FileReader *reader, char *text, size_t size, GError **error)
{
    char *end = text + size;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (text < end) {
        reader->line++;
        char *line_end = memchr(text, '\n', (size_t)(end - text));
        if (line_end == NULL)
            line_end = end;
        *line_end = '\0';
        if (memchr(text, '\0', (size_t)(line_end - text)) != NULL)
            return refuse(reader, error, "a zero byte stands in the line");
        if (!g_utf8_validate(text, line_end - text, NULL))
            return refuse(reader, error, "the line is not UTF-8");
        if (!read_line(reader, g_strstrip(text), error))
            return false;
        text = line_end + 1;
    }
    return true;
}

static bool
read_line(FileReader *reader, char *line, GError **error)
{
    if (*line == '\0' || *line == '#' || *line == ';')
        return true;
    if (*line == '[')
        return read_section(reader, line, error);
    return read_pair(reader, line, error);
}

static bool
read_section(FileReader *reader, char *line, GError **error)
{
    char *end = strchr(line, ']');
    if (end == NULL)
        return refuse(reader, error, "the name of a section must end with ]");
    if (end[1] != '\0')
        return refuse(reader, error, "nothing may follow ] in the line of a section");
    *end = '\0';
    char *name = g_strstrip(line + 1);
    if (*name == '\0')
        return refuse(reader, error, "the section has no name");
    g_free(reader->section);
    reader->section = g_strdup(name);
    if (!conf_settings_has_section(reader->settings, name))
        set_at(reader->settings, name, NULL, NULL, reader->line);
    return true;
}

/* What stands in the line is never told: it may be a password. */
static bool
read_pair(FileReader *reader, char *line, GError **error)
{
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return refuse(reader, error, "neither a [section] nor key = value");
    *equals = '\0';
    char *key = g_strstrip(line);
    if (*key == '\0')
        return refuse(reader, error, "no key stands before =");
    if (reader->section == NULL)
        return refuse(reader, error, "a key stands before the first [section]");
    const Setting *earlier = lookup(reader->settings, reader->section, key);
    if (earlier != NULL) {
        g_autofree char *why = g_strdup_printf("%s is set a second time in [%s], first in line %d", key,
                                               reader->section, earlier->line);
        return refuse(reader, error, why);
    }
    set_at(reader->settings, reader->section, key, g_strstrip(equals + 1), reader->line);
    return true;
}

static bool
refuse(const FileReader *reader, GError **error, const char *why)
{
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "%s:%d: %s", reader->path, reader->line, why);
    return false;
}
