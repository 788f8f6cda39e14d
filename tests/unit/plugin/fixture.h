/* fixture.h - a host with the plugins of tests/plugins/loader, what they noted, and the main loop until
 * something holds. */
#pragma once

#include "../../plugins/loader/noted.h"
#include "base/error.h"
#include "base/queue-main.h"
#include "plugin/loader.h"

/* Sets GTest, the main queue and the log up. */
int fixture_run(int argc, char **argv, void (*add_tests)(void));
/* The folder of the modules. */
const char *fixture_folder(void);
/* All since the last call, one a line; borrowed until the next. */
const char *fixture_take_notes(void);
/* The plugin that loaded last and told so. */
ConfPlugin *fixture_last_plugin(void);
/* Settings as of a text "section/key=value ..." (no spaces in values). */
ConfSettings *fixture_settings(const char *text);
/* A host with `list` loaded, which must go well; own section "server". */
ConfPluginHost *fixture_load(const char *list, const char *settings);
/* Loading must fail: the message, g_free(). */
char *fixture_load_error(const char *list, const char *settings);
/* Turns the main loop until *flag, at most 10 s. */
void fixture_wait(const bool *flag);
/* Turns the main loop for as long as something is ready. */
void fixture_settle(void);
#define FIXTURE_ASSERT_HAS(text, part) \
    do { \
        if (strstr((text), (part)) == NULL) \
            g_error("\"%s\" is not in: %s", (part), (text)); \
    } while (0)
