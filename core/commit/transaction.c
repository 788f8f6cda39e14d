/* transaction.c - a transaction to be: the operations as the client gave them and who gave them. */
#include "commit/transaction-private.h"

#include <string.h>

static void wipe(ConfBytes *bytes);

ConfTransaction *
conf_transaction_new(ConfTransactionForm form, ConfSlice operations, bool dry_run)
{
    ConfTransaction *transaction = g_new0(ConfTransaction, 1);
    transaction->form = form;
    transaction->dry_run = dry_run;
    transaction->operations = conf_bytes_new(operations.data, operations.size);
    return transaction;
}

ConfTransaction *
conf_transaction_new_amend(ConfKey key, uint8_t right, ConfSlice patch, ConfSlice secrets)
{
    ConfTransaction *transaction = g_new0(ConfTransaction, 1);
    transaction->form = CONF_TRANSACTION_SINGLE;
    transaction->amended = key;
    transaction->amend_right = right;
    if (patch.size > 0)
        transaction->patch = conf_bytes_new(patch.data, patch.size);
    if (secrets.size > 0)
        transaction->secrets = conf_bytes_new(secrets.data, secrets.size);
    return transaction;
}

void
conf_transaction_set_author(ConfTransaction *transaction, ConfKey subject, ConfKey user, ConfKey application,
                            const char *address)
{
    transaction->has_author = true;
    transaction->subject = subject;
    transaction->user = user;
    transaction->application = application;
    g_free(transaction->address);
    transaction->address = g_strdup(address);
}

void
conf_transaction_set_groups(ConfTransaction *transaction, const ConfKey *groups, unsigned count)
{
    if (transaction->groups == NULL)
        transaction->groups = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    g_array_append_vals(transaction->groups, groups, count);
}

void
conf_transaction_expect_secret(ConfTransaction *transaction, const char *member, const char *value)
{
    transaction->expected_member = member;
    transaction->expected_secret = g_strdup(value);
}

void
conf_transaction_set_visible(ConfTransaction *transaction, bool (*func)(const ConfObject *object, void *data),
                             void *data, void (*free_data)(void *data))
{
    transaction->visible = func;
    transaction->visible_data = data;
    transaction->free_visible_data = free_data;
}

void
conf_transaction_allow_dbids(ConfTransaction *transaction)
{
    transaction->allows_dbids = true;
}

void
conf_transaction_set_trusted(ConfTransaction *transaction)
{
    transaction->trusted = true;
}

void
conf_transaction_free(ConfTransaction *transaction)
{
    if (transaction == NULL)
        return;
    wipe(transaction->secrets);
    conf_bytes_unref(transaction->operations);
    conf_bytes_unref(transaction->patch);
    conf_bytes_unref(transaction->secrets);
    if (transaction->groups != NULL)
        g_array_unref(transaction->groups);
    if (transaction->free_visible_data != NULL)
        transaction->free_visible_data(transaction->visible_data);
    g_free(transaction->address);
    if (transaction->expected_secret != NULL)
        explicit_bzero(transaction->expected_secret, strlen(transaction->expected_secret));
    g_free(transaction->expected_secret);
    g_free(transaction);
}

size_t
conf_transaction_memory(const ConfTransaction *transaction)
{
    return 1024 + conf_bytes_slice(transaction->operations).size + conf_bytes_slice(transaction->patch).size +
           conf_bytes_slice(transaction->secrets).size;
}

/* Hashes of passwords do not stay in freed memory.  The bytes are this transaction's own copy. */
static void
wipe(ConfBytes *bytes)
{
    if (bytes != NULL)
        explicit_bzero(bytes->data, bytes->size);
}
