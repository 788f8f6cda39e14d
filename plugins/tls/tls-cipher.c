/* tls-cipher.c - options sec-protocol and cipher-list as a priority string of GnuTLS.
 *
 * cipher-list may be such a string itself, which begins with one of GnuTLS's keywords, or a list as OpenSSL
 * takes it.  The latter is worked out as OpenSSL does, over the suites below, and then named to GnuTLS by
 * parts: it can combine parts that the list has in different suites. */
#include <string.h>

#include "tls-private.h"

enum {
    ECDHE = 1 << 0,
    DHE = 1 << 1,
    STATIC_RSA = 1 << 2, /* key exchange */
    A_ECDSA = 1 << 3,
    A_RSA = 1 << 4,
    ANY_KEY = 1 << 5, /* TLS 1.3: the suite does not say */
    AES128 = 1 << 6,
    AES256 = 1 << 7,
    GCM = 1 << 8,
    CCM = 1 << 9,
    CBC = 1 << 10,
    CHACHA20 = 1 << 11,
    H_SHA1 = 1 << 12,
    H_SHA256 = 1 << 13,
    H_SHA384 = 1 << 14,
    V13 = 1 << 15,
    V12 = 1 << 16,
    ALL_BITS = (1 << 17) - 1,
};

typedef struct {
    const char *name;
    unsigned bits;
} Word;

/* In the order of preference that HIGH and ALL add them in. */
static const Word SUITES[] = {
    {"TLS_AES_128_GCM_SHA256", V13 | ANY_KEY | AES128 | GCM | H_SHA256},
    {"TLS_AES_256_GCM_SHA384", V13 | ANY_KEY | AES256 | GCM | H_SHA384},
    {"TLS_CHACHA20_POLY1305_SHA256", V13 | ANY_KEY | CHACHA20 | H_SHA256},
    {"TLS_AES_128_CCM_SHA256", V13 | ANY_KEY | AES128 | CCM | H_SHA256},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", V12 | ECDHE | A_ECDSA | AES128 | GCM | H_SHA256},
    {"ECDHE-RSA-AES128-GCM-SHA256", V12 | ECDHE | A_RSA | AES128 | GCM | H_SHA256},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", V12 | ECDHE | A_ECDSA | AES256 | GCM | H_SHA384},
    {"ECDHE-RSA-AES256-GCM-SHA384", V12 | ECDHE | A_RSA | AES256 | GCM | H_SHA384},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", V12 | ECDHE | A_ECDSA | CHACHA20 | H_SHA256},
    {"ECDHE-RSA-CHACHA20-POLY1305", V12 | ECDHE | A_RSA | CHACHA20 | H_SHA256},
    {"DHE-RSA-AES128-GCM-SHA256", V12 | DHE | A_RSA | AES128 | GCM | H_SHA256},
    {"DHE-RSA-AES256-GCM-SHA384", V12 | DHE | A_RSA | AES256 | GCM | H_SHA384},
    {"DHE-RSA-CHACHA20-POLY1305", V12 | DHE | A_RSA | CHACHA20 | H_SHA256},
    {"ECDHE-ECDSA-AES128-CCM", V12 | ECDHE | A_ECDSA | AES128 | CCM | H_SHA256},
    {"ECDHE-ECDSA-AES256-CCM", V12 | ECDHE | A_ECDSA | AES256 | CCM | H_SHA256},
    {"DHE-RSA-AES128-CCM", V12 | DHE | A_RSA | AES128 | CCM | H_SHA256},
    {"DHE-RSA-AES256-CCM", V12 | DHE | A_RSA | AES256 | CCM | H_SHA256},
    {"ECDHE-ECDSA-AES128-SHA256", V12 | ECDHE | A_ECDSA | AES128 | CBC | H_SHA256},
    {"ECDHE-RSA-AES128-SHA256", V12 | ECDHE | A_RSA | AES128 | CBC | H_SHA256},
    {"ECDHE-ECDSA-AES256-SHA384", V12 | ECDHE | A_ECDSA | AES256 | CBC | H_SHA384},
    {"ECDHE-RSA-AES256-SHA384", V12 | ECDHE | A_RSA | AES256 | CBC | H_SHA384},
    {"ECDHE-ECDSA-AES128-SHA", V12 | ECDHE | A_ECDSA | AES128 | CBC | H_SHA1},
    {"ECDHE-RSA-AES128-SHA", V12 | ECDHE | A_RSA | AES128 | CBC | H_SHA1},
    {"ECDHE-ECDSA-AES256-SHA", V12 | ECDHE | A_ECDSA | AES256 | CBC | H_SHA1},
    {"ECDHE-RSA-AES256-SHA", V12 | ECDHE | A_RSA | AES256 | CBC | H_SHA1},
    {"DHE-RSA-AES128-SHA256", V12 | DHE | A_RSA | AES128 | CBC | H_SHA256},
    {"DHE-RSA-AES256-SHA256", V12 | DHE | A_RSA | AES256 | CBC | H_SHA256},
    {"DHE-RSA-AES128-SHA", V12 | DHE | A_RSA | AES128 | CBC | H_SHA1},
    {"DHE-RSA-AES256-SHA", V12 | DHE | A_RSA | AES256 | CBC | H_SHA1},
    {"AES128-GCM-SHA256", V12 | STATIC_RSA | A_RSA | AES128 | GCM | H_SHA256},
    {"AES256-GCM-SHA384", V12 | STATIC_RSA | A_RSA | AES256 | GCM | H_SHA384},
    {"AES128-SHA256", V12 | STATIC_RSA | A_RSA | AES128 | CBC | H_SHA256},
    {"AES256-SHA256", V12 | STATIC_RSA | A_RSA | AES256 | CBC | H_SHA256},
    {"AES128-SHA", V12 | STATIC_RSA | A_RSA | AES128 | CBC | H_SHA1},
    {"AES256-SHA", V12 | STATIC_RSA | A_RSA | AES256 | CBC | H_SHA1},
};

