/* tsan-glib.c - tells ThreadSanitizer what GLib's locks order; to be preloaded (tests/support/README.md).
 *
 * GLib is not built with the sanitizer and makes its locks from futexes, which the sanitizer does not see:
 * without this every datum behind a GMutex is reported.  Each function here does what GLib's does, and
 * says so. */
#include <dlfcn.h>
#include <stdbool.h>

#include <glib.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

typedef struct {
    GFunc func;
    gpointer data;
} PoolFunc;

static void run_in_pool(gpointer item, gpointer data);

static void (*next_lock)(GMutex *mutex), (*next_unlock)(GMutex *mutex);

/* These two are too frequent to be looked up each time.  The first locks are taken before there is a
 * thread, by GLib's own start, perhaps before this constructor has run. */
__attribute__((constructor)) static void
look_up(void)
{
    next_lock = NEXT(g_mutex_lock);
    next_unlock = NEXT(g_mutex_unlock);
}

void
g_mutex_lock(GMutex *mutex)
{
    if (next_lock == NULL)
        look_up();
    next_lock(mutex);
    __tsan_acquire(mutex);
}

gboolean
g_mutex_trylock(GMutex *mutex)
{
    bool taken = NEXT(g_mutex_trylock)(mutex);
    if (taken)
        __tsan_acquire(mutex);
    return taken;
}

void
g_mutex_unlock(GMutex *mutex)
{
    if (next_unlock == NULL)
        look_up();
    __tsan_release(mutex);
    next_unlock(mutex);
}

void
g_cond_wait(GCond *cond, GMutex *mutex)
{
    __tsan_release(mutex);
    NEXT(g_cond_wait)(cond, mutex);
    __tsan_acquire(mutex);
}

gboolean
g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
    __tsan_release(mutex);
    bool woken = NEXT(g_cond_wait_until)(cond, mutex, end_time);
    __tsan_acquire(mutex);
    return woken;
}

GThreadPool *
g_thread_pool_new(GFunc func, gpointer data, gint threads, gboolean exclusive, GError **error)
{
    PoolFunc *wrapped = g_new(PoolFunc, 1); /* as long as the process: pools are */
    *wrapped = (PoolFunc){func, data};
    return NEXT(g_thread_pool_new)(run_in_pool, wrapped, threads, exclusive, error);
}

gboolean
g_thread_pool_push(GThreadPool *pool, gpointer item, GError **error)
{
    __tsan_release(item);
    return NEXT(g_thread_pool_push)(pool, item, error);
}

static void
run_in_pool(gpointer item, gpointer data)
{
    PoolFunc *wrapped = data;
    __tsan_acquire(item);
    wrapped->func(item, wrapped->data);
}
