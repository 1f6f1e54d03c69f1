"""Rules that can never fire, and rules that others leave nothing to decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from runtime.engine.compiled import Compiled, Rule
from runtime.engine.spec import PERSON, RESOLUTION_KINDS
from runtime.linting.findings import Finding, quote
from runtime.linting.reach import UNKNOWN, Reach


class Why(NamedTuple):
    """Why a rule does nothing for a key: `shadowed` by another one, or by itself. `words` follow the rule's name."""

    words: str
    shadowed: bool = False


Reason = Callable[[Rule, str, Sequence[Rule], Reach], Why | None]


def lint_rules(plan: Compiled, reach: Reach) -> Iterator[Finding]:
    """One finding a rule that does nothing for any key it covers, in order of priority."""
    rules = {
        r.spec.name: r
        for key in plan.keys.values()
        for r in (*key.resolution, *key.constraints, *key.approvals)
    }
    ordered = sorted(rules.values(), key=lambda rule: (rule.spec.priority, plan.pack.rules.index(rule.spec)))
    for rule in ordered:
        whys = {key: _why(rule, key, plan, reach) for key in plan.keys if rule.spec.covers(key)}
        if whys and all(whys.values()):
            yield _finding(rule, {key: why for key, why in whys.items() if why})
        else:
            yield from _looks_at_nothing(rule, reach)
    for at, rule in enumerate(plan.invariants):
        yield from _lint_invariant(
            rule, [r for n, r in enumerate(plan.invariants) if n != at], at, plan, reach
        )
    for rule in plan.discounts:
        yield from _lint_discount(rule, plan)


def _why(rule: Rule, key: str, plan: Compiled, reach: Reach) -> Why | None:
    of_key = plan.keys[key]
    if rule.spec.kind in RESOLUTION_KINDS:
        return _why_undecided(rule, key, of_key.resolution, reach)
    if rule.spec.kind == "constraint":
        return _why_unrefused(rule, key, of_key.constraints, reach)
    return _why_unheld(rule, key, of_key.approvals, reach)


def _finding(rule: Rule, whys: Mapping[str, Why]) -> Finding:
    words = list(dict.fromkeys(why.words for why in whys.values()))
    shadowed = all(why.shadowed for why in whys.values())
    code, does = ("rule_shadowed", "has no say") if shadowed else ("rule_never_fires", "can never fire")
    way_out = "Change their order or their conditions, or drop it." if shadowed else "Correct it or drop it."
    text = f"The {rule.spec.kind} rule `{rule.spec.name}` {does}: {'; '.join(words)}. {way_out}"
    return Finding("warning", code, text, "rule", (rule.spec.name,))


def _why_undecided(rule: Rule, key: str, rules: Sequence[Rule], reach: Reach) -> Why | None:
    """For a rule that decides between sides (D3.2)."""
    speakers = reach.speakers(key)
    by_people = PERSON in _named(rule)
    if not speakers:
        return Why(f"nothing is ever said about `{key}`")
    if len(speakers) == 1 and not by_people:
        return Why(f"only `{speakers[0]}` speaks about `{key}`, so there are no sides to decide between")
    if reach.applies(rule, key) is False:
        return Why(f"its condition is never true: `{rule.spec.expression}`")
    for earlier in rules[: rules.index(rule)]:
        if _decides_for(earlier, rule, key, reach):
            return Why(f"`{earlier.spec.name}` comes first on `{key}` and leaves it nothing to decide", True)
    return None if by_people else _why_no_dominance(rule, key, speakers)


def _decides_for(earlier: Rule, later: Rule, key: str, reach: Reach) -> bool:
    """Whether `later` can decide nowhere on `key`, because `earlier` is asked first."""
    if not _covers_condition(earlier, later, key, reach):
        return False
    if earlier.spec.kind == "operator":
        return True
    if earlier.spec.kind != later.spec.kind:
        return False
    if earlier.spec.kind == "confidence":
        return earlier.needs <= later.needs
    return _plain(earlier.spec.params) == _plain(later.spec.params)


def _covers_condition(one: Rule, other: Rule, key: str, reach: Reach) -> bool:
    """Whether `one` applies wherever `other` does."""
    return bool(reach.applies(one, key)) or (
        one.spec.expression == other.spec.expression and reach.applies(one, key) is not False
    )


def _named(rule: Rule) -> set[str]:
    agents = rule.spec.params.get("agents")
    return set(map(str, agents)) if isinstance(agents, list | tuple) else set()


