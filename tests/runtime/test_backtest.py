"""What other rules would have made different in a recorded job: an example for each kind of flip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from runtime.backtest import KINDS, CannotCompare, Flip, RuleChange, compare, scope_of
from runtime.engine import AgentSpec, PackSpec, RuleSpec
from runtime.engine.replay import ReplayError
from tests.engine.jobs import BROKEN, Job, pack, say, whole
from tests.engine.lockstep import recorded


def flips(job: Job, change: RuleChange) -> list[Flip]:
    found = compare(job.core.pack, recorded(job.commits), change)
    assert is_felt(job, change) or not found, "it would have been passed over"
    return found


def is_felt(job: Job, change: RuleChange) -> bool:
    """Whether the record holds anything by which the change can be felt."""
    scope = scope_of(job.core.pack, change)
    said = [e for c in job.commits for e in c.entries if e.key in scope.keys]
    felt = [e for e in said if (e.now or not scope.shown) and (e.kind in scope.kinds or not scope.kinds)]
    return scope.everywhere or bool(felt)


def draft(kind: str, keys: str = "k", replaces: str = "", **more: Any) -> RuleChange:
    expression = more.pop("expression", "")
    rule = RuleSpec("draft", kind, tuple(keys.split()), more.pop("priority", 100), more, expression)  # type: ignore[arg-type]
    return RuleChange(rule, ("draft", replaces) if replaces else ("draft",))


def market(*rules: RuleSpec, agents: Sequence[AgentSpec] = (), **more: Any) -> PackSpec:
    return pack(*agents, rules=rules, keys=["k", "other"], **more)


def disputed(spec: PackSpec, register: float = 0.6, web: float = 0.7) -> Job:
    """Two sources disagree about k / s."""
    job = Job(spec)
    job.run(job.seed("k", "s", 1, register, source="register"), job.seed("k", "s", 2, web, source="web"))
    return job


REGISTER = {"sources": ("register",)}
BY_MARGIN = RuleSpec("margin", "confidence", ("k",), params={"margin": 0.3})


def test_what_was_contested_would_have_been_settled() -> None:
    (flip,) = flips(disputed(market()), draft("dominance", **REGISTER))
    assert (flip.kind, flip.turn, flip.key, flip.subject, flip.cycle) == ("merge", "settled", "k", "s", 1)
    assert flip.before == {"status": "contested"}
    assert flip.after == {
        "status": "fact",
        "value": 1,
        "confidence": 0.6,
        "rule": "draft",
        "why": "one side has a dominant voice",
    }
    assert flip.lasting and (flip.question, flip.asked_cycle) == ("conflict", 1)


def test_another_value_would_have_stood() -> None:
    job = disputed(market(BY_MARGIN), web=0.95)
    assert job.value("k", "s") == 2
    (flip,) = flips(job, draft("dominance", **REGISTER, priority=10))
    assert (flip.turn, flip.before["value"], flip.after["value"]) == ("another", 2, 1)
    assert (flip.before["rule"], flip.question) == ("margin", "")
    assert flips(job, draft("dominance", **REGISTER, priority=200)) == []  # it would not have been reached


def test_what_lost_at_once_might_have_stood() -> None:
    job = Job(market(BY_MARGIN))
    job.run(job.seed("k", "s", 2, 0.95, source="web"), job.seed("k", "s", 1, 0.2, source="register"))
    assert [e.kind for e in job.commits[0].entries if e.key] == ["accepted", "lost"]
    (flip,) = flips(job, draft("dominance", **REGISTER, priority=10))
    assert (flip.turn, flip.after["value"]) == ("another", 1)


def test_one_side_alone_is_passed_over() -> None:
    job = Job(market(BY_MARGIN))
    job.run(job.seed("k", "s", 1, 0.9, source="web"), job.seed("k", "s", 1, 0.2, source="register"))
    change = draft("dominance", **REGISTER)
    assert not is_felt(job, change) and is_felt(job, draft("approval"))
    assert flips(job, change) == []


def test_a_rule_that_goes_would_have_left_the_question_to_people() -> None:
    job = disputed(market(BY_MARGIN), web=0.95)
    (flip,) = flips(job, RuleChange(None, ("margin",)))
    assert (flip.kind, flip.turn, flip.after) == ("merge", "asked", {"status": "contested"})


def test_a_draft_takes_the_place_of_the_rule_it_replaces() -> None:
    job = disputed(market(BY_MARGIN), web=0.95)
    (flip,) = flips(job, draft("confidence", replaces="margin", margin=0.5))
    assert flip.turn == "asked"
    assert flips(job, draft("confidence", replaces="margin", margin=0.2)) == []


@pytest.mark.parametrize(
    ("choice", "turn", "lasting"), [(1, "same", False), (2, "otherwise", True), (None, "otherwise", True)]
)
def test_people_were_asked_and_the_rule_would_have_asked_nobody(
    choice: int | None, turn: str, lasting: bool
) -> None:
    job = disputed(market())
    job.run(job.row("decide", "k", "s", choice, none=choice is None))
    (flip,) = flips(job, draft("dominance", **REGISTER))
    assert (flip.kind, flip.turn, flip.lasting, flip.cycle) == ("decision", turn, lasting, 1)
    ruled = {"none": True} if choice is None else {"value": choice}
    assert flip.before == {"status": "decided", "by": "ada", **ruled}
    assert (flip.after["value"], flip.question) == (1, "conflict")


def test_people_would_have_been_asked_all_the_same_when_they_decided() -> None:
    """The rule decided at first; by the time people did, another voice had joined that it cannot weigh."""
    job = disputed(market())
    job.run(job.row("add_fact", "k", "s", 3, confidence=0.9))
    job.run(job.row("decide", "k", "s", 1))
    margin = draft("confidence", margin=0.1)
    (flip,) = flips(job, margin)
    assert (flip.kind, flip.turn, flip.cycle, flip.after["value"]) == ("decision", "otherwise", 1, 3)
    job = disputed(market())
    job.run(job.row("add_fact", "k", "s", 3, confidence=0.7))
    job.run(job.row("decide", "k", "s", 1))
    (flip,) = flips(job, margin)
    assert (flip.kind, flip.turn, flip.after["value"], flip.lasting) == ("merge", "settled", 2, False)


def test_who_decides_unasked_is_not_counted_as_asked() -> None:
    job = disputed(market(BY_MARGIN), web=0.95)
    job.run(job.row("decide", "k", "s", 7))
    (flip,) = flips(job, draft("dominance", **REGISTER, priority=10))
    assert (flip.kind, flip.lasting) == ("merge", False)  # what the person decided stands under any rule


def test_a_decision_that_is_undone_is_none() -> None:
    job = disputed(market())
    job.run(job.row("decide", "k", "s", 2))
    job.run(job.row("undo", "k", "s"))
    (flip,) = flips(job, draft("dominance", **REGISTER))
    assert (flip.kind, flip.turn, flip.cycle, flip.lasting) == ("merge", "settled", 1, True)


def test_a_value_would_have_waited_for_approval() -> None:
    job = Job(market())
    job.run(job.seed("k", "s", 1, 0.6), job.seed("k", "t", 5))
    (flip,) = flips(job, draft("approval", count=1, expression="value > 2"))
    assert (flip.kind, flip.turn, flip.subject, flip.lasting) == ("hold", "held", "t", True)
    assert (flip.after["value"], flip.after["rule"]) == (5, "draft")


@pytest.mark.parametrize(
    ("act", "answer", "lasting"), [("approve", "approved", False), ("refuse", "refused", True)]
)
def test_a_value_would_not_have_waited(act: str, answer: str, lasting: bool) -> None:
    job = Job(market(RuleSpec("sign", "approval", ("k",), params={"count": 1})))
    job.run(job.seed("k", "s", 1))
    job.run(job.row(act, "k", "s"))
    (flip,) = flips(job, RuleChange(None, ("sign",)))
    assert (flip.kind, flip.turn, flip.lasting, flip.question) == ("hold", "freed", lasting, "hold")
    assert (flip.before["value"], flip.before["answer"], flip.after["value"]) == (1, answer, 1)


def test_a_question_nobody_answered_is_no_answer() -> None:
    job = Job(market(RuleSpec("sign", "approval", ("k",), params={"count": 1})))
    job.run(job.seed("k", "s", 1))
    (flip,) = flips(job, RuleChange(None, ("sign",)))
    assert "answer" not in flip.before and flip.lasting


def test_what_settles_a_conflict_may_itself_have_to_wait() -> None:
    job = disputed(market(RuleSpec("sign", "approval", ("k",), params={"count": 1})))
    job.run(job.row("decide", "k", "s", 1))
    found = flips(job, draft("dominance", **REGISTER))
    assert [(f.kind, f.turn, f.cycle) for f in found] == [("hold", "held", 1)]  # people would have been asked


# Constraints


def teller(*rules: RuleSpec) -> Job:
    """An agent that says k / s = 3 when it sees other / s, and says it again in the next cycle."""
    agents = [whole("tell", "other", "k", required=True)]
    job = Job(market(*rules, agents=agents), {"tell": [say("k", "s", 3)]})
    job.run(job.seed("other", "s", 3))
    return job


def test_a_statement_would_have_been_refused() -> None:
    job = teller()
    (flip,) = flips(job, draft("constraint", expression="value < 3"))
    assert (flip.kind, flip.turn, flip.key, flip.subject, flip.lasting) == (
        "refusal",
        "refused",
        "k",
        "s",
        True,
    )
    assert flip.before == {"status": "said", "agent": "tell", "confidence": 1.0, "value": 3}
    assert flip.after["why"] == "draft: breaks the constraint: value < 3"
    assert flips(job, draft("constraint", expression="value < 4")) == []


def test_a_constraint_is_judged_on_the_view_of_its_cycle() -> None:
    """What the agent says in the same cycle is not on the view: only when it says it again is there a fact k / s."""
    job = teller()
    change = draft("constraint", expression='fact("k", subject) == null')
    assert flips(job, change) == []
    job.run(job.seed("other", "t", 1))
    (flip,) = flips(job, change)
    assert flip.cycle == job.core.cycle
    (flip,) = flips(job, draft("constraint", expression='fact("other", subject) != 3'))
    assert flip.cycle == 1


def test_a_statement_that_was_refused_anyway_is_no_flip() -> None:
    job = teller(RuleSpec("small", "constraint", ("k",), expression="value < 2"))
    assert flips(job, draft("constraint", expression="value < 3")) == []
    assert flips(job, draft("constraint", replaces="small", expression="value < 3")) == []
    (flip,) = flips(job, RuleChange(None, ("small",)))
    assert (flip.turn, flip.lasting, flip.before["status"], flip.after["status"]) == (
        "let in",
        True,
        "refused",
        "said",
    )


def test_a_decision_of_people_would_have_been_refused() -> None:
    job = disputed(market())
    job.run(job.row("decide", "k", "s", 9))
    (flip,) = flips(job, draft("constraint", expression="value < 9"))
    assert (flip.before["agent"], flip.before["value"], flip.lasting) == ("@operator", 9, True)


def test_listening_in_changes_nothing_of_the_record() -> None:
    job = teller(RuleSpec("small", "constraint", ("k",), expression="value < 2"))
    cycles = recorded(job.commits)
    cycles[0].bodies[0] = cycles[0].bodies[0].replace(b"3", b"4")
    with pytest.raises(ReplayError):
        compare(job.core.pack, cycles, draft("constraint", expression="value < 3"))


# Tiers


def test_a_tier_would_not_have_been_reached() -> None:
    job = teller()
    assert job.core.tier == 1
    (flip,) = flips(job, draft("invariant", expression='size(facts("k")) > 1', keys=""))
    assert (flip.kind, flip.turn, flip.before["tier"], flip.lasting) == ("tier", "lost", 1, True)
    assert "does not hold" in flip.after["why"]
    assert flips(job, draft("invariant", expression='size(facts("k")) == 1', keys="")) == []


def test_a_tier_would_have_been_reached() -> None:
    job = teller(RuleSpec("two", "invariant", expression='size(facts("k")) > 1'))
    assert job.core.tier == 0
    (flip,) = flips(job, RuleChange(None, ("two",)))
    assert (flip.turn, flip.lasting, flip.before["status"], flip.after["status"]) == (
        "gained",
        True,
        "missed",
        "reached",
    )
    assert "does not hold" in flip.before["why"]


def test_a_tier_that_something_else_keeps_is_not_gained() -> None:
    broken = RuleSpec("two", "invariant", expression='size(facts("k")) > 1')
    job = teller(broken, RuleSpec("three", "invariant", expression='size(facts("k")) > 2'))
    assert flips(job, RuleChange(None, ("two",))) == []


# What cannot be known, or does not matter


def judged(*rules: RuleSpec, judge: Any = None) -> Job:
    """Two seeds disagree, and an agent may rule on them."""
    says = judge or [say("k", "s", 2)]
    agent = AgentSpec("judge", "aggregate", over="k")
    job = Job(market(*rules, agents=[agent]), {"judge": (lambda run: says)})
    job.run(job.seed("k", "s", 1, 0.6, source="register"), job.seed("k", "s", 2, 0.7, source="web"))
    return job


RULES_FIRST = RuleSpec("judge it", "aggregation", ("k",), params={"agent": "judge"})


def test_a_ruling_that_is_not_on_record_is_unknown_and_never_settled() -> None:
    job = judged()
    job.run(job.row("decide", "k", "s", 2))
    (flip,) = flips(job, draft("aggregation", agent="judge"))
    assert (flip.kind, flip.turn, flip.cycle) == ("unknown", "unknown", 1)
    assert flip.after == {"status": "unknown", "agent": "judge"}
    assert flip.question == "conflict"


def test_a_ruling_that_is_on_record_is_no_guess() -> None:
    job = judged(RULES_FIRST)
    assert job.value("k", "s") == 2
    same = draft("aggregation", replaces="judge it", agent="judge")
    assert flips(job, same) == []
    found = flips(job, RuleChange(None, ("judge it",)))
    assert [(f.turn, f.cycle, f.lasting) for f in found] == [("asked", 1, True)]
    (flip,) = flips(job, draft("dominance", **REGISTER, priority=10))
    assert (flip.turn, flip.before["rule"], flip.after["value"]) == ("another", "judge it", 1)


def test_an_abstention_lets_the_rules_below_be_asked() -> None:
    """It leaves no entry about the slot: nothing there has changed in the record."""
    job = judged(RULES_FIRST, judge=BROKEN)
    job.says["judge"] = []
    job.run(job.row("retry"))
    assert job.status("k", "s") == "contested" and not [e for e in job.last() if e.get("key") == "k"]
    (flip,) = flips(job, draft("dominance", **REGISTER, priority=200))
    assert (flip.turn, flip.cycle, flip.after["value"]) == ("settled", 2, 1)


def test_a_discount_lowers_figures_and_nothing_else() -> None:
    job = disputed(market())
    change = draft("discount", keys="k", incomplete=0.5)
    assert flips(job, change) == []
    scope = scope_of(job.core.pack, change)
    assert not scope.everywhere and not scope.keys


def test_a_difference_that_passes_does_not_last() -> None:
    job = Job(market(), {})
    job.run(job.seed("k", "s", 1, 0.6, source="register"), job.seed("k", "t", 1))
    job.run(job.row("add_fact", "k", "s", 2, confidence=0.9))
    job.run(job.row("withdraw_fact", "k", "s"))
    (flip,) = flips(job, draft("dominance", **REGISTER))
    assert (flip.turn, flip.cycle, flip.lasting) == ("settled", 2, False)


def test_a_job_that_lacks_what_the_rule_names_is_not_compared() -> None:
    job = disputed(market())
    for change, why in (
        (draft("dominance", agents=("nobody",)), "its pack had no agent `nobody`"),
        (draft("dominance", keys="unheard", **REGISTER), "rule `draft` is about the key `unheard`, which"),
        (draft("aggregation", agent="judge"), "rule `draft` needs `agent`"),
        (RuleChange(None, ("margin",)), "it ran without this rule"),
    ):
        with pytest.raises(CannotCompare, match=why):
            flips(job, change)


def test_a_job_that_takes_too_long_is_given_up() -> None:
    job = disputed(market())
    with pytest.raises(CannotCompare, match="too long"):
        compare(job.core.pack, recorded(job.commits), draft("dominance", **REGISTER), is_late=lambda: True)


def test_a_large_value_is_told_by_its_beginning() -> None:
    job = Job(market())
    job.run(job.seed("k", "s", "x" * 5_000, 0.6, source="register"), job.seed("k", "s", 2, 0.7, source="web"))
    (flip,) = flips(job, draft("dominance", **REGISTER))
    assert (
        flip.after["brief"].startswith('"xxx') and flip.after["bytes"] == 5_002 and "value" not in flip.after
    )


def test_a_change_goes_into_a_row_and_comes_back() -> None:
    for change in (draft("dominance", **REGISTER), RuleChange(None, ("margin",))):
        again = RuleChange.from_json(change.to_json())
        assert again == change
    assert all(kind and turns for kind, turns in KINDS.items())
