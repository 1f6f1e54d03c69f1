"""`manage.py heads`: a line to keep elsewhere, against which the whole installation can be verified."""

from __future__ import annotations

from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.head_log import HeadsBroken
from runtime.heads import sign_all_settled
from runtime.management.record_argument import (
    NOTHING_HOLDS,
    database_errors_told,
    key_troubles_told,
    reader_may_leave,
)
from runtime.models import Head


class Command(BaseCommand):
    help = (
        "Signs the heads of jobs that have settled since, and prints the newest head as a line of JSON. Keep it where "
        "nobody who can write this database can write: `verify --all --heads FILE` finds what was changed since."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="every head, oldest first, a line each")

    def handle(self, *args: Any, **options: Any) -> None:
        with database_errors_told(), key_troubles_told(), reader_may_leave():
            try:
                sign_all_settled()
            except HeadsBroken as error:
                raise CommandError(
                    f"The log of heads does not hold: {error}.", returncode=NOTHING_HOLDS
                ) from error
            heads = (
                Head.objects.order_by("number") if options["all"] else Head.objects.order_by("-number")[:1]
            )
            for line in heads.values_list("line", flat=True).iterator():
                self.stdout.write(line)
