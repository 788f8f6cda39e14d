/* view.c - what one commit means to those who see the same of it, and its lines.
 *
 * The net effect as a viewer sees it: an object readable and covered before and after is updated, one that
 * was not is created (it enters), one that is not any more is deleted (it leaves).  Lines are cached by
 * content: whoever sees the same set of changes shares the same bytes, whatever led to it. */
#include "base/clock.h"
#include "session/session-private.h"

enum {
    LINE_TARGET = 256 * 1024, /* a line is ended once it is longer: many sockets take small lines sooner */
    LINE_LIMIT = 1024 * 1024, /* protocol.md 1: no longer line unless a single object is */
};

static void add_change(ConfView *view, const ConfViewer *viewer, uint32_t index);
static void add_item(ConfView *view, ConfViewOp op, ConfReason reason, uint32_t order, uint32_t change,
                     const ConfObject *object);
static bool sees(const ConfViewer *viewer, ConfIdentity *identity, const ConfObject *object,
                 const ConfAcl *acl, const ConfPlace *place);
static ConfReason reason_of(ConfIdentity *identity, const ConfAcl *acl);
static int compare_items(const void *a, const void *b);
static bool is_shown(const ConfViewer *viewer, ConfKey key);
static void write_head(ConfBuffer *buffer, const ConfView *view, const ConfCommit *commit);
static size_t item_size(const ConfViewItem *item, const ConfCommit *commit);
static void write_item(ConfBuffer *buffer, const ConfViewItem *item, const ConfViewer *viewer);
static const char *reason_name(ConfReason reason);

void
conf_view_init(ConfView *view)
{
    *view = (ConfView){.items = g_array_new(FALSE, FALSE, sizeof(ConfViewItem))};
}

void
conf_view_clear(ConfView *view)
{
    g_array_unref(view->items);
}

void
conf_view_add_changes(ConfView *view, const ConfViewer *viewer, const GArray *matches)
{
    unsigned count = matches != NULL ? matches->len : viewer->commit->change_count;
    for (unsigned i = 0; i < count; i++)
        add_change(view, viewer, matches != NULL ? g_array_index(matches, uint32_t, i) : i);
}

void
conf_view_add_altered(ConfView *view, const ConfViewer *viewer, const ConfObject *object,
                      const ConfAcl *acl_before, const ConfAcl *acl_after, const ConfPlace *place_before,
                      const ConfPlace *place_after)
{
    bool before = sees(viewer, viewer->identity_before, object, acl_before, place_before);
    bool after = sees(viewer, viewer->identity_after, object, acl_after, place_after);
    if (before == after)
        return;
    view->altered++;
    /* Folders come before what lies in them, and go after it. */
    bool container = object->type == CONF_TYPE_FOLDER || object->type == CONF_TYPE_TENANT;
    unsigned depth = container ? place_after->folder_count + place_after->tenant_count : 1000;
    if (after)
        add_item(view, CONF_VIEW_ENTER, reason_of(viewer->identity_before, acl_before), depth, UINT32_MAX,
                 object);
    else
        add_item(view, CONF_VIEW_LEAVE, reason_of(viewer->identity_after, acl_after), 2000 - depth,
                 UINT32_MAX, object);
}

void
conf_view_finish(ConfView *view, const ConfViewer *viewer)
{
    unsigned limit = (unsigned)viewer->sessions->settings.view_change_max;
    if (view->altered > limit && !view->reset) {
        view->reset = true;
        for (unsigned i = 0; i < view->items->len && view->reset_reason != CONF_REASON_PERMISSION; i++) {
            ConfReason reason = g_array_index(view->items, ConfViewItem, i).reason;
            if (reason != CONF_REASON_NONE)
                view->reset_reason = reason;
        }
    }
    if (view->reset)
        return;
    g_array_sort(view->items, compare_items);
    if (view->items->len == 0 || viewer->commit->from != 0)
        return;
    view->by_user = is_shown(viewer, viewer->commit->user);
    view->by_application = is_shown(viewer, viewer->commit->application);
}

GHashTable *
conf_view_cache_new(void)
{
    return g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref,
                                 (GDestroyNotify)g_ptr_array_unref);
}

GPtrArray *
conf_view_lines(ConfView *view, const ConfViewer *viewer, GHashTable *cache)
{
    ConfViewItem by = {.op = view->by_user, .reason = view->by_application};
    g_array_append_val(view->items, by);
    g_autoptr(GBytes) key = g_bytes_new(view->items->data, view->items->len * sizeof(ConfViewItem));
    g_array_set_size(view->items, view->items->len - 1);
    GPtrArray *lines = g_hash_table_lookup(cache, key);
    if (lines == NULL) {
        lines = conf_view_write_lines(view, viewer);
        g_hash_table_insert(cache, g_bytes_ref(key), lines);
    }
    return lines;
}

