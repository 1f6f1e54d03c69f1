"""A backtest over recorded jobs of a shipped pack: every job merged again, slice by slice through the queue."""

from __future__ import annotations

from typing import Any

from tests.bench.house import make_submitter, open_house
from tests.bench.measure import explained, settle_collector
from tests.bench.result import Line, measured
from tests.bench.shapes import seconds_of

JOBS = 500
SECONDS = 60
PACKS = ("claims", "incident")
DRAFT = {"name": "the surer side", "kind": "confidence", "keys": ("verdict",), "priority": 1}


def backtest_rows(quick: bool) -> list[Line]:
    """For each pack, a draft about what its agents disagree about, tried on copies of its recorded sample."""
    with open_house():
        submitter = make_submitter()
        settle_collector()
        return explained([_row(name, JOBS // 10 if quick else JOBS, submitter) for name in PACKS])


def _row(name: str, jobs: int, submitter: Any) -> Line:
    from runtime import queue
    from runtime.actions.backtests import start_backtest
    from runtime.actions.rules import draft_rule
    from runtime.models import Backtest, Pack

    entries = _record(name, jobs, submitter)
    draft = draft_rule(submitter, Pack.objects.get(name=name).pk, {**DRAFT, "params": {"margin": 0.02}})
    backtest = start_backtest(submitter, draft.pk, jobs)
    took = seconds_of(lambda: queue.work(burst=True))
    done = Backtest.objects.get(pk=backtest.pk)
    assert (done.status, done.jobs_done, done.skipped) == ("done", jobs, 0), (done.status, done.reasons)
    line = measured(f"backtest over {jobs} jobs of {name}, {entries:,} entries each", "s", [took])
    if jobs == JOBS:
        line.goal, line.met = f"≤ {SECONDS} s", took <= SECONDS
    line.note = f"{done.flips:,} differences; {done.seconds / jobs * 1e3:.0f} ms a job"
    return line


def _record(name: str, jobs: int, submitter: Any) -> int:
    """The sample of a pack, run once and copied; gives its entries."""
    from runtime.actions import submit_job
    from runtime.agents import find_pack
    from runtime.models import Job
    from runtime.worker import run_job
    from tests.runtime.copied_jobs import copy_job

    pack = find_pack(name)
    assert pack is not None
    job = submit_job(submitter, name, pack.sample_seeds())
    run_job(job.pk)
    copy_job(job, jobs - 1)
    return Job.objects.get(pk=job.pk).entries
