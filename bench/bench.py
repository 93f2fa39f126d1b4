#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure tenon beside its peers and say which goals are met: `make bench`.

    bench/bench.py [--reps 15] [--seconds 0.4] [--only NAME,...] [--write docs/measuring.md]

Each repetition runs every server of a work once, every second one in the opposite order,
so that what else the machine does falls on all of them.  Results go to build/bench/:
runs.jsonl has a line a run, rows.jsonl a line a goal (and a line a server without one).
"""
import argparse
import json
import os
import statistics
import sys
import time

import chart
import report
import rows
import runs
import stats


def measure(work, reps, seconds, log):
    """{server: [value a repetition, or None]} and {server: the last error}."""
    samples = {server: [] for server in work.servers}
    errors = {}
    for repetition in range(reps):
        order = work.servers if repetition % 2 == 0 else list(reversed(work.servers))
        for server in order:
            row = runs.KINDS[work.kind](work, server, seconds)
            if "error" in row:
                errors[server] = row["error"]
            samples[server].append(row if "error" not in row else None)
            log.write(json.dumps({"work": work.name, "server": server,
                                  "repetition": repetition, **row}) + "\n")
            log.flush()
    return samples, errors


def values(samples, key="value"):
    return [row[key] for row in samples if row is not None]


def pairs(work, goal, ours, theirs):
    """The ratio of each repetition in which both ran; see rows.py."""
    key = "growth" if work.kind == "growth" else "value"
    ratios = [one[key] / other[key] for one, other in zip(ours, theirs)
              if one is not None and other is not None]
    return ratios if goal.at_most or work.more_is_better else [1 / ratio for ratio in ratios]


def better(work, samples, names):
    """Whichever of NAMES has the better median."""
    known = [name for name in names if values(samples[name])]
    if not known:
        return None
    choose = max if work.more_is_better else min
    return choose(known, key=lambda name: statistics.median(values(samples[name])))


def judge(work, samples, goal):
    """The row of one goal; where a side did not run it says so."""
    row = {"work": work.name, "title": work.title, "unit": work.unit, "ours": goal.ours,
           "goal": goal.bound, "at_most": goal.at_most, "against": " or ".join(goal.others)}
    other = better(work, samples, goal.others)
    if better(work, samples, (goal.ours,)) is None or (goal.others and other is None):
        return {**row, "verdict": "not measured"}
    row["value"] = statistics.median(values(samples[goal.ours]))
    if goal.others:
        ratios = pairs(work, goal, samples[goal.ours], samples[other])
        row.update(against=other, other=statistics.median(values(samples[other])))
    else:
        ratios = values(samples[goal.ours])
    middle, low, high = stats.interval(ratios)
    return {**row, "ratio": middle, "low": low, "high": high, "reps": len(ratios),
            "verdict": stats.verdict(goal.bound, low, high, goal.at_most)}


def server_rows(work, samples, errors):
    out = []
    for server in work.servers:
        have = values(samples[server])
        row = {"work": work.name, "title": work.title, "unit": work.unit, "server": server}
        if have:
            middle, low, high = stats.interval(have)
            rate = "cps" if work.kind == "connect" else "rps"
            row.update(value=middle, low=low, high=high, reps=len(have),
                       best=max(have) if work.more_is_better else min(have))
            if rate in samples[server][-1 if samples[server][-1] else 0]:
                row["per_second"] = statistics.median(values(samples[server], rate))
        if server in errors:
            row["error"] = errors[server]
        out.append(row)
    return out


def choose(only):
    names = only.split(",") if only else None
    chosen = [work for work in rows.WORKS
              if names is None or any(work.name.startswith(name) for name in names)]
    if not chosen:
        sys.exit(f"no work is called {only}; there are: "
                 + ", ".join(work.name for work in rows.WORKS))
    return chosen


def go_first():
    """Ahead of other programs if we may be, and without cutting each other's batches."""
    try:
        os.nice(-10)
    except OSError:
        pass
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--only", default="")
    parser.add_argument("--held", type=int, default=0, help="connections for the work `held`")
    parser.add_argument("--write", metavar="FILE", help="put the tables between its markers")
    parser.add_argument("--chart", metavar="FILE", help="draw the chart for README")
    parser.add_argument("--peers", default=os.path.join(rows.B, "peers"))
    parser.add_argument("--command", default="make bench", help="for the report")
    arguments = parser.parse_args()
    runs.build_of_peers(os.path.abspath(arguments.peers))
    out = os.path.join(rows.B, "bench")
    os.makedirs(out, exist_ok=True)
    go_first()

    started, goals, servers = time.time(), [], []
    with open(os.path.join(out, "runs.jsonl"), "w", encoding="utf-8") as log:
        for work in choose(arguments.only):
            if work.name == "held" and arguments.held:
                work.connections = arguments.held
            reps = min(arguments.reps, work.reps_most)
            samples, errors = measure(work, reps, arguments.seconds, log)
            found = [judge(work, samples, goal) for goal in work.goals]
            goals += found
            servers += server_rows(work, samples, errors)
            print(report.work_text(work, found, servers), flush=True)
    with open(os.path.join(out, "rows.jsonl"), "w", encoding="utf-8") as file:
        for row in goals + servers:
            file.write(json.dumps(row) + "\n")
    facts = report.facts(arguments, time.time() - started)
    if arguments.write:
        report.write(arguments.write, facts, goals, servers)
    if arguments.chart:
        chart.draw(arguments.chart, rows.WORKS, servers, report.footer(facts), report.number)
    print(report.summary(goals, servers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
