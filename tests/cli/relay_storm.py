#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many clients through one relay at once, all bytes hashed, some clients killed at random.

    TENON=build/tenon tests/cli/relay_storm.py [--clients 4500] [--size 1000000] [--seed 1]

Every client connects before any sends.  Then all send SIZE bytes and their end, through the
relay to an echo, and read what comes back; one in ten is reset at a random moment instead.
What the others get must have the digest of what they sent, and the relay's ledger must say
the same: SIZE bytes in at each side and out at each side, nothing lost, all ended clean.
"""
import argparse
import hashlib
import os
import random
import resource
import select
import socket
import struct
import sys
import time

from relay_rig import Relay
from rig import SCALE, Server, wait_for

PIECE = 1 << 16


class Client:
    """One connection: how far it has come, and where it is to be killed, if it is."""

    def __init__(self, number, relay, data, size, rng):
        self.view = memoryview(data)[number * 4099 % size:][:size]
        self.killed_at = rng.randrange(2 * size) if rng.random() < 0.1 else None
        self.sent = self.got = 0
        self.digest, self.ended, self.error = hashlib.sha1(), False, None
        self.conn = socket.create_connection(("127.0.0.1", relay.port))
        self.conn.setblocking(False)

    def step(self, events):
        """Do what EVENTS allow; False when there is nothing more to do."""
        try:
            if events & select.EPOLLOUT and self.sent < len(self.view):
                self.sent += self.conn.send(self.view[self.sent:self.sent + PIECE])
                if self.sent == len(self.view):
                    self.conn.shutdown(socket.SHUT_WR)
            if events & ~select.EPOLLOUT:
                piece = self.conn.recv(PIECE)
                self.digest.update(piece)
                self.got += len(piece)
                self.ended = not piece
        except BlockingIOError:
            pass
        except OSError as error:
            self.error = error
        if self.killed_at is not None and self.sent + self.got >= self.killed_at:
            self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        return not self.ended and not self.error

    def wants(self):
        return select.EPOLLIN | (select.EPOLLOUT if self.sent < len(self.view) else 0)

    def is_whole(self):
        return self.ended and self.digest.digest() == hashlib.sha1(self.view).digest()


def carry(clients, limit_s):
    """Serve all CLIENTS until each has done its part."""
    poll, end = select.epoll(), time.monotonic() + limit_s
    left = {client.conn.fileno(): client for client in clients}
    for number, client in left.items():
        poll.register(number, client.wants())
    while left:
        assert time.monotonic() < end, f"{len(left)} clients are not done"
        for number, events in poll.poll(1):
            client, before = left[number], left[number].wants()
            if not client.step(events):
                poll.unregister(number)
                client.conn.close()
                del left[number]
            elif client.wants() != before:
                poll.modify(number, client.wants())


def storm(count, size, seed, limit_s=300):
    """Run it; returns what is to be said of it."""
    rng, data = random.Random(seed), random.Random(seed).randbytes(2 * size)
    with Server("serve", "echo", "127.0.0.1:0") as echo, Relay(echo.addr) as relay:
        begin = time.monotonic()
        clients = [Client(number, relay, data, size, rng) for number in range(count)]
        wait_for(lambda: len(relay.events("accept")) == count, "all to be connected")
        descriptors = len(os.listdir(f"/proc/{relay.process.pid}/fd"))
        carry(clients, limit_s)
        took = time.monotonic() - begin
        kept = [client for client in clients if client.killed_at is None]
        wrong = [client.error or client.got for client in kept if not client.is_whole()]
        assert not wrong, f"{len(wrong)} of {len(kept)} clients lost something: {wrong[:5]}"
        wait_for(lambda: len(relay.closes()) == count, "all to be over")
        result = relay.stop()
        assert result.code == 0, result
        whole = [event for event in relay.closes() if event["ok"]]
        for event in whole:
            assert [event[name] for name in ("in", "target_out", "target_in", "out", "lost")] == \
                [size] * 4 + [0], event
        # A client killed at its very end may have been whole.
        assert len(kept) <= len(whole) <= count, (len(whole), len(kept))
        for event in relay.closes():
            assert event["in"] >= event["target_out"] >= event["target_in"] >= event["out"], event
    return (f"{count} clients at once ({descriptors} descriptors), {size} bytes each way each, "
            f"{count - len(kept)} killed at random: the other {len(kept)} whole, in {took:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=4500)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < 2 * args.clients + 1600:
        sys.exit(f"{most} descriptors are allowed, and it takes {2 * args.clients + 1600}")
    print(storm(args.clients, args.size, args.seed, 300 * SCALE))


if __name__ == "__main__":
    main()
