/* probe.h - what the plugin probe calls in the test program. */
#pragma once

#include "plugin/confserv-plugin.h"

/* Registers hooks and methods; returns their `self`. */
CONF_API void *probe_load(ConfPlugin *p);
