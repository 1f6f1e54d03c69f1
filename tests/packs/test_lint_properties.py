"""Lint against the engine: it never raises, and what it says can never happen never happens, in random jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.engine import PackSpec, RuleSpec
from runtime.lint_pack import Finding, lint_pack
from runtime.linting.findings import CODES
from tests.engine.lockstep import bodies, run_engine
from tests.engine.packs_strategy import KEYS, Case, cases, circles

# Expressions of which something can be told without a job.
SETTLED = (
    "false",
    "1 < 2",
    'key == "k.a"',
    'agent == "a0" || agent == "@seed"',
    'size(facts("k.b")) > 0',
    'size(facts("m.a")) == 0',
    'fact("k.a", "s") == null || confidence > 0.5',
)
CONDITIONS = ("true", "1 > 2", 'key == "k.b"', "", "size(sides) == 2")
Entry = Mapping[str, Any]

quick = settings(max_examples=150, derandomize=True, deadline=None)


@st.composite
def unmanned(draw: Callable[..., Any]) -> Case:
    """A random case without people, in which only some keys are seeds, and rules often say what can be settled."""
    case: Case = draw(st.one_of(cases(max_acts=0), circles()))
    seedable = draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=1, max_size=2))
    keys = tuple(replace(key, seed=key.name in seedable) for key in case.pack.keys)
    rules = tuple(_settle(draw, rule) for rule in case.pack.rules)
    sown = tuple(seed for seed in case.seeds if seed[0] in seedable)
    return replace(case, pack=replace(case.pack, keys=keys, rules=rules), seeds=sown, acts=())


def _settle(draw: Callable[..., Any], rule: RuleSpec) -> RuleSpec:
    if draw(st.booleans()):
        return rule
    if rule.kind == "constraint":
        return replace(rule, expression=draw(st.sampled_from(SETTLED)))
    if rule.kind == "invariant":
        return replace(rule, expression=draw(st.sampled_from(SETTLED[:2] + SETTLED[4:6])))
    if rule.kind == "approval":
        return replace(rule, expression=draw(st.sampled_from(CONDITIONS[:4])))
    return replace(rule, expression=draw(st.sampled_from(CONDITIONS)))


@quick
@given(st.one_of(cases(), circles(), unmanned()))
def test_lint_never_raises_and_says_the_same_again(case: Case) -> None:
    found = lint_pack(case.pack, tools=["search"])
    assert found == lint_pack(PackSpec.from_json(case.pack.to_json()), tools=["search"])
    for finding in found:
        assert finding.code in CODES and finding.names
        assert finding.text.endswith((".", "why=…).")), finding.text


@quick
@given(unmanned())
def test_what_lint_says_can_never_happen_never_happens(case: Case) -> None:
    found = [finding for finding in lint_pack(case.pack) if finding.code in _REFUTED]
    if not found:
        return
    _, commits = run_engine(case)
    entries = bodies(commits)
    for finding in found:
        against = list(_REFUTED[finding.code](finding, case.pack, entries))
        assert not against, (finding.text, against[0])


def _runs(finding: Finding, pack: PackSpec, entries: list[Entry]) -> Iterator[Entry]:
    return (e for e in entries if e["kind"] == "run" and e["agent"] in finding.names)


def _facts(finding: Finding, pack: PackSpec, entries: list[Entry]) -> Iterator[Entry]:
    stands = ("accepted", "won", "risen", "confirmed", "lost", "contested", "held")
    return (e for e in entries if e["kind"] in stands and e.get("key") in finding.names)


def _reached(finding: Finding, pack: PackSpec, entries: list[Entry]) -> Iterator[Entry]:
    """A required agent that is always refused keeps its tier from being reached once it says anything."""
    if "is refused by" in finding.text and not any(
        e["kind"] == "rejected" and e.get("rule") for e in entries
    ):
        return iter(())
    number = int(finding.names[0])
    return (e for e in entries if e["kind"] == "tier" and e["reached"] and e["tier"] >= number)


def _fired(finding: Finding, pack: PackSpec, entries: list[Entry]) -> Iterator[Entry]:
    name = finding.names[0]
    rule = next(rule for rule in pack.rules if rule.name == name)
    shadowed = finding.code == "rule_shadowed"
    for entry in entries:
        for asked in entry.get("trace") or ():
            if asked["rule"] == name and (asked["decided"] or asked["why"] == "leaves it to an operator"):
                yield entry
        if rule.kind == "constraint" and entry["kind"] == "rejected" and entry.get("rule") == name:
            yield entry
        if (
            rule.kind == "approval"
            and not shadowed
            and entry["kind"] == "approval"
            and entry.get("rule") == name
        ):
            yield entry
        if rule.kind == "invariant" and not shadowed and entry["kind"] == "tier":
            yield from (gap for gap in entry["gaps"] if gap.get("rule") == name)


_REFUTED: Mapping[str, Callable[[Finding, PackSpec, list[Entry]], Iterator[Entry]]] = {
    "agent_never_runs": _runs,
    "key_never_written": _facts,
    "tier_never_reached": _reached,
    "rule_never_fires": _fired,
    "rule_shadowed": _fired,
}
