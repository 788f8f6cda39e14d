/* false-master.c - see false-master.h. */
#include "false-master.h"

static void
forget(void *commit)
{
    conf_commit_unref(commit);
}

static void
committed(ConfCommit *commit, void *data)
{
    Play *play = data;
    g_ptr_array_add(play->published, conf_commit_ref(commit));
}

static void
ready(ConfStore *store, void *data)
{
    static const ConfPublishFuncs funcs = {.done = committed};
    Play *play = data;
    g_assert_null(play->store);
    play->store = store;
    play->publisher = conf_publisher_new(store);
    conf_publisher_add(play->publisher, &funcs, play);
}

static void
status(void *data)
{
    ((Play *)data)->statuses++;
}

static void
failed(const GError *error, void *data)
{
    g_assert_nonnull(error);
    ((Play *)data)->failures++;
}

static ConfPublisher *
publisher_of(void *data)
{
    return ((Play *)data)->publisher;
}

static void
environment_changed(void *data)
{
    ((Play *)data)->environments++;
}

static void
lineage(const char *environment, int64_t revision, const char *chain, void *data)
{
    Play *play = data;
    const ConfStorePosition *position = conf_store_position(play->told);
    g_assert_cmpstr(environment, ==, position->environment);
    g_assert_cmpint(revision, <=, position->revision);
    g_assert_cmpuint(strlen(chain), ==, 16);
    play->lineages++;
}

static int64_t
confirmed(void *data)
{
    return ((Play *)data)->confirmed;
}

static bool
record(int64_t revision, const char *chain, const char *text, GError **error, void *data)
{
    Play *play = data;
    if (play->refusing) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FULL, "The disk is full");
        return false;
    }
    g_assert_cmpuint(strlen(chain), ==, 16);
    g_assert_cmpint(revision, >, 0);
    g_ptr_array_add(play->records, g_strdup(text));
    play->confirmed = MAX(play->confirmed, revision);
    return true;
}

static ConfAccounts *
accounts_of(void *data)
{
    return ((Play *)data)->accounts;
}

Play *
play_new(void)
{
    Play *play = g_new0(Play, 1);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    play->door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    g_assert_cmpint(bind(play->door, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(play->door, 4), ==, 0);
    g_assert_cmpint(getsockname(play->door, (struct sockaddr *)&address, &size), ==, 0);
    play->port = ntohs(address.sin_port);
    play->told = fixture_store();
    play->epoch = 3;
    play->published = g_ptr_array_new_with_free_func(forget);
    play->records = g_ptr_array_new_with_free_func(g_free);
    ConfUpstreamSettings settings = {
        .hosts = "127.0.0.1",
        .port = (uint16_t)play->port,
        .application = "px",
        .user = "default",
        .password = "secret",
        .role = "proxy",
        .transport = "",
        .release = "1",
    };
    ConfUpstreamHost host = {
        .ready = ready,
        .status = status,
        .failed = failed,
        .publisher = publisher_of,
        .environment_changed = environment_changed,
        .lineage = lineage,
        .confirmed = confirmed,
        .record = record,
        .accounts = accounts_of,
        .data = play,
    };
    GError *error = NULL;
    play->upstream = conf_upstream_new(&settings, &host, &error);
    g_assert_no_error(error);
    return play;
}

void
play_free(Play *play)
{
    conf_upstream_free(play->upstream);
    net_test_iterate();
    conf_publisher_free(play->publisher);
    conf_accounts_free(play->accounts);
    conf_store_free(play->store);
    conf_store_free(play->told);
    if (play->peer != NULL)
        peer_free(play->peer);
    close(play->door);
    g_ptr_array_unref(play->published);
    g_ptr_array_unref(play->records);
    g_free(play);
}

/* The line that holds the text; NULL: not yet. */
static char *
take_line(Play *play, const char *text)
{
    if (play->peer == NULL) {
        int fd = accept(play->door, NULL, NULL);
        if (fd < 0)
            return NULL;
        play->peer = peer_new(fd);
    }
    peer_read(play->peer);
    const char *found = strstr(play->peer->received->str, text);
    const char *end = found != NULL ? strchr(found, '\n') : NULL;
    if (end == NULL)
        return NULL;
    const char *begin = found;
    while (begin > play->peer->received->str && begin[-1] != '\n')
        begin--;
    char *line = g_strndup(begin, (size_t)(end - begin));
    g_string_erase(play->peer->received, 0, end + 1 - play->peer->received->str);
    return line;
}

char *
play_expect(Play *play, const char *method, int64_t *id)
{
    g_autofree char *text = g_strdup_printf("\"method\":\"%s\"", method);
    char *line = NULL;
    WAIT_FOR((line = take_line(play, text)) != NULL);
    const char *number = strstr(line, "\"id\":");
    g_assert_nonnull(number);
    *id = g_ascii_strtoll(number + 5, NULL, 10);
    return line;
}

void
play_send(Play *play, const char *line)
{
    g_autofree char *whole = g_strconcat(line, "\n", NULL);
    peer_send_text(play->peer, whole);
}

void
play_answer(Play *play, int64_t id, const char *result)
{
    g_autofree char *line =
        g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%" INT ",\"result\":%s}", id, result);
    play_send(play, line);
}

void
play_tell(Play *play, const char *method, const char *params, ...)
{
    va_list arguments;
    va_start(arguments, params);
    g_autofree char *text = g_strdup_vprintf(params, arguments);
    va_end(arguments);
    g_autofree char *line =
        g_strdup_printf("{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":%s}", method, text);
    play_send(play, line);
}

void
play_expect_closed(Play *play)
{
    WAIT_FOR((peer_read(play->peer), play->peer->eof || play->peer->reset));
    g_clear_pointer(&play->peer, peer_free);
}

