#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/echo_cores: a server with several loops serves evenly, loses nothing, ends clean."""
import os
import re
import signal
import socket
import subprocess
import threading

from rig import LIMIT_S, ends_in_reset, listens, read_all, reset, run, test, wait_for

PROGRAM = os.path.join(os.environ.get("B") or "build", "examples", "echo_cores")


class Cores:
    """The server with LOOPS loops; PORT is where it listens."""

    def __init__(self, loops, grace=LIMIT_S):
        self.process = subprocess.Popen(
            [PROGRAM, "127.0.0.1:0", str(loops), str(grace)], stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stderr.readline().rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), LIMIT_S)

    def stop(self, number=signal.SIGTERM):
        """Tell it to stop, and wait until nobody is let in any more."""
        self.process.send_signal(number)
        wait_for(lambda: not listens(self.port) or self.process.poll() is not None,
                 "nobody listens")

    def ended(self):
        """Its exit code, and how many clients each loop had."""
        text = self.process.communicate(timeout=LIMIT_S)[1]
        return self.process.returncode, [int(count) for count in re.findall(r"\d: (\d+)", text)]


def answered(client, text=b"ping"):
    client.sendall(text)
    return client.recv(len(text), socket.MSG_WAITALL) == text


def talk(client, number, wrong):
    """Send and read back at the same time; the end comes back behind the last byte."""
    sent = number.to_bytes(4, "big") * 25_000
    got = []
    reader = threading.Thread(target=lambda: got.append(read_all(client)))
    reader.start()
    client.sendall(sent)
    client.shutdown(socket.SHUT_WR)
    reader.join(LIMIT_S)
    if got != [sent]:
        wrong.append(number)


@test
def many_clients_have_their_bytes_whole_and_every_loop_has_as_many():
    with Cores(3) as server:
        clients = [server.connect() for _ in range(61)]
        wrong = []
        assert all(map(answered, clients))  # all of them are here, and at the same time
        talks = [threading.Thread(target=talk, args=(client, number, wrong))
                 for number, client in enumerate(clients)]
        for thread in talks:
            thread.start()
        for thread in talks:
            thread.join(LIMIT_S)
        for client in clients:
            client.close()
        assert not wrong, wrong
        server.stop()
        code, counts = server.ended()
        assert code == 0 and sorted(counts) == [20, 20, 21], (code, counts)


@test
def told_to_stop_it_lets_nobody_in_and_serves_on_who_is_connected():
    for number in signal.SIGTERM, signal.SIGINT:
        with Cores(2) as server:
            clients = [server.connect() for _ in range(4)]
            assert all(map(answered, clients))
            server.stop(number)
            for client in clients:
                assert answered(client, b"still there")
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
                client.close()
            assert server.ended() == (0, [2, 2])


@test
def who_does_not_go_is_reset_when_the_grace_is_over():
    with Cores(2, grace=0) as server:
        clients = [server.connect() for _ in range(4)]
        assert all(map(answered, clients))
        server.process.terminate()
        for client in clients:
            assert ends_in_reset(client) == (b"", True)
        assert server.ended() == (0, [2, 2])


@test
def a_second_signal_ends_it_at_once():
    with Cores(2) as server:
        client = server.connect()
        assert answered(client)
        server.stop()
        server.process.terminate()
        assert server.process.wait(LIMIT_S) == -signal.SIGTERM


@test
def clients_that_reset_at_once_leave_nothing_behind():
    with Cores(2) as server:
        for _ in range(200):
            reset(server.connect())
        clients = [server.connect() for _ in range(2)]
        assert all(map(answered, clients))
        for client in clients:
            client.close()
        server.stop()
        assert server.ended()[0] == 0  # without a wait for somebody who has gone


@test
def an_address_that_is_taken_is_said_and_ends_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run([PROGRAM, f"127.0.0.1:{taken.getsockname()[1]}", "2"],
                              stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 1 and "in use" in done.stderr, done


run()
