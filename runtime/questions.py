"""A question to people, as its row tells it: sides and who speaks for them, the policy it is asked under, its deadline.

Written with the cycle in which the question opened or changed; see `runtime.deadlines` for what comes of the deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runtime.engine import Core, RuleSpec
from runtime.engine.policies import asked_by
from runtime.engine.values import parse
from runtime.models import Conflict
from runtime.shapes import shape_of, speakers_of

POLICY = ("groups", "exclude_submitter", "reason", "deadline", "outcome", "remind")
ASKED_FIELDS = (
    *("version", "sides", "trace", "awaiting", "need", "rule", "shape", "policy"),
    *(
        "asked_at",
        "deadline_at",
        "remind_at",
        "expired_at",
        "deferred_until",
        "deferred_by",
        "deferred_reason",
    ),
)


def ask_people(row: Conflict, core: Core, body: Mapping[str, Any], clock: Callable[[], float]) -> None:
    """Brings a question's row up to its entry, the last one of this cycle about it. Does not save it.

    `clock` gives the database's time; it is asked only where there is a deadline.
    """
    rule = _rule_of(core, row.kind, body)
    asked = (body["version"], body.get("awaiting", ""), rule.name if rule else "")
    is_same = row.pk is not None and asked == (row.version, row.awaiting, row.rule)
    row.version, row.awaiting, row.rule = asked
    row.trace, row.need = list(body.get("trace", [])), body.get("need", 1)
    row.sides = _sides(core, row, body.get("sides", []))
    row.shape = shape_of(
        core.pack.name, row.kind, row.key, row.rule, [side["speakers"] for side in row.sides]
    )
    row.policy = {name: rule.params[name] for name in POLICY if name in rule.params} if rule else {}
    if not is_same:
        _ask_anew(row, clock)


def _rule_of(core: Core, kind: str, body: Mapping[str, Any]) -> RuleSpec | None:
    """The rule that leaves the slot to people, or that holds its value."""
    name = body.get("rule", "") if kind == "hold" else asked_by(body.get("trace"))
    return next((rule for rule in core.pack.rules if rule.name == name), None) if name else None


def _sides(core: Core, row: Conflict, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sides as the entry tells them, each with its `speakers`."""
    slot = core.ledger.keys[row.key].slots[row.subject]
    speaking = {(c.voice.agent, c.voice.item): parse(c.evidence) if c.evidence else None for c in slot.cands}
    return [
        {
            **side,
            "speakers": speakers_of(
                (v["agent"], speaking.get((v["agent"], v.get("item")))) for v in side["voices"]
            ),
        }
        for side in told
    ]


def _ask_anew(row: Conflict, clock: Callable[[], float]) -> None:
    """People are asked something new: their time begins now, and nobody has put it off."""
    row.deferred_until, row.deferred_by, row.deferred_reason = None, "", ""
    row.asked_at = row.deadline_at = row.remind_at = row.expired_at = None
    seconds = row.policy.get("deadline")
    if row.awaiting or not seconds:
        return
    row.asked_at = clock()
    row.deadline_at = row.asked_at + float(seconds)
    if row.policy.get("remind"):
        row.remind_at = row.deadline_at - float(row.policy["remind"])
