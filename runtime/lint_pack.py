"""Lint: what in a pack can be seen to be wrong, or to do nothing, before a job runs under it.

`PackError` says what cannot run at all; this says what runs and does not do what its author meant. Pure over the
frozen spec, so that the command, the pack's page and tests ask the same function. A warning is certain, but for what
a person adds or decides by hand; the one exception is a loop, of which only the contrary would need a proof.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from runtime.engine.compiled import Compiled, compile_pack
from runtime.engine.lint import PackError
from runtime.engine.spec import KeySpec, PackSpec, RuleSpec
from runtime.linting.agents import lint_agents, lint_tools
from runtime.linting.findings import Acceptance, Finding, quote
from runtime.linting.keys import lint_keys, lint_loops
from runtime.linting.reach import Reach
from runtime.linting.rules import lint_rules
from runtime.linting.tiers import lint_tiers

__all__ = ["Acceptance", "Finding", "accepted_findings", "lint_pack"]


def lint_pack(
    spec: PackSpec, *, tools: Collection[str] | None = None, accepted: Sequence[Acceptance] = ()
) -> list[Finding]:
    """What there is to say of `spec`: warnings first, each in the order keys, agents, tiers, rules; [] if nothing.

    `tools` are the names of the tools declared for it, None if they are not known; `accepted` are left out, and those
    of them that fit nothing are a note. Raises nothing: a pack that cannot run is a finding.
    """
    found = _find(spec, tools)
    left = [finding for finding in found if not any(a.fits(finding) for a in accepted)]
    left += _unused(found, accepted)
    return sorted(left, key=lambda finding: finding.severity != "warning")


def accepted_findings(
    spec: PackSpec, accepted: Sequence[Acceptance], *, tools: Collection[str] | None = None
) -> list[tuple[Finding, str]]:
    """The findings that `lint_pack` leaves out, each with why the pack's author means to keep it."""
    return [(f, a.why) for f in _find(spec, tools) for a in accepted if a.fits(f)]


def _find(spec: PackSpec, tools: Collection[str] | None) -> list[Finding]:
    rules, found = _sort_out(spec)
    try:
        plan = compile_pack(replace(spec, rules=rules))
    except PackError as error:
        text = f"No job of this pack can run: {error}."
        return [*found, Finding("warning", "cannot_run", text, "pack", (spec.name,))]
    return [*_look(plan), *(lint_tools(plan, tools) if tools is not None else ()), *found]


def _look(plan: Compiled) -> Iterator[Finding]:
    reach = Reach(plan)
    yield from lint_keys(plan, reach)
    yield from lint_loops(plan)
    yield from lint_agents(plan, reach)
    yield from lint_tiers(plan, reach)
    yield from lint_rules(plan, reach)


def _sort_out(spec: PackSpec) -> tuple[tuple[RuleSpec, ...], list[Finding]]:
    """The rules that are switched on and can be compiled, and findings for those that cannot. They are looked at here,
    so that one of them does not hide what else there is to say."""
    kept: list[RuleSpec] = []
    found: list[Finding] = []
    for rule in (rule for rule in spec.rules if rule.enabled):
        why = _why_broken(rule, spec)
        if why:
            text = f"The {rule.kind} rule `{rule.name}` can never fire, and no job can run under it: {why}"
            found.append(Finding("warning", "rule_never_fires", text, "rule", (rule.name,)))
        else:
            kept.append(rule)
    return tuple(kept), found


def _why_broken(rule: RuleSpec, spec: PackSpec) -> str:
    missing = [pattern for pattern in rule.keys if not _covered(pattern, spec.keys)]
    if missing:
        return f"{quote(missing)} covers no key of the pack. Declare the key or correct the name."
    if rule.kind not in ("invariant", "discount") and not rule.keys:
        return "it covers no key. Say which keys it is about."
    if rule.kind == "aggregation":
        agent = rule.params.get("agent")
        if agent not in {a.name for a in spec.agents if a.shape == "aggregate"}:
            return (
                f"its agent `{agent}` is switched off or not declared. Switch the agent on, or the rule off."
            )
    margin = rule.params.get("margin")
    if rule.kind == "confidence" and isinstance(margin, int | float) and margin > 1:
        return f"its margin is {margin:g}, and no confidence is above 1. Give a margin from 0 to 1."
    return ""


def _covered(pattern: str, keys: Iterable[KeySpec]) -> bool:
    return any(RuleSpec("", "operator", (pattern,)).covers(key.name) for key in keys)


def _unused(found: Sequence[Finding], accepted: Sequence[Acceptance]) -> Iterator[Finding]:
    for acceptance in accepted:
        if not any(acceptance.fits(finding) for finding in found):
            text = (
                f"The pack accepts `{acceptance.code}` of {quote(acceptance.names)}, and there is no such finding. "
                "Drop the acceptance, or correct its code and names."
            )
            yield Finding("note", "acceptance_unused", text, "pack", acceptance.names)
