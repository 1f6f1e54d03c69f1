"""Tiers: early answers, stated gaps, and no claim that cannot be proven (D4)."""

from __future__ import annotations

import pytest

from runtime.engine import RuleSpec
from tests.engine.jobs import BROKEN, Job, aggregate, each, pack, rule, say, whole


def ladder(**second: object) -> Job:
    """`low` says mid in tier 1; `high` says top in tier 2."""
    spec = pack(
        whole("low", "in", "mid", required=True), whole("high", "mid", "top", tier=2, required=True), tiers=2
    )
    it = Job(spec, {"low": [say("mid", "s", 1)], "high": [say("top", "s", 2)]})
    it.says.update(second)  # type: ignore[arg-type]
    return it


def test_a_cycle_runs_the_lowest_tier_that_has_anybody_and_answers_early() -> None:
    spec = pack(whole("low", "in", "mid"), whole("high", "in", "top", tier=2), tiers=2)
    it = Job(spec, {"low": [say("mid", "s", 1)], "high": [say("top", "s", 2)]})
    first = it.step(it.seed("in", "x", 1))
    assert it.ran == [("low", None)]
    assert (first.tier, first.stop) == (1, None)
    assert it.last("answer")[0]["facts"] == 1
    it.step()
    assert it.ran == [("high", None)]
    assert it.core.tier == 2
    assert [a["version"] for a in it.all("answer")] == [1, 2]


def test_a_failed_required_agent_caps_the_tier_and_stops_nobody() -> None:
    spec = pack(whole("a", "in", "x", required=True), whole("b", "in", "y", tier=2, required=True), tiers=2)
    it = Job(spec, {"a": lambda run: BROKEN, "b": [say("y", "s", 1)]})
    assert it.run(it.seed("in", "x", 1)).reason == "partial"
    assert it.value("y", "s") == 1
    assert it.core.tier == 0
    assert it.gaps(1) == ["failed"]
    assert it.gaps(2) == ["tier"], "tier 2 lacks nothing of its own, but tier 1 is not reached"


def test_a_failed_optional_agent_marks_its_keys_incomplete_and_nothing_more() -> None:
    spec = pack(whole("a", "in", "x"), whole("b", "in", "x"))
    it = Job(spec, {"a": lambda run: BROKEN, "b": [say("x", "s", 1)]})
    assert it.run(it.seed("in", "x", 1)).reason == "converged"
    assert it.last("answer")[0]["marks"][0]["incomplete"] == "x"


def test_a_key_belongs_to_the_lowest_tier_among_its_writers() -> None:
    """The dispute is between a seed and an agent of tier 2, in a key an agent of tier 1 may write too."""
    spec = pack(whole("low", "in", "k", tier=1), whole("high", "in", "k", tier=2), tiers=2)
    it = Job(spec, {"high": [say("k", "s", 1)]})
    it.run(it.seed("in", "x", 1), it.seed("k", "s", 2))
    assert it.gaps(1) == ["conflict"]
    assert it.core.tier == 0


def test_a_conflict_in_a_higher_tier_leaves_the_lower_one_reached() -> None:
    it = ladder()
    assert it.run(it.seed("in", "x", 1), it.seed("top", "s", 3)).reason == "waiting"
    assert it.core.tier == 1
    assert it.gaps(2) == ["conflict"]


def test_a_tier_that_is_reached_can_be_lost_and_that_is_an_entry() -> None:
    it = ladder()
    it.run(it.row("add_fact", "in", "x", 1))
    assert it.core.tier == 2
    it.run(it.row("add_fact", "mid", "s", 5))
    assert it.core.tier == 0
    assert [(e["tier"], e["reached"]) for e in it.last("tier")] == [(1, False), (2, False)]


