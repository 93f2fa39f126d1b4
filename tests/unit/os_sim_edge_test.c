/* SPDX-License-Identifier: MIT */
/*
 * os_sim_edge_test.c -- what wakes whom on the simulator, and faults that come by chance.
 */
#include <time.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#include "base/check.h"
#include "unit/sim_rig.h"

struct edge {
    struct os_watch watch;
    unsigned answers;
};

static void edge_seen(struct os_event *event)
{
    CONTAINER(event, struct edge, watch.event)->answers++;
}

static uint32_t next_edge(struct rig *rig, struct os_driver *driver, struct edge *edge,
                          int64_t wait)
{
    struct os_event *event;
    uint32_t ready;

    (void)rig;
    edge->watch.ready = 0;
    assert_errno(os_driver_wait(driver, wait), 0);
    while ((event = os_driver_next(driver)) != NULL)
        event->notify(event);
    ready = edge->watch.ready;
    return ready;
}

static void open_edge(struct rig *rig, struct os_driver **driver, struct edge *edge)
{
    struct os_driver_options options = { 0 };

    assert_errno(os_driver_open(rig->os, test_driver(), &options, driver), 0);
    memset(edge, 0, sizeof(*edge));
    edge->watch.event =
        (struct os_event){ .type = OS_WATCH, .fd = rig->near, .notify = edge_seen };
    os_driver_arm(*driver, &edge->watch.event);
    assert_true((next_edge(rig, *driver, edge, 0) & POLLOUT) != 0);
}

static void close_edge(struct rig *rig, struct os_driver *driver, struct edge *edge)
{
    os_driver_cancel(driver, &edge->watch.event);
    while (!os_event_idle(&edge->watch.event))
        (void)next_edge(rig, driver, edge, 0);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(the_acknowledgement_of_the_fin_is_an_edge)
{
    struct sim_options options = { .route = sim_rig_slow };
    struct os_driver *driver;
    struct edge edge;
    struct rig rig;
    int64_t start;

    open_pair(&rig, &options);
    open_edge(&rig, &driver, &edge);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_errno(os_shutdown(rig.os, rig.near, SHUT_WR), 0);
    assert_true((next_edge(&rig, driver, &edge, 0) & POLLOUT) != 0); /* shutdown's own */
    start = sim_now(rig.sim);
    assert_true((next_edge(&rig, driver, &edge, INT64_MAX) & POLLOUT) != 0);
    assert_between(sim_now(rig.sim) - start, 99 * MS, 101 * MS);
    assert_int_equal(outq(&rig, rig.near), 0);
    assert_int_equal(next_edge(&rig, driver, &edge, 50 * S), 0);
    close_edge(&rig, driver, &edge);
    sim_close(rig.sim);
}

TEST_ON_DRIVERS(an_acknowledgement_without_a_fin_is_no_edge)
{
    struct os_driver *driver;
    struct edge edge;
    struct rig rig;

    open_pair(&rig, NULL);
    open_edge(&rig, &driver, &edge);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_int_equal(next_edge(&rig, driver, &edge, S), 0);
    assert_int_equal(outq(&rig, rig.near), 0);
    close_edge(&rig, driver, &edge);
    sim_close(rig.sim);
}

TEST_ON_DRIVERS(a_stamp_is_an_edge_until_it_is_lost)
{
    struct sim_chances lossy = { .of = { [SIM_STAMP] = 1000000 } };
    char control[256];
    struct msghdr message = { .msg_control = control, .msg_controllen = 256 };
    struct os_driver *driver;
    struct edge edge;
    struct rig rig;

    open_pair(&rig, NULL);
    set(&rig, rig.near, SOL_SOCKET, SO_TIMESTAMPING,
        SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY |
            SOF_TIMESTAMPING_SOFTWARE);
    open_edge(&rig, &driver, &edge);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_true((next_edge(&rig, driver, &edge, INT64_MAX) & POLLERR) != 0);
    assert_int_equal(os_recvmsg(rig.os, rig.near, &message, MSG_ERRQUEUE), 0);

    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    struct sock_extended_err error;
    assert_int_equal(header->cmsg_type, SO_TIMESTAMPING);
    header = CMSG_NXTHDR(&message, header);
    assert_int_equal(header->cmsg_type, IP_RECVERR);
    memcpy(&error, CMSG_DATA(header), sizeof(error));
    assert_int_equal(error.ee_data, 99);
    assert_int_equal(error.ee_info, SCM_TSTAMP_ACK);
    assert_errno(os_recvmsg(rig.os, rig.near, &message, MSG_ERRQUEUE), EAGAIN);

    sim_chances_set(rig.sim, &lossy);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_int_equal(next_edge(&rig, driver, &edge, S), 0);
    assert_int_equal(counted(&rig, SIM_STAMP), 1);
    close_edge(&rig, driver, &edge);
    sim_close(rig.sim);
}

/* ---- chance ---- */

TEST(short_counts_come_by_chance_and_lose_nothing)
{
    struct sim_options options = {
        .chances.of = { [SIM_SHORT_READ] = 500000, [SIM_SHORT_WRITE] = 500000 }
    };
    struct sim_truth near, far;
    struct rig rig;

    open_pair(&rig, &options);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(put(&rig, rig.near, 1000, 0), 1000); /* blocking: all of it */
        assert_int_equal(take(&rig, rig.far, 1000, MSG_WAITALL), 1000);
    }
    assert_true(counted(&rig, SIM_SHORT_READ) > 5);
    assert_true(counted(&rig, SIM_SHORT_WRITE) > 5);
    sim_truth(rig.wire, 0, &near);
    sim_truth(rig.wire, 1, &far);
    assert_true(near.digest_written == far.digest_read);
    sim_close(rig.sim);
}

