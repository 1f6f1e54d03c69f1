"""Approval: what would stand stands only once that very value is approved (section 3), and the traps seen elsewhere."""

from __future__ import annotations

import pytest

from runtime.engine import Run
from tests.engine.jobs import Job, aggregate, each, pack, rule, say, whole

ONE = (rule("approval", "k"),)


def held(rules: tuple = ONE, value: object = 1, **more: object) -> Job:
    it = Job(pack(rules=rules, keys=["k"], **more))  # type: ignore[arg-type]
    assert it.run(it.seed("k", "s", value)).reason == "waiting"
    assert it.status("k", "s") == "held"
    return it


def test_the_approved_value_stands() -> None:
    it = held()
    assert it.run(it.row("approve", "k", "s", version=it.version("k", "s"))).reason == "converged"
    assert it.value("k", "s") == 1


def test_an_approval_is_asked_with_what_it_is_about() -> None:
    it = held()
    asked = it.last("approval")[0]
    assert (asked["action"], asked["value"], asked["have"], asked["need"]) == ("asked", 1, 0, 1)
    assert asked["version"] == it.version("k", "s")


def test_a_refused_value_never_stands_and_is_a_gap_not_a_wait() -> None:
    it = held()
    assert it.run(it.row("refuse", "k", "s")).reason == "partial"
    assert it.status("k", "s") == "empty"
    assert it.gaps() == ["refused"]
    commit = it.step(it.row("approve", "k", "s"))
    assert commit.receipts[0].result == "stale"
    assert it.status("k", "s") == "empty"


def test_an_approval_stays_good_if_its_value_returns_and_covers_no_other() -> None:
    it = held((rule("approval", "k", exclude_submitter=True),), submitter="ada")
    it.run(it.row("approve", "k", "s", by="otto"))
    it.run(it.row("decide", "k", "s", 2, by="ada"))
    assert it.status("k", "s") == "held"
    it.run(it.row("undo", "k", "s"))
    assert it.value("k", "s") == 1


def test_equal_values_share_an_approval_whatever_their_evidence() -> None:
    """Trap: equality that included timestamps made identical values conflict."""
    it = held()
    it.run(it.row("approve", "k", "s"))
    it.run(it.seed("k", "s", 1.0, at="2030-01-01"))
    assert it.value("k", "s") == 1


def test_two_held_values_of_one_merge_are_approved_one_by_one() -> None:
    """Trap: a second gated proposal in the same merge was promoted unapproved."""
    it = Job(pack(whole("a", "", "k"), rules=ONE), {"a": [say("k", "s", 1), say("k", "t", 2)]})
    it.run()
    it.run(it.row("approve", "k", "s", version=it.version("k", "s")))
    assert (it.value("k", "s"), it.status("k", "t")) == (1, "held")


def test_several_people_must_approve_and_each_counts_once() -> None:
    it = held((rule("approval", "k", count=2),))
    it.run(it.row("approve", "k", "s", by="ada"))
    it.run(it.row("approve", "k", "s", by="ada"))
    assert it.status("k", "s") == "held"
    it.run(it.row("approve", "k", "s", by="otto"))
    assert it.value("k", "s") == 1


def test_the_submitter_cannot_approve_where_the_rule_says_so() -> None:
    it = held((rule("approval", "k", exclude_submitter=True),), submitter="ada")
    commit = it.step(it.row("approve", "k", "s", by="ada"))
    assert commit.receipts[0].result == "refused"
    assert it.status("k", "s") == "held"
    it.run(it.row("decide", "k", "s", 1, by="ada"))
    assert it.status("k", "s") == "held", "a decision is no way around it"
    it.run(it.row("approve", "k", "s", by="otto"))
    assert it.value("k", "s") == 1


def test_only_members_of_the_named_groups_count() -> None:
    it = held((rule("approval", "k", groups=("legal",)),))
    commit = it.step(it.row("approve", "k", "s", groups=("operator",)))
    assert commit.receipts[0].result == "refused"
    it.run(it.row("approve", "k", "s", by="otto", groups=("operator", "legal")))
    assert it.value("k", "s") == 1


