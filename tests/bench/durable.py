"""The engine with its journal: every cycle a transaction on SQLite with `synchronous=FULL`, live events on."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from runtime.engine import Core, PackSpec
from tests.bench import shapes
from tests.bench.house import fdatasync_ms, open_house
from tests.bench.measure import explained, in_turns, settle_collector
from tests.bench.result import Line, measured

STEPS = 200
TIMES_LANGGRAPH = 2
FACTS = 100_000
FACTS_A_CYCLE = 10_000
SHARE_OF_RAW = 0.30

_INSERT = (
    "INSERT INTO runtime_entry (job_id, seq, cycle, kind, agent, item, key, subject, now, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def chain_rows(quick: bool) -> list[Line]:
    """A chain of durable cycles beside LangGraph with its SQLite saver on a file in the same folder."""
    with open_house() as home, ExitStack() as stack:
        from runtime import events

        pack = shapes.chain(STEPS)
        functions = shapes.one_fact(pack)

        def ours() -> float:
            return ready_job(pack, functions, STEPS)() / STEPS * 1e3

        def disc() -> float:
            return statistics.median(fdatasync_ms(home, 20))

        bare, found, *theirs = in_turns(3 if quick else 15, disc, ours, *_langgraph(home, stack))
        assert events._publisher.flush(5)
        assert events.counts.published and not events.counts.failed
        line = measured(
            f"chain of {STEPS} durable cycles", "ms a step", found, work=ready_job(pack, functions, STEPS)
        )
        line.peer, line.goal = "LangGraph, SQLite saver", f"≥ {TIMES_LANGGRAPH}× faster"
        line.note = "LangGraph is not installed"
        if theirs:
            sync, default = (statistics.median(runs) for runs in theirs)
            line.beside = min(sync, default)
            line.ratio = line.beside / line.figure
            line.met = line.ratio >= TIMES_LANGGRAPH
            line.note = (
                f"its `sync` mode {sync:.2f} ms, `async` (its default) {default:.2f} ms; the faster counts"
            )
        context = measured("fdatasync of 4 KB in the same folder", "ms", bare)
        context.note = "for context: no durable step can cost less"
        return explained([line, context])


def _langgraph(home: Path, stack: ExitStack) -> list[Callable[[], float]]:
    try:
        from langgraph.checkpoint.sqlite import SqliteSaver

        from tests.bench import langgraph_peer as peer
    except ImportError:
        return []
    saver = stack.enter_context(SqliteSaver.from_conn_string(str(home / "langgraph.sqlite3")))
    graph = peer.chain(STEPS, checkpointer=saver)
    threads = itertools.count()

    def theirs(durability: str) -> float:
        thread = str(next(threads))
        run = shapes.seconds_of(lambda: peer.run(graph, STEPS, thread, durability=durability))
        (level,) = saver.conn.execute("PRAGMA synchronous").fetchone()
        assert level == 2, "its connection is not at synchronous=FULL"
        return run / STEPS * 1e3

    return [lambda: theirs("sync"), lambda: theirs("async")]


def wide_rows(quick: bool) -> list[Line]:
    """Many facts merged and journalled in wide cycles beside a raw `executemany` of the same rows."""
    with open_house():
        facts = FACTS // 10 if quick else FACTS
        each = FACTS_A_CYCLE // 10 if quick else FACTS_A_CYCLE
        pack = shapes.chain(facts // each)
        functions = shapes.many_facts(pack, each)
        seconds: dict[str, list[float]] = {"ours": [], "raw": []}

        settle_collector()
        for turn in range(1 + (2 if quick else 5)):  # the first is not counted
            took = ready_job(pack, functions, facts)()
            raw = _insert_raw(pack)
            if turn:
                seconds["ours"].append(took)
                seconds["raw"].append(raw)
        a_second = {name: [facts / s for s in runs] for name, runs in seconds.items()}
        title = f"{facts:,} facts in cycles of {each:,}, merged and journalled"
        line = measured(
            title,
            "facts a second",
            a_second["ours"],
            peer="raw executemany, equal rows",
            work=ready_job(pack, functions, facts),
        )
        line.beside = statistics.median(a_second["raw"])
        line.ratio = line.figure / line.beside
        line.goal, line.met = f"≥ {SHARE_OF_RAW:.0%} of raw", line.ratio >= SHARE_OF_RAW
        return explained([line])


def ready_job(pack: PackSpec, functions: Mapping[str, shapes.Saying], facts: int) -> Callable[[], float]:
    """A new job, claimed. Calling what this gives runs it through the worker's own loop to its fixed point, where
    `facts` facts must have been added, and gives the seconds that took."""
    from runtime.agents.functions import Function
    from runtime.lease import claim_job, kept_lease
    from runtime.models import Entry
    from runtime.recording import Tenure
    from runtime.worker import drive

    job = new_job(pack)
    epoch = claim_job(job.pk, "bench")
    assert epoch is not None
    job.refresh_from_db()
    calls = {name: Function(call) for name, call in functions.items()}
    core, tenure = Core(pack), Tenure(job.pk, epoch, "bench")

    def run() -> float:
        with kept_lease(job.pk, tenure.epoch) as lost:
            seconds = shapes.seconds_of(lambda: drive(job, core, tenure, calls, lost.is_set))
        job.refresh_from_db()
        assert job.status == "converged" and job.facts == facts + 1, (job.status, job.facts)
        assert Entry.objects.filter(job=job).count() == job.entries
        return seconds

    return run


def new_job(pack: PackSpec) -> Any:
    """A job with one seed under a pack that is in no row: it is frozen in the job, as always."""
    import orjson

    from runtime.models import Job, JobInput, Pack

    row, _ = Pack.objects.get_or_create(name=pack.name)
    seeds = [{"key": "k0", "subject": "x", "value": shapes.VALUE}]
    job = Job.objects.create(pack=row)
    spec = orjson.dumps(pack.to_json()).decode()
    JobInput.objects.create(job=job, spec=spec, seeds=orjson.dumps(seeds).decode())
    return job


def _insert_raw(pack: PackSpec) -> float:
    """The rows of the job that ran last, under another job's id: same table, same indexes, same transactions."""
    from django.db import connection

    from runtime.models import Entry, Job

    source, target = Job.objects.latest("id"), new_job(pack)
    columns = ("seq", "cycle", "kind", "agent", "item", "key", "subject", "now", "body")
    cycles: dict[int, list[tuple[Any, ...]]] = {}
    for row in Entry.objects.filter(job=source).order_by("seq").values_list(*columns):
        cycles.setdefault(row[1], []).append((target.pk, *row))
    raw = connection.connection

    def insert() -> None:
        for rows in cycles.values():
            raw.execute("BEGIN IMMEDIATE")
            raw.executemany(_INSERT, rows)
            raw.execute("COMMIT")

    return shapes.seconds_of(insert)
