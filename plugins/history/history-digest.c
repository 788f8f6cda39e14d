/* history-digest.c - the digests that chain the rows of the file: SHA-256 over the digest before and every
 * value of the row, each with its length, so that no two rows give the same bytes.  They find what was
 * edited, deleted, put in or swapped by whoever does not make all later digests anew; against those the
 * head goes to the log and to the replicas (history-head.c). */
#include "history-private.h"

#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

static gnutls_hash_hd_t begin(void);
static void add(gnutls_hash_hd_t hash, const void *data, size_t size);
static void add_value(gnutls_hash_hd_t hash, const void *data, size_t size);
static void add_text(gnutls_hash_hd_t hash, const char *text);
static void add_integer(gnutls_hash_hd_t hash, int64_t integer);

void
history_digest_entry(const uint8_t previous[HISTORY_DIGEST_SIZE], const char *previous_chain,
                     const HistoryEntry *entry, uint8_t digest[HISTORY_DIGEST_SIZE],
                     char chain[HISTORY_CHAIN_SIZE])
{
    /* The record goes in once, by the very digest whose beginning is the commit's chain. */
    uint8_t link[HISTORY_DIGEST_SIZE];
    history_digest_link(previous_chain, entry->record, entry->record_size, link, chain);
    gnutls_hash_hd_t hash = begin();
    add(hash, previous, HISTORY_DIGEST_SIZE);
    add(hash, link, sizeof link);
    const int64_t integers[] = {entry->revision, entry->from,        entry->time_ms,
                                entry->user,     entry->application, entry->linked};
    for (unsigned i = 0; i < G_N_ELEMENTS(integers); i++)
        add_integer(hash, integers[i]);
    add_text(hash, entry->address);
    add_text(hash, entry->chain);
    for (unsigned i = 0; i < entry->changes->len; i++) {
        const HistoryChange *change = &g_array_index(entry->changes, HistoryChange, i);
        add_text(hash, change->type);
        add_integer(hash, change->dbid);
        add_text(hash, change->op);
        add_text(hash, change->name);
        add_text(hash, change->rights);
    }
    gnutls_hash_deinit(hash, digest);
}

void
history_digest_link(const char *previous_chain, const char *record, size_t record_size,
                    uint8_t link[HISTORY_DIGEST_SIZE], char chain[HISTORY_CHAIN_SIZE])
{
    gnutls_hash_hd_t hash = begin();
    add(hash, previous_chain, strlen(previous_chain));
    add(hash, record, record_size);
    gnutls_hash_deinit(hash, link);
    for (unsigned i = 0; i < HISTORY_CHAIN_SIZE - 1; i++)
        chain[i] = "0123456789abcdef"[i % 2 == 0 ? link[i / 2] >> 4 : link[i / 2] & 15];
    chain[HISTORY_CHAIN_SIZE - 1] = '\0';
}

void
history_digest_audit(const uint8_t previous[HISTORY_DIGEST_SIZE], const HistoryAudit *audit,
                     uint8_t digest[HISTORY_DIGEST_SIZE])
{
    gnutls_hash_hd_t hash = begin();
    add(hash, previous, HISTORY_DIGEST_SIZE);
    const int64_t integers[] = {audit->id, audit->time_ms, audit->session, audit->user, audit->application};
    for (unsigned i = 0; i < G_N_ELEMENTS(integers); i++)
        add_integer(hash, integers[i]);
    add_text(hash, audit->kind);
    add_text(hash, audit->user_name);
    add_text(hash, audit->application_name);
    add_text(hash, audit->address);
    add_text(hash, audit->detail);
    gnutls_hash_deinit(hash, digest);
}

void
history_digest_mark(const char *name, const HistoryMark *mark, uint8_t seal[HISTORY_DIGEST_SIZE])
{
    gnutls_hash_hd_t hash = begin();
    add_text(hash, name);
    add_integer(hash, mark->position);
    add_text(hash, mark->chain);
    add(hash, mark->digest, HISTORY_DIGEST_SIZE);
    add_integer(hash, mark->time_ms);
    gnutls_hash_deinit(hash, seal);
}

void
history_digest_text(const char *text, uint8_t digest[HISTORY_DIGEST_SIZE])
{
    gnutls_hash_hd_t hash = begin();
    add(hash, text, strlen(text));
    gnutls_hash_deinit(hash, digest);
}

static gnutls_hash_hd_t
begin(void)
{
    gnutls_hash_hd_t hash;
    int status = gnutls_hash_init(&hash, GNUTLS_DIG_SHA256);
    /* Only for want of memory, where GLib ends the process too. */
    if (status < 0)
        g_error("gnutls_hash_init: %s", gnutls_strerror(status));
    return hash;
}

static void
add(gnutls_hash_hd_t hash, const void *data, size_t size)
{
    int status = size > 0 ? gnutls_hash(hash, data, size) : 0;
    if (status < 0)
        g_error("gnutls_hash: %s", gnutls_strerror(status));
}

static void
add_value(gnutls_hash_hd_t hash, const void *data, size_t size)
{
    add_integer(hash, (int64_t)size);
    add(hash, data, size);
}

/* NULL is not the empty text. */
static void
add_text(gnutls_hash_hd_t hash, const char *text)
{
    if (text == NULL)
        add_integer(hash, -1);
    else
        add_value(hash, text, strlen(text));
}

static void
add_integer(gnutls_hash_hd_t hash, int64_t integer)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)((uint64_t)integer >> (8 * i));
    add(hash, bytes, sizeof bytes);
}
