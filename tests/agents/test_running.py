"""Every run gives exactly one effect, whatever its agent does."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from runtime.agents import propose, ruling, run_all
from runtime.agents.calling import call_agent
from runtime.agents.running import PATIENCE
from runtime.engine import Failure, Malformed, Proposal, View
from runtime.engine.spec import Shape
from tests.agents.fakes import functions, run_of, told


def failure_of(call: Any, **options: Any) -> Failure:
    """The failure of one run of `call`."""
    (effect,) = run_all([run_of(call.__name__, **options)], functions(call))
    assert effect.failure is not None
    assert not effect.proposals
    return effect.failure


@pytest.mark.parametrize("form", ["return", "list", "yield", "none"])
def test_an_agent_may_return_list_yield_or_say_nothing(form: str) -> None:
    said = propose("pet", "rex", "dog")

    def returns(view: Any) -> Any:
        return {"return": said, "list": [said, said], "none": None}.get(form)

    def yields(view: Any) -> Iterator[Proposal]:
        yield said

    call = yields if form == "yield" else returns
    (effect,) = run_all([run_of(call.__name__)], functions(call))
    assert effect.failure is None
    assert list(effect.proposals) == {"none": [], "list": [said, said]}.get(form, [said])


def test_each_shape_is_called_with_what_it_is_shown() -> None:
    seen: list[Any] = []

    def two(first: Any, view: Any) -> None:
        seen.append(first)

    rex = told("pet", "rex")
    shapes: list[Shape] = ["each", "grouped", "aggregate"]
    for shape in shapes:
        run_all([run_of("two", shape=shape, item="rex", shown=rex)], functions(two, shape=shape))
    assert seen == [rex, rex, rex]


def test_a_view_shows_an_item_a_group_or_sides() -> None:
    """The names that `call_agent` asks for are those of the engine's view."""
    item, group, sides = object(), object(), object()
    view = View({}, item, group, sides)  # type: ignore[arg-type]

    def takes(first: Any, shown: Any) -> Any:
        return first

    shapes: dict[Shape, object] = {"each": item, "grouped": group, "aggregate": sides}
    for shape, first in shapes.items():
        assert call_agent(run_of("takes", shape=shape)._replace(view=view), takes) is first


def test_a_ruling_lands_on_the_slot_it_was_asked_about() -> None:
    def weigh(sides: Any, view: Any) -> Any:
        return ruling("cat", 0.7, evidence={"votes": 3})

    (effect,) = run_all([run_of("weigh", shape="aggregate", item="rex")], functions(weigh, shape="aggregate"))
    assert list(effect.proposals) == [Proposal("pet", "rex", "cat", 0.7, {"votes": 3}, None)]


def test_two_rulings_on_one_slot_are_bad_output() -> None:
    def weigh(sides: Any, view: Any) -> Any:
        return [ruling("cat"), ruling("dog")]

    (effect,) = run_all([run_of("weigh", shape="aggregate", item="rex")], functions(weigh, shape="aggregate"))
    assert effect.failure is not None
    assert effect.failure.cls == "bad_output"
    assert "2 rulings" in effect.failure.message


@pytest.mark.parametrize(
    "error", [ValueError("no such pet"), SystemExit("bye"), RecursionError("deep"), GeneratorExit()]
)
def test_an_exception_is_the_failure_of_its_run_alone(error: BaseException) -> None:
    def breaks(view: Any) -> None:
        raise error

    def works(view: Any) -> Proposal:
        return propose("pet", "rex", "dog")

    broken, fine = run_all([run_of("breaks"), run_of("works")], functions(breaks, works))
    assert broken.failure is not None
    assert broken.failure == Failure("agent_error", f"{type(error).__name__}: {str(error) or 'no message'}")
    assert fine.failure is None
    assert len(fine.proposals) == 1


def test_endless_recursion_fails_the_agent_only() -> None:
    def dives(view: Any) -> Any:
        return dives(view)

    assert failure_of(dives).message.startswith("RecursionError")


def test_an_exception_in_the_middle_of_a_generator_drops_all_it_said() -> None:
    def halfway(view: Any) -> Iterator[Proposal]:
        yield propose("pet", "rex", "dog")
        raise ValueError("lost the list")

    assert failure_of(halfway).message == "ValueError: lost the list"


