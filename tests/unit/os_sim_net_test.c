/* SPDX-License-Identifier: MIT */
/*
 * os_sim_net_test.c -- the simulated network: delay, loss, cuts, silent and restarted
 * hosts, shut windows, in virtual time; and the truth it tells an oracle.
 */
#include "unit/sim_rig.h"

/* ---- connecting ---- */

static void connect_meets(enum sim_answer answer, int error, enum sim_fault fault,
                          int64_t least, int64_t most)
{
    struct sim_route route = { .answer = answer };
    struct sockaddr_in addr = address("192.0.2.1", 0);
    struct rig rig;
    int64_t start;

    open_empty(&rig, NULL);
    assert_errno(sim_route_set(rig.sim, (struct sockaddr *)&addr, sizeof(addr), &route),
                 0);
    start = sim_now(rig.sim);
    assert_errno(dial(&rig, "192.0.2.1"), error);
    assert_between(sim_now(rig.sim) - start, least, most);
    assert_int_equal(counted(&rig, fault), 1);
    sim_close(rig.sim);
}

TEST(a_route_can_refuse)
{
    connect_meets(SIM_REFUSES, ECONNREFUSED, SIM_REFUSED, 0, MS);
}

TEST(a_silent_host_times_out_after_six_retries)
{
    connect_meets(SIM_IS_SILENT, ETIMEDOUT, SIM_SILENT, 127 * S, 128 * S);
}

TEST(a_missing_host_is_unreachable)
{
    connect_meets(SIM_HAS_NO_HOST, EHOSTUNREACH, SIM_UNREACHABLE, 0, MS);
}

/* Told to who waits when the next SYN meets it. */
TEST(a_firewall_of_this_host_is_heard_with_the_second_syn)
{
    connect_meets(SIM_IS_FENCED, EHOSTUNREACH, SIM_UNREACHABLE, S, S + MS);
}

TEST(a_missing_network_is_unreachable_at_once)
{
    connect_meets(SIM_HAS_NO_NETWORK, ENETUNREACH, SIM_UNREACHABLE, 0, MS);
}

TEST(an_address_without_a_route_has_no_network)
{
    struct rig rig;

    open_empty(&rig, NULL);
    assert_errno(dial(&rig, "203.0.113.9"), ENETUNREACH);
    sim_close(rig.sim);
}

TEST(connecting_takes_a_round_trip)
{
    struct sim_options options = { .route = sim_rig_slow };
    struct rig rig;

    open_pair(&rig, &options);
    assert_between(sim_now(rig.sim) - 1000 * S, 130 * MS, 131 * MS);
    sim_close(rig.sim);
}

/* ---- moving bytes ---- */

TEST(bytes_take_the_time_of_their_way)
{
    struct sim_options options = { .route = sim_rig_slow };
    struct rig rig;
    int64_t start;

    open_pair(&rig, &options);
    start = sim_now(rig.sim);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_int_equal(take(&rig, rig.far, 100, 0), 100);
    assert_between(sim_now(rig.sim) - start, 30 * MS, 31 * MS);
    assert_int_equal(outq(&rig, rig.near), 100);
    pass(&rig, 71 * MS);
    assert_int_equal(outq(&rig, rig.near), 0);
    sim_close(rig.sim);
}

TEST(a_rate_takes_its_time)
{
    struct sim_options options = { .route.there.rate = 1000000, .route.segment = 1000 };
    struct rig rig;
    int64_t start;

    open_pair(&rig, &options);
    start = sim_now(rig.sim);
    assert_int_equal(put(&rig, rig.near, 100000, 0), 100000);
    assert_int_equal(take(&rig, rig.far, 100000, MSG_WAITALL), 100000);
    assert_between(sim_now(rig.sim) - start, 106 * MS, 107 * MS); /* with headers */
    sim_close(rig.sim);
}

