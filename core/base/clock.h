/* clock.h - monotonic time for intervals, wall-clock time only for what is shown or stored. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

int64_t conf_clock_monotonic_usec(void);
/* Milliseconds since 1970 UTC. */
int64_t conf_clock_wall_ms(void);

enum { CONF_TIME_TEXT_SIZE = 25 };
/* RFC 3339, UTC, milliseconds: "2026-11-21T09:00:00.000Z"; years 0001 to 9999. */
void conf_clock_format(int64_t wall_ms, char text[CONF_TIME_TEXT_SIZE]);
/* Accepts any RFC 3339 date-time, with offset.  False: it is none. */
bool conf_clock_parse(ConfSlice text, int64_t *wall_ms);
