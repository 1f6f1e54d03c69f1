"""`manage.py journal`: a job's entries as JSON lines."""

from __future__ import annotations

from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandParser

from runtime import store
from runtime.management.record_argument import database_errors_told, find_job, reader_may_leave

ENTRIES_AT_ONCE = 5_000


class Command(BaseCommand):
    help = (
        "Prints a job's journal, a JSON object a line: seq, cycle, and then the entry as it was written down."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="JOB", help="the job's number")
        parser.add_argument("--after", metavar="SEQ", type=int, default=0, help="only entries after this one")

    def handle(self, *args: Any, **options: Any) -> None:
        with database_errors_told(), reader_may_leave():
            job = find_job(options["job"])
            seq = max(options["after"], 0)
            while entries := store.entries_after(job.pk, seq, ENTRIES_AT_ONCE):
                seq = entries[-1].seq
                self.stdout.write(
                    "\n".join(f'{{"seq":{e.seq},"cycle":{e.cycle},{e.body[1:]}' for e in entries)
                )
