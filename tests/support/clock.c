/* clock.c - see clock.h. */
#include "clock.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <glib.h>

static char path[] = "/tmp/confserv-clock-XXXXXX";
static _Atomic int64_t *shifts;

static void
remove_file(void)
{
    unlink(path);
}

void
test_clock_use(void)
{
    g_assert_true(g_file_test(CLOCK_SHIFT_MODULE, G_FILE_TEST_EXISTS));
    int fd = mkstemp(path);
    g_assert_cmpint(fd, >=, 0);
    atexit(remove_file);
    g_assert_cmpint(ftruncate(fd, 2 * sizeof(int64_t)), ==, 0);
    void *map = mmap(NULL, 2 * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(map != MAP_FAILED);
    close(fd);
    shifts = map;
    g_setenv("CONFSERV_TEST_CLOCK", path, TRUE);
    g_setenv("LD_PRELOAD", CLOCK_SHIFT_MODULE, TRUE);
    /* The sanitizer wants to be the first that is loaded; it works as well behind a library that knows one call. */
    const char *options = g_getenv("ASAN_OPTIONS");
    g_autofree char *with = g_strconcat(options != NULL ? options : "", ":verify_asan_link_order=0", NULL);
    g_setenv("ASAN_OPTIONS", with, TRUE);
}

void
test_clock_set(int64_t wall_ms, int64_t monotonic_ms)
{
    atomic_store(&shifts[0], wall_ms * 1000000);
    atomic_store(&shifts[1], monotonic_ms * 1000000);
}
