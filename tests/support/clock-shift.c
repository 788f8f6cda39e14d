/* clock-shift.c - preloaded into servers under test: their clocks go by what a file says, beside the true
 * time.
 *
 * CONFSERV_TEST_CLOCK names the file: two numbers of 64 bits, nanoseconds to be added to the wall clock
 * and to the monotonic one.  It is mapped, so that a test moves the clocks of servers that run. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t *shifts;

__attribute__((constructor)) static void
map_shifts(void)
{
    const char *path = getenv("CONFSERV_TEST_CLOCK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (map != MAP_FAILED)
        shifts = map;
    if (fd >= 0)
        close(fd);
}

__attribute__((visibility("default"))) int
clock_gettime(clockid_t clock, struct timespec *time)
{
    enum { NANOSECONDS = 1000000000 };
    long status = syscall(SYS_clock_gettime, clock, time);
    if (status != 0 || shifts == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC))
        return (int)status;
    int64_t all = (int64_t)time->tv_sec * NANOSECONDS + time->tv_nsec;
    all += atomic_load(&shifts[clock == CLOCK_MONOTONIC]);
    time->tv_sec = (time_t)(all / NANOSECONDS);
    time->tv_nsec = (long)(all % NANOSECONDS);
    return 0;
}
