"""`manage.py reconcile`: the scheduler. It enqueues what the database says is due (D7.3)."""

import logging
import signal
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections, connections

from runtime.queue_state import note_round
from runtime.reconciler import reconcile_once

LONGEST_PAUSE_SECONDS = 10.0  # nothing that is due may wait much longer once the database is back

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Enqueues due jobs again and again until stopped; several may run, to no harm."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every",
            type=float,
            default=settings.CONVERGE_RECONCILE_SECONDS,
            help="seconds between two rounds (default: CONVERGE_RECONCILE_SECONDS, or 2)",
        )
        parser.add_argument("--once", action="store_true", help="one round, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            note_round(reconcile_once())
            return
        if not 0 < options["every"] <= 60:  # a NaN is not either
            raise CommandError("--every takes seconds, more than 0 and at most 60.")
        connections["default"].settings_dict.update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._request_stop)
        pause = options["every"]
        while not self._stopping:
            close_old_connections()
            try:
                note_round(reconcile_once())
                pause = options["every"]
            except Exception:
                # Whatever is wrong with the database now, nothing moves unless somebody keeps trying.
                logger.exception("The round failed; the next one is in %.0f s.", pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            self._wait(pause)

    # A plain flag, and short sleeps: a handler that sets an Event can deadlock with the wait it interrupts.
    _stopping = False

    def _request_stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.25))
