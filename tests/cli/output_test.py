#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What standard output, standard error and the file of --json do not take."""
import os
import tempfile

from bench_rig import SHORT, peer
from rig import Peer, expect, read_all, run, tenon, test
from watching import Folder

FULL = "/dev/full"
NO_ROOM = "No space left on device"


def closed_pipe():
    """The writing end of a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    return os.fdopen(write_end, "wb")


def lost(words):
    """The command of WORDS on a full disk is exit 8, with one line; on a closed pipe, a quiet 0."""
    with open(FULL, "wb") as full:
        result = tenon(*words, stdout=full)
        assert result.code == 8 and len(result.lines()) == 1, (words, result)
        assert "standard output" in result.err and NO_ROOM in result.err, (words, result)
    with closed_pipe() as pipe:
        expect(tenon(*words, stdout=pipe), 0)


@test
def a_result_that_standard_output_does_not_take_is_exit_8_and_a_line():
    for words in (["--help"], ["--man"], ["--version"], ["scan", "--help"], ["doctor"],
                  ["doctor", "--json"], ["--completion", "bash"], ["explain", "127.0.0.1:80"],
                  ["explain", "--json", "127.0.0.1:80"], ["explain", "--from-socat", "- TCP:h:80"]):
        lost(words)
    with Folder(), peer() as server:
        for words in (["scan", "127.0.0.1", server.port], ["ctl"],
                      ["scan", "--json", "127.0.0.1", server.port],
                      ["wait", "--silent", "--json", server.addr],
                      ["bench", "rr", server.addr, *SHORT],
                      ["bench", "rr", "--json", server.addr, *SHORT]):
            lost(words)
        for words in (["ctl", "--json"], ["top", "--once"], ["top", "--json"]):
            lost([*words, f"serve-{server.port}"])


@test
def a_comparison_that_standard_output_does_not_take_is_exit_8_and_a_line():
    with peer() as server, tempfile.NamedTemporaryFile() as file:
        assert tenon("bench", "rr", f"--json={file.name}", server.addr, *SHORT).code == 0
        lost(["compare", file.name, file.name])
        lost(["compare", "--json", file.name, file.name])


@test
def json_that_its_file_does_not_take_is_exit_8_and_a_line():
    why = f"write {FULL}: {NO_ROOM}"
    with peer() as server:
        expect(tenon("bench", "rr", f"--json={FULL}", server.addr, *SHORT), 8, why)
    with Peer(read_all) as there:
        expect(tenon(f"--json={FULL}", *there.words, stdin=b"all of it"), 8, why)
    with Peer(read_all) as there, open(FULL, "wb") as full:
        assert tenon("--json", *there.words, stderr=full).code == 8


run()
