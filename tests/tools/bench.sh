#!/bin/sh
# SPDX-License-Identifier: MIT
# The judging of `make bench`: intervals, verdicts, and what it writes into the manual.
set -u
. tests/harness/shell.sh
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=bench

# holds NAME PROGRAM -- the Python PROGRAM, made of assertions, ends well.
holds() {
    if seen=$(python3 -c "$2" 2>&1); then
        pass "$1"
    else
        fail "$1" "$seen"
    fi
}

holds "an interval of 15 values leaves out three at each end" '
import stats
assert stats.interval(list(range(15))) == (7, 3, 11), stats.interval(list(range(15)))'

holds "few values give the whole range" '
import stats
assert stats.interval([3, 1, 2]) == (2, 1, 3)
assert stats.interval([5]) == (5, 5, 5)'

holds "the interval holds the median as often as it says" '
import random, stats
random.seed(6)
tries = 4000
inside = 0
for _ in range(tries):
    _, low, high = stats.interval([random.expovariate(1) for _ in range(15)])
    inside += low <= 0.6931471805599453 <= high
assert inside / tries > 0.95, inside / tries'

holds "a goal is met or missed only by the whole interval" '
from stats import verdict
assert verdict(1.03, 1.00, 1.03, True) == "met"
assert verdict(1.03, 1.02, 1.04, True) == "undecided"
assert verdict(1.03, 1.04, 1.06, True) == "missed"
assert verdict(1.15, 1.16, 1.20, False) == "met"
assert verdict(1.15, 1.10, 1.20, False) == "undecided"
assert verdict(1.15, 1.01, 1.14, False) == "missed"'

holds "a ratio is ours over theirs for at most, theirs over ours for at least" '
import bench, rows
work = rows.Work("w", "w", "echo", "us", ["a", "b"])
def judge(goal):
    samples = {"a": [{"value": 2.0}, None, {"value": 2.0}], "b": [{"value": 3.0}] * 3}
    return bench.judge(work, samples, goal)
assert abs(judge(rows.most("a", "b", 1))["ratio"] - 2 / 3) < 1e-9
row = judge(rows.least("a", "b", 1.4))
assert abs(row["ratio"] - 1.5) < 1e-9 and row["verdict"] == "met" and row["reps"] == 2'

holds "what did not run is not measured, not met" '
import bench, rows
work = rows.Work("w", "w", "echo", "us", ["a", "b"])
row = bench.judge(work, {"a": [{"value": 2.0}], "b": [None]}, rows.most("a", "b", 9))
assert row["verdict"] == "not measured", row'

printf 'before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n' >"$dir/file.md"
holds "only what is between the markers is written" "
import report
goal = dict(title='t', ours='a', value=1.0, other=2.0, against='b', ratio=.5, low=.4, high=.6,
            goal=1.03, at_most=True, verdict='met')
server = dict(work='w', title='t', unit='us', server='a', value=1.0, low=.9, high=1.1, best=.9)
report.write('$dir/file.md', [('machine', 'm')], [goal], [server])
text = open('$dir/file.md').read()
assert text.startswith('before\n<!--') and text.endswith('-->\nafter\n') and 'old' not in text
assert '| met |' in text and '≤ 1.03×' in text, text"

holds "every goal compares programs that its work runs, which the chart knows" '
import rows
for work in rows.WORKS:
    for goal in work.goals:
        for name in (goal.ours, *goal.others):
            assert name in work.servers, (work.name, name)
    for name in work.chart:
        assert name in work.servers, (work.name, name)'

total
