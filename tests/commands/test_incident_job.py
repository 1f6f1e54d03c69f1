"""A job of the pack `incident` from its sample to an answer: database, worker, verify, replay and the bundle."""

from pathlib import Path

import pytest

from runtime.models import Conflict, Entry, Job
from tests.commands.said import call
from tests.runtime.fixtures import Use
from tests.runtime.stage import run, submit, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    """The sample, run until it waits for people."""
    return run(submit("incident", use_packs("incident").sample_seeds()))


def settle(job: Job) -> Job:
    """Every open question answered: what is contested is normal, what is critical is signed by another person."""
    while job.status == "waiting":
        for question in Conflict.objects.filter(job=job, status="open"):
            act, payload = ("decide", {"value": "normal"}) if question.kind == "conflict" else ("approve", {})
            tell(job, act, "ada", key=question.key, subject=question.subject, payload=payload)
        job = run(job)
    return job


def test_sample_waits_for_verdicts_and_for_signatures(job: Job) -> None:
    open_ones = Conflict.objects.filter(job=job, status="open")
    assert job.status == "waiting"
    assert sorted({(question.kind, question.key) for question in open_ones}) == [
        ("conflict", "verdict"),
        ("hold", "severity"),
    ]


def test_people_settle_it_and_the_record_holds(job: Job, tmp_path: Path) -> None:
    job = settle(job)
    assert (job.status, job.tier) == ("converged", 3)
    assert set(Entry.objects.filter(job=job, key="status").values_list("subject", flat=True)) == {
        "elb_request_count_8c0756",
        "rds_cpu_utilization_cc0c53",
        "rds_cpu_utilization_e47b3b",
    }
    bundle = tmp_path / "job.json"
    bundle.write_text(call("export", str(job.pk)).out)
    for name in ("verify", "replay"):
        for record in (str(job.pk), str(bundle)):
            said = call(name, record)
            assert (said.status, said.err) == (0, ""), (name, record)


def test_points_come_in_as_csv(use_packs: Use, tmp_path: Path) -> None:
    folder = use_packs("incident").samples_folder
    assert folder is not None
    said = call("submit", "incident", seeds=str(folder / "latency.csv"))
    assert said.status == 0, said.err
    job = run(Job.objects.get())
    assert Entry.objects.filter(job=job, key="candidate", kind="accepted").count() == 4
