# SPDX-License-Identifier: MIT
"""relays.py -- a client and a server that follow a script, and a relay between them.

Each ending has a relay of its own, started on a free port with its configuration in a
folder of its own.  What is right is what the two would see without a relay.
"""
import contextlib
import os
import signal
import socket
import tempfile
import threading
import time

from peers import (LIMIT_S, SMALL, Peer, end, how_it_ends, killable, listening, nobody, read_all,
                   read_exactly, read_slowly, reset)
from table import TENON, Column, Table

NGINX = """\
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid FOLDER/pid;
error_log /dev/null;
events {}
stream { server { listen 127.0.0.1:PORT; proxy_pass 127.0.0.1:TARGET; MORE } }
"""

# The time-outs are those of Debian's /etc/haproxy/haproxy.cfg.
HAPROXY = """\
global
    maxconn 1000
defaults
    mode tcp
    timeout connect 5s
    timeout client 50s
    timeout server 50s
listen relay
    bind 127.0.0.1:PORT
    server target 127.0.0.1:TARGET
"""


class Relay(Column):
    """WORDS and CONFIG name its PORT and TARGET; the signal STOP asks it to end in order."""

    def __init__(self, title, program, words, config="", stop=signal.SIGTERM,
                 version=("--version",)):
        super().__init__(title, program, version)
        self.words, self.config, self.stop = words, config, stop

    @contextlib.contextmanager
    def between(self, target):
        """A client's connection, through a relay, to the port TARGET, and the relay's process."""
        with tempfile.TemporaryDirectory(prefix="closing-") as folder:
            def command(port):
                def fill(text):
                    return (text.replace("PORT", str(port)).replace("TARGET", str(target))
                            .replace("FOLDER", folder))

                with open(f"{folder}/config", "w", encoding="utf-8") as file:
                    file.write(fill(self.config))
                return [self.program, *fill(self.words).split()]

            os.chmod(folder, 0o755)  # for those that become another user
            with listening(command) as (process, port):
                with socket.create_connection(("127.0.0.1", port), LIMIT_S) as client:
                    yield client, process


RELAYS = [
    Relay("tenon", TENON, "relay 127.0.0.1:PORT 127.0.0.1:TARGET"),
    Relay("HAProxy", "/usr/sbin/haproxy", "-f FOLDER/config", HAPROXY, signal.SIGUSR1, ("-v",)),
    Relay("nginx half", "/usr/sbin/nginx", "-p FOLDER -e /dev/null -c FOLDER/config",
          NGINX.replace("MORE", "proxy_half_close on;"), signal.SIGQUIT, ("-v",)),
    Relay("nginx", "/usr/sbin/nginx", "-p FOLDER -e /dev/null -c FOLDER/config",
          NGINX.replace("MORE", ""), signal.SIGQUIT, ("-v",)),
    Relay("socat -t", "socat", "-t 3600 TCP-LISTEN:PORT,bind=127.0.0.1,reuseaddr,fork "
          "TCP:127.0.0.1:TARGET", version=("-V",)),
    Relay("socat", "socat", "TCP-LISTEN:PORT,bind=127.0.0.1,reuseaddr,fork TCP:127.0.0.1:TARGET",
          version=("-V",)),
    Relay("rinetd", "/usr/sbin/rinetd", "-f -c FOLDER/config", "127.0.0.1 PORT 127.0.0.1 TARGET\n",
          version=("-v",)),
    Relay("proxyd", "systemd-socket-activate",
          "-l 127.0.0.1:PORT /lib/systemd/systemd-socket-proxyd 127.0.0.1:TARGET"),
]


def arrival(count, of):
    return "all" if count == of else "part" if count else "none"


def whole(seen, of):
    """The cell of an answer of OF bytes that has to come whole and to end."""
    count, ending = seen
    text = arrival(count, of)
    return text if ending == "an end" else f"{text}, {ending}", seen == (of, "an end")


def late_answer(relay):
    """the server answers 1.5 s after the client's end: all 100,000 bytes"""
    def script(conn):
        read_all(conn)
        time.sleep(1.5)
        conn.sendall(bytes(100_000))

    with relay.between(Peer(script).port) as (client, _):
        client.sendall(b"question")
        end(client)
        return whole(how_it_ends(client), 100_000)


def late_request(relay):
    """the client sends 1.5 s after the server's end: all 100,000 bytes"""
    def script(conn):
        end(conn)
        return how_it_ends(conn)

    peer = Peer(script)
    with relay.between(peer.port) as (client, _), contextlib.suppress(OSError):
        how_it_ends(client)
        time.sleep(1.5)
        client.sendall(bytes(100_000))
        end(client)
        peer.result()
    return whole(peer.result() or (0, "reset"), 100_000)


def answer_at_once(relay):
    """the client ends; the server sends 3 MB and closes: all"""
    def script(conn):
        read_all(conn)
        conn.sendall(bytes(3_000_000))

    with relay.between(Peer(script).port) as (client, _):
        client.sendall(b"question")
        end(client)
        return whole(how_it_ends(client), 3_000_000)


