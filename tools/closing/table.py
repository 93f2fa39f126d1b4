# SPDX-License-Identifier: MIT
"""table.py -- a table of endings: what each tool does at each, and whether that is right.

A Column is a tool, as it is called.  An ending is a function of a column; its first line of
documentation says what happens and what is right, and it gives the cell's text and whether
that was right.  Wrong cells are bold.
"""
import os
import re
import shutil
import subprocess

TENON = os.environ.get("TENON") or "build/tenon"


class Column:
    """A tool: its name in the table and its program."""

    def __init__(self, title, program, version=("--version",)):
        self.title, self.program, self.version_words = title, program, version

    def is_ours(self):
        return self.program == TENON

    def version(self):
        seen = subprocess.run([self.program, *self.version_words], capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL)
        found = re.search(r"(?:version:? |patchlevel |tenon |rinetd |systemd |\[v)(?:nginx/)?"
                          r"([\d.]+[\w.-]*)", seen.stdout + seen.stderr, re.I)
        name = self.program.rsplit("/", 1)[-1]
        return f"{name} {found.group(1) if found else '?'}"


def cell(ending, column):
    """The text of a cell, and whether it is right; a connection that broke early is not."""
    try:
        return ending(column)
    except (ConnectionError, EOFError):
        return "cut", False


class Table:
    """NAME and ABOUT stand above it, NOTES below it."""

    def __init__(self, name, about, columns, endings, notes=""):
        self.name, self.about, self.notes = name, about, notes
        self.columns, self.endings = columns, endings

    def missing(self):
        return {column.program for column in self.columns if not shutil.which(column.program)}

    def heading(self, columns):
        return "| what happens, and what is right | " + " | ".join(
            f"`{column.title}`" for column in columns) + " |"

    def start(self, pool, columns):
        """Have POOL fill in the cells of COLUMNS; FINISH waits for them."""
        return [[pool.submit(cell, ending, column) for column in columns]
                for ending in self.endings]

    def finish(self, rows, columns):
        """The table's lines, and how often we are wrong."""
        lines = [f"**{self.name}.** {self.about}", "", self.heading(columns),
                 "|---" * (len(columns) + 1) + "|"]
        wrong = 0
        for ending, row in zip(self.endings, rows):
            cells = [future.result() for future in row]
            lines.append(f"| {ending.__doc__} | " + " | ".join(
                text if right else f"**{text}**" for text, right in cells) + " |")
            wrong += sum(column.is_ours() and not right
                         for column, (_, right) in zip(columns, cells))
        versions = ", ".join({column.version(): None for column in columns})
        return lines + ["", f"{self.notes}{versions}.", ""], wrong
