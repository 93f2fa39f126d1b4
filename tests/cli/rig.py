# SPDX-License-Identifier: MIT
"""What the tests of the command share: running it, and peers that follow a script.

    @test
    def what_is_true():
        with Peer(reply) as peer:
            ...
    run()

A test is a function; its name, with blanks, is the sentence that is printed.  It fails
by an assertion or by not being over in time.  Peers live in threads of the test, on ports
that the system chooses, and an exception in one fails the test.

TENON names the command; TENON_DRIVER, which it reads itself, the driver.
"""
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback

TENON = os.environ.get("TENON") or "build/tenon"
SCALE = int(os.environ.get("TENON_TEST_SCALE") or 1) * (4 if os.environ.get("SAN") else 1)
LIMIT_S = 30 * SCALE  # for one test
_tests = []

# Whoever runs us in the background, or under nohup, has told us to ignore some of these, and
# the command would inherit that and, as it should, ignore them too.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)


class Skip(Exception):
    """Raised by a test that cannot be run here; says why."""


def test(function):
    _tests.append(function)
    return function


class Result:
    """How a run of the command ended."""

    def __init__(self, code, out, err, took):
        self.code, self.out, self.took = code, out, took
        self.err = err.decode(errors="replace")

    def __repr__(self):
        return f"exit {self.code}, {len(self.out)} bytes out, in {self.took:.2f} s\n{self.err}"

    def lines(self):
        return self.err.splitlines()

    def objects(self):
        return [json.loads(line) for line in self.lines()]


class Running(subprocess.Popen):
    """The command while it runs.  A `with` that fails kills it, and what it said is shown."""

    def __exit__(self, kind, *more):
        if kind is not None and self.poll() is None:
            self.kill()
            _, err = collect(self)
            print(f"killed; it had said: {(err or b'').decode(errors='replace')}", file=sys.stderr)
        super().__exit__(kind, *more)


def start(*args, prefix=(), **options):
    """The command, running, behind PREFIX; all its ends are pipes unless OPTIONS say otherwise."""
    for name in ("stdin", "stdout", "stderr"):
        options.setdefault(name, subprocess.PIPE)
    return Running([*prefix, TENON, *map(str, args)], **options)


def tenon(*args, stdin=b"", limit=LIMIT_S, **options):
    """Run the command with STDIN (bytes, or a file) and wait for it."""
    begin = time.monotonic()
    given = isinstance(stdin, bytes)
    process = start(*args, stdin=subprocess.PIPE if given else stdin, **options)
    try:
        out, err = process.communicate(stdin if given else None, timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"not over after {limit} s; {err.decode(errors='replace')}") from None
    return Result(process.returncode, out or b"", err or b"", time.monotonic() - begin)


def expect(result, code, err=None):
    """RESULT has this exit code, and on standard error one line with ERR, or nothing."""
    assert result.code == code, f"exit {result.code}, not {code}: {result!r}"
    if err is None:
        assert result.err == "", result.err
    else:
        said = [line for line in result.lines() if not line.startswith("hint:")]
        assert len(said) == 1 and said[0].startswith("tenon: "), result.err
        for part in [err] if isinstance(err, str) else err:
            assert part in said[0], f"'{part}' is not in: {result.err}"
    return result


def read_all(conn):
    pieces = []
    while piece := conn.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def reset(conn):
    """Close CONN by a reset."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def knows_that_it_ended(conn):
    """Whether CONN's client on 127.0.0.1 has the acknowledgement of its end (FIN-WAIT-2)."""
    poll = select.poll()
    poll.register(conn, select.POLLRDHUP)
    if not poll.poll(0):
        return False  # before the long look
    with open("/proc/net/tcp", encoding="ascii") as file:
        return f" 0100007F:{conn.getpeername()[1]:04X} 0100007F:{conn.getsockname()[1]:04X} 05 " \
            in file.read()


