"""A plain agent gets its time and no more."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.agents import propose, run_all
from runtime.agents.running import PATIENCE
from runtime.engine import Failure, Proposal
from tests.agents.failures import failure_of
from tests.agents.fakes import functions, run_of


@pytest.mark.parametrize("swallows", [False, True])
def test_an_agent_that_never_returns_times_out(swallows: bool) -> None:
    tries: list[int] = []
    kinds = (BaseException,) if swallows else (Exception,)

    def spins(view: Any) -> None:
        while True:
            try:
                while True:
                    pass
            except kinds:
                tries.append(1)
                if len(tries) > 1:
                    raise

    failure = failure_of(spins, timeout=0.05)
    assert failure == Failure("timeout", "It took longer than 0.05 s.", True)


def test_a_generator_that_never_ends_times_out() -> None:
    def drips(view: Any) -> Iterator[Proposal]:
        while True:
            time.monotonic()
            if False:
                yield propose("pet", "rex", "dog")

    assert failure_of(drips, timeout=0.05).cls == "timeout"


def test_a_generator_that_floods_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.agents.calling.MOST_PROPOSALS", 100)

    def floods(view: Any) -> Iterator[Proposal]:
        while True:
            yield propose("pet", "rex", "dog")

    failure = failure_of(floods)
    assert failure.cls == "bad_output"
    assert "100" in failure.message


def test_each_call_has_its_own_time() -> None:
    def slow(view: Any) -> None:
        end = time.monotonic() + 0.04
        while time.monotonic() < end:
            pass

    effects = run_all([run_of("slow", timeout=0.1) for _ in range(4)], functions(slow))
    assert [effect.failure for effect in effects] == [None] * 4


def test_an_agent_that_keeps_timing_out_is_not_called_for_all_its_items() -> None:
    calls: list[int] = []

    def spins(view: Any) -> None:
        calls.append(1)
        while True:
            pass

    effects = run_all([run_of("spins", timeout=0.02) for _ in range(PATIENCE + 2)], functions(spins))
    assert len(calls) == PATIENCE
    assert {effect.failure.cls for effect in effects if effect.failure} == {"timeout"}
    assert len(effects) == PATIENCE + 2


def test_the_timer_of_the_process_is_put_back() -> None:
    rang: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    try:
        mine = signal.getsignal(signal.SIGALRM)
        signal.setitimer(signal.ITIMER_REAL, 50)

        def spins(view: Any) -> None:
            while True:
                pass

        run_all([run_of("spins", timeout=0.02)], functions(spins))
        assert signal.getsignal(signal.SIGALRM) is mine
        assert 40 < signal.getitimer(signal.ITIMER_REAL)[0] <= 50
        assert not rang
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_outside_the_main_thread_agents_run_without_a_timer() -> None:
    effects: list[Any] = []

    def works(view: Any) -> Proposal:
        return propose("pet", "rex", "dog")

    async def works_too(view: Any) -> Proposal:
        return propose("pet", "rex", "dog")

    both = functions(works, works_too)
    thread = threading.Thread(
        target=lambda: effects.extend(run_all([run_of("works"), run_of("works_too")], both))
    )
    thread.start()
    thread.join()
    assert [effect.failure for effect in effects] == [None, None]
