"""The live view: from a merge to the paint, alone and among 200; what sockets cost; a page that streams for minutes."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import ExitStack
from typing import Any

from tests.bench.house import open_house, running_worker
from tests.bench.live_house import (
    PACE,
    Web,
    end_stream,
    many_viewers,
    merged_at,
    open_browser,
    running_web,
    start_stream,
)
from tests.bench.live_viewers import Socket
from tests.bench.result import Line

ALONE_MS, AMONG_MS = 150.0, 300.0
VIEWERS = 200
IDLE_KB = 60.0
MINUTES = float(os.environ.get("BENCH_LIVE_MINUTES", "3"))  # of the page that streams
FLAT_KB = 100.0  # a minute: what a page may seem to grow while its collector comes and goes
SETTLED = 0.25  # of the samples: until then the journal fills up
LIVE = "() => document.getElementById('live-state').dataset.state === 'live'"
_pause = threading.Event()


def latency_rows(quick: bool) -> list[Line]:
    """From merge to paint, at 100 merges a second."""
    seconds = 5.0 if quick else 20.0
    with open_house() as home, running_web(home) as web, running_worker(home):
        alone = _watch_stream(web, 1, seconds, ALONE_MS)
        among = _watch_stream(web, VIEWERS, seconds, AMONG_MS)
    return [*alone, *among]


def _watch_stream(web: Web, viewers: int, seconds: float, goal: float) -> list[Line]:
    with ExitStack() as stack:
        job = start_stream(seconds * 4 + 120)
        stack.callback(end_stream, job)
        others = stack.enter_context(many_viewers(web, job, viewers - 1)) if viewers > 1 else {}
        page = stack.enter_context(open_browser(web))
        page.goto(f"/jobs/{job.pk}/")
        page.wait_for_function(LIVE)
        page.wait_for_function("() => noted.paints.length > 10")
        began, used, first = time.monotonic(), web.cpu_seconds(), page.evaluate("() => noted.last")
        page.evaluate("() => { noted.paints.length = 0; }")
        page.wait_for_timeout(seconds * 1_000)
        noted = page.evaluate("() => noted")
        cpu = (web.cpu_seconds() - used) / (time.monotonic() - began)
    said = merged_at(job)
    delays = _delays(said, first, noted["paints"])
    rate = sum(first < seq <= noted["last"] for seq in said) / seconds
    gaps = noted["gaps"] + others.get("gaps", 0)
    title = f"merge → painted, {viewers} viewer{'s' if viewers > 1 else ''}, {PACE} merges a second"
    line = Line(f"{title}: p99", "ms", _share(delays, 0.99), delays)
    line.goal, line.met = f"≤ {goal:g} ms, no gap", line.figure <= goal and gaps == 0
    line.note = (
        f"p50 {_share(delays, 0.5):.0f} ms; {gaps} gaps in {len(delays)} merges at {rate:.0f} a second; "
        f"the web process used {cpu:.0%} of a core; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    lines = [line, Line(f"{title}: the web process", "of a core", cpu)]
    if others:
        heard = [d for arrivals in others["arrivals"] for d in _delays(said, first, arrivals)]
        lines.append(Line(f"{title}: at the other sockets, p99", "ms", _share(heard, 0.99), heard))
        lines[-1].note = (
            f"p50 {_share(heard, 0.5):.0f} ms; {others['frames']} frames, {others['bytes'] / 1e6:.0f} MB, "
            f"{others['resets']} started afresh, {others['ended']} times too slow and back from the cursor"
        )
    return lines


def _delays(said: dict[int, float], first: int, seen: list[Any]) -> list[float]:
    """Milliseconds from each fact that was said after entry `first` to the first look that had it."""
    delays: list[float] = []
    waiting = sorted((seq, at) for seq, at in said.items() if seq > first)
    place = 0
    for last, at in seen:
        while place < len(waiting) and waiting[place][0] <= last:
            delays.append((at - waiting[place][1]) * 1e3)
            place += 1
    return delays


def _share(figures: list[float], share: float) -> float:
    ranked = sorted(figures)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def socket_rows(quick: bool) -> list[Line]:
    """What a socket costs on which nothing happens."""
    count = 100 if quick else 500
    with open_house() as home, running_web(home) as web:
        asyncio.run(_idle(web, 20, 1.0))  # what the first of all costs is no socket's fault
        runs = [asyncio.run(_idle(web, count, 2.0)) / count for _ in range(1 if quick else 3)]
    line = Line(f"memory of an idle socket, {count} open", "KB", runs[0], runs)
    line.goal, line.met = f"≤ {IDLE_KB:g} KB", line.figure <= IDLE_KB
    return [line]


async def _idle(web: Web, count: int, seconds: float) -> float:
    """KB that the web process has more once so many are open and have been told what there is."""
    before = web.memory_kb()
    sockets = [await Socket.open(web.port, "/ws/jobs/", web.header) for _ in range(count)]
    for socket in sockets:
        socket.send({"page": ""})
        await socket.receive()
        socket.send({"ack": 1})
    await asyncio.sleep(seconds)
    grown = web.memory_kb() - before
    for socket in sockets:
        socket.close()
    return grown


def browser_rows(quick: bool) -> list[Line]:
    """A page that streams for minutes: what its heap and its DOM become."""
    seconds = 20.0 if quick else MINUTES * 60
    with open_house() as home, running_web(home) as web, running_worker(home), ExitStack() as stack:
        job = start_stream(seconds * 2 + 120)
        stack.callback(end_stream, job)
        page = stack.enter_context(open_browser(web))
        page.goto(f"/jobs/{job.pk}/")
        page.wait_for_function(LIVE)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        samples = []
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            page.wait_for_timeout(max(1_000.0, seconds * 1_000 / 40))
            devtools.send("HeapProfiler.collectGarbage")
            found = {row["name"]: row["value"] for row in devtools.send("Performance.getMetrics")["metrics"]}
            live = page.evaluate("() => document.querySelectorAll('*').length")
            samples.append((time.monotonic() - began, found["JSHeapUsedSize"] / 1024, found["Nodes"], live))
            page.evaluate("() => { noted.paints.length = 0; }")
        most = page.evaluate("() => noted.most")
    kept = samples[int(len(samples) * SETTLED) :]
    minutes = seconds / 60
    heap = Line(
        f"JS heap of a page that streams for {minutes:.3g} minutes, slope", "KB a minute", _slope(kept, 1)
    )
    heap.goal, heap.met = f"≤ {FLAT_KB:g} KB a minute", None if quick else heap.figure <= FLAT_KB
    heap.note = f"{kept[0][1]:,.0f} KB at first, {kept[-1][1]:,.0f} KB at last, after collection"
    nodes = Line(
        "elements in its DOM, at most", "", max(row[3] for row in samples), [row[3] for row in samples]
    )
    garbage = max(row[2] for row in samples)
    nodes.note = f"{most} rows in the journal at most; {garbage:,.0f} nodes with what awaits collection"
    return [heap, nodes]


def _slope(samples: list[tuple[float, ...]], column: int) -> float:
    """By least squares, a minute."""
    mean_t = sum(row[0] for row in samples) / len(samples)
    mean_y = sum(row[column] for row in samples) / len(samples)
    spread = sum((row[0] - mean_t) ** 2 for row in samples)
    return 60 * sum((row[0] - mean_t) * (row[column] - mean_y) for row in samples) / spread if spread else 0.0
