"""What is put in place of clock, threads, queue, database and tools, once for many simulations.

Nothing of the runtime is rewritten: modules get other modules (`time`, `threading`, `random`) and other ends of their
wires. The failpoints of production code are places where turns change.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import django.utils.timezone
from django.contrib.auth.models import Group, User
from django.db import connections

from converge_site.live import consumers, hub, tailer, topics
from runtime import (
    backtesting,
    failpoints,
    lease,
    notices,
    queue,
    reconciler,
    recovery,
    tool_calls,
    worker,
)
from runtime.actions import inbox, permissions
from runtime.actions.sync_packs import sync_packs
from runtime.agents import registry, watch
from runtime.models import Entry, Job
from runtime.tools import attempts, run_clock, session
from tests.simulation.outside import Oracle, SimulatedGate
from tests.simulation.packs import PACKS, Scene
from tests.simulation.stand_ins import Chance, Clock, Inline, Loop, Threading, Workshop
from tests.simulation.store import SimulatedDatabase, empty, make_tables
from tests.simulation.transport import SimulatedLayer, SimulatedRedis
from tests.simulation.turns import Turns

PEOPLE = ("ada", "bert", "cleo")


class Bench:
    """The parts that production code is wired to. One for a process; each simulation begins with `clear`."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.database = SimulatedDatabase(self.turns)
        self.chance = Chance()
        self.clear()

    def clear(self) -> None:
        """Everything as at the beginning: no jobs, empty queue, tools up."""
        turns = self.turns
        turns.clear()
        self.redis = SimulatedRedis(turns)
        self.layer = SimulatedLayer(self.redis, turns)
        self.oracle = Oracle(turns)
        self.gate = SimulatedGate(turns)
        Scene.turns, Scene.oracle, Scene.work_seconds = turns, self.oracle, 0.0
        self.chance.seed(0)
        notices._pruned_at = None
        hub._hub = None
        self.held: dict[str, tuple[int, int]] = {}  # by process: job and epoch
        if self.database.connection is not None:
            empty(self.database)


_bench: Bench | None = None


@contextmanager
def injected() -> Iterator[Bench]:
    """A bench, with production code wired to it."""
    global _bench
    before = connections["default"]
    if _bench is None:
        _bench = Bench()
    bench = _bench
    connections["default"] = bench.database
    thresholds, asked = gc.get_threshold(), logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    undo = [_put(place, name, new) for place, name, new in _wires(bench)]
    try:
        if bench.database.connection is None:
            _furnish(bench)
        # As a worker does (worker.settle_process): what is loaded now stays.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 2)
        bench.clear()
        yield bench
    finally:
        bench.clear()
        for put_back in reversed(undo):
            put_back()
        logging.disable(asked)
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        connections["default"] = before


def _put(place: Any, name: str, new: Any) -> Callable[[], None]:
    old = getattr(place, name)
    setattr(place, name, new)
    return lambda: setattr(place, name, old)


def _wires(bench: Bench) -> list[tuple[Any, str, Any]]:
    turns = bench.turns
    clock, threads = Clock(turns), Threading(turns)
    places: list[tuple[Any, str, Any]] = [
        (module, "time", clock)
        for module in (
            *(worker, backtesting, recovery, notices, session, attempts, run_clock, tailer, topics),
        )
    ]
    places += [(module, "threading", threads) for module in (lease, hub, tailer, watch)]
    places += [
        (django.utils.timezone, "now", clock.now),
        (asyncio, "new_event_loop", lambda: Loop(turns)),
        (recovery, "random", bench.chance),
        (attempts, "random", bench.chance),
        (session, "_records", Workshop(turns, "records")),
        (attempts, "_gates", Inline(turns)),
        (queue, "redis_client", lambda url: bench.redis),
        (queue, "_queue", lambda client: bench.redis),
        (recovery, "shared_gate", lambda: bench.gate),
        (tool_calls, "shared_gate", lambda: bench.gate),
        *(
            (module, "stop_requested", lambda: turns.process is not None and turns.process.asked_to_stop)
            for module in (worker, backtesting)
        ),
        (backtesting, "SLICE_SECONDS", 0.0),  # a job a slice
        (worker, "worker_name", lambda: turns.process.name if turns.process is not None else ""),
        (worker, "holding", lambda job_id, epoch: _holding(bench, job_id, epoch)),
        (worker, "probe_storage", lambda: None),
        (worker, "publish_job_event", lambda *event: bench.layer.publish(*event)),
        (permissions, "groups_of", lambda user: ["operator"]),
        (inbox, "groups_of", lambda user: ["operator"]),
        (hub, "get_channel_layer", lambda: bench.layer),
        (asyncio, "set_event_loop", lambda loop: None),  # that of the one real thread
        # One connection serves all, and what it wrote itself is no news to it.
        (tailer, "read_version", lambda: _read_version(bench)),
        (consumers, "may_enter", _may_enter),
        (consumers, "let_in", lambda visitor: None),
        (consumers, "let_out", lambda visitor: None),
        (reconciler, "sign_settled", lambda: 0),  # a log of this machine's, with a clock of its own
        (registry, "_found", lambda: registry.Found(dict(PACKS), ())),
        (failpoints, "_armed", {"": None}),
        (failpoints, "_hit", lambda name: turns.pause(name, is_held=bench.database.in_atomic_block)),
        (topics, "render_page", lambda name, query: ""),
        (topics, "row_of", lambda entry: entry),
        (topics, "render_row", _render_row),
        (topics, "PANELS", (SimpleNamespace(name="summary"),)),
        (topics, "render_panel", lambda panel, job: render_panels(job)[panel.name]),
        (topics, "render_keys", render_keys),
    ]
    return places


@contextmanager
def _holding(bench: Bench, job_id: int, epoch: int) -> Iterator[None]:
    """`runtime.stopping.holding`, where one module serves several processes."""
    process = bench.turns.process
    name = process.name if process is not None else ""
    bench.held[name] = (job_id, epoch)
    try:
        yield
    finally:
        bench.held.pop(name, None)


def _read_version(bench: Bench) -> int:
    bench.turns.pause("PRAGMA data_version")
    return bench.database.changes


async def _may_enter(session_key: str) -> bool:
    return True


def _furnish(bench: Bench) -> None:
    bench.database.ensure_connection()
    make_tables(bench.database)
    operators = Group.objects.create(name="operator")
    for name in PEOPLE:
        User.objects.create(username=name).groups.add(operators)
    report = sync_packs(list(PACKS.values()), ())
    assert not report.problems, report.problems


# Rendering is tested elsewhere. Here a row is its number, and a panel says whatever a real one could depend on.


def _render_row(entry: Entry) -> str:
    return f"<row {entry.seq}>"


def render_panels(job: Job) -> dict[str, str]:
    """The panels of a job: one, with its summary."""
    told = (job.status, job.entries, job.tier, job.answer_version, job.conflicts_open, job.holds_open)
    return {"summary": f"<panel summary={told}>"}


def render_keys(job: Job, keys: Any = None) -> Mapping[str, str]:
    """The keys of a job, all or some: the last entry about each."""
    names = PACKS[job.pack.name].keys
    entries = Entry.objects.filter(job=job).order_by("seq").values_list("key", "seq")
    last = dict(entries)
    return {n: f"<panel key:{n}={last.get(n, 0)}>" for n in names if keys is None or n in keys}
