#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon relay: which target a client gets, health, limits, time-outs, reloading."""
import contextlib
import os
import signal
import socket
import tempfile
import threading
import time

from relay_rig import Relay, Target, forgiving
from rig import LIMIT_S, ends_in_reset, expect, free_port, read_all, run, tenon, test, wait_for


@forgiving
def hold(conn):
    read_all(conn)


CHECKED = forgiving(Target.late_echo)  # a check is a reset


def connect_from(relay, source):
    conn = socket.socket()
    conn.bind((source, 0))
    conn.settimeout(LIMIT_S)
    conn.connect(("127.0.0.1", relay.port))
    return conn


def is_reset(relay, source="127.0.0.1"):
    """Whether a client from SOURCE is reset without a word."""
    try:
        with connect_from(relay, source) as conn:
            return ends_in_reset(conn) == (b"", True)
    except ConnectionResetError:
        return True  # before connect(2) had returned


def ask_all(relay, count, source="127.0.0.1"):
    for _ in range(count):
        with connect_from(relay, source) as conn:
            conn.sendall(b"?")
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b"?"


# ---------------------------------------------------------------- whose turn

@test
def clients_go_to_the_targets_in_turn():
    with Target() as one, Target() as two, Target() as three, Relay(one, two, three) as relay:
        ask_all(relay, 9)
        assert [target.served for target in (one, two, three)] == [3, 3, 3]


@test
def the_least_connected_target_is_chosen():
    with Target(hold) as one, Target(hold) as two, \
            Relay(one, two, options=("--balance", "leastconn")) as relay, \
            contextlib.ExitStack() as stack:
        held = [stack.enter_context(relay.connect()) for _ in range(6)]
        wait_for(lambda: one.served + two.served == 6, "all")
        assert (one.served, two.served) == (3, 3)
        first = one.served
        for conn in held[0::2]:  # those of one of the two, as they came in turn
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b""
        wait_for(lambda: len(relay.closes()) == 3, "three to be over")
        gone = {event["target"] for event in relay.closes()}
        assert len(gone) == 1
        for _ in range(3):
            stack.enter_context(relay.connect())
        wait_for(lambda: one.served + two.served == 9, "three more")
        assert sorted((one.served, two.served)) == [first, 6]


@test
def the_hash_sends_an_address_always_to_the_same_target():
    with Target() as one, Target() as two, Target() as three, \
            Relay(one, two, three, options=("--balance", "hash")) as relay:
        used = []
        for last in range(1, 33):
            before = [target.served for target in (one, two, three)]
            ask_all(relay, 3, source=f"127.0.0.{last}")
            after = [target.served for target in (one, two, three)]
            grown = [new - old for old, new in zip(before, after)]
            assert sorted(grown) == [0, 0, 3], grown
            used.append(grown.index(3))
        assert set(used) == {0, 1, 2}, used


@test
def when_a_connect_fails_the_next_target_is_tried():
    nobody, port = free_port()
    with nobody, Target() as target, Relay(f"127.0.0.1:{port}", target) as relay:
        ask_all(relay, 6)
        assert target.served == 6
        assert all(event["ok"] for event in relay.closes())


@test
def without_a_target_that_accepts_the_client_is_reset():
    (one, port), (other, other_port) = free_port(), free_port()
    with one, other, Relay(f"127.0.0.1:{port}", f"127.0.0.1:{other_port}") as relay:
        assert is_reset(relay)
        event = wait_for(relay.closes, "the close")[0]
        assert (event["reason"], event["ok"]) == ("unreached", False)


@test
def a_target_that_fails_is_told_once_until_it_has_been_reached():
    def complaints():
        return [(event["where"], event["why"]) for event in relay.events("error")]

    nobody, port = free_port()
    complaint = (f"tcp 127.0.0.1:{port}", "connection refused")
    with nobody, Relay(f"127.0.0.1:{port}", options=("--silent",)) as relay:
        assert is_reset(relay) and is_reset(relay)
        wait_for(lambda: len(relay.closes()) == 2, "both to be over")
        assert complaints() == [complaint]
        with Target(bound=nobody):
            ask_all(relay, 1)
        assert is_reset(relay) and is_reset(relay)
        wait_for(lambda: len(relay.closes()) == 5, "all to be over")
        assert complaints() == [complaint] * 2
        assert relay.stop().err == \
            f"tenon: target tcp 127.0.0.1:{port}: connection refused\n" * 2


