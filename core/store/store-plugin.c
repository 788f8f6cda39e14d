/* store-plugin.c - what confserv-plugin.h says of objects and commits. */
#include "store/store-plugin.h"

#include "plugin/loader.h"

static ConfStore *lent;

void
conf_plugin_set_store(ConfStore *store)
{
    lent = store;
}

int64_t
conf_plugin_get_revision(const ConfPlugin *p)
{
    (void)p;
    return lent != NULL ? conf_store_position(lent)->revision : 0;
}

const ConfObject *
conf_plugin_lookup(ConfPlugin *p, const char *type, int64_t dbid)
{
    (void)p;
    const ConfTypeInfo *info =
        lent != NULL ? conf_schema_type_by_name(conf_store_schema(lent), conf_slice_from_string(type)) : NULL;
    return info != NULL ? conf_store_lookup(lent, (ConfKey){.type = info->id, .dbid = dbid}) : NULL;
}

const ConfObject *
conf_plugin_lookup_name(ConfPlugin *p, const char *type, const char *name)
{
    (void)p;
    const ConfTypeInfo *info =
        lent != NULL ? conf_schema_type_by_name(conf_store_schema(lent), conf_slice_from_string(type)) : NULL;
    return info != NULL ? conf_store_lookup_name(lent, info->id, conf_slice_from_string(name), NULL) : NULL;
}

char *
conf_plugin_get_schema(const ConfPlugin *p)
{
    (void)p;
    return lent != NULL ? conf_slice_dup(conf_schema_text(conf_store_schema(lent))) : NULL;
}

const char *
conf_object_get_type(const ConfObject *o)
{
    return conf_schema_type(conf_store_schema(lent), o->type)->name;
}

int64_t
conf_object_get_dbid(const ConfObject *o)
{
    return o->dbid;
}

int64_t
conf_object_get_revision(const ConfObject *o)
{
    return o->revision;
}

const char *
conf_object_get_name(const ConfObject *o)
{
    return o->name;
}

const char *
conf_object_get_json(const ConfObject *o, size_t *size)
{
    if (size != NULL)
        *size = o->body->size;
    return o->body->data;
}

int64_t
conf_commit_get_revision(const ConfCommit *c)
{
    return c->revision;
}

const char *
conf_commit_get_chain(const ConfCommit *c)
{
    return c->chain;
}

int64_t
conf_commit_get_from(const ConfCommit *c)
{
    return c->from;
}

int64_t
conf_commit_get_time(const ConfCommit *c)
{
    return c->time_ms;
}

int64_t
conf_commit_get_user(const ConfCommit *c)
{
    return c->user.dbid;
}

int64_t
conf_commit_get_application(const ConfCommit *c)
{
    return c->application.dbid;
}

const char *
conf_commit_get_address(const ConfCommit *c)
{
    return c->address;
}

unsigned
conf_commit_get_length(const ConfCommit *c)
{
    return c->change_count;
}

const char *
conf_commit_get_change(const ConfCommit *c, unsigned index, const ConfObject **before,
                       const ConfObject **after)
{
    static const char *const names[] = {"create", "update", "delete", "permission", "secret"};
    if (index >= c->change_count)
        return NULL;
    if (before != NULL)
        *before = c->changes[index].before;
    if (after != NULL)
        *after = c->changes[index].after;
    return names[c->changes[index].kind];
}

char *
conf_commit_get_rights(const ConfCommit *c, unsigned index)
{
    if (index >= c->change_count)
        return NULL;
    const ConfChange *change = &c->changes[index];
    const ConfAcl *acl = change->after != NULL ? change->acl_after : change->acl_before;
    if (acl == NULL)
        return NULL;
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_acl_write(acl, conf_store_schema(lent), &buffer);
    return g_strndup(buffer.data, buffer.size);
}

char *
conf_commit_to_json(const ConfCommit *c)
{
    if (c->record.size > 0)
        return g_strndup(c->record.data, c->record.size);
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_commit_write_record(c, conf_store_schema(lent), &buffer);
    return g_strndup(buffer.data, buffer.size);
}