TEST(lost_segments_are_sent_again_until_all_has_come)
{
    struct sim_options options = {
        .route = { .there = { .loss = 200000, .delay_max = 9 * MS },
                   .back = { .loss = 200000 },
                   .segment = 500 },
    };
    struct sim_truth near, far;
    struct rig rig;

    open_pair(&rig, &options);
    assert_int_equal(put(&rig, rig.near, 200000, 0), 200000);
    assert_int_equal(take(&rig, rig.far, 200000, MSG_WAITALL), 200000);
    sim_truth(rig.wire, 0, &near);
    sim_truth(rig.wire, 1, &far);
    assert_true(counted(&rig, SIM_LOSS) > 50);
    assert_int_equal(far.received, 200000);
    assert_true(near.digest_written == far.digest_read);
    sim_close(rig.sim);
}

TEST(the_truth_knows_what_the_peers_kernel_holds)
{
    struct sim_options options = { .route = sim_rig_slow };
    struct sim_truth near, far;
    struct rig rig;

    open_pair(&rig, &options);
    assert_int_equal(put(&rig, rig.near, 1000, 0), 1000);
    sim_truth(rig.wire, 0, &near);
    sim_truth(rig.wire, 1, &far);
    assert_int_equal(near.written, 1000);
    assert_int_equal(near.acked, 0);
    assert_int_equal(far.received, 0);
    pass(&rig, 31 * MS);
    sim_truth(rig.wire, 0, &near);
    sim_truth(rig.wire, 1, &far);
    assert_int_equal(near.acked, 0);
    assert_int_equal(far.received, 1000);
    assert_int_equal(far.read, 0);
    pass(&rig, 71 * MS);
    assert_int_equal(take(&rig, rig.far, 300, 0), 300);
    assert_errno(os_close(rig.os, rig.near), 0);
    sim_truth(rig.wire, 0, &near);
    sim_truth(rig.wire, 1, &far);
    assert_int_equal(near.acked, 1000);
    assert_int_equal(far.read, 300);
    assert_true(near.closed && near.end_sent && !near.end_acked && !far.end_received);
    pass(&rig, 200 * MS);
    sim_truth(rig.wire, 0, &near);
    sim_truth(rig.wire, 1, &far);
    assert_true(near.end_acked && far.end_received && !near.reset_received);
    sim_close(rig.sim);
}

/* ---- networks and hosts that fail ---- */

TEST(a_cut_way_delays_and_heals)
{
    struct rig rig;
    int64_t start;

    open_pair(&rig, NULL);
    sim_wire_cut(rig.sim, rig.wire, 0, 5 * S);
    start = sim_now(rig.sim);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_int_equal(take(&rig, rig.far, 100, 0), 100);
    assert_between(sim_now(rig.sim) - start, 5 * S, 13 * S);
    assert_int_equal(counted(&rig, SIM_CUT), 1);
    sim_close(rig.sim);
}

TEST(unacknowledged_bytes_time_out_after_fifteen_retries)
{
    struct rig rig;

    open_pair(&rig, NULL);
    assert_int_equal(put(&rig, rig.near, 10, 0), 10);
    pass(&rig, 10 * MS);
    sim_wire_cut(rig.sim, rig.wire, 1, INT64_MAX);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_between(fails_after(&rig, rig.near, ETIMEDOUT), 900 * S, 950 * S);
    assert_int_equal(outq(&rig, rig.near), 100);
    assert_int_equal(counted(&rig, SIM_TIMEDOUT), 1);
    sim_close(rig.sim);
}

TEST(the_users_time_out_ends_it_sooner)
{
    struct rig rig;

    open_pair(&rig, NULL);
    set(&rig, rig.near, IPPROTO_TCP, TCP_USER_TIMEOUT, 1500);
    sim_wire_cut(rig.sim, rig.wire, 0, INT64_MAX);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_between(fails_after(&rig, rig.near, ETIMEDOUT), 1500 * MS, 2000 * MS);
    sim_close(rig.sim);
}

