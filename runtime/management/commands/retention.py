"""`manage.py retention`: old jobs leave the database as bundles."""

from __future__ import annotations

import datetime as dt
import getpass
import re
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from runtime.durable import make_directory
from runtime.management.record_argument import (
    NO_INPUT,
    NOTHING_HOLDS,
    database_errors_told,
    key_troubles_told,
)
from runtime.retention import SETTLED, bundle_path, old_jobs, sweep

_AGE = re.compile(r"([1-9][0-9]{0,4})([dh])")


def read_age(text: str) -> dt.timedelta:
    """`90d` or `36h`. Raises ArgumentTypeError."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no age such as 90d or 36h")
    return dt.timedelta(**{"days" if found[2] == "d" else "hours": int(found[1])})


class Command(BaseCommand):
    help = (
        "Writes each job that settled longer ago than the age given as a signed bundle, checks the bundle, then "
        "deletes the job. Jobs that run, wait for people or recover are never touched. It may be interrupted and run "
        "again. Exit status: 0 all are gone; 1 some were kept, for their record does not hold or they went on; 2 it "
        "could not begin, or not go on."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than", type=read_age, required=True, metavar="AGE", help="such as 90d or 36h"
        )
        parser.add_argument(
            "--status", default=",".join(SETTLED), metavar="A,B", help=f"only these of {', '.join(SETTLED)}"
        )
        parser.add_argument(
            "--to", type=Path, metavar="DIR", help="where bundles go (default: archive/ under CONVERGE_HOME)"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        before = timezone.now() - options["older_than"]
        statuses = [part.strip() for part in options["status"].split(",") if part.strip()]
        directory: Path = (options["to"] or settings.CONVERGE_HOME / "archive").absolute()
        with database_errors_told(), key_troubles_told():
            try:
                jobs = old_jobs(before, statuses)
                if options["dry_run"]:
                    return self._tell(jobs, directory)
                make_directory(directory)
                return self._sweep(before, statuses, directory)
            except ValueError as error:
                raise CommandError(f"--status: {error}.", returncode=NO_INPUT) from None
            except OSError as error:
                name = error.filename or directory
                raise CommandError(f"{name}: {error.strerror}. Run it again.", returncode=NO_INPUT) from None

    def _tell(self, jobs: Any, directory: Path) -> None:
        count = entries = 0
        for job in jobs.iterator(chunk_size=500):
            count, entries = count + 1, entries + job.entries
            path = bundle_path(directory, job.pk)
            self.stdout.write(
                f"job {job.pk}, {job.status} {job.settled_at:%Y-%m-%d}, {job.entries:,} entries -> {path}"
            )
        self.stdout.write(
            f"{count:,} jobs with {entries:,} entries would leave. Nothing was done: a dry run."
        )

    def _sweep(self, before: dt.datetime, statuses: list[str], directory: Path) -> None:
        left = kept = 0
        for job, why in sweep(before, statuses, directory, getpass.getuser()):
            if why:
                kept += 1
                self.stderr.write(f"Job {job.pk} is kept: {why}.")
            else:
                left += 1
                self.stdout.write(
                    f"job {job.pk}, {job.status}, {job.entries:,} entries -> {bundle_path(directory, job.pk)}"
                )
        self.stdout.write(f"{left:,} jobs left for {directory}; {kept:,} were kept.")
        if kept:
            raise CommandError("Not all could leave.", returncode=NOTHING_HOLDS)