GPtrArray *
conf_view_write_lines(const ConfView *view, const ConfViewer *viewer)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func((GDestroyNotify)conf_bytes_unref);
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    write_head(&buffer, view, viewer->commit);
    size_t head = buffer.size;
    for (unsigned i = 0; i < view->items->len; i++) {
        const ConfViewItem *item = &g_array_index(view->items, ConfViewItem, i);
        bool filled = buffer.size > head;
        if (filled &&
            (buffer.size > LINE_TARGET || buffer.size + item_size(item, viewer->commit) > LINE_LIMIT)) {
            CONF_BUFFER_LITERAL(&buffer, "],\"more\":true}}\n");
            g_ptr_array_add(lines, conf_buffer_to_bytes(&buffer));
            conf_buffer_truncate(&buffer, head);
            filled = false;
        }
        if (filled)
            conf_buffer_append_char(&buffer, ',');
        write_item(&buffer, item, viewer);
    }
    CONF_BUFFER_LITERAL(&buffer, "]}}\n");
    g_ptr_array_add(lines, conf_buffer_to_bytes(&buffer));
    return lines;
}

ConfBytes *
conf_view_reset_line(int64_t revision, ConfReason reason)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_rpc_begin_notification(&buffer, "subscription.reset");
    conf_buffer_printf(&buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"reason\":\"%s\"}}\n", revision,
                       reason_name(reason));
    return conf_buffer_to_bytes(&buffer);
}

static void
add_change(ConfView *view, const ConfViewer *viewer, uint32_t index)
{
    const ConfChange *change = &viewer->commit->changes[index];
    if (change->kind == CONF_CHANGE_SECRET)
        return;
    bool before = change->before != NULL && sees(viewer, viewer->identity_before, change->before,
                                                 change->acl_before, change->place_before);
    bool after = change->after != NULL &&
                 sees(viewer, viewer->identity_after, change->after, change->acl_after, change->place_after);
    if (change->kind == CONF_CHANGE_CREATE && after) {
        add_item(view, CONF_VIEW_CREATE, CONF_REASON_NONE, index, index, change->after);
    } else if (change->kind == CONF_CHANGE_DELETE && before) {
        add_item(view, CONF_VIEW_DELETE, CONF_REASON_NONE, index, index, change->before);
    } else if (before && after) {
        if (change->kind == CONF_CHANGE_UPDATE)
            add_item(view, CONF_VIEW_UPDATE, CONF_REASON_NONE, index, index, change->after);
    } else if (after) {
        view->altered++;
        bool container = change->after->type == CONF_TYPE_FOLDER || change->after->type == CONF_TYPE_TENANT;
        unsigned depth =
            container ? change->place_after->folder_count + change->place_after->tenant_count : 1000;
        add_item(view, CONF_VIEW_ENTER, reason_of(viewer->identity_before, change->acl_before), depth, index,
                 change->after);
    } else if (before) {
        view->altered++;
        bool container = change->before->type == CONF_TYPE_FOLDER || change->before->type == CONF_TYPE_TENANT;
        unsigned depth =
            container ? change->place_before->folder_count + change->place_before->tenant_count : 1000;
        add_item(view, CONF_VIEW_LEAVE, reason_of(viewer->identity_after, change->acl_after), 2000 - depth,
                 index, change->before);
    }
}

static void
add_item(ConfView *view, ConfViewOp op, ConfReason reason, uint32_t order, uint32_t change,
         const ConfObject *object)
{
    /* Cleared as a whole: items are compared byte by byte as the key of the cache. */
    ConfViewItem item;
    memset(&item, 0, sizeof item);
    item.op = op;
    item.reason = reason;
    item.order = order;
    item.change = change;
    item.object = object;
    g_array_append_val(view->items, item);
}

static bool
sees(const ConfViewer *viewer, ConfIdentity *identity, const ConfObject *object, const ConfAcl *acl,
     const ConfPlace *place)
{
    return (conf_identity_rights(identity, acl) & CONF_RIGHT_READ) != 0 &&
           conf_audience_covers(viewer->scopes, viewer->scope_count, conf_object_key(object), place) &&
           (viewer->only == NULL || conf_hooks_visible(viewer->only, object));
}

/* Why something was not seen on one side: permission wins over scope (protocol.md 13.4). */
static ConfReason
reason_of(ConfIdentity *identity, const ConfAcl *acl)
{
    return (conf_identity_rights(identity, acl) & CONF_RIGHT_READ) != 0 ? CONF_REASON_SCOPE
                                                                        : CONF_REASON_PERMISSION;
}

static int
compare_items(const void *a, const void *b)
{
    const ConfViewItem *x = a, *y = b;
    if (x->op != y->op)
        return x->op < y->op ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return conf_key_compare(conf_object_key(x->object), conf_object_key(y->object));
}

