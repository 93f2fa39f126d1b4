#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon connect: what cannot work, our own ends (files, terminals, signals), and options."""
import contextlib
import ctypes
import fcntl
import mmap
import os
import pty
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

from rig import LIMIT_S, TENON, Peer, ends_in_reset, expect, pattern, read_all, run, start, tenon, test


# ---------------------------------------------------------------- what cannot work

@test
def a_refused_connection_is_exit_4():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        expect(tenon("127.0.0.1", unused.getsockname()[1]), 4,
               ["connect tcp 127.0.0.1", "connection refused ("])
    with tempfile.TemporaryDirectory() as folder:
        expect(tenon(f"unix:{folder}/none"), 4, ["connect unix", "no such socket"])
    result = tenon(f"unix:@tenon-{os.getpid()}-none")
    assert result.lines()[1:] == ["hint: nobody listens on that socket"], result


@test
def an_unknown_name_is_exit_3():
    expect(tenon("no-such-host.invalid", 80), 3, "look up tcp no-such-host.invalid:80")
    expect(tenon("-n", "localhost", 80), 3, "with -n none is looked up")


@test
def a_wrong_command_line_is_exit_2():
    for words, why in [
            (("127.0.0.1", "99999"), "1 to 65535"),
            (("127.0.0.1:99999",), "1 to 65535"),
            (("127.0.0.1", "-1"), "-1"),
            (("", "80"), "an empty word"),
            (("127.0.0.1", ""), "an empty word"),
            (("-l", "", "0"), "an empty word"),
            (("host",), "port is missing"),
            (("::1:80",), "brackets"),
            (("[::1", "80"), "']'"),
            (("udp://h:1",), "only tcp:// and unix: are known"),
            (("a", "b", "c"), "too many"),
            (("--no-such-option", "h", "1"), "no --no-such-option"),
            (("-k", "h", "1"), "-k"),
            (("-u", "h", "1"), "datagrams"),
            (("--max-time", "soon", "h", "1"), "no length of time"),
            (("--max-time",), "needs a value"),
            (("-O", "12q", "h", "1"), "no size"),
            (("-p", "70000", "h", "1"), "0 to 65535"),
            (("localhost", "0"), "1 to 65535"),
            (("[::1]:00",), "1 to 65535"),
            (("wait", "tcp://:0"), "1 to 65535"),
            (("relay", "127.0.0.1:0", "127.0.0.1:0"), "1 to 65535"),
            (("h:1?no-such=1",), "no-such"),
            (("x" * 5000, "80"), "too long"),
            (("\n", "80"), ""),
    ]:
        result = tenon(*words)
        assert result.code == 2 or (words[0] == "\n" and result.code == 3), (words, result)
        said = [line for line in result.lines() if not line.startswith("hint:")]
        assert len(said) == 1 and why in said[0], (words, result.err)


@test
def a_full_disk_is_exit_8_and_the_peer_sees_a_reset():
    def script(conn):
        conn.sendall(b"something to write\n")
        return ends_in_reset(conn)

    for as_file in (False, True):
        with Peer(script) as peer, open("/dev/full", "wb") as full:
            result = tenon(*peer.words, *(["-o", "/dev/full"] if as_file else []), stdin=b"request",
                           stdout=full)
            expect(result, 8, "No space left on device")
        assert peer.result[1], peer.result


@test
def a_file_size_limit_is_exit_8_and_the_peer_sees_a_reset():
    def script(conn):
        conn.sendall(pattern(100_000))
        return ends_in_reset(conn)

    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    with Peer(script) as peer, tempfile.TemporaryFile() as file:
        result = tenon(*peer.words, stdin=b"request", stdout=file, preexec_fn=small)
        expect(result, 8, "write standard output: File too large")
    assert peer.result[1], peer.result


