#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon serve: many clients at once, draining, totals, and running out of descriptors."""
import re
import resource
import signal
import socket
import struct
import threading
import time

from rig import (LIMIT_S, SCALE, Server, cpu_seconds, ends_in_reset, expect, listens, pattern, read_all,
                 reset, run, tenon, test, wait_for)


@test
def echo_sends_back_every_byte_to_many_clients_at_once():
    def talk(number):
        sent = pattern(300_000, seed=number)
        with server.connect() as conn:
            writer = threading.Thread(target=lambda: (conn.sendall(sent),
                                                      conn.shutdown(socket.SHUT_WR)))
            writer.start()
            got = read_all(conn)
            writer.join()
        if got != sent:
            wrong.append(number)

    wrong = []
    with Server("serve", "echo", "127.0.0.1:0") as server:
        threads = [threading.Thread(target=talk, args=(i,)) for i in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong
        result = server.stop()
        assert result.code == 0, result
        assert "50 clients, 14.3 MiB in, 14.3 MiB out, 50 ended clean, 0 otherwise" in result.err
        summary = server.events("summary")[0]
        assert (summary["clients"], summary["in"], summary["clean"]) == (50, 15_000_000, 50)


@test
def echo_to_a_client_that_does_not_read_holds_up_nobody():
    with Server("serve", "echo", "127.0.0.1:0") as server:
        deaf = [server.connect() for _ in range(12)]
        for conn in deaf:
            conn.settimeout(0.1)
            try:
                while True:
                    conn.sendall(pattern(200_000))
            except TimeoutError:
                pass  # it is full, both ways
        sent = pattern(2_000_000)
        assert expect(tenon("127.0.0.1", server.port, stdin=sent), 0).out == sent


@test
def discard_reads_all_and_answers_nothing():
    with Server("serve", "discard", "127.0.0.1:0") as server:
        assert expect(tenon("127.0.0.1", server.port, stdin=pattern(10_000_000)), 0).out == b""
        assert server.stop().code == 0
        assert server.events("close")[0]["in"] == 10_000_000


@test
def chargen_sends_the_lines_of_rfc_864():
    with Server("serve", "chargen", "127.0.0.1:0") as server, server.connect() as conn:
        lines = conn.makefile("rb")
        first = [lines.readline() for _ in range(96)]
        assert all(len(line) == 74 and line.endswith(b"\r\n") for line in first)
        assert first[0].startswith(b' !"#$%&') and first[1].startswith(b'!"#$%&\'')
        assert first[95] == first[0] and first[94].startswith(b"~ !")


@test
def time_and_daytime_tell_the_time():
    with Server("serve", "time", "127.0.0.1:0") as server:
        out = expect(tenon("127.0.0.1", server.port), 0).out
        assert abs(struct.unpack(">I", out)[0] - 2208988800 - time.time()) < 5
    with Server("serve", "daytime", "127.0.0.1:0") as server:
        out = expect(tenon("127.0.0.1", server.port), 0).out
        assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\r\n", out), out


@test
def the_first_signal_lets_clients_finish_and_the_second_resets_them():
    for number in (signal.SIGINT, signal.SIGTERM):
        with Server("serve", "echo", "127.0.0.1:0") as server:
            stays, goes = server.connect(), server.connect()
            wait_for(lambda: len(server.events("accept")) == 2, "two clients")
            server.process.send_signal(number)
            wait_for(lambda: not listens(server.port), "the listener to be closed")
            goes.sendall(b"still served")
            goes.shutdown(socket.SHUT_WR)
            assert read_all(goes) == b"still served"
            goes.close()
            stays.sendall(b"x")
            assert stays.recv(1) == b"x"
            server.process.send_signal(number)
            assert ends_in_reset(stays) == (b"", True)
            result = server.wait()
            assert result.code == 0, result
            assert "draining 2 clients" in result.err
            assert "2 clients, 13 B in, 13 B out, 1 ended clean, 1 otherwise" in result.err, result


@test
def a_server_that_was_killed_is_started_again_at_once():
    for _ in range(5):
        with Server("serve", "echo", "127.0.0.1:0") as server:
            with server.connect() as conn:
                conn.sendall(b"x")
                assert conn.recv(1) == b"x"
                server.process.kill()
                server.process.wait()
                with Server("serve", "echo", server.addr) as again:
                    assert again.addr == server.addr


@test
def a_reset_client_is_counted_as_one():
    with Server("serve", "echo", "127.0.0.1:0") as server:
        conn = server.connect()
        conn.sendall(b"hello")
        assert conn.recv(5) == b"hello"
        reset(conn)
        event = wait_for(lambda: server.events("close"), "the close")[0]
        assert (event["ok"], event["reason"], event["how"]) == (False, "reset", "reset by peer")


@test
def an_idle_client_is_reset_after_the_idle_timeout():
    with Server("serve", "echo", "127.0.0.1:0", "--idle-timeout", "200ms") as server:
        assert server.turned_away()
        event = wait_for(lambda: server.events("close"), "the close")[0]
        assert event["reason"] == "idle"


@test
def max_time_drains_by_itself():
    with Server("serve", "echo", "127.0.0.1:0", "--max-time", "300ms") as server:
        assert server.wait().code == 0


@test
def only_allowed_clients_are_served():
    with Server("serve", "echo", "127.0.0.1:0", "--allow", "10.0.0.0/8", "--allow",
                "127.0.0.2/31") as server:
        assert server.turned_away()
        with socket.socket() as conn:
            conn.bind(("127.0.0.3", 0))
            conn.settimeout(LIMIT_S)
            conn.connect(("127.0.0.1", server.port))
            conn.sendall(b"ok")
            assert conn.recv(2) == b"ok"
        assert "1 turned away" in server.stop().err


@test
def out_of_descriptors_accepting_pauses_without_spinning_and_goes_on_when_one_is_free():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with Server("serve", "echo", "127.0.0.1:0", preexec_fn=few) as server:
        conns = [server.connect() for _ in range(60)]  # the kernel's queue takes them
        wait_for(lambda: len(server.events("accept")) >= 20, "some clients")
        served = stable_count(server)
        assert 20 <= served < 40, served
        before = cpu_seconds(server.process)
        time.sleep(2)  # the time over which it must not spin
        used = cpu_seconds(server.process) - before
        assert used < 0.02 * SCALE, f"{used:.4f} s of processor time in 2 s, 1 % is 0.02"
        for conn in conns[:served]:
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b""
            conn.close()
        for conn in conns[served:]:
            conn.sendall(b"late")
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b"late"
            conn.close()
        result = server.stop()
        assert result.code == 0 and "60 clients" in result.err, result
        assert server.events("summary")[0]["pauses"] > 0


def stable_count(server):
    """How many clients have been accepted, once that does not change any more."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < 0.3:
        now = len(server.events("accept"))
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.02)
    return count


@test
def what_it_cannot_serve_is_exit_2():
    expect(tenon("serve"), 2, "serve what")
    expect(tenon("serve", "coffee", "127.0.0.1:0"), 2, "no such service")
    expect(tenon("serve", "echo"), 2, "none given")
    expect(tenon("serve", "echo", "127.0.0.1:0", "-k"), 2, "does not take it")


run()
