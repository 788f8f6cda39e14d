/* fixture.h - a store with the first content and a small company, a real storage over a database that fails
 * as told, and the commit queue between them. */
#pragma once

#include "commit/commit-queue.h"

/* How the database takes the next commits. */
typedef enum {
    DATABASE_WELL,
    DATABASE_FULL,           /* not done */
    DATABASE_UNKNOWN_STORED, /* the connection breaks after the commit */
    DATABASE_UNKNOWN_LOST,   /* ... before it */
    DATABASE_HANGS,          /* until the mode changes, then well */
    DATABASE_DEPOSED,
} DatabaseMode;

typedef struct Fixture Fixture;

typedef struct {
    Fixture *fixture;
    bool done;
    unsigned number; /* of the answers of this fixture, this is the ...th; from 1 */
    int code;
    char *message, *data;
    int64_t revision, store_revision; /* as told; of the store when it was told */
    ConfCommit *commit;
    GArray *results; /* ConfOperationResult */
} Result;
void result_free(Result *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Result, result_free)
/* Of a transaction that went well and did one thing. */
const ConfChange *result_only_change(const Result *result);
const ConfOperationResult *result_nth(const Result *result, unsigned index);

struct Fixture {
    ConfStore *store;
    ConfAccess *access;
    ConfStorage *storage;
    ConfPublisher *publisher;
    ConfCommitQueue *queue;
    ConfCommitSettings settings;
    GHashTable *names;    /* name → dbid (GSIZE_TO_POINTER): what stands for @name@ in texts */
    GPtrArray *published; /* ConfCommit *, in order */
    unsigned answers;
    bool lost, deposed;
};

Fixture *fixture_new(void);
void fixture_free(Fixture *fixture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fixture, fixture_free)
extern const ConfStorageProvider database_provider;
/* Empty, well, and of another environment: the first call makes it. */
void database_reset(void);
const char *database_environment(void);
void database_set_mode(DatabaseMode mode);
/* The database cannot be opened: recovery from an unknown outcome has to wait. */
void database_set_away(bool away);
/* What is stored of an object, or NULL. */
char *database_body(ConfKey key);
int64_t database_revision(void);
unsigned database_commits(void);
/* The batch is with the storage, or being published. */
bool fixture_is_storing(Fixture *fixture);

/* "default", "boss", "anna", ...; a person. */
ConfKey fixture_person(Fixture *fixture, const char *name);
/* @name@ → dbid. */
char *fixture_expand(Fixture *fixture, const char *text);
void fixture_name(Fixture *fixture, const char *name, int64_t dbid);
/* `who` NULL: the server itself.  A text that begins with [ is a list, else a single operation. */
Result *fixture_submit(Fixture *fixture, const char *who, const char *text, bool dry_run);
Result *fixture_submit_transaction(Fixture *fixture, ConfTransaction *transaction);
void fixture_wait(Result *result);
void fixture_turn(void);
Result *fixture_run(Fixture *fixture, const char *who, const char *text);
/* A single create by `default`, which must go well; the name stands for its dbid from then on. */
int64_t fixture_make(Fixture *fixture, const char *name, const char *object);
const ConfObject *fixture_object(Fixture *fixture, const char *type, const char *name);
const char *fixture_body(Fixture *fixture, const char *type, const char *name);
/* `text` may be NULL, which has nothing. */
void fixture_assert_has(const char *text, const char *part);