/* A word names the suites that have one of its bits. */
static const Word GROUPS[] = {
    {"ALL", ALL_BITS},
    {"HIGH", ALL_BITS},
    {"DEFAULT", ALL_BITS},
    {"COMPLEMENTOFDEFAULT", 0},
    {"ECDHE", ECDHE},
    {"EECDH", ECDHE},
    {"kECDHE", ECDHE},
    {"kEECDH", ECDHE},
    {"DHE", DHE},
    {"EDH", DHE},
    {"kDHE", DHE},
    {"kEDH", DHE},
    {"kRSA", STATIC_RSA},
    {"RSA", STATIC_RSA},
    {"aRSA", A_RSA},
    {"ECDSA", A_ECDSA},
    {"aECDSA", A_ECDSA},
    {"AES", AES128 | AES256},
    {"AES128", AES128},
    {"AES256", AES256},
    {"AESGCM", GCM},
    {"AESCCM", CCM},
    {"CHACHA20", CHACHA20},
    {"SHA", H_SHA1},
    {"SHA1", H_SHA1},
    {"SHA256", H_SHA256},
    {"SHA384", H_SHA384},
    {"TLSv1.3", V13},
    {"TLSv1.2", V12},
    {"SSLv3", H_SHA1},
    {"TLSv1", H_SHA1},
    /* What OpenSSL lists forbid by habit, and this server has none of. */
    {"aNULL", 0},
    {"eNULL", 0},
    {"NULL", 0},
    {"ADH", 0},
    {"AECDH", 0},
    {"EXP", 0},
    {"EXPORT", 0},
    {"LOW", 0},
    {"MEDIUM", 0},
    {"MD5", 0},
    {"RC2", 0},
    {"RC4", 0},
    {"DES", 0},
    {"3DES", 0},
    {"IDEA", 0},
    {"SEED", 0},
    {"CAMELLIA", 0},
    {"CAMELLIA128", 0},
    {"CAMELLIA256", 0},
    {"ARIA", 0},
    {"ARIAGCM", 0},
    {"PSK", 0},
    {"kPSK", 0},
    {"aPSK", 0},
    {"SRP", 0},
    {"DSS", 0},
    {"aDSS", 0},
    {"ECDH", 0},
    {"kECDH", 0},
    {"DH", 0},
    {"kDH", 0},
};

