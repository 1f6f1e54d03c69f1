"""Expressions that turn a view into the arguments of an MCP tool, and its result into proposals.

Every part is CEL. What an agent's shape is shown has a name in the parts (`VARIABLES`), what the tool gave is
`result` in those that say something, and with `each` one thing of its list is `it`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.agents.cel_agents import lookups_in
from runtime.agents.errors import DeclarationError, describe_expression_error
from runtime.agents.saying import Ruling
from runtime.agents.showing import show_view
from runtime.engine import Proposal, View
from runtime.engine.expr import Expression, ExpressionError, Scope, compile_expression
from runtime.engine.spec import AgentSpec, Shape
from runtime.engine.values import canonical, parse

SAID = ("value", "confidence", "evidence")
PARTS = ("each", "key", "subject", *SAID)
VARIABLES: dict[Shape, tuple[str, ...]] = {
    "whole": (),
    "each": ("key", "subject", "value", "confidence"),
    "grouped": ("group",),
    "aggregate": ("key", "subject", "sides"),
}
MAX_ARGUMENTS = 256 * 1024  # bytes
MOST_THINGS = 200_000
# Parts of JSON that the evaluations for all things may go through: each sees all that its expression names.
MOST_WORK = 25_000_000
LOOKED_UP = 20  # times as much for what is looked up: it is converted anew each time

Lookups = dict[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Mapped:
    """The compiled expressions of one agent, by part and by argument."""

    agent: AgentSpec
    arguments: Mapping[str, Expression]
    parts: Mapping[str, Expression]

    @property
    def looks_up(self) -> tuple[str, ...]:
        """The keys its expressions look up: what the agent must read."""
        every = [*self.arguments.values(), *self.parts.values()]
        return tuple(sorted({key for expression in every for key in expression.keys}))

    def arguments_for(self, view: View) -> dict[str, Any]:
        """The arguments of the call, as JSON. Raises ExpressionError, or BoundsError for what is no JSON."""
        variables, lookups = variables_of(self.agent, view), lookups_in(view)
        given = {name: e.evaluate(variables, lookups) for name, e in self.arguments.items()}
        found: dict[str, Any] = parse(canonical(given, MAX_ARGUMENTS))  # 3.0 is 3 again: CEL has doubles only
        return found

    def read(self, view: View, result: Any) -> list[Proposal] | Ruling:
        """What `result` says. Raises ExpressionError where an expression stumbles over it."""
        variables, lookups = {**variables_of(self.agent, view), "result": result}, lookups_in(view)
        if self.agent.shape == "aggregate":
            return Ruling(*(self._part(name, variables, lookups) for name in SAID))
        if "each" not in self.parts:
            said = (self._part(name, variables, lookups) for name in ("key", "subject", *SAID))
            return [Proposal(*said)]
        things = self._part("each", variables, lookups)
        if not isinstance(things, list) or len(things) > MOST_THINGS:
            raise ExpressionError(
                f"`{self.parts['each'].source}` gives no list of at most {MOST_THINGS:,} things"
            )
        columns = [self._column(name, things, variables, lookups) for name in ("key", "subject", *SAID)]
        return [Proposal(*said) for said in zip(*columns, strict=True)]

    def _part(self, name: str, variables: Mapping[str, Any], lookups: Lookups) -> Any:
        expression = self.parts.get(name)
        if expression is None:
            return self._default(name)
        return expression.evaluate(_named_in(expression, variables), lookups)

    def _column(
        self, name: str, things: list[Any], variables: Mapping[str, Any], lookups: Lookups
    ) -> list[Any]:
        """A part for every thing. What it sees beside the thing is bound once."""
        expression = self.parts.get(name)
        if expression is None or not things:
            return [self._default(name)] * len(things)
        named = _named_in(expression, variables)
        if not _names(expression, "it"):
            return [expression.evaluate(named, lookups)] * len(things)
        looked_up = {key: lookups["facts"](key) for key in expression.keys if _names(expression, "facts")}
        if len(things) * (_size(named) + LOOKED_UP * _size(looked_up)) > MOST_WORK:
            raise ExpressionError(
                f"`{expression.source}` would go through too much for {len(things):,} things, "
                f"as it names more than `it`"
            )
        scope = Scope(named, lookups)
        column = []
        for thing in things:
            scope.set("it", thing)
            column.append(expression.evaluate_in(scope))
        return column

    def _default(self, name: str) -> Any:
        if name == "key":
            return self.agent.writes[0]
        return 1.0 if name == "confidence" else None


def compile_mapping(agent: AgentSpec, named: str) -> Mapped:
    """Compile the expressions in `agent.config`. Raises DeclarationError naming the part and the position."""
    own = VARIABLES[agent.shape]
    given = agent.config.get("arguments") or {}
    if not isinstance(given, Mapping):
        raise DeclarationError(f"arguments of {named} is no object of names and CEL expressions.")
    arguments = {
        str(name): _compile(text, own, f"arguments.{name} of {named}") for name, text in given.items()
    }
    texts = {part: agent.config[part] for part in PARTS if agent.config.get(part) not in (None, "")}
    parts = {}
    for part, text in texts.items():
        knows = [*own, "result"] if part == "each" or "each" not in texts else [*own, "result", "it"]
        parts[part] = _compile(text, knows, f"{part} of {named}")
    _check_parts(agent, parts, named)
    return Mapped(agent, arguments, parts)


def variables_of(agent: AgentSpec, view: View) -> dict[str, Any]:
    """What the expressions of an agent of this shape may name, as JSON."""
    shown = show_view(agent, view)
    found: dict[str, Any] = {**shown.get("item", {}), **shown.get("slot", {})}
    return {**found, **{name: shown[name] for name in ("group", "sides") if name in shown}}


def _names(expression: Expression, name: str) -> bool:
    """Whether an expression may see `name`; also if it only stands in a text there."""
    return re.search(rf"\b{name}\b", expression.source) is not None


def _named_in(expression: Expression, variables: Mapping[str, Any]) -> dict[str, Any]:
    """What of `variables` an expression may see: each is copied for an evaluation, and may be large."""
    return {name: value for name, value in variables.items() if _names(expression, name)}


def _size(value: Any) -> int:
    """The number of parts of JSON, parts of parts included."""
    inner: Iterable[Any] = ()
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    return 1 + sum(map(_size, inner))


def _check_parts(agent: AgentSpec, parts: Mapping[str, Expression], named: str) -> None:
    ruling = agent.shape == "aggregate"
    for part in ("value",) if ruling else ("subject", "value"):
        if part not in parts:
            raise DeclarationError(f"{named} does not say its {part}; give {part} as a CEL expression.")
    for part in ("each", "key", "subject") if ruling else ():
        if part in parts:
            raise DeclarationError(f"{named} rules on the slot it is asked about; it has no part {part!r}.")
    if len(agent.writes) > 1 and "key" not in parts:
        raise DeclarationError(
            f"{named} writes {len(agent.writes)} keys; say in `key` which one it speaks about."
        )


def _compile(text: Any, variables: Sequence[str], where: str) -> Expression:
    if not isinstance(text, str) and type(text) not in (int, float):
        raise DeclarationError(f"The {where} must be text, a CEL expression.")
    source = str(text)
    try:
        return compile_expression(source, variables)
    except ExpressionError as error:
        raise DeclarationError(
            f"The {where} is no CEL expression: {describe_expression_error(source, error)}."
        ) from None
