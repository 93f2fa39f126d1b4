# SPDX-License-Identifier: MIT
"""tools/closing -- what tenon and other tools do at each ending of a connection.

    TENON=build/tenon python3 tools/closing [--ours] [--table NAME] [--write README.md]

Runs every tool against the same scripted peers on loopback and prints Markdown tables: what
was delivered, the exit code, and whether that tells the truth.  --write also puts them
between the markers in that file; then no tool may be missing.  Fails if tenon is wrong
anywhere.

peers.py has the scripted peers, table.py the form; clients.py, relays.py and files.py are
the tables.
"""
import argparse
import concurrent.futures
import sys

import clients
import files
import relays

TABLES = [clients.TABLE, relays.TABLE, files.TABLE]
NOTE = ("Bold is wrong; B are the bytes that arrived. Where another tool's answer is a race, it "
        "may differ from run to run.")
BEGIN, END = "<!-- closing-table -->\n", "<!-- /closing-table -->\n"


def make_tables(tables, only_ours):
    """The lines of all TABLES, and how often we are wrong in them."""
    lines, wrong, under_way = [], 0, []
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for table in tables:
            missing = table.missing()
            columns = [column for column in table.columns if column.program not in missing and
                       (column.is_ours() or not only_ours)]
            under_way.append((table, columns, table.start(pool, columns)))
        for table, columns, rows in under_way:
            more, errors = table.finish(rows, columns)
            lines, wrong = lines + more, wrong + errors
    return lines + [NOTE], wrong


def write_between_markers(name, lines):
    with open(name, encoding="utf-8") as file:
        before, rest = file.read().split(BEGIN)
    with open(name, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END)[1])


def main():
    parser = argparse.ArgumentParser(prog="tools/closing",
                                     description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--ours", action="store_true", help="tenon's columns only")
    parser.add_argument("--table", help="the tables with this in their name")
    parser.add_argument("--write", metavar="FILE", help="put the tables between its markers")
    wanted = parser.parse_args()
    tables = [table for table in TABLES if (wanted.table or "").lower() in table.name.lower()]
    missing = set().union(*(table.missing() for table in tables)) if not wanted.ours else set()
    for program in sorted(missing):
        print(f"tools/closing: {program} is not installed", file=sys.stderr)
    if wanted.write and (missing or wanted.ours or tables != TABLES):
        print("tools/closing: not written: it would not be whole", file=sys.stderr)
        return 1
    lines, wrong = make_tables(tables, wanted.ours)
    print("\n".join(lines))
    if wanted.write:
        write_between_markers(wanted.write, lines)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
