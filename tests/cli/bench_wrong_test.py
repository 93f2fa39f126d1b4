#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon bench against servers that are wrong in every way: an error that says how, and never
a figure."""
import os
import tempfile

from bench_rig import PING, SHORT, Service, answer_with, bench
from rig import LIMIT_S, Server, expect, free_port, read_all, reset, run, tenon, test


# A run that ends by its failure only: a short one may be over before a busy machine's server errs.
LONG = ("--warmup", "0", "--duration", f"{LIMIT_S}s", "--interval", "100ms")


def fails(script, code, *parts, args=("rr", "-c", "1"), question=PING, more=(),
          times=LONG):
    """A server like that ends in CODE and a sentence with PARTS, without any figure."""
    with tempfile.TemporaryDirectory() as folder, Service(script) as service:
        page = os.path.join(folder, "page.html")
        result = expect(tenon("bench", *args, service.where, *question, *more, *times,
                              "--html", page), code, parts)
        assert b"latency" not in result.out and b"throughput" not in result.out, result.out
        assert not os.path.exists(page)
        events = bench(*args, service.where, *question, *more, code=code, err=parts,
                       times=times)
        assert events[-1]["ev"] == "error" and events[-1]["ok"] is False, events
        assert not any(event["ev"] == "result" for event in events), events


@test
def garbage_is_an_error_and_not_a_figure():
    fails(answer_with(lambda conn: (conn.sendall(b"-ERR no\r\n"), conn.recv(1)), good=3), 10,
          "answer 4 of connection 1 is wrong at byte 0", r"-ERR no\r\n")
    fails(answer_with(lambda conn: (conn.sendall(b"+PANG\r\n"), conn.recv(1))), 10, "at byte 2")


@test
def more_than_was_asked_for_is_wrong():
    fails(answer_with(lambda conn: (conn.sendall(b"+PONG\r\n+PONG\r\n"), conn.recv(1)), good=2), 10,
          "answer 3 of connection 1 is wrong at byte 7")
    for more in (("--expect", r"+PONG\r\n"), ("--answer", "7")):
        fails(answer_with(lambda conn: (conn.sendall(b"+PONG\r\nX"), conn.recv(1)), good=2), 10,
              "answer 3 of connection 1 is wrong at byte 7", '"X"', question=("--send", r"PING\r\n", *more))


@test
def an_echo_that_differs_in_one_byte_is_wrong():
    def bent(conn, _):
        conn.recv(100)
        conn.sendall(b"tenon-bench/1 ok\n")
        data = bytearray(conn.recv(64))
        data[40] ^= 1
        conn.sendall(data)
        conn.recv(1)
    fails(bent, 10, "wrong at byte 40", question=())


@test
def half_an_answer_and_an_end_is_a_cut():
    fails(answer_with(lambda conn: conn.sendall(b"+PO"), good=2), 7,
          "closed by the peer after 2 answers and 3 bytes of the next one")


@test
def an_early_close_is_a_cut():
    fails(answer_with(lambda conn: None, good=5), 7, "closed by the peer after 5 answers and 0 bytes")
    fails(lambda conn, _: None, 7, "after 0 answers")


@test
def a_reset_is_a_cut():
    fails(answer_with(reset, good=1), 7, "reset by peer", "after 1 answers")
    fails(answer_with(reset, good=1), 7, "reset by peer", args=("load", "-c", "1", "--rate", "1k"))


@test
def one_bad_connection_of_many_ends_it_all():
    def script(conn, number):
        while conn.recv(100):
            conn.sendall(b"+PONG\r\n" if number % 10 != 7 else b"+PUNG\r\n")
    fails(script, 10, "is wrong at byte 2", args=("rr", "-c", "10", "--threads", "2"))


@test
def silence_is_a_failure():
    patience = ("--idle-timeout", "200ms")
    fails(answer_with(lambda conn: conn.recv(1)), 10, "had no answer within 0.2 s", more=patience,
          times=SHORT)

    def one_of_two(conn, number):
        while conn.recv(100):
            conn.sendall(b"+PONG\r\n" if number % 2 else b"+PO")
    fails(one_of_two, 10, "of 2 connections had no answer", args=("rr", "-c", "2"), more=patience,
          times=SHORT)


@test
def a_peer_that_speaks_something_else_is_told_apart():
    def web(conn, _):
        conn.recv(100)
        conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    fails(web, 10, "is no tenon serve bench: it answered", "HTTP/1.1 400", question=())
    fails(lambda conn, _: None, 7, "did not answer our greeting", question=())
    fails(lambda conn, _: conn.recv(1) and conn.recv(100) and conn.recv(1), 5,
          "did not answer our greeting", question=(), more=("--connect-timeout", "200ms"))
    with Server("serve", "echo", "127.0.0.1:0") as server:
        expect(tenon("bench", "rr", server.addr, *SHORT), 10, 'it answered "tenon-bench/1 echo')


@test
def a_receipt_for_fewer_bytes_than_were_sent_is_no_figure():
    def greedy(conn, _):
        conn.recv(100)
        conn.sendall(b"tenon-bench/1 ok\n")
        got = 0
        while piece := conn.recv(1 << 20):
            got += len(piece)
        conn.sendall(b"tenon-bench/1 got %d\n" % (got - 1))
    fails(greedy, 10, "the peer's receipt is wrong", args=("tput",), question=(), times=SHORT)


@test
def a_stream_that_is_cut_is_no_figure():
    def cut(conn, _):
        conn.recv(100)
        conn.sendall(b"tenon-bench/1 ok\n")
        conn.recv(1 << 20)
        reset(conn)

    def ended(conn, _):
        conn.recv(100)
        conn.sendall(b"tenon-bench/1 ok\n")
        conn.sendall(bytes(100_000))
    fails(cut, 7, "reset by peer", args=("tput",), question=())
    fails(ended, 7, "closed by the peer (read)", args=("tput", "-R"), question=())


@test
def nobody_there_is_said_as_everywhere():
    nobody, port = free_port()
    for kind in ("rr", "cps"):
        expect(tenon("bench", kind, "127.0.0.1", port, *SHORT), 4, "connection refused (connection")
    nobody.close()
    expect(tenon("bench", "rr", "no-such-host.invalid:1", *SHORT), 3, "no-such-host.invalid")


run()
