#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What tenon bench leaves behind: thresholds, the log, the page; and tenon compare."""
import html.parser
import json
import os
import tempfile
import time

import packages
from bench_rig import PING, SHORT, Service, bench, peer, result_of
from hlog import read_log
from rig import Skip, expect, run, tenon, test
from schema import check

try:  # now: it may take longer than a test may
    packages.python("hdrhistogram==0.10.8")
    missing = None
except Skip as why:
    missing = why


# ---------------------------------------------------------------- what is kept

@test
def thresholds_decide_the_exit_code():
    with peer() as server:
        bench("rr", server.addr, "--fail-if", "p50>1h,rate<1")
        events = bench("rr", server.addr, "--fail-if", "p50>1ns", code=10, err=["p50: is", "p50>1ns"])
        assert events[-1]["ev"] == "error" and events[-2]["ev"] == "result"


@test
def the_log_holds_what_was_counted():
    with tempfile.TemporaryDirectory() as folder, peer() as server:
        path = os.path.join(folder, "run.hlog")
        result = result_of(bench("load", server.addr, "--rate", "1k", "--hlog", path))
        lines = read_log(path)
        for tag, prefix in ((None, ""), ("uncorrected", "uncorrected_")):
            parts = [line for line in lines if line.tag == tag]
            assert len(parts) == result["intervals"], lines
            counts = {}
            for part in parts:
                for value, count in part.counts.items():
                    counts[value] = counts.get(value, 0) + count
                assert not part.counts or part.most_ms * 1e6 <= max(part.counts) * 1.001 + 1000
            total = sum(counts.values())
            assert total >= result["count"] if tag is None else total == result["count"]
            seen, wanted = 0, 0.99 * total
            for value in sorted(counts):
                seen += counts[value]
                if seen >= wanted:
                    break
            assert abs(value / 1000 - result[prefix + "p99_us"]) <= 0.002 * value / 1000, (value, result)


@test
def the_log_is_read_by_hdrhistograms_own_tools():
    if missing:
        raise missing
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader
    with tempfile.TemporaryDirectory() as folder, peer() as server:
        path = os.path.join(folder, "run.hlog")
        result = result_of(bench("rr", server.addr, "--hlog", path))
        total = HdrHistogram(1, 3_600_000_000_000, 3)
        reader = HistogramLogReader(path, total)
        while (part := reader.get_next_interval_histogram()) is not None:
            if part.get_tag() == "uncorrected":
                total.add(part)
        assert total.get_total_count() == result["count"]
        low, high = (total.get_value_at_percentile(share) / 1000 for share in (98.9, 99.1))
        assert low * 0.998 <= result["uncorrected_p99_us"] <= high * 1.002, (low, high, result)
        assert abs(total.get_max_value() / 1000 / result["uncorrected_max_us"] - 1) < 0.002


