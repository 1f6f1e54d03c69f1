"""Old jobs leave the database: each is written out as a signed bundle, read back and checked, and only then deleted.

Deleting is begun under our signature in the log of heads, in one transaction with the job's end: from then on nobody
can ask it anything. Its rows go in portions after that, so that a job of a million entries does not hold up who writes.
Killed at any moment, the next run goes on: a bundle that is there already is checked and used, a deletion that was
begun is finished.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from runtime.actions.audit import record_act
from runtime.bundle import BundleError, read_bundle, write_bundle
from runtime.durable import sync_directory, sync_file
from runtime.head_log import LEAVING
from runtime.heads import sign_removal
from runtime.models import Decision, Job, JobInput, JobStatus
from runtime.models.job import ACTIVE
from runtime.record import RecordBroken
from runtime.signing import trusted_keys
from runtime.verifying import verify_record

# Those at which nobody and nothing works any more, and for which nobody is asked.
SETTLED: Final = tuple(
    status for status in JobStatus.values if status not in (*ACTIVE, JobStatus.WAITING, JobStatus.RECOVERING)
)
ROWS_AT_ONCE = 5_000  # a transaction: some 50 ms in which SQLite has no other writer
JOBS_AT_ONCE = 200


class Kept(Exception):
    """A job is left where it is; the message says why, without a full stop."""


@dataclass
class Swept:
    """What a run did: ids of the jobs that left, the bytes written for them, and why others were left alone."""

    left: list[int] = field(default_factory=list)
    finished: int = 0  # whose deletion an earlier run had begun
    bytes: int = 0
    kept: list[str] = field(default_factory=list)


def old_jobs(before: dt.datetime, statuses: Sequence[str] = SETTLED) -> QuerySet[Job]:
    """Jobs that settled before then, in one of `statuses`, and of which nobody has asked anything since; oldest first.

    Raises ValueError for a status in which a job may still go on.
    """
    if odd := sorted(set(statuses) - set(SETTLED)):
        raise ValueError(f"{odd[0]!r} is none of {', '.join(SETTLED)}: other jobs may still go on")
    mail = Decision.objects.filter(job_id=OuterRef("pk"), status="pending")
    jobs = Job.objects.filter(status__in=statuses, settled_at__lt=before, lease_until=None)
    return (
        jobs.filter(~Exists(mail))
        .exclude(reason=LEAVING)
        .select_related("pack", "submitter", "input")
        .order_by("pk")
    )


def bundle_path(directory: Path, job_id: int) -> Path:
    """Where a job's bundle goes."""
    return directory / f"job-{job_id}.json"


def sweep(
    before: dt.datetime, statuses: Sequence[str], directory: Path, who: str = ""
) -> Iterator[tuple[Job, str]]:
    """Archives and deletes, job by job; gives each with why it was kept, or "". Raises KeyTrouble, OSError.

    What it does is put on record before and after.
    """
    jobs = old_jobs(before, statuses)
    about: dict[str, Any] = {
        "settled_before": before.isoformat(),
        "statuses": sorted(statuses),
        "to": str(directory),
        "by": who,
    }
    record_act(None, "retention", "jobs", jobs=jobs.count(), **about)
    swept = Swept()
    for job_id in Job.objects.filter(reason=LEAVING).values_list("pk", flat=True):
        delete_rows(job_id)
        swept.finished += 1
    for job in _portions(jobs):
        try:
            swept.bytes += archive_job(job, directory)
            begin_leaving(job, before, statuses)
        except (Kept, RecordBroken, BundleError) as error:
            swept.kept.append(f"job {job.pk}: {error}")
            yield job, str(error)
            continue
        delete_rows(job.pk)
        swept.left.append(job.pk)
        yield job, ""
    counts: dict[str, Any] = {"deleted": len(swept.left), "finished": swept.finished, "bytes": swept.bytes}
    record_act(None, "retention_done", "jobs", **about, **counts, kept=swept.kept[:100])


