#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon relay --metrics: what monitoring reads, and the limits of the small HTTP server."""
import http.client
import json
import re
import socket

from relay_rig import Relay, Target, forgiving
from rig import LIMIT_S, Server, ends_in_reset, expect, read_all, run, tenon, test, wait_for
from schema import check

SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\})? (-?[0-9.]+)')


class Measured(Relay):
    """A relay with --metrics on a port of its own."""

    def __init__(self, *targets, options=()):
        super().__init__(*targets, options=("--metrics", "0", *options))

    def __enter__(self):
        super().__enter__()
        addr = wait_for(lambda: self.events("metrics"), "the metrics")[0]["addr"]
        assert addr.startswith("127.0.0.1:"), addr
        self.http_port = int(addr.rsplit(":", 1)[1])
        return self

    def get(self, path, method="GET"):
        conn = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=LIMIT_S)
        conn.request(method, path)
        answer = conn.getresponse()
        body = answer.read()
        conn.close()
        return answer, body

    def raw(self, request):
        with socket.create_connection(("127.0.0.1", self.http_port), timeout=LIMIT_S) as conn:
            conn.sendall(request)
            return read_all(conn)


def parse(text):
    """The samples of TEXT; every line is one, or a comment before the first of its name."""
    samples, described = {}, set()
    for line in text.decode().splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert kind in ("counter", "gauge") and name not in described, line
            described.add(name)
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match and match[1] in described, line
            assert (match[1], match[2]) not in samples, line
            samples[match[1], match[2]] = float(match[3])
    return samples


@test
def metrics_are_in_prometheus_format_and_true():
    with Target(forgiving(Target.late_echo)) as target, \
            Measured(target, options=("--check", "tcp")) as relay:
        assert relay.ask(b"12345") == b"12345"
        wait_for(relay.closes, "the close")
        with relay.connect() as conn:
            conn.sendall(b"123")
            label = f'{{target="{target.where}"}}'
            wait_for(lambda: parse(relay.get("/metrics")[1])[
                "tenon_relay_target_connections_total", label] == 2, "the second client")
            answer, body = relay.get("/metrics")
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            samples = parse(body)
            for name, labels, value in (
                    ("clients", None, 1), ("clients_total", None, 2), ("draining", None, 0),
                    ("bytes_total", '{direction="down"}', 5), ("lost_bytes_total", None, 0),
                    ("ended_total", '{reason="eof"}', 1), ("ended_total", '{reason="reset"}', 0),
                    ("target_up", label, 1), ("target_connections", label, 1),
                    ("target_connections_total", label, 2), ("target_failures_total", label, 0)):
                assert samples[f"tenon_relay_{name}", labels] == value, (name, labels, samples)


@test
def stats_are_the_answer_of_ctl_as_one_array():
    with Target() as target, Measured(target) as relay, relay.connect() as conn:
        conn.sendall(b"x")
        wait_for(lambda: target.served, "the client")
        answer, body = relay.get("/stats.json?pretty")
        events = json.loads(body)
        assert answer.headers["Content-Type"] == "application/json"
        assert [check(event)["ev"] for event in events] == ["process", "target", "client"]
        conn.shutdown(socket.SHUT_WR)
        read_all(conn)


@test
def only_what_is_there_is_answered():
    with Target() as target, Measured(target) as relay:
        answer, body = relay.get("/metrics", "HEAD")
        assert (answer.status, body) == (200, b"") and int(answer.headers["Content-Length"]) > 500
        assert relay.get("/")[0].status == 404
        answer, _ = relay.get("/metrics", "POST")
        assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"
        assert relay.raw(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert relay.raw(b"GET /metrics HTTP/1.0\n\n").startswith(b"HTTP/1.1 200 OK\r\n")
        assert relay.raw(b"GET / HTTP/1.1\r\nX: " + b"x" * 9000).startswith(b"HTTP/1.1 431 ")
        assert relay.raw(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000).startswith(b"HTTP/1.1 431 ")


@test
def those_who_ask_nothing_hold_up_nobody():
    with Target() as target, Measured(target) as relay:
        def come():
            try:
                return socket.create_connection(("127.0.0.1", relay.http_port))
            except ConnectionResetError:
                return None  # one too many, before connect(2) had returned

        conns = [come() for _ in range(30)]
        assert None not in conns[:16], conns
        assert relay.ask(b"still there") == b"still there"
        if conns[-1]:
            conns[-1].settimeout(LIMIT_S)
            assert ends_in_reset(conns[-1])[0] == b""
        for conn in filter(None, conns):
            conn.close()

        def answers():
            try:
                return relay.get("/metrics")[0].status == 200
            except (ConnectionError, http.client.HTTPException):
                return False
        wait_for(answers, "room for one that asks")


@test
def an_address_that_is_taken_is_an_error_at_the_beginning():
    with Server("serve", "echo", "127.0.0.1:0") as other:
        result = tenon("relay", "127.0.0.1:0", "127.0.0.1:9", "--metrics", other.addr)
        assert result.code == 4 and "Address already in use" in result.err, result
    expect(tenon("relay", "127.0.0.1:0", "127.0.0.1:9", "--metrics", "nonsense", "--silent"), 2, "address")


run()
