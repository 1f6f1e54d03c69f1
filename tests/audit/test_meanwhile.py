"""What goes on while a record is looked at is no fault of it: a job runs and is signed, retention takes one out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from runtime import head_log, retention, verdict
from runtime.bundle import read_bundle, write_bundle
from runtime.heads import sign_all_settled
from runtime.management import verify_all
from runtime.management.commands import verify
from runtime.models import Entry, Head, Job, JobInput
from runtime.signing import trusted_keys
from runtime.verifying import verify_record
from tests.commands.said import call
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS
from tests.runtime.stage import run, submit, tell

pytestmark = pytest.mark.django_db(transaction=True)


def go_on(job: Job) -> None:
    """Somebody decides, a worker merges it, the scheduler signs."""
    tell(job, "retry", "otto")
    run(Job.objects.get(pk=job.pk))
    assert sign_all_settled() == 1


def test_a_head_signed_while_the_log_is_checked_is_no_fault(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_all_settled()
    real = head_log.newest_holding

    def newest_holding(trusted: frozenset[str]) -> Head | None:
        newest = real(trusted)
        monkeypatch.setattr(head_log, "newest_holding", real)
        go_on(job)
        return newest

    monkeypatch.setattr(head_log, "newest_holding", newest_holding)
    assert head_log.check_newest(trusted_keys()) is not None
    assert Head.objects.count() == 2


def test_a_job_that_went_on_since_it_was_read_is_exported_as_it_is_now(job: Job) -> None:
    sign_all_settled()
    read = Job.objects.select_related("pack", "submitter", "input").get(pk=job.pk)
    go_on(job)
    record = read_bundle("".join(write_bundle(read)).encode(), "it")
    verify_record(record)
    assert record.job["cycle"] == read.cycle + 1
    assert read.cycle == job.cycle, "whoever holds it goes on from what they read"


def test_a_record_cut_back_is_still_found_by_an_export(job: Job) -> None:
    sign_all_settled()
    read = Job.objects.select_related("pack", "submitter", "input").get(pk=job.pk)
    go_on(job)
    Job.objects.filter(pk=job.pk).update(cycle=read.cycle, entries=read.entries, digest=read.digest)
    refused = call("export", str(job.pk))
    assert refused.status == 1 and "cut back" in refused.err


@pytest.fixture
def old(use_packs: Use) -> Job:
    """A job that retention may take out, signed."""
    use_packs("echo")
    job = run(submit("echo", ECHO_SEEDS))
    sign_all_settled()
    Job.objects.filter(pk=job.pk).update(settled_at=timezone.now() - dt.timedelta(days=365))
    return Job.objects.select_related("pack", "submitter", "input").get(pk=job.pk)


def take_out(tmp_path: Path) -> None:
    call("retention", "--older-than", "90d", "--to", str(tmp_path))


def take_out_half(tmp_path: Path) -> None:
    """Killed when the deletion has begun."""
    real = retention.delete_rows
    try:
        retention.delete_rows = lambda job_id: Entry.objects.filter(job_id=job_id).delete()  # type: ignore
        take_out(tmp_path)
    finally:
        retention.delete_rows = real


@pytest.mark.parametrize("leave", [take_out, take_out_half])
@pytest.mark.parametrize("arguments", ["--all", "JOB"])
def test_a_job_that_retention_takes_out_while_it_is_verified_is_no_fault(
    old: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    leave: Callable[[Path], None],
    arguments: str,
) -> None:
    other = run(submit("echo", ECHO_SEEDS))
    for module in (verify_all, verify):
        real = module.verify_job  # type: ignore[attr-defined]

        def verify_job(job: Job, *given: Any, real: Any = real) -> Any:
            if job.pk == old.pk:
                leave(tmp_path)
            return real(job, *given)

        monkeypatch.setattr(module, "verify_job", verify_job)
    said = call("verify", arguments.replace("JOB", str(old.pk)))
    if arguments == "--all":
        assert said.status == 0, said.err
        assert "The records of all 1 jobs hold" in said.out
        assert " 1 jobs were taken out, under our signature." in said.out
    else:
        assert (said.status, said.err) == (2, f"Job {old.pk} has left: retention keeps it as a bundle.\n")
    assert Job.objects.filter(pk=other.pk).exists()


@pytest.mark.parametrize("leave", [take_out, take_out_half])
def test_a_page_and_an_export_say_that_it_has_left(
    old: Job, tmp_path: Path, leave: Callable[[Path], None]
) -> None:
    leave(tmp_path)
    assert verdict.examine(Job.objects.filter(pk=old.pk).select_related("pack").first() or old).end == "left"
    with pytest.raises(Job.DoesNotExist, match="has left"):
        "".join(write_bundle(old))
    for command in ("export", "replay", "verify"):
        assert call(command, str(old.pk)).status == 2, command


def test_whoever_only_says_that_a_job_is_leaving_is_found(old: Job) -> None:
    Entry.objects.filter(job=old, seq=2).delete()
    Job.objects.filter(pk=old.pk).update(reason=head_log.LEAVING)
    for record in ("--all", str(old.pk)):
        said = call("verify", record)
        assert said.status == 1 and "entry 2 is missing" in said.err
    JobInput.objects.filter(job=old).delete()
    for record in ("--all", str(old.pk)):
        said = call("verify", record)
        assert said.status == 1 and "a part of it is not in the database" in said.err
