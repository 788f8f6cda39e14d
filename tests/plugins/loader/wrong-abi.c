/* wrong-abi.c - built for another ABI, of which this server can know nothing but that: it uses a function
 * that is not here, and what stands behind the ABI in its descriptor is no pointer to anything. */
#include <stdint.h>

#include "plugin/confserv-plugin.h"

void conf_function_of_another_abi(void);
CONF_API void wrong_abi_uses_it(void);

void
wrong_abi_uses_it(void)
{
    conf_function_of_another_abi();
}

CONF_API extern const uint64_t conf_plugin[32];
const uint64_t conf_plugin[32] = {
    (uint64_t)(CONF_PLUGIN_ABI + 1) << 32 | CONF_PLUGIN_MAGIC, 0, 1, 2, 3, 4, 5, 6, 7,
};
