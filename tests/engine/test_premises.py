"""No fact outlives its premises: provisional marks, and who keeps which premises (D3.5)."""

from __future__ import annotations

import pytest

from runtime.engine import Proposal, Run
from tests.engine.jobs import BROKEN, Job, each, pack, rule, say, whole


def chain(says_b: object = None, **more: object) -> Job:
    """in -> a -> mid -> b -> out, each copying."""
    spec = pack(whole("a", "in", "mid", **more), whole("b", "mid", "out", **more))
    return Job(spec, {"a": copy("in", "mid"), "b": copy("mid", "out")})


def copy(read: str, write: str):  # type: ignore[no-untyped-def]
    """An agent that repeats the values of one key under another, each resting on what it repeats."""
    return lambda run: [say(write, f.subject, f.value, because=[(f.key, f.subject)]) for f in run.view[read]]


def test_a_voice_that_cannot_run_leaves_what_it_said_provisional_and_all_that_rests_on_it() -> None:
    it = chain()
    it.run(it.row("add_fact", "in", "s", 1))
    it.says["a"] = lambda run: BROKEN
    assert it.run(it.row("add_fact", "in", "s", 2)).reason == "partial"
    assert (it.value("mid", "s"), it.value("out", "s")) == (1, 1)
    assert it.provisional() == {("mid", "s"), ("out", "s")}
    assert it.gaps().count("provisional") == 2
    marks = {m["key"]: m for m in it.all("answer")[-1]["marks"]}
    assert marks["mid"]["provisional"]
    assert marks["out"]["incomplete"] == "mid"


def test_a_premise_that_returns_makes_the_fact_good_again() -> None:
    it = chain()
    it.run(it.row("add_fact", "in", "s", 1))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "s", 2))
    it.run(it.row("add_fact", "in", "s", 1))
    assert it.provisional() == set()


def test_default_premises_that_return_make_the_fact_good_again() -> None:
    it = Job(pack(whole("a", "in", "out")), {"a": [say("out", "s", 1)]})
    it.run(it.row("add_fact", "in", "x", 1))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "x", 2))
    it.run(it.row("add_fact", "in", "y", 2, by="otto"))
    assert it.provisional() == {("out", "s")}
    it.run(it.row("add_fact", "in", "x", 1))
    assert it.provisional() == set()


def test_a_premise_is_a_slot_and_its_value_not_its_confidence() -> None:
    it = chain()
    it.run(it.row("add_fact", "in", "s", 1, confidence=0.9))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "s", 1, confidence=0.2))
    assert it.provisional() == set()


def test_a_fact_is_provisional_only_if_every_candidate_of_its_side_is() -> None:
    it = chain()
    it.run(it.row("add_fact", "in", "s", 1), it.seed("mid", "s", 1))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "s", 2))
    assert it.provisional() == set()


def test_by_default_a_statement_rests_on_all_that_its_run_was_shown() -> None:
    it = Job(pack(whole("a", "in", "out")), {"a": [say("out", "s", 1)]})
    it.run(it.seed("in", "x", 1), it.row("add_fact", "in", "y", 1))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("withdraw_fact", "in", "y"))
    assert it.provisional() == {("out", "s")}


def test_what_was_not_there_is_no_premise() -> None:
    it = Job(pack(whole("a", "in", "out")), {"a": [say("out", "s", 1)]})
    it.run(it.seed("in", "x", 1))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "y", 1))
    assert it.provisional() == set()


@pytest.mark.parametrize(
    ("because", "doubted"), [([("in", "x")], False), ([("in", "y")], True), ([], False), (None, True)]
)
def test_only_the_premises_it_names_can_fall(because: list[tuple[str, str]] | None, doubted: bool) -> None:
    it = Job(pack(whole("a", "in", "out")), {"a": [say("out", "s", 1, because=because)]})
    it.run(it.seed("in", "x", 1), it.row("add_fact", "in", "y", 1))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("withdraw_fact", "in", "y"))
    assert (it.provisional() == {("out", "s")}) == doubted


def test_an_item_is_a_premise_of_its_voice() -> None:
    it = Job(pack(each("a", "in", "out")), {"a": lambda run: [say("out", run.item or "", 1)]})
    it.run(it.row("add_fact", "in", "s", 1))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "s", 2))
    assert it.provisional() == {("out", "s")}


def test_a_statement_repeated_unchanged_keeps_its_premises_while_they_hold() -> None:
    """First it names x; then it repeats itself naming y. x still holds, so x it rests on, and y may go."""
    it = Job(pack(whole("a", "in", "out")), {"a": [say("out", "s", 1, because=[("in", "x")])]})
    it.run(it.row("add_fact", "in", "x", 1, by="ada"), it.row("add_fact", "in", "y", 1, by="otto"))
    it.says["a"] = [say("out", "s", 1, because=[("in", "y")])]
    it.run(it.row("add_fact", "in", "z", 1, by="ivy"))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("withdraw_fact", "in", "y", by="otto"))
    assert it.provisional() == set()
    it.run(it.row("withdraw_fact", "in", "x", by="ada"))
    assert it.provisional() == {("out", "s")}


def test_a_statement_repeated_after_a_premise_fell_rests_on_the_new_ones() -> None:
    def cheapest(run: Run) -> list[Proposal]:
        best = min(run.view["in"], key=lambda f: (f.value, f.subject))
        return [say("out", "s", best.value, because=[("in", best.subject)])]

    it = Job(pack(whole("a", "in", "out")), {"a": cheapest})
    it.run(it.row("add_fact", "in", "x", 1, by="ada"), it.row("add_fact", "in", "y", 1, by="otto"))
    it.run(it.row("withdraw_fact", "in", "x", by="ada"))
    assert it.all("accepted")[-1]["subject"] == "s"
    assert it.last("withdrawn", "accepted", "revised") == [
        e for e in it.last("withdrawn") if e["agent"] == "@person"
    ]
    assert it.provisional() == set()
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "y", 5, by="otto"))
    assert it.provisional() == {("out", "s")}


def test_a_decision_is_never_provisional_and_holds_up_what_rests_on_it() -> None:
    it = chain()
    it.run(it.row("add_fact", "in", "s", 1))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "s", 2))
    it.run(it.row("decide", "mid", "s", 1))
    assert it.provisional() == set()


def test_a_dissenting_fact_that_rises_may_be_provisional() -> None:
    spec = pack(whole("a", "in", "out"), rules=(rule("confidence", "out", margin=0.1),))
    it = Job(spec, {"a": [say("out", "s", 1, 0.3)]})
    it.run(it.row("add_fact", "in", "x", 1, by="ada"), it.row("add_fact", "out", "s", 2, by="otto"))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "x", 2, by="ada"))
    assert it.provisional() == set()
    it.run(it.row("withdraw_fact", "out", "s", by="otto"))
    assert (it.value("out", "s"), it.provisional()) == (1, {("out", "s")})
