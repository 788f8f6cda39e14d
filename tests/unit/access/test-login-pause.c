/* test-login-pause.c - pauses grow, end, are for one address, and are bounded in memory. */
#include "access/login-pause-private.h"

#define SECOND G_USEC_PER_SEC

static const ConfSlice ANNA = {"anna", 4};
static const ConfSlice BERT = {"bert", 4};
static const char HERE[] = "10.0.0.1";
static const char THERE[] = "10.0.0.2";

static ConfLoginPauses *
new_pauses(int64_t attempts, int64_t pause_ms, int64_t rate)
{
    ConfLoginPauses *pauses = conf_login_pauses_new();
    conf_login_pauses_set(pauses, attempts, pause_ms, rate);
    return pauses;
}

static void
test_grows(void)
{
    ConfLoginPauses *pauses = new_pauses(3, 1000, 0);
    int64_t now = 1000 * SECOND;
    for (unsigned i = 0; i < 2; i++) {
        conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
        g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 0);
    }
    static const unsigned WAITS_MS[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (unsigned i = 0; i < G_N_ELEMENTS(WAITS_MS); i++) {
        conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
        g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, WAITS_MS[i]);
        now += (int64_t)WAITS_MS[i] * 1000 - 500;
        g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 1);
        now += 500;
        g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 0);
    }
    for (unsigned i = 0; i < 100; i++)
        conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 60000);
    conf_login_pauses_free(pauses);
}

static void
test_one_name_one_address(void)
{
    ConfLoginPauses *pauses = new_pauses(1, 1000, 0);
    conf_login_pauses_note_refusal(pauses, ANNA, HERE, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, 0), >, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, THERE, 0), ==, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, BERT, HERE, 0), ==, 0);
    conf_login_pauses_note_refusal(pauses, ANNA, NULL, 0);
    conf_login_pauses_note_refusal(pauses, ANNA, "", 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, NULL, 0), ==, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, "", 0), ==, 0);
    conf_login_pauses_free(pauses);
}

/* A name can be spelt in two ways, an IPv6 host has any number of addresses, an IPv4 one two forms. */
static void
test_spellings(void)
{
    ConfLoginPauses *pauses = new_pauses(1, 1000, 0);
    conf_login_pauses_note_refusal(pauses, CONF_SLICE("z\xc3\xa4hler"), HERE, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, CONF_SLICE("za\xcc\x88hler"), HERE, 0), >, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, CONF_SLICE("z\xc3\xa4hler"), "::ffff:10.0.0.1", 0), >,
                     0);
    conf_login_pauses_note_refusal(pauses, ANNA, "2001:db8:1:2:3:4:5:6", 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, "2001:db8:1:2::99", 0), >, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, "2001:db8:1:3::99", 0), ==, 0);
    /* No text at all in UTF-8, and an empty name. */
    conf_login_pauses_note_refusal(pauses, CONF_SLICE("\xff\xfe"), HERE, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, CONF_SLICE("\xff\xfe"), HERE, 0), >, 0);
    conf_login_pauses_note_refusal(pauses, (ConfSlice){NULL, 0}, HERE, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, (ConfSlice){NULL, 0}, HERE, 0), >, 0);
    conf_login_pauses_free(pauses);
}

static void
test_success_ends_it(void)
{
    ConfLoginPauses *pauses = new_pauses(3, 1000, 0);
    int64_t now = 1000 * SECOND;
    for (unsigned i = 0; i < 3; i++)
        conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
    now += 2 * SECOND;
    conf_login_pauses_note_success(pauses, ANNA, HERE, now);
    now += 2 * SECOND;
    conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
    conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 0);
    conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 1000);
    conf_login_pauses_free(pauses);
}

/* A right password whose log-in is refused all the same brings the same pauses as a wrong one. */
static void
test_success_taken_back(void)
{
    ConfLoginPauses *pauses = new_pauses(3, 1000, 0);
    int64_t now = 1000 * SECOND;
    for (unsigned i = 0; i < 3; i++) {
        conf_login_pauses_note_success(pauses, ANNA, HERE, now);
        conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
    }
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 1000);
    conf_login_pauses_free(pauses);
}

static void
test_forgotten(void)
{
    ConfLoginPauses *pauses = new_pauses(3, 1000, 0);
    int64_t now = 1000 * SECOND;
    for (unsigned i = 0; i < 10; i++)
        conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
    now += 16 * 60 * SECOND;
    conf_login_pauses_note_refusal(pauses, ANNA, HERE, now);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 0);
    conf_login_pauses_free(pauses);
}

static void
test_rate_of_an_address(void)
{
    ConfLoginPauses *pauses = new_pauses(1000, 1000, 60);
    int64_t now = 1000 * SECOND;
    char name[16];
    unsigned length;
    for (unsigned i = 0; i < 60; i++) {
        length = (unsigned)g_snprintf(name, sizeof(name), "user%u", i);
        conf_login_pauses_note_refusal(pauses, (ConfSlice){name, length}, HERE, now);
    }
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 0);
    conf_login_pauses_note_refusal(pauses, BERT, HERE, now);
    /* Whoever comes from there; nobody who comes from elsewhere. */
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 1000);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, THERE, now), ==, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now + SECOND), ==, 0);
    /* A success of one does not clear the address of all. */
    conf_login_pauses_note_success(pauses, BERT, HERE, now);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 1000);
    for (unsigned i = 0; i < 1000; i++)
        conf_login_pauses_note_refusal(pauses, BERT, HERE, now);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now), ==, 60000);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, now + 60 * SECOND), ==, 0);
    conf_login_pauses_free(pauses);
}

static void
test_switched_off(void)
{
    ConfLoginPauses *pauses = new_pauses(1, 0, 0);
    for (unsigned i = 0; i < 100; i++)
        conf_login_pauses_note_refusal(pauses, ANNA, HERE, 0);
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, 0), ==, 0);
    conf_login_pauses_free(pauses);
}

static void
test_bounded(void)
{
    ConfLoginPauses *pauses = new_pauses(1, 60000, 0);
    char name[32];
    conf_login_pauses_note_refusal(pauses, ANNA, HERE, 0);
    conf_login_pauses_note_refusal(pauses, BERT, HERE, 0);
    for (unsigned i = 0; i < CONF_LOGIN_PAUSE_ENTRIES_MAX - 1; i++) {
        ConfSlice slice = {name, (size_t)g_snprintf(name, sizeof(name), "user%u", i)};
        conf_login_pauses_note_refusal(pauses, slice, HERE, 0);
        /* In use, so it stays. */
        if (i % 20000 == 0)
            g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, BERT, HERE, 0), >, 0);
    }
    g_assert_cmpuint(conf_login_pauses_wait_ms(pauses, ANNA, HERE, 0), ==, 0);
    conf_login_pauses_free(pauses);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/access/login-pause/grows", test_grows);
    g_test_add_func("/access/login-pause/one-name-one-address", test_one_name_one_address);
    g_test_add_func("/access/login-pause/spellings", test_spellings);
    g_test_add_func("/access/login-pause/success", test_success_ends_it);
    g_test_add_func("/access/login-pause/success-taken-back", test_success_taken_back);
    g_test_add_func("/access/login-pause/forgotten", test_forgotten);
    g_test_add_func("/access/login-pause/rate", test_rate_of_an_address);
    g_test_add_func("/access/login-pause/off", test_switched_off);
    g_test_add_func("/access/login-pause/bounded", test_bounded);
    return g_test_run();
}
