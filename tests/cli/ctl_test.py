#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon ctl: finding running relays and servers, asking them, steering them."""
import contextlib
import json
import os
import shutil
import socket
import stat

from relay_rig import Relay, Target
from rig import Server, ends_in_reset, expect, listens, read_all, run, tenon, test, wait_for
from watching import Folder, ask, hold


@test
def a_relay_tells_its_targets_and_clients():
    with Folder(), Target(hold) as target, Relay(target, options=("--name", "edge")) as relay, \
            relay.connect() as conn:
        conn.sendall(b"12345")
        wait_for(lambda: ask("edge")[2:] and ask("edge")[2]["target_out"] == 5, "the bytes")
        process, mine, client = ask("edge", "status")
        assert (process["name"], process["kind"], process["pid"], process["addr"]) == \
            ("edge", "relay", relay.process.pid, relay.addr)
        assert (process["clients"], process["connected"], process["in"]) == (1, 1, 5)
        assert (mine["target"], mine["up"], mine["connections"], mine["out"]) == \
            (f"tcp {target.where}", True, 1, 5)
        assert (client["id"], client["state"], client["in"], client["client_ended"]) == \
            (1, "open", 5, False)
        assert client["where"].endswith(str(conn.getsockname()[1])) and client["rtt_us"] > 0
        shown = expect(tenon("ctl", "edge"), 0).out.decode()
        assert "edge" in shown and "up" in shown and "to tcp" in shown, shown


@test
def those_that_run_are_listed_by_name():
    with Folder(), Target(hold) as target, Relay(target) as relay, \
            Server("serve", "echo", "127.0.0.1:0", "--name", "talk") as server:
        assert [event["name"] for event in ask_all()] == [f"relay-{relay.port}", "talk"]
        process, = ask("talk")
        assert (process["kind"], process["service"], process["addr"]) == \
            ("serve", "echo", server.addr)
        with server.connect():
            wait_for(lambda: ask("talk")[1:], "the client")
        server.process.kill()
        server.process.wait()
        assert [event["name"] for event in ask_all()] == [f"relay-{relay.port}"]


def ask_all():
    lines = expect(tenon("ctl", "--json"), 0).out.decode().splitlines()
    return [event for event in map(json.loads, lines) if event["ev"] == "process"]


@test
def kill_resets_one_client_on_both_sides_and_no_other():
    def wait_for_it(conn):
        got.append(ends_in_reset(conn))

    got = []
    with Folder(), Target(wait_for_it) as target, Relay(target, options=("--name", "r")) as relay, \
            relay.connect() as one, relay.connect() as other:
        wait_for(lambda: target.served == 2, "both")
        first = ask("r")[-1] if ask("r")[-1]["where"].endswith(str(one.getsockname()[1])) \
            else ask("r")[-2]
        assert ask("r", "kill", str(first["id"])) == []
        assert ends_in_reset(one) == (b"", True)
        wait_for(lambda: got, "the target to see it")
        assert got == [(b"", True)]
        assert wait_for(relay.closes, "the close")[0]["reason"] == "killed"
        other.sendall(b"x")
        expect(tenon("ctl", "r", "kill", "99"), 1, "no such client")
        expect(tenon("ctl", "r", "kill"), 1, "which client")


@test
def kill_resets_one_client_of_a_server_and_no_other():
    with Folder(), Server("serve", "echo", "127.0.0.1:0", "--name", "s") as server, \
            server.connect() as one, server.connect() as other:
        for conn in one, other:
            conn.sendall(b"x")
            assert conn.recv(1) == b"x"
        number, = [event["id"] for event in ask("s")[1:]
                   if event["where"].endswith(f":{one.getsockname()[1]}")]
        assert ask("s", "kill", str(number)) == []
        assert ends_in_reset(one) == (b"", True)
        assert wait_for(lambda: server.events("close"), "the close")[0]["reason"] == "killed"
        other.sendall(b"y")
        assert other.recv(1) == b"y"
        expect(tenon("ctl", "s", "kill", str(number)), 1, "no such client")
        expect(tenon("ctl", "s", "kill"), 1, "which client")


