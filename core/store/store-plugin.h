/* store-plugin.h - lends the store to plugins (confserv-plugin.h: objects, commits, look-ups). */
#pragma once

#include "store/store.h"

/* The store that conf_plugin_lookup() reads; NULL: none. */
void conf_plugin_set_store(ConfStore *store);
