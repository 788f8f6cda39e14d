/* password-private.h - hashes of passwords, one at a time.  Any thread: nothing here is shared. */
#pragma once

#include "base/bytes.h"

/* Longer ones cannot be hashed (the limit of libxcrypt, its NUL not counted). */
enum { CONF_PASSWORD_SIZE_MAX = 511, CONF_PASSWORD_SETTING_SIZE = 192 };

/* May this text be a password at all: not too long, no NUL in it? */
bool conf_password_is_possible(ConfSlice password);
/* A salt and parameters that no stored hash has: hashing with it costs what a check costs.  At start;
 * cannot fail. */
void conf_password_new_setting(char setting[CONF_PASSWORD_SETTING_SIZE]);
/* Costs one hash in every case.  `hash` may be a mere setting: then it is false. */
bool conf_password_matches(const char *password, const char *hash);
/* Returns new; NULL: not possible. */
char *conf_password_hash(const char *password);
/* NULL is allowed. */
void conf_secret_free(char *secret);
