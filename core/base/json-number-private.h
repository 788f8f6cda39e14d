/* json-number-private.h - the grammar of JSON numbers. */
#pragma once

#include "base/bytes.h"

/* Scans the number that begins at `start` with '-' or a digit.  Returns its end.  NULL: *message and *wrong
 * say what is wrong where. */
const char *conf_json_scan_number(const char *start, const char *end, int64_t *integer, bool *is_integer,
                                  const char **message, const char **wrong);