def queued(conn):
    """How many bytes wait to be read from CONN."""
    return struct.unpack("i", fcntl.ioctl(conn, termios.FIONREAD, bytes(4)))[0]


def ends_in_reset(conn):
    """What CONN gives until it ends, and whether it is reset, be it after an end."""
    pieces = []
    try:
        while piece := conn.recv(1 << 16):
            pieces.append(piece)
    except ConnectionResetError:
        return b"".join(pieces), True
    poll = select.poll()
    poll.register(conn, 0)
    events = poll.poll(5000 * SCALE)
    return b"".join(pieces), bool(events and events[0][1] & select.POLLERR)


def stop_accepting(listener, thread):
    """Close LISTENER, at which THREAD accepts until that fails, when it has ended.

    A call that is interrupted is made again with the same number, which may be another's.
    """
    with contextlib.suppress(OSError):  # closed already
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(LIMIT_S)
    listener.close()


class Peer:
    """A server that serves one client by SCRIPT(conn), in a thread.

    PORT and WORDS (host and port, as the command takes them) say where.  Leaving the
    `with` waits for the script; what it returned is RESULT then.
    """

    def __init__(self, script=None, family=socket.AF_INET, path=None, backlog=16):
        self.script, self.result, self.error = script, None, None
        self.socket = socket.socket(socket.AF_UNIX if path else family)
        self.socket.settimeout(LIMIT_S)
        if path:
            self.socket.bind(path)
            self.port, self.words = None, (f"unix:{path}",)
        else:
            self.socket.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
            self.port = self.socket.getsockname()[1]
            self.words = (self.socket.getsockname()[0], self.port)
        self.socket.listen(backlog)
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        try:
            conn, _ = self.socket.accept()
            conn.settimeout(LIMIT_S)
            with conn:
                self.result = self.script(conn)
        except Exception as error:  # told to the test
            self.error = error

    def __enter__(self):
        if self.script:
            self.thread.start()
        return self

    def __exit__(self, kind, *_):
        if self.script and kind is None:
            self.thread.join(LIMIT_S)
            assert not self.thread.is_alive(), "the peer's script is not over"
        self.socket.close()
        if self.error and kind is None:
            raise self.error


def collect(process, limit=None):
    """What PROCESS still says, and its end; its input may be closed already."""
    if process.stdin and process.stdin.closed:
        process.stdin = None
    return process.communicate(timeout=limit)


class Server:
    """The command as a server; ADDR and PORT are where it says it listens.

    COMMAND is the program of its --exec.
    """

    def __init__(self, *args, command=(), **options):
        self.log = tempfile.NamedTemporaryFile(prefix="tenon-", suffix=".json")
        program = ["--exec", "--", *command] if command else []
        self.process = start(*args, f"--json={self.log.name}", *program, **options)
        self.addr = self.port = None

    def __enter__(self):
        event = wait_for(lambda: self.events("listening"), "listening", self.process)[0]
        self.addr = event["addr"]
        if not self.addr.startswith("unix:"):
            self.port = int(self.addr.rsplit(":", 1)[1])
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        collect(self.process)
        self.log.close()

    def events(self, name=None):
        with open(self.log.name, encoding="utf-8") as file:
            lines = [line for line in file if line.endswith("\n")]
        return [event for event in map(json.loads, lines) if name in (None, event["ev"])]

    def connect(self, host="127.0.0.1"):
        conn = socket.create_connection((host, self.port), timeout=LIMIT_S)
        conn.settimeout(LIMIT_S)
        return conn

    def turned_away(self, host="127.0.0.1"):
        """Whether a client from HOST is reset without a word."""
        try:
            with self.connect(host) as conn:
                return ends_in_reset(conn) == (b"", True)
        except ConnectionResetError:
            return True  # before connect(2) had returned

    def stop_child(self, number=signal.SIGTERM):
        """As stop, where the command is the child of what was started."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as file:
            os.kill(int(file.read().split()[0]), number)
        return self.wait()

    def stop(self, number=signal.SIGTERM):
        """Send signal NUMBER and wait for the end."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        begin = time.monotonic()
        try:
            out, err = collect(self.process, LIMIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("the server does not end") from None
        return Result(self.process.returncode, out or b"", err or b"", time.monotonic() - begin)


def wait_for(fact, what, process=None):
    """Look until FACT() is true, and give what it gave."""
    end = time.monotonic() + LIMIT_S
    while not (found := fact()):
        if process and process.poll() is not None:
            if found := fact():  # it came true, and then the process ended, since we looked
                break
            _, err = process.communicate()
            raise AssertionError(f"ended with {process.returncode} before {what}: {err}")
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.005)
    return found


