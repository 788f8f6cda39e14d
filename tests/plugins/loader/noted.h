/* noted.h - what these plugins tell the test program that loads them. */
#pragma once

#include "plugin/confserv-plugin.h"

/* The program exports them. */
CONF_API void test_note(const char *format, ...) G_GNUC_PRINTF(1, 2);
CONF_API void test_loaded(ConfPlugin *p);
