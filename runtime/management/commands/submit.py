"""`manage.py submit`: a job from the command line."""

from __future__ import annotations

import math
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import orjson
from django.contrib.auth.models import User
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.actions import MAX_SEED_BYTES, Refused, SeedsRefused, parse_seeds, submit_job
from runtime.actions.accounts import LOCAL, find_account, prepare_local_account
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.submitting import find_usable_pack
from runtime.agents import find_pack
from runtime.agents.seeds import Seeds
from runtime.job_report import report_job
from runtime.management.record_argument import database_errors_told
from runtime.management.waiting import NobodyListens, TookTooLong, warn_if_nobody_listens, watch_job
from runtime.models import Job, JobStatus, Pack

STOPPED_SHORT, BAD_INPUT, NOT_RUN = 1, 2, 3
SHOWN_PROBLEMS = 20


def _read_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


class Command(BaseCommand):
    help = (
        "Submits a job. Without --seeds it runs on the pack's sample. With --wait: exit status 0 if the job reached "
        "its top tier, 1 if it stopped short, 2 for input that cannot be submitted, 3 if nothing runs it (no worker "
        f"listens, the database is out, --timeout is over). Unless --as names an account, it acts as {LOCAL!r}: an "
        "operator without a password, made on first use."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("pack", metavar="PACK", help="the pack's name")
        parser.add_argument("--seeds", metavar="FILE|-", help="JSON or CSV; - reads standard input")
        parser.add_argument("--wait", action="store_true", help="show the progress until the job stops")
        parser.add_argument(
            "--timeout", metavar="SECONDS", type=_read_seconds, help="with --wait: wait no longer"
        )
        parser.add_argument(
            "--json", action="store_true", help="print the job as one JSON object on the last line"
        )
        parser.add_argument("--title", metavar="T", default="", help="what to call it")
        parser.add_argument("--as", metavar="USERNAME", dest="username", help="whose job it is")

    def handle(self, *args: Any, **options: Any) -> None:
        with database_errors_told():
            job = self._submit(options)
            self._say(f"Submitted: job {job.pk}.", options)
            if options["wait"]:
                self._wait(job, options)
            else:
                warn_if_nobody_listens(self.stderr.write)
            self._conclude(job, options)

    def _submit(self, options: dict[str, Any]) -> Job:
        try:
            user = find_account(options["username"]) if options["username"] else prepare_local_account()
            pack = find_usable_pack(options["pack"])
            seeds = read_seeds(pack, user, options["seeds"])
            return submit_job(user, pack.name, seeds, options["title"])
        except SeedsRefused as refused:
            raise CommandError(_tell_problems(refused), returncode=BAD_INPUT) from None
        except Refused as refused:
            raise CommandError(refused.message, returncode=BAD_INPUT) from None

    def _wait(self, job: Job, options: dict[str, Any]) -> None:
        aside, stream = (self.stderr, sys.stderr) if options["json"] else (self.stdout, sys.stdout)
        try:
            watch_job(job, aside.write, stream if aside.isatty() else None, options["timeout"])
        except (NobodyListens, TookTooLong) as error:
            self._conclude(job, {**options, "wait": False})
            raise CommandError(str(error), returncode=NOT_RUN) from None
        except KeyboardInterrupt:
            self._say(f"Job {job.pk} goes on without you.", options)
            sys.exit(130)

    def _conclude(self, job: Job, options: dict[str, Any]) -> None:
        job.refresh_from_db()
        report = report_job(job)
        if options["json"]:
            self.stdout.write(orjson.dumps(report).decode())
        else:
            if options["wait"]:
                self.stdout.write(f"{job.status_words}: {job.reason}")
            self.stdout.write(report["url"])
        if options["wait"] and not (job.status == JobStatus.CONVERGED and job.tier == job.top_tier):
            sys.exit(STOPPED_SHORT)

    def _say(self, line: str, options: dict[str, Any]) -> None:
        (self.stderr if options["json"] else self.stdout).write(line)


def read_seeds(pack: Pack, user: User, source: str | None) -> Seeds:
    """The seeds in a file, from standard input ("-"), or of the pack's sample (None). Raises Refused."""
    if source is None:
        code = find_pack(pack.name)
        seeds = code.sample_seeds() if code else []
        if not seeds:
            raise Refused(f"The pack {pack.name} ships no sample; give --seeds FILE.", field="seeds")
        return seeds
    text, name = _read_source(source)
    seeds, problems = parse_seeds(pack_spec_from_rows(pack, user.get_username()), text, name)
    if problems:
        raise SeedsRefused(problems)
    return seeds


def _read_source(source: str) -> tuple[bytes, str]:
    """Bytes, one more than may be parsed at most, and a name that tells JSON from CSV."""
    if source == "-":
        return sys.stdin.buffer.read(MAX_SEED_BYTES + 1), ""
    try:
        with Path(source).open("rb") as file:
            return file.read(MAX_SEED_BYTES + 1), source
    except OSError as error:
        raise Refused(f"{source} cannot be read: {error.strerror}.", field="seeds") from None


def _tell_problems(refused: SeedsRefused) -> str:
    lines = [
        f"line {p.line}: {p.message}" if p.line else p.message for p in refused.problems[:SHOWN_PROBLEMS]
    ]
    if len(refused.problems) > SHOWN_PROBLEMS:
        lines.append(f"and {len(refused.problems) - SHOWN_PROBLEMS} more")
    return "\n  ".join(["These seeds cannot be submitted; nothing was created.", *lines])
