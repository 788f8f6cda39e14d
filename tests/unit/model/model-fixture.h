/* model-fixture.h - the project's schema, an arena, and short ways to make trees and objects, for the
 * tests of the model. */
#pragma once

#include <glib.h>

#include "model/filter.h"
#include "model/object.h"

typedef struct {
    ConfSchema *schema;
    ConfArena *arena;
    ConfRpcError error;
} ModelFixture;

void model_fixture_set_up(ModelFixture *fixture, const void *data);
void model_fixture_tear_down(ModelFixture *fixture, const void *data);
#define MODEL_TEST(path, func) \
    g_test_add(path, ModelFixture, NULL, model_fixture_set_up, func, model_fixture_tear_down)

/* NULL text: NULL. */
ConfJson *model_tree(ModelFixture *fixture, const char *text);
/* dbid 105, revision 7, tenant 1, folder 12, enabled. */
ConfObject *model_create(ModelFixture *fixture, ConfTypeId type, const char *text);
ConfObject *model_update(ModelFixture *fixture, const ConfObject *before, const char *patch, const char *add,
                         const char *remove);
/* The fixture's error is -32602 at this path; clears it. */
#define model_assert_fault(fixture, path) model_assert_fault_at(fixture, path, __FILE__, __LINE__)
void model_assert_fault_at(ModelFixture *fixture, const char *path, const char *file, int line);
/* Body of the object without the head that model_create gives: from the member behind "state" on. */
const char *model_rest(const ConfObject *object);
