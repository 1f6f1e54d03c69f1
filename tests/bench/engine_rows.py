"""The engine alone: no database, no queue, no pages."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from runtime.engine import Core, PackSpec
from tests.bench import shapes
from tests.bench.measure import explained, in_turns
from tests.bench.result import Line, measured

TIMES_LANGGRAPH = 50
MICROSECONDS_A_MERGE = 10.0
# The Rust crate's own published medians; measured on its authors' machine, not on this one.
CONVERGE_CORE_MS = {"one agent": 1.35, "20 agents": 1.77, "1,000 seeds and one late agent": 21.0}


def langgraph_rows(quick: bool) -> list[Line]:
    """Chains and fan-outs of one-fact agents beside LangGraph in the same shape, and the price of a merge."""
    try:
        from tests.bench import langgraph_peer as peer
    except ImportError:
        peer = None  # type: ignore[assignment]
    lines: list[Line] = []
    for name, size in (("chain", 20), ("chain", 200), ("fan-out", 20), ("fan-out", 200)):
        pack = (shapes.chain if name == "chain" else shapes.fan_out)(size)
        graph = (peer.chain if name == "chain" else peer.fan_out)(size) if peer else None
        runs = (3 if quick else 15) * (5 if size == 20 else 1)
        lines.append(_beside_langgraph(f"{name} of {size} agents", pack, size, peer, graph, runs))
    lines.append(_wide_merge(3 if quick else 11))
    return explained(lines)


def _beside_langgraph(title: str, pack: PackSpec, size: int, peer: Any, graph: Any, runs: int) -> Line:
    functions = shapes.one_fact(pack)

    jobs = 200 // size  # so that a turn is not over before the caches are warm

    def ours() -> float:
        cores = [Core(pack) for _ in range(jobs)]  # compiled beforehand, as the graph is
        took = shapes.seconds_of(lambda: [shapes.drive(core, functions, shapes.seeds(1)) for core in cores])
        return took / jobs / size * 1e6

    def theirs() -> float:
        return shapes.seconds_of(lambda: peer.run(graph, size)) / size * 1e6

    subjects: list[Callable[[], float]] = [ours, theirs] if peer else [ours]
    found = in_turns(runs, *subjects)
    cores = [Core(pack) for _ in range(2_000 // size)]  # as in the timing, compiled beforehand
    line = measured(title, "µs a fact", found[0], peer="LangGraph")
    line.work = lambda: [shapes.drive(core, functions, shapes.seeds(1)) for core in cores]
    line.goal = f"≥ {TIMES_LANGGRAPH}× faster; ≤ {MICROSECONDS_A_MERGE:g} µs"
    if not peer:
        line.note = "LangGraph is not installed"
        return line
    line.beside = statistics.median(found[1])
    line.ratio = line.beside / line.figure
    line.met = line.ratio >= TIMES_LANGGRAPH and line.figure <= MICROSECONDS_A_MERGE
    line.note = "a merge with its digest; in a chain, with its own cycle as well"
    return line


def _wide_merge(runs: int) -> Line:
    facts = 10_000
    pack = shapes.fan_out(1)
    functions = shapes.many_facts(pack, facts)

    def ours() -> float:
        core = Core(pack)
        return shapes.seconds_of(lambda: shapes.drive(core, functions, shapes.seeds(1))) / facts * 1e6

    line = measured("one cycle of 10,000 merges", "µs a fact", in_turns(runs, ours)[0], work=ours)
    line.goal = f"≤ {MICROSECONDS_A_MERGE:g} µs"
    line.met = line.figure <= MICROSECONDS_A_MERGE
    return line


def converge_core_rows(quick: bool) -> list[Line]:
    """Whole jobs, the pack's compilation included, beside what converge-core publishes."""
    late = shapes.chain(2)  # the second agent hears of the first one's fact, over a context of 1,000 seeds
    jobs: dict[str, tuple[PackSpec, int]] = {
        "one agent": (shapes.chain(1), 1),
        "20 agents": (shapes.fan_out(20), 1),
        "1,000 seeds and one late agent": (late, 1_000),
    }
    lines: list[Line] = []
    for title, (pack, count) in jobs.items():
        functions, rows = shapes.one_fact(pack), shapes.seeds(count)

        def job(pack: PackSpec = pack, functions: Any = functions, rows: Any = rows) -> float:
            return shapes.seconds_of(lambda: shapes.drive(Core(pack), functions, rows)) * 1e3

        runs = in_turns(10 if quick else 50, job)[0]
        line = measured(title, "ms a job", runs, peer="converge-core, published p50", given=True, work=job)
        line.beside = CONVERGE_CORE_MS[title]
        line.ratio = line.beside / line.figure
        line.goal, line.met = "faster", line.figure < line.beside
        lines.append(line)
    return explained(lines)
