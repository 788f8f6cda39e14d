/* id.h - random tokens, UUIDs, SHA-256. */
#pragma once

#include "base/bytes.h"

void conf_id_random(void *data, size_t size);
enum { CONF_UUID_TEXT_SIZE = 37, CONF_TOKEN_TEXT_SIZE = 33, CONF_CHAIN_TEXT_SIZE = 17 };
void conf_id_new_uuid(char text[CONF_UUID_TEXT_SIZE]); /* RFC 9562, version 4 */
bool conf_id_is_uuid(ConfSlice text);
void conf_id_new_token(char text[CONF_TOKEN_TEXT_SIZE]); /* 128 random bits, hex */
void conf_id_sha256(ConfSlice data, uint8_t digest[32]);
/* SHA-256 of the parts one after the other. */
void conf_id_sha256_parts(const ConfSlice *parts, unsigned count, uint8_t digest[32]);
void conf_id_hex(const uint8_t *data, size_t size, char *text /* 2 * size + 1 */);
/* The first 16 hex digits of SHA-256(previous, record): protocol.md 2. */
void conf_id_next_chain(const char *previous, ConfSlice record, char chain[CONF_CHAIN_TEXT_SIZE]);
