"""What a rule says shall happen at its deadline happens to the very question it asked, and to no other (D9.2)."""

from __future__ import annotations

import json

import pytest

from runtime.engine import Core, InboxRow
from runtime.engine.replay import RecordedCycle, replay
from tests.engine.jobs import Job, pack, rule


def asked(outcome: str, kind: str = "operator", **more: object) -> Job:
    """A job in which people are asked about k / s, under a rule with a deadline."""
    params = {"deadline": 60, "outcome": outcome, **more}
    it = Job(pack(rules=[rule(kind, "k", name="in time", **params)], keys=["k"]))
    seeds = [it.seed("k", "s", 1, 0.9), it.seed("k", "s", 2, 0.6)]
    it.run(*(seeds if kind == "operator" else seeds[:1]))
    return it


def expire(it: Job, on: str = "in time", **more: object) -> tuple[str, str]:
    it.run(it.row("expire", "k", "s", by="@clock", on=on, **more))  # type: ignore[arg-type]
    receipt = it.commits[-1].receipts[-1] if it.commits[-1].receipts else it.commits[-2].receipts[-1]
    return receipt.result, receipt.message


def test_strongest_side_stands_at_the_deadline() -> None:
    it = asked("strongest")
    assert expire(it, version=it.version("k", "s")) == (
        "applied",
        "nobody decided in time; the strongest side stands",
    )
    assert it.value("k", "s") == 1


def test_no_side_is_taken_when_two_are_equally_strong() -> None:
    it = asked("strongest")
    it.run(it.seed("k", "s", 3, 0.9))
    assert expire(it)[0] == "refused"
    assert it.status("k", "s") == "contested"


def test_nothing_stands_where_the_rule_rejects() -> None:
    it = asked("reject")
    assert expire(it)[0] == "applied"
    assert it.status("k", "s") == "empty"


def test_question_stays_open_where_the_rule_says_so() -> None:
    it = asked("stay")
    assert expire(it) == ("refused", "the rule lets it stay open")
    assert it.status("k", "s") == "contested"


def test_what_the_clock_decided_a_person_undoes() -> None:
    it = asked("reject")
    expire(it)
    it.run(it.row("undo", "k", "s"))
    assert it.status("k", "s") == "contested"


def test_deadline_of_other_sides_is_stale() -> None:
    """Trap: a leftover timer that resumed."""
    it = asked("reject")
    seen = it.version("k", "s")
    it.run(it.seed("k", "s", 3, 0.1))
    assert expire(it, version=seen)[0] == "stale"
    assert it.status("k", "s") == "contested"


def test_deadline_of_another_rule_does_not_hit_a_later_gate() -> None:
    """Trap: a stale answer that hit a later gate."""
    gates = [
        rule("approval", "k", name="first", deadline=60, outcome="strongest"),
        rule("approval", "k", name="second", deadline=60, outcome="strongest"),
    ]
    it = Job(pack(rules=gates, keys=["k"]))
    it.run(it.seed("k", "s", 1))
    assert expire(it, "second")[0] == "stale"
    assert expire(it, "first")[0] == "applied"
    assert it.status("k", "s") == "held", "the second gate still asks"
    assert it.last("approval")[-1]["rule"] == "second"
    assert expire(it, "first")[0] == "stale"
    assert it.status("k", "s") == "held"


def test_held_value_stands_or_falls_at_the_deadline() -> None:
    passed, refused = asked("strongest", "approval"), asked("reject", "approval")
    assert expire(passed)[0] == expire(refused)[0] == "applied"
    assert (passed.value("k", "s"), refused.status("k", "s")) == (1, "empty")
    assert refused.gaps() == ["refused"]


def test_value_that_a_deadline_let_pass_is_not_another_value() -> None:
    it = asked("strongest", "approval", count=2)
    expire(it)
    it.run(it.row("decide", "k", "s", 5))
    assert it.status("k", "s") == "held"


def test_clock_is_nobody_who_approves() -> None:
    """A deadline decides a conflict; the approval of what then would stand is still asked of people."""
    rules = [
        rule("operator", "k", name="in time", deadline=60, outcome="strongest"),
        rule("approval", "k", name="signed"),
    ]
    it = Job(pack(rules=rules, keys=["k"]))
    it.run(it.seed("k", "s", 1, 0.9), it.seed("k", "s", 2, 0.6))
    assert expire(it)[0] == "applied"
    assert it.status("k", "s") == "held"


@pytest.mark.parametrize("act", ["decide", "undo"])
def test_decision_needs_a_say_under_the_rule_that_asks(act: str) -> None:
    it = Job(pack(rules=[rule("operator", "k", name="legal decides", groups=["legal"])], keys=["k"]))
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    if act == "undo":
        it.run(it.row("decide", "k", "s", 1, groups=("legal",)))
        assert it.value("k", "s") == 1
    before = it.status("k", "s")
    commit = it.step(it.row(act, "k", "s", 2 if act == "decide" else None, groups=("operator",)))
    assert commit.receipts[0].result == "refused"
    assert it.status("k", "s") == before