def both_at_once(relay):
    """the server sends 3 MB and ends, while the client goes on to send 5 MB: all of both"""
    def script(conn):
        conn.sendall(bytes(3_000_000))
        end(conn)
        return how_it_ends(conn)

    def send(client):
        with contextlib.suppress(OSError):
            for _ in range(50):
                client.sendall(bytes(100_000))
                time.sleep(0.01)
            end(client)

    peer = Peer(script)
    with relay.between(peer.port) as (client, _):
        sender = threading.Thread(target=send, args=(client,))
        sender.start()
        answer = how_it_ends(client)
        sender.join()
        request = peer.result() or (0, "reset")
    right = answer == (3_000_000, "an end") and request == (5_000_000, "an end")
    return "all" if right else "part", right


def slow_client(relay):
    """the client ends, waits 1 s and reads 3 MB slowly: all"""
    def script(conn):
        read_all(conn)
        conn.sendall(bytes(3_000_000))

    with relay.between(Peer(script).port) as (client, _):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        end(client)
        time.sleep(1)
        try:
            return whole((read_slowly(client), "an end"), 3_000_000)
        except OSError:
            return "cut", False


def slow_server(relay):
    """the server reads 5 MB slowly: all"""
    peer = Peer(read_slowly, SMALL)
    with relay.between(peer.port) as (client, _), contextlib.suppress(OSError):
        client.sendall(bytes(5_000_000))
        end(client)
        how_it_ends(client)
    return arrival(peer.result(), 5_000_000), peer.value == 5_000_000


def seen_as(ending):
    return ending, ending == "reset"


def server_resets(relay):
    """the server resets in mid-answer: the client sees a reset"""
    there = threading.Event()

    def script(conn):
        conn.sendall(bytes(50_000))
        there.wait(LIMIT_S)
        reset(conn)

    with relay.between(Peer(script).port) as (client, _):
        read_exactly(client, 50_000)
        there.set()
        return seen_as(how_it_ends(client)[1])


def client_resets(relay):
    """the client resets in mid-request: the server sees a reset"""
    there = threading.Event()

    def script(conn):
        read_exactly(conn, 50_000)
        there.set()
        return how_it_ends(conn)[1]

    peer = Peer(script)
    with relay.between(peer.port) as (client, _):
        client.sendall(bytes(50_000))
        there.wait(LIMIT_S)
        reset(client)
        return seen_as(peer.result() or "reset")


def server_resets_instead(relay):
    """the client ends, and the server resets instead of an answer: a reset"""
    def script(conn):
        read_all(conn)
        reset(conn)

    with relay.between(Peer(script).port) as (client, _):
        client.sendall(b"question")
        end(client)
        return seen_as(how_it_ends(client)[1])


def client_resets_waiting(relay):
    """the client ends, and resets while it waits for the answer: the server sees a reset"""
    ended = threading.Event()

    def script(conn):
        read_all(conn)
        ended.set()
        with contextlib.suppress(OSError):  # writing is how a server notices
            for _ in range(int(LIMIT_S * 5)):
                time.sleep(0.1)
                conn.sendall(b"part of an answer")
            return "an end"
        return "reset"

    peer = Peer(script)
    with relay.between(peer.port) as (client, _):
        client.sendall(b"question")
        end(client)
        ended.wait(LIMIT_S)
        reset(client)
        return seen_as(peer.result() or "reset")


def closes_unread(relay):
    """the server closes, the client's 60 KB unread: the client sees a reset"""
    def script(conn):
        conn.recv(1, socket.MSG_PEEK)
        time.sleep(0.2)

    with relay.between(Peer(script).port) as (client, _):
        client.sendall(bytes(60_000))
        return seen_as(how_it_ends(client)[1])


def server_killed(relay):
    """the server is killed in mid-request: the client sees a reset"""
    with killable() as (server, port), relay.between(port) as (client, _):
        try:
            client.sendall(bytes(1_000_000))
            server.stdout.readline()
            server.kill()
            return seen_as(how_it_ends(client)[1])
        except ConnectionResetError:
            return seen_as("reset")
        except BrokenPipeError:
            return seen_as("an end")


def refused(relay):
    """nobody listens there: the client sees a reset, not an empty answer"""
    port, taken = nobody()
    with taken:
        try:
            with relay.between(port) as (client, _):
                return seen_as(how_it_ends(client)[1])
        except ConnectionError:
            return "reset", True


def told_to_stop(relay):
    """the relay is asked to end in mid-answer: the rest of 3 MB still comes"""
    asked = threading.Event()

    def script(conn):
        conn.sendall(bytes(1_000_000))
        asked.wait(LIMIT_S)
        conn.sendall(bytes(2_000_000))

    with relay.between(Peer(script).port) as (client, process):
        read_exactly(client, 1_000_000)
        process.send_signal(relay.stop)
        time.sleep(0.3)
        asked.set()
        count, ending = how_it_ends(client)
        return whole((count + 1_000_000, ending), 3_000_000)


TABLE = Table(
    "Relays",
    "A client and a server with a relay between them; right is what they would see without it.",
    RELAYS,
    [late_answer, late_request, answer_at_once, both_at_once, slow_client, slow_server,
     server_resets, client_resets, server_resets_instead, client_resets_waiting, closes_unread,
     server_killed, refused, told_to_stop],
    "HAProxy: TCP mode, time-outs as Debian ships them. nginx: the stream module as it comes, and "
    "with `proxy_half_close on`. socat: `TCP-LISTEN:...,fork TCP:...`, and with `-t 3600`. "
    "proxyd: systemd-socket-proxyd behind systemd-socket-activate. Asked to end: TERM, but USR1 "
    "for HAProxy and QUIT for nginx. ")
