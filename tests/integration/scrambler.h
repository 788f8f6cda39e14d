/* scrambler.h - the other end of plugin t-filter: a relay between a plain client and a server whose
 * connections are scrambled, one layer or more.  A thread of its own carries the bytes, in pieces of any
 * size. */
#pragma once

#include <stdint.h>

#include <glib.h>

typedef struct TestScrambler TestScrambler;

/* `piece`: bytes written to the server at once; 0: as they come. */
TestScrambler *test_scrambler_new(uint16_t server_port, const char *name, unsigned layers, unsigned piece);
/* Where plain clients connect to; each gets a connection to the server of its own, one after the other. */
uint16_t test_scrambler_get_port(const TestScrambler *scrambler);
/* The next block to the server is one that it must not take. */
void test_scrambler_spoil(TestScrambler *scrambler);
/* Ends the connection in the middle of a block. */
void test_scrambler_cut(TestScrambler *scrambler);
void test_scrambler_free(TestScrambler *scrambler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestScrambler, test_scrambler_free)