def test_a_person_can_interrupt_an_agent() -> None:
    def interrupted(view: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all([run_of("interrupted")], functions(interrupted))


def test_failures_do_not_tell_where_objects_lay_in_memory() -> None:
    def breaks(view: Any) -> None:
        raise ValueError(object())

    assert failure_of(breaks).message == "ValueError: <object object>"


def test_an_error_that_cannot_be_read_or_written_is_still_told() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def mute(view: Any) -> None:
        raise Mute

    def surrogate(view: Any) -> None:
        raise ValueError("\ud800\x00" + "x" * 5000)

    assert failure_of(mute).message == "Mute: its message cannot be read"
    message = failure_of(surrogate).message
    assert len(message) <= 500
    assert message.encode()
    assert "\x00" not in message


@pytest.mark.parametrize(
    ("said", "named"),
    [("dog", "the str 'dog'"), (7, "the int 7"), ({"pet": 1}, "type dict"), (object, "type type")],
)
def test_nonsense_is_bad_output_that_names_what_came_and_what_is_expected(said: Any, named: str) -> None:
    def babbles(view: Any) -> Any:
        return said

    failure = failure_of(babbles)
    assert failure.cls == "bad_output"
    assert not failure.transient
    assert named in failure.message
    assert "propose()" in failure.message


def test_nonsense_in_a_list_is_rejected_alone() -> None:
    said = propose("pet", "rex", "dog")

    def mixes(view: Any) -> Any:
        return [said, ("pet", "rex", "dog"), ruling("dog")]

    (effect,) = run_all([run_of("mixes")], functions(mixes))
    assert effect.proposals[0] == said
    assert [type(one) for one in effect.proposals[1:]] == [Malformed, Malformed]
    assert "type tuple is no proposal" in effect.proposals[1].reason  # type: ignore[union-attr]


def test_an_awaitable_from_a_plain_function_is_bad_output(recwarn: pytest.WarningsRecorder) -> None:
    async def later() -> None: ...

    def forgets(view: Any) -> Any:
        return later()

    assert failure_of(forgets).cls == "bad_output"
    assert not recwarn.list


def test_missing_code_is_a_failure_that_names_the_agent() -> None:
    (effect,) = run_all([run_of("ghost")], {})
    assert effect.failure is not None
    assert "'ghost'" in effect.failure.message


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


async def returns_list(view: Any) -> list[Proposal]:
    await asyncio.sleep(0)
    return [propose("pet", "rex", "dog")]


async def yields(view: Any) -> AsyncIterator[Proposal]:
    yield propose("pet", "rex", "dog")


async def says_nothing(view: Any) -> None: ...


def test_async_agents_may_return_or_yield() -> None:
    calls = functions(returns_list, yields, says_nothing)
    effects = run_all([run_of(name) for name in calls], calls)
    assert [len(effect.proposals) for effect in effects] == [1, 1, 0]
    assert [effect.agent for effect in effects] == list(calls)


def test_async_agents_really_run_together() -> None:
    meeting: dict[str, asyncio.Event] = {}

    async def meets(item: Any, view: Any) -> Proposal:
        mine, other = meeting.setdefault(item, asyncio.Event()), "b" if item == "a" else "a"
        mine.set()
        await meeting.setdefault(other, asyncio.Event()).wait()
        return propose("pet", item, "met")

    runs = [run_of("meets", shape="each", item=name, timeout=2.0, shown=name) for name in ("a", "b")]
    effects = run_all(runs, functions(meets, shape="each"))
    assert [effect.failure for effect in effects] == [None, None]


def test_effects_keep_the_order_of_the_runs_whoever_finished_first() -> None:
    order: list[str] = []

    async def waits(item: Any, view: Any) -> Proposal:
        for _ in range(int(item)):
            await asyncio.sleep(0)
        order.append(item)
        return propose("pet", item, "done")

    def plain(item: Any, view: Any) -> Proposal:
        return propose("pet", item, "plain")

    names = ["9", "1", "5"]
    runs = [run_of("waits", shape="each", item=name, shown=name) for name in names]
    runs.append(run_of("plain", shape="each", item="0", shown="0"))
    effects = run_all(runs, functions(waits, plain, shape="each"))
    assert order == ["1", "5", "9"]
    assert [effect.item for effect in effects] == [*names, "0"]


def test_async_failures_are_told_like_plain_ones() -> None:
    async def raises(view: Any) -> None:
        raise ValueError("no such pet")

    async def exits(view: Any) -> None:
        raise SystemExit(3)

    async def cancels(view: Any) -> None:
        raise asyncio.CancelledError

    async def times_out_itself(view: Any) -> None:
        raise TimeoutError("my own")

    async def babbles(view: Any) -> Any:
        return "dog"

    assert failure_of(raises) == Failure("agent_error", "ValueError: no such pet")
    assert failure_of(exits).message == "SystemExit: 3"
    assert failure_of(cancels).cls == "agent_error"
    assert failure_of(times_out_itself) == Failure("agent_error", "TimeoutError: my own")
    assert failure_of(babbles).cls == "bad_output"


def test_an_async_agent_that_waits_for_ever_times_out() -> None:
    async def waits(view: Any) -> None:
        await asyncio.Event().wait()

    assert failure_of(waits, timeout=0.02) == Failure("timeout", "It took longer than 0.02 s.", True)


def test_an_async_agent_that_swallows_its_cancellation_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.agents.together.GRACE", 0.05)

    async def clings(view: Any) -> None:
        for _ in range(1000):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.02)

    assert failure_of(clings, timeout=0.02).cls == "timeout"


def test_an_async_agent_that_blocks_the_loop_is_interrupted_and_others_finish() -> None:
    async def blocks(view: Any) -> None:
        while True:
            pass

    async def works(view: Any) -> Proposal:
        return propose("pet", "rex", "dog")

    calls = functions(blocks, works)
    blocked, fine = run_all([run_of("blocks", timeout=0.05), run_of("works")], calls)
    assert blocked.failure is not None
    assert blocked.failure.cls == "timeout"
    assert fine.failure is None


def test_what_an_async_agent_started_and_left_cannot_hurt_the_runtime() -> None:
    async def explodes() -> None:
        raise SystemExit

    async def lingers() -> None:
        await asyncio.Event().wait()

    async def leaves(view: Any) -> Proposal:
        left = [asyncio.ensure_future(explodes()), asyncio.ensure_future(lingers())]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return propose("pet", str(len(left)), "dog")

    (effect,) = run_all([run_of("leaves")], functions(leaves))
    assert effect.failure is None
    assert len(effect.proposals) == 1


def test_no_runs_give_no_effects() -> None:
    assert run_all([], {}) == []
