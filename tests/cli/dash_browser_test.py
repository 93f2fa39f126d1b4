#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The dashboard in a real browser: what it shows, and that all of it can be read."""
import contextlib

from browser import UNTIDY, Browser
from relay_rig import Target, forgiving
from rig import run, test, wait_for
from watching import Folder, Shown, crowd, echo, hold

ROWS = "document.querySelectorAll('#clients tr').length"
FIRST = "(document.querySelector('#clients tr')?.innerText ?? '')"


def at(relay):
    return f"http://127.0.0.1:{relay.dash_port}/"


def is_live(browser):
    """Two frames later the chart has two points more."""
    points = browser.value("rates[0].length")
    browser.wait(f"rates[0].length >= {points + 2}")


@test
def nobody_and_one_client_are_shown_live_in_every_width_light_and_dark():
    with Folder(), Target(forgiving(echo)) as target, \
            Shown(target, "127.0.0.1:1", options=("--check", "tcp", "--name", "edge")) as relay, \
            Browser() as browser:
        browser.open(at(relay))
        browser.wait(FIRST + " === 'nobody is connected'")
        browser.is_tidy()
        with relay.connect() as conn:
            browser.wait("document.title === '1 · edge'")
            browser.wait(FIRST + f".includes('127.0.0.1:{conn.getsockname()[1]}')")
            browser.wait("document.querySelector('#targets .down')?.innerText.includes('refused')")

            def moving():  # a rate is there for one frame only, unless more comes
                conn.sendall(b"x" * 5000)
                got = 0
                while got < 5000:
                    got += len(conn.recv(5000) or 1 / 0)
                return browser.value(f"/[kM]B/.test({FIRST}) && "
                                     "/[kM]B\\/s/.test(document.getElementById('in').innerText)")

            wait_for(moving, "the rates to show")
            is_live(browser)
            browser.is_tidy_everywhere("chart")


@test
def nine_thousand_clients_can_be_read_too():
    with Folder(), crowd(9000) as relay, Browser() as browser:
        browser.open(at(relay))
        browser.wait("document.title === '9,000 · edge'")
        browser.wait(ROWS + " === 50 && rates[0].length")
        browser.is_tidy_everywhere("chart")
        browser.value("turn(8950)")
        browser.wait("document.getElementById('range').innerText === '8,951–9,000 of 9,000'")
        assert browser.value(ROWS) == 50
        browser.is_tidy()


@test
def many_clients_are_turned_over_sorted_and_filtered():
    with Folder(), Target(forgiving(hold)) as target, contextlib.ExitStack() as stack, \
            Shown(target) as relay:
        conns = [stack.enter_context(relay.connect()) for _ in range(120)]
        wait_for(lambda: target.served == 120, "all")
        browser = stack.enter_context(Browser())
        browser.open(at(relay))
        browser.wait(ROWS + " === 50")
        browser.is_tidy()
        browser.value("const sort = document.getElementById('sort');"
                      "sort.value = 'age'; sort.onchange()")
        browser.wait(FIRST + f".includes(':{conns[0].getsockname()[1]}')")
        for first in (50, 100):
            browser.value("document.getElementById('on').click()")
            browser.wait(f"document.getElementById('range').innerText.startsWith('{first + 1}–')")
        browser.wait(ROWS + " === 20 && document.getElementById('on').disabled")
        browser.value("const filter = document.getElementById('filter');"
                      f"filter.value = ':{conns[60].getsockname()[1]}'; filter.onchange()")
        browser.wait(ROWS + " === 1")
        browser.value("const filter = document.getElementById('filter');"
                      "filter.value = '<b>'; filter.onchange()")
        browser.wait(FIRST + " === 'nobody with “<b>” in an address'")
        browser.is_tidy()


@test
def a_relay_that_is_gone_is_told_and_a_text_is_no_page():
    with Folder(), Target(forgiving(hold)) as target, \
            Shown(target, options=("--name", "edge")) as relay, Browser() as browser:
        browser.open(at(relay))
        browser.wait("document.title.includes('edge')")
        # In one go: the relay's own next frame comes soon.
        images, first = browser.value(
            "const frame = n => [{ev: 'process', name: n, kind: 'relay', addr: 'a', ms: 1},"
            "{ev: 'target', target: n, up: false, why: n}, {ev: 'view', matched: 1, first: 0},"
            "{ev: 'client', id: 1, where: n, ms: 1, limited: n}];"
            "show(frame('<img src=x onerror=boom()>'));"
            f"[document.querySelectorAll('img').length, {FIRST}]")
        assert images == 0 and "<img" in first, (images, first)
        browser.is_tidy()
        relay.process.kill()
        relay.process.wait()
        browser.wait("document.getElementById('state').className === 'lost'")
        assert (bad := browser.value(UNTIDY)) == [], bad  # it says that it cannot connect


run()
