"""Declaring rules of governance. Each method is one kind of `RuleSpec`; lower priorities are asked first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.agents.errors import DeclarationError
from runtime.engine.spec import RuleKind, RuleSpec


class RuleDeclarations:
    """The rules of a pack. `when` is a CEL condition under which a rule applies, "" for always."""

    def __init__(self) -> None:
        self.rules: dict[str, RuleSpec] = {}

    def confidence(
        self, name: str, *, keys: Sequence[str], margin: float, priority: int = 100, when: str = ""
    ) -> None:
        """The stronger side stands if it leads by at least `margin` (0..1)."""
        self.add_rule(name, "confidence", keys, priority, {"margin": margin}, expression=when)

    def dominance(
        self,
        name: str,
        *,
        keys: Sequence[str],
        agents: Sequence[str] = (),
        sources: Sequence[str] = (),
        evidence: Mapping[str, Any] | None = None,
        priority: int = 100,
        when: str = "",
        enabled: bool = True,
    ) -> None:
        """The side of a named agent, of a source (evidence field `source`), or of named evidence stands,
        if it is one."""
        given = {"agents": list(agents), "sources": list(sources), "evidence": dict(evidence or {})}
        params = {param: value for param, value in given.items() if value}
        self.add_rule(name, "dominance", keys, priority, params, expression=when, enabled=enabled)

    def newer(
        self,
        name: str,
        *,
        keys: Sequence[str],
        field: str = "observed_at",
        priority: int = 100,
        when: str = "",
        enabled: bool = True,
    ) -> None:
        """The side with the greater evidence field `field` stands, if every side has it."""
        self.add_rule(name, "newer", keys, priority, {"field": field}, expression=when, enabled=enabled)

    def operator(
        self,
        name: str,
        *,
        keys: Sequence[str],
        priority: int = 100,
        when: str = "",
        groups: Sequence[str] = (),
        exclude_submitter: bool = False,
        reason: bool = False,
        deadline: float | None = None,
        outcome: str = "",
        remind: float | None = None,
        enabled: bool = True,
    ) -> None:
        """Ask no further rule: a person decides; one of `groups`, and within `deadline` seconds, if these are given.

        `outcome` is what happens at the deadline: stay (it stays open), reject (nothing stands) or strongest. `remind`
        is how many seconds before it people are reminded.
        """
        params = _policy(groups, exclude_submitter, reason, deadline, outcome, remind)
        self.add_rule(name, "operator", keys, priority, params, expression=when, enabled=enabled)

    def approval(
        self,
        name: str,
        *,
        keys: Sequence[str],
        count: int = 1,
        groups: Sequence[str] = ("operator",),
        exclude_submitter: bool = False,
        when: str = "",
        message: str = "",
        reason: bool = False,
        deadline: float | None = None,
        outcome: str = "",
        remind: float | None = None,
        enabled: bool = True,
    ) -> None:
        """What would stand waits until `count` people of `groups` approve it; see `operator` for the rest.

        A `strongest` outcome lets the value that waits stand when nobody answered in time.
        """
        params = {"count": count, "groups": list(groups), "exclude_submitter": exclude_submitter}
        params |= _policy((), False, reason, deadline, outcome, remind)
        self.add_rule(name, "approval", keys, 100, params, expression=when, message=message, enabled=enabled)

    def constraint(self, name: str, *, keys: Sequence[str], expression: str, message: str = "") -> None:
        """A proposal is refused unless `expression` is true of it and of the frozen view."""
        self.add_rule(name, "constraint", keys, 100, {}, expression=expression, message=message)

    def invariant(self, name: str, *, tier: int, expression: str, message: str = "") -> None:
        """The tier is not reached unless `expression` is true of all that stands."""
        self.add_rule(name, "invariant", (), 100, {"tier": tier}, expression=expression, message=message)

    def discount(
        self, name: str, *, keys: Sequence[str] = (), incomplete: float = 1.0, provisional: float = 1.0
    ) -> None:
        """Published confidence is multiplied by these factors (0..1) where a fact rests on such input."""
        self.add_rule(name, "discount", keys, 100, {"incomplete": incomplete, "provisional": provisional})

    def add_rule(
        self,
        name: str,
        kind: RuleKind,
        keys: Sequence[str],
        priority: int,
        params: Mapping[str, Any],
        *,
        expression: str = "",
        message: str = "",
        enabled: bool = True,
    ) -> None:
        """Declare a rule of any kind. Raises DeclarationError if its name is taken."""
        if name in self.rules:
            raise DeclarationError(f"The rule {name!r} is declared twice; give one of them another name.")
        if isinstance(keys, str):
            raise DeclarationError(f"keys of rule {name!r} is the text {keys!r}; write [{keys!r}].")
        self.rules[name] = RuleSpec(
            name, kind, tuple(keys), priority, dict(params), expression, message, enabled
        )


def _policy(
    groups: Sequence[str],
    exclude_submitter: bool,
    reason: bool,
    deadline: float | None,
    outcome: str,
    remind: float | None,
) -> dict[str, Any]:
    """The parameters that were given."""
    if isinstance(groups, str):
        raise DeclarationError(f"groups is the text {groups!r}; write [{groups!r}].")
    given = {
        "groups": list(groups),
        "exclude_submitter": exclude_submitter,
        "reason": reason,
        "deadline": deadline,
        "outcome": outcome,
        "remind": remind,
    }
    return {name: value for name, value in given.items() if value}
