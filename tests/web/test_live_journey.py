"""A long job in a real browser whose line is cut twenty times, while the web process and Redis are killed under it:
every entry is shown once and in order, and at every tier the page is what a reload shows."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bench.live_viewers import Socket, Viewer
from tests.runtime.stage import offer
from tests.waiting import eventually
from tests.web.journeys import (
    PANELS,
    answer_first,
    expect_gapless,
    expect_settled,
    expect_status,
    open_as,
    same_rows,
)
from tests.web.live_line import Line
from tests.web.live_packs import SEEDS
from tests.web.stack import Stack

pytestmark = pytest.mark.browser

# Notes what the page shows after each change: the rows must go up by one, and never back.
WATCH = """() => {
    const seen = window.seen = { wrong: [], sockets: [], rendered: new Set(), highest: 0, most: 0 };
    const Native = WebSocket;
    window.WebSocket = class extends Native {
        constructor(...given) { super(...given); seen.sockets.push(this); }
    };
    document.addEventListener("converge:changed", () => {
        const seqs = [...document.querySelectorAll("#journal-rows .entry")].map((row) => Number(row.dataset.seq));
        seqs.forEach((seq, place) => {
            if (place && seq !== seqs[place - 1] + 1) seen.wrong.push([seqs[place - 1], seq]);
            seen.rendered.add(seq);
        });
        if (seqs.at(-1) < seen.highest) seen.wrong.push([seen.highest, seqs.at(-1)]);
        seen.highest = Math.max(seen.highest, seqs.at(-1) || 0);
        seen.most = Math.max(seen.most, seqs.length);
    });
}"""
SEEN = "() => ({ wrong: seen.wrong, rendered: seen.rendered.size, most: seen.most })"
LIVE = "() => document.getElementById('live-state').dataset.state === 'live'"
LOST = "() => document.getElementById('live-state').dataset.state === 'lost'"
NOT_LIVE = "() => document.getElementById('live-state').dataset.state !== 'live'"


class ParadeStack(Stack):
    """An installation with the pack that is watched, and a lease that a killed Redis does not hold up for long."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"CONVERGE_LEASE_SECONDS": "5", "PARADE_PAUSE": "0.07"}


@pytest.fixture(scope="module")
def parade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    place = tmp_path_factory.mktemp("parade")
    offer(place / "installed", {"parade": "tests.web.live_packs:parade"})
    home = place / "home"
    home.mkdir()
    running = ParadeStack(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(place / "installed"))
        try:
            running.start()
            yield running
        finally:
            running.stop()


class Watched:
    """The page that is disturbed, and what disturbs it."""

    def __init__(self, page: Page, line: Line, stack: Stack) -> None:
        self.page, self.line, self.stack = page, line, stack
        self.disturbed = 0

    def from_the_page(self) -> None:
        self._lose(lambda: self.page.evaluate("() => seen.sockets.at(-1).close()"))

    def from_the_server(self, code: int) -> None:
        self._lose(lambda: self.line.close(code))

    def cut(self) -> None:
        self._lose(self.line.cut)

    def offline(self) -> None:
        """The machine has no network for a while. Chromium plays that to requests, and to sockets now and then."""
        before = self.line.opened
        self.line.is_down = True
        self.line.cut()
        self.page.wait_for_function(NOT_LIVE)
        self.page.context.set_offline(True)
        self.page.wait_for_function(LOST, timeout=30_000)
        self.line.is_down = False
        self.page.context.set_offline(False)
        self._back(before)

    def kill(self, *words: str) -> None:
        """A process of the installation dies; its supervisor starts it again."""
        before = find_process(self.stack, *words)
        assert before is not None
        before.kill()

        def is_back() -> bool:
            now = find_process(self.stack, *words)
            return now is not None and now.pid != before.pid

        assert eventually(is_back, 60)

    def kill_web(self) -> None:
        before = self.line.opened
        self.kill("converge_site.serve")
        self._back(before)

    def kill_redis(self) -> None:
        self.kill("valkey-server", "redis-server", "redis.sock")

    def _lose(self, act: Callable[[], object]) -> None:
        before = self.line.opened
        act()
        self._back(before)

    def _back(self, before: int) -> None:
        assert eventually(lambda: self.line.opened > before, 60), "it never came back"
        self.page.wait_for_function(LIVE, timeout=60_000)
        self.disturbed += 1


def find_process(stack: Stack, *words: str) -> psutil.Process | None:
    """The process of an installation whose command line holds one of the words."""
    assert stack._process is not None
    for child in psutil.Process(stack._process.pid).children(recursive=True):
        try:
            if any(word in part for word in words for part in child.cmdline()):
                return child
        except psutil.Error:
            continue
    return None


def submit(stack: Stack) -> int:
    seeds = stack.home / "seeds.json"
    seeds.write_text(json.dumps(SEEDS))
    told = stack.manage("submit", "parade", "--seeds", str(seeds), "--json")
    return int(json.loads(told.splitlines()[-1])["id"])


def expect_as_reloaded(watched: Page, job: int, head: int, tier: str) -> None:
    """Page plus fragments equals the page reloaded."""
    expect_gapless(watched, head)
    expect_settled(watched)
    fresh = watched.context.new_page()
    fresh.goto(f"/jobs/{job}/")
    expect(fresh.locator("#panel-header")).to_contain_text(tier)
    assert same_rows(fresh.evaluate(PANELS), watched.evaluate(PANELS))
    fresh.close()


