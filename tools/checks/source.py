# SPDX-License-Identifier: MIT
"""What the checks share: finding files, reading C without its comments, complaining.

Each check looks at the tree of the current folder, prints a line per finding
(FILE:LINE: what is wrong) and exits 1 if there was one.
"""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True

FOLDERS = ["include", "src", "cli", "examples", "interpose", "tests", "bench", "tools"]
NOT_OURS_TO_STYLE = "bench/peers"  # what others would write with other libraries
BUILD = os.environ.get("B") or "build"
findings = []


def complain(path, line, what):
    findings.append(f"{path}:{line}: {what}" if line else f"{path}: {what}")


def finish():
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)


def files(*endings, below=None):
    found = []
    for top in below or FOLDERS:
        for folder, _, names in os.walk(top):
            if folder.startswith(NOT_OURS_TO_STYLE):
                continue
            found += [os.path.join(folder, name) for name in names
                      if name.endswith(endings)]
    return sorted(found)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


COMMENT_OR_STRING = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def without_comments(text, strings=False):
    """The same lines, comments blank; strings and characters too, unless wanted."""
    def blank(match):
        piece = match.group()
        if strings and piece[0] in "\"'":
            return piece
        return re.sub(r"[^\n]", " ", piece)
    return COMMENT_OR_STRING.sub(blank, text)


def output(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(command)}:\n{result.stderr}")
    return result.stdout


def read_layers():
    """From src/LAYERS: layers in order, the layer of each public header, exceptions."""
    layers, headers, exceptions = [], {}, set()
    for line in read("src/LAYERS").split("\n"):
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] == "except":
            if len(words) < 4:
                complain("src/LAYERS", 0, f"an exception without a reason: {line}")
            exceptions.add((words[1], words[2]))
            continue
        layers.append(words[0])
        headers.update((name, words[0]) for name in words[1:])
    return layers, headers, exceptions
