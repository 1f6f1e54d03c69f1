"""Deadlines, decisions that were taken back, and places of drafts: what a backtest makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtime.actions.backtests import change_of
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.rules import activate_rule, draft_from, draft_rule, with_draft
from runtime.backtest import Flip, RuleChange, change_pack, compare
from runtime.engine import PackSpec, RuleSpec
from runtime.models import GovernanceRule, Pack
from tests.engine.jobs import Job, pack, rule
from tests.engine.lockstep import recorded
from tests.runtime.fixtures import Use
from tests.runtime.stage import person


def flips(job: Job, change: RuleChange) -> list[Flip]:
    return compare(job.core.pack, recorded(job.commits), change)


def in_place(old: RuleSpec, **params: Any) -> RuleChange:
    """A draft that takes the place of `old`, with some of its parameters changed; None takes one out."""
    said = {name: value for name, value in {**old.params, **params}.items() if value is not None}
    return RuleChange(replace(old, name="draft", params=said), ("draft", old.name))


def turns(found: list[Flip]) -> list[tuple[str, str, int, bool]]:
    return [(f.kind, f.turn, f.cycle, f.lasting) for f in found]


# Values that wait for approval


def sign(**params: Any) -> RuleSpec:
    return rule("approval", "k", name="sign", **{"deadline": 60, **params})


def held(approval: RuleSpec, passes: bool = True) -> Job:
    """A value that waited for approval until its deadline."""
    job = Job(pack(rules=[approval], keys=["k"]))
    job.run(job.seed("k", "s", 1))
    assert job.status("k", "s") == "held"
    if passes:
        job.run(job.row("expire", "k", "s", by="@clock", on="sign"))
    return job


@pytest.mark.parametrize("outcome", ["strongest", "reject"])
def test_an_unchanged_copy_of_an_approval_rule_changes_nothing(outcome: str) -> None:
    old = sign(outcome=outcome)
    job = held(old)
    assert job.status("k", "s") == ("fact" if outcome == "strongest" else "empty")
    assert flips(job, in_place(old)) == []
    assert flips(job, in_place(old, deadline=30)) == []


def test_another_outcome_of_an_approval_rule_turns_what_its_deadline_did() -> None:
    old = sign(outcome="strongest")
    (flip,) = flips(held(old), in_place(old, outcome="reject"))
    assert (flip.cycle, flip.lasting) == (2, True)
    assert (flip.before["status"], flip.before["value"], flip.after["status"]) == ("fact", 1, "empty")
    assert (flip.before["rule"], flip.before["why"]) == ("sign", "nobody answered in time")
    assert (flip.after["rule"], flip.after["why"]) == ("draft", "nobody answered in time")
    old = sign(outcome="reject")
    (flip,) = flips(held(old), in_place(old, outcome="strongest"))
    assert (flip.before["status"], flip.after["status"], flip.after["value"]) == ("empty", "fact", 1)


def test_without_a_deadline_it_would_still_wait() -> None:
    for outcome in ("strongest", "reject"):
        old = sign(outcome=outcome)
        found = flips(held(old), in_place(old, deadline=None, outcome=None))
        assert turns(found) == [("hold", "held", 2, True)]


def test_a_deadline_is_no_answer_of_people() -> None:
    old = sign(outcome="strongest")
    (flip,) = flips(held(old), RuleChange(None, ("sign",)))
    assert (flip.turn, flip.cycle) == ("freed", 1) and "answer" not in flip.before


def test_an_answer_that_is_undone_is_none() -> None:
    job = held(sign(outcome="strongest"), passes=False)
    job.run(job.row("refuse", "k", "s"))
    job.run(job.row("undo", "k", "s"))
    assert job.status("k", "s") == "held"
    (flip,) = flips(job, RuleChange(None, ("sign",)))
    assert flip.turn == "freed" and "answer" not in flip.before and flip.lasting
    job.run(job.row("approve", "k", "s"))
    (flip,) = flips(job, RuleChange(None, ("sign",)))
    assert flip.before["answer"] == "approved"


def test_what_a_deadline_did_is_undone_for_the_draft_too() -> None:
    old = sign(outcome="strongest")
    job = held(old)
    job.run(job.row("undo", "k", "s"))
    assert job.status("k", "s") == "held"
    assert turns(flips(job, in_place(old, outcome="reject"))) == [("merge", "another", 2, False)]
    assert flips(job, in_place(old)) == []


# Conflicts


def people(**params: Any) -> RuleSpec:
    return rule("operator", "k", name="people", **{"deadline": 60, **params})


def asked(operator: RuleSpec, *others: RuleSpec, passes: bool = True, second: float = 0.3) -> Job:
    """Two sides, between which people were to decide until the deadline."""
    job = Job(pack(rules=[operator, *others], keys=["k"]))
    job.run(job.seed("k", "s", 1, 0.9), job.seed("k", "s", 2, second))
    assert job.status("k", "s") == "contested"
    if passes:
        job.run(job.row("expire", "k", "s", by="@clock", on="people"))
    return job


def test_an_unchanged_copy_of_an_operator_rule_changes_nothing() -> None:
    for outcome in ("strongest", "reject", "stay"):
        old = people(outcome=outcome)
        assert flips(asked(old, passes=outcome != "stay"), in_place(old)) == []


def test_another_outcome_of_an_operator_rule_turns_what_its_deadline_did() -> None:
    old = people(outcome="reject")
    job = asked(old)
    (flip,) = flips(job, in_place(old, outcome="strongest"))
    assert (flip.cycle, flip.lasting, flip.before["status"]) == (2, True, "empty")
    assert "by" not in flip.before and flip.before["rule"] == "people"
    assert flip.after == {
        "status": "fact",
        "value": 1,
        "confidence": 0.9,
        "rule": "draft",
        "why": "nobody decided in time",
    }
    assert turns(flips(job, in_place(old, outcome="stay"))) == [("merge", "asked", 2, True)]
    assert turns(flips(job, in_place(old, outcome=None, deadline=None))) == [("merge", "asked", 2, True)]
    job.run(job.row("undo", "k", "s"), job.row("decide", "k", "s", 1))
    (flip,) = flips(job, in_place(old, outcome="strongest"))
    assert not flip.lasting, "people decided after all, as it would have been"


def test_a_rule_that_goes_leaves_no_deadline_behind() -> None:
    job = asked(people(outcome="strongest"))
    assert turns(flips(job, RuleChange(None, ("people",)))) == [("merge", "asked", 2, True)]


def test_a_verdict_of_the_clock_is_no_decision_of_people() -> None:
    job = asked(people(outcome="strongest"))
    found = flips(job, RuleChange(rule("confidence", "k", name="draft", margin=0.4, priority=10), ("draft",)))
    assert turns(found) == [("merge", "settled", 1, False)]
    job = asked(people(outcome="reject"))
    found = flips(job, RuleChange(rule("confidence", "k", name="draft", margin=0.4, priority=10), ("draft",)))
    assert turns(found) == [("merge", "settled", 1, True)]


def test_what_people_decide_after_the_clock_is_a_decision() -> None:
    job = asked(people(outcome="strongest"))
    job.run(job.row("decide", "k", "s", 2))
    (flip,) = flips(
        job, RuleChange(rule("confidence", "k", name="draft", margin=0.4, priority=10), ("draft",))
    )
    assert (flip.kind, flip.turn, flip.before["by"], flip.cycle) == ("decision", "otherwise", "ada", 1)


UNKNOWN = {"status": "unknown", "agent": "people", "rule": "draft"}


def test_what_would_have_come_of_more_time_is_not_known() -> None:
    for old, job in (
        (people(outcome="reject"), asked(people(outcome="reject"))),
        (sign(outcome="reject"), held(sign(outcome="reject"))),
    ):
        (flip,) = flips(job, in_place(old, deadline=90))
        assert (flip.kind, flip.cycle, flip.lasting) == ("unknown", 2, True)
        assert flip.after.items() >= UNKNOWN.items() and "deadline" in flip.after["why"]


def test_whether_a_deadline_would_have_passed_is_not_known() -> None:
    old = people(outcome="stay")
    job = asked(old, passes=False)
    change = in_place(old, outcome="reject")
    (flip,) = flips(job, change)
    assert (flip.kind, flip.cycle, flip.lasting, flip.question) == ("unknown", 1, True, "conflict")
    assert flip.before == {"status": "contested"} and flip.after.items() >= UNKNOWN.items()
    job.run(job.row("decide", "k", "s", 2))
    (flip,) = flips(job, change)
    assert (flip.kind, flip.cycle, flip.lasting) == ("unknown", 1, False)
    approval = rule("approval", "k", name="sign")
    (flip,) = flips(held(approval, passes=False), in_place(approval, deadline=60, outcome="strongest"))
    assert (flip.kind, flip.cycle, flip.question) == ("unknown", 1, "hold")


def test_a_deadline_that_is_not_over_is_no_doubt() -> None:
    old = people(outcome="reject")
    job = asked(old, passes=False)
    assert flips(job, in_place(old, outcome="strongest")) == []
    assert flips(job, in_place(old, deadline=90)) == []
    assert turns(flips(job, in_place(old, deadline=30))) == [("unknown", "unknown", 1, True)]
    job.run(job.row("expire", "k", "s", by="@clock", on="people"))
    assert flips(job, in_place(old, deadline=30)) == [], "it had passed all the same"


def test_no_side_is_the_strongest_of_two_that_are_equal() -> None:
    old = people(outcome="reject")
    job = asked(old, second=0.9)
    assert turns(flips(job, in_place(old, outcome="strongest"))) == [("merge", "asked", 2, True)]
    old = people(outcome="strongest")
    job = asked(old, second=0.9, passes=False)  # the clock writes no row where no side is the strongest
    assert turns(flips(job, in_place(old, outcome="reject"))) == [("unknown", "unknown", 1, True)]


def test_nobody_is_asked_while_the_job_goes_on_by_itself() -> None:
    """A conflict that agents end before the job has stopped waits for no deadline worth speaking of."""
    old = people(outcome="stay")
    job = Job(pack(rules=[old], keys=["k"]))
    job.step(job.seed("k", "s", 1, 0.9), job.row("add_fact", "k", "s", 2))
    assert job.status("k", "s") == "contested"
    if job.commits[-1].stop is None:
        job.step(job.row("withdraw_fact", "k", "s"))
        assert flips(job, in_place(old, outcome="reject")) == []


# Decisions that were taken back

MARGIN = RuleChange(rule("confidence", "k", name="draft", margin=0.4, priority=10), ("draft",))


def test_a_decision_that_is_undone_is_not_named() -> None:
    job = asked(rule("operator", "k", name="people"), passes=False)
    job.run(job.row("decide", "k", "s", 2))
    assert [f.turn for f in flips(job, MARGIN)] == ["otherwise"]
    job.run(job.row("undo", "k", "s"))
    assert turns(flips(job, MARGIN)) == [("merge", "settled", 1, True)]
    job.run(job.row("decide", "k", "s", 1))
    assert turns(flips(job, MARGIN)) == [("decision", "same", 1, False)]


def test_a_decision_made_anew_is_the_one_that_is_named() -> None:
    job = asked(rule("operator", "k", name="people"), passes=False)
    job.run(job.row("decide", "k", "s", 2))
    job.run(job.row("undo", "k", "s"), job.row("decide", "k", "s", 1))
    assert turns(flips(job, MARGIN)) == [("decision", "same", 1, False)]
    job.run(job.row("decide", "k", "s", 2, by="otto"))
    (flip,) = flips(job, MARGIN)
    assert (flip.turn, flip.before["by"], flip.lasting) == ("otherwise", "otto", True)


# Places

CLEAR = rule("confidence", "k", name="clear", margin=0.4)


def names(spec: PackSpec) -> list[str]:
    return [r.name for r in sorted(spec.rules, key=lambda r: r.priority)]


def test_what_takes_a_rules_place_is_asked_there() -> None:
    operator = rule("operator", "k", name="people")
    job = Job(pack(rules=[CLEAR, operator], keys=["k"]))
    job.run(job.seed("k", "s", 1, 0.9), job.seed("k", "s", 2, 0.3))
    change = RuleChange(replace(CLEAR, name="draft"), ("draft", "clear"))
    assert names(change_pack(job.core.pack, change)) == ["draft", "people"]
    assert flips(job, change) == []
    before = RuleChange(replace(CLEAR, name="draft"), ("draft",), ("people",))
    assert names(change_pack(job.core.pack, before)) == ["clear", "draft", "people"]
    last = RuleChange(replace(CLEAR, name="draft"), ("draft",))
    assert names(change_pack(job.core.pack, last)) == ["clear", "people", "draft"]
    assert RuleChange.from_json(before.to_json()) == before
    assert RuleChange.from_json({"add": None, "without": ["clear"]}) == RuleChange(None, ("clear",))


@pytest.fixture
def market(use_packs: Use, db: None) -> Pack:
    """A pack of two rules of one priority, by code: a clear margin, then people."""
    use_packs("timed")
    return Pack.objects.get(name="timed")


def draft(found: Pack, name: str, **settings: Any) -> GovernanceRule:
    placing = {k: settings.pop(k) for k in ("before", "replaces") if k in settings}
    said = {"name": name, "kind": "confidence", "keys": ["price"], "params": {"margin": 0.4}, **settings}
    return draft_rule(person("ada", "admin"), found.pk, said, "so", **placing)


def activate(row: GovernanceRule) -> GovernanceRule:
    retires = row.replaces_id if row.replaces is not None and row.replaces.is_active else None
    return activate_rule(person("ada", "admin"), row.pk, "so", version=row.version, retires=retires)


def test_a_draft_stands_in_a_backtest_where_jobs_would_ask_it(market: Pack) -> None:
    frozen = pack_spec_from_rows(market)
    asking = market.rules.get(name="price in time")
    first = activate(draft(market, "first"))
    second = activate(draft(market, "second"))
    now = pack_spec_from_rows(market)
    again = draft_from(person("ada", "admin"), first.pk)
    drafts = [
        again,
        draft_from(person("ada", "admin"), second.pk),
        draft_from(person("ada", "admin"), asking.pk),
        draft(market, "learned", before=asking),
        draft(market, "learned too", before=second),
        draft(market, "sooner", replaces=second, priority=10),
        draft(market, "last"),
    ]
    for row in drafts:
        assert names(change_pack(now, change_of(row))) == names(with_draft(row, now)), row.name
    # A job of earlier has only the rules from code; and one may have an earlier one of those that followed each other.
    assert names(change_pack(frozen, change_of(drafts[3]))).index("learned") == names(frozen).index(
        "price in time"
    )
    activate(again)
    third = draft_from(person("ada", "admin"), again.pk)
    assert names(change_pack(now, change_of(third))) == [
        third.name if name == "first" else name for name in names(now)
    ]
