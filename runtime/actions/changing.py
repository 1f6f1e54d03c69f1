"""What all changes of configuration share: the row is locked, only what differs is written, and it is recorded.

What was changed of a row that comes from code is named in its `changed_fields`, so that a sync leaves it alone;
setting a field back to what the code says gives it back to the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import Model

from runtime.actions.audit import Person, record_act
from runtime.actions.pack_specs import Fields
from runtime.actions.refusals import Refused
from runtime.agents import find_pack
from runtime.engine import PackError, PackSpec
from runtime.engine.compiled import compile_pack
from runtime.models import Pack

Changes = Mapping[str, Any]
Row = TypeVar("Row", bound=Model)


def lock_row(model: type[Row], row_id: int, what: str) -> Row:
    """The row, locked until the transaction ends. Raises Refused(code="gone") if there is none."""
    row = model._default_manager.select_for_update().filter(pk=row_id).first()
    if row is None:
        raise Refused(f"This {what} is not there any more; reload the page.", code="gone")
    return row


def refuse_unknown(changes: Changes, settings: tuple[str, ...]) -> None:
    """Raises Refused for what is none of the settings that can be set here."""
    for name in changes:
        if name not in settings:
            raise Refused(f"{name!r} cannot be set here; what can: {', '.join(settings)}.", field=name)


def write_changes(row: Any, changes: Changes, settings: tuple[str, ...], of_code: Changes | None) -> Fields:
    """Set and save what differs; returns the values before by name. `of_code` is what the code says, if it does."""
    before = {
        name: getattr(row, name)
        for name in settings
        if name in changes and getattr(row, name) != changes[name]
    }
    for name in before:
        value = changes[name]
        setattr(row, name, list(value) if isinstance(value, tuple) else value)
    if getattr(row, "origin", "code") == "code":
        marked = {*row.changed_fields, *before}
        if of_code is not None:
            marked -= {name for name in before if of_code.get(name) == getattr(row, name)}
        row.changed_fields = sorted(marked)
    row.save(update_fields=[*before, "changed_fields"])
    return before


def record_changes(user: Person, act: str, target: str, reason: str, row: Any, before: Fields) -> None:
    """One audit record with each value before and after; none if nothing changed."""
    if before:
        changes = {name: {"from": value, "to": getattr(row, name)} for name, value in before.items()}
        record_act(user, act, target, reason, changes=changes)


def check_still_runs(now: PackSpec, then: PackSpec, field: str | None) -> None:
    """Refuse a change that breaks a pack. One that cannot run already may be mended step by step."""
    why = _fault_of(then)
    if why and not _fault_of(now):
        raise Refused(f"With this change the pack could not run: {why}.", field=field)


def fields_in_code(pack: Pack, fields_of: Any) -> dict[str, Fields]:
    """The columns of a pack's parts as its code says them, by name: none if it is not installed here."""
    found = find_pack(pack.name)
    result: dict[str, Fields] = {} if found is None else fields_of(found.spec())
    return result


def _fault_of(spec: PackSpec) -> str:
    try:
        compile_pack(spec)
    except PackError as error:
        return str(error)
    return ""
