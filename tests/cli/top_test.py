#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon top, on a terminal that tmux keeps, and without one."""
import contextlib
import json
import re
import shutil
import subprocess
import tempfile

from relay_rig import Relay, Target, forgiving
from rig import (LIMIT_S, TENON, Server, Skip, ends_in_reset, expect, listens, run, tenon, test,
                 wait_for)
from schema import check
from watching import Folder, ask, crowd, echo, hold


class Terminal:
    """tenon top WORDS in a terminal of WIDTH and HEIGHT."""

    def __init__(self, *words, width=80, height=24, environment=()):
        if not shutil.which("tmux"):
            raise Skip("no tmux here")
        self.folder = tempfile.TemporaryDirectory()
        self.size = ["-x", str(width), "-y", str(height)]
        self.command = ["env", "LC_ALL=C.UTF-8", *environment, TENON, "top", *words]

    def tmux(self, *words):
        return subprocess.run(["tmux", "-u", "-f", "/dev/null", "-S", f"{self.folder.name}/tmux",
                               *words], capture_output=True, timeout=LIMIT_S, check=False)

    def __enter__(self):
        words = " ".join(f"'{word}'" for word in self.command)
        result = self.tmux("new-session", "-d", *self.size, f"{words}; echo ended with $?; cat")
        assert result.returncode == 0, result
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")
        self.folder.cleanup()

    def text(self, *words):
        return self.tmux("capture-pane", "-p", *words).stdout.decode()

    def lines(self):
        return self.text().split("\n")

    def press(self, *keys):
        assert self.tmux("send-keys", *keys).returncode == 0

    def type(self, text):
        assert self.tmux("send-keys", "-l", text).returncode == 0

    def see(self, *parts):
        """Wait until all PARTS (regular expressions) show at once; give the screen's lines."""
        def shows():
            text = self.text()
            return text if all(re.search(part, text, re.M) for part in parts) else None
        try:
            return wait_for(shows, "").split("\n")
        except AssertionError:
            raise AssertionError(f"{parts} do not show:\n{self.text()}") from None

    def rows(self):
        """The lines of clients."""
        return [line for line in self.lines() if re.match(r"^ *\d* *127\.0\.0\.1:", line)]


def is_tidy(lines, width):
    """Nothing is wider than the screen, and each figure stands below the end of its head."""
    assert all(len(line) <= width for line in lines), lines
    heads = next(line for line in lines if " FROM" in f" {line}")
    rows = [line.ljust(width) for line in lines if re.match(r"^ *\d* *127\.0\.0\.1:", line)]
    assert rows, lines
    for row in rows:
        for name in ("AGE", "IN/S", "OUT/S", "RTT", "RETR", "UNACK"):
            end = heads.index(name) + len(name)
            assert row[end - 1] != " " and row[end] == " ", (name, heads, row)
        assert row[heads.index("HELD UP BY")] != " ", (heads, row)
        assert row[heads.index("HELD UP BY") - 1] == " ", (heads, row)


@test
def one_client_shows_with_its_target_on_80_columns():
    with Folder(), Target(forgiving(echo)) as target, \
            Relay(target, options=("--name", "edge")) as relay, relay.connect() as conn, \
            Terminal() as terminal:
        port = conn.getsockname()[1]
        lines = terminal.see(rf"^127\.0\.0\.1:{port} .* idle", "1-1 of 1")
        assert re.match(r"tenon top +edge$", lines[0].rstrip()), lines[0]
        assert re.match(r"relay  1 now, 1 in all  in 0/s  out 0/s  up \d+s  ", lines[1]), lines[1]
        assert f"  {relay.addr}  pid {relay.process.pid}" in lines[1], lines[1]
        assert re.match(rf"up +{re.escape(target.where)} +1 now, 1 in all, 0 failed", lines[2])
        assert lines[3].split() == ["FROM", "AGE", "IN/S", "OUT/S", "TREND", "RTT", "RETR",
                                    "UNACK", "HELD", "UP", "BY"], lines[3]
        assert all(len(line) <= 80 for line in lines)
        terminal.press("q")
        terminal.see("ended with 0")


@test
def rates_and_trend_move_and_a_column_stays_one():
    with Folder(), Target(forgiving(echo)) as target, \
            Relay(target, options=("--name", "edge")) as relay, relay.connect() as conn, \
            Terminal() as terminal:
        terminal.see("1-1 of 1")

        def moving():
            conn.sendall(b"x" * 50000)
            got = 0
            while got < 50000:
                got += len(conn.recv(1 << 16))
            return re.search(r"^127\S+ +\d+[sm] +[\d.]+[kM] +[\d.]+[kM] .*█", terminal.text(), re.M)
        wait_for(moving, "the rates to show")
        is_tidy(terminal.lines(), 80)


@test
def many_clients_scroll_and_only_those_shown_are_fetched():
    with Folder(), contextlib.ExitStack() as stack, \
            Server("serve", "echo", "127.0.0.1:0", "--name", "many") as server, \
            Terminal() as terminal:
        ports = []
        for _ in range(300):
            ports.append(stack.enter_context(server.connect()).getsockname()[1])
        terminal.see("1-20 of 300")
        terminal.press("s", "s", "s")
        terminal.see("sort: age", f"^127.0.0.1:{ports[0]} ", f"^127.0.0.1:{ports[19]} ")
        terminal.press("End")
        lines = terminal.see("281-300 of 300", f"^127.0.0.1:{ports[299]} ")
        assert len(terminal.rows()) == 20, lines
        terminal.press("PPage")
        terminal.see("280-299 of 300")
        terminal.press("Home")
        terminal.see("1-20 of 300", f"^127.0.0.1:{ports[0]} ")
        terminal.press("f")
        terminal.type(f":{ports[123]}")
        terminal.see(f"with: :{ports[123]}_")
        terminal.press("Enter")
        terminal.see("1-1 of 1", f"^127.0.0.1:{ports[123]} ")
        assert len(terminal.rows()) == 1
        terminal.tmux("resize-window", "-x", "150", "-y", "12")
        terminal.press("f", "C-u", "Enter")
        lines = terminal.see("1-8 of 300", r"^ +1 127\.0\.0\.1")
        assert len(terminal.rows()) == 8, lines


