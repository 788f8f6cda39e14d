/* transaction-private.h - what a transaction holds between its submission and its answer. */
#pragma once

#include "commit/commit-queue.h"

struct ConfTransaction {
    ConfTransactionForm form;
    bool dry_run;
    bool trusted; /* the server itself: rights are not asked */
    bool allows_dbids;
    bool has_author;
    ConfBytes *operations; /* raw JSON array; NULL: an amendment */
    ConfKey subject, user, application;
    GArray *groups; /* of ConfKey: further groups whose rights count; NULL: none */
    char *address;
    bool (*visible)(const ConfObject *object, void *data); /* NULL: nothing is hidden */
    void *visible_data;
    void (*free_visible_data)(void *data);

    /* An amendment: one object, by the server itself for a method. */
    ConfKey amended;
    uint8_t amend_right;
    ConfBytes *patch, *secrets;
    const char *expected_member; /* NULL: whatever stands there */
    char *expected_secret;
};

/* Memory that it takes while it waits. */
size_t conf_transaction_memory(const ConfTransaction *transaction);
static inline bool
conf_transaction_is_amendment(const ConfTransaction *transaction)
{
    return transaction->operations == NULL;
}
