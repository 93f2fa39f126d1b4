# SPDX-License-Identifier: MIT
"""What the tests of `tenon relay` share: targets that serve many clients by a script."""
import contextlib
import socket
import threading

from rig import LIMIT_S, Server, read_all, stop_accepting
from schema import check


def forgiving(script):
    """SCRIPT for targets that are checked, or whose clients are reset on purpose."""
    def serve(conn):
        with contextlib.suppress(ConnectionResetError):
            script(conn)
    return serve


class Target:
    """A server for many clients, each served by SCRIPT(conn) in a thread of its own.

    Without a script it echoes each client's bytes once the client has ended.  SERVED counts
    the clients that have come.  It listens on the socket BOUND if there is one.
    """

    def __init__(self, script=None, bound=None):
        self.script, self.served, self.errors = script or self.late_echo, 0, []
        self.socket = bound or socket.create_server(("127.0.0.1", 0))
        self.socket.listen(256)
        self.port = self.socket.getsockname()[1]
        self.where = f"127.0.0.1:{self.port}"
        self.conns, self.lock = [], threading.Lock()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @staticmethod
    def late_echo(conn):
        conn.sendall(read_all(conn))

    def _accept(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            conn.settimeout(LIMIT_S)
            with self.lock:
                self.served += 1
                self.conns.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            with conn:
                self.script(conn)
        except Exception as error:  # told to the test
            self.errors.append(error)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        if self.errors and kind is None:
            raise self.errors[0]

    def close(self):
        stop_accepting(self.socket, self.thread)


class Relay(Server):
    """`tenon relay` on a port of its own, to TARGETS."""

    def __init__(self, *targets, options=(), **more):
        super().__init__("relay", "127.0.0.1:0", *[getattr(t, "where", t) for t in targets],
                         *options, **more)

    def __exit__(self, kind, *_):
        events = self.events() if kind is None else []
        super().__exit__(kind)
        for event in events:
            check(event)

    def closes(self):
        return self.events("close")

    def ask(self, data):
        """Send DATA and the end by a client of our own, and read to the end."""
        with self.connect() as conn:
            conn.sendall(data)
            conn.shutdown(socket.SHUT_WR)
            return read_all(conn)
