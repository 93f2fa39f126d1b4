/* SPDX-License-Identifier: MIT */
/*
 * late.c -- connections that wait for their first byte without a task.
 *
 * The watch or the feed is armed as for a reader that waits; what it says is looked at here
 * (conn_late_look), and what a read would find starts the task.  Nothing is taken before.
 */
#include "net/conn.h"
#include "task/late.h"

/* The task will not come to be: nobody has seen what the peer has sent. */
static void drop_waiting(void *arg)
{
    struct tn_conn *conn = arg;

    conn->late = NULL;
    conn_let_go(conn, true);
}

/*
 * Whether a read would find something: bytes, the end, an error.  If not, the driver will
 * tell of it.  An edge alone does not say so: what it told of may have been read since, and
 * stamps and urgent bytes have edges, too.
 */
static bool has_come(struct tn_conn *conn)
{
    struct os_feed *feed = &conn->feed;
    char byte;

    if (conn_receive_now(conn, &byte, 1, true) != -EAGAIN)
        return true;
    if (conn->mode == CONN_FEED && !feed->event.wanted && os_event_idle(&feed->event))
        os_driver_arm(conn->driver, &feed->event);
    return false;
}

void conn_late_look(struct tn_conn *conn)
{
    struct late *late = conn->late;

    CHECK(conn->reader == NULL && conn->writer == NULL); /* it is not theirs to use */
    if (!has_come(conn))
        return;
    conn->late = NULL;
    late_come(late);
}

tn_err tn_go_late(struct tn_group *group, tn_task_fn *fn, struct tn_conn *conn,
                  const struct tn_task_options *options)
{
    tn_err err;

    CHECK(conn->late == NULL && conn->reader == NULL && conn->writer == NULL);
    CHECK(conn->driver == task_driver());
    conn_return_lease(conn);
    err = late_new(&conn->late, group, fn, conn, options, drop_waiting);
    if (!tn_failed(err))
        conn_late_look(conn);
    return err;
}