def listeners(port):
    """Those who listen on PORT of IPv4: how many wait to be accepted, for each."""
    waiting = []
    with open("/proc/net/tcp", encoding="ascii") as file:
        next(file)
        for line in file:
            _, local, _, state, queues = line.split()[:5]
            if state != "0A":
                break  # they come first; a hundred thousand others may follow, in TIME-WAIT
            if local.endswith(f":{port:04X}"):
                waiting.append(int(queues.split(":")[1], 16))
    return waiting


def listens(port):
    """Whether somebody listens on PORT of IPv4."""
    return bool(listeners(port))


def free_port():
    """A port on which nobody listens: bound to a socket, so that nobody else gets it."""
    conn = socket.socket()
    conn.bind(("127.0.0.1", 0))
    return conn, conn.getsockname()[1]


def stand_still(process):
    """Stop PROCESS and see that it is, until SIGCONT."""
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: state_of(process) == "T", "being stopped")


def state_of(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


def cpu_seconds(process):
    """The processor time that PROCESS has used so far, as the scheduler accounts for it."""
    with open(f"/proc/{process.pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def pattern(size, seed=1):
    """SIZE bytes in which every shift and every loss shows."""
    block = b"".join(struct.pack("<II", seed, i) for i in range(1 << 14))
    pieces, made = [], 0
    while made < size:
        pieces.append(bytes(block))
        made += len(block)
        seed += 1
        block = struct.pack("<I", seed) + block[4:]
    return b"".join(pieces)[:size]


def _run_one(function):
    """In a process of its own: exit 0, 1 or 77 with what went wrong on standard error."""
    try:
        function()
        status = 0
    except Skip as why:
        print(why, file=sys.stderr)
        status = 77
    except BaseException:  # a test may fail in any way
        traceback.print_exc()
        status = 1
    sys.stderr.flush()
    os._exit(status)


def _try_one(function):
    """Run FUNCTION in a child with a time limit: its status and its words."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.dup2(write_end, 2)
        os.close(read_end)
        _run_one(function)
    os.close(write_end)
    words, end = b"", time.monotonic() + 2 * LIMIT_S
    while True:
        ready = select.select([read_end], [], [], max(0, end - time.monotonic()))[0]
        piece = os.read(read_end, 1 << 16) if ready else b""
        words += piece
        if not piece:
            break
    if not ready:
        words += b"not over in time\n"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and whatever it started
    os.close(read_end)
    _, status = os.waitpid(child, 0)
    return (os.waitstatus_to_exitcode(status) if ready else 1), words.decode(errors="replace")


def run():
    """Run all tests of the file, or those with T in their names."""
    passed = failed = skipped = 0
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for function in _tests:
        name = function.__name__.replace("_", " ")
        if wanted not in name:
            continue
        begin = time.monotonic()
        status, words = _try_one(function)
        took = f"{time.monotonic() - begin:6.2f} s"
        if status == 0:
            passed += 1
            print(f"  pass {took}  {name}", flush=True)
        elif status == 77:
            skipped += 1
            print(f"  skip {took}  {name}: {words.strip()}", flush=True)
        else:
            failed += 1
            print(f"  FAIL {took}  {name}", flush=True)
            print("".join(f"        {line}\n" for line in words.splitlines()), end="", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