/* May the viewer know who did it?  One who was deleted by the very commit is judged as before it. */
static bool
is_shown(const ConfViewer *viewer, ConfKey key)
{
    if (key.dbid == 0)
        return false;
    const ConfObject *object = conf_store_lookup(viewer->sessions->store, key);
    if (object != NULL)
        return conf_identity_may_read(viewer->sessions->store, viewer->identity_after, object) &&
               (viewer->only == NULL || conf_hooks_visible(viewer->only, object));
    const ConfCommit *commit = viewer->commit;
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        if (change->kind == CONF_CHANGE_DELETE && conf_key_equal(conf_object_key(change->before), key))
            return (conf_identity_rights(viewer->identity_before, change->acl_before) & CONF_RIGHT_READ) != 0;
    }
    return false;
}

static void
write_head(ConfBuffer *buffer, const ConfView *view, const ConfCommit *commit)
{
    char time[CONF_TIME_TEXT_SIZE];
    conf_clock_format(commit->time_ms, time);
    conf_rpc_begin_notification(buffer, "changes");
    CONF_BUFFER_LITERAL(buffer, "{\"revision\":");
    conf_buffer_append_integer(buffer, commit->revision);
    if (commit->from != 0) {
        CONF_BUFFER_LITERAL(buffer, ",\"from\":");
        conf_buffer_append_integer(buffer, commit->from);
        CONF_BUFFER_LITERAL(buffer, ",\"reason\":\"reload\"");
    }
    CONF_BUFFER_LITERAL(buffer, ",\"chain\":\"");
    conf_buffer_append_string(buffer, commit->chain);
    CONF_BUFFER_LITERAL(buffer, "\",\"time\":\"");
    conf_buffer_append_string(buffer, time);
    conf_buffer_append_char(buffer, '"');
    if (view->by_user || view->by_application) {
        CONF_BUFFER_LITERAL(buffer, ",\"by\":{");
        if (view->by_user) {
            CONF_BUFFER_LITERAL(buffer, "\"user\":");
            conf_buffer_append_integer(buffer, commit->user.dbid);
        }
        if (view->by_user && view->by_application)
            conf_buffer_append_char(buffer, ',');
        if (view->by_application) {
            CONF_BUFFER_LITERAL(buffer, "\"application\":");
            conf_buffer_append_integer(buffer, commit->application.dbid);
        }
        conf_buffer_append_char(buffer, '}');
    }
    CONF_BUFFER_LITERAL(buffer, ",\"changes\":[");
}

/* A patch takes an object to the revision of its commit.  In a fold an object has some revision in between,
 * so what was changed is sent whole, with its own. */
static bool
is_patch(const ConfViewItem *item, const ConfCommit *commit)
{
    return item->op == CONF_VIEW_UPDATE && commit->from == 0;
}

static size_t
item_size(const ConfViewItem *item, const ConfCommit *commit)
{
    enum { FRAME = 2200 }; /* operation, type, dbid, reason, an escaped name of 255 characters */
    if (is_patch(item, commit))
        return commit->changes[item->change].difference->size + FRAME;
    return FRAME + (item->op <= CONF_VIEW_UPDATE ? item->object->body->size : 0);
}

static void
write_item(ConfBuffer *buffer, const ConfViewItem *item, const ConfViewer *viewer)
{
    static const char *const names[] = {"create", "create", "update", "delete", "delete"};
    const ConfObject *object = item->object;
    bool patch = is_patch(item, viewer->commit), whole = item->op <= CONF_VIEW_UPDATE && !patch;
    const ConfSchema *schema = conf_store_schema(viewer->sessions->store);
    CONF_BUFFER_LITERAL(buffer, "{\"op\":\"");
    conf_buffer_append_string(buffer, whole ? "create" : names[item->op]);
    CONF_BUFFER_LITERAL(buffer, "\",\"type\":\"");
    conf_buffer_append_string(buffer, conf_schema_type(schema, object->type)->name);
    CONF_BUFFER_LITERAL(buffer, "\",\"dbid\":");
    conf_buffer_append_integer(buffer, object->dbid);
    if (item->reason != CONF_REASON_NONE)
        conf_buffer_printf(buffer, ",\"reason\":\"%s\"", reason_name(item->reason));
    if (whole) {
        CONF_BUFFER_LITERAL(buffer, ",\"object\":");
        conf_buffer_append_slice(buffer, conf_bytes_slice(object->body));
    } else if (patch) {
        conf_buffer_append_char(buffer, ',');
        conf_buffer_append_slice(buffer, conf_bytes_slice(viewer->commit->changes[item->change].difference));
    } else {
        CONF_BUFFER_LITERAL(buffer, ",\"name\":");
        conf_json_append_string(buffer, conf_object_name(object));
        conf_buffer_printf(buffer, ",\"tenant\":%" G_GINT64_FORMAT, object->tenant);
        if (object->folder != 0)
            conf_buffer_printf(buffer, ",\"folder\":%" G_GINT64_FORMAT, object->folder);
    }
    conf_buffer_append_char(buffer, '}');
}

static const char *
reason_name(ConfReason reason)
{
    return reason == CONF_REASON_SCOPE ? "scope" : "permission";
}
