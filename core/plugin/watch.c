/* watch.c - descriptors and timers of plugins.
 *
 * A plugin has a handful of descriptors, so each is a source of the GLib main context; timers sit in the
 * server's timer wheel.  Both are found by id and go with the plugin, whatever it forgets. */
#include <glib-unix.h>

#include "base/queue-main.h"
#include "plugin/plugin-private.h"

enum { WATCHES_MAX = 100000 };

typedef struct {
    ConfPlugin *plugin;
    unsigned id;
    int fd; /* -1: a timer */
    unsigned source;
    void (*ready)(void *self, int fd, GIOCondition condition);
    ConfTimer timer;
    void (*due)(void *self, void *data);
    void *data;
} Watch;

static unsigned last_id;

static Watch *new_watch(ConfPlugin *p);
static void free_watch(void *data);
static gboolean on_ready(int fd, GIOCondition condition, gpointer data);
static void on_due(void *data);

unsigned
conf_watch(ConfPlugin *p, int fd, GIOCondition events, void (*ready)(void *self, int fd, GIOCondition))
{
    conf_assert_main();
    if (fd < 0 || ready == NULL)
        return 0;
    Watch *watch = new_watch(p);
    if (watch == NULL)
        return 0;
    watch->fd = fd;
    watch->ready = ready;
    watch->source = g_unix_fd_add(fd, events, on_ready, watch);
    return watch->id;
}

unsigned
conf_timer(ConfPlugin *p, unsigned ms, void (*due)(void *self, void *data), void *data)
{
    conf_assert_main();
    if (due == NULL)
        return 0;
    Watch *watch = new_watch(p);
    if (watch == NULL)
        return 0;
    watch->due = due;
    watch->data = data;
    conf_timer_arm(&watch->timer, ms, on_due, watch);
    return watch->id;
}

void
conf_unwatch(ConfPlugin *p, unsigned id)
{
    conf_assert_main();
    if (p->watches != NULL)
        g_hash_table_remove(p->watches, GUINT_TO_POINTER(id));
}

void
conf_watch_remove_all(ConfPlugin *p)
{
    g_clear_pointer(&p->watches, g_hash_table_unref);
}

static Watch *
new_watch(ConfPlugin *p)
{
    if (p->state == PLUGIN_UNLOADED)
        return NULL;
    if (p->watches == NULL)
        p->watches = g_hash_table_new_full(NULL, NULL, NULL, free_watch);
    if (g_hash_table_size(p->watches) >= WATCHES_MAX) {
        conf_plugin_fault(p, "It has too many watches and timers");
        return NULL;
    }
    Watch *watch = g_new0(Watch, 1);
    do
        watch->id = ++last_id;
    while (watch->id == 0 || g_hash_table_contains(p->watches, GUINT_TO_POINTER(watch->id)));
    watch->plugin = p;
    watch->fd = -1;
    g_hash_table_insert(p->watches, GUINT_TO_POINTER(watch->id), watch);
    return watch;
}

static void
free_watch(void *data)
{
    Watch *watch = data;
    if (watch->source != 0)
        g_source_remove(watch->source);
    conf_timer_cancel(&watch->timer);
    g_free(watch);
}

static gboolean
on_ready(int fd, GIOCondition condition, gpointer data)
{
    Watch *watch = data;
    ConfPlugin *p = watch->plugin;
    unsigned id = watch->id;
    void (*ready)(void *self, int fd, GIOCondition condition) = watch->ready;
    /* A descriptor closed under its watch would be reported for ever: it is told once. */
    if ((condition & G_IO_NVAL) != 0) {
        watch->source = 0;
        conf_unwatch(p, id);
    }
    conf_plugin_enter(p);
    ready(p->self, fd, condition);
    conf_plugin_leave(p);
    return (condition & G_IO_NVAL) != 0 ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void
on_due(void *data)
{
    Watch *watch = data;
    ConfPlugin *p = watch->plugin;
    void (*due)(void *self, void *due_data) = watch->due;
    void *due_data = watch->data;
    /* Before the call: it may arm the next one, and its own id is used up. */
    conf_unwatch(p, watch->id);
    conf_plugin_enter(p);
    due(p->self, due_data);
    conf_plugin_leave(p);
}