def test_nothing_is_missed_whatever_becomes_of_the_line(parade: Stack, browser: Browser) -> None:
    job = submit(parade)
    with Line(parade.port) as line, open_as(browser, parade, "otto", f"/jobs/{job}/") as otto:
        through: Any = SimpleNamespace(url=line.url, sessions={})
        with open_as(browser, through, "vera") as vera:
            vera.context.add_init_script(f"({WATCH})()")
            vera.goto(f"/jobs/{job}/")
            vera.wait_for_function(LIVE)
            page = Watched(vera, line, parade)

            for code in (1000, 1001, 4000):
                page.from_the_page()
                page.from_the_server(code)
            page.cut()
            expect_status(otto, "Waiting for people", 60)
            expect_as_reloaded(vera, job, parade.head_of(job), "Set out")

            answer_first(otto, "Approve", "")
            expect_status(vera, "Running", 60)
            page.offline()
            page.kill_web()
            for code in (4408, 1012, 4999):
                page.from_the_server(code)
            page.from_the_page()
            page.cut()
            expect_status(vera, "Waiting for people", 90)
            expect_as_reloaded(vera, job, parade.head_of(job), "On the way")

            answer_first(otto, "Approve", "")
            expect_status(vera, "Running", 60)
            page.kill_redis()
            page.offline()
            page.cut()
            page.from_the_server(1011)
            page.cut()
            page.from_the_page()
            page.from_the_server(1000)
            expect_status(vera, "Converged", 90)
            head = parade.head_of(job)
            expect_as_reloaded(vera, job, head, "Home")

            seen = vera.evaluate(SEEN)
    assert page.disturbed >= 20
    assert head >= 5_000
    assert seen["wrong"] == []
    assert seen["most"] <= 600
    print(
        f"{page.disturbed} times disturbed, {line.opened} sockets, {seen['rendered']} of {head} entries seen live"
    )


SLOW = 20
SLOW_COSTS = 1.0  # MB, at most


def test_who_reads_nothing_costs_little_and_holds_up_nobody(parade: Stack) -> None:
    web = find_process(parade, "converge_site.serve")
    assert web is not None
    cookie = sign_in_by_script(parade)
    # A first job, so that everything is loaded that a viewer needs.
    watch_beside_slow_ones(parade, web, cookie, slow=0)
    grown, viewer, head, ended = watch_beside_slow_ones(parade, web, cookie, slow=SLOW)
    assert (viewer.last, viewer.gaps, viewer.resets) == (head, 0, 0)
    assert ended == SLOW, "the server has given them up"
    assert grown < SLOW * SLOW_COSTS
    print(f"{SLOW} that read nothing cost {grown:.1f} MB")


def sign_in_by_script(stack: Stack) -> str:
    """The cookie of somebody who may look."""
    told = stack.manage("shell", "--no-imports", "-c", OPEN_SESSION).split()
    return f"{told[-2]}={told[-1]}"


OPEN_SESSION = """
from django.conf import settings
from django.contrib.auth.models import User
from tests.web.cast import signed_in
client = signed_in(User.objects.get(username="vera"))
print(settings.SESSION_COOKIE_NAME, client.cookies[settings.SESSION_COOKIE_NAME].value)
"""


def watch_beside_slow_ones(
    stack: Stack, web: psutil.Process, cookie: str, slow: int
) -> tuple[float, Viewer, int, int]:
    """A quick viewer watches a job to its first gate beside so many slow ones. Gives the MB that the web process has
    more at most, the viewer, the job's last entry, and how many of the slow ones the server has ended."""
    job = submit(stack)
    mine: list[socket.socket] = []
    viewer = Viewer()

    async def watch() -> float:
        before = most = web.memory_info().rss
        line = await Socket.open(stack.port, f"/ws/jobs/{job}/", cookie)
        watching = asyncio.create_task(viewer.watch(line))
        await viewer.caught_up.wait()
        mine.extend([open_slow(stack.port, job, cookie) for _ in range(slow)])
        while not (stack.is_idle(job) and viewer.last == stack.head_of(job)):
            assert not watching.done(), watching.exception()
            most = max(most, web.memory_info().rss)
            await asyncio.sleep(0.05)
        line.close()
        watching.cancel()
        return (most - before) / 2**20

    # In a thread of its own: after browser tests the main thread's loop counts as running.
    with ThreadPoolExecutor(1) as thread:
        grown = thread.submit(asyncio.run, watch()).result(120)
    ended = sum(is_ended(one) for one in mine)
    return grown, viewer, stack.head_of(job), ended


def open_slow(port: int, job: int, cookie: str) -> socket.socket:
    """Says hello, and never reads a frame."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(30)
    line.connect(("127.0.0.1", port))
    head = (
        *(
            f"GET /ws/jobs/{job}/ HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
        ),
        *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
        *(f"Origin: http://127.0.0.1:{port}", f"Cookie: {cookie}"),
    )
    line.sendall("\r\n".join([*head, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += line.recv(1)
    line.sendall(bytes([0x81, 0x80 | 11, 0, 0, 0, 0]) + b'{"after":0}')
    return line


def is_ended(line: socket.socket) -> bool:
    """Whether the server has ended a connection; what it had sent before is read and dropped."""
    with line:
        try:
            while line.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True
