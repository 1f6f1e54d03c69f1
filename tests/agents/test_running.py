"""Every run gives exactly one effect, whatever its agent does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from runtime.agents import propose, ruling, run_all
from runtime.agents.calling import call_agent
from runtime.engine import Failure, Malformed, Proposal, View
from runtime.engine.spec import Shape
from tests.agents.failures import failure_of
from tests.agents.fakes import functions, run_of, told


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


def test_no_runs_give_no_effects() -> None:
    assert run_all([], {}) == []
