/* clock.h - the clocks of the servers that a test starts, moved while they run. */
#pragma once

#include <stdint.h>

/* Once, before the first server is started: all that are started from now on have such clocks. */
void test_clock_use(void);
/* From now on they are so far ahead of the true ones (less than 0: behind). */
void test_clock_set(int64_t wall_ms, int64_t monotonic_ms);
