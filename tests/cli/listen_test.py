#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon listen: one client or many, to standard input and output, files and programs."""
import os
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

from rig import (LIMIT_S, Server, ends_in_reset, expect, listens, pattern, read_all, reset, run,
                 stand_still, tenon, test, wait_for)


def send_and_end(conn, data):
    conn.sendall(data)
    conn.shutdown(socket.SHUT_WR)


# ---------------------------------------------------------------- one client

@test
def one_client_is_carried_both_ways_and_its_end_is_ours():
    sent, reply = pattern(3_000_000), pattern(2_000_000, seed=5)
    with Server("listen", "127.0.0.1:0") as server, server.connect() as conn:
        writer = threading.Thread(target=send_and_end, args=(conn, sent))
        writer.start()
        server.process.stdin.write(reply)
        server.process.stdin.close()
        collected = []
        reader = threading.Thread(target=lambda: collected.append(server.process.stdout.read()))
        reader.start()
        assert read_all(conn) == reply
        writer.join()
        conn.close()
        reader.join()
        assert server.process.wait(LIMIT_S) == 0
        assert collected == [sent]


@test
def two_of_the_command_talk_to_each_other():
    sent = pattern(10_000_000)
    with Server("-l", "127.0.0.1:0", stdin=subprocess.DEVNULL) as server:
        collected = []
        reader = threading.Thread(target=lambda: collected.append(server.process.stdout.read()))
        reader.start()
        expect(tenon("127.0.0.1", server.port, stdin=sent), 0)
        reader.join()
        assert server.process.wait(LIMIT_S) == 0
        assert collected == [sent]


@test
def where_it_listens_is_always_said_with_the_port_that_was_chosen():
    with Server("-l", "127.0.0.1:0", stdin=subprocess.DEVNULL) as server:
        server.connect().close()
        result = server.wait()
        assert result.err == f"tenon: listening on 127.0.0.1:{server.port}\n", result.err
    with Server("-l", "--silent", "127.0.0.1:0", stdin=subprocess.DEVNULL) as server:
        server.connect().close()
        assert server.wait().err == ""


@test
def a_second_client_is_refused_and_not_forgotten():
    with Server("-l", "127.0.0.1:0") as server, server.connect() as first:
        wait_for(lambda: not listens(server.port), "the listener to be closed")
        expect(tenon("127.0.0.1", server.port, stdin=b"for nobody"), 4, "refused")
        send_and_end(first, b"hello")
        server.process.stdin.close()
        assert server.process.stdout.read() == b"hello"
        assert server.process.wait(LIMIT_S) == 0


@test
def a_client_that_resets_is_exit_7_with_what_came_printed():
    with Server("-l", "127.0.0.1:0") as server:
        conn = server.connect()
        conn.sendall(b"as far as it went")
        assert os.read(server.process.stdout.fileno(), 5) == b"as fa"
        reset(conn)
        result = server.wait()
        assert result.out == b"r as it went"
        assert result.code == 7 and "reset by peer" in result.err, result


@test
def nobody_coming_before_max_time_is_exit_5():
    with Server("-l", "127.0.0.1:0", "--max-time", "200ms") as server:
        result = server.wait()
        assert result.code == 5 and "nobody came" in result.err, result


@test
def max_time_counts_from_the_beginning():
    with Server("-l", "127.0.0.1:0", "--max-time", "4s") as server:
        time.sleep(3)  # most of the time is gone when the client comes
        with server.connect() as conn:
            begin = time.monotonic()
            assert ends_in_reset(conn) == (b"", True)
            assert time.monotonic() - begin < 3.9
        assert server.wait().code == 5


@test
def an_interrupt_resets_the_client():
    with Server("-l", "127.0.0.1:0") as server, server.connect() as conn:
        wait_for(lambda: server.events("accept"), "the client")
        server.process.send_signal(signal.SIGINT)
        assert ends_in_reset(conn)[1]
        assert server.process.wait(LIMIT_S) == -signal.SIGINT


@test
def a_unix_socket_is_listened_on_and_its_file_is_replaced():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        for _ in range(2):  # the second time the file is there, and nobody behind it
            with Server("-l", "-U", path, stdin=subprocess.DEVNULL) as server:
                assert server.addr == f"unix:{path}", server.addr
                expect(tenon("-U", path, stdin=b"to a path"), 0)
                result = server.wait()
                assert (result.code, result.out) == (0, b"to a path"), result


