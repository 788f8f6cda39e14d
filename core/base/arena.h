/* arena.h - scratch memory given back all at once.  Nothing taken from an arena may outlive its next reset.
 */
#pragma once

#include "base/bytes.h"

typedef struct ConfArena ConfArena;

ConfArena *conf_arena_new(void);
void conf_arena_free(ConfArena *arena);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfArena, conf_arena_free)
/* Aligned to 16 bytes, zeroed.  Never NULL. */
void *conf_arena_alloc(ConfArena *arena, size_t size);
char *conf_arena_copy(ConfArena *arena, const void *data, size_t size);
/* Gives everything back; keeps one block of at most 64 KiB for the next use. */
void conf_arena_reset(ConfArena *arena);
#define CONF_ARENA_NEW(arena, Type) ((Type *)conf_arena_alloc((arena), sizeof(Type)))