/* What GnuTLS calls the parts; the first that fits. */
static const Word CIPHERS[] = {
    {"AES-128-GCM", AES128 | GCM}, {"AES-256-GCM", AES256 | GCM}, {"CHACHA20-POLY1305", CHACHA20},
    {"AES-128-CCM", AES128 | CCM}, {"AES-256-CCM", AES256 | CCM}, {"AES-128-CBC", AES128 | CBC},
    {"AES-256-CBC", AES256 | CBC},
};
static const Word EXCHANGES[] = {
    {"ECDHE-ECDSA", ECDHE | A_ECDSA},
    {"ECDHE-RSA", ECDHE | A_RSA},
    {"DHE-RSA", DHE | A_RSA},
    {"RSA", STATIC_RSA | A_RSA},
};

typedef struct {
    unsigned list[G_N_ELEMENTS(SUITES)]; /* indexes in SUITES, in order */
    unsigned length;
    bool killed[G_N_ELEMENTS(SUITES)];
} Choice;

static const char *versions_of(const char *protocol, GError **error);
static bool is_priority_string(const char *ciphers);
static bool translate(const char *ciphers, GString *text, bool *with_12, GError **error);
static bool apply(Choice *choice, const char *word, GError **error);
static bool match(const char *names, bool matches[G_N_ELEMENTS(SUITES)], GError **error);
static void take_out(Choice *choice, unsigned suite);
static void write_parts(const Choice *choice, GString *text, bool *with_12);
static void write_part(GString *text, const Word *parts, unsigned count, unsigned bits);

char *
tls_priority_string(const char *protocol, const char *ciphers, bool is_server, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *versions = versions_of(protocol, error);
    bool with_12 = true;
    if (versions == NULL)
        return NULL;
    if (ciphers == NULL || *ciphers == '\0') {
        /* No record is cheaper than one of AES-128-GCM; what has no forward secrecy is left out. */
        g_string_append(text,
                        "NORMAL:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:"
                        "-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:+DHE-RSA");
    } else if (is_priority_string(ciphers)) {
        g_string_append(text, ciphers);
    } else if (!translate(ciphers, text, &with_12, error)) {
        return NULL;
    }
    /* Last, so that no list brings an older version back, or the cipher that is none. */
    g_string_append(text, ":-NULL:-VERS-ALL");
    if (strchr(versions, '3') != NULL)
        g_string_append(text, ":+VERS-TLS1.3");
    if (strchr(versions, '2') != NULL && with_12)
        g_string_append(text, ":+VERS-TLS1.2");
    if (is_server)
        g_string_append(text, ":%SERVER_PRECEDENCE");
    gnutls_priority_t priority;
    const char *position = NULL;
    int result = gnutls_priority_init(&priority, text->str, &position);
    if (result < 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "option cipher-list: %s near '%.40s'",
                    gnutls_strerror(result), position != NULL ? position : "");
        return NULL;
    }
    gnutls_priority_deinit(priority);
    return g_strdup(text->str);
}

static const char *
versions_of(const char *protocol, GError **error)
{
    if (protocol == NULL || *protocol == '\0' || g_ascii_strcasecmp(protocol, "SSLv23") == 0)
        return "23";
    if (g_ascii_strcasecmp(protocol, "TLSv12") == 0)
        return "2";
    if (g_ascii_strcasecmp(protocol, "TLSv13") == 0)
        return "3";
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                "option sec-protocol: '%s' is none of TLSv12, TLSv13 and SSLv23 (which means 1.2 or later)",
                protocol);
    return NULL;
}

static bool
is_priority_string(const char *ciphers)
{
    static const char *const keywords[] = {"NORMAL", "NONE",      "PERFORMANCE", "PFS",
                                           "LEGACY", "SECURE128", "SECURE192",   "SECURE256",
                                           "SYSTEM", "SUITEB128", "SUITEB192",   NULL};
    g_autofree char *first = g_strndup(ciphers, strcspn(ciphers, ":"));
    return g_strv_contains(keywords, first) || (first[0] == '@' && first[1] != 'S');
}

static bool
translate(const char *ciphers, GString *text, bool *with_12, GError **error)
{
    Choice choice = {0};
    g_auto(GStrv) words = g_strsplit_set(ciphers, ":, ", -1);
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (words[i][0] != '\0' && !apply(&choice, words[i], error))
            return false;
    }
    if (choice.length == 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "option cipher-list: '%s' leaves no cipher",
                    ciphers);
        return false;
    }
    write_parts(&choice, text, with_12);
    return true;
}

