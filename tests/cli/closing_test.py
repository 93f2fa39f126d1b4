#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The closing tables of README.md: tenon's columns, made anew, and the tables that are shown."""
import os
import subprocess
import sys

from rig import LIMIT_S, TENON, run, test

sys.path.insert(0, "tools/closing")
import clients  # noqa: E402
import files  # noqa: E402
import relays  # noqa: E402

TABLES = [clients.TABLE, relays.TABLE, files.TABLE]


def is_right_in(table):
    made = subprocess.run(
        [sys.executable, "-B", "tools/closing", "--ours", "--table", table.name],
        env={**os.environ, "TENON": TENON, "CLOSING_LIMIT_S": str(LIMIT_S / 2)},
        capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    cells = [line.split(" | ") for line in made.stdout.splitlines() if line.startswith("| ")]
    assert cells[0][1] == f"`{table.columns[0].title}` |", made.stdout
    assert len(cells) == 1 + len(table.endings) and "**" not in "".join(map(str, cells)), cells


@test
def tenon_is_right_at_every_ending_of_its_own():
    is_right_in(clients.TABLE)


@test
def a_relay_of_tenon_is_right_at_every_ending_of_both_sides():
    is_right_in(relays.TABLE)


@test
def send_and_recv_are_right_at_every_ending():
    is_right_in(files.TABLE)


@test
def the_tables_in_the_readme_have_every_ending_and_tool_and_tenon_is_right():
    with open("README.md", encoding="utf-8") as file:
        shown = file.read().split("<!-- closing-table -->")[1].split("<!-- /closing-table -->")[0]
    lines = iter(line for line in shown.splitlines() if line.startswith("| "))
    for table in TABLES:
        assert next(lines) == table.heading(table.columns)
        for ending in table.endings:
            what, ours, *others = next(lines).split(" | ")
            assert what == f"| {ending.__doc__}" and len(others) == len(table.columns) - 1, what
            assert "**" not in ours, f"tenon is wrong in it: {what}"
    assert not list(lines)


run()
