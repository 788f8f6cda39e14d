/* history-model.h - a model of the past: random writes, what was read live after each of them, and the
 * same read again with asOf. */
#pragma once

#include "fixture.h"

/* The server has a plugin that provides "history".  Writes `steps` transactions by `seed`, remembers what
 * lists and reads by name, path and dbid answered after each, then asks for `probes` of the revisions,
 * while it goes on writing, and fails the test where an answer differs.  `reader`: where the past is read
 * (the same server, or a proxy of it). */
void test_history_model(TestServer *server, TestServer *reader, uint32_t seed, unsigned steps,
                        unsigned probes);
/* One random transaction. */
void test_history_step(TestClient *client, GRand *random);
/* All pages of object.list with these params (without braces), as text; `as_of` 0: of now. */
char *test_history_list(TestClient *client, const char *params, int64_t as_of, unsigned limit);
int64_t test_history_revision(TestClient *client);