def _why_no_dominance(rule: Rule, key: str, speakers: Sequence[str]) -> Why | None:
    params = rule.spec.params
    named = _named(rule)
    if rule.spec.kind != "dominance" or not named:
        return None
    if named >= set(speakers):
        return Why(f"every voice on `{key}` dominates, so no side does alone")
    if not named & set(speakers) and not params.get("sources") and not params.get("evidence"):
        return Why(f"{quote(sorted(named), 'or')} never speaks about `{key}`")
    return None


def _why_unheld(rule: Rule, key: str, rules: Sequence[Rule], reach: Reach) -> Why | None:
    """For approvals: all of a key's must be satisfied, so their order means nothing."""
    if key not in reach.present:
        return Why(f"nothing is ever there under `{key}`")
    if reach.value_of(rule, key=key) is False:
        return Why(f"its condition is never true: `{rule.spec.expression}`")
    for other in rules:
        same = other is not rule and _plain(other.spec.params) == _plain(rule.spec.params)
        first = rules.index(other) < rules.index(rule) or not _covers_condition(rule, other, key, reach)
        if same and first and _covers_condition(other, rule, key, reach):
            return Why(f"`{other.spec.name}` asks for the same approval of `{key}`", True)
    return None


def _why_unrefused(rule: Rule, key: str, rules: Sequence[Rule], reach: Reach) -> Why | None:
    """For constraints: what holds of everything refuses nothing."""
    if not reach.is_said(key):
        return Why(f"nothing is ever said about `{key}`")
    if reach.value_of(rule, key=key) is True:
        return Why(f"it is always true: `{rule.spec.expression}`")
    for earlier in rules[: rules.index(rule)]:
        if earlier.spec.expression == rule.spec.expression:
            return Why(f"`{earlier.spec.name}` demands the same of `{key}`", True)
    return None


def _lint_invariant(
    rule: Rule, others: Sequence[Rule], at: int, plan: Compiled, reach: Reach
) -> Iterator[Finding]:
    named = f"The invariant `{rule.spec.name}`"
    absent, value = reach.absent(rule), reach.value_of(rule)
    if value is True:
        why = f": nothing is ever there under {quote(absent)}" if absent else ""
        text = f"{named} always holds, so it demands nothing{why}. Correct it or drop it."
        yield Finding("warning", "rule_never_fires", text, "rule", (rule.spec.name,))
        return
    if value is UNKNOWN:
        yield from _looks_at_nothing(rule, reach)
    for other in others:
        lower, own = int(other.spec.params.get("tier", 1)), int(rule.spec.params.get("tier", 1))
        first = lower < own or (lower == own and plan.invariants.index(other) < at)
        if other.spec.expression == rule.spec.expression and first:
            text = (
                f"{named} has no say: `{other.spec.name}` demands the same of tier {lower}. Drop one of them."
            )
            yield Finding("warning", "rule_shadowed", text, "rule", (rule.spec.name,))
            return


def _looks_at_nothing(rule: Rule, reach: Reach) -> Iterator[Finding]:
    absent = reach.absent(rule)
    if absent:
        text = (
            f"The {rule.spec.kind} `{rule.spec.name}` looks at {quote(absent)}, where nothing is ever there. Correct "
            "the expression, or let an agent write that."
        )
        yield Finding("warning", "rule_looks_at_nothing", text, "rule", (rule.spec.name,))


def _lint_discount(rule: Rule, plan: Compiled) -> Iterator[Finding]:
    named = f"The discount `{rule.spec.name}` can never fire"
    if all(float(rule.spec.params.get(name, 1)) == 1 for name in ("incomplete", "provisional")):
        text = f"{named}: both its factors are 1. Give one below 1 or drop it."
        yield Finding("warning", "rule_never_fires", text, "rule", (rule.spec.name,))
    elif rule.spec.keys and not any(key.answers for name, key in plan.keys.items() if rule.spec.covers(name)):
        text = (
            f"{named}: no answer publishes {quote(rule.spec.keys, 'or')}. Name keys of the answer or drop it."
        )
        yield Finding("warning", "rule_never_fires", text, "rule", (rule.spec.name,))


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Params to compare: the order of names and whether they are a list or a tuple say nothing."""
    kept = {name: value for name, value in params.items() if value not in (None, "", [], (), {})}
    return {n: sorted(map(str, v)) if isinstance(v, list | tuple) else v for n, v in kept.items()}