TEST(keepalive_finds_a_silent_peer)
{
    struct rig rig;

    open_pair(&rig, NULL);
    set(&rig, rig.near, IPPROTO_TCP, TCP_KEEPIDLE, 10);
    set(&rig, rig.near, IPPROTO_TCP, TCP_KEEPINTVL, 2);
    set(&rig, rig.near, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(&rig, rig.near, SOL_SOCKET, SO_KEEPALIVE, 1);
    pass(&rig, 100 * S); /* the peer answers */
    sim_wire_cut(rig.sim, rig.wire, 1, INT64_MAX);
    assert_between(fails_after(&rig, rig.near, ETIMEDOUT), 6 * S, 17 * S);
    sim_close(rig.sim);
}

TEST(a_restarted_host_answers_with_a_reset)
{
    struct rig rig;

    open_pair(&rig, NULL);
    sim_wire_forget(rig.sim, rig.wire, 1);
    pass(&rig, 100 * S); /* nobody has told us */
    assert_errno(take(&rig, rig.near, 10, MSG_DONTWAIT), EAGAIN);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_errno(take(&rig, rig.near, 10, 0), ECONNRESET);
    assert_int_equal(outq(&rig, rig.near), 100);
    assert_errno(take(&rig, rig.far, 10, 0), ECONNABORTED);
    sim_close(rig.sim);
}

TEST(a_reset_on_the_way_leaves_what_had_come)
{
    struct sim_truth truth;
    struct rig rig;

    open_pair(&rig, NULL);
    assert_int_equal(put(&rig, rig.far, 100, 0), 100);
    pass(&rig, 10 * MS);
    sim_wire_reset(rig.sim, rig.wire);
    assert_int_equal(take(&rig, rig.near, 1000, 0), 100);
    assert_errno(take(&rig, rig.near, 10, 0), ECONNRESET);
    assert_errno(put(&rig, rig.far, 10, 0), ECONNRESET);
    assert_errno(put(&rig, rig.far, 10, 0), EPIPE);
    sim_truth(rig.wire, 0, &truth);
    assert_true(truth.reset_received);
    sim_close(rig.sim);
}

TEST(an_unreachable_peer_is_told_when_tcp_gives_up)
{
    struct rig rig;

    open_pair(&rig, NULL);
    set(&rig, rig.near, IPPROTO_TCP, TCP_USER_TIMEOUT, 3000);
    sim_wire_unreachable(rig.sim, rig.wire, 0);
    assert_int_equal(put(&rig, rig.near, 100, 0), 100);
    assert_between(fails_after(&rig, rig.near, EHOSTUNREACH), 3 * S, 4 * S);
    sim_close(rig.sim);
}

TEST(a_shut_window_holds_bytes_back_and_opens_again)
{
    struct rig rig;
    long sent = 0, got;

    open_pair(&rig, NULL);
    sim_wire_window(rig.sim, rig.wire, 1, 100 * S);
    while ((got = put(&rig, rig.near, 300000, MSG_DONTWAIT)) > 0)
        sent += got;
    pass(&rig, 99 * S);
    while ((got = put(&rig, rig.near, 300000, MSG_DONTWAIT)) > 0)
        sent += got;
    assert_true(outq(&rig, rig.near) > 200000);
    assert_int_equal(
        take(&rig, rig.far, (size_t)sent - (size_t)outq(&rig, rig.near), MSG_WAITALL),
        sent - outq(&rig, rig.near));
    assert_errno(take(&rig, rig.far, 1, MSG_DONTWAIT), EAGAIN);
    pass(&rig, 2 * S);
    assert_true(take(&rig, rig.far, 300000, MSG_DONTWAIT) > 0);
    sim_close(rig.sim);
}

TEST(a_shut_window_does_not_time_out_without_the_users_time_out)
{
    struct rig rig;

    open_pair(&rig, NULL);
    while (put(&rig, rig.near, 300000, MSG_DONTWAIT) > 0)
        pass(&rig, MS);
    pass(&rig, 20000 * S);
    assert_errno(put(&rig, rig.near, 10, MSG_DONTWAIT), EAGAIN);
    set(&rig, rig.near, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000);
    (void)fails_after(&rig, rig.near, ETIMEDOUT);
    sim_close(rig.sim);
}
