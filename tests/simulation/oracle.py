"""What must hold once all is at rest: the journal, everything kept beside it, and what people were told."""

from __future__ import annotations

from runtime import store
from runtime.agents import run_all
from runtime.agents.functions import Function
from runtime.bundle import record_of_job
from runtime.engine import Core, Effect, InboxRow, Run, Seed
from runtime.models import Cycle, Decision, Job, ToolCall
from runtime.tools.record import CallName, idempotency_key
from runtime.verifying import RecordBroken, replay_record, verify_job
from runtime.worker import MAX_FRUITLESS_CLAIMS
from tests.simulation.desk import check_desk, check_forms
from tests.simulation.packs import ASKING, PACKS, effect_on_record
from tests.simulation.violation import Violation
from tests.simulation.world import World


def check(world: World, replays: bool = True) -> None:
    """Everything, after `World.heal`; the replay only if asked for. Raises Violation."""
    for job in Job.objects.select_related("pack", "input").order_by("id"):
        _check_record(job, replays)
        _check_undisturbed(job)
        _check_stop(job)
        _check_calls(world, job)
    check_forms(world)
    check_desk()
    for page in world.browsers:
        if page.rows != list(range(page.first, page.last + 1)):
            raise Violation(8, f"a page of job {page.job_id} shows {page.rows}")


def _check_record(job: Job, replays: bool) -> None:
    """1, 2, 3, 6, 11: the production code's own judgement of the record."""
    try:
        verify_job(job)
        if replays:
            replay_record(record_of_job(job))
    except RecordBroken as broken:
        raise Violation(11, f"job {job.pk}: {broken}") from broken


def _check_undisturbed(job: Job) -> None:
    """6: the same seeds, answers and inbox rows, run through the engine without any of this, give the same digests."""
    functions = PACKS[job.pack.name].functions
    core = Core(store.pack_of(job), job.engine_version)
    digests = dict(Cycle.objects.filter(job=job).values_list("number", "digest"))
    applied = list(Decision.objects.filter(job=job, applied_cycle__isnull=False).order_by("id"))
    for number in range(1, job.cycle + 1):
        rows: list[Seed | InboxRow] = list(store.seeds_of(job)) if number == 1 else []
        rows += [_inbox_row(row) for row in applied if row.applied_cycle == number]
        runs = core.begin(rows)
        commit = core.finish(_effects(job, number, runs, functions))
        if commit.digest != digests[number]:
            raise Violation(6, f"job {job.pk}: cycle {number} of an undisturbed run has another digest")
    if job.cycle and (core.stop is None or (job.status != "failed" and core.stop.reason != job.status)):
        raise Violation(6, f"job {job.pk} is {job.status}; an undisturbed run: {core.stop}")


def _effects(job: Job, cycle: int, runs: list[Run], functions: dict[str, Function]) -> list[Effect]:
    asking = [run for run in runs if run.agent.name in ASKING]
    rows = list(ToolCall.objects.filter(job=job, cycle=cycle)) if asking else []
    plain = run_all([run for run in runs if run.agent.name not in ASKING], functions)
    return [*plain, *(effect_on_record(run, rows) for run in asking)]


def _inbox_row(row: Decision) -> InboxRow:
    said = row.payload
    return InboxRow(
        row.pk,
        row.act,
        row.by_name,
        row.key,
        row.subject,
        said.get("value"),
        bool(said.get("none")),
        said.get("confidence", 1.0),
        row.version,
        row.reason,
        tuple(said.get("groups", ())),
        said.get("on", ""),
    )


def _check_stop(job: Job) -> None:
    """7, 10: why it rests."""
    if job.status == "failed" and job.epoch <= MAX_FRUITLESS_CLAIMS:
        raise Violation(0, f"job {job.pk} failed: {job.reason}")
    if job.status == "waiting" and not job.conflicts_open + job.holds_open:
        raise Violation(7, f"job {job.pk} waits for nobody")
    if job.status == "converged" and (job.conflicts_open or job.holds_open or job.tier != job.top_tier):
        raise Violation(7, f"job {job.pk} claims to have converged")


def _check_calls(world: World, job: Job) -> None:
    """D5.5: a request is noted before it is sent, and none is sent once its call was answered and recorded."""
    oracle = world.bench.oracle
    for row in ToolCall.objects.filter(job=job):
        key = idempotency_key(job.pk, CallName(row.cycle, row.agent, row.item, row.number, row.digest))
        if oracle.sent[key] > row.attempts:
            raise Violation(4, f"call {key} was sent {oracle.sent[key]} times and noted {row.attempts} times")
    if not world.kills and not world.lost_database and not world.observer.takeovers:
        twice = [key for key, times in oracle.answered.items() if times > 1]
        if twice:
            raise Violation(5, f"{twice} were answered twice, and nobody had lost its job")
