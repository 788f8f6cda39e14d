/* bytes-private.h - the hash with a key of one's own, so that published vectors can be checked. */
#pragma once

#include "base/bytes.h"

uint64_t conf_siphash(const uint64_t key[2], ConfSlice a);