def test_a_decision_counts_as_that_persons_approval_and_no_more() -> None:
    it = Job(pack(rules=(rule("approval", "k", count=2),), keys=["k"]))
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    it.run(it.row("decide", "k", "s", 2, by="ada"))
    assert it.status("k", "s") == "held"
    it.run(it.row("approve", "k", "s", by="ada"))
    assert it.status("k", "s") == "held", "ada has been counted"
    it.run(it.row("approve", "k", "s", by="otto"))
    assert it.value("k", "s") == 2


def test_every_approval_rule_must_be_satisfied() -> None:
    rules = (
        rule("approval", "k", name="one"),
        rule("approval", "k", "value > 5", groups=("legal",), name="large"),
    )
    small, large = held(rules, 1), held(rules, 9)
    for it in (small, large):
        it.run(it.row("approve", "k", "s", groups=("operator",)))
    assert (small.value("k", "s"), large.status("k", "s")) == (1, "held")


def test_a_condition_that_cannot_be_evaluated_waits_for_a_person() -> None:
    it = held((rule("approval", "k", "value.amount > 5"),), "a text")
    assert it.status("k", "s") == "held"


def test_an_answer_to_an_older_state_is_stale() -> None:
    """Trap: a stale answer that hit a later gate."""
    it = held((rule("approval", "k", exclude_submitter=True),), submitter="ada")
    version = it.version("k", "s")
    it.run(it.row("add_fact", "k", "s", 2))
    assert it.status("k", "s") == "contested"
    it.run(it.row("decide", "k", "s", 2))
    assert it.status("k", "s") == "held"
    commit = it.step(it.row("approve", "k", "s", by="otto", version=version))
    assert commit.receipts[0].result == "stale"
    assert it.status("k", "s") == "held"


def test_a_double_answer_has_one_effect() -> None:
    """Trap: a double click that reverted."""
    it = held()
    version = it.version("k", "s")
    commit = it.step(*(it.row("approve", "k", "s", version=version) for _ in range(2)))
    assert [r.result for r in commit.receipts] == ["applied", "stale"]
    assert it.value("k", "s") == 1


def test_nobody_downstream_sees_what_is_held() -> None:
    seen = []

    def look(run: Run) -> list:
        seen.append(
            (len(run.view["k"]), run.view["k"].held, run.view.status("k", "s"), run.view.fact("k", "s"))
        )
        return []

    it = Job(pack(whole("reader", "k", "out"), each("visitor", "k", "out"), rules=ONE), {"reader": look})
    it.run(it.seed("k", "s", 1))
    assert seen == [(0, ["s"], "held", None)]
    assert it.all("run") == [e for e in it.all("run") if e["agent"] == "reader"]


def test_a_reader_is_not_asked_again_because_what_is_held_grew_stronger() -> None:
    it = Job(pack(whole("reader", "k", "out"), rules=ONE), {"reader": []})
    it.run(it.seed("k", "s", 1, 0.5))
    it.run(it.row("add_fact", "k", "s", 1, confidence=0.9))
    assert it.ran == []


@pytest.mark.parametrize("value", [3, 5])
def test_a_ruling_needs_approval_like_any_value(value: int) -> None:
    rules = (rule("aggregation", "k", agent="agg"), rule("approval", "k", "value > 4"))
    it = Job(pack(aggregate("agg", "k"), rules=rules), {"agg": [say("k", "s", value)]})
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    assert it.status("k", "s") == ("fact" if value == 3 else "held")


def test_only_rules_about_the_held_value_give_anybody_a_say() -> None:
    """Trap: an approval acknowledged without effect."""
    rules = (
        rule("approval", "k", "value > 5", name="large", groups=("legal",)),
        rule("approval", "k", "value <= 5", name="small", groups=("operator",)),
    )
    it = held(rules, 9)
    for act in ("approve", "refuse"):
        assert it.step(it.row(act, "k", "s", groups=("operator",))).receipts[0].result == "refused"
        assert it.status("k", "s") == "held"
    it.run(it.row("approve", "k", "s", by="otto", groups=("legal",)))
    assert it.value("k", "s") == 9


def test_who_has_no_say_cannot_refuse_either() -> None:
    it = held((rule("approval", "k", groups=("legal",)),))
    assert it.step(it.row("refuse", "k", "s", groups=("operator",))).receipts[0].result == "refused"
    assert it.status("k", "s") == "held"
