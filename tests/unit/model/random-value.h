/* random-value.h - random values, objects and patches that fit a schema, as clients would write them. */
#pragma once

#include "model-fixture.h"

/* Values come from few, so that they meet again. */
void random_value(const ConfSchema *schema, const ConfField *field, GString *text);
/* An object of the type as given to object.create. */
void random_object(const ConfSchema *schema, const ConfTypeInfo *type, GString *text);
/* Patch, add and remove; each an object, perhaps an empty one. */
void random_change(const ConfSchema *schema, const ConfTypeInfo *type, GString *patch, GString *add,
                   GString *remove);
/* Own fields, options and annex that clients may set. */
bool random_may_set(const ConfField *field);