@test
def a_port_in_use_is_an_error_that_says_so():
    with Server("-l", "127.0.0.1:0") as server:
        expect(tenon("-l", server.addr), 4, ["listen tcp", "Address already in use"])


@test
def p_names_the_port_to_listen_on_as_for_nc():
    with socket.socket() as holder:  # nobody else gets the port; who sets SO_REUSEADDR may listen
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        with Server("-l", "-p", port, "127.0.0.1", stdin=subprocess.DEVNULL) as server:
            assert server.port == port
            server.connect().close()
            assert server.wait().code == 0
    with Server("-l", "-p", 0, "127.0.0.1", stdin=subprocess.DEVNULL) as server:
        server.connect().close()
        assert server.wait().code == 0


@test
def a_unix_socket_of_one_that_was_killed_is_taken_at_once():
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(10):  # the kernel cleans up later, now and then
            with Server("listen", "-k", f"unix:{folder}/socket", stdin=subprocess.DEVNULL) as server:
                server.process.kill()
                server.process.wait()
        with Server("listen", "-k", f"unix:{folder}/socket", stdin=subprocess.DEVNULL):
            result = tenon("listen", f"unix:{folder}/socket")
            assert result.code == 4 and "hint: somebody listens there" in result.err, result


# ---------------------------------------------------------------- many clients

@test
def k_serves_one_client_after_another():
    with Server("-l", "-k", "127.0.0.1:0", stdin=subprocess.DEVNULL) as server:
        for i in range(5):
            expect(tenon("127.0.0.1", server.port, stdin=b"client %d\n" % i), 0)
        result = server.stop()
        assert result.code == 0, result
        assert result.out == b"".join(b"client %d\n" % i for i in range(5))


@test
def k_and_o_write_a_file_for_each_of_many_clients_at_once():
    with tempfile.TemporaryDirectory() as folder:
        with Server("-l", "-k", "127.0.0.1:0", "-o", f"{folder}/conn-%n.bin") as server:
            conns = [server.connect() for _ in range(20)]
            for i, conn in enumerate(conns):
                conn.sendall(b"%d:" % i)
            for i, conn in enumerate(conns):
                send_and_end(conn, pattern(10_000, seed=i))
            for conn in conns:
                assert conn.recv(1) == b""
            assert server.stop().code == 0
        found = sorted(open(f"{folder}/conn-{i}.bin", "rb").read() for i in range(1, 21))
        assert found == sorted(b"%d:" % i + pattern(10_000, seed=i) for i in range(20))
    expect(tenon("-l", "-k", "127.0.0.1:0", "-o", "same"), 2, "overwrite")


@test
def a_client_whose_named_pipe_nobody_reads_keeps_no_other_waiting():
    with tempfile.TemporaryDirectory() as folder:
        os.mkfifo(f"{folder}/1")
        with Server("-l", "-k", "127.0.0.1:0", "-o", f"{folder}/%n") as server, \
                server.connect() as first:
            wait_for(lambda: server.events("accept"), "the first client")
            with server.connect() as second:
                send_and_end(second, b"content")
                assert second.recv(1) == b""
            with open(f"{folder}/2", "rb") as file:
                assert file.read() == b"content"
            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: not listens(server.port), "it to stop accepting")
            assert server.stop().code == 1
            assert ends_in_reset(first) == (b"", True)


@test
def a_mere_port_means_loopback_where_files_are_written_or_programs_run():
    with tempfile.TemporaryDirectory() as folder:
        with Server("-l", "0", "-k", "-o", f"{folder}/%n") as server:
            assert server.addr.startswith("127.0.0.1:"), server.addr
    with Server("-l", "0", command=["true"]) as server:
        assert server.addr.startswith("127.0.0.1:"), server.addr
    with Server("-l", "0") as server:
        assert server.addr.startswith("[::]:"), server.addr


# ---------------------------------------------------------------- programs

@test
def exec_gives_each_client_a_program():
    with Server("-l", "-k", "127.0.0.1:0", command=["sort"]) as server:
        conns = [server.connect() for _ in range(5)]
        for i, conn in enumerate(conns):
            conn.sendall(b"b%d\na%d\n" % (i, i))
        for conn in conns:
            conn.shutdown(socket.SHUT_WR)
        for i, conn in enumerate(conns):
            assert read_all(conn) == b"a%d\nb%d\n" % (i, i)
            conn.close()
        assert server.stop().code == 0


