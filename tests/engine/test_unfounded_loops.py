"""Facts that only hold each other up fall together (D3.5)."""

from __future__ import annotations

from runtime.engine import Run
from tests.engine.jobs import BROKEN, Job, pack, rule, say, whole


def echo(read: str, write: str):  # type: ignore[no-untyped-def]
    """Repeats what it reads, resting on it."""

    def says(run: Run) -> list:
        return [say(write, f.subject, f.value, 0.9, because=[(f.key, f.subject)]) for f in run.view[read]]

    return says


def circle(rules: tuple = ()) -> Job:
    """Two agents that repeat each other: left -> right -> left."""
    spec = pack(whole("a", "left", "right"), whole("b", "right", "left"), rules=rules)
    return Job(spec, {"a": echo("left", "right"), "b": echo("right", "left")})


def test_what_a_person_said_holds_the_circle_up_and_its_withdrawal_brings_it_down() -> None:
    it = circle()
    assert it.run(it.row("add_fact", "left", "s", 1)).reason == "converged"
    assert (it.value("left", "s"), it.value("right", "s")) == (1, 1)
    assert it.run(it.row("withdraw_fact", "left", "s")).reason == "converged"
    assert it.core.facts() == []
    assert {(e["agent"], e["key"]) for e in it.all("withdrawn") if e["agent"] in "ab"} == {
        ("a", "right"),
        ("b", "left"),
    }


def test_a_second_root_keeps_it_up() -> None:
    it = circle()
    it.run(it.row("add_fact", "left", "s", 1), it.seed("right", "s", 1))
    it.run(it.row("withdraw_fact", "left", "s"))
    assert (it.value("left", "s"), it.value("right", "s")) == (1, 1)


def test_a_decision_is_ground() -> None:
    it = circle()
    it.run(it.row("add_fact", "left", "s", 1))
    it.run(it.row("decide", "right", "s", 1))
    it.run(it.row("withdraw_fact", "left", "s"))
    assert it.value("left", "s") == 1
    it.run(it.row("undo", "right", "s"))
    assert it.core.facts() == []


def test_a_statement_without_premises_is_ground() -> None:
    it = circle()
    it.says["b"] = lambda run: [say("left", "s", 1, because=[])]
    it.run(it.row("add_fact", "left", "s", 1))
    it.run(it.row("withdraw_fact", "left", "s"))
    assert (it.value("left", "s"), it.value("right", "s")) == (1, 1)


def test_a_fact_outside_the_loop_is_ground() -> None:
    spec = pack(whole("a", "left in", "right"), whole("b", "right", "left"))
    it = Job(spec, {"b": echo("right", "left")})
    it.says["a"] = lambda run: [say("right", "s", 1)] if len(run.view["left"]) or len(run.view["in"]) else []
    it.run(it.seed("in", "x", 1))
    assert (it.value("left", "s"), it.value("right", "s")) == (1, 1)


def test_dissent_that_reaches_ground_rises_when_the_circle_falls() -> None:
    """The circle's side is the stronger; when it falls, what it had beaten stands, and need not be said again."""
    spec = pack(
        whole("a", "left", "right"),
        whole("b", "right", "left"),
        whole("c", "in", "right"),
        rules=(rule("confidence", "right left", margin=0.1),),
    )
    it = Job(
        spec,
        {"a": echo("left", "right"), "b": echo("right", "left"), "c": [say("right", "s", "dissent", 0.2)]},
    )
    it.run(it.seed("in", "x", 1), it.row("add_fact", "left", "s", "circle"))
    assert it.value("right", "s") == "circle"
    it.run(it.row("withdraw_fact", "left", "s"))
    assert it.value("right", "s") == "dissent"
    assert it.value("left", "s") == "dissent"


def test_what_rests_on_something_fallen_stays_and_is_provisional() -> None:
    """Its voice cannot run: that is told by the mark. Nothing in a circle holds it up."""
    it = circle()
    it.run(it.row("add_fact", "left", "s", 1))
    it.says["a"] = it.says["b"] = lambda run: BROKEN
    it.run(it.row("add_fact", "left", "s", 2, by="otto"))
    assert it.status("left", "s") == "contested"
    it.run(it.row("withdraw_fact", "left", "s"), it.row("add_fact", "left", "t", 1))
    it.run(it.row("withdraw_fact", "left", "t"))
    assert it.value("right", "s") == 1
    assert ("right", "s") in it.provisional()
