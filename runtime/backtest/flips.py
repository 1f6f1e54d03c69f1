"""Flips: what would have been different in a job, as values that go into rows and on pages."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from runtime.engine.resolve import Standing
from runtime.engine.state import FACT, HELD, STATUS_NAMES, Slot
from runtime.engine.values import THOUSAND, parse

# What would be different, and which way it would turn.
KINDS: Final = {
    "merge": ("another", "settled", "asked"),
    "decision": ("same", "otherwise"),
    "hold": ("held", "freed"),
    "refusal": ("refused", "let in"),
    "tier": ("lost", "gained"),
    "unknown": ("unknown",),
}
MOST_BYTES = 2_000  # of a value that is kept whole
BRIEF = 200  # characters of one that is not
IN_TIME = "in time"

Look = tuple[int, bytes | None]  # a slot's status, and the value that stands or waits for approval


class Flip(NamedTuple):
    """One thing that would have been different, at the first cycle in which it would.

    `before` and `after` are JSON objects: `status`, and what belongs to it. `lasting` tells whether it would still be
    different where the record ends. `question` is what people were asked about it then, "conflict" or "hold", in
    `asked_cycle` at the latest; "" if nothing.
    """

    kind: str
    turn: str
    key: str
    subject: str
    cycle: int
    before: dict[str, Any]
    after: dict[str, Any]
    lasting: bool = False
    question: str = ""
    asked_cycle: int = 0


def look_of(slot: Slot) -> Look:
    """What a slot shows in the record."""
    return slot.status, slot.would if slot.status == HELD else slot.raw


def look_under(standing: Standing) -> Look:
    """What it would show."""
    return standing.status, standing.would if standing.status == HELD else standing.raw


def told(standing: Standing) -> dict[str, Any]:
    """A standing as JSON: `status`; for a fact, or a value that waits, also `value` and `confidence`; and the `rule`
    that made it so with its reason, `why`, if one did."""
    found: dict[str, Any] = {"status": STATUS_NAMES[standing.status]}
    if standing.status in (FACT, HELD):
        found |= value_told(look_under(standing)[1])
        found["confidence"] = standing.strength / THOUSAND
    if standing.rule:
        found["rule"] = standing.rule
        why = next((step["why"] for step in standing.trace or () if step["rule"] == standing.rule), "")
        if why:
            found["why"] = why[:BRIEF]
    return found


def value_told(raw: bytes | None) -> dict[str, Any]:
    """A value as JSON: itself, or the beginning of a large one as `brief`."""
    if raw is None:
        return {}
    if len(raw) > MOST_BYTES:
        return {"brief": raw.decode()[:BRIEF] + "…", "bytes": len(raw)}
    return {"value": parse(raw)}