@test
def exec_gives_a_program_the_limit_of_files_that_we_were_given():
    def few_files():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))

    with Server("-l", "-k", "127.0.0.1:0", command=["sh", "-c", "ulimit -n"],
                preexec_fn=few_files) as server:
        with open(f"/proc/{server.process.pid}/limits", encoding="ascii") as file:
            before = file.read()
        for _ in range(2):
            with server.connect() as conn:
                assert read_all(conn) == b"64\n"
        with open(f"/proc/{server.process.pid}/limits", encoding="ascii") as file:
            assert file.read() == before  # ours is not the program's
        assert "Max open files            64 " not in before, before
        assert server.stop().code == 0


@test
def exec_delivers_all_that_a_program_wrote_before_it_ended():
    size = 5_000_000
    with Server("-l", "127.0.0.1:0", command=["head", "-c", size, "/dev/zero"]) as server:
        with server.connect() as conn:
            total = 0
            while piece := conn.recv(1 << 16):
                total += len(piece)
        assert total == size
        assert server.wait().code == 0


@test
def exec_does_not_cut_a_half_closed_client():
    sent = pattern(4_000_000)
    with Server("-l", "127.0.0.1:0", command=["cat"]) as server:
        result = expect(tenon("127.0.0.1", server.port, stdin=sent), 0)
        assert result.out == sent
        assert server.wait().code == 0


@test
def a_client_whose_bytes_a_program_left_unread_sees_a_reset_after_the_answer():
    with Server("-l", "127.0.0.1:0", command=["sh", "-c", "read line; echo got $line"]) as server:
        with server.connect() as conn:
            conn.sendall(b"one\n" + pattern(500_000))
            answer, cut = ends_in_reset(conn)
            assert answer == b"got one\n" and cut, (answer, cut)
        assert server.wait().code == 0


@test
def a_killed_program_is_no_end_for_the_client():
    command = ["sh", "-c", "echo half an answ; read x; kill -KILL $$"]
    with Server("-l", "127.0.0.1:0", command=command) as server:
        with server.connect() as conn:
            assert conn.recv(100) == b"half an answ\n"
            conn.sendall(b"now\n")
            assert ends_in_reset(conn) == (b"", True)
        assert server.wait().code == 128 + signal.SIGKILL


@test
def a_client_that_goes_while_its_program_runs_is_no_clean_end():
    for command, least in ((["sh", "-c", "echo; read x; read y; exit 0"], 0),
                           (["sh", "-c", "read x; head -c 8000000 /dev/zero; exit 0"], 1)):
        with Server("-l", "127.0.0.1:0", command=command) as server:
            conn = server.connect()
            conn.sendall(b"go\n")
            conn.recv(1)  # it runs
            if least:
                wait_for(lambda conn=conn: owed(conn) > 200_000, "more than it takes")
            reset(conn)
            result = server.wait()
            close, = server.events("close")
            assert (result.code, close["ok"], close["how"]) == (7, False, "reset by peer"), result
            assert "reset by peer (" in result.err and close["unacked"] >= least, (result, close)


def owed(conn):
    """How many bytes the other end of CONN has sent that are not acknowledged."""
    ends = f" 0100007F:{conn.getpeername()[1]:04X} 0100007F:{conn.getsockname()[1]:04X} 01 "
    with open("/proc/net/tcp", encoding="ascii") as file:
        row = next((line for line in file if ends in line), f"{ends}0:0")
    return int(row.split(ends)[1].split(":")[0], 16)


@test
def the_programs_exit_code_is_ours_and_not_starting_is_126_or_127():
    for command, code in ((["sh", "-c", "exit 3"], 3), (["./no such program"], 127), (["/"], 126)):
        with Server("-l", "127.0.0.1:0", command=command) as server:
            if code > 125:
                assert server.turned_away()
            else:
                with server.connect() as conn:
                    assert read_all(conn) == b""
            result = server.wait()
            assert result.code == code, result
            close, = server.events("close")
            assert (close["ok"], close["exit"]) == (False, code), close


