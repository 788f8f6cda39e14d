/* digest-private.h - HMAC-SHA256 over several texts, each told apart from the next by its length. */
#pragma once

#include "base/bytes.h"

enum { CONF_DIGEST_KEY_SIZE = 32, CONF_DIGEST_SIZE = 32 };

void conf_access_digest(const uint8_t key[CONF_DIGEST_KEY_SIZE], const ConfSlice *parts, unsigned count,
                        uint8_t digest[CONF_DIGEST_SIZE]);
