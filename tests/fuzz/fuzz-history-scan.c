/* fuzz-history-scan.c - any bytes as a record of the history file: cut into changes and members, and the
 * members compared.  Nothing is read beside the text: it stands in memory of just its size.  What is found
 * lies within. */
#include "history-methods-private.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static void check_within(HistorySlice whole, HistorySlice part);
static void walk(HistorySlice whole, HistorySlice value, unsigned depth);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = malloc(size);
    if (size > 0)
        memcpy(text, data, size);
    HistorySlice record = {text, size};
    HistoryScan scan;
    HistoryPiece piece;
    for (bool more = history_pieces_begin(&scan, record); more && history_pieces_next(&scan, &piece);) {
        const HistorySlice parts[] = {piece.op,    piece.type,          piece.name,        piece.before,
                                      piece.after, piece.rights_before, piece.rights_after};
        for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++)
            check_within(record, parts[i]);
        g_assert_cmpint(piece.dbid, >, 0);
        g_autofree char *was = NULL, *is = NULL;
        history_difference(piece.before, piece.after, &was, &is);
    }
    walk(record, record, 0);
    return 0;
}

static void
check_within(HistorySlice whole, HistorySlice part)
{
    if (part.size == 0)
        return;
    g_assert_true(part.data >= whole.data);
    g_assert_true(part.data + part.size <= whole.data + whole.size);
}

static void
walk(HistorySlice whole, HistorySlice value, unsigned depth)
{
    HistoryScan scan;
    HistorySlice key, item;
    for (bool more = depth < DEPTH_MAX && history_scan_begin(&scan, value);
         more && history_scan_next(&scan, &key, &item);) {
        check_within(whole, key);
        check_within(whole, item);
        check_within(whole, history_slice_unquote(item));
        history_slice_integer(item);
        walk(whole, item, depth + 1);
    }
}