@test
def drain_is_the_first_signal():
    with Folder(), Target() as target, Relay(target, options=("--name", "r")) as relay:
        with relay.connect() as conn:
            wait_for(lambda: target.served, "the client")
            ask("r", "drain")
            wait_for(lambda: not listens(relay.port), "the listener to be closed")
            assert ask("r")[0]["draining"] is True
            conn.sendall(b"last")
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b"last"
        assert relay.wait().code == 0
        expect(tenon("ctl", "r"), 4, "nothing of that name runs")


@test
def the_folder_must_be_ones_own_and_closed_to_others():
    with Folder() as folder:
        with Server("serve", "echo", "127.0.0.1:0", "--name", "mine"):
            assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700
            assert stat.S_IMODE(os.stat(f"{folder.path}/mine").st_mode) == 0o600
            result = tenon("serve", "echo", "127.0.0.1:0", "--name", "mine")
            assert result.code == 1 and "a running server has that name" in result.err, result
        os.chmod(folder.path, 0o755)
        result = tenon("serve", "echo", "127.0.0.1:0", "--name", "mine")
        assert result.code == 1 and "others may enter it" in result.err, result
        with Server("serve", "echo", "127.0.0.1:0"):  # nobody asked for a name
            assert ask_all() == []
        shutil.rmtree(folder.path)
        os.symlink("/tmp", folder.path)
        result = tenon("serve", "echo", "127.0.0.1:0", "--name", "mine")
        assert result.code == 1 and "it is no folder" in result.err, result
    for name in ("", "a/b", "..", "x" * 41):
        assert tenon("serve", "echo", "127.0.0.1:0", "--name", name).code == 2


@test
def an_asker_that_says_nothing_or_too_much_is_let_go():
    with Folder() as folder, Target() as target, Relay(target, options=("--name", "r")) as relay:
        socks = []
        for _ in range(20):  # more than may ask at once
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(f"{folder.path}/r")
            socks.append(sock)
        assert relay.ask(b"still there") == b"still there"
        for sock in socks:
            sock.close()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f"{folder.path}/r")
            sock.sendall(b"x" * 5000)
            assert ends_in_reset(sock)[0] == b""
        wait_for(lambda: tenon("ctl", "r").code == 0, "room for one that asks")


@test
def one_that_does_not_answer_is_waited_for_as_long_as_told():
    with Folder() as folder, socket.socket(socket.AF_UNIX) as mute:
        os.mkdir(folder.path, 0o700)
        mute.bind(f"{folder.path}/mute")
        mute.listen()
        expect(tenon("ctl", "--max-time", "50ms", "mute"), 5, "ctl mute: it runs, but no answer within 50.0 ms")
        with Server("serve", "echo", "127.0.0.1:0", "--name", "speaks"):
            for limit in "50ms", "500ms", "5s":  # enough for the one that speaks
                result = tenon("ctl", "--max-time", limit)
                if b"speaks" in result.out:
                    break
            expect(result, 5, "ctl mute: it runs, but no answer")
            assert b"speaks" in result.out and b"mute" not in result.out, result


@test
def all_are_asked_at_once_and_one_that_hangs_holds_up_none():
    with Folder() as folder, contextlib.ExitStack() as stack:
        os.mkdir(folder.path, 0o700)
        for i in range(10):
            mute = stack.enter_context(socket.socket(socket.AF_UNIX))
            mute.bind(f"{folder.path}/mute-{i}")
            mute.listen()
        stack.enter_context(Server("serve", "echo", "127.0.0.1:0", "--name", "speaks"))
        for words in ("ctl", "--max-time", "2s"), ("top", "--once"):
            result = tenon(*words)
            assert result.code == 5 and result.took < 15, result  # one by one it is 20 s
            assert b"speaks" in result.out and b"mute" not in result.out, result.out
            assert [line.split(":")[1] for line in result.lines()] == \
                [f" {words[0]} mute-{i}" for i in range(10)], result


@test
def a_server_that_cannot_be_found_says_so():
    os.environ["XDG_RUNTIME_DIR"] = "/nonexistent"
    with Server("serve", "echo", "127.0.0.1:0") as server:
        assert "not to be found by tenon ctl: " in server.stop().err
    with Server("serve", "echo", "127.0.0.1:0", "--silent") as server:
        assert server.stop().err == ""


run()
