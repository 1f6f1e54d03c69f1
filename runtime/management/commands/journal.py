"""`manage.py journal`: a job's entries as JSON lines."""

from __future__ import annotations

from typing import Any

import orjson
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandParser

from runtime import store
from runtime.management.record_argument import database_errors_told, find_job, reader_may_leave

ENTRIES_AT_ONCE = 5_000
CALL_FIELDS = (
    *("cycle", "agent", "item", "number", "tool", "status", "attempts", "cls", "message", "http_status"),
    *("tokens_in", "tokens_out", "cost", "started_at", "finished_at", "duration_ms", "worker"),
)


class Command(BaseCommand):
    help = (
        "Prints a job's journal, a JSON object a line: seq, cycle, and then the entry as it was written down. "
        "With --calls, the record of its calls of tools instead, which holds what is no part of the digest."
    )
    requires_system_checks = [Tags.compatibility]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="JOB", help="the job's number")
        parser.add_argument("--after", metavar="SEQ", type=int, default=0, help="only entries after this one")

        parser.add_argument(
            "--calls", action="store_true", help="the calls of tools: attempts, times, tokens, cost"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with database_errors_told(), reader_may_leave():
            job = find_job(options["job"])
            if options["calls"]:
                for row in job.tool_calls.order_by("id").values(*CALL_FIELDS).iterator():
                    self.stdout.write(orjson.dumps(row).decode())
                return
            seq = max(options["after"], 0)
            while entries := store.entries_after(job.pk, seq, ENTRIES_AT_ONCE):
                seq = entries[-1].seq
                self.stdout.write(
                    "\n".join(f'{{"seq":{e.seq},"cycle":{e.cycle},{e.body[1:]}' for e in entries)
                )
