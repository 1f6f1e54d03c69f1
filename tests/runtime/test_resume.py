"""A job that is taken up again after every single cycle comes to the journal of one that never was (D7.4)."""

from collections.abc import Callable, Iterable
from itertools import chain, repeat
from typing import Any

import pytest

from runtime import store
from runtime.agents import functions_for
from runtime.bundle import record_of_job
from runtime.engine import InboxRow
from runtime.lease import Fenced, claim_job
from runtime.models import Cycle, Decision, Entry, Job
from runtime.recording import Tenure
from runtime.rehearsal import Rehearsal
from runtime.verifying import replay_record, verify_job
from runtime.worker import drive, run_job
from tests.runtime import packs
from tests.runtime.fixtures import Use
from tests.runtime.stage import run, submit, tell

pytestmark = pytest.mark.django_db


def run_with_reloads(job: Job) -> Job:
    """Runs a job by runtimes that each lose it after one cycle."""
    while True:
        Job.objects.filter(pk=job.pk).update(lease_until=1.0)
        epoch = claim_job(job.pk, "one of many")
        job.refresh_from_db()
        if epoch is None:
            return job
        core = store.load_core(job)
        is_lost = chain([False], repeat(True)).__next__
        try:
            drive(job, core, Tenure(job.pk, epoch, "one of many"), functions_for(core.pack), is_lost)
        except Fenced:
            continue


SCRIPTS: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "walk": (packs.WALK_SEEDS, []),
    "choir": (packs.CHOIR_SEEDS, []),
    "echo": (
        packs.ECHO_SEEDS,
        [
            {
                "act": "add_fact",
                "key": "said",
                "subject": "dale",
                "payload": {"value": "hi", "confidence": 0.5},
            },
            {"act": "withdraw_fact", "key": "said", "subject": "dale"},
        ],
    ),
    "panel": (
        packs.PANEL_SEEDS,
        [
            {"act": "decide", "key": "verdict", "subject": "doubtful", "payload": {"value": "yes"}},
            {"act": "approve", "key": "plan", "subject": "all", "by": "ada"},
            {"act": "approve", "key": "plan", "subject": "all", "by": "ida"},
            {"act": "undo", "key": "verdict", "subject": "doubtful"},
            {"act": "decide", "key": "verdict", "subject": "doubtful", "payload": {"none": True}},
        ],
    ),
}


def play(job: Job, script: Iterable[dict[str, Any]], runner: Callable[[Job], Job]) -> Job:
    """Runs a job, and after it stopped each row of the script in turn."""
    runner(job)
    for row in script:
        given = {"by": "otto", **row}
        tell(job, given.pop("act"), given.pop("by"), **given)
        runner(job)
    return job


@pytest.mark.parametrize("name", SCRIPTS)
def test_job_taken_up_after_every_cycle_gives_the_digest_of_one_that_ran_through(
    use_packs: Use, name: str
) -> None:
    use_packs(name)
    seeds, script = SCRIPTS[name]
    job = play(submit(name, seeds), script, run_with_reloads)
    assert Cycle.objects.filter(job=job).values("epoch").distinct().count() == job.cycle

    whole = Rehearsal(store.pack_of(job), seeds)
    whole.run()
    for row in Decision.objects.filter(job=job).order_by("pk"):
        whole.tell(sent(row))
    assert whole.core.digest == job.digest
    verify_job(job)
    assert replay_record(record_of_job(job)).digest == job.digest


def sent(row: Decision) -> InboxRow:
    """The row as the engine was given it."""
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
        tuple(said["groups"]),
    )


def test_growth_taken_up_after_every_cycle_gives_the_digest_of_one_that_ran_through(use_packs: Use) -> None:
    seeds = use_packs("growth").sample_seeds()
    through, reloaded = run(submit("growth", seeds)), run_with_reloads(submit("growth", seeds))
    assert through.status == "waiting"
    assert reloaded.digest == through.digest


def test_record_that_does_not_merge_again_ends_the_job_and_is_not_added_to(use_packs: Use) -> None:
    use_packs("panel")
    job = run(submit("panel", packs.PANEL_SEEDS))
    forged = Entry.objects.get(job=job, agent="lenient", subject="clear")
    Entry.objects.filter(pk=forged.pk).update(body=forged.body.replace("yes", "no"))
    row = tell(job, "decide", "otto", key="verdict", subject="doubtful", payload={"value": "yes"})
    before = Entry.objects.filter(job=job).count()
    assert run_job(job.pk) == "failed"
    job.refresh_from_db()
    row.refresh_from_db()
    assert "The journal does not hold" in job.reason
    assert Entry.objects.filter(job=job).count() == before
    assert (row.status, row.applied_cycle) == ("refused", None)