@test
def a_named_pipe_that_nobody_reads_is_waited_for_until_we_are_told_to_stop():
    def script(conn):
        conn.sendall(b"for the pipe")
        accepted.set()
        return ends_in_reset(conn)

    with tempfile.TemporaryDirectory() as folder:
        fifo = f"{folder}/fifo"
        os.mkfifo(fifo)
        for number in (signal.SIGTERM, signal.SIGINT):
            accepted = threading.Event()
            with Peer(script) as peer, start(*peer.words, "-o", fifo) as process:
                assert accepted.wait(LIMIT_S)
                process.send_signal(number)
                assert process.wait(LIMIT_S) == -number
            assert peer.result == (b"", True)
        with Peer(script) as peer:
            expect(tenon(*peer.words, "-o", fifo, "--max-time", "1s"), 5, "deadline passed")
        assert peer.result == (b"", True)

        accepted = threading.Event()
        with Peer(lambda conn: conn.sendall(b"for the pipe") or accepted.set()) as peer, \
                start(*peer.words, "-o", fifo, stdin=subprocess.DEVNULL) as process:
            assert accepted.wait(LIMIT_S)
            with open(fifo, "rb") as file:
                assert file.read() == b"for the pipe"
            assert process.wait(LIMIT_S) == 0


@test
def a_reader_of_our_output_that_has_enough_is_a_quiet_0():
    def script(conn):
        read_all(conn)
        try:
            while True:
                conn.sendall(b"line after line\n" * 1000)
        except OSError as error:
            return type(error)

    with Peer(script) as peer:
        process = subprocess.run(
            ["bash", "-c", f"set -o pipefail; echo ask | {TENON} 127.0.0.1 {peer.port} | head -1"],
            capture_output=True, timeout=LIMIT_S, check=False)
        assert process.stdout == b"line after line\n"
        assert (process.returncode, process.stderr) == (0, b"")
    assert peer.result in (ConnectionResetError, BrokenPipeError)


@test
def it_ends_with_the_reader_of_its_output_even_if_the_peer_says_no_more():
    def script(conn):
        conn.sendall(b"one line\n")
        return ends_in_reset(conn)

    with Peer(script) as peer:
        process = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {TENON} 127.0.0.1 {peer.port} </dev/null | head -1"],
            capture_output=True, timeout=LIMIT_S, check=False)
        assert process.stdout == b"one line\n"
        assert (process.returncode, process.stderr) == (0, b"")
    assert peer.result == (b"", True)


@test
def a_closed_standard_input_is_an_empty_one():
    for closed in ("<&-", "0>/dev/null"):  # the other is nohup(1)'s way
        with Peer(read_all) as peer:
            result = subprocess.run(["sh", "-c", f"exec {TENON} 127.0.0.1 {peer.port} {closed}"],
                                    capture_output=True, timeout=LIMIT_S, check=False)
            assert (result.returncode, result.stderr) == (0, b"")
        assert peer.result == b""


@test
def a_closed_standard_output_is_exit_8_once_there_is_something_to_write():
    def talk(conn):
        conn.sendall(b"for nobody")
        return ends_in_reset(conn)

    with Peer(read_all) as peer:
        result = subprocess.run(["sh", "-c", f"exec {TENON} 127.0.0.1 {peer.port} >&-"],
                                input=b"x", stderr=subprocess.PIPE, timeout=LIMIT_S, check=False)
        assert (result.returncode, result.stderr) == (0, b""), result
    with Peer(talk) as peer:
        result = subprocess.run(["sh", "-c", f"exec {TENON} 127.0.0.1 {peer.port} >&-"],
                                input=b"x", stderr=subprocess.PIPE, timeout=LIMIT_S, check=False)
        assert result.returncode == 8 and b"standard output: closed" in result.stderr, result
    assert peer.result[1], "the peer took our failure for an end"


@test
def an_input_that_cannot_be_read_is_exit_8_and_no_end_for_the_peer():
    with unreadable(b"x" * mmap.PAGESIZE) as memory, tempfile.TemporaryFile() as file:
        only_written = os.open(f"/proc/self/fd/{file.fileno()}", os.O_WRONLY)
        folder = os.open("/", os.O_RDONLY)
        for stdin, why, before in [(folder, "Is a directory", b""),
                                   (only_written, "not open for reading", b""),
                                   (memory, "Input/output error", b"x" * mmap.PAGESIZE)]:
            with Peer(ends_in_reset) as peer:
                expect(tenon(*peer.words, stdin=stdin), 8, ["read standard input", why])
            assert peer.result == (before, True), why


