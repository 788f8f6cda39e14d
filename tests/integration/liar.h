/* liar.h - a server that does not keep to the protocol, in a thread of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef enum {
    LIAR_ENDLESS_LINE, /* bytes without end, never a line */
    LIAR_BYTES,        /* lines of nonsense */
    LIAR_DEEP,         /* a million brackets */
    LIAR_MANY_VALUES,  /* twenty million zeros in one line */
    LIAR_WRONG_IDS,    /* answers to what nobody asked */
    LIAR_HALF_LINE,    /* half an answer, and the end */
    LIAR_SILENCE,      /* half an answer, and nothing more */
    LIAR_REFUSES,      /* the log-in, in words that would colour a terminal */
    LIAR_CHALLENGES,   /* asks for more, again and again */
    LIAR_FLOOD,        /* notifications without end, never an answer */
    LIAR_POLLS,        /* questions without end, never reading an answer */
    LIAR_EMPTY_PAGES,  /* lists that have nothing and never end */
    LIAR_SAME_CURSOR,  /* lists that begin anew for ever */
    LIAR_MUTATE,       /* what another server says, with something in it changed */
    LIAR_COUNT,
} LiarManner;

typedef struct Liar Liar;
/* `target`: the server whose answers are changed; only for LIAR_MUTATE. */
Liar *liar_new(LiarManner manner, uint16_t target, uint32_t seed);
uint16_t liar_get_port(const Liar *liar);
void liar_free(Liar *liar);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Liar, liar_free)