# ---------------------------------------------------------------- health

CHECKS = ("--check", "tcp", "--check-interval", "100ms", "--rise", "2", "--fall", "2")


@test
def checks_that_cannot_be_made_so_are_refused():
    for words, option in [(("--check", "tcp", "--check-interval", "0"), "--check-interval"),
                          (("--check", "tcp", "--check-interval", "99ms"), "--check-interval"),
                          (("--check-interval", "1s"), "--check-interval"),
                          (("--rise", "1"), "--rise"), (("--fall", "1"), "--fall")]:
        expect(tenon("relay", "127.0.0.1:0", "127.0.0.1:1", "--max-time", "0", *words), 2,
               f"option {option}: ")


@test
def a_target_goes_down_and_comes_up_and_that_is_told():
    nobody, port = free_port()
    with Target(CHECKED) as good, Relay(f"127.0.0.1:{port}", good, options=CHECKS) as relay:
        down = wait_for(lambda: relay.events("health"), "the target to be down")[0]
        assert (down["target"], down["up"], down["why"]) == (f"tcp 127.0.0.1:{port}", False,
                                                             "connection refused")
        ask_all(relay, 4)
        with Target(CHECKED, bound=nobody) as back:
            up = wait_for(lambda: relay.events("health")[1:], "the target to be up")[0]
            assert up["up"] is True
            wait_for(lambda: back.served >= 2, "both checks to be counted")  # --rise
            checks = back.served
            ask_all(relay, 4)
        relay.stop()
        assert len([event for event in relay.closes() if event["target"].endswith(f":{port}")]) == 2


@test
def a_target_killed_under_load_costs_its_own_clients_and_nobody_else():
    with Target(hold) as one, Target(hold) as two, Relay(one, two, options=CHECKS) as relay, \
            contextlib.ExitStack() as stack:
        conns = [stack.enter_context(relay.connect()) for _ in range(20)]
        for conn in conns:
            conn.sendall(b"x")
        clients = wait_for(lambda: len(relay.events("accept")) == 20 and one.conns, "all")
        assert clients
        wait_for(lambda: len(one.conns) >= 10 and len(two.conns) >= 10, "both to have theirs")
        one.close()
        time.sleep(0.1)
        for conn in one.conns:
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: any(not event["up"] for event in relay.events("health")), "it to be down")
        served = []
        for conn in conns:
            conn.settimeout(LIMIT_S)
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_WR)
            served.append(ends_in_reset(conn))
        assert sum(not was_reset for _, was_reset in served) >= 10
        late = [stack.enter_context(relay.connect()) for _ in range(4)]
        for conn in late:
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b""


# ---------------------------------------------------------------- limits

@test
def no_more_clients_than_max_conns_are_let_in():
    with Target() as target, Relay(target, options=("--max-conns", "2")) as relay:
        conns = [relay.connect() for _ in range(4)]  # the kernel's queue takes them
        wait_for(lambda: target.served == 2, "two")
        for conn in conns:
            conn.sendall(b"!")
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b"!"
            conn.close()
        assert target.served == 4


@test
def at_the_limit_of_open_files_clients_wait_and_none_is_lost():
    few = ("bash", "-c", 'ulimit -n 20; exec "$@"', "few")
    with Target() as target, Relay(target, prefix=few) as relay:
        conns = [relay.connect() for _ in range(30)]
        wait_for(lambda: target.served, "the first")
        for conn in conns:
            conn.sendall(b"!")
            conn.shutdown(socket.SHUT_WR)
        for conn in conns:
            assert read_all(conn) == b"!"
            conn.close()
        ended = relay.stop()
        assert "30 clients" in ended.err and "30 ended clean" in ended.err, ended
        assert not relay.events("error")


@test
def one_source_gets_no_more_than_its_share():
    with Target() as target, Relay(target, options=("--max-per-source", "2")) as relay:
        conns = [relay.connect() for _ in range(2)]
        wait_for(lambda: target.served == 2, "two")
        assert is_reset(relay)
        ask_all(relay, 1, source="127.0.0.2")
        for conn in conns:
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b""
            conn.close()
        wait_for(lambda: len(relay.closes()) == 3, "them to be gone")
        ask_all(relay, 1)
        assert "1 turned away" in relay.stop().err


