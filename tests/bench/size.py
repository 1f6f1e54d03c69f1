"""What size costs: a cycle with one change among many facts, and the memory a million facts take."""

from __future__ import annotations

import gc
import os
import resource
import sys
import tracemalloc
from collections.abc import Callable

from runtime.engine import AgentSpec, Core, Effect, InboxRow, KeySpec, PackSpec, Proposal, Run, Seed
from tests.bench import shapes
from tests.bench.measure import TOP, explained, settle_collector
from tests.bench.result import Line, measured

SIZES = (1_000, 10_000, 100_000, 1_000_000)
FLAT_WITHIN = 1.5
GIGABYTES = 1.5
FACTS_A_CYCLE = 10_000


def one_change_rows(quick: bool) -> list[Line]:
    """The cycle that follows one changed fact, the agent's own run on it included, in jobs of growing size."""
    sizes = SIZES[:-1] if quick else SIZES
    settle_collector()
    jobs = [_Watched(size) for size in sizes]
    microseconds: list[list[float]] = [[] for _ in sizes]
    for turn in range(150 if quick else 1_000):
        for at, job in enumerate(jobs):
            took = shapes.seconds_of(job.change_one) * 1e6
            if turn >= 20:
                microseconds[at].append(took)
    lines: list[Line] = []
    for at, size in enumerate(sizes):
        line = measured(f"one changed fact among {size:,}", "µs a cycle", microseconds[at])
        if at:
            line.peer, line.beside = f"among {sizes[0]:,}", lines[0].figure
            line.ratio = line.figure / lines[0].figure
            line.goal, line.met = f"flat within {FLAT_WITHIN}×", line.ratio <= FLAT_WITHIN
            line.work = lambda job=jobs[at]: [job.change_one() for _ in range(2_000)]
        lines.append(line)
    return explained(lines)


class _Watched:
    """A job in which half of the facts come from outside and an agent makes one of each."""

    def __init__(self, size: int) -> None:
        keys = (KeySpec("given"), KeySpec("made"))
        agent = AgentSpec("each", shape="each", over="given", writes=("made",))
        self.core = Core(PackSpec("watched", keys=keys, agents=(agent,), budget=shapes.BOUNDLESS))
        self.rows = 0
        given = size // 2 - 1
        for first in range(0, given, FACTS_A_CYCLE):
            self._cycles(
                [Seed(n, "given", f"s{n}", n) for n in range(first, min(first + FACTS_A_CYCLE, given))]
            )
        self.change_one()
        assert len(self.core.facts()) == size

    def change_one(self) -> None:
        """A person gives the same slot another value; the agent runs on that one item."""
        self.rows += 1
        self._cycles([InboxRow(self.rows, "add_fact", "otto", "given", "changing", self.rows)])

    def _cycles(self, rows: list[Seed] | list[InboxRow]) -> None:
        runs = self.core.begin(rows)
        commit = self.core.finish([_answer(run) for run in runs])
        assert commit.stop is not None and commit.stop.reason == "converged", commit.stop


def _answer(run: Run) -> Effect:
    item = run.view.item
    assert item is not None
    return Effect("each", run.item, [Proposal("made", item.subject, item.value)])


def memory_rows(quick: bool) -> list[Line]:
    """The whole process with the engine's state of a job in it, after its cycles are over."""
    facts = 100_000 if quick else 1_000_000
    lines: list[Line] = []
    builds: list[tuple[str, Callable[[int], Core]]] = [
        ("said by whole agents", _said),
        ("seeds, each a voice of its own", _seeded),
        ("half seeds, half made from them one by one", lambda facts: _Watched(facts).core),
    ]
    for title, build in builds:
        now, most, before = _resident_after(build, facts)
        line = Line(f"{facts:,} facts in memory, {title}", "GB", now / 1e9)
        line.note = f"{(now - before) / facts:,.0f} bytes a fact; at most {most / 1e9:.2f} GB on the way"
        line.goal = f"≤ {GIGABYTES} GB for 1,000,000"
        line.met = None if quick else line.figure <= GIGABYTES
        if line.met is False:
            line.profile = _top_of_memory(build, 20_000)
        lines.append(line)
    return lines


def _said(facts: int) -> Core:
    """Agents in a chain, 10,000 facts each."""
    core = Core(shapes.chain(facts // FACTS_A_CYCLE))
    rows: list[Seed] = shapes.seeds(1)
    while True:
        runs = core.begin(rows)
        rows = []
        said = [[_nth(r.agent.writes[0], at) for at in range(FACTS_A_CYCLE)] for r in runs]
        commit = core.finish([Effect(r.agent.name, None, s) for r, s in zip(runs, said, strict=True)])
        if commit.stop is not None:
            return core


def _nth(key: str, at: int) -> Proposal:
    return Proposal(key, f"subject {at}", {"n": at, "text": shapes.VALUE}, 0.5)


def _seeded(facts: int) -> Core:
    core = Core(PackSpec("seeded", keys=(KeySpec("k0"),), budget=shapes.BOUNDLESS))
    for first in range(0, facts, FACTS_A_CYCLE):
        last = min(first + FACTS_A_CYCLE, facts)
        core.begin(
            [Seed(n, "k0", f"subject {n}", {"n": n, "text": shapes.VALUE}) for n in range(first, last)]
        )
        core.finish([])
    return core


def _resident_after(build: Callable[[int], Core], facts: int) -> tuple[int, int, int]:
    """(bytes resident with the state, the most there were, bytes before), measured in a process of its own: memory that
    was freed once is not given back for the next to be seen."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before = _resident()
            core = build(facts)
            gc.collect()
            assert core.ledger.standing >= facts
            os.write(writer, f"{_resident()} {_most_resident()} {before}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    assert text, "the process that was measured died; is there enough memory?"
    now, most, before = (int(part) for part in text.split())
    return now, most, before


def _resident() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:  # not Linux
        return _most_resident()


def _most_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _top_of_memory(build: Callable[[int], Core], facts: int) -> list[str]:
    """The lines that hold most, in bytes a fact."""
    tracemalloc.start()
    core = build(facts)
    gc.collect()
    held = tracemalloc.take_snapshot().statistics("lineno")
    tracemalloc.stop()
    assert core.cycle
    return [
        f"{stat.size / facts:6.0f} bytes a fact  {stat.traceback[0].filename.rpartition('/runtime/')[2]}:"
        f"{stat.traceback[0].lineno}"
        for stat in held[:TOP]
    ]
