#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""explain of addresses and of lines for socat."""
import os
import shlex
import socket
import subprocess
import tempfile

from rig import LIMIT_S, TENON, Peer, expect, pattern, read_all, run, tenon, test

# A line for socat, ours, and what is said beside it: notes, or "!" and what is missing.
LINES = [
    ("socat TCP-LISTEN:8080,fork,reuseaddr TCP:10.0.0.1:80", "tenon relay :8080 10.0.0.1:80",
     ["reuseaddr: it is always so"]),
    ("socat TCP4-LISTEN:80,bind=127.0.0.1,fork UNIX-CONNECT:/run/app",
     "tenon relay 127.0.0.1:80 unix:/run/app", []),
    ("TCP6-LISTEN:80,fork,max-children=9 TCP6:[::1]:81", "tenon relay -6 '[::]:80' '[::1]:81' --max-conns 9", []),
    ("TCP-LISTEN:1 TCP:h:2", "tenon relay :1 h:2", ["without fork socat serves one"]),
    ("socat -v -T 30 TCP-L:1,fork TCP:h:2", "tenon relay :1 h:2 --idle-timeout 30 --hex", []),
    ("- TCP:host:80,crnl,connect-timeout=5", "tenon host:80 --crlf --connect-timeout 5", []),
    ("TCP4:host:80,bind=10.0.0.9 STDIO", "tenon -4 -s 10.0.0.9 host:80", []),
    ("socat -d -d -t 3600 - tcp:host:80,nodelay", "tenon host:80", ["nodelay: it is always so"]),
    ("socat -u - TCP:h:9", "tenon h:9", ["both ways are carried"]),
    ("- UNIX-CONNECT:/run/a,b", None, "option b"),
    ("- ABSTRACT-CONNECT:name", "tenon unix:@name", []),
    ("TCP-LISTEN:9000,reuseaddr -", "tenon listen :9000", ["reuseaddr"]),
    ("- TCP-LISTEN:9000,fork", "tenon listen -k :9000", []),
    ("socat -u TCP-LISTEN:9000 OPEN:out,creat,trunc", "tenon listen :9000 -o out", ["creat", "trunc"]),
    ("socat -U CREATE:out TCP:h:1", "tenon h:1 -o out", []),
    ("socat -u FILE:'a b' TCP:h:9", "tenon h:9 < 'a b'", []),
    ("TCP-LISTEN:7000,fork,range=10.0.0.0/8 EXEC:\"./svc -x 1\"",
     "tenon listen -k :7000 --allow 10.0.0.0/8 --exec -- ./svc -x 1", []),
    ("EXEC:cat TCP-LISTEN:1", "tenon listen :1 --allow all --exec -- cat", []),
    ("UNIX-LISTEN:/s,fork,unlink-early SYSTEM:\"date; it's\"",
     "tenon listen -k unix:/s --exec -- sh -c 'date; it'\\''s'", ["unlink-early"]),
    ("TCP-LISTEN:7,fork PIPE", "tenon serve echo :7", []),
    ("TCP-LISTEN:80,fork,su=nobody TCP:h:80", None, "option su=nobody"),
    ("socat -u TCP-LISTEN:80,fork TCP:h:80", None, "socat -u"),
    ("socat -v - TCP:h:80", None, "socat -v"),
    ("OPEN:f TCP:h:80", None, "both ways"),
]

NOTHING = [
    ("OPENSSL:h:443 -", "OPENSSL:h:443: has no counterpart", 1),
    ("UDP-LISTEN:53,fork UDP:h:53", "UDP", 1),
    ("- PTY,link=/x", "PTY,link=/x: has no counterpart", 1),
    ("TCP:a:1 TCP:b:2", "TCP:b:2", 1),
    ("TCP:a:1 EXEC:cat", "on a connection that we make", 1),
    ("- EXEC:cat", "neither a connection nor a listener", 1),
    ("TCP-LISTEN:99999 -", "a port is a number from 1 to 65535", 1),
    ("TCP-LISTEN:80", "two addresses", 2),
    ("a b c", "third", 2),
    ("- 'TCP:h:1", "a quote without its end", 2),
    ("-W lock - TCP:h:1", "-W: this option of socat's has no counterpart", 2),
    ("- TCP:" + "h" * 400 + ":1", "too long", 2),
    ("x " * 100, "too many words", 2),
    ("", "two addresses", 2),
]


