"""Old jobs leave the database as bundles that hold; the others are never touched; a cut-off run is finished."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from runtime import retention
from runtime.actions.inbox import add_row
from runtime.bundle import read_bundle, write_bundle
from runtime.head_log import LEAVING
from runtime.heads import sign_all_settled
from runtime.lease import claim_job, due_jobs
from runtime.models import (
    Answer,
    AuditRecord,
    Conflict,
    Cycle,
    Decision,
    Entry,
    Head,
    Job,
    JobInput,
    ToolCall,
)
from runtime.verifying import replay_record, verify_record
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, PANEL_SEEDS
from tests.runtime.stage import person, receipt, run, submit

pytestmark = pytest.mark.django_db(transaction=True)
HANGING = (Answer, Conflict, Cycle, Decision, Entry, JobInput, ToolCall)


@pytest.fixture
def old(use_packs: Use) -> Callable[..., Job]:
    """Makes a job that has stopped a year ago."""
    use_packs("echo", "panel")

    def make(pack: str = "echo", **fields: Any) -> Job:
        job = run(submit(pack, PANEL_SEEDS if pack == "panel" else ECHO_SEEDS))
        Job.objects.filter(pk=job.pk).update(settled_at=timezone.now() - dt.timedelta(days=365), **fields)
        job.refresh_from_db()
        return job

    return make


def retain(directory: Path, **more: Any) -> str:
    """What `retention --older-than 90d` said."""
    said = StringIO()
    options = {"to": directory, "stdout": said, "stderr": said, **more}
    call_command("retention", "--older-than", "90d", **options)
    return said.getvalue()


def verified() -> str:
    said = StringIO()
    call_command("verify", all=True, stdout=said)
    return said.getvalue()


def test_old_job_leaves_as_a_bundle_and_all_that_hung_on_it_goes(
    old: Callable[..., Job], tmp_path: Path
) -> None:
    job, other = old(), run(submit("echo", ECHO_SEEDS))
    add_row(person("otto", "operator"), job, "cancel", receipt())
    Decision.objects.filter(job=job).update(status="refused")
    sign_all_settled()
    assert f"job {job.pk}, converged" in retain(tmp_path)
    for model in HANGING:
        assert not model.objects.filter(job_id=job.pk).exists(), model
    assert list(Job.objects.values_list("pk", flat=True)) == [other.pk]
    record = read_bundle(retention.bundle_path(tmp_path, job.pk).read_bytes(), "it")
    verify_record(record)
    assert replay_record(record).digest == job.digest
    assert "1 jobs were taken out, under our signature" in verified()
    begun, done = AuditRecord.objects.filter(act__startswith="retention").order_by("id")
    assert (begun.detail["jobs"], done.detail["deleted"], done.detail["kept"]) == (1, 1, [])
    assert "0 jobs left" in retain(tmp_path)


def test_jobs_that_may_go_on_are_never_touched(old: Callable[..., Job], tmp_path: Path) -> None:
    waiting = old("panel")
    assert waiting.status == "waiting"
    kept = [waiting] + [old(status=status) for status in ("queued", "running", "recovering")]
    asked = old()
    add_row(person("otto", "operator"), asked, "retry", receipt())
    held = old(lease_until=9e12)
    young = run(submit("echo", ECHO_SEEDS))
    assert "0 jobs left" in retain(tmp_path)
    assert set(Job.objects.values_list("pk", flat=True)) == {j.pk for j in (*kept, asked, held, young)}
    for status in ("waiting", "running", "converged,recovering", "nonsense"):
        with pytest.raises(CommandError, match="other jobs may still go on"):
            retain(tmp_path, status=status)


def test_dry_run_says_what_it_would_do_and_does_nothing(old: Callable[..., Job], tmp_path: Path) -> None:
    job, failed = old(), old(status="failed")
    before = AuditRecord.objects.count(), Head.objects.count()
    said = retain(tmp_path / "archive", dry_run=True)
    assert f"job {job.pk}, converged" in said
    assert str(tmp_path / "archive" / f"job-{job.pk}.json") in said
    assert "2 jobs with" in said
    assert f"job {failed.pk}" not in retain(tmp_path / "archive", dry_run=True, status="converged")
    assert not (tmp_path / "archive").exists()
    assert (AuditRecord.objects.count(), Head.objects.count(), Job.objects.count()) == (*before, 2)


def test_record_that_does_not_hold_is_kept(old: Callable[..., Job], tmp_path: Path) -> None:
    job, sound = old(), old()
    entry = Entry.objects.filter(job=job).first()
    assert entry is not None
    Entry.objects.filter(pk=entry.pk).update(body=entry.body.replace("hill", "hull"))
    with pytest.raises(CommandError, match="Not all could leave"):
        retain(tmp_path)
    assert list(Job.objects.values_list("pk", flat=True)) == [job.pk]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [f"job-{sound.pk}.json"]
    assert AuditRecord.objects.get(act="retention_done").detail["kept"]


def test_bundle_of_another_record_is_not_taken_for_its_own(old: Callable[..., Job], tmp_path: Path) -> None:
    job, other = old(), old()
    retention.archive_job(other, tmp_path)
    retention.bundle_path(tmp_path, other.pk).rename(retention.bundle_path(tmp_path, job.pk))
    with pytest.raises(CommandError, match="Not all could leave"):
        retain(tmp_path)
    assert list(Job.objects.values_list("pk", flat=True)) == [job.pk]


def test_job_that_goes_on_while_it_is_archived_is_kept(
    old: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = old()
    real = retention.archive_job

    def archive(of: Job, directory: Path) -> int:
        size = real(of, directory)
        add_row(person("otto", "operator"), of, "retry", receipt())
        return size

    monkeypatch.setattr(retention, "archive_job", archive)
    with pytest.raises(CommandError, match="Not all could leave"):
        retain(tmp_path)
    job.refresh_from_db()
    assert job.status == "converged"
    assert due_jobs() == [job.pk]
    assert Entry.objects.filter(job=job).count() == job.entries


class Cut(Exception):
    """The run is killed here."""


@pytest.mark.parametrize("moment", range(1, 14))
def test_run_that_is_cut_off_is_finished_by_the_next(
    old: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    job, other = old(), old()
    sign_all_settled()
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    left = moment

    def cut_before(name: str) -> None:
        real = getattr(retention, name)

        def stumble(*given: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Cut
            return real(*given)

        monkeypatch.setattr(retention, name, stumble)

    for name in (
        "archive_job",
        "_check_bundle",
        "begin_leaving",
        "sign_removal",
        "delete_rows",
        "_delete_portion",
    ):
        cut_before(name)
    with pytest.raises(Cut):
        retain(tmp_path)
    for one in Job.objects.filter(reason=LEAVING):
        assert claim_job(one.pk, "somebody") is None
        assert retention.bundle_path(tmp_path, one.pk).exists()
    assert "jobs hold" in verified()
    left = -1
    retain(tmp_path)
    assert Job.objects.count() == 0
    assert not any(model.objects.exists() for model in HANGING)
    for one in (job, other):
        verify_record(read_bundle(retention.bundle_path(tmp_path, one.pk).read_bytes(), "it"))
    assert {path.name for path in tmp_path.glob("*.json")} == {f"job-{one.pk}.json" for one in (job, other)}
    assert "2 jobs were taken out, under our signature" in verified()


@pytest.mark.parametrize("age", ["90", "0d", "-3d", "90 days", "1e3d", "d"])
def test_age_that_is_none_is_refused(age: str) -> None:
    with pytest.raises(CommandError, match="is no age such as 90d or 36h"):
        call_command("retention", f"--older-than={age}")


def synced_places(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files and directories that are made safe on the disk from now on, in order."""
    real, found = os.fsync, []

    def fsync(descriptor: int) -> None:
        found.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_bundle_that_is_there_already_is_made_safe_before_its_job_goes(
    old: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever put it there, a run that was cut off or a person, may not have."""
    job = old()
    sign_all_settled()
    path = retention.bundle_path(tmp_path, job.pk)
    path.write_text("".join(write_bundle(job)), encoding="utf-8")
    synced = synced_places(monkeypatch)
    real = retention.begin_leaving

    def begin(*given: Any) -> None:
        assert path in synced and tmp_path in synced[synced.index(path) :]
        real(*given)

    monkeypatch.setattr(retention, "begin_leaving", begin)
    assert "1 jobs left" in retain(tmp_path)


def test_new_archive_is_safe_in_the_directory_above(
    old: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old()
    synced = synced_places(monkeypatch)
    assert "1 jobs left" in retain(tmp_path / "deep" / "archive")
    assert {tmp_path, tmp_path / "deep", tmp_path / "deep" / "archive"} <= set(synced)
