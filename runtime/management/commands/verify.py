"""`manage.py verify`: whether a record holds."""

from __future__ import annotations

from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.fold import Fold
from runtime.management.record_argument import (
    NOTHING_HOLDS,
    database_errors_told,
    find_job,
    is_number,
    read_file,
)
from runtime.verifying import RecordBroken, verify_job, verify_record


class Command(BaseCommand):
    help = (
        "Recomputes the chain of digests of a job or a bundle, and compares numbers, epochs and summary with it; for "
        "a job also everything else its database keeps. Exit status: 0 it holds, 1 it does not, 2 there is none."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("record", metavar="JOB|FILE", help="a job's number, or the path of a bundle")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["record"]
        try:
            fold = self._verify(name)
        except RecordBroken as error:
            raise CommandError(
                f"The record {name} does not hold: {error}.", returncode=NOTHING_HOLDS
            ) from error
        self.stdout.write(f"The record {name} holds: {fold.cycle:,} cycles, {fold.entries:,} entries.")

    def _verify(self, name: str) -> Fold:
        if not is_number(name):
            return verify_record(read_file(name))
        with database_errors_told():
            return verify_job(find_job(name))