@test
def a_line_for_socat_becomes_one_of_ours():
    for line, ours, beside in LINES:
        result = tenon("explain", "--from-socat", line)
        if ours is None:
            assert result.code == 1 and result.out.startswith(b"tenon "), (line, result)
            assert beside in result.err, (line, result)
            continue
        assert (result.code, result.out.decode()) == (0, ours + "\n"), (line, result, result.out)
        said = result.err.splitlines()
        assert len(said) == len(beside), (line, said)
        assert all(part in one for part, one in zip(beside, said)), (line, said)


@test
def what_has_no_counterpart_is_said_clearly():
    for line, said, code in NOTHING:
        result = tenon("explain", "--from-socat", line)
        assert result.code == code and result.out == b"", (line, result)
        assert said in result.err, (line, result)


@test
def our_line_does_what_socats_would():
    data = pattern(100_000)
    with tempfile.TemporaryDirectory() as folder:
        def ours(line):
            words = expect(tenon("explain", "--from-socat", line), 0).out.decode()
            return shlex.quote(os.path.abspath(TENON)) + words.removeprefix("tenon")

        with open(f"{folder}/a 'b", "wb") as file:
            file.write(data)
        with Peer(read_all) as peer:
            line = ours(f"""socat -u "FILE:{folder}/a 'b" TCP:127.0.0.1:{peer.port}""")
            subprocess.run(line, shell=True, check=True, timeout=LIMIT_S)
        assert peer.result == data
        line = ours(f"UNIX-LISTEN:{folder}/socket SYSTEM:'echo \"got $(wc -c)\"'")
        with subprocess.Popen(["sh", "-c", f"exec {line}"], stderr=subprocess.PIPE) as server:
            assert server.stderr.readline().startswith(b"tenon: listening on")  # not only bound
            assert tenon(f"unix:{folder}/socket", stdin=data).out == b"got 100000\n"
            assert server.wait(LIMIT_S) == 0


@test
def an_address_is_explained_as_it_would_be_tried():
    out = expect(tenon("explain", "127.0.0.1:80"), 0).out.decode()
    assert out.startswith("tcp 127.0.0.1:80\n") and "a number, so nothing is looked up" in out
    assert "1. 127.0.0.1:80\n" in out and "connect-timeout 10.00 s (the default)" in out
    out = expect(tenon("explain", "-4", "localhost:80"), 0).out.decode()
    assert "a name, looked up" in out and "only IPv4" in out and "1. 127.0.0.1:80\n" in out
    out = expect(tenon("explain", "localhost:80?connect-timeout=250ms&crlf"), 0).out.decode()
    assert "connect-timeout 250.0 ms" in out and "crlf" in out and "the default" not in out
    out = expect(tenon("explain", ":8080"), 0).out.decode()
    assert "to listen    every interface" in out
    assert "1. [::1]:8080\n" in out and "2. 127.0.0.1:8080," in out
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        out = expect(tenon("explain", f"unix:{path}"), 0).out
        assert b"no such file" in out and b"small writes" not in out
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            assert b"a socket is there" in expect(tenon("explain", path), 0).out
        assert b"is no socket" in expect(tenon("explain", f"{folder}/"), 0).out
    expect(tenon("explain", "no-such-host.invalid:80"), 3, "look up")
    expect(tenon("explain", "127.0.0.1:99999"), 2, "a port is a number")
    with open("/dev/full", "wb") as full:
        assert tenon("explain", "127.0.0.1:80", stdout=full).code == 8


@test
def names_are_still_explained():
    for words in (["EPIPE"], ["shutdown"], ["32"], ["Broken pipe"], []):
        assert expect(tenon("explain", *words), 0).out
    assert b"did you mean" not in tenon("explain", "--help").out


run()