@test
def programs_are_not_run_for_the_network_unless_allowed():
    for address in ("0.0.0.0:0", ":0", "[::]:0"):
        result = tenon("listen", address, "--exec", "--", "true")
        assert result.code == 2 and "anybody" in result.err and "--allow" in result.err, result
    with Server("-l", "-k", ":0", "--allow", "127.0.0.0/8", command=["echo", "hi"]) as server:
        assert server.addr.startswith("[::]:")
        with server.connect() as conn:
            assert read_all(conn) == b"hi\n"
        if os.path.exists("/proc/net/if_inet6"):
            assert server.turned_away("::1")  # of no network that may enter
        assert server.stop().code == 0
    expect(tenon("listen", "127.0.0.1:0", "--exec", "--"), 2, "no program")
    expect(tenon("listen", "127.0.0.1:0", "-C", "--exec", "--", "cat"), 2, "does not go with")
    expect(tenon("listen", "127.0.0.1:0", "--allow", "10.0.0.0/33"), 2, "no network")


@test
def a_program_knows_its_client_and_signals_work_in_it():
    command = ["sh", "-c", "echo $REMOTE_ADDR $REMOTE_PORT; grep -E 'SigBlk|SigIgn' /proc/self/status"]
    with Server("-l", "127.0.0.1:0", command=command) as server:
        with server.connect() as conn:
            name = conn.getsockname()
            lines = read_all(conn).decode().splitlines()
        assert lines[0] == f"{name[0]} {name[1]}", lines
        assert lines[1].split()[1] == "0" * 16, lines  # nothing blocked
        assert int(lines[2].split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0, lines
        assert server.wait().code == 0


@test
def max_conns_lets_only_so_many_programs_run_at_once():
    with tempfile.TemporaryDirectory() as folder:
        command = ["sh", "-c", f"echo x >{folder}/$$; cat; rm {folder}/$$"]
        with Server("-l", "-k", "--max-conns", 3, "127.0.0.1:0", command=command) as server:
            conns = [server.connect() for _ in range(6)]
            wait_for(lambda: len(os.listdir(folder)) == 3, "three programs")
            time.sleep(0.1)  # a fourth would have come by now
            assert len(os.listdir(folder)) == 3
            for conn in conns:
                send_and_end(conn, b"me")
                assert read_all(conn) == b"me"
                conn.close()
            assert server.stop().code == 0


@test
def the_first_signal_drains_and_the_second_resets():
    with Server("-l", "-k", "127.0.0.1:0", command=["cat"]) as server:
        stays, goes = server.connect(), server.connect()
        wait_for(lambda: len(server.events("accept")) == 2, "two clients")
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not listens(server.port), "the listener to be closed")
        send_and_end(goes, b"still served")
        assert read_all(goes) == b"still served"
        goes.close()
        server.process.send_signal(signal.SIGTERM)
        assert ends_in_reset(stays) == (b"", True)
        server.wait()


@test
def a_second_signal_resets_the_clients_of_files_and_of_our_own_ends():
    with tempfile.TemporaryDirectory() as folder:
        for words in ((), ("-o", f"{folder}/%n")):
            with Server("-l", "-k", *words, "127.0.0.1:0") as server, server.connect() as conn:
                conn.sendall(b"as far as it went")
                wait_for(lambda: server.events("accept"), "the client")
                server.process.send_signal(signal.SIGINT)
                wait_for(lambda: not listens(server.port), "the listener to be closed")
                server.process.send_signal(signal.SIGINT)
                assert ends_in_reset(conn) == (b"", True)
                result = server.wait()
                assert result.code == 1, result
                assert "reset by us, as the second signal asked for (sent 0 bytes; received" \
                    in result.err, result
                close, = server.events("close")
                assert (close["ok"], close["reason"]) == (False, "killed"), close


@test
def a_client_that_comes_together_with_the_signal_is_reset():
    for words, signals in ((("-l",), 1), (("-l", "-k"), 2)):
        with Server(*words, "127.0.0.1:0") as server:
            stand_still(server.process)
            with server.connect() as conn:
                server.process.send_signal(signal.SIGINT)
                server.process.send_signal(signal.SIGCONT)
                for _ in range(1, signals):
                    wait_for(lambda: not listens(server.port), "the listener to be closed")
                    server.process.send_signal(signal.SIGTERM)
                assert ends_in_reset(conn) == (b"", True)
                server.wait()


run()
