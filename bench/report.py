# SPDX-License-Identifier: MIT
"""What was measured, for people: text while it runs, and tables in docs/measuring.md."""
import os
import platform
import re
import subprocess
import time

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def number(value):
    if value is None:
        return "–"
    if value >= 10000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def bound(row):
    sign = "≤" if row["at_most"] else "≥"
    return f"{sign} {number(row['goal'])}" + ("×" if row["against"] else "")


def measured(row):
    if "ratio" not in row:
        return "–"
    text = f"{row['ratio']:.3f}" if row["against"] else number(row["ratio"])
    digits = (lambda v: f"{v:.3f}") if row["against"] else number
    return f"{text} ({digits(row['low'])} to {digits(row['high'])})"


def goal_line(row):
    against = f"{row['against']}: {number(row.get('other'))}" if row["against"] else "–"
    return (f"| {row['title']} | {row['ours']}: {number(row.get('value'))} | {against} "
            f"| {measured(row)} | {bound(row)} | {row['verdict']} |")


GOAL_HEAD = ("| work | ours | against | ratio (95 %) | goal | |\n"
             "|---|---|---|---|---|---|")


def server_line(row):
    if "value" not in row:
        return f"| {row['server']} | failed: {row.get('error', '')} | | |"
    failed = f" (failed at times: {row['error']})" if "error" in row else ""
    return (f"| {row['server']}{failed} | {number(row['value'])} "
            f"({number(row['low'])} to {number(row['high'])}) | {number(row['best'])} "
            f"| {number(row.get('per_second'))} |")


SERVER_HEAD = ("| program | {unit}: median (95 %) | best | a second |\n|---|---|---|---|")


def table(head, lines):
    return "\n".join([head, *lines])


def work_text(work, goals, servers):
    mine = [row for row in servers if row["work"] == work.name]
    text = [f"\n## {work.title}: {work.name}",
            table(SERVER_HEAD.format(unit=work.unit), map(server_line, mine))]
    if goals:
        text.append(table(GOAL_HEAD, map(goal_line, goals)))
    return "\n\n".join(text)


def summary(goals, servers):
    count = {}
    for row in goals:
        count[row["verdict"]] = count.get(row["verdict"], 0) + 1
    failed = sorted({f"{row['server']} at {row['work']}" for row in servers if "error" in row})
    text = "goals: " + ", ".join(f"{value} {key}" for key, value in sorted(count.items()))
    return text + (f"\nfailed: {', '.join(failed)}" if failed else "")


def output(*words):
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def cpu_name():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        names = re.findall(r"^model name\s*: (.*)$", file.read(), re.M)
    return f"{len(names)} × {names[0]}" if names else platform.machine()


def versions():
    """Of the peers, as the machine has them."""
    out = []
    for package, name in (("libuv1-dev", "libuv"), ("libevent-dev", "libevent"),
                          ("libst-dev", "State Threads"), ("libboost1.81-dev", "Boost.Asio"),
                          ("liburing-dev", "liburing"), ("iperf3", "iperf3")):
        version = output("dpkg-query", "-W", "-f", "${Version}", package)
        out.append(f"{name} {re.split('[-+]', version)[0] or 'missing'}")
    out.append(output("go", "version").replace("go version go", "Go ").split(" linux")[0])
    lock = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers/echo_tokio/Cargo.lock")
    with open(lock, encoding="ascii") as file:
        found = re.search(r'name = "tokio"\nversion = "([^"]+)"', file.read())
    out.append(f"Tokio {found.group(1) if found else '?'}")
    return ", ".join(out)


def facts(arguments, took_s):
    with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
        control = file.read().strip()
    changed = " with changes" if output("git", "status", "--porcelain", "src", "include") else ""
    return [
        ("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("machine", f"{cpu_name()}, {platform.machine()}"),
        ("kernel", f"Linux {platform.release()}, {control} (one way: reno)"),
        ("compiler", output("gcc", "--version").split("\n")[0]),
        ("commit", output("git", "rev-parse", "--short", "HEAD") + changed),
        ("command", f"`{arguments.command}`: {arguments.reps} paired repetitions of "
                    f"{arguments.seconds:g} s, {took_s / 60:.0f} minutes"),
        ("peers", versions()),
    ]


def footer(known):
    known = dict(known)
    return f"{known['machine']}, {known['kernel'].split(',')[0]}, {known['date'][:10]}: docs/measuring.md"


def write(path, known, goals, servers):
    """Put the tables between the markers of the file at PATH."""
    parts = ["\n".join(f"- {name}: {value}" for name, value in known),
             "### The goals", table(GOAL_HEAD, map(goal_line, goals)), "### Every program"]
    for name in dict.fromkeys(row["work"] for row in servers):
        mine = [row for row in servers if row["work"] == name]
        parts.append(f"**{mine[0]['title']}**")
        parts.append(table(SERVER_HEAD.format(unit=mine[0]["unit"]), map(server_line, mine)))
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n" + "\n\n".join(parts) + "\n" + END + after)
