/* downstream-questions.c - what a replica asks beside its stream: where this server stands, one object. */
#include "replication/downstream-private.h"

/* Beyond ten years nobody counts on. */
enum { AGE_MAX_DAYS = 3650 };

static void replica_object(ConfRequest *request, void *data);
static void replica_position(ConfRequest *request, void *data);

void
conf_downstream_add_questions(ConfDownstream *downstream, ConfMethodTable *table)
{
    const ConfMethod family[] = {
        {.name = "replica.object", .func = replica_object, .data = downstream},
        {.name = "replica.position", .func = replica_position, .data = downstream},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(family); i++) {
        bool added = conf_method_table_add(table, &family[i]);
        g_assert(added);
    }
}

void
conf_downstream_write_age(ConfDownstream *downstream, ConfJsonWriter *writer)
{
    int64_t age =
        downstream->knowledge_age != NULL ? downstream->knowledge_age(downstream->knowledge_data) : 0;
    if (age < (int64_t)AGE_MAX_DAYS * 24 * 3600 * 1000)
        conf_json_writer_member_integer(writer, "age", age);
}

/* Asked twice a second: what the replica knows, and since when, follows from its own time of asking. */
static void
replica_position(ConfRequest *request, void *data)
{
    static const char *const names[] = {NULL};
    ConfDownstream *downstream = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (conf_request_parse_params(request, names, &error) == NULL ||
        conf_replica_of(downstream, request, &error) == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, conf_request_begin(request));
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_integer(&writer, "revision", conf_store_position(downstream->store)->revision);
    conf_downstream_write_age(downstream, &writer);
    conf_json_writer_end_object(&writer);
    conf_request_end(request);
}

/* The item alone: where a replica's body of one object came out otherwise than here. */
static void
replica_object(ConfRequest *request, void *data)
{
    static const char *const names[] = {"type", "dbid", NULL};
    ConfDownstream *downstream = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    ConfSlice type = {NULL, 0};
    int64_t dbid = 0;
    const ConfReplica *replica = NULL;
    bool fine = params != NULL && conf_params_string(params, "", "type", true, &type, &error) &&
                conf_params_integer(params, "", "dbid", 1, G_MAXINT64, true, &dbid, &error);
    if (fine)
        fine = (replica = conf_replica_of(downstream, request, &error)) != NULL;
    const ConfTypeInfo *info =
        fine ? conf_schema_type_by_name(conf_store_schema(downstream->store), type) : NULL;
    const ConfObject *object =
        info == NULL ? NULL : conf_store_lookup(downstream->store, (ConfKey){.type = info->id, .dbid = dbid});
    if (fine &&
        (object == NULL || !conf_replica_may_read(replica, conf_store_acl(downstream->store, object))))
        fine = conf_rpc_fail(&error, CONF_RPC_NOT_FOUND, "There is no such object");
    if (!fine) {
        conf_request_fail(request, &error);
        return;
    }
    conf_replica_write_item(replica, object, conf_request_begin(request));
    conf_request_end(request);
}

const ConfReplica *
conf_replica_of(const ConfDownstream *downstream, ConfRequest *request, ConfRpcError *error)
{
    for (unsigned i = 0; i < downstream->replicas->len; i++) {
        const ConfReplica *replica = g_ptr_array_index(downstream->replicas, i);
        if (replica->session == conf_request_get_session(request))
            return replica;
    }
    conf_rpc_fail(error, CONF_RPC_NOT_PERMITTED, "This session is no replica");
    return NULL;
}
