"""`manage.py replay`: a record merged again."""

from __future__ import annotations

from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.bundle import record_of_job
from runtime.engine import Core
from runtime.management.record_argument import (
    NOTHING_HOLDS,
    database_errors_told,
    find_job,
    is_number,
    key_troubles_told,
    leaving_told,
    read_file,
)
from runtime.verifying import RecordBroken, replay_record


class Command(BaseCommand):
    help = (
        "Merges the recorded effects and decisions of a job or a bundle again, under the recorded pack and without any "
        "outside call. Exit status: 0 the digests are reached, 1 they are not, 2 there is no such record."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("record", metavar="JOB|FILE", help="a job's number, or the path of a bundle")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["record"]
        try:
            core = self._replay(name)
        except RecordBroken as error:
            raise CommandError(
                f"The record {name} does not hold: {error}.", returncode=NOTHING_HOLDS
            ) from error
        reached = f"the digest {core.digest}" if core.cycle else "nothing, for it has no cycle yet"
        self.stdout.write(f"The record {name} holds: {core.cycle:,} cycles merged again give {reached}.")

    def _replay(self, name: str) -> Core:
        if not is_number(name):
            return replay_record(read_file(name))
        with database_errors_told(), key_troubles_told(), leaving_told(name):
            return replay_record(record_of_job(find_job(name)))