def test_it_is_judged_by_what_stands_when_the_tier_below_changed_under_a_busy_tier() -> None:
    """An agent of tier 2 makes a dispute in a key of tier 1 while tier 2 goes on: tier 1 is not claimed any more."""
    spec = pack(
        whole("low", "in", "k", required=True),
        whole("one", "k", "k mid", tier=2),
        whole("two", "mid", "top", tier=2),
        tiers=2,
    )
    it = Job(
        spec,
        {
            "low": [say("k", "s", 1)],
            "one": [say("k", "s", 2), say("mid", "s", 1)],
            "two": [say("top", "s", 1)],
        },
    )
    assert it.step(it.seed("in", "x", 1)).tier == 1
    commit = it.step()
    assert it.status("k", "s") == "contested"
    assert commit.stop is None
    assert commit.tier == 0


def test_a_required_whole_agent_with_nothing_to_read_is_a_gap() -> None:
    it = ladder()
    assert it.run().reason == "partial"
    assert it.gaps(1) == ["nothing_to_read"]


def test_a_required_each_agent_without_items_is_none() -> None:
    it = Job(pack(each("a", "in", "out", required=True)))
    assert it.run().reason == "converged"


@pytest.mark.parametrize("held_up_by", ["conflict", "hold", "refused"])
def test_what_waits_for_people_in_a_tiers_keys_is_a_gap(held_up_by: str) -> None:
    rules: tuple[RuleSpec, ...] = () if held_up_by == "conflict" else (rule("approval", "k"),)
    it = Job(pack(keys=["k"], rules=rules))
    it.run(it.seed("k", "s", 1), *([it.seed("k", "s", 2)] if held_up_by == "conflict" else []))
    if held_up_by == "refused":
        it.run(it.row("refuse", "k", "s"))
    assert it.gaps() == [held_up_by]


def test_acceptance_invariants_must_hold_and_are_named() -> None:
    least = rule("invariant", "", 'size(facts("k")) >= 2', name="two of them", tier=1)
    it = Job(pack(keys=["k"], rules=(least,)))
    it.run(it.seed("k", "s", 1))
    assert it.gaps() == ["invariant"]
    assert it.all("tier")[-1]["gaps"][0]["rule"] == "two of them"
    assert it.run(it.row("add_fact", "k", "t", 1)).reason == "converged"


def test_an_invariant_that_cannot_be_evaluated_does_not_hold() -> None:
    it = Job(pack(keys=["k"], rules=(rule("invariant", "", 'fact("k", "s").missing > 1', tier=1),)))
    it.run(it.seed("k", "s", {}))
    assert it.core.tier == 0


def test_a_ruling_agent_that_failed_is_no_gap_once_a_person_decided() -> None:
    spec = pack(aggregate("agg", "k", required=True), rules=(rule("aggregation", "k", agent="agg"),))
    it = Job(spec, {"agg": lambda run: BROKEN})
    assert it.run(it.seed("k", "s", 1), it.seed("k", "s", 2)).reason == "waiting"
    assert set(it.gaps()) == {"conflict", "failed"}
    assert it.run(it.row("decide", "k", "s", 1)).reason == "converged"


def test_an_answer_is_published_only_when_it_differs() -> None:
    it = ladder()
    it.run(it.row("add_fact", "in", "x", 1))
    published = len(it.all("answer"))
    it.run(it.row("add_fact", "in", "y", 1))
    assert len(it.all("answer")) == published, "what was seeded is not what is answered"


def test_an_answer_names_provisional_and_incomplete_facts_with_discounted_confidence() -> None:
    discount = rule("discount", "", name="doubt", provisional=0.5, incomplete=0.8)
    spec = pack(whole("a", "in", "out"), rules=(discount,))
    it = Job(spec, {"a": [say("out", "s", 1, 0.9)]})
    it.run(it.row("add_fact", "in", "x", 1))
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "x", 2))
    mark = it.last("answer")[0]["marks"][0]
    assert (mark["from"], mark["conf"], mark["provisional"], mark["incomplete"]) == (900, 360, True, "out")
    assert it.core.fact("out", "s").confidence == 0.9, "rules and agents see the undiscounted figure"
