"""What becomes of an inbox row: its entry in the journal, and the receipt for who sent it."""

from __future__ import annotations

from typing import Any, NamedTuple

from orjson import Fragment

from runtime.engine.inputs import InboxRow
from runtime.engine.ledger import Ledger
from runtime.engine.merge import restand_and_tell
from runtime.engine.state import Slot
from runtime.engine.values import BoundsError, canonical, thousandths


class Receipt(NamedTuple):
    """What became of one inbox row: `applied`, `refused` or `stale`, and a sentence for who asked."""

    id: int
    result: str
    message: str


def chosen(row: InboxRow) -> dict[str, Any]:
    """The row's own value for the journal, so that a replay applies the same row."""
    if row.none:
        return {"none": True}
    try:
        return {"choice": Fragment(canonical(row.value)), "sure": thousandths(row.confidence)}
    except BoundsError:
        return {}


def finish(ledger: Ledger, row: InboxRow, fields: dict[str, Any], result: str, message: str) -> Receipt:
    """Writes down a row that changed nothing by itself, with its result."""
    for name in ("key", "subject"):
        if name in fields and not str(fields[name]).isprintable():
            fields[name] = ""
    ledger.log.add({**fields, "result": result, "message": message})
    return Receipt(row.id, result, message)


def restand(ledger: Ledger, row: InboxRow, slot: Slot, fields: dict[str, Any], done: str) -> Receipt:
    """Writes down a row that may have changed what stands in its slot, with what stands now."""
    message = done
    plan = ledger.plan.keys[slot.key]
    fields.update(result="applied", message=message)
    ledger.loosen(slot)
    restand_and_tell(ledger, slot, plan, fields)
    return Receipt(row.id, "applied", message)
