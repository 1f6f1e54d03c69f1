"""Invariants that are asked again only when something they look at has changed: they may read thousands of facts, and
the engine asks them whenever it judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from runtime.engine import Core
from runtime.engine.expr import Expression, ExpressionError
from runtime.engine.state import KeyState


def remember_invariants(core: Core) -> None:
    """Gives the engine's invariants a memory. What they say stays the same: they see facts and nothing else, and are
    asked at the end of a cycle, when all its changes are made."""
    states = core.ledger.keys
    core.plan.invariants[:] = [
        replace(rule, expression=_Remembered(rule.expression, [states[key] for key in rule.expression.keys]))
        if rule.expression is not None
        else rule
        for rule in core.plan.invariants
    ]


class _Remembered(Expression):
    """An expression with what it said last, and the cycles in which the keys it looks up had changed last."""

    __slots__ = ("asked", "failed", "held", "seen", "states")

    def __init__(self, asked: Expression, states: list[KeyState]) -> None:
        super().__init__(asked.source, None, asked.keys)
        self.asked, self.states = asked, states
        self.seen: tuple[int, ...] | None = None
        self.held = False
        self.failed = ""

    def holds(
        self, variables: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> bool:
        """What it says of the facts that stand. Raises ExpressionError as the expression itself does."""
        now = tuple(state.changed_at for state in self.states)
        if now != self.seen:
            self.seen, self.failed = now, ""
            try:
                self.held = self.asked.holds(variables, functions)
            except ExpressionError as error:
                self.failed = str(error)
        if self.failed:
            raise ExpressionError(self.failed)
        return self.held
