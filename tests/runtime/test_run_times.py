"""Each cycle keeps when its agents ran: clock data beside the journal, in no entry, digest or bundle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from runtime.agents import propose, run_all
from runtime.agents.functions import Function
from runtime.agents.run_times import RunTimes
from runtime.bundle import write_bundle
from runtime.engine import Effect
from runtime.engine.inputs import Call
from runtime.models import Cycle, Entry, Job
from runtime.verifying import verify_job
from tests.agents.fakes import run_of
from tests.runtime.fixtures import Use
from tests.runtime.packs import CHOIR_SEEDS, WALK_SEEDS
from tests.runtime.stage import run, submit


def ticks() -> Iterator[float]:
    """A clock that goes on by 2 ms at each look."""
    return (at / 500 for at in range(1_000))


def times_by(clock: Iterator[float]) -> RunTimes:
    return RunTimes(lambda: next(clock))


def says(view: Any) -> Any:
    return propose("verdict", "x", 1)


def test_runs_called_one_after_the_other_cost_one_look_an_agent() -> None:
    clock = ticks()
    runs = [run_of("one", "each", item, shown=item) for item in "abc"] + [run_of("two")]
    times = times_by(clock)
    code = Function(lambda *shown: None)
    effects = run_all(runs, {"one": code, "two": code}, times=times)
    assert times.told(effects) == [("one", 2.0, 4.0, 3, 0), ("two", 4.0, 6.0, 1, 0)]
    assert next(clock) == 4 / 500


def test_async_runs_of_one_agent_span_from_the_first_to_the_last() -> None:
    async def pause(*shown: Any) -> None:
        await asyncio.sleep(0)

    runs = [run_of("one", "each", item, shown=item) for item in "ab"]
    times = times_by(ticks())
    effects = run_all(runs, {"one": Function(pause, True)}, times=times)
    # Both begin before either ends: looks 1 and 2, then 3 and 4.
    assert times.told(effects) == [("one", 2.0, 8.0, 2, 0)]


def test_what_was_never_called_has_no_times_and_requests_are_added_up() -> None:
    times = times_by(ticks())
    calls = [Call("oracle", 2), Call("oracle", 1)]
    assert times.told([Effect("one", None, calls=calls)]) == [("one", None, None, 1, 3)]


def test_a_failed_run_took_its_time_too() -> None:
    def breaks(view: Any) -> None:
        raise ValueError("no")

    times = times_by(ticks())
    effects = run_all([run_of("one")], {"one": Function(breaks)}, times=times)
    assert effects[0].failure is not None
    assert times.told(effects) == [("one", 2.0, 4.0, 1, 0)]


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "seeds"), [("walk", WALK_SEEDS), ("choir", CHOIR_SEEDS)])
def test_every_cycle_of_a_job_tells_when_its_agents_ran(use_packs: Use, name: str, seeds: Any) -> None:
    use_packs(name)
    job = run(submit(name, seeds))
    cycles = list(Cycle.objects.filter(job=job))
    assert any(cycle.timings for cycle in cycles)
    for cycle in cycles:
        assert sum(runs for _, _, _, runs, _, _ in cycle.timings) == cycle.runs
        for agent, began, ended, _, requests, seq in cycle.timings:
            assert 0 <= began <= ended <= cycle.duration_ms and requests == 0
            told = Entry.objects.get(job=job, seq=seq)
            assert (told.kind, told.agent, told.cycle) == ("run", agent, cycle.number)


@pytest.mark.django_db
def test_times_are_in_no_entry_and_no_bundle(use_packs: Use) -> None:
    use_packs("walk")
    job = run(submit("walk", WALK_SEEDS))
    written = "".join(write_bundle(job, sign=False))
    assert all("timings" not in cycle for cycle in orjson.loads(written)["cycles"])
    assert not any("began" in entry.data for entry in Entry.objects.filter(job=job))


@pytest.mark.django_db
def test_cycles_from_before_they_were_kept_hold_as_well(use_packs: Use) -> None:
    use_packs("walk")
    job = run(submit("walk", WALK_SEEDS))
    before = verify_job(job)
    assert Cycle.objects.filter(job=job).update(timings=[])
    job = Job.objects.get(pk=job.pk)
    assert verify_job(job).slots == before.slots
    assert "".join(write_bundle(job, sign=False))
