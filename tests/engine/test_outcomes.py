"""Each proposal ends in exactly one outcome, the first of the table in section 3 that applies."""

from __future__ import annotations

import pytest

from runtime.engine import Proposal
from tests.engine.jobs import Job, aggregate, pack, rule, say, whole


def job(*said: Proposal, rules: tuple = (), **more: object) -> Job:
    """One agent that says `said` about key k, after what was seeded."""
    return Job(pack(whole("a", "go", "k", **more), rules=rules), {"a": said})


def test_what_stands_where_nothing_stood_is_accepted() -> None:
    it = job(say("k", "s", 1))
    it.run(it.seed("go", "x", 1))
    assert it.outcomes("a") == ["accepted"]
    assert it.value("k", "s") == 1


def test_an_equal_value_of_another_voice_is_confirmed() -> None:
    it = job(say("k", "s", 1.0, 0.4))
    it.run(it.seed("go", "x", 1), it.seed("k", "s", 1, 0.9))
    assert it.outcomes("a") == ["confirmed"]
    assert it.core.fact("k", "s").confidence == 0.9


def test_a_voice_that_changes_its_standing_statement_revises_it() -> None:
    it = job(say("k", "s", 1))
    it.run(it.seed("go", "x", 1))
    it.says["a"] = [say("k", "s", 2)]
    it.run(it.row("add_fact", "go", "y", 1))
    assert it.outcomes("a") == ["revised"]
    it.says["a"] = [say("k", "s", 2, 0.5)]
    it.run(it.row("add_fact", "go", "z", 1))
    assert it.outcomes("a") == ["revised"]
    assert it.value("k", "s") == 2


def test_unequal_values_without_a_rule_are_contested() -> None:
    it = job(say("k", "s", True))
    assert it.run(it.seed("go", "x", 1), it.seed("k", "s", 1)).reason == "waiting"
    assert it.outcomes("a") == ["contested"]
    assert it.status("k", "s") == "contested"
    assert it.value("k", "s") is None


def test_a_rule_lets_one_side_win_and_the_other_lose() -> None:
    margin = (rule("confidence", "k", margin=0.2),)
    strong = job(say("k", "s", 2, 0.9), rules=margin)
    strong.run(strong.seed("go", "x", 1), strong.seed("k", "s", 1, 0.5))
    assert strong.outcomes("a") == ["won"]
    weak = job(say("k", "s", 2, 0.2), rules=margin)
    weak.run(weak.seed("go", "x", 1), weak.seed("k", "s", 1, 0.5))
    assert weak.outcomes("a") == ["lost"]
    assert weak.value("k", "s") == 1


def test_a_loser_says_which_rule_decided_and_every_rule_asked_is_in_the_trace() -> None:
    rules = (rule("newer", "k", field="at", priority=1), rule("confidence", "k", margin=0.2, priority=2))
    it = job(say("k", "s", 2, 0.2), rules=rules)
    it.run(it.seed("go", "x", 1), it.seed("k", "s", 1, 0.5))
    entry = it.last("lost")[0]
    assert "confidence k" in entry["reason"]
    assert [(t["kind"], t["decided"]) for t in entry["trace"]] == [("newer", False), ("confidence", True)]
    assert all(t["why"] for t in entry["trace"])


def test_what_a_person_must_approve_is_held() -> None:
    it = job(say("k", "s", 1), rules=(rule("approval", "k"),))
    assert it.run(it.seed("go", "x", 1)).reason == "waiting"
    assert it.outcomes("a") == ["held"]
    assert it.status("k", "s") == "held"


def test_what_contradicts_a_decision_is_overruled_and_what_repeats_it_is_confirmed() -> None:
    it = job(say("k", "s", 1))
    it.step(it.row("decide", "k", "s", 2), it.row("decide", "k", "t", 1))
    it.says["a"] = [say("k", "s", 1), say("k", "t", 1)]
    it.run(it.seed("go", "x", 1))
    assert it.outcomes("a") == ["overruled", "confirmed"]
    assert it.value("k", "s") == 2


@pytest.mark.parametrize(
    ("proposal", "why"),
    [
        (say("elsewhere", "s", 1), "may not write"),
        (say("k", "", 1), "non-empty"),
        (say("k", "s", 1, 1.2), "between 0 and 1"),
        (say("k", "s", float("nan")), "NaN"),
        (say("k", "s", "\ud800"), "surrogate"),
        (say("k", "s", {1: 2}), "not a string"),
        (say("k", "s", object()), "JSON"),
        (say("k", "s", 1, because=[("go", "nowhere")]), "not shown"),
        (say("k", "s", 1, because=[("k", "s")]), "not shown"),
        (say("k", "s", 1, because=7), "because"),
        (say("k", "s", 1, "high"), "confidence"),
        (say("k", "s", 1, evidence={"x": float("inf")}), "infinity"),
        (say(3, "s", 1), "key"),
        ("nonsense", "not a proposal"),
    ],
)
def test_a_proposal_in_bad_shape_is_rejected_with_its_reason(proposal: Proposal, why: str) -> None:
    it = job(proposal)
    it.run(it.seed("go", "x", 1))
    assert it.outcomes("a") == ["rejected"]
    assert why in it.last("rejected")[0]["reason"]
    assert [f.key for f in it.core.facts()] == ["go"]


def test_a_slot_said_twice_in_one_run_is_said_not_at_all() -> None:
    it = job(say("k", "s", 1), say("k", "t", 1), say("k", "s", 1))
    it.run(it.seed("go", "x", 1))
    assert sorted(it.outcomes("a")) == ["accepted", "rejected", "rejected"]
    assert it.value("k", "s") is None
    assert it.value("k", "t") == 1


def test_what_is_refused_now_takes_back_what_was_said_before() -> None:
    it = job(say("k", "s", 1))
    it.run(it.seed("go", "x", 1))
    it.says["a"] = [say("k", "s", 2, 1.5)]
    it.run(it.row("add_fact", "go", "y", 1))
    assert it.outcomes("a") == ["rejected"]
    assert it.status("k", "s") == "empty"


def test_a_ruling_beside_something_refused_is_refused_as_well() -> None:
    spec = pack(aggregate("agg", "k"), rules=(rule("aggregation", "k", agent="agg"),))
    it = Job(spec, {"agg": [say("k", "s", 3), say("other", "s", 3)]})
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    assert it.outcomes("agg") == ["rejected", "rejected"]
    assert it.status("k", "s") == "contested"


def test_a_repetition_leaves_no_merge_entry() -> None:
    it = job(say("k", "s", 1))
    it.run(it.seed("go", "x", 1))
    it.run(it.row("add_fact", "go", "y", 1))
    assert it.outcomes("a") == []
    assert it.last("run")[0]["said"] == 1
