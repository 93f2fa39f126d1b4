# SPDX-License-Identifier: MIT
"""Debian's Chromium without a window, driven by Playwright, for the tests of pages.

    with Browser() as browser:
        browser.open(url)
        browser.wait("document.title.startsWith('1')")
        browser.is_tidy()
        browser.shoot("page.png")

Both are installed when this is imported, which takes longer than a test may; Playwright's
own browsers are not needed.
"""
import os
import shutil
import tempfile
import time

import packages
from rig import LIMIT_S, Skip

NAMES = ("chromium", "chromium-browser", "google-chrome")
# A browser that starts on a busy machine takes longer than anything of ours.
PATIENCE_S = 2 * LIMIT_S

try:
    if not any(map(shutil.which, NAMES)):
        packages.debian("browser")
    packages.python("playwright==1.65.2")
    missing = None
except Skip as why:
    missing = why

# Texts that lie over others, are cut off, leave the page or their picture, or are hard to read.
UNTIDY = """(() => {
  const bad = [], boxes = [], words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const rgb = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => rgb(color).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = part => {  /* what is drawn under it */
    const color = part ? getComputedStyle(part).backgroundColor : 'rgb(255, 255, 255)';
    return rgb(color)[3] === 0 ? behind(part.parentElement) : color;
  };
  while (words.nextNode()) {
    const part = words.currentNode.parentElement, range = document.createRange();
    const text = words.currentNode.data.trim();
    if (!text || part.closest('script, style, option')) continue;
    range.selectNodeContents(words.currentNode);
    for (const box of range.getClientRects()) if (box.width && box.height) boxes.push([part, text, box]);
  }
  for (const [i, [one, text, a]] of boxes.entries()) {
    const frame = one.closest('svg')?.getBoundingClientRect(), style = getComputedStyle(one);
    const lights = [light(frame ? style.fill : style.color), light(behind(one))].sort();
    if (frame && (a.left < frame.left || a.right > frame.right || a.top < frame.top ||
                  a.bottom > frame.bottom)) bad.push(`outside of its picture: ${text}`);
    if (!one.closest('.wide') && (a.left < 0 || a.right > innerWidth)) bad.push(`outside: ${text}`);
    if (one.clientWidth && one.scrollWidth > one.clientWidth + 1) bad.push(`cut off: ${text}`);
    if (a.height < 10) bad.push(`small: ${text}`);
    /* WCAG 2.2, 1.4.3; what cannot be clicked now may be pale. */
    if (!one.matches(':disabled') && (lights[1] + 0.05) / (lights[0] + 0.05) < 4.5)
      bad.push(`pale: ${text}, ${style.color} on ${behind(one)}`);
    for (const [, other, b] of boxes.slice(i + 1))
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 &&
          b.top < a.bottom - 1) bad.push(`${text} / ${other}`);
  }
  const wide = document.documentElement.scrollWidth - innerWidth;
  return wide > 0 ? [...bad, `${wide} pixels too wide`] : bad;
})()"""
# Of a canvas's chart (uPlot): the texts of axes that are wider than their room.
CUT_AXES = """((chart) => {
  const [x, y] = chart.axes, room = chart.valToPos(x._splits[1], 'x') - chart.valToPos(x._splits[0], 'x');
  const width = (axis, text) => (chart.ctx.font = axis.font[0], chart.ctx.measureText(text).width / devicePixelRatio);
  return [...x._values.filter(text => width(x, text) + 8 > room),
          ...y._values.filter(text => width(y, text) + 8 > y._size)];
})"""


class Browser:
    def __init__(self, width=1280, height=900):
        if missing:
            raise missing
        self.program = next(path for path in map(shutil.which, NAMES) if path)
        self.size = {"width": width, "height": height}
        self.troubles = []  # what pages complain of

    def __enter__(self):
        from playwright.sync_api import sync_playwright
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.playwright = sync_playwright().start()
        self.browser = self.playwright.chromium.launch(
            executable_path=self.program, timeout=PATIENCE_S * 1000,
            args=["--disable-dev-shm-usage"], env={**os.environ, "HOME": self.folder.name})
        self.page = self.browser.new_page(viewport=self.size, color_scheme="light")
        self.page.set_default_timeout(PATIENCE_S * 1000)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and
                     self.troubles.append(message.text))
        return self

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()
        self.folder.cleanup()

    def open(self, url):
        self.page.goto(url, wait_until="commit")

    def resize(self, width, height):
        self.page.set_viewport_size({"width": width, "height": height})

    def value(self, expression):
        """What the JavaScript EXPRESSION gives in the page."""
        return self.page.evaluate(expression)

    def wait(self, expression):
        end = time.monotonic() + PATIENCE_S
        while not (found := self.value(expression)):
            assert time.monotonic() < end, f"waited too long for {expression}"
            self.page.wait_for_timeout(20)
        return found

    def is_tidy(self, chart=None):
        """All that is to be read can be read, CHART's axes too, and nothing went wrong."""
        assert (bad := self.value(UNTIDY)) == [], bad
        assert not chart or (bad := self.value(f"{CUT_AXES}({chart})")) == [], bad
        assert self.troubles == [], self.troubles

    def is_tidy_everywhere(self, chart=None):
        """On screens and in windows, light and dark."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            ink, paper = self.value("[getComputedStyle(document.body).color,"
                                    " getComputedStyle(document.body).backgroundColor].map("
                                    "color => Number(color.match(/\\d+/)))")
            assert (ink < paper) == (scheme == "light"), (ink, paper)
            for width in (1280, 800, 400):
                self.resize(width, 900)
                self.wait("document.documentElement.scrollWidth <= innerWidth")  # drawn anew
                self.is_tidy(chart)

    def shoot(self, path, whole=False):
        self.page.screenshot(path=path, full_page=whole)