class Page(html.parser.HTMLParser):
    """The elements, attributes and text of a page, which are balanced."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.seen, self.links = [], "", {}, []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


@test
def the_page_is_whole_and_fetches_nothing():
    with tempfile.TemporaryDirectory() as folder, peer() as server:
        path = os.path.join(folder, "<page>.html")
        for args, charts in ((("rr", "-c", "2"), 3), (("tput",), 1)):
            expect(tenon("bench", *args, server.addr, *SHORT, "--html", path), 0)
            with open(path, encoding="utf-8") as file:
                text = file.read().replace(folder, "")
            page = Page(text)
            assert page.seen["svg"] == charts and not page.links, page.seen
            assert "url(" not in text and "@import" not in text and "script" not in page.seen
            assert f"bench {args[0]}" in page.words and "<page>.html" in page.words
            for word in ("kernel", "processor", "tcp_wmem", "too few for tenon compare"):
                assert word in page.words, word
            assert "nan" not in text and "inf" not in text.replace("info", "")
        expect(tenon("bench", "rr", server.addr, *SHORT, "--html", "/dev/full"), 8, "/dev/full")


@test
def find_max_finds_what_a_slow_server_can_do():
    def slow(conn, _):
        while conn.recv(100):
            time.sleep(0.02)
            conn.sendall(b"+PONG\r\n")

    args = ("-c", "1", "--rate", "20", *PING)
    times = ("--warmup", "0", "--duration", "300ms")
    with Service(slow) as service:
        events = bench("load", service.where, *args, "--find-max", "p99<10s", times=times)
        found = events[-1]
        assert found["ev"] == "found" and 1 <= found["asked_rate"] <= 55, events
        tries = [event for event in events if event["ev"] == "attempt"]
        assert max(event["asked_rate"] for event in tries if event["good"]) == found["asked_rate"]
        bench("load", service.where, *args, "--find-max", "p99<1us", code=10, err="at no rate", times=times)


# ---------------------------------------------------------------- comparing

def written(folder, name, p99s, whole=None, mode="rr"):
    """A result with an interval for each of P99S (microseconds)."""
    path = os.path.join(folder, name)
    stamp = {"v": 1, "t": "2026-01-01T00:00:00.000Z", "ok": True, "mode": mode}
    with open(path, "w", encoding="utf-8") as file:
        for number, p99 in enumerate(p99s):
            file.write(json.dumps({**stamp, "ev": "interval", "from_ms": number * 1000,
                                   "to_ms": number * 1000 + 1000, "p99_us": p99}) + "\n")
        file.write(json.dumps({**stamp, "ev": "result", "where": "tcp h:1", "connections": 1,
                               "threads": 1, "ms": 9000, "count": 1, "intervals": len(p99s),
                               "p99_us": whole or sorted(p99s)[len(p99s) // 2]}) + "\n")
    return path


@test
def compare_tells_a_change_from_noise():
    quiet = [100, 101, 99, 100, 102, 98, 100, 101]
    cases = [
        ("same", quiet, quiet, None, 0),
        ("worse", quiet, [120, 121, 119, 120, 122, 118, 121, 120], None, 10),
        ("better", quiet, [80, 81, 79, 80, 82, 78, 80, 81], None, 0),
        ("noise", [80, 140, 90, 130, 100, 120, 95, 105], [85, 150, 95, 140, 115, 125, 115, 118], None, 0),
        ("worse", quiet, [100, 101, 99, 100, 102, 98, 100, 900], 890, 10),  # one stall
        ("noise", [100, 101, 99, 100, 102, 98, 100, 900], quiet, 120, 0),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for verdict, before, after, whole, code in cases:
            files = written(folder, "a", before), written(folder, "b", after, whole)
            result = tenon("compare", *files, "--json", "--fail-if", "p99>+10%")
            events = [check(json.loads(line)) for line in result.out.splitlines()]
            assert (events[0]["verdict"], result.code) == (verdict, code), (before, after, result, events)
            text = tenon("compare", *files)
            assert text.code == 0 and verdict.encode() in text.out, text


@test
def compare_takes_absolute_limits_and_results_of_bench_itself():
    with tempfile.TemporaryDirectory() as folder, peer() as server:
        paths = [os.path.join(folder, name) for name in "ab"]
        for path in paths:
            assert tenon("bench", "rr", server.addr, *SHORT, f"--json={path}").code == 0
        result = expect(tenon("compare", *paths, "--fail-if", "p50<1h"), 10, ["p50", "p50<1h"])
        for name in (b"p99.99", b"uncorrected-max", b"rate", b"cpu"):
            assert name in result.out, result.out
        assert expect(tenon("compare", *paths, "--fail-if", "p50>1h"), 0).code == 0


@test
def compare_refuses_what_is_no_result():
    with tempfile.TemporaryDirectory() as folder:
        good = written(folder, "good", [1, 2, 3])
        other = written(folder, "other", [1, 2, 3], mode="load")
        broken = os.path.join(folder, "broken")
        for text, why in (("", "no result"), ('{"ev":"interval"}\n', "no result"), ("nonsense\n", "line 1"),
                          ('{"ev":{"x":1}}\n', "line 1"), ('{"ev":"x"\n', "line 1")):
            with open(broken, "w", encoding="utf-8") as file:
                file.write(text)
            expect(tenon("compare", good, broken), 2, why)
        expect(tenon("compare", good, other), 2, "different measurements")
        expect(tenon("compare", good, broken + "-not"), 8, "No such file")
        expect(tenon("compare", good, "/"), 8, "read /: Is a directory")
        expect(tenon("compare", good), 2, "two files")
        expect(tenon("compare", good, good, "--fail-if", "p50>+1%"), 2, "is not in both")


@test
def a_report_that_cannot_be_written_is_told_before_the_run():
    expect(tenon("bench", "rr", "127.0.0.1:1", "--html", "/no/such/folder/x"), 8,
           "open /no/such/folder/x: No such file or directory")


@test
def a_log_that_cannot_be_written_is_exit_8_beside_the_figures():
    with peer() as server:
        result = tenon("bench", "rr", server.addr, "--hlog", "/dev/full", *SHORT)
        expect(result, 8, "write /dev/full: ")
        assert b"throughput" in result.out, result


@test
def what_contradicts_itself_is_a_usage_error():
    for args, why in [
            ((), "measure what?"), (("speed", "h:1"), "no such kind"), (("rr",), "none given"),
            (("load", "h:1"), "at what rate?"), (("rr", "h:1", "--rate", "1k"), "is for load and cps"),
            (("tput", "h:1", "--send", "x"), "no questions"), (("rr", "h:1", "--both"), "is for tput"),
            (("rr", "h:1", "--expect", "x"), "belongs to a question"), (("rr", "h:1", "--reset"), "is for cps"),
            (("rr", "h:1", "--send", r"\q"), "escape"), (("rr", "h:1", "--send", ""), "is empty"),
            (("rr", "h:1", "--size", "1m"), "64k at most"), (("rr", "h:1", "--duration", "1ms"), "100ms"),
            (("rr", "h:1", "--threads", "2"), "fewer connections"), (("rr", "h:1", "-c", "0"), "no number"),
            (("rr", "h:1", "--send", "a", "--until", "b", "--answer", "3"), "already where"),
            (("rr", "h:1", "--send", "a", "--expect", "abc", "--answer", "2"), "longer than that"),
            (("load", "h:1", "--rate", "1q"), "no rate"), (("tput", "h:1", "--hlog", "x"), "no latencies"),
            (("load", "h:1", "--find-max", "p99"), "no condition"),
            (("load", "h:1", "--find-max", "p99<1s", "--html", "x"), "are for one"), (("rr", "h:1", "--fail-if", "p99>5"), "no condition"),
            (("rr", "h:1", "--fail-if", "p99>+5%"), "no condition"),
            (("tput", "h:1", "--fail-if", "out<1k,p99>1us"), "'p99>1us': tput has only"),
            (("tput", "h:1", "--fail-if", "rate<1k"), "tput has only"),
            (("tput", "h:1", "--expect", "x"), "option --expect: tput has no questions"),
            (("tput", "h:1", "-R", "--both"), "option --reverse: is the half of --both"),
            (("rr", "h:1", "--size", "0"), "--size: is 1 at least"), (("cps", "h:1", "--size", "5"), "cps asks only with"),
            (("rr", "h:1", "--send", "x", "--size", "5"), "--size: is that of"),
            (("rr", "h:1", "--send", "x", "--answer", "0"), "--answer: is 1 at least")]:
        expect(tenon("bench", *args), 2, why)


run()
