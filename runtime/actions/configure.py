"""What an admin may change of a pack as a whole: its switch, names and limits. Checked, written and audited.

Running jobs froze their pack and notice nothing (D6.4). Rules are in `runtime.actions.rules`, agents in
`runtime.actions.agents`, tools in `runtime.actions.tools`.
"""

from __future__ import annotations

from dataclasses import fields

from django.db import transaction

from runtime.actions.audit import Person
from runtime.actions.changing import Changes, lock_row, record_changes, refuse_unknown, write_changes
from runtime.actions.pack_specs import pack_fields
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.agents import find_pack
from runtime.engine.spec import Budget
from runtime.models import Pack

PACK_SETTINGS = ("enabled", "title", "description", "budget")

BUDGET_CEILINGS: dict[str, int] = {
    "cycles": 100_000,
    "lifetime_cycles": 1_000_000,
    "facts": 1_000_000,
    "seconds": 86_400,
    "calls": 1_000_000,
    "tokens": 1_000_000_000,
    "recovery_seconds": 30 * 86_400,
}


@transaction.atomic
def change_pack(user: Person, pack_id: int, changes: Changes, reason: str = "") -> Pack:
    """Set some of `PACK_SETTINGS` of a pack; `budget` is an object with all its limits. Raises Refused."""
    pack = lock_row(Pack, pack_id, "pack")
    check_pack_change(user, pack, changes)
    code = find_pack(pack.name)
    of_code = None if code is None else {**pack_fields(code.spec()), "enabled": True}
    before = write_changes(pack, changes, PACK_SETTINGS, of_code)
    record_changes(user, "change_pack", f"pack:{pack.name}", reason, pack, before)
    return pack


def check_pack_change(user: Person, pack: Pack, changes: Changes) -> None:
    """Raises Refused, with the field at fault, unless `change_pack` would take the values."""
    require(user, "configure")
    refuse_unknown(changes, PACK_SETTINGS)
    budget = changes.get("budget", pack.budget)
    for limit in fields(Budget):
        value, ceiling = budget.get(limit.name, limit.default), BUDGET_CEILINGS[limit.name]
        whole = type(value) is int or (limit.name in ("seconds", "recovery_seconds") and type(value) is float)
        if not whole or not 1 <= value <= ceiling:
            raise Refused(f"The limit is {value!r}; give a number from 1 to {ceiling:,}.", field=limit.name)
    unknown = sorted(set(budget) - set(BUDGET_CEILINGS))
    if unknown:
        raise Refused(
            f"There is no limit {unknown[0]!r}; limits are {', '.join(BUDGET_CEILINGS)}.", field="budget"
        )
    if changes.get("enabled") and not pack.enabled and find_pack(pack.name) is None:
        raise Refused(
            "The code of this pack is not installed any more, so it cannot be enabled. Install it, then run "
            "`manage.py sync_packs`.",
            field="enabled",
        )
    if not str(changes.get("title", pack.title)).strip():
        raise Refused("Give the pack a title.", field="title")
