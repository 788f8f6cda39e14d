/* plugin-test.h - what the plugins of this folder share: a list of events that a test asks for, and
 * params. */
#pragma once

#include <stdarg.h>
#include <string.h>

#include "plugin/confserv-plugin.h"

/* One line an event; a test takes them all at once. */
static inline void G_GNUC_PRINTF(2, 3) test_note(GPtrArray *events, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(events, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

/* {"events":[...]}, which are then forgotten. */
static inline void
test_answer_events(GPtrArray *events, ConfRequest *r)
{
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "events");
    conf_writer_begin_array(w);
    for (unsigned i = 0; i < events->len; i++)
        conf_writer_string(w, g_ptr_array_index(events, i));
    conf_writer_end_array(w);
    conf_writer_end_object(w);
    g_autofree char *json = conf_writer_finish(w);
    g_ptr_array_set_size(events, 0);
    conf_request_answer_json(r, json);
}

/* A string of params; NULL: it is not there. */
static inline const char *
test_param(ConfRequest *r, const char *name)
{
    const ConfJson *params = conf_value_parse(conf_request_get_params_json(r), NULL);
    return conf_value_string(conf_value_member(params, name));
}

static inline int64_t
test_param_integer(ConfRequest *r, const char *name, int64_t otherwise)
{
    const ConfJson *params = conf_value_parse(conf_request_get_params_json(r), NULL);
    int64_t value = otherwise;
    conf_value_integer(conf_value_member(params, name), &value);
    return value;
}

static inline bool
test_is(const char *text, const char *wanted)
{
    return g_strcmp0(text, wanted) == 0;
}
