/* no-descriptor.c - a module that is no plugin. */
#include "plugin/confserv-plugin.h"

CONF_API int no_descriptor(void);

int
no_descriptor(void)
{
    return 1;
}