@test
def nine_thousand_clients_can_be_read_too():
    with Folder(), crowd(9000) as relay, Terminal("edge") as terminal:
        lines = terminal.see("^relay  9,000 now, 9,000 in all", f" {relay.addr}", "1-19 of 9,000",
                             r"^127\S+ +\d+[sm] +[1-9]\d* ")
        assert len(terminal.rows()) == 19, lines
        assert re.search(rf"  up \d+[sm]  {relay.addr}(  pid {relay.process.pid})?$", lines[1]), lines[1]
        is_tidy(lines, 80)
        terminal.press("s", "s", "s", "End")
        is_tidy(terminal.see("sort: age", "8,982-9,000 of 9,000"), 80)
        terminal.tmux("resize-window", "-x", "150", "-y", "50")
        lines = terminal.see("8,956-9,000 of 9,000", "^ CLIENT FROM .* TO$")
        assert len(terminal.rows()) == 45, lines
        is_tidy(lines, 150)


@test
def k_asks_and_kills_the_one_selected():
    with Folder(), Target(forgiving(echo)) as target, \
            Relay(target, options=("--name", "r")) as relay, \
            relay.connect() as one, relay.connect() as other, Terminal() as terminal:
        terminal.press("s", "s", "s")
        terminal.see("sort: age", "1-2 of 2")
        second = ask("r", "view", "age")[-1]
        victim = other if second["where"].endswith(f":{other.getsockname()[1]}") else one
        terminal.press("Down")
        terminal.press("k")
        terminal.see(f"reset client {second['id']} on both sides")
        terminal.press("n")
        terminal.see("q quit")
        terminal.press("k", "y")
        assert ends_in_reset(victim) == (b"", True)
        terminal.see(f"done: kill {second['id']}", "^127")
        assert [client["id"] for client in ask("r", "view") if client["ev"] == "client"] != [2]


@test
def x_sets_a_fault_and_d_drains():
    with Folder(), Target(hold) as target, Relay(target, options=("--name", "r")) as relay, \
            relay.connect() as conn, Terminal() as terminal:
        terminal.see("1-1 of 1")
        terminal.press("x")
        terminal.type("nonsense")
        terminal.press("Enter")
        terminal.see("^r: ")
        terminal.press("x")
        terminal.type("down:rate=64k")
        terminal.press("Enter")
        terminal.see("done: fault down:rate=64k", r"^fault up: off  down: \S*rate=")
        terminal.press("d")
        terminal.see("let nobody into r any more")
        terminal.press("y")
        terminal.see("^relay, draining  1 now")
        wait_for(lambda: not listens(relay.port), "the listener to be closed")
        conn.close()
        terminal.see("No relay or server of yours is running")


@test
def the_arrows_choose_among_servers():
    with Folder(), Server("serve", "echo", "127.0.0.1:0", "--name", "a") as one, \
            Server("serve", "discard", "127.0.0.1:0", "--name", "b") as other, \
            Terminal() as terminal:
        terminal.see(rf"^serve .* {one.addr} ")
        terminal.press("Right")
        terminal.see(rf"^serve .* {other.addr} ")
        terminal.press("Right")
        terminal.see(rf"^serve .* {one.addr} ")
        terminal.press("Left")
        terminal.see(rf"^serve .* {other.addr} ")


@test
def colours_can_be_turned_off():
    with Folder(), Target(forgiving(hold)) as target, Relay(target, "127.0.0.1:1", options=(
            "--check", "tcp", "--check-interval", "100ms")) as relay:
        assert relay.port
        coloured = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
        for environment, wanted in ((("TERM=screen-256color",), True),
                                    (("TERM=screen-256color", "NO_COLOR=1"), False)):
            with Terminal(environment=environment) as terminal:
                terminal.see("^DOWN 127.0.0.1:1 .*refused")
                assert bool(coloured.search(terminal.text("-e"))) == wanted, environment


@test
def without_a_terminal_it_prints_once():
    with Folder(), Target(hold) as target, Relay(target, options=("--name", "r")) as relay, \
            relay.connect() as conn:
        wait_for(lambda: target.served, "the client")
        for words in ((), ("--once",), ("r",)):
            out = expect(tenon("top", *words), 0).out.decode()
            assert "\x1b" not in out and re.search(rf"^r: relay .* {relay.addr} ", out, re.M), out
            assert re.search(rf"^up +{target.where} +1 now", out, re.M), out
            assert re.search(rf"127\.0\.0\.1:{conn.getsockname()[1]} .* idle", out), out
        out = expect(tenon("top", "--json"), 0).out.decode()
        events = [check(json.loads(line))["ev"] for line in out.splitlines()]
        assert events == ["process", "target", "fault", "fault", "view", "client", "done"], events
        expect(tenon("top", "nobody"), 4, "nothing of that name runs")


@test
def a_terminal_that_cannot_be_drawn_on_gets_plain_text():
    with Folder(), Server("serve", "echo", "127.0.0.1:0", "--name", "s") as server, \
            Terminal(environment=("TERM=nonsense",)) as terminal:
        terminal.see(rf"^s: serve .* {server.addr} ", "ended with 0")


run()
