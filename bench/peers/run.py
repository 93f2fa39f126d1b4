#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the peer benchmarks interleaved (A B C A B C ...) and print medians.

  run.py echo  [-s server,...] [-k scenario,...] [-r reps] [-d secs] [--spin 1]
  run.py conn  [-s server,...]          connections per second
  run.py idle  [-s server,...] [-N conns] [-W processes]
  run.py bulk  [-k mode,...]            one-way stream, sender core 1, receiver core 0
  run.py relay [-s relay,...]           relays: bulk, ping-pong, connects

A new library's server joins by one line in SERVERS (it takes -p PORT -c CPU).
Raw results are appended to --out (JSON lines).  Everything listens on
127.0.0.1; each server gets a fresh port and is killed by its own pid.
"""
import argparse, json, os, re, signal, statistics, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
B = os.path.join(HERE, "../../build/peers")
CPU_S, CPU_L = 0, 1

SERVERS = {
    "epoll":      "echo_epoll -p {p} -c 0",
    "uring":      "echo_uring -p {p} -c 0 -b {ub} -n {un}",
    "uring-coop": "echo_uring -p {p} -c 0 -b {ub} -n {un} -x coop",
    "uring-plain": "echo_uring -p {p} -c 0 -b {ub} -n {un} -x plain",
    "uring-nomulti": "echo_uring -p {p} -c 0 -b {ub} -n {un} -x nomulti",
    "uring-nobufs": "echo_uring -p {p} -c 0 -b {nb} -n 1024 -x nobufs",
    "uring-nodirect": "echo_uring -p {p} -c 0 -b {ub} -n {un} -x nodirect",
    "uring-bundle": "echo_uring -p {p} -c 0 -b 4096 -n 16384 -x bundle",
    "uring-p8192": "echo_uring -p {p} -c 0 -b 4096 -n 8192",
    "uring-p32":  "echo_uring -p {p} -c 0 -b {ub} -n 32",
    "uring-p64":  "echo_uring -p {p} -c 0 -b {ub} -n 64",
    "uring-p128": "echo_uring -p {p} -c 0 -b {ub} -n 128",
    "uring-p512": "echo_uring -p {p} -c 0 -b {ub} -n 512",
    "uring-b256": "echo_uring -p {p} -c 0 -b 256 -n 2048",
    "uring-inc":  "echo_uring -p {p} -c 0 -b 65536 -n 32 -x inc",
    "uring-inc8": "echo_uring -p {p} -c 0 -b 131072 -n 8 -x inc",
    "uring-zc":   "echo_uring -p {p} -c 0 -b {ub} -n {un} -x zc",
    "uring-sqpoll": "echo_uring -p {p} -c 0 -b {ub} -n {un} -x sqpoll",
    "uring-spin": "echo_uring -p {p} -c 0 -b {ub} -n {un} -x spin",
    "uring-pollfirst": "echo_uring -p {p} -c 0 -b {ub} -n {un} -x pollfirst",
    "libuv":      "echo_libuv -p {p} -c 0",
    "libevent":   "echo_libevent -p {p} -c 0",
    "st":         "echo_st -p {p} -c 0 -b {nb}",
    "go":         "taskset -c 0 echo_go -p {p} -c 0 -t 1 -b {nb}",
    "tokio":      "echo_tokio -p {p} -c 0 -b {nb}",
    "asio":       "echo_asio -p {p} -c 0 -b {nb}",
    "threads":    "echo_threads -p {p} -c 0 -b {nb}",
    "epoll-2t":   "echo_epoll -p {p} -c 0 -t 2",
    "uring-2t":   "echo_uring -p {p} -c 0 -t 2 -b {ub} -n {un}",
    "go-2t":      "echo_go -p {p} -c -1 -t 2 -b {nb}",
    "tokio-2t":   "echo_tokio -p {p} -c -1 -t 2 -b {nb}",
}
PEERS = "epoll,uring,libuv,libevent,st,go,tokio,asio,threads"
# conns, size, depth
SCEN = {
    "1x64": (1, 64, 1), "64x64": (64, 64, 1), "512x64": (512, 64, 1), "4096x64": (4096, 64, 1),
    "64x64d16": (64, 64, 16), "512x64d16": (512, 64, 16), "64x1k": (64, 1024, 1),
    "64x16k": (64, 16384, 1), "64x64k": (64, 65536, 1), "1x64k": (1, 65536, 1), "1x64d16": (1, 64, 16),
    "512x16k": (512, 16384, 1),
}
_port = [20000 + (os.getpid() * 37) % 8000]


def port(n=1):
    _port[0] += n
    return _port[0]


def cpu_busy():
    out = []
    for line in open("/proc/stat"):
        if re.match(r"cpu\d", line):
            v = [int(x) for x in line.split()[1:9]]
            out.append((sum(v) - v[3] - v[4], sum(v)))
    return out


def wait_quiet(limit):
    """Wait (bounded) until other programs leave both cores mostly alone."""
    end = time.time() + limit
    while True:
        a = cpu_busy()
        time.sleep(0.15)
        b = cpu_busy()
        busy = max((y[0] - x[0]) / max(1, y[1] - x[1]) for x, y in zip(a, b))
        if busy < 0.25 or time.time() > end:
            return


def start(cmd, **kw):
    words = cmd.split()
    for i, w in enumerate(words):
        if os.path.exists(os.path.join(B, w)):
            words[i] = os.path.join(B, w)
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=kw.pop("stderr", subprocess.DEVNULL), **kw)


def stop(p):
    if p.poll() is None:
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(2)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def load(args, timeout):
    try:
        r = subprocess.run([os.path.join(B, "load")] + [str(a) for a in args],
                           capture_output=True, text=True, timeout=timeout)
        return json.loads(r.stdout) if r.stdout.strip() else {"error": r.stderr.strip()[-200:] or "no output"}
    except subprocess.TimeoutExpired:
        return {"error": "timeout"}     # run() has killed the child by its pid


def fill(name, size, p):
    # the whole pool stays inside the L2 cache: bigger pools measured slower
    ub, un = (2048, 512) if size <= 2048 else (16384, 64) if size <= 16384 else (65536, 32)
    return SERVERS[name].format(p=p, ub=ub, un=un, nb=4096 if size <= 4096 else 65536)


def med(rows, key):
    v = [r[key] for r in rows if key in r]
    return statistics.median(v) if v else float("nan")


def table(res, cols, best_key):
    for scen, by in res.items():
        print(f"\n### {scen}")
        print("| server | " + " | ".join(cols) + (" | min srv_us |" if "srv_us_per_rt" in cols else " |") + " ratio to best |")
        print("|---" * (len(cols) + 2 + ("srv_us_per_rt" in cols)) + "|")
        ok = {s: r for s, r in by.items() if any(best_key in x for x in r)}
        best = max((med(r, best_key) for r in ok.values()), default=1)
        for s, r in by.items():
            if s not in ok:
                print(f"| {s} | failed: {r[-1].get('error', '')[:60]} |")
                continue
            print(f"| {s} | " + " | ".join(f"{med(r, c):.4g}" if med(r, c) < 1e4 else f"{med(r, c):,.0f}" for c in cols)
                  + (f" | {min(x['srv_us_per_rt'] for x in r if 'srv_us_per_rt' in x):.3g}" if "srv_us_per_rt" in cols else "")
                  + f" | {med(r, best_key) / best:.2f} |")
    sys.stdout.flush()


def rec(a, kind, server, scen, row):
    row.update(kind=kind, server=server, scen=scen)
    if "srv_core_busy" in row:
        row["foreign"] = round(row["srv_core_busy"] + row["load_core_busy"] - row["srv_util"] - row["load_util"], 2)
    with open(a.out, "a") as f:
        f.write(json.dumps(row) + "\n")
    return row


def do_echo(a):
    res = {}
    for k in a.k.split(","):
        n, size, depth = SCEN[k]
        res[k] = {s: [] for s in a.s.split(",")}
        for _ in range(a.r):
            for s in a.s.split(","):
                p = port()
                wait_quiet(a.quiet)
                srv = start(fill(s, size, p))
                time.sleep(0.15)
                row = load(["-m", "echo", "-p", p, "-N", n, "-S", size, "-D", depth, "-d", a.d, "-w", 0.25,
                            "-P", srv.pid, "-C", CPU_S, "-c", CPU_S if a.same else CPU_L, "-s", a.spin], a.d + 20)
                stop(srv)
                kind = "echo" + ("-spin" if a.spin else "") + ("-same" if a.same else "")
                res[k][s].append(rec(a, kind, s, k, row))
        table({k: res[k]}, ["rps", "MBps", "p50_us", "p99_us", "srv_us_per_rt", "load_us_per_rt", "srv_util", "load_util",
                         "foreign"], "rps")


def do_conn(a):
    res = {"connect-echo64-close": {s: [] for s in a.s.split(",")}}
    for _ in range(a.r):
        for s in a.s.split(","):
            p = port()
            wait_quiet(a.quiet)
            srv = start(fill(s, 64, p))
            time.sleep(0.15)
            row = load(["-m", "conn", "-p", p, "-N", 64, "-S", 64, "-d", a.d, "-w", 0.3, "-P", srv.pid], a.d + 20)
            stop(srv)
            res["connect-echo64-close"][s].append(rec(a, "conn", s, "conn", row))
    table(res, ["cps", "srv_us_per_conn", "srv_util", "load_us_per_conn", "load_util"], "cps")


def do_idle(a):
    for s in a.s.split(","):
        p = port(a.W)
        srvs = [start(fill(s, 64, p + i).replace("-c 0", f"-c {i % 2}")) for i in range(a.W)]
        time.sleep(0.5 + a.W * 0.03)
        row = load(["-m", "idle", "-p", p, "-W", a.W, "-N", a.N, "-d", 2, "-c", -1,
                    "-P", ",".join(str(x.pid) for x in srvs)], 90 + a.N // 5000)
        for x in srvs:
            stop(x)
        port(a.W)
        print(s, json.dumps(rec(a, "idle", s, str(a.N), row)))
        sys.stdout.flush()
        time.sleep(2)


def pump(args, timeout=60):
    r = subprocess.run([os.path.join(B, "bulk")] + [str(x) for x in args], capture_output=True, text=True, timeout=timeout)
    try:
        return json.loads(r.stdout)
    except ValueError:
        return {"error": r.stderr[-200:]}


BULK = {  # name: (source mode, source buffer, sink mode, sink buffer)
    "rw-64k": ("rw", 65536, "rw", 65536), "rw-256k": ("rw", 262144, "rw", 262144), "rw-1m": ("rw", 1 << 20, "rw", 1 << 20),
    "rw-64k-trunc": ("rw", 65536, "trunc", 1 << 20), "rw-256k-trunc": ("rw", 262144, "trunc", 1 << 20),
    "uring-64k": ("uring", 65536, "uring", 65536), "uring-256k": ("uring", 262144, "uring", 65536),
    "uring-256k-bundle": ("uring", 262144, "bundle", 16384),
    "zc-256k": ("zc", 262144, "rw", 262144), "zc-256k-trunc": ("zc", 262144, "trunc", 1 << 20),
    "uzc-256k": ("uzc", 262144, "rw", 262144), "uzcfix-256k": ("uzcfix", 262144, "rw", 262144),
    "rw-64k-lowat256k": ("rw", 65536, "rw -l 262144", 262144), "rw-64k-lowat1m": ("rw", 65536, "rw -l 1048576", 1 << 20),
    "rw-64k-spin": ("rw", 65536, "rw -s 1", 65536), "rw-256k-spin": ("rw", 262144, "rw -s 1", 262144),
    "rw-256k-spin-trunc": ("rw", 262144, "trunc -s 1", 1 << 20), "rw-1m-spin": ("rw", 1 << 20, "rw -s 1", 262144),
    "zc-1m-spin-trunc": ("zc", 1 << 20, "trunc -s 1", 1 << 20), "sendfile-spin-trunc": ("sendfile", 1 << 20, "trunc -s 1", 1 << 20),
    "sendfile-256k": ("sendfile", 262144, "rw", 262144), "sendfile-trunc": ("sendfile", 262144, "trunc", 1 << 20),
    "splice-256k": ("splice", 262144, "splice", 262144), "sendfile-splice": ("sendfile", 1 << 20, "splice", 1 << 20),
}


def do_bulk(a):
    keys = list(BULK) if a.k == "default" else a.k.split(",")
    res = {"bulk": {k: [] for k in keys}}
    for _ in range(a.r):
        for k in keys:
            sm, sb, rm, rb = BULK[k]
            p = port()
            wait_quiet(a.quiet)
            sink = start(f"bulk -r sink -p {p} -c 0 -m {rm} -b {rb}")
            time.sleep(0.1)
            row = pump(["-r", "src", "-p", p, "-c", 0 if a.same else 1, "-m", sm, "-b", sb, "-d", a.d, "-P", sink.pid])
            stop(sink)
            res["bulk"][k].append(rec(a, "bulk", k, "bulk", row))
    table(res, ["GBps", "src_s_per_GB", "p1_s_per_GB"], "GBps")


def haproxy_cfg(p, q, splice):
    path = f"{B}/haproxy-{p}.cfg"
    opt = "option splice-request\n    option splice-response\n" if splice else ""
    with open(path, "w") as f:
        f.write(f"""global
    maxconn 4000
    nbthread 1
    {'' if splice else 'nosplice'}
