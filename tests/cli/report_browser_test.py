#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of `tenon bench --html` in a real browser: all of it can be read."""
import os
import resource
import tempfile

from bench_rig import SHORT, peer
from browser import Browser
from rig import Skip, expect, run, tenon, test


def is_tidy(*args):
    """The report of `tenon bench ARGS`."""
    with tempfile.TemporaryDirectory() as folder, peer() as server, Browser() as browser:
        path = os.path.join(folder, "report.html")
        expect(tenon("bench", args[0], server.addr, *args[1:], *SHORT, "--html", path), 0)
        browser.open(f"file://{path}")
        browser.wait("document.querySelector('.facts tr')")
        browser.is_tidy_everywhere()
        return browser.value("document.body.innerText")


@test
def one_connection():
    words = is_tidy("rr", "-c", "1")
    assert "µs" in words and " us" not in words, words


@test
def nine_thousand_connections():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 9100:
        raise Skip(f"a process may open no more than {most} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    assert "9,000, from" in is_tidy("load", "-c", "9000", "--rate", "5k")


@test
def a_stream():
    assert "sent and acknowledged" in is_tidy("tput")


run()
