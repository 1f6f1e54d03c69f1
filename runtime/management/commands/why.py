"""`manage.py why`: why a slot shows what it shows and why nothing else, or why a tier is not reached; as text."""

from __future__ import annotations

from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.lineage import DEEPEST, DEPTH, explain_slot, explain_tier, text_of, text_of_tier
from runtime.management.record_argument import NO_INPUT, database_errors_told, find_job, reader_may_leave
from runtime.models import Job


class Command(BaseCommand):
    help = (
        "Says why a fact stands, down to seeds, people and decisions, and why nothing else does; with --tier, "
        "everything that the tier lacks. Exit status 2 if there is no such job, slot or tier."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="JOB", help="the job's number")
        parser.add_argument("key", metavar="KEY", nargs="?", default="", help="what kind of thing is said")
        parser.add_argument("subject", metavar="SUBJECT", nargs="?", default="", help="about whom")
        parser.add_argument("--tier", metavar="K", type=int, help="a tier's number, instead of a slot")
        parser.add_argument("--at", metavar="SEQ", type=int, help="as it was after this entry")
        parser.add_argument(
            "--depth", metavar="N", type=int, default=DEPTH, help=f"levels, up to {DEEPEST} (default {DEPTH})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with database_errors_told(), reader_may_leave():
            job = find_job(options["job"])
            said = _tier(job, options["tier"]) if options["tier"] is not None else _slot(job, options)
            self.stdout.write(said, ending="")


def _slot(job: Job, options: dict[str, Any]) -> str:
    key, subject = options["key"], options["subject"]
    if not key or not subject:
        raise CommandError("Name a slot, KEY SUBJECT, or a tier, --tier K.", returncode=NO_INPUT)
    lineage = explain_slot(job, key, subject, options["at"], options["depth"])
    if lineage is None:
        raise CommandError(
            f"Job {job.pk}: nothing was ever said about {key} / {subject}.", returncode=NO_INPUT
        )
    return text_of(job, lineage)


def _tier(job: Job, tier: int) -> str:
    why = explain_tier(job, tier)
    if why is None:
        raise CommandError(f"Job {job.pk} has {job.top_tier} tiers, and no tier {tier}.", returncode=NO_INPUT)
    return text_of_tier(job, why)
