"""What differs between two JSON values, field by field, as texts to show beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from converge_site.fragments.value_parts import find_differences

FIELDS = 60


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One part that differs. `name` is its path ("channels.Podcasts"), "" for a value without parts; `old` and `new`
    are what it was and is, "" where it is missing on that side."""

    name: str
    old: str
    new: str


def diff_values(old: Any, new: Any) -> list[FieldChange]:
    """The parts in which two values differ, at most FIELDS and then one that counts the rest."""
    found = find_differences([old, new])
    shown = [FieldChange(one.name, *one.texts()) for one in islice(found, FIELDS)]
    rest = sum(1 for _ in found)
    return [*shown, FieldChange(f"and {rest} more", "…", "…")] if rest else shown
