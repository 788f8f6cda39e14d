/* filter-private.h - a compiled filter: conditions on members, each a tree of tests.
 *
 * The path of a condition reaches a set of values (through lists: several).  An equality or a pattern is
 * true if one of them is hit; null is true if the set is empty; any-of and not combine.  So each value is
 * looked at once, whatever the number of tests. */
#pragma once

#include "base/json-reader.h"
#include "model/filter.h"
#include "model/value-private.h"

typedef enum {
    CONF_TEST_STRING,
    CONF_TEST_INTEGER,
    CONF_TEST_BOOLEAN,
    CONF_TEST_REFERENCE, /* {"type","dbid"} */
    CONF_TEST_LIKE,
    CONF_TEST_NULL,
    CONF_TEST_ANY,
    CONF_TEST_NOT,
} ConfTestKind;

typedef struct ConfTest ConfTest;
struct ConfTest {
    ConfTestKind kind;
    bool boolean;
    ConfSlice text; /* STRING, LIKE */
    ConfSlice time; /* STRING that is a time: in canonical form */
    int64_t integer;
    ConfKey key;     /* REFERENCE */
    uint64_t hit;    /* the match in which a value was hit last; of ANY: by one of its children */
    ConfTest *any;   /* the ANY that it is a child of */
    ConfTest *first; /* of ANY (leaves behind the others), NOT */
    ConfTest *next;  /* among the children */
    ConfTest *leaf;  /* next of the condition's leaves: those that look at values */
};

enum { CONF_CONDITION_STEPS_MAX = 16 };

typedef struct {
    ConfSlice *steps;
    unsigned step_count;
    ConfTest *test;
    ConfTest *leaves; /* linked by leaf */
    ConfTest **table; /* of the equalities where there are many; by hash, size mask + 1 */
    unsigned mask;    /* 0: no table */
    const ConfField *
        *fields;        /* by ordinal of the type: of the first step; NULL: the path leads nowhere there */
    int head;           /* place among the head's fields; -1: look into the body */
    bool shares_member; /* another condition begins with the same step */
    bool is_decided;    /* in this match */
    bool is_reached;    /* a value was, in this match */
} ConfCondition;

struct ConfFilter {
    ConfArena *arena;
    const ConfSchema *schema;
    ConfFilterHints hints;
    ConfCondition *conditions;
    unsigned condition_count;
    unsigned body_count; /* conditions that look into the body */
    struct ConfFilterState {
        ConfJsonReader reader, inner;
        uint64_t match; /* number of the match under way */
    } * state;
};

/* A value that a path reaches. */
typedef struct {
    ConfTestKind kind; /* NULL: something that equals nothing (a struct, a section) */
    bool is_time;
    bool boolean;
    ConfSlice text;
    int64_t integer;
    ConfKey key;
} ConfReached;

uint64_t conf_test_hash(ConfTestKind kind, ConfSlice text, int64_t integer, ConfKey key);
