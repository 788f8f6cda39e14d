/* write-order.c - the order of one connection's writes where one of them must be prepared first: a password
 * is hashed in the worker pool, and what was sent after it must not be committed before it (protocol.md 1).
 *
 * A connection has a lane only while one of its writes is being prepared.  Beyond LANE_MAX waiting writes
 * its further lines wait in the socket. */
#include "methods/methods-private.h"

enum { LANE_MAX = 64 };

typedef struct {
    ConfMethods *methods;
    uint64_t connection; /* id */
    GQueue turns;        /* of ConfWriteTurn, as sent */
    bool held;           /* the connection's input */
} WriteLane;

struct ConfWriteTurn {
    WriteLane *lane;      /* NULL: the server stops */
    ConfWriting *writing; /* NULL: still being prepared */
    ConfTransaction *transaction;
};

static void lane_free(void *data);
static WriteLane *lane_of(ConfMethods *methods, uint64_t connection);
static ConfWriteTurn *join(WriteLane *lane, const ConfRequest *request);
static void move_on(WriteLane *lane, const ConfRequest *request);
static void refuse(ConfWriteTurn *turn);

void
conf_write_order_init(ConfMethods *methods)
{
    methods->write_lanes = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, lane_free);
}

void
conf_write_order_clear(ConfMethods *methods)
{
    g_hash_table_unref(methods->write_lanes);
}

ConfWriteTurn *
conf_write_order_take(ConfMethods *methods, const ConfRequest *held)
{
    uint64_t connection = conf_connection_get_id(conf_request_get_connection(held));
    WriteLane *lane = lane_of(methods, connection);
    if (lane == NULL) {
        lane = g_new0(WriteLane, 1);
        *lane = (WriteLane){.methods = methods, .connection = connection};
        g_queue_init(&lane->turns);
        g_hash_table_insert(methods->write_lanes, &lane->connection, lane);
    }
    return join(lane, held);
}

bool
conf_write_order_wait(ConfMethods *methods, ConfWriting *writing, ConfTransaction *transaction)
{
    ConfConnection *connection = conf_request_get_connection(writing->request);
    if (connection == NULL || g_hash_table_size(methods->write_lanes) == 0)
        return false;
    WriteLane *lane = lane_of(methods, conf_connection_get_id(connection));
    if (lane == NULL)
        return false;
    ConfWriteTurn *turn = join(lane, writing->request);
    turn->writing = writing;
    turn->transaction = transaction;
    return true;
}

void
conf_write_order_ready(ConfWriteTurn *turn, ConfWriting *writing, ConfTransaction *transaction)
{
    turn->writing = writing;
    turn->transaction = transaction;
    if (turn->lane != NULL)
        move_on(turn->lane, writing->request);
    else
        refuse(turn);
}

void
conf_write_order_leave(ConfWriteTurn *turn, const ConfRequest *held)
{
    WriteLane *lane = turn->lane;
    if (lane != NULL)
        g_queue_remove(&lane->turns, turn);
    g_free(turn);
    if (lane != NULL)
        move_on(lane, held);
}

static WriteLane *
lane_of(ConfMethods *methods, uint64_t connection)
{
    return g_hash_table_lookup(methods->write_lanes, &connection);
}

static ConfWriteTurn *
join(WriteLane *lane, const ConfRequest *request)
{
    ConfWriteTurn *turn = g_new0(ConfWriteTurn, 1);
    turn->lane = lane;
    g_queue_push_tail(&lane->turns, turn);
    if (!lane->held && lane->turns.length >= LANE_MAX) {
        lane->held = true;
        conf_connection_hold_input(conf_request_get_connection(request));
    }
    return turn;
}

/* All that are ready up to the first that is not.  `request`: any of the lane's, held. */
static void
move_on(WriteLane *lane, const ConfRequest *request)
{
    ConfWriteTurn *turn;
    ConfConnection *connection = conf_request_get_connection(request);
    while ((turn = g_queue_peek_head(&lane->turns)) != NULL && turn->writing != NULL) {
        g_queue_pop_head(&lane->turns);
        conf_methods_hand_over(turn->writing, turn->transaction);
        g_free(turn);
    }
    bool release = lane->held && lane->turns.length < LANE_MAX / 2;
    lane->held = lane->held && !release;
    if (lane->turns.length == 0)
        g_hash_table_remove(lane->methods->write_lanes, &lane->connection);
    if (release && connection != NULL)
        conf_connection_release_input(connection);
}

static void
lane_free(void *data)
{
    WriteLane *lane = data;
    ConfWriteTurn *turn;
    while ((turn = g_queue_pop_head(&lane->turns)) != NULL) {
        turn->lane = NULL;
        if (turn->writing != NULL)
            refuse(turn);
    }
    g_free(lane);
}

static void
refuse(ConfWriteTurn *turn)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, CONF_RPC_STOPPING, "The server stops; the write was not begun");
    conf_request_fail(turn->writing->request, &error);
    conf_request_release(turn->writing->request);
    g_free(turn->writing);
    conf_transaction_free(turn->transaction);
    g_free(turn);
}