def _portions(jobs: QuerySet[Job]) -> Iterator[Job]:
    """Read in portions: one long query would hold a snapshot of the database, and its log would grow meanwhile."""
    after = 0
    while portion := list(jobs.filter(pk__gt=after)[:JOBS_AT_ONCE]):
        yield from portion
        after = portion[-1].pk


def archive_job(job: Job, directory: Path) -> int:
    """Sees to it that a checked bundle of the job is in `directory`; gives its bytes.

    Raises RecordBroken where the record does not hold, Kept where another's bundle has its name.
    """
    path = bundle_path(directory, job.pk)
    if path.exists():
        _check_bundle(path, job, f"{path} is of another record; move it away")
        sync_file(
            path
        )  # a run that was cut off may have left it before it was safe, or somebody copied it there
        return path.stat().st_size
    descriptor, draft = tempfile.mkstemp(dir=directory, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(write_bundle(job))
            file.flush()
            os.fsync(descriptor)
        _check_bundle(Path(draft), job, "it went on while it was archived")
        os.link(draft, path)  # never in the place of a file that came there meanwhile
    except Job.DoesNotExist:
        raise Kept("it left meanwhile, by another run") from None
    except FileExistsError:
        raise Kept(f"{path} was made by another meanwhile") from None
    finally:
        os.unlink(draft)
    sync_directory(directory)
    return path.stat().st_size


def _check_bundle(path: Path, job: Job, if_other: str) -> None:
    """Reads it as a stranger would, and compares its head with the job: Kept says `if_other` where they differ.

    Raises Kept, RecordBroken, BundleError.
    """
    record = read_bundle(path.read_bytes(), str(path))
    if record.seal is None or record.seal.key not in trusted_keys():
        raise Kept(f"{path} is not signed by a key that is trusted here")
    found = (record.job["id"], record.job["cycle"], record.job["entries"], record.job["digest"])
    if found != (job.pk, job.cycle, job.entries, job.digest):
        raise Kept(if_other)
    verify_record(record)


def begin_leaving(job: Job, before: dt.datetime, statuses: Sequence[str]) -> None:
    """Ends the job for everybody, under our signature, if it is still as it was archived. Raises Kept, RecordBroken."""
    with transaction.atomic():
        same = Job.objects.filter(
            pk=job.pk, epoch=job.epoch, cycle=job.cycle, digest=job.digest, status=job.status
        )
        # The update comes first: it locks the row, and whoever brings a decision meanwhile finds the job ended.
        ended = same.update(status=JobStatus.CANCELLED, reason=LEAVING, updated_at=timezone.now())
        asked = Decision.objects.filter(job_id=job.pk, status="pending").exists()
        if not ended or asked:
            transaction.set_rollback(True)
            raise Kept("it went on while it was archived")
        if job.cycle:  # of one that never began there is nothing to vouch for
            sign_removal(job)


def delete_rows(job_id: int) -> None:
    """Deletes a job that is leaving, and all that hangs on it, a portion a transaction."""
    for model, column in _hanging_on():
        while _delete_portion(model, column, job_id):
            pass
    with transaction.atomic():
        Job.objects.filter(pk=job_id, reason=LEAVING).delete()


def _hanging_on() -> list[tuple[Any, str]]:
    """Models whose rows go with their job; the inbox first, for its rows point at conflicts, and what the job was given
    last, for its page reads that."""
    found = [(of.related_model, of.field.name) for of in Job._meta.related_objects]
    return sorted(found, key=lambda pair: (pair[0] is not Decision, pair[0] is JobInput, pair[0].__name__))


def _delete_portion(model: Any, column: str, job_id: int) -> bool:
    rows = model.objects.filter(**{f"{column}_id": job_id}).order_by("pk").values("pk")[:ROWS_AT_ONCE]
    with transaction.atomic():
        deleted, _ = model.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).delete()
    return bool(deleted)
