/* message.c - what the writer tells the main loop.  Arrives in the order told; after conf_storage_close()
 * nothing does. */
#include "storage/storage-private.h"

#include "base/queue-main.h"

typedef enum { TELL_VERDICT, TELL_UNKNOWN, TELL_EPOCH, TELL_LOST, TELL_FOUND, TELL_DEPOSED, TELL_READ } Kind;

typedef struct {
    Kind kind;
    ConfStorage *storage; /* reference */
    ConfStoredFunc func;
    void (*unknown)(void *data);
    void *data;
    ConfStoredVerdict verdict;
    bool is_commit;
    int64_t epoch;
    ConfStorageRead *read; /* owned */
    GError *error;
} Message;

static void push(Message message);
static void deliver(void *data);
static void hand_over(const Message *message);

void
conf_storage_tell_verdict(ConfStorage *storage, ConfStoredFunc func, void *data, ConfStoredVerdict verdict,
                          const GError *error, bool is_commit)
{
    push((Message){
        .kind = TELL_VERDICT,
        .storage = storage,
        .func = func,
        .data = data,
        .verdict = verdict,
        .is_commit = is_commit,
        .error = error != NULL ? g_error_copy(error) : NULL,
    });
}

void
conf_storage_tell_unknown(ConfStorage *storage, void (*unknown)(void *data), void *data)
{
    push((Message){.kind = TELL_UNKNOWN, .storage = storage, .unknown = unknown, .data = data});
}

void
conf_storage_tell_epoch(ConfStorage *storage, int64_t epoch)
{
    push((Message){.kind = TELL_EPOCH, .storage = storage, .epoch = epoch});
}

void
conf_storage_tell_lost(ConfStorage *storage, const GError *error)
{
    push((Message){.kind = TELL_LOST, .storage = storage, .error = g_error_copy(error)});
}

void
conf_storage_tell_found(ConfStorage *storage)
{
    push((Message){.kind = TELL_FOUND, .storage = storage});
}

void
conf_storage_tell_deposed(ConfStorage *storage, int64_t epoch_seen)
{
    push((Message){.kind = TELL_DEPOSED, .storage = storage, .epoch = epoch_seen});
}

void
conf_storage_tell_read(ConfStorage *storage, ConfStorageRead *read, const GError *error)
{
    push((Message){
        .kind = TELL_READ,
        .storage = storage,
        .read = read,
        .error = error != NULL ? g_error_copy(error) : NULL,
    });
}

static void
push(Message message)
{
    conf_storage_ref(message.storage);
    conf_main_queue_push(deliver, g_memdup2(&message, sizeof(message)));
}

static void
deliver(void *data)
{
    Message *message = data;
    if (!message->storage->closed)
        hand_over(message);
    conf_storage_unref(message->storage);
    if (message->read != NULL)
        conf_storage_read_free(message->read);
    g_clear_error(&message->error);
    g_free(message);
}

static void
hand_over(const Message *message)
{
    ConfStorage *storage = message->storage;
    const ConfStorageFuncs *funcs = storage->funcs;
    switch (message->kind) {
    case TELL_VERDICT:
        if (message->is_commit)
            storage->commit_under_way = false;
        message->func(message->verdict, message->error, message->data);
        break;
    case TELL_UNKNOWN:
        message->unknown(message->data);
        break;
    case TELL_EPOCH:
        storage->told_epoch = message->epoch;
        break;
    case TELL_LOST:
        storage->available = false;
        if (funcs != NULL && funcs->lost != NULL)
            funcs->lost(message->error, storage->funcs_data);
        break;
    case TELL_FOUND:
        storage->available = true;
        if (funcs != NULL && funcs->found != NULL)
            funcs->found(storage->funcs_data);
        break;
    case TELL_DEPOSED:
        storage->available = false;
        if (funcs != NULL && funcs->deposed != NULL)
            funcs->deposed(message->epoch, storage->funcs_data);
        break;
    case TELL_READ:
        conf_storage_hand_over_read(message->read, message->error);
        break;
    }
}
