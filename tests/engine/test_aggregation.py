"""Aggregation: an agent sees the sides in the next cycle and rules; a ruling is no side (D3.2)."""

from __future__ import annotations

from runtime.engine import Proposal, Run
from tests.engine.jobs import BROKEN, Job, aggregate, pack, rule, say

RULES = (rule("aggregation", "k", agent="agg", priority=10), rule("confidence", "k", margin=0.1, priority=20))


def total(run: Run) -> list[Proposal]:
    """Rules for the sum of the sides."""
    assert run.view.sides is not None
    return [say("k", run.view.sides.subject, sum(side.value for side in run.view.sides.sides), 0.7)]


def job(says: object = total, rules: tuple = RULES, reads: str = "", **more: object) -> Job:
    return Job(pack(aggregate("agg", "k", reads, **more), rules=rules, keys=["go"]), {"agg": says})  # type: ignore[dict-item]


def test_sides_are_shown_with_their_voices_and_the_ruling_stands() -> None:
    shown = []
    it = job(lambda run: shown.append(run.view.sides) or total(run))
    it.step(it.seed("k", "s", 1, 0.9, source="x"), it.seed("k", "s", 2, 0.5))
    assert it.value("k", "s") == 3
    assert it.core.fact("k", "s").confidence == 0.7
    assert [(s.value, s.confidence) for s in shown[0].sides] == [(1, 0.9), (2, 0.5)]
    assert [v.evidence for s in shown[0].sides for v in s.voices] == [{"source": "x"}, {}]


def test_it_is_not_asked_where_nothing_is_disputed_or_a_rule_above_decides() -> None:
    it = job(rules=(rule("confidence", "k", margin=0.1, priority=1), *RULES[:1]))
    it.run(it.seed("k", "one", 1), it.seed("k", "strong", 1, 0.9), it.seed("k", "strong", 2, 0.1))
    assert it.ran == []
    assert it.value("k", "strong") == 1


def test_rules_below_wait_until_it_abstained_on_these_very_sides() -> None:
    it = job(())
    it.step(it.seed("k", "s", 1, 0.9), it.seed("k", "s", 2, 0.5))
    assert it.value("k", "s") == 1, "it abstained, so confidence decides"
    it.core.begin([it.row("add_fact", "k", "s", 7, confidence=0.1)])
    assert it.status("k", "s") == "contested", "these are other sides: the rules below wait again"


def test_a_failed_ruling_leaves_the_conflict_open_and_the_rules_below_unasked() -> None:
    it = job(lambda run: BROKEN)
    it.run(it.seed("k", "s", 1, 0.9), it.seed("k", "s", 2, 0.5))
    assert it.status("k", "s") == "contested"


def test_a_ruling_is_provisional_while_the_sides_differ_from_those_it_saw() -> None:
    it = job(tier=1, required=True)
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    assert it.core.tier == 1
    it.says["agg"] = lambda run: BROKEN
    assert it.run(it.row("add_fact", "k", "s", 4)).reason == "partial"
    assert it.value("k", "s") == 3
    assert it.provisional() == {("k", "s")}
    assert set(it.gaps()) == {"failed", "provisional"}
    it.says["agg"] = total
    it.run(it.row("retry"))
    assert it.value("k", "s") == 7
    assert it.provisional() == set()


def test_a_ruling_falls_when_the_sides_agree() -> None:
    it = job()
    it.run(it.seed("k", "s", 1), it.row("add_fact", "k", "s", 2))
    assert it.value("k", "s") == 3
    it.run(it.row("withdraw_fact", "k", "s"))
    assert it.value("k", "s") == 1


def test_a_ruling_is_no_side() -> None:
    it = job()
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    it.run(it.row("decide", "k", "s", 1))
    it.run(it.row("undo", "k", "s"))
    assert it.ran == [], "same sides, same ruling: nobody is asked again"
    assert it.value("k", "s") == 3


def test_a_refused_ruling_is_neither_ruled_nor_abstained() -> None:
    it = job(rules=(*RULES, rule("constraint", "k", "value < 3")))
    assert it.run(it.seed("k", "s", 1, 0.9), it.seed("k", "s", 2, 0.5)).reason == "waiting"
    assert it.outcomes("agg") == ["rejected"]
    assert it.status("k", "s") == "contested"


def test_it_is_asked_again_where_its_reads_changed_while_a_decision_stood() -> None:
    it = job(lambda run: [say("k", run.item or "", 10 + len(run.view["go"]))], reads="go")
    it.run(*(it.seed("k", subject, value) for subject in "st" for value in (1, 2)))
    it.run(it.row("decide", "k", "s", 1))
    it.run(it.row("add_fact", "go", "x", 1))
    assert it.value("k", "t") == 11
    it.run(it.row("undo", "k", "s"))
    assert it.value("k", "s") == 11


def test_its_tier_is_that_of_its_key() -> None:
    it = job(tier=1)
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    assert it.core.tier == 1


def test_who_spoke_first_carries_no_meaning() -> None:
    """Ada and Otto say the same two things again in the other order: the sides are what they were."""
    it = job()
    it.run(
        it.row("add_fact", "k", "s", 1, by="ada"),
        it.row("add_fact", "k", "s", 2, by="otto"),
        it.seed("k", "s", 2),
    )
    again = [it.row(act, "k", "s", 1, by="ada") for act in ("withdraw_fact", "add_fact")]
    again += [it.row(act, "k", "s", 2, by="otto") for act in ("withdraw_fact", "add_fact")]
    it.run(*again, it.row("withdraw_fact", "k", "s", by="ada"), it.row("add_fact", "k", "s", 1, by="ada"))
    assert it.ran == []
    assert it.provisional() == set()


def test_a_ruling_rests_on_what_else_its_agent_was_shown() -> None:
    it = job(lambda run: [say("k", run.item or "", 10 + len(run.view["go"]))], reads="go")
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2), it.row("add_fact", "go", "x", 1))
    it.says["agg"] = lambda run: BROKEN
    it.run(it.row("add_fact", "go", "x", 2))
    assert it.value("k", "s") == 11
    assert it.provisional() == {("k", "s")}
