"""A change of rules, and a job's frozen pack with it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple, Self

from runtime.engine import PackError, PackSpec, RuleSpec
from runtime.engine.compiled import Compiled, compile_pack


class CannotCompare(ValueError):
    """A job about which the changed rules have nothing to say; the message tells why, for people."""


class RuleChange(NamedTuple):
    """What is different about the rules: those named in `without` are taken out, then `add` comes in. All else is as
    the job froze it, which may differ from the pack of today.

    `add` is asked where the first that goes was asked, if that had its priority; else directly before the first of
    those of its priority that are named in `behind`; else last among them.
    """

    add: RuleSpec | None
    without: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `from_json` makes an equal change."""
        add = None if self.add is None else asdict(self.add)
        return {"add": add, "without": list(self.without), "behind": list(self.behind)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The change that `to_json` wrote. Raises TypeError or KeyError on a foreign object."""
        add = data["add"]
        rule = None if add is None else RuleSpec(**{**add, "keys": tuple(add["keys"])})
        return cls(rule, tuple(data["without"]), tuple(data.get("behind", ())))

    def rules_of(self, pack: PackSpec) -> tuple[RuleSpec, ...]:
        """The rules that would be other ones in `pack`: those that go, and the one that comes."""
        gone = tuple(rule for rule in pack.rules if rule.enabled and rule.name in self.without)
        return gone if self.add is None else (*gone, self.add)


def change_pack(pack: PackSpec, change: RuleChange) -> PackSpec:
    """The pack with the change made. Raises CannotCompare where it lacks what the change is about."""
    if change.add is None:
        if not change.rules_of(pack):
            raise CannotCompare("it ran without this rule")
        return replace(pack, rules=tuple(r for r in pack.rules if r.name not in change.without))
    known = {agent.name for agent in pack.agents} | {"@seed", "@person"}
    for name in change.add.params.get("agents") or ():
        if name not in known:
            raise CannotCompare(f"its pack had no agent `{name}`")
    at = _place_of(change.add, change, pack.rules)
    rules = (*pack.rules[:at], change.add, *pack.rules[at:])
    return replace(pack, rules=tuple(r for r in rules if r is change.add or r.name not in change.without))


def _place_of(add: RuleSpec, change: RuleChange, rules: tuple[RuleSpec, ...]) -> int:
    """Before which of a job's rules, which are asked by priority and then in their order, `add` comes in."""
    for names in (change.without, change.behind):
        for at, rule in enumerate(rules):
            if rule.priority == add.priority and rule.name in names:
                return at
    return len(rules)


def compile_changed(pack: PackSpec, change: RuleChange) -> Compiled:
    """The changed pack made ready. Raises CannotCompare where it could not be run."""
    try:
        return compile_pack(change_pack(pack, change))
    except PackError as error:
        raise CannotCompare(str(error)) from None
