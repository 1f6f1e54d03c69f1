"""`manage.py worker`: one runtime process."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from runtime import queue, worker


class Command(BaseCommand):
    help = "Runs jobs, one after the other, until stopped (Ctrl-C or SIGTERM lets the running cycle finish)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--burst", action="store_true", help="end when no job is queued")

    def handle(self, *args: Any, **options: Any) -> None:
        worker.settle_process()
        queue.work(burst=options["burst"])
