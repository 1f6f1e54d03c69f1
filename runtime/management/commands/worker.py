"""`manage.py worker`: one runtime process."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from runtime import queue, stopping, worker


class Command(BaseCommand):
    help = (
        "Runs jobs, one after the other, until stopped. Ctrl-C or SIGTERM lets the running cycle finish; one that "
        "takes longer than CONVERGE_GRACE_SECONDS is handed over to another worker, who begins it anew."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--burst", action="store_true", help="end when no job is queued")

    def handle(self, *args: Any, **options: Any) -> None:
        worker.settle_process()
        if not options["burst"]:
            stopping.end_in_time(settings.CONVERGE_GRACE_SECONDS)
        queue.work(burst=options["burst"])
