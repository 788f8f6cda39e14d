/* test-replay.c - sessions that are told: live, the past after `since`, and what a change of groups does
 * to them. */
#include "session-fixture.h"

static void
counted(ConfSession *session, uint64_t missed, bool held, void *data)
{
    g_assert_true(held);
    *(int64_t *)data = (int64_t)missed;
    conf_replay_go(session);
}

/* Replays from there on; answers what was counted. */
static int64_t
replay(Seat *seat, int64_t from)
{
    int64_t missed = -1;
    conf_replay_start(seat->session, from, counted, &missed);
    while (missed < 0)
        g_main_context_iteration(NULL, FALSE);
    return missed;
}

static void
expect(Desk *desk, Seat *seat, const char *expected)
{
    g_autofree char *seen = seat_read(seat);
    g_autofree char *wanted = fixture_expand(desk->company, expected);
    g_assert_cmpstr(seen, ==, wanted);
}

static int64_t
now(Desk *desk)
{
    return conf_store_position(desk->company->store)->revision;
}

static void
test_count(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    int64_t from = now(desk);
    desk_commit(desk, "{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'1'}}");
    desk_commit(desk, "{'op':'update','type':'person','dbid':@carl@,'patch':{'firstName':'Carl'}}");
    desk_commit(desk, "[{'op':'update','type':'host','dbid':@h2@,'patch':{'address':'2'}},"
                      "{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'3'}}]");
    g_autoptr(Seat) seat = seat_new(desk, "default", NULL);
    seat_subscribe(desk, seat, "{'types':['host']}");
    /* What concerns it not is not counted. */
    g_assert_cmpint(replay(seat, from), ==, 2);
    /* Committed while it still replays: once, and behind the past. */
    desk_commit(desk, "{'op':'update','type':'host','dbid':@h3@,'patch':{'address':'4'}}");
    expect(desk, seat, "update host @h1@\nupdate host @h2@, update host @h1@\nupdate host @h3@");
    g_assert_null(seat->session->replay);
    desk_commit(desk, "{'op':'update','type':'host','dbid':@h3@,'patch':{'address':'5'}}");
    expect(desk, seat, "update host @h3@");
    g_assert_cmpint(seat->session->revision, ==, now(desk));
}

/* Of what is before the last reset nothing is sent, and the reset counts as one. */
static void
test_reset_counts_once(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    fixture_make(desk->company, "p1", "{'type':'host','name':'p1','folder':@apac@}");
    int64_t from = now(desk);
    desk_commit(desk, "{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'1'}}");
    desk_commit(desk, "{'op':'update','type':'folder','dbid':@apac@,'patch':{'folder':@emea@}}");
    desk_commit(desk, "{'op':'update','type':'host','dbid':@p1@,'patch':{'address':'2'}}");
    g_autoptr(Seat) seat = seat_new(desk, "default", NULL);
    seat_subscribe(desk, seat, "{'folder':@emea@}");
    g_assert_cmpint(replay(seat, from), ==, 2);
    g_autofree char *seen = seat_read(seat);
    g_autofree char *last = fixture_expand(desk->company, "\nupdate host @p1@");
    g_assert_true(g_str_has_prefix(seen, "reset "));
    g_assert_true(g_str_has_suffix(seen, last));
    g_assert_cmpint(g_strrstr(seen, "\n") - seen, ==, strchr(seen, '\n') - seen);
}

/* A session that breaks off while its past is counted leaves nothing behind, and takes up elsewhere. */
static void
test_break_while_counting(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    int64_t from = now(desk), missed = -1;
    desk_commit(desk, "{'op':'update','type':'host','dbid':@h1@,'patch':{'address':'1'}}");
    g_autoptr(Seat) seat = seat_new(desk, "default", NULL);
    seat_subscribe(desk, seat, "{'types':['host']}");
    conf_replay_start(seat->session, from, counted, &missed);
    conf_session_break(seat->session, NULL);
    for (unsigned i = 0; i < 10; i++)
        g_main_context_iteration(NULL, FALSE);
    g_assert_cmpint(missed, ==, -1);
    g_assert_null(seat->session->replay);
}

/* A group that a directory named for the session counts while it is there and enabled, though nobody is
 * its member. */
static void
test_directory_group(void)
{
    g_autoptr(Desk) desk = desk_new(1000);
    fixture_make(desk->company, "p1", "{'type':'host','name':'p1','folder':@apac@}");
    fixture_make(desk->company, "guests", "{'type':'accessGroup','name':'guests','kind':'custom'}");
    desk_commit(
        desk,
        "{'op':'permission','type':'folder','dbid':@apac@,'grant':[{'account':{'type':'accessGroup','dbid':@guests@},"
        "'rights':['read']}]}");
    desk_commit(
        desk,
        "{'op':'permission','type':'application','dbid':@a1@,'grant':[{'account':{'type':'person','dbid':@carl@},"
        "'rights':['execute']}]}");
    g_autoptr(Seat) seat = seat_new(desk, "carl", "guests");
    seat_subscribe(desk, seat, "{'types':['host','folder']}");
    desk_commit(desk, "{'op':'update','type':'host','dbid':@p1@,'patch':{'address':'1'}}");
    expect(desk, seat, "update host @p1@");
    desk_commit(desk, "{'op':'update','type':'accessGroup','dbid':@guests@,'patch':{'state':'disabled'}}");
    expect(desk, seat, "delete host @p1@ permission, delete folder @apac@ permission");
    desk_commit(desk, "{'op':'update','type':'host','dbid':@p1@,'patch':{'address':'2'}}");
    expect(desk, seat, "");
    desk_commit(desk, "{'op':'update','type':'accessGroup','dbid':@guests@,'patch':{'state':'enabled'}}");
    expect(desk, seat, "create folder @apac@ permission, create host @p1@ permission");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/session/replay/count", test_count);
    g_test_add_func("/session/replay/reset-counts-once", test_reset_counts_once);
    g_test_add_func("/session/replay/break-while-counting", test_break_while_counting);
    g_test_add_func("/session/replay/directory-group", test_directory_group);
    return g_test_run();
}
