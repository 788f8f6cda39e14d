/* queue-main.c - how another thread comes back to the main loop.
 *
 * The queue itself has no bound: each entry is the end of a job that was taken under a bound elsewhere (the
 * worker pool's, the storage writer's), and refusing an end would lose it. */
#include "base/queue-main.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <glib-unix.h>
#include <glib.h>

#include "base/clock.h"

typedef struct Entry Entry;
struct Entry {
    Entry *next;
    ConfMainFunc func;
    void *data;
};

/* Ends of jobs run for this long, then sockets are served again. */
static const int64_t SLICE_USEC = 2000;

static GMutex queue_lock;
static Entry *queue_first; /* under the lock */
static Entry **queue_end = &queue_first;
static Entry *ready_first; /* main thread only: taken from the queue, not yet run */
static int wake_fd = -1;
static GThread *main_thread;

static gboolean on_wake(int fd, GIOCondition condition, gpointer data);
static void take_queue(void);
static void wake(void);

void
conf_main_queue_init(void)
{
    if (main_thread != NULL) {
        g_assert(main_thread == g_thread_self());
        return;
    }
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        g_error("cannot make an eventfd: %s", g_strerror(errno));
    GSource *source = g_unix_fd_source_new(wake_fd, G_IO_IN);
    g_source_set_static_name(source, "main queue");
    g_source_set_callback(source, G_SOURCE_FUNC(on_wake), NULL, NULL);
    g_source_attach(source, NULL);
    g_source_unref(source);
    main_thread = g_thread_self();
}

void
conf_main_queue_push(ConfMainFunc func, void *data)
{
    g_assert(wake_fd >= 0);
    Entry *entry = g_new(Entry, 1);
    *entry = (Entry){NULL, func, data};

    g_mutex_lock(&queue_lock);
    bool was_empty = queue_first == NULL;
    *queue_end = entry;
    queue_end = &entry->next;
    g_mutex_unlock(&queue_lock);
    if (was_empty)
        wake();
}

void
conf_assert_main(void)
{
    /* Before conf_main_queue_init() no thread has been started, so who calls is the main thread. */
    if (G_UNLIKELY(main_thread != NULL && main_thread != g_thread_self()))
        g_error("called off the main thread");
}

static gboolean
on_wake(int fd, GIOCondition condition, gpointer data)
{
    uint64_t count;
    /* EAGAIN cannot matter: the queue is looked at in any case. */
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;

    if (ready_first == NULL)
        take_queue();
    int64_t until = conf_clock_monotonic_usec() + SLICE_USEC;
    while (ready_first != NULL) {
        Entry *entry = ready_first;
        ready_first = entry->next;
        ConfMainFunc func = entry->func;
        void *func_data = entry->data;
        g_free(entry);
        func(func_data);
        if (ready_first != NULL && conf_clock_monotonic_usec() >= until)
            break;
    }

    g_mutex_lock(&queue_lock);
    bool more = queue_first != NULL || ready_first != NULL;
    g_mutex_unlock(&queue_lock);
    if (more)
        wake();
    return G_SOURCE_CONTINUE;
}

static void
take_queue(void)
{
    g_mutex_lock(&queue_lock);
    ready_first = queue_first;
    queue_first = NULL;
    queue_end = &queue_first;
    g_mutex_unlock(&queue_lock);
}

static void
wake(void)
{
    uint64_t one = 1;
    while (write(wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}
