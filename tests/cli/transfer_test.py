#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""send and recv: what arrives, what a broken connection costs, and what a disk refuses."""
import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile

from rig import (LIMIT_S, SCALE, TENON, Server, Skip, collect, expect, free_port, pattern, run, start,
                 tenon, test, wait_for)
from transfer_peer import Gatekeeper, arrived, listing, make_tree, parts, strace

DATA = pattern(3_000_000)
PATIENCE = f"{2 * SCALE}s"  # of a receiver: also for a sender that is slow to start
SIZES = [0, 1, 1000, 65536, 262144, 262145, 700_001]


@contextlib.contextmanager
def folders(*names):
    """Empty folders, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tenon-") as top:
        for name in names:
            os.mkdir(os.path.join(top, name))
        yield [os.path.join(top, name) for name in names]


def receiver(folder, *options, port=0, **more):
    return Server("recv", *options, f"127.0.0.1:{port}", folder, **more)


def held(way, name, *options):
    """A sender of the file NAME that has few bytes under way."""
    return start("send", "-O", "64k", f"127.0.0.1:{way.port}", name, *options)


def write(path, data=b"content"):
    with open(path, "wb") as file:
        file.write(data)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


@test
def files_and_folders_arrive_with_their_names_modes_and_times():
    with folders("from", "to") as (source, target):
        make_tree(os.path.join(source, "tree"), SIZES, DATA)
        os.utime(os.path.join(source, "tree"), ns=(0, 1_234_567_890_123_456_789))
        os.chmod(os.path.join(source, "tree"), 0o750)
        write(os.path.join(source, "na me\n\xff"), DATA)
        with receiver(target) as server:
            words = [os.path.join(source, name) for name in os.listdir(source)]
            result = expect(tenon("send", f"127.0.0.1:{server.port}", *words), 0,
                            "8 files, 4.1 MiB")
            assert result.out == b""
            assert server.wait().code == 0
        assert listing(target) == listing(source)
        assert not parts(target)


@test
def standard_input_arrives_under_the_name_that_it_is_given():
    for words, name in (([], "stdin"), (["-", "--as", "a.tar"], "a.tar")):
        with folders("to") as (target,), receiver(target) as server:
            assert tenon("send", f"127.0.0.1:{server.port}", *words, stdin=DATA).code == 0
            assert server.wait().code == 0
            assert read(os.path.join(target, name)) == DATA
    with folders("to") as (target,), tempfile.TemporaryFile() as file:
        file.write(DATA)
        file.seek(0)
        with receiver(target) as server:
            assert tenon("send", f"127.0.0.1:{server.port}", stdin=file).code == 0
        assert read(os.path.join(target, "stdin")) == DATA


@test
def an_input_that_cannot_be_read_is_no_empty_file():
    with folders("to") as (target,), receiver(target) as server, tempfile.TemporaryFile() as file:
        for stdin in ("<&-", f"0>/proc/{os.getpid()}/fd/{file.fileno()}", "0>/dev/null"):
            result = subprocess.run(
                ["sh", "-c", f"exec {TENON} send 127.0.0.1:{server.port} --as name {stdin}"],
                capture_output=True, timeout=LIMIT_S, check=False)
            assert result.returncode == 8 and b"read standard input: not open" in result.stderr, \
                (stdin, result)
        assert os.listdir(target) == []


@test
def a_file_on_standard_input_is_sent_from_where_its_reader_would_go_on():
    with folders("from", "to") as (source, target), receiver(target) as server, \
            Gatekeeper(server.port, messages=8) as way, \
            open(write(os.path.join(source, "file"), DATA), "rb", buffering=0) as file:
        file.seek(1000)
        result = tenon("send", f"127.0.0.1:{way.port}", stdin=file)
        assert result.code == 0 and way.connections == 2, result
        assert server.wait().code == 0
        assert read(os.path.join(target, "stdin")) == DATA[1000:]


@test
def files_of_the_kernel_that_say_they_are_empty_arrive_with_their_content():
    name = "/proc/version"
    assert os.stat(name).st_size == 0
    with folders("to") as (target,), receiver(target, "-k") as server, open(name, "rb") as file:
        address = f"127.0.0.1:{server.port}"
        assert tenon("send", address, name).code == 0
        assert tenon("send", address, "--as", "stdin", stdin=file).code == 0
        assert server.stop().code == 0
        for arrival in ("version", "stdin"):
            assert read(os.path.join(target, arrival)) == read(name)


@test
def what_came_through_a_pipe_is_not_sent_twice():
    with folders("to") as (target,), receiver(target, "--idle-timeout", PATIENCE) as server, \
            Gatekeeper(server.port, messages=6) as way:
        result = tenon("send", f"127.0.0.1:{way.port}", stdin=DATA)
        assert result.code == 7 and "hint: what comes through a pipe" in result.err, result
        assert server.wait().code == 7
        assert os.listdir(target) == []


@test
def a_connection_that_is_reset_after_any_message_is_made_again_and_nothing_is_lost():
    with folders("from") as (source,):
        os.mkdir(os.path.join(source, "tree"))
        for name, size in (("a", 5), ("b", 300_000)):
            write(os.path.join(source, "tree", name), DATA[:size])
        wanted, count, broke = listing(source), 0, 0
        for count in range(40):
            with folders("to") as (target,), receiver(target) as server, \
                    Gatekeeper(server.port, messages=count) as way:
                result = tenon("send", f"127.0.0.1:{way.port}", os.path.join(source, "tree"),
                               "--retries", "20")
                assert result.code == 0, (count, result)
                assert server.wait().code in (0, 7), count  # 7: it did not hear the last word
                assert listing(target) == wanted, count
                broke += way.connections > 1
                if way.seen < count:
                    break
        # The last word of all reaches a receiver that may have gone already.
        assert 20 < count < 39 and broke >= count - 2, (count, broke)


@test
def a_receiver_that_is_killed_twice_costs_only_what_it_had_not_written():
    with folders("from", "to") as (source, target):
        make_tree(os.path.join(source, "tree"), [2_000_000, 2_900_000, 2_800_000], DATA)
        total = 7_700_000
        server = receiver(target)
        server.__enter__()
        with Gatekeeper(server.port, allowance=1_000_000) as way:
            with start("send", f"127.0.0.1:{way.port}", os.path.join(source, "tree"),
                       "--json") as sender:
                for enough, more in ((700_000, 2_000_000), (2_100_000, None)):
                    wait_for(lambda: arrived(target) > enough, "a part")
                    before = arrived(target)
                    server.process.kill()
                    collect(server.process)
                    assert len(parts(target)) == 1 and before < total
                    server = receiver(target)
                    server.__enter__()
                    way.turn_to(server.port, more)
                _, err = collect(sender, LIMIT_S)
                assert sender.returncode == 0, err
                assert server.wait().code == 0
        assert listing(target) == listing(source)
        moved = int(re.search(rb'"moved":(\d+),"connections":\d', err).group(1))
        assert total <= moved < total + 5_000_000, moved


@test
def what_the_receiver_has_already_is_not_sent_again_and_what_differs_is_not_replaced():
    with folders("from", "to") as (source, target):
        path = write(os.path.join(source, "file"), DATA)
        for name, ok in (("same", True), ("other", False)):
            if name == "other":
                write(os.path.join(target, "file"), DATA[:-1] + b"!")
            with receiver(target) as server:
                result = tenon("send", f"127.0.0.1:{server.port}", path, "--json")
                if ok:
                    assert result.code == 0 and server.wait().code == 0
                    continue
                assert result.code == 1 and "the receiver says: file: exists already" in result.err
                assert server.wait().code == 8
                assert read(os.path.join(target, "file"))[-1:] == b"!"
        with receiver(target, "--force") as server:
            result = tenon("send", f"127.0.0.1:{server.port}", path)
            assert result.code == 0 and server.wait().code == 0
        assert read(os.path.join(target, "file")) == DATA and not parts(target)
        with receiver(target) as server:
            result = tenon("send", f"127.0.0.1:{server.port}", path, "--json")
            assert '"moved":0' in result.err and server.wait().code == 0
        write(path, b"shorter")
        with receiver(target) as server:
            expect(tenon("send", f"127.0.0.1:{server.port}", path), 1, "exists already")
            assert server.wait().code == 8
        os.mkdir(os.path.join(target, "folder"))
        write(os.path.join(source, "folder"))
        with receiver(target, "--force") as server:
            expect(tenon("send", f"127.0.0.1:{server.port}", os.path.join(source, "folder")), 1,
                   "exists already")


@test
def many_senders_are_served_at_once_and_a_file_by_one_at_a_time():
    with folders("from", "to") as (source, target):
        names = [write(os.path.join(source, f"file {i}"), DATA[i:]) for i in range(12)]
        with receiver(target, "-k") as server:
            senders = [start("send", f"127.0.0.1:{server.port}", name) for name in names]
            for sender in senders:
                _, err = collect(sender, LIMIT_S)
                assert sender.returncode == 0, err
            assert listing(target) == listing(source)
            with Gatekeeper(server.port, allowance=500_000) as way:
                name = write(os.path.join(source, "held"), DATA)
                first = held(way, name)
                wait_for(lambda: any(parts(target).values()), "bytes of the first one's")  # locked
                second = start("send", f"127.0.0.1:{server.port}", name, "--json")
                line = next((line for line in second.stderr if b'"retry"' in line), b"")
                assert b"another session writes it" in line, line
                way.allow(None)
                for sender in (first, second):
                    collect(sender, LIMIT_S)
                    assert sender.returncode == 0
            assert read(os.path.join(target, "held")) == DATA and not parts(target)
            assert server.stop(signal.SIGINT).code == 0


@test
def a_token_lets_in_who_knows_it_and_nobody_else():
    token = "0123456789abcdef"
    with folders("from", "to") as (source, target):
        name = write(os.path.join(source, "file"))
        key = write(os.path.join(source, "key"), token.encode() + b"\n")
        with Server("recv", "--token", f"@{key}", "0", target, "-4") as server:
            assert server.addr.startswith("0.0.0.0:")
            where = f"127.0.0.1:{server.port}"
            expect(tenon("send", where, name), 1, "no --token is set on the sender's side")
            expect(tenon("send", where, name, "--token", token + "!"), 1, "the tokens differ")
            assert not os.listdir(target)
            assert tenon("send", where, name, "--token", token).code == 0
            assert server.wait().code == 0
        with receiver(target) as server:
            expect(tenon("send", f"127.0.0.1:{server.port}", name, "--token", token), 1,
                   "no --token is set on the receiver's side")
            assert tenon("send", f"127.0.0.1:{server.port}", name).code == 0
        expect(tenon("recv", "0.0.0.0:0", target), 2, "without --token")
        expect(tenon("recv", "[::]:0", target), 2, "without --token")
        expect(tenon("recv", "9", target, "--token", "short"), 2, "not 8 to 256 bytes")
        with Server("recv", "0", target) as server:
            assert server.addr.startswith("127.0.0.1:")


@contextlib.contextmanager
def small_disk():
    """A folder with room for a megabyte."""
    if os.geteuid() != 0:
        raise Skip("only root can mount a small tmpfs")
    with folders("small") as (small,):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small],
                          capture_output=True, check=False).returncode:
            raise Skip("a tmpfs cannot be mounted here")
        try:
            yield small
        finally:
            subprocess.run(["umount", small], check=True)


def is_full(small, words, stdin=b"", **how):
    """Sending to the full disk SMALL is an error on both sides, and leaves nothing."""
    with receiver(small, **how) as server:
        result = tenon("send", f"127.0.0.1:{server.port}", *words, stdin=stdin)
        expect(result, 1, ["the receiver says:", "No space left on device"])
        ended = server.wait()
        assert ended.code == 8 and "No space left on device" in ended.err, ended
    assert not os.listdir(small), os.listdir(small)


@test
def a_full_disk_is_exit_8_there_and_an_error_here_and_leaves_nothing():
    with small_disk() as small, folders("from") as (source,):
        is_full(small, [write(os.path.join(source, "file"), DATA)])
        is_full(small, [], DATA)


@test
def a_disk_that_fills_up_on_the_way_is_left_as_it_was():
    with small_disk() as small, folders("from") as (source,):
        is_full(small, [write(os.path.join(source, "file"), DATA)],
                **strace("-o", "/dev/null", "-e", "inject=fallocate:error=EOPNOTSUPP"))


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


@test
def what_may_not_be_written_or_read_is_exit_8_on_that_side():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody who may not")
    with folders("from", "to") as (source, target):
        os.chmod(os.path.dirname(source), 0o755)
        name = write(os.path.join(source, "file"))
        with start("recv", "--json", "127.0.0.1:0", target, preexec_fn=as_nobody) as server:
            where = json.loads(server.stderr.readline())["addr"]
            expect(tenon("send", where, name), 1, ["the receiver says:", "Permission denied"])
            _, err = collect(server, LIMIT_S)
            assert server.returncode == 8 and b"Permission denied" in err, err
        os.chmod(target, 0o777)
        os.chmod(name, 0)
        with receiver(target) as server:
            result = tenon("send", f"127.0.0.1:{server.port}", name, preexec_fn=as_nobody)
            expect(result, 8, "Permission denied")
            ended = server.wait()
            assert ended.code == 1 and "the sender says: file: Permission denied" in ended.err
        assert not os.listdir(target)


@test
def a_file_that_changes_while_it_is_sent_does_not_arrive():
    with folders("from", "to") as (source, target), receiver(target) as server, \
            Gatekeeper(server.port, allowance=500_000) as way:
        name = write(os.path.join(source, "file"), DATA)
        with held(way, name) as sender:
            wait_for(lambda: arrived(target), "a part")
            with open(name, "ab") as file:
                file.write(b"more")
            way.allow(None)
            _, err = collect(sender, LIMIT_S)
            assert sender.returncode == 8 and b"it has changed" in err, err
        assert server.wait().code == 1
        assert not os.path.exists(os.path.join(target, "file"))


@test
def the_receipt_leaves_after_fsync_of_the_file_and_of_its_folder():
    with folders("from", "to") as (source, target):
        log = os.path.join(source, "log")
        name = write(os.path.join(source, "file"))
        how = strace("-y", "-o", log, "-e", "trace=fsync,renameat2,write,writev,sendto,sendmsg")
        with start("recv", "--json", "127.0.0.1:0", target, **how) as server:
            where = json.loads(server.stderr.readline())["addr"]
            assert tenon("send", where, name).code == 0
            collect(server, LIMIT_S)
            assert server.returncode == 0
        with open(log, encoding="utf-8") as file:
            calls = [line.split(None, 1)[1] for line in file]
        wanted = [rf"fsync\(\d+<{target}/\.tenon-\w+\.part>", r"renameat2\(.*RENAME_NOREPLACE",
                  rf"fsync\(\d+<{target}>", r'\w+\(\d+<.*"R']
        for call in calls:
            if wanted and re.match(wanted[0], call):
                wanted.pop(0)
        assert not wanted, (wanted, calls)


@test
def max_time_is_exit_5_on_both_sides_and_keeps_the_part():
    for options, more in (((), ("--max-time", "500ms")), (("--max-time", f"{SCALE}s"), ())):
        with folders("from", "to") as (source, target), receiver(target, *options) as server, \
                Gatekeeper(server.port, allowance=500_000) as way:
            name = write(os.path.join(source, "file"), DATA)
            with held(way, name, *more) as sender:
                if more:
                    _, err = collect(sender, LIMIT_S)
                    assert sender.returncode == 5, err
                    assert err.count(b"\n") == 1, err
                    assert b"deadline passed, 0 of 1 files confirmed" in err, err
                else:
                    assert server.wait().code == 5
                    sender.kill()
            assert len(parts(target)) <= 1 and not os.path.exists(os.path.join(target, "file"))


@test
def links_in_folders_are_left_out_and_that_is_told():
    with folders("from", "to") as (source, target), receiver(target) as server:
        os.mkdir(os.path.join(source, "tree"))
        write(os.path.join(source, "tree", "file"))
        os.symlink("/etc/passwd", os.path.join(source, "tree", "link"))
        result = tenon("send", f"127.0.0.1:{server.port}", os.path.join(source, "tree"))
        assert result.code == 1 and "left out: " in result.err and "1 left out" in result.err
        assert server.wait().code == 0
        assert os.listdir(os.path.join(target, "tree")) == ["file"]


@test
def a_sender_that_does_not_come_back_is_given_up():
    with folders("from", "to") as (source, target), \
            receiver(target, "--idle-timeout", PATIENCE) as server, \
            Gatekeeper(server.port, allowance=500_000) as way:
        name = write(os.path.join(source, "file"), DATA)
        with held(way, name) as sender:
            wait_for(lambda: arrived(target), "a part")
            sender.kill()
            collect(sender)
        way.allow(None)
        ended = server.wait()
        assert ended.code == 7 and "did not come back" in ended.err, ended
        assert len(parts(target)) == 1  # for another day
    with folders("to") as (target,), receiver(target, "--max-time", "200ms") as server:
        assert server.wait().code == 5


@test
def ctrl_c_keeps_the_part_and_ends_by_the_signal():
    with folders("from", "to") as (source, target), receiver(target) as server, \
            Gatekeeper(server.port, allowance=500_000) as way:
        name = write(os.path.join(source, "file"), DATA)
        with held(way, name) as sender:
            wait_for(lambda: arrived(target), "a part")
            assert server.stop(signal.SIGINT).code == -signal.SIGINT
            sender.send_signal(signal.SIGINT)
            collect(sender, LIMIT_S)
            assert sender.returncode == -signal.SIGINT
        assert len(parts(target)) == 1 and not os.path.exists(os.path.join(target, "file"))


@test
def what_is_wrong_with_the_command_line_is_exit_2():
    expect(tenon("send"), 2, "none given")
    expect(tenon("recv"), 2, "an address and a folder")
    expect(tenon("recv", "0", "/no/such/folder"), 8, "No such file or directory")
    expect(tenon("send", "127.0.0.1:9", "/no/such/file"), 8, "No such file or directory")
    expect(tenon("send", "--token", "@/no/such/file", "127.0.0.1:9"), 8, "read /no/such/file: No")
    expect(tenon("send", "127.0.0.1:9", "/etc/hosts", "/etc/../etc/hosts"), 2, "twice")
    expect(tenon("send", "127.0.0.1:9", "--as", "a/b"), 2, "no name of a file")
    expect(tenon("send", "127.0.0.1:9", "--as", "a", "/etc/hosts"), 2, "which is not sent")
    expect(tenon("send", "127.0.0.1:9", "--force"), 2, "does not take it")
    nobody, port = free_port()
    expect(tenon("send", f"127.0.0.1:{port}"), 4, "connection refused")
    result = tenon("send", f"127.0.0.1:{port}", "--retries", "2")
    assert result.code == 4 and result.err.count("trying again") == 2, result
    nobody.close()


run()