@test
def whom_it_denies_it_resets():
    with Target() as target, Relay(target, options=("--allow", "127.0.0.0/8", "--deny",
                                                    "127.0.0.2")) as relay:
        ask_all(relay, 1)
        assert is_reset(relay, "127.0.0.2")
        assert target.served == 1


# ---------------------------------------------------------------- time-outs

@test
def an_idle_client_is_reset_on_both_sides():
    def wait_for_it(conn):
        got.append(ends_in_reset(conn))

    got = []
    with Target(wait_for_it) as target, Relay(target, options=("--idle-timeout", "200ms")) as relay:
        begin = time.monotonic()
        with relay.connect() as conn:
            assert ends_in_reset(conn) == (b"", True)
            assert time.monotonic() - begin >= 0.15
        assert wait_for(relay.closes, "the close")[0]["reason"] == "idle"
        wait_for(lambda: got, "the target to see it")
        assert got == [(b"", True)]


@test
def a_client_that_goes_on_is_not_idle():
    for limit_s in (1, 2, 4, 8):  # the longer ones for a machine that stands still for so long
        with Target(CHECKED) as target, \
                Relay(target, options=("--idle-timeout", f"{limit_s}s")) as relay, \
                relay.connect() as conn:
            longest, sent, begin = 0, 0, time.monotonic()
            last = begin
            try:
                while last < begin + 1.2 * limit_s:
                    conn.sendall(b".")
                    sent += 1
                    time.sleep(0.1)
                    now = time.monotonic()
                    longest, last = max(longest, now - last), now
                conn.shutdown(socket.SHUT_WR)
                assert read_all(conn) == b"." * sent
                return
            except OSError:  # it was idle, through no wish of ours
                assert longest > 0.8 * limit_s, (limit_s, longest)
    raise AssertionError("this machine stands still for seconds")


@test
def after_one_sides_end_the_fin_timeout_counts():
    @forgiving
    def never_answer(conn):
        read_all(conn)
        ends_in_reset(conn)

    with Target(never_answer) as target, Relay(target, options=("--fin-timeout", "200ms")) as relay:
        with relay.connect() as idle, relay.connect() as conn:
            conn.sendall(b"request")
            conn.shutdown(socket.SHUT_WR)
            wait_for(lambda: relay.closes(), "the close")
            assert relay.closes()[0]["reason"] == "idle"
            assert len(relay.closes()) == 1
            idle.sendall(b"still there")


# ---------------------------------------------------------------- targets from a file

@test
def hup_reads_the_targets_again_and_those_in_use_stay():
    with Target() as one, Target() as two, tempfile.NamedTemporaryFile("w") as file:
        def write(text):
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()

        write(f"# ours\n\n  {one.where}  # the first\n")
        with Relay(options=("--targets", file.name)) as relay, relay.connect() as held:
            wait_for(lambda: one.served == 1, "the first client")
            write(f"{two.where}\n")
            relay.process.send_signal(signal.SIGHUP)
            event = wait_for(lambda: relay.events("reload"), "the reload")[0]
            assert event["targets"] == 1
            ask_all(relay, 3)
            assert (one.served, two.served) == (1, 3)
            write("nonsense\n")
            relay.process.send_signal(signal.SIGHUP)
            wait_for(lambda: relay.events("error"), "the complaint")
            ask_all(relay, 1)
            held.sendall(b"old")
            held.shutdown(socket.SHUT_WR)
            assert read_all(held) == b"old"


@test
def targets_come_from_a_pipe_once_and_hup_does_not_wait_for_more():
    def write():
        with open(pipe, "w", encoding="ascii") as file:
            file.write(f"{one.where}\n")

    with Target() as one, tempfile.TemporaryDirectory() as folder:
        pipe = f"{folder}/targets"
        os.mkfifo(pipe)
        threading.Thread(target=write, daemon=True).start()
        with Relay(options=("--targets", pipe)) as relay:
            relay.process.send_signal(signal.SIGHUP)
            event = wait_for(lambda: relay.events("error"), "the complaint")[0]
            assert (event["where"], event["what"]) == (pipe, "reload")
            assert "no regular file" in event["why"]
            ask_all(relay, 2)
            assert one.served == 2
            assert relay.stop().code == 0


run()
