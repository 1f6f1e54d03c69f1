"""Lint finds rules that never fire, that shadow others, or that are broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtime.engine import AgentSpec, KeySpec, PackSpec, RuleSpec
from runtime.lint_pack import lint_pack
from tests.packs.sound_pack import MARGIN, SOUND, plus, ruled, said, the_one


@pytest.mark.parametrize(
    "spec",
    [
        ruled("operator", ("other.*",)),  # covers no key
        ruled("operator", ("veiw",)),
        ruled("confidence", margin=1.5),
        ruled("aggregation", agent="settle"),  # its agent is switched off
        ruled("newer", ("out",), field="observed_at"),  # one voice
        ruled("operator", ("out",)),
        ruled("dominance", agents=["nobody"]),
        ruled("dominance", agents=["look", "doubt"]),  # all of them
        ruled("newer", expression="false", field="observed_at"),
        ruled("newer", expression='key == "out"', field="observed_at"),
        ruled("approval", ("out",), "1 > 2"),
        ruled("constraint", ("out",), "1 < 2"),
        ruled("invariant", (), "true || false", tier=1),
        ruled("discount", ()),
        ruled("discount", ("view",), incomplete=0.5),
    ],
)
def test_a_rule_that_can_never_fire(spec: PackSpec) -> None:
    found = the_one(spec)
    assert (found.severity, found.code, found.names) == ("warning", "rule_never_fires", ("new",))


@pytest.mark.parametrize("kind", ["approval", "constraint", "operator"])
def test_a_rule_about_a_key_that_nobody_writes(kind: str) -> None:
    rule = RuleSpec("new", kind, ("gone",), expression="value > 1" if kind == "constraint" else "")  # type: ignore[arg-type]
    assert said(plus([KeySpec("gone")], rules=[rule])) == [
        ("key_never_written", "gone"),
        ("rule_never_fires", "new"),
    ]


def test_an_invariant_that_nothing_can_break() -> None:
    rule = RuleSpec(
        "new", "invariant", params={"tier": 1}, expression='facts("gone").all(s, facts("gone")[s] > 1)'
    )
    assert ("rule_never_fires", "new") in said(plus([KeySpec("gone")], rules=[rule]))


@pytest.mark.parametrize(
    "spec",
    [
        ruled("newer", ("out", "view"), field="observed_at"),  # of use on one of its keys
        ruled("operator", ("in",)),  # two seeds may disagree
        ruled("dominance", agents=["look"]),
        ruled("dominance", agents=["nobody"], sources=["desk"]),
        ruled("dominance", ("out",), agents=["@person"]),  # people may always speak
        ruled("operator", expression='subject == "a"', priority=5),
        ruled("confidence", margin=0.1),  # asked after a margin that is wider
        ruled("approval", ("out",), "value > 1"),
        ruled("discount", ("out",), incomplete=0.5),
    ],
)
def test_a_rule_that_can_fire_is_left_alone(spec: PackSpec) -> None:
    assert lint_pack(spec) == []


def test_a_rule_that_looks_where_nothing_is() -> None:
    rule = RuleSpec("new", "constraint", ("out",), expression='value > 1 || fact("gone", subject) == null')
    assert said(plus([KeySpec("gone")], rules=[rule])) == [
        ("key_never_written", "gone"),
        ("rule_looks_at_nothing", "new"),
    ]
    rule = RuleSpec("new", "invariant", expression='size(facts("in")) > 2 || size(facts("gone")) > 2')
    assert said(plus([KeySpec("gone")], rules=[rule])) == [
        ("key_never_written", "gone"),
        ("rule_looks_at_nothing", "new"),
    ]


def test_an_operator_rule_that_comes_first_shadows_what_is_below() -> None:
    found = the_one(ruled("operator", priority=5))
    assert (found.code, found.names) == ("rule_shadowed", ("margin",))
    assert "`new`" in found.text
    assert the_one(ruled("operator", expression="1 < 2", priority=5)).names == ("margin",)
    assert lint_pack(ruled("operator", expression="1 > 2", priority=5))[0].code == "rule_never_fires"


def test_a_rule_shadows_another_under_the_same_condition() -> None:
    when = "size(sides) == 2"
    first = RuleSpec("first", "operator", ("view",), 20, {}, when)
    second = RuleSpec("second", "newer", ("view",), 30, {"field": "at"}, when)
    assert said(plus(rules=[first, second])) == [("rule_shadowed", "second")]
    assert said(plus(rules=[first, replace(second, expression="size(sides) == 3")])) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RuleSpec("one", "newer", ("view",), 20, {"field": "at"}), {"priority": 30}),
        (RuleSpec("one", "dominance", ("*",), 20, {"agents": ["look"]}), {"params": {"agents": ("look",)}}),
        (RuleSpec("one", "confidence", ("view",), 5, {"margin": 0.1}), {"params": {"margin": 0.3}}),
        (RuleSpec("one", "approval", ("out",), 20, {"count": 1}), {"expression": "value > 1"}),
        (RuleSpec("one", "constraint", ("out",), 20, {}, "value > 1"), {"message": "Too small."}),
        (RuleSpec("one", "invariant", (), 20, {"tier": 1}, 'size(facts("in")) > 0'), {"params": {"tier": 2}}),
    ],
)
def test_of_two_like_rules_the_second_is_shadowed(one: RuleSpec, other: dict[str, Any]) -> None:
    one = replace(one, keys=("view",)) if one.keys == ("*",) else one
    twin = replace(one, name="twin", **other)
    spec = replace(SOUND, rules=(one, twin) if one.kind == "confidence" else (MARGIN, one, twin))
    assert said(spec) == [("rule_shadowed", "twin")]


def test_a_weak_margin_after_a_strong_one_is_no_duplicate() -> None:
    strong = RuleSpec("strong", "confidence", ("view",), 5, {"margin": 0.4})
    assert lint_pack(plus(rules=[strong])) == []


def test_rules_that_are_switched_off_are_not_looked_at() -> None:
    off = RuleSpec("off", "operator", ("view",), 1, enabled=False)
    broken = RuleSpec("broken", "dominance", ("view",), 1, {"sources": []}, enabled=False)
    assert lint_pack(plus(rules=[off, broken])) == []


def test_a_pack_that_cannot_run_is_a_finding() -> None:
    found = the_one(plus(agents=[AgentSpec("lost", reads=("nowhere",), writes=("out",))]))
    assert (found.code, found.kind, found.names) == ("cannot_run", "pack", ("sound",))
    assert "nowhere" in found.text
    assert said(replace(SOUND, tiers=())) == [("cannot_run", "sound")]
    assert said(ruled("newer", expression="size(sides", field="at")) == [("cannot_run", "sound")]


def test_one_broken_rule_hides_nothing_else() -> None:
    spec = plus([KeySpec("gone")], rules=[RuleSpec("new", "confidence", ("view",), 5, {"margin": 7})])
    assert said(spec) == [("key_never_written", "gone"), ("rule_never_fires", "new")]
