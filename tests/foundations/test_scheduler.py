"""`manage.py reconcile`: a round that fails is not the last, and a signal ends it between two rounds."""

import os
import signal
from collections.abc import Iterator

import pytest
from django.core.management import call_command

from runtime.management.commands import reconcile


@pytest.fixture(autouse=True)
def own_signal_handlers() -> Iterator[None]:
    """The command takes the process's signals; pytest gets them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.django_db
def test_scheduler_goes_on_after_a_failing_round_and_stops_on_sigterm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds: list[str] = []

    def fail_then_stop() -> int:
        rounds.append("round")
        if len(rounds) < 3:
            raise RuntimeError("the database is out")
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    monkeypatch.setattr(reconcile, "reconcile_once", fail_then_stop)
    call_command("reconcile", every=0.01)
    assert len(rounds) == 3