def test_decision_cannot_be_had_before_the_question_is_asked() -> None:
    it = Job(pack(rules=[rule("operator", "k", groups=["legal"])], keys=["k"]))
    commit = it.step(it.seed("k", "s", 1), it.row("decide", "k", "s", 2, groups=("operator",)))
    assert commit.receipts[0].result == "refused"
    assert it.value("k", "s") == 1


def test_submitter_decides_no_conflict_of_his_where_the_rule_says_so() -> None:
    it = Job(pack(rules=[rule("operator", "k", exclude_submitter=True)], keys=["k"], submitter="ada"))
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    assert it.step(it.row("decide", "k", "s", 1, by="ada")).receipts[0].result == "refused"
    assert it.step(it.row("decide", "k", "s", 1, by="otto")).receipts[0].result == "applied"


def test_another_rule_that_asks_with_a_policy_makes_it_another_question() -> None:
    """The sides' values are the same, but somebody else is asked now."""
    rules = [
        rule(
            "operator",
            "k",
            name="sure",
            priority=1,
            expression="sides.exists(s, s.confidence > 0.8)",
            deadline=60,
        ),
        rule("operator", "k", name="unsure", priority=2, deadline=90),
    ]
    it = Job(pack(rules=rules, keys=["k"]))
    it.run(it.seed("k", "s", 1, 0.5), it.seed("k", "s", 2, 0.6))
    assert it.last("conflict")[0]["rule"] == "unsure"
    it.run(it.seed("k", "s", 1, 0.9))
    assert (it.last("conflict")[0]["action"], it.last("conflict")[0]["rule"]) == ("changed", "sure")


def test_deadlines_replay_to_the_same_digest() -> None:
    it = asked("strongest", "approval")
    expire(it)
    cycles = [
        RecordedCycle(c.number, c.first_seq, c.digest, [bytes(e.body) for e in c.entries]) for c in it.commits
    ]
    again: Core = replay(it.core.pack, cycles)
    assert again.digest == it.core.digest
    rows = [json.loads(e.body) for c in it.commits for e in c.entries if e.kind == "inbox"]
    assert (rows[0]["by"], rows[0]["on"]) == ("@clock", "in time")
    assert InboxRow(1, "expire", "@clock").none is False


def test_what_a_deadline_takes_is_no_surer_than_it_was_said() -> None:
    """Nobody looked at it: an approval that is asked for what is unsure is asked for this, too."""
    rules = [
        rule("operator", "k", name="in time", deadline=60, outcome="strongest"),
        rule("approval", "k", name="signed if unsure", expression="confidence < 0.95"),
    ]
    it = Job(pack(rules=rules, keys=["k"]))
    it.run(it.seed("k", "s", 1, 0.9), it.seed("k", "s", 2, 0.6))
    expire(it)
    assert it.status("k", "s") == "held"
    it = asked("strongest")
    expire(it)
    fact = it.core.fact("k", "s")
    assert fact is not None
    assert fact.confidence == 0.9


def test_who_decided_under_a_rule_undoes_under_that_rule() -> None:
    rules = [
        rule("operator", "k", name="two", priority=1, expression="size(sides) == 2", groups=["finance"]),
        rule("operator", "k", name="more", priority=2, groups=["legal"]),
    ]
    it = Job(pack(rules=rules, keys=["k"]))
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    it.run(it.row("decide", "k", "s", 1, groups=("finance",)))
    assert it.step(it.row("undo", "k", "s", groups=("legal",))).receipts[0].result == "refused"
    assert it.step(it.row("undo", "k", "s", groups=("finance",))).receipts[0].result == "applied"


def test_nobody_gets_a_say_by_making_a_condition_false() -> None:
    only = rule("operator", "k", expression="size(sides) == 2", groups=["legal"])
    it = Job(pack(rules=[only], keys=["k"]))
    it.run(it.seed("k", "s", 1), it.seed("k", "s", 2))
    it.run(it.row("add_fact", "k", "s", 9, by="otto", confidence=0.01, groups=("operator",)))
    assert (
        it.step(it.row("decide", "k", "s", 2, by="otto", groups=("operator",))).receipts[0].result
        == "refused"
    )


def test_decision_made_under_another_rule_is_stale() -> None:
    rules = [
        rule(
            "operator",
            "k",
            name="sure",
            priority=1,
            expression="sides.exists(s, s.confidence > 0.8)",
            deadline=60,
        ),
        rule("operator", "k", name="unsure", priority=2, deadline=90),
    ]
    it = Job(pack(rules=rules, keys=["k"]))
    it.run(it.seed("k", "s", 1, 0.5), it.seed("k", "s", 2, 0.6))
    version = it.version("k", "s")
    it.run(it.seed("k", "s", 1, 0.9))
    commit = it.step(it.row("decide", "k", "s", 1, version=version, on="unsure"))
    assert commit.receipts[0].result == "stale"


def test_decision_for_a_refused_value_says_so() -> None:
    """Trap: acknowledged without effect."""
    it = asked("reject", "approval")
    expire(it)
    commit = it.step(it.row("decide", "k", "s", 1))
    assert commit.receipts[0][1:] == ("refused", "the deadline refused this very value; undo that first")
    it.run(it.row("undo", "k", "s"))
    assert it.status("k", "s") == "held"
