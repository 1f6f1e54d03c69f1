"""Rule agents: agents written as CEL, one call per fact of a key.

`when` decides whether the agent speaks about a fact; `subject`, `value`, `confidence` and `evidence` say
what. They see the variables in `VARIABLES` and may look facts up with `fact("key", subject)` and
`facts("key")`. All of it is data in the agent's config, so a job freezes it with its pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from runtime.agents.errors import DeclarationError, describe_expression_error
from runtime.agents.functions import Function
from runtime.engine import Fact, Proposal, View
from runtime.engine.expr import Expression, ExpressionError, compile_expression

KIND = "cel"
VARIABLES = ("key", "subject", "value", "confidence")
PARTS = ("when", "subject", "value", "confidence", "evidence")


@dataclass(frozen=True, slots=True)
class CelAgent:
    """A compiled rule agent. Called with a fact and a view, it gives a proposal, or None if `when` is not
    true."""

    writes: str
    when: Expression
    subject: Expression
    value: Expression
    confidence: Expression
    evidence: Expression | None

    def __call__(self, item: Fact, view: View) -> Proposal | None:
        variables = {name: getattr(item, name) for name in VARIABLES}
        lookups = lookups_in(view)
        if not self.when.holds(variables, lookups):
            return None
        evidence = None if self.evidence is None else self.evidence.evaluate(variables, lookups)
        return Proposal(
            self.writes,
            self.subject.evaluate(variables, lookups),
            self.value.evaluate(variables, lookups),
            self.confidence.evaluate(variables, lookups),
            evidence,
        )

    @property
    def looks_up(self) -> tuple[str, ...]:
        """The keys its expressions look up: what the agent reads."""
        found = {key for part in PARTS if (e := getattr(self, part)) is not None for key in e.keys}
        return tuple(sorted(found))


def compile_agent(writes: str, config: Mapping[str, Any], named: str) -> CelAgent:
    """Compile a rule agent's config. Raises DeclarationError naming the agent, the part and the position."""
    unknown = sorted(set(config) - set(PARTS))
    if unknown:
        raise DeclarationError(
            f"{named} has the unknown part {unknown[0]!r}; a CEL agent has {', '.join(PARTS)}."
        )
    given = {part: str(config[part]) for part in PARTS if config.get(part)}
    compiled = {part: _compile(text, f"{part} of {named}") for part, text in given.items()}
    for part in PARTS[:-1]:
        if part not in compiled:
            raise DeclarationError(f"{named} does not say its {part}; give {part}= as a CEL expression.")
    return CelAgent(writes, **{part: compiled.get(part) for part in PARTS})  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def cel_function(writes: str, parts: tuple[tuple[str, str], ...], named: str) -> Function:
    """The callable of a rule agent, compiled once a process."""
    return Function(compile_agent(writes, dict(parts), named))


def _compile(text: str, where: str) -> Expression:
    try:
        return compile_expression(text, VARIABLES)
    except ExpressionError as error:
        raise DeclarationError(
            f"The {where} is no CEL expression: {describe_expression_error(text, error)}."
        ) from None


def lookups_in(view: View) -> dict[str, Callable[..., Any]]:
    """`fact` and `facts` for the expressions of an agent, over what it reads."""

    def fact(key: str, subject: str) -> Any:
        found = view.fact(key, subject)
        return None if found is None else found.value

    def facts(key: str) -> dict[str, Any]:
        return {found.subject: found.value for found in view[key]}

    return {"fact": fact, "facts": facts}
