"""The page's end of the live view: what it says of its line, and how it comes back, whatever became of it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from tests.waiting import eventually
from tests.web.chromium import FLAGS
from tests.web.journeys import SEQS, open_as, sign_in
from tests.web.live_line import Line
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

WATCHDOG = 25_000  # ms


@contextmanager
def on_a_line(browser: Browser, stack: Stack, name: str = "vera") -> Iterator[tuple[Page, Line]]:
    """A page whose line can be disturbed."""
    with Line(stack.port) as line:
        through: Any = SimpleNamespace(url=line.url, sessions={})
        with open_as(browser, through, name) as page:
            yield page, line


def expect_state(page: Page, words: str) -> None:
    expect(page.locator("#live-state")).to_have_text(words, timeout=20_000)


class MockServer:
    """The server's end of a page's socket, played by the test."""

    def __init__(self, page: Page) -> None:
        self.hellos: list[dict[str, Any]] = []
        self.acks: list[int] = []
        self.line: WebSocketRoute | None = None
        page.route_web_socket("**/ws/**", self._take)

    def _take(self, line: WebSocketRoute) -> None:
        def heard(text: str | bytes) -> None:
            message = json.loads(text)
            if "ack" in message:
                self.acks.append(message["ack"])
            elif "ping" not in message:
                self.line = line
                self.hellos.append(message)

        line.on_message(heard)

    def send(self, **frame: Any) -> None:
        assert self.line is not None
        self.line.send(json.dumps(frame))

    def send_rows(self, after: int, to: int, reset: bool = False) -> None:
        """A frame with the rows from after one entry to another."""
        rows = "".join(
            f'<div class="entry" id="e{n}" data-seq="{n}">{n}</div>' for n in range(after + 1, to + 1)
        )
        more = {"reset": True} if reset else {}
        self.send(after=after, to=to, html=f'<div data-rows="journal-rows">{rows}</div>', **more)


@pytest.fixture(scope="module")
def job(stack: Stack) -> int:
    """A job to look at."""
    told = stack.manage("submit", "growth", "--json")
    return int(json.loads(told.splitlines()[-1])["id"])


def open_mocked(page: Page, job: int) -> MockServer:
    """The job's page with a server of the test's; its journal is as if it were empty."""
    server = MockServer(page)
    page.goto(f"/jobs/{job}/")
    page.wait_for_function("() => document.getElementById('live-state')")
    assert eventually(lambda: page.evaluate("1") == 1 and bool(server.hellos), 10)
    return server


def test_the_page_comes_back_whatever_the_code(stack: Stack, browser: Browser) -> None:
    with on_a_line(browser, stack) as (page, line):
        for code in (1000, 1001, 1006, 1011, 1012, 1013, 4400, 4401, 4404, 4408, 4999):
            expect_state(page, "Live")
            before = line.opened
            if code == 1006:
                line.cut()
            else:
                line.close(code)
            assert eventually(lambda before=before: line.opened > before, 20), code
        expect_state(page, "Live")


def test_the_page_says_what_its_line_is_like(stack: Stack, browser: Browser) -> None:
    with on_a_line(browser, stack) as (page, line):
        expect_state(page, "Live")
        line.is_down = True
        line.cut()
        expect_state(page, "Not connected")
        expect(page.locator("#live-state")).to_have_attribute("title", re.compile("nothing is lost"))
        line.is_down = False
        expect_state(page, "Live")


def test_a_dead_line_is_noticed_within_twenty_five_seconds(stack: Stack, browser: Browser) -> None:
    with on_a_line(browser, stack) as (page, line):
        page.clock.install()
        page.goto("/")
        expect_state(page, "Live")
        line.freeze()
        before = line.opened
        page.clock.run_for(WATCHDOG - 2_000)
        expect_state(page, "Live")
        page.clock.run_for(2_500)
        assert eventually(lambda: page.clock.run_for(500) is None and line.opened > before, 20)
        expect_state(page, "Live")


@pytest.mark.parametrize("woken_by", ["online", "visibilitychange"])
def test_a_page_that_wakes_asks_whether_its_line_lives(stack: Stack, browser: Browser, woken_by: str) -> None:
    with on_a_line(browser, stack) as (page, line):
        page.clock.install()
        page.goto("/")
        expect_state(page, "Live")
        line.freeze()
        before = line.opened
        page.evaluate(
            "(name) => (name === 'online' ? window : document).dispatchEvent(new Event(name))", woken_by
        )
        page.clock.run_for(4_100)
        assert eventually(lambda: page.clock.run_for(500) is None and line.opened > before, 20)
        expect_state(page, "Live")


def test_a_line_that_lives_is_kept_on_waking(stack: Stack, browser: Browser) -> None:
    with on_a_line(browser, stack) as (page, line):
        expect_state(page, "Live")
        before = line.opened
        with _answered(page):
            page.evaluate("() => window.dispatchEvent(new Event('online'))")
        assert line.opened == before
        expect_state(page, "Live")


@contextmanager
def _answered(page: Page) -> Iterator[None]:
    """Until the server has answered a ping."""
    page.evaluate(
        """() => {
            const Native = WebSocket.prototype.send;
            WebSocket.prototype.send = function (text) {
                this.addEventListener("message", (event) => {
                    if (JSON.parse(event.data).ping) window.answered = true;
                });
                return Native.call(this, text);
            };
        }"""
    )
    yield
    page.wait_for_function("() => window.answered")


def test_a_page_that_was_kept_for_the_back_button_goes_on(stack: Stack, browser: Browser, job: int) -> None:
    names = ("chromium", "chromium-browser", "google-chrome")
    kept = browser.browser_type.launch(
        executable_path=next((path for name in names if (path := shutil.which(name))), None),
        args=FLAGS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    try:
        with on_a_line(kept, stack) as (page, line):
            page.goto(f"/jobs/{job}/")
            expect_state(page, "Live")
            page.evaluate("() => { window.mark = 1; }")
            page.goto("/packs/")
            before = line.opened
            page.go_back(wait_until="commit")
            assert page.evaluate("() => window.mark") == 1, "the browser has not kept the page"
            assert eventually(lambda: line.opened > before, 10)
            expect_state(page, "Live")
    finally:
        kept.close()


def test_who_has_signed_out_elsewhere_is_told_and_comes_back_when_signed_in(
    stack: Stack, browser: Browser
) -> None:
    with on_a_line(browser, stack) as (page, line):
        expect_state(page, "Live")
        other = page.context.new_page()
        other.goto("/")
        other.get_by_title("Sign out").click()
        other.wait_for_url("**/sign-in/**")
        line.cut()
        expect_state(page, "Signed out")
        sign_in(other, "vera")
        expect_state(page, "Live")


def test_rows_stay_bounded_while_they_are_followed(stack: Stack, browser: Browser, job: int) -> None:
    with open_as(browser, stack, "vera") as page:
        server = open_mocked(page, job)
        start = server.hellos[0]["after"]
        for n in range(20):
            server.send_rows(start + 100 * n, start + 100 * (n + 1))
        page.wait_for_function(f"() => document.getElementById('e{start + 2000}')")
        seqs = page.evaluate(SEQS)
        assert seqs == list(range(start + 2000 - 299, start + 2001))
        assert eventually(lambda: page.evaluate("1") == 1 and server.acks[-1:] == [20], 5)


def test_who_reads_further_up_keeps_the_place_and_the_page_its_size(
    stack: Stack, browser: Browser, job: int
) -> None:
    with open_as(browser, stack, "vera") as page:
        server = open_mocked(page, job)
        start = server.hellos[0]["after"]
        first = page.evaluate(SEQS)[0]
        page.locator("#follow").click()
        for n in range(20):
            server.send_rows(start + 100 * n, start + 100 * (n + 1))
        server.send_rows(start + 9_000, start + 9_300, reset=True)
        expect(page.locator("#follow")).to_contain_text("2300 new")
        seqs = page.evaluate(SEQS)
        assert (seqs[0], len(seqs) <= 1_000) == (first, True)
        assert seqs == list(range(first, first + len(seqs)))
        page.locator("#follow").click()
        assert eventually(lambda: page.evaluate("1") == 1 and len(server.hellos) == 2, 10)
        assert server.hellos[1] == {"after": 0}
        server.send_rows(start + 9_050, start + 9_350, reset=True)
        page.wait_for_function(f"() => document.getElementById('e{start + 9_350}')")
        assert page.evaluate(SEQS) == list(range(start + 9_051, start + 9_351))


def test_a_server_that_finds_fault_again_and_again_is_asked_ever_less(
    stack: Stack, browser: Browser, job: int
) -> None:
    with open_as(browser, stack, "vera") as page:
        page.clock.install()
        server = open_mocked(page, job)
        for _ in range(6):
            assert server.line is not None
            server.send(html="")
            server.line.close(code=1011)
            seen = len(server.hellos)
            assert eventually(
                lambda seen=seen: page.clock.run_for(300) is None and len(server.hellos) > seen, 20
            )
        before = len(server.hellos)
        assert server.line is not None
        server.line.close(code=1011)
        page.clock.run_for(8_000)
        assert len(server.hellos) == before


def test_a_server_that_cannot_see_what_is_new_says_so(stack: Stack, browser: Browser, job: int) -> None:
    with open_as(browser, stack, "vera") as page:
        server = open_mocked(page, job)
        server.send(ping=1)
        expect_state(page, "Live")
        server.send(ping=1, late=True)
        expect_state(page, "Delayed")
        server.send(ping=1)
        expect_state(page, "Live")


def test_a_frame_that_cannot_be_shown_is_asked_for_again(stack: Stack, browser: Browser, job: int) -> None:
    with open_as(browser, stack, "vera") as page:
        server = open_mocked(page, job)
        start = server.hellos[0]["after"]
        page.evaluate(
            """() => {
                const real = Element.prototype.append;
                Element.prototype.append = () => { Element.prototype.append = real; throw new Error("once"); };
            }"""
        )
        server.send_rows(start, start + 1)
        assert eventually(lambda: page.evaluate("1") == 1 and len(server.hellos) == 2, 10)
        assert server.hellos[1] == {"after": start}


def test_a_form_that_could_not_be_fetched_comes_when_the_server_is_back(
    stack: Stack, browser: Browser, job: int
) -> None:
    with open_as(browser, stack, "otto") as page:
        page.clock.install()
        server = open_mocked(page, job)
        address = page.locator("#job-action").get_attribute("data-personal")
        asked: list[bool] = []

        def answer(route: Route) -> None:
            asked.append(True)
            if len(asked) == 1:
                route.abort()
            else:
                route.fulfill(body='<div id="job-action" data-rev="other">here</div>')

        page.route(f"**{address}", answer)
        server.send(html=f'<div id="job-action" data-personal="{address}" data-rev="other"></div>')
        assert eventually(lambda: page.clock.run_for(500) is None and len(asked) == 2, 10)
        expect(page.locator("#job-action")).to_have_text("here")