@contextlib.contextmanager
def unreadable(content):
    """A file that gives CONTENT, whole pages of it, and then EIO."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    start_of = libc.mmap(None, ctypes.c_size_t(2 * len(content)), mmap.PROT_READ | mmap.PROT_WRITE,
                         mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, ctypes.c_long(0))
    ctypes.memmove(start_of, content, len(content))
    libc.munmap(ctypes.c_void_p(start_of + len(content)), ctypes.c_size_t(len(content)))
    with open("/proc/self/mem", "rb", buffering=0) as file:
        file.seek(start_of)
        yield file


@test
def named_pipes_that_others_share_keep_their_modes():
    def echo(conn):
        while piece := conn.recv(100):
            conn.sendall(piece)

    def talk(to, back):
        for _ in range(2000):
            os.write(to, b"line\n")
            assert os.read(back, 5) == b"line\n"
        os.close(to)

    with tempfile.TemporaryDirectory() as folder:
        stdin, to = both_ends_of(f"{folder}/in")
        back, stdout = both_ends_of(f"{folder}/out")
        with Peer(echo) as peer, start(*peer.words, stdin=stdin, stdout=stdout) as process:
            talker = threading.Thread(target=talk, args=(to, back))
            talker.start()
            modes = set()
            while talker.is_alive():
                modes |= {fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK for fd in (stdin, stdout)}
            talker.join()
            assert modes == {0}, "whoever shares it would be told EAGAIN"
            assert process.wait(LIMIT_S) == 0


def both_ends_of(fifo):
    """Descriptors to read and to write a new named pipe, both in blocking mode."""
    os.mkfifo(fifo)
    read_end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    write_end = os.open(fifo, os.O_WRONLY)
    os.set_blocking(read_end, True)
    return read_end, write_end


@test
def the_end_of_a_named_pipe_is_the_end_of_input_whenever_it_was_written():
    with tempfile.TemporaryDirectory() as folder:
        for i, text in enumerate((b"all of it", b"")):  # there, and its writer gone, before we are
            stdin, to = both_ends_of(f"{folder}/{i}")
            os.write(to, text)
            os.close(to)
            with Peer(read_all) as peer:
                expect(tenon(*peer.words, stdin=stdin), 0)
            assert peer.result == text
        stdin, to = both_ends_of(f"{folder}/later")
        with Peer(read_all) as peer, start(*peer.words, stdin=stdin) as process:
            os.close(stdin)
            os.write(to, b"more, ")
            with open(f"{folder}/later", "wb") as other:
                os.close(to)
                other.write(b"by another")
            assert process.wait(LIMIT_S) == 0
        assert peer.result == b"more, by another"


# ---------------------------------------------------------------- signals, terminals

@test
def an_interrupt_while_sending_is_no_end_for_the_peer():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # SIGQUIT would leave one
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
                   signal.SIGUSR2, signal.SIGALRM, signal.SIGXCPU, signal.SIGVTALRM,
                   signal.SIGPROF, signal.SIGIO, signal.SIGPWR):
        began = threading.Event()

        def script(conn, began=began):
            got = conn.recv(10)
            began.set()
            rest, cut = ends_in_reset(conn)
            return got + rest, cut

        with Peer(script) as peer, start(*peer.words) as process:
            process.stdin.write(b"half a fil")
            process.stdin.flush()
            began.wait(LIMIT_S)
            process.send_signal(number)
            assert process.wait(LIMIT_S) == -number
        assert peer.result == (b"half a fil", True)


@test
def on_a_terminal_the_peers_end_is_the_end():
    def script(conn):
        conn.sendall(b"good bye\r\n")
        conn.shutdown(socket.SHUT_WR)
        return read_all(conn)

    master, slave = pty.openpty()
    with Peer(script) as peer:
        result = tenon(*peer.words, stdin=slave)  # nobody types anything
        expect(result, 0)
        assert result.out == b"good bye\r\n"
    assert peer.result == b""
    os.close(master)
    os.close(slave)


def on_a_terminal(end, script):
    """Run the command on a terminal where a line is typed and then END(master) is called.

    What the peer reads from then on, by SCRIPT; the exit code, negative if it is a signal.
    """
    came = threading.Event()

    def read_on(conn):
        assert conn.recv(100) == b"hello\n"
        came.set()
        return script(conn)

    with Peer(read_on) as peer:
        child, master = pty.fork()
        if child == 0:
            os.execv(TENON, [TENON, "127.0.0.1", str(peer.port)])
        os.write(master, b"hello\n")
        assert came.wait(LIMIT_S)
        end(master)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return peer.result, code


@test
def a_terminal_that_hangs_up_is_no_end_for_the_peer():
    for _ in range(20):  # what is seen first, the signal or the end, is a race
        result, code = on_a_terminal(os.close, ends_in_reset)
        assert result == (b"", True) and code in (8, -signal.SIGHUP), (result, code)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert on_a_terminal(os.close, ends_in_reset) == ((b"", True), 8)


@test
def an_end_that_is_typed_is_an_end_for_the_peer():
    assert on_a_terminal(lambda master: os.write(master, b"\x04"), read_all) == (b"", 0)


@test
def input_that_goes_on_after_the_peers_end_is_still_sent():
    ended = threading.Event()

    def script(conn):
        conn.shutdown(socket.SHUT_WR)
        ended.set()
        return read_all(conn)

    with Peer(script) as peer, start(*peer.words) as process:
        process.stdin.write(b"before, ")
        process.stdin.flush()
        ended.wait(LIMIT_S)
        process.stdin.write(b"after")
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0
    assert peer.result == b"before, after"


# ---------------------------------------------------------------- options

@test
def C_sends_crlf_for_each_newline_and_leaves_others_alone():
    with Peer(read_all) as peer:
        expect(tenon("-C", *peer.words, stdin=b"a\nb\r\n\nc\r\rd\n"), 0)
    assert peer.result == b"a\r\nb\r\n\r\nc\r\rd\r\n"
    with Peer(read_all) as peer, start("-C", *peer.words) as process:
        for piece in (b"x\r", b"\ny", b"\n"):  # a pair in two reads
            process.stdin.write(piece)
            process.stdin.flush()
            time.sleep(0.05)
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0
    assert peer.result == b"x\r\ny\r\n"


@test
def s_and_p_choose_the_local_address():
    def script(conn):
        read_all(conn)
        return conn.getpeername()

    with socket.socket() as taken, Peer(script) as peer:  # so that nobody else takes that port
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        expect(tenon(*peer.words, "-s", "127.0.0.2", "-p", port), 0)
    assert peer.result == ("127.0.0.2", port)


@test
def v_says_to_whom_and_how_it_ended_and_silent_says_nothing():
    with Peer(read_all) as peer:
        result = tenon("-v", *peer.words, stdin=b"seven b")
        assert result.code == 0
        assert f"connected to tcp 127.0.0.1:{peer.port}" in result.lines()[0]
        assert "clean" in result.lines()[1] and "sent 7 bytes" in result.lines()[1]
    with Peer(read_all) as peer:
        expect(tenon("-v", "--silent", *peer.words, stdin=b"seven b"), 0)


@test
def z_tells_which_ports_accept():
    with contextlib.ExitStack() as stack:
        low, middle, _ = three_in_a_row(stack)  # a knock at others' ports would be their client
        port = low.getsockname()[1] + 1
        expect(tenon("-z", "127.0.0.1", port), 4, "connection refused")
        middle.listen()
        expect(tenon("-z", "127.0.0.1", port), 0)
        result = tenon("-zv", "127.0.0.1", f"{port - 1}-{port + 1}")
        assert result.code == 0
        assert f"tcp 127.0.0.1:{port}: open" in result.err


def three_in_a_row(stack):
    """Sockets bound to three ports that follow each other; STACK closes them."""
    while True:
        socks = [stack.enter_context(socket.socket()) for _ in range(3)]
        socks[0].bind(("127.0.0.1", 0))
        try:
            for i in (1, 2):
                socks[i].bind(("127.0.0.1", socks[0].getsockname()[1] + i))
            return socks
        except (OSError, OverflowError):  # one of them is taken
            pass


@test
def nc_flags_are_taken():
    with Peer(read_all) as peer:
        expect(tenon("-4nN", "-w5", *peer.words, stdin=b"nc"), 0)
    assert peer.result == b"nc"


run()