TEST(refused_options_descriptors_and_accepts_are_counted)
{
    struct sim_options options = { .chances.of = { [SIM_OPTION] = 1000000 },
                                   .descriptors = 3 };
    struct sockaddr_in addr = address("10.0.0.2", 80);
    int one = 1, listening;
    struct rig rig;

    open_empty(&rig, &options);
    listening = os_socket(rig.os, AF_INET, SOCK_STREAM, 0);
    assert_errno(
        os_setsockopt(rig.os, listening, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)),
        ENOPROTOOPT);
    assert_int_equal(counted(&rig, SIM_OPTION), 1);
    assert_errno(os_bind(rig.os, listening, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_errno(os_listen(rig.os, listening, 5), 0);
    assert_errno(dial(&rig, "10.0.0.2"), 0);
    assert_int_equal(os_socket(rig.os, AF_INET, SOCK_STREAM, 0), 2);
    assert_errno(os_accept(rig.os, listening, NULL, NULL, 0), EMFILE);
    assert_int_equal(counted(&rig, SIM_DESCRIPTORS), 1);
    os_close(rig.os, 2);
    sim_chances_set(rig.sim, &(struct sim_chances){ .of = { [SIM_ABORTED] = 1000000 } });
    assert_errno(os_accept(rig.os, listening, NULL, NULL, 0), ECONNABORTED);
    assert_errno(take(&rig, rig.near, 1, 0), ECONNRESET);
    sim_close(rig.sim);
}

static void one_fault_of_life(enum sim_fault fault)
{
    struct sim_options options = { .seed = 1 };
    struct rig rig;

    options.chances.of[fault] = 1000000;
    open_pair(&rig, &options);
    pass(&rig, 2 * S);
    assert_between((int64_t)counted(&rig, fault), 1, fault == SIM_CUT ? 2 : 1);
    assert_int_equal(sim_wire_fault(rig.wire), (int)fault);
    sim_close(rig.sim);
}

TEST(each_fault_of_a_connections_life_strikes_by_chance)
{
    one_fault_of_life(SIM_CUT);
    one_fault_of_life(SIM_DEAD);
    one_fault_of_life(SIM_RESTART);
    one_fault_of_life(SIM_RESET);
    one_fault_of_life(SIM_WINDOW);
}