defaults
    mode tcp
    {opt}    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen l
    bind 127.0.0.1:{p}
    server s 127.0.0.1:{q}
""")
    return f"taskset -c 0 haproxy -db -f {path}"


RELAYS = {
    "direct": None,
    "socat": lambda p, q: f"taskset -c 0 socat TCP-LISTEN:{p},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=1024 TCP:127.0.0.1:{q},nodelay",
    "socat-64k": lambda p, q: f"taskset -c 0 socat -b 65536 TCP-LISTEN:{p},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=1024 TCP:127.0.0.1:{q},nodelay",
    "ncat": lambda p, q: f"taskset -c 0 ncat -k -l 127.0.0.1 {p} --sh-exec exec\\ ncat\\ 127.0.0.1\\ {q}",
    "haproxy": lambda p, q: haproxy_cfg(p, q, False),
    "haproxy-splice": lambda p, q: haproxy_cfg(p, q, True),
    "rw-16k": lambda p, q: f"relay -p {p} -q {q} -c 0 -m rw -b 16384",
    "rw-64k": lambda p, q: f"relay -p {p} -q {q} -c 0 -m rw -b 65536",
    "rw-256k": lambda p, q: f"relay -p {p} -q {q} -c 0 -m rw -b 262144",
    "splice-64k": lambda p, q: f"relay -p {p} -q {q} -c 0 -m splice -b 65536",
    "splice-1m": lambda p, q: f"relay -p {p} -q {q} -c 0 -m splice -b 1048576",
}


def kids(pid):
    out = [pid]
    try:
        for t in open(f"/proc/{pid}/task/{pid}/children").read().split():
            out += kids(int(t))
    except OSError:
        pass
    return out


def relay_start(name, p, q):
    if RELAYS[name] is None:
        return None
    cmd = RELAYS[name](p, q)
    if name == "ncat":
        words = cmd.split(" --sh-exec ")[0].split() + ["--sh-exec", f"exec ncat 127.0.0.1 {q}"]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return start(cmd)


def relay_stop(r):
    if r:
        for k in reversed(kids(r.pid)[1:]):
            try:
                os.kill(k, signal.SIGTERM)
            except OSError:
                pass
        stop(r)


def cpu_of(pids):
    s = 0
    for p in pids:
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                s += int(open(f"/proc/{p}/task/{t}/schedstat").read().split()[0])
        except OSError:
            pass
    return s / 1e9


def do_relay(a):
    names = list(RELAYS) if a.s == PEERS else a.s.split(",")
    out = {k: {n: [] for n in names} for k in ("relay-bulk", "relay-pingpong64", "relay-connects")}
    for _ in range(a.r):
        for n in names:
            # bulk: source and sink share core 1 (both made cheap), the relay has core 0
            p, q = port(), port()
            wait_quiet(a.quiet)
            end = 0 if a.same else 1
            sink = start(f"bulk -r sink -p {q} -c {end} -m trunc -b 1048576")
            time.sleep(0.1)
            r = relay_start(n, p, q)
            time.sleep(0.3)
            row = pump(["-r", "src", "-p", p if r else q, "-c", end, "-m", "sendfile", "-b", 262144, "-d", a.d,
                        "-P", sink.pid, "-K", r.pid if r else 0])
            relay_stop(r)
            stop(sink)
            out["relay-bulk"][n].append(rec(a, "relay-bulk", n, "bulk", row))
            # ping-pong through the relay: echo server on core 1 with the client
            p, q = port(), port()
            srv = start(f"echo_epoll -p {q} -c {end}")
            time.sleep(0.1)
            r = relay_start(n, p, q)
            time.sleep(0.3)
            row = load(["-m", "echo", "-p", p if r else q, "-N", 1, "-S", 64, "-D", 1, "-d", a.d, "-w", 0.3, "-c", end], 30)
            out["relay-pingpong64"][n].append(rec(a, "relay-ping", n, "ping", row))
            row = load(["-m", "conn", "-p", p if r else q, "-N", 16, "-S", 64, "-d", a.d, "-w", 0.2, "-c", end], 60)
            out["relay-connects"][n].append(rec(a, "relay-conn", n, "conn", row))
            relay_stop(r)
            stop(srv)
    table({"relay-bulk": out["relay-bulk"]}, ["GBps", "src_s_per_GB", "p1_s_per_GB", "kids_s_per_GB"], "GBps")
    table({"relay-pingpong64": out["relay-pingpong64"]}, ["rps", "p50_us", "p99_us"], "rps")
    table({"relay-connects": out["relay-connects"]}, ["cps"], "cps")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["echo", "conn", "idle", "bulk", "relay"])
    ap.add_argument("-s", default=PEERS)
    ap.add_argument("-k", default="default")
    ap.add_argument("-r", type=int, default=3)
    ap.add_argument("-d", type=float, default=1.5)
    ap.add_argument("-N", type=int, default=10000)
    ap.add_argument("-W", type=int, default=1)
    ap.add_argument("--spin", type=int, default=0)
    ap.add_argument("--same", action="store_true", help="echo: client on the server's core; no cross-core wake-ups, "
                    "so srv_us_per_rt is the server's pure cost")
    ap.add_argument("--quiet", type=float, default=3, help="seconds to wait for quiet cores before each run")
    ap.add_argument("--nice", type=int, default=0, help="autogroup and process nice while measuring")
    ap.add_argument("--out", default=os.path.join(B, "results.jsonl"))
    ap.add_argument("--extra", action="append", default=[], metavar="NAME=COMMAND", help="another server; {p} stands for its port; "
                    "for `relay`, {p} is the port to listen on and {q} the target's.  It joins the names of -s")
    a = ap.parse_args()
    for name, _, command in (e.partition("=") for e in a.extra):
        if a.what == "relay":
            RELAYS[name] = lambda p, q, command=command: command.format(p=p, q=q)
            a.s = a.s if a.s == PEERS else a.s + "," + name
        else:
            SERVERS[name] = command
            a.s += "," + name
    if a.nice:
        os.setsid() if os.getpid() != os.getsid(0) and os.getpgrp() != os.getpid() else None
        try:
            open("/proc/self/autogroup", "w").write(str(a.nice))
        except OSError:
            pass
        os.nice(a.nice)
    if a.same:      # no wake-up preemption, else the scheduler cuts every batch short
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if a.k == "default" and a.what == "echo":
        a.k = "1x64,64x64,512x64,4096x64,64x64d16,64x1k,64x16k,64x64k"
    globals()["do_" + a.what](a)


if __name__ == "__main__":
    main()
