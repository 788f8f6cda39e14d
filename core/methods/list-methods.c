/* list-methods.c - object.list and object.count: a filter evaluated in slices, one page an answer.
 *
 * One list at a time a connection: its input is held meanwhile, so that what a client can make the server
 * remember is one page.  The cursor carries the revision at which the list began, so that every page tells
 * the same. */
#include "methods/methods-private.h"
#include "store/query.h"

enum { LIMIT_DEFAULT = 1000, LIMIT_MAX = 10000, PAGE_MAX = 1024 * 1024 - 4096 };

typedef struct {
    ConfMethods *methods;
    ConfRequest *request; /* held once it goes on in slices */
    ConfQuery *query;
    ConfProjection *projection;
    ConfBuffer objects;
    int64_t limit;
    int64_t count;
    bool only_count;
    int64_t revision;
    char chain[17];
    int64_t as_of; /* 0: the present is listed */
    ConfPastUse *use;
    ConfPast *past;
    ConfRpcError error; /* what the past is not there for */
    ConfSlicedWork *work;
} Listing;

static void object_list(ConfRequest *request, void *data);
static void object_count(ConfRequest *request, void *data);
static void start(ConfMethods *methods, ConfRequest *request, bool only_count,
                  void (*again)(ConfRequest *, void *));
static Listing *listing_new(ConfMethods *methods, ConfRequest *request, const ConfJson *params,
                            bool only_count, int64_t as_of, ConfRpcError *error);
static void start_past(Listing *listing);
static void past_ready(const ConfRpcError *error, void *data);
static bool read_cursor(Listing *listing, const ConfJson *params, ConfRpcError *error);
static bool is_readable(const ConfObject *object, void *data);
static bool step(Listing *listing, bool *more);
static bool add_object(Listing *listing, const ConfObject *object);
static bool slice(void *data);
static bool look_at_past(Listing *listing);
static void answer(Listing *listing, ConfRequest *request, bool more);
static void gone(void *data);
static void listing_free(Listing *listing);

void
conf_methods_add_list(ConfMethods *methods, ConfMethodTable *table)
{
    static const ConfMethod family[] = {
        {.name = "object.list", .func = object_list},
        {.name = "object.count", .func = object_count},
    };
    conf_methods_add_all(methods, table, family, G_N_ELEMENTS(family));
}

static void
object_list(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    start(methods, request, false, object_list);
}

static void
object_count(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    start(methods, request, true, object_count);
}

