/* password.c - hashes of passwords by libxcrypt: yescrypt for new ones, whatever crypt(5) knows for stored
 * ones. */
#include "access/password-private.h"

#include <crypt.h>
#include <errno.h>
#include <string.h>

#include "access/login.h"

G_STATIC_ASSERT(CONF_PASSWORD_SIZE_MAX < CRYPT_MAX_PASSPHRASE_SIZE);
G_STATIC_ASSERT(CONF_PASSWORD_SETTING_SIZE >= CRYPT_GENSALT_OUTPUT_SIZE);

static char *hash_with(const char *password, const char *setting);
static bool equal_in_constant_time(const char *a, const char *b);

char *
conf_password_hash_now(ConfSlice password)
{
    if (!conf_password_is_possible(password))
        return NULL;
    char *copy = conf_slice_dup(password);
    char *hash = conf_password_hash(copy);
    conf_secret_free(copy);
    return hash;
}

bool
conf_password_verify_now(ConfSlice password, const char *hash)
{
    if (!conf_password_is_possible(password))
        return false;
    char *copy = conf_slice_dup(password);
    bool right = conf_password_matches(copy, hash);
    conf_secret_free(copy);
    return right;
}

bool
conf_password_is_possible(ConfSlice password)
{
    return password.size <= CONF_PASSWORD_SIZE_MAX &&
           (password.size == 0 || memchr(password.data, '\0', password.size) == NULL);
}

void
conf_password_new_setting(char setting[CONF_PASSWORD_SETTING_SIZE])
{
    if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, CONF_PASSWORD_SETTING_SIZE) == NULL)
        g_error("libcrypt cannot make a salt for yescrypt: %s", g_strerror(errno));
}

bool
conf_password_matches(const char *password, const char *hash)
{
    char *made = hash_with(password, hash);
    if (made == NULL) {
        /* A stored text that is no hash ("*", "!") would be told by its speed. */
        char setting[CONF_PASSWORD_SETTING_SIZE];
        conf_password_new_setting(setting);
        conf_secret_free(hash_with(password, setting));
        return false;
    }
    bool right = equal_in_constant_time(made, hash);
    conf_secret_free(made);
    return right;
}

char *
conf_password_hash(const char *password)
{
    char setting[CONF_PASSWORD_SETTING_SIZE];
    conf_password_new_setting(setting);
    return hash_with(password, setting);
}

void
conf_secret_free(char *secret)
{
    if (secret == NULL)
        return;
    explicit_bzero(secret, strlen(secret));
    g_free(secret);
}

static char *
hash_with(const char *password, const char *setting)
{
    struct crypt_data *data = g_new0(struct crypt_data, 1);
    const char *made = crypt_rn(password, setting, data, sizeof(*data));
    char *copy = made != NULL && *made != '*' ? g_strdup(made) : NULL;
    explicit_bzero(data, sizeof(*data));
    g_free(data);
    return copy;
}

static bool
equal_in_constant_time(const char *a, const char *b)
{
    size_t size = strlen(a);
    if (strlen(b) != size)
        return false;
    unsigned differences = 0;
    for (size_t i = 0; i < size; i++)
        differences |= (unsigned)((unsigned char)a[i] ^ (unsigned char)b[i]);
    return differences == 0;
}