char *
play_open(Play *play, const char *mode)
{
    int64_t id = 0;
    g_autofree char *login = play_expect(play, "session.open", &id);
    g_assert_nonnull(strstr(login, "\"application\":\"px\""));
    play_answer(play, id, "{}");
    char *line = play_expect(play, "replica.open", &id);
    const ConfStorePosition *position = conf_store_position(play->told);
    g_autofree char *answer =
        g_strdup_printf("{\"mode\":\"%s\",\"environment\":\"%s\",\"epoch\":%" INT
                        ",\"release\":\"1\",\"revision\":%" INT ",\"chain\":\"%s\"}",
                        mode, position->environment, play->epoch, position->revision, position->chain);
    play_answer(play, id, answer);
    return line;
}

void
play_tell_objects(Play *play)
{
    const ConfSchema *schema = conf_store_schema(play->told);
    ConfSlice text = conf_schema_text(schema);
    play_tell(play, "replica.schema", "%.*s", (int)text.size, text.data);
    ConfKey at = {0};
    for (const ConfObject *object; (object = conf_store_next(play->told, at)) != NULL;
         at = conf_object_key(object)) {
        g_auto(ConfBuffer) more = CONF_BUFFER_INIT;
        if (object->secrets != NULL)
            conf_buffer_printf(&more, ",\"secrets\":%s", object->secrets->data);
        if (object->acl != NULL) {
            conf_buffer_printf(&more,
                               ",\"permissions\":{\"revision\":%" INT ",\"entries\":", object->acl_revision);
            conf_acl_write(object->acl, schema, &more);
            conf_buffer_append_char(&more, '}');
        }
        conf_buffer_append_char(&more, '\0');
        play_tell(play, "replica.objects", "{\"objects\":[{\"object\":%s%s}]}", object->body->data,
                  more.data);
    }
}

void
play_tell_loaded(Play *play, const char *digest)
{
    const ConfStorePosition *position = conf_store_position(play->told);
    char own[33];
    conf_store_digest_text(play->told, own);
    play_tell(play, "replica.loaded", "{\"revision\":%" INT ",\"chain\":\"%s\",\"digest\":\"%s\"}",
              position->revision, position->chain, digest != NULL ? digest : own);
}

void
play_load(Play *play)
{
    bool first = play->store == NULL;
    unsigned before = play->published->len;
    g_autofree char *line = play_open(play, "snapshot");
    play_tell_objects(play);
    play_tell_loaded(play, NULL);
    WAIT_FOR(first ? play->store != NULL : play->published->len > before);
}

void
play_wait_revision(Play *play, int64_t revision)
{
    WAIT_FOR(play->store != NULL && conf_store_position(play->store)->revision == revision);
}

ConfObject *
play_host(Play *play, int64_t dbid, int64_t revision, const char *name, const char *k)
{
    g_autofree char *more = k != NULL ? g_strdup_printf("\"annex\":{\"a\":{\"k\":\"%s\"}}", k) : NULL;
    return FIXTURE_OBJECT(conf_store_schema(play->told), CONF_TYPE_HOST, dbid, revision, name, 1, 103,
                          .more = more);
}

static void
apply(Play *play, ConfChangeKind kind, ConfObject *before, ConfObject *after)
{
    FixtureChange change = {kind, before, after};
    g_autoptr(ConfCommit) commit = fixture_commit(play->told, &change, 1);
    conf_store_apply(play->told, commit, NULL, NULL);
}

static void
tell_change(Play *play, const char *change)
{
    const ConfStorePosition *position = conf_store_position(play->told);
    play_tell(play, "replica.changes",
              "{\"revision\":%" INT
              ",\"chain\":\"%s\",\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{\"user\":100},"
              "\"changes\":[%s]}",
              position->revision, position->chain, change);
}

void
play_create(Play *play, int64_t dbid, const char *name)
{
    int64_t revision = conf_store_position(play->told)->revision + 1;
    ConfObject *host = play_host(play, dbid, revision, name, NULL);
    g_autofree char *change = g_strdup_printf(
        "{\"op\":\"create\",\"type\":\"host\",\"dbid\":%" INT ",\"object\":%s}", dbid, host->body->data);
    apply(play, CONF_CHANGE_CREATE, NULL, host);
    tell_change(play, change);
}

void
play_update(Play *play, int64_t dbid, const char *k, const char *hash)
{
    const ConfObject *before = conf_store_lookup(play->told, (ConfKey){.type = CONF_TYPE_HOST, .dbid = dbid});
    int64_t revision = conf_store_position(play->told)->revision + 1;
    g_autofree char *name = conf_slice_dup(conf_object_name(before));
    ConfObject *after = play_host(play, dbid, revision, name, k);
    char own[65];
    conf_object_body_hash(after, own);
    g_autofree char *change =
        g_strdup_printf("{\"op\":\"update\",\"type\":\"host\",\"dbid\":%" INT ",\"revision\":%" INT
                        ",\"hash\":\"%s\",\"patch\":{\"annex\":{\"a\":{\"k\":\"%s\"}}}}",
                        dbid, revision, hash != NULL ? hash : own, k);
    apply(play, CONF_CHANGE_UPDATE, conf_object_ref(before), after);
    tell_change(play, change);
}

void
play_delete(Play *play, int64_t dbid)
{
    const ConfObject *before = conf_store_lookup(play->told, (ConfKey){.type = CONF_TYPE_HOST, .dbid = dbid});
    g_autofree char *change =
        g_strdup_printf("{\"op\":\"delete\",\"type\":\"host\",\"dbid\":%" INT "}", dbid);
    apply(play, CONF_CHANGE_DELETE, conf_object_ref(before), NULL);
    tell_change(play, change);
}