static void
start(ConfMethods *methods, ConfRequest *request, bool only_count, void (*again)(ConfRequest *, void *))
{
    static const char *const list_names[] = {
        "type", "filter", "fields", "limit", "cursor", "order", "asOf", CONF_FRESHNESS_NAMES, NULL};
    static const char *const count_names[] = {"type", "filter", CONF_FRESHNESS_NAMES, NULL};
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfJson *params =
        conf_request_parse_params(request, only_count ? count_names : list_names, &error);
    if (params == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    if (!conf_methods_is_ready(methods, request, params, again))
        return;
    int64_t as_of = 0;
    if (!conf_methods_as_of(methods, params, &as_of, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    *(only_count ? &methods->statistics.counts : &methods->statistics.lists) += 1;
    Listing *listing = listing_new(methods, request, params, only_count, as_of, &error);
    if (listing == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    bool more = false;
    if (as_of == 0 && step(listing, &more)) {
        answer(listing, request, more);
        listing_free(listing);
        return;
    }
    listing->request = conf_request_hold(request);
    conf_request_on_gone(listing->request, gone, listing);
    conf_connection_hold_input(conf_request_get_connection(listing->request));
    if (as_of != 0)
        start_past(listing);
    else
        listing->work = conf_work_start(conf_poller_default(), "list", slice, listing);
}

static void
start_past(Listing *listing)
{
    listing->use =
        conf_methods_use_past(listing->methods, listing->as_of, past_ready, listing, &listing->error);
    if (listing->use == NULL || conf_past_use_is_ready(listing->use))
        past_ready(NULL, listing);
}

/* The first slice looks at it, and tells what went wrong. */
static void
past_ready(const ConfRpcError *error, void *data)
{
    Listing *listing = data;
    if (error != NULL)
        conf_rpc_fail(&listing->error, error->code, "%s", error->message);
    conf_methods_note_past(listing->methods, listing->request);
    listing->work = conf_work_start(conf_poller_default(), "list of the past", slice, listing);
}

static Listing *
listing_new(ConfMethods *methods, ConfRequest *request, const ConfJson *params, bool only_count,
            int64_t as_of, ConfRpcError *error)
{
    ConfStore *store = methods->context.store;
    const ConfSchema *schema = conf_store_schema(store);
    const ConfTypeInfo *type = conf_methods_type(methods, params, "type", false, error);
    if (error->code != 0)
        return NULL;
    ConfSlice order = CONF_SLICE("dbid");
    int64_t limit = LIMIT_DEFAULT;
    if (!conf_params_string(params, "", "order", false, &order, error) ||
        !conf_params_integer(params, "", "limit", 1, LIMIT_MAX, false, &limit, error))
        return NULL;
    bool by_name = conf_slice_is(order, "name");
    if (!by_name && !conf_slice_is(order, "dbid")) {
        conf_rpc_fail_path(error, "/order", "order is dbid or name");
        return NULL;
    }
    const ConfJson *tree = conf_json_member(params, "filter");
    if (tree != NULL && tree->kind != CONF_JSON_OBJECT) {
        conf_rpc_fail_path(error, "/filter", "filter must be an object");
        return NULL;
    }
    const ConfJson *fields = conf_json_member(params, "fields");
    ConfProjection *projection = NULL;
    if (fields != NULL && (projection = conf_projection_parse(schema, fields, "/fields", error)) == NULL)
        return NULL;
    ConfFilter *filter = conf_filter_compile(schema, type, tree, "/filter", error);
    if (filter == NULL) {
        conf_projection_free(projection);
        return NULL;
    }
    Listing *listing = g_new0(Listing, 1);
    listing->methods = methods;
    listing->projection = projection;
    listing->limit = limit;
    listing->only_count = only_count;
    listing->revision = conf_store_position(store)->revision;
    memcpy(listing->chain, conf_store_position(store)->chain, sizeof listing->chain);
    listing->as_of = as_of;
    if (as_of != 0) {
        listing->revision = as_of;
        memset(listing->chain, '0', 16);
    }
    listing->query = conf_query_new(store, type, filter, by_name ? CONF_ORDER_NAME : CONF_ORDER_DBID,
                                    is_readable, listing);
    listing->request = request;
    if (!read_cursor(listing, params, error)) {
        listing_free(listing);
        return NULL;
    }
    return listing;
}

/* "REVISION.CHAIN.POSITION" */
static bool
read_cursor(Listing *listing, const ConfJson *params, ConfRpcError *error)
{
    ConfSlice cursor = {NULL, 0};
    if (!conf_params_string(params, "", "cursor", false, &cursor, error))
        return false;
    if (cursor.data == NULL)
        return true;
    g_autofree char *text = conf_slice_dup(cursor);
    char *end = NULL;
    int64_t revision = g_ascii_strtoll(text, &end, 10);
    if (end == text || *end != '.' || revision < 1 || strlen(end) < 19 || end[17] != '.')
        return conf_rpc_fail_path(error, "/cursor", "This is no cursor of a list");
    if (listing->as_of != 0 && revision != listing->as_of)
        return conf_rpc_fail_path(error, "/cursor", "The cursor is of a list of another revision");
    listing->revision = revision;
    memcpy(listing->chain, end + 1, 16);
    for (unsigned i = 0; i < 16; i++) {
        if (!g_ascii_isxdigit(listing->chain[i]))
            return conf_rpc_fail_path(error, "/cursor", "This is no cursor of a list");
    }
    return conf_query_set_cursor(listing->query, conf_slice_from_string(end + 18), "/cursor", error);
}

static bool
is_readable(const ConfObject *object, void *data)
{
    Listing *listing = data;
    ConfSession *session = conf_request_get_session(listing->request);
    if (session == NULL)
        return false;
    return listing->past != NULL
               ? conf_methods_may_read_then(listing->methods, session, listing->past, object)
               : conf_session_may_read(session, object);
}

/* True: the page is complete; *more says whether another follows. */
static bool
step(Listing *listing, bool *more)
{
    for (;;) {
        ConfQueryVerdict verdict = CONF_QUERY_END;
        const ConfObject *object = conf_query_next(listing->query, &verdict);
        if (object == NULL) {
            *more = false;
            return verdict == CONF_QUERY_END;
        }
        if (listing->only_count) {
            listing->count++;
            continue;
        }
        /* The page is full, and this one shows that there is more. */
        if (listing->count == listing->limit || !add_object(listing, object)) {
            conf_query_put_back(listing->query);
            *more = true;
            return true;
        }
    }
}

static bool
add_object(Listing *listing, const ConfObject *object)
{
    size_t before = listing->objects.size;
    if (before > 0)
        conf_buffer_append_char(&listing->objects, ',');
    if (listing->projection != NULL)
        conf_projection_write(listing->projection, object, &listing->objects);
    else
        conf_buffer_append_slice(&listing->objects, conf_bytes_slice(object->body));
    if (listing->objects.size > PAGE_MAX && before > 0) {
        conf_buffer_truncate(&listing->objects, before);
        return false;
    }
    listing->count++;
    return true;
}

static bool
slice(void *data)
{
    Listing *listing = data;
    bool more = false;
    conf_poller_note("list");
    bool is_wanted = conf_request_get_session(listing->request) != NULL && look_at_past(listing);
    if (is_wanted && !step(listing, &more))
        return true;
    listing->work = NULL;
    conf_request_on_gone(listing->request, NULL, NULL);
    ConfConnection *connection = conf_request_get_connection(listing->request);
    if (listing->error.code != 0)
        conf_request_fail(listing->request, &listing->error);
    else
        answer(listing, listing->request, more);
    conf_request_release(listing->request);
    listing_free(listing);
    conf_connection_release_input(connection);
    return false;
}

/* As it stands in this slice.  False: it is not to be had. */
static bool
look_at_past(Listing *listing)
{
    if (listing->as_of == 0)
        return true;
    listing->past = listing->error.code == 0 ? conf_past_use_get(listing->use, &listing->error) : NULL;
    if (listing->past != NULL)
        conf_query_set_state(listing->query, conf_past_state(listing->past));
    return listing->past != NULL;
}

static void
answer(Listing *listing, ConfRequest *request, bool more)
{
    ConfBuffer *buffer = conf_request_begin(request);
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT, listing->revision);
    if (listing->only_count) {
        conf_buffer_printf(buffer, ",\"count\":%" G_GINT64_FORMAT "}", listing->count);
        conf_request_end(request);
        return;
    }
    if (listing->as_of == 0)
        conf_buffer_printf(buffer, ",\"chain\":\"%s\"", listing->chain);
    CONF_BUFFER_LITERAL(buffer, ",\"objects\":[");
    conf_buffer_append_slice(buffer, conf_buffer_slice(&listing->objects));
    conf_buffer_append_char(buffer, ']');
    if (more) {
        /* The query writes its position as a JSON string; ours goes in front, within the quotes. */
        g_auto(ConfBuffer) position = CONF_BUFFER_INIT;
        conf_query_write_cursor(listing->query, &position);
        conf_buffer_printf(buffer, ",\"cursor\":\"%" G_GINT64_FORMAT ".%s.", listing->revision,
                           listing->chain);
        conf_buffer_append(buffer, position.data + 1, position.size - 1);
    }
    conf_buffer_append_char(buffer, '}');
    conf_request_end(request);
}

static void
gone(void *data)
{
    Listing *listing = data;
    if (listing->work != NULL)
        conf_work_cancel(listing->work);
    conf_request_release(listing->request);
    listing_free(listing);
}

static void
listing_free(Listing *listing)
{
    conf_query_free(listing->query);
    conf_projection_free(listing->projection);
    conf_buffer_clear(&listing->objects);
    conf_rpc_error_clear(&listing->error);
    conf_past_use_release(listing->use);
    g_free(listing);
}