static bool
apply(Choice *choice, const char *word, GError **error)
{
    bool matches[G_N_ELEMENTS(SUITES)];
    /* By strength they are ordered already; the level of what is believed is GnuTLS's own. */
    if (strcmp(word, "@STRENGTH") == 0 || g_str_has_prefix(word, "@SECLEVEL="))
        return true;
    char how = strchr("!-+", *word) != NULL ? *word++ : '\0';
    if (!match(word, matches, error))
        return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(SUITES); i++) {
        if (!matches[i])
            continue;
        unsigned before = choice->length;
        bool was_there = false;
        for (unsigned k = 0; k < before; k++)
            was_there = was_there || choice->list[k] == i;
        if (how != '\0')
            take_out(choice, i);
        choice->killed[i] = choice->killed[i] || how == '!';
        if (!choice->killed[i] && ((how == '\0' && !was_there) || (how == '+' && was_there)))
            choice->list[choice->length++] = i;
    }
    return true;
}

/* "ECDHE+AESGCM": what all of them name. */
static bool
match(const char *names, bool matches[G_N_ELEMENTS(SUITES)], GError **error)
{
    g_auto(GStrv) parts = g_strsplit(names, "+", -1);
    for (unsigned i = 0; i < G_N_ELEMENTS(SUITES); i++)
        matches[i] = true;
    for (unsigned i = 0; parts[i] != NULL; i++) {
        bool known = false;
        unsigned bits = 0;
        for (unsigned k = 0; k < G_N_ELEMENTS(GROUPS); k++) {
            if (strcmp(GROUPS[k].name, parts[i]) == 0) {
                known = true;
                bits = GROUPS[k].bits;
            }
        }
        for (unsigned k = 0; k < G_N_ELEMENTS(SUITES); k++) {
            bool named = strcmp(SUITES[k].name, parts[i]) == 0;
            known = known || named;
            matches[k] = matches[k] && (named || (SUITES[k].bits & bits) != 0);
        }
        if (!known) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                        "option cipher-list: '%s' is neither a name of OpenSSL that is known here nor the "
                        "beginning of a priority string of GnuTLS",
                        parts[i]);
            return false;
        }
    }
    return true;
}

static void
take_out(Choice *choice, unsigned suite)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < choice->length; i++) {
        if (choice->list[i] != suite)
            choice->list[kept++] = choice->list[i];
    }
    choice->length = kept;
}

static void
write_parts(const Choice *choice, GString *text, bool *with_12)
{
    g_string_append(text, "NORMAL:-CIPHER-ALL");
    for (unsigned i = 0; i < choice->length; i++)
        write_part(text, CIPHERS, G_N_ELEMENTS(CIPHERS), SUITES[choice->list[i]].bits);
    g_string_append(text, ":-KX-ALL");
    *with_12 = false;
    bool aead = false;
    for (unsigned i = 0; i < choice->length; i++) {
        unsigned bits = SUITES[choice->list[i]].bits;
        *with_12 = *with_12 || (bits & V12) != 0;
        aead = aead || (bits & CBC) == 0;
        write_part(text, EXCHANGES, G_N_ELEMENTS(EXCHANGES), bits);
    }
    g_string_append(text, ":-MAC-ALL");
    if (aead)
        g_string_append(text, ":+AEAD");
    static const Word macs[] = {
        {"SHA256", CBC | H_SHA256}, {"SHA384", CBC | H_SHA384}, {"SHA1", CBC | H_SHA1}};
    for (unsigned i = 0; i < choice->length; i++)
        write_part(text, macs, G_N_ELEMENTS(macs), SUITES[choice->list[i]].bits);
}

/* The part that has all its bits among those of the suite; once. */
static void
write_part(GString *text, const Word *parts, unsigned count, unsigned bits)
{
    for (unsigned i = 0; i < count; i++) {
        if ((parts[i].bits & bits) != parts[i].bits)
            continue;
        g_autofree char *word = g_strconcat(":+", parts[i].name, NULL);
        g_autofree char *inside = g_strconcat(word, ":", NULL);
        if (strstr(text->str, inside) == NULL && !g_str_has_suffix(text->str, word))
            g_string_append(text, word);
        return;
    }
}
