"""What people are asked can be answered with what they were shown, and is shown to them at all."""

from __future__ import annotations

from runtime.engine import (
    AgentSpec,
    Core,
    Effect,
    Failure,
    InboxRow,
    KeySpec,
    PackSpec,
    Proposal,
    RuleSpec,
    Seed,
)
from runtime.engine.values import parse


def said(commit_entries: list[object], kind: str) -> list[dict[str, object]]:
    return [parse(e.body) for e in commit_entries if e.kind == kind]  # type: ignore[attr-defined]


def test_a_hold_is_still_answerable_when_a_losing_side_appears() -> None:
    rules = (
        RuleSpec("surer", "confidence", ("k",), params={"margin": 0.1}),
        RuleSpec("sign", "approval", ("k",)),
    )
    core = Core(PackSpec("p", keys=(KeySpec("k"),), rules=rules))
    core.begin([Seed(1, "k", "x", 1, 0.9)])
    asked = said(core.finish([]).entries, "approval")[0]
    core.begin([InboxRow(1, "add_fact", "vera", "k", "x", 2, confidence=0.1)])
    core.finish([])
    core.begin([InboxRow(2, "approve", "otto", "k", "x", version=str(asked["version"]))])
    assert [r.result for r in core.finish([]).receipts] == ["applied"]
    assert core.fact("k", "x").value == 1  # type: ignore[union-attr]


def test_a_conflict_is_up_to_people_when_its_aggregation_agent_fails() -> None:
    pack = PackSpec(
        "p",
        keys=(KeySpec("k"),),
        agents=(AgentSpec("judge", shape="aggregate", over="k"),),
        rules=(RuleSpec("judged", "aggregation", ("k",), params={"agent": "judge"}),),
    )
    core = Core(pack)
    runs = core.begin([Seed(1, "k", "x", 1), Seed(2, "k", "x", 2)])
    awaited: list[object] = []
    commit = None
    while commit is None or commit.stop is None:
        commit = core.finish([Effect(r.agent.name, r.item, (), Failure("agent_error", "no")) for r in runs])
        awaited += [row.get("awaiting") for row in said(commit.entries, "conflict")]
        if commit.stop is None:
            runs = core.begin([])
    assert commit.stop.reason == "waiting"
    assert awaited[-1] is None


def test_each_of_two_approval_rules_asks_in_turn() -> None:
    rules = tuple(
        RuleSpec(name, "approval", ("k",), params={"groups": [name]}) for name in ("finance", "legal")
    )
    core = Core(PackSpec("p", keys=(KeySpec("k"),), rules=rules))
    core.begin([Seed(1, "k", "x", 1)])
    asked = said(core.finish([]).entries, "approval")
    core.begin([InboxRow(1, "approve", "fay", "k", "x", groups=("finance",))])
    asked += said(core.finish([]).entries, "approval")
    assert [row.get("rule") for row in asked if row["action"] == "asked"] == ["finance", "legal"]
    assert core.fact("k", "x") is None
    core.begin([InboxRow(2, "approve", "lea", "k", "x", groups=("legal",))])
    core.finish([])
    assert core.fact("k", "x") is not None


def test_a_refusal_counts_only_from_those_whose_approval_would() -> None:
    rules = (RuleSpec("sign", "approval", ("k",), params={"exclude_submitter": True}),)
    core = Core(PackSpec("p", keys=(KeySpec("k"),), rules=rules, submitter="otto"))
    core.begin([Seed(1, "k", "x", 1)])
    core.finish([])
    core.begin([InboxRow(1, "refuse", "otto", "k", "x")])
    assert [r.result for r in core.finish([]).receipts] == ["refused"]
    assert [s.subject for s in core.ledger.keys["k"].held] == ["x"]


def test_names_that_no_row_can_hold_are_rejected_and_harm_nobody() -> None:
    pack = PackSpec("p", keys=(KeySpec("k"),), agents=(AgentSpec("a", writes=("k",)),))
    core = Core(pack)
    core.begin([])
    names = ["\ud800", "k\0", "k\n", "z" * 101]
    commit = core.finish([Effect("a", None, [Proposal(name, "x", 1) for name in names])])
    rejected = said(commit.entries, "rejected")
    assert len(rejected) == len(names)
    assert all("key" not in row for row in rejected)
