"""What differs between two JSON values, field by field, as texts to show beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from converge_site.fragments.values import cell_value, long_cell_value
from converge_site.fragments.voices import same_value

DEPTH = 4  # of objects in objects; deeper ones are compared whole
FIELDS = 60
NAME = 80


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One part that differs. `name` is its path ("channels.Podcasts"), "" for a value without parts; `old` and `new`
    are what it was and is, "" where it is missing on that side."""

    name: str
    old: str
    new: str


def diff_values(old: Any, new: Any) -> list[FieldChange]:
    """The parts in which two values differ, at most FIELDS and then one that counts the rest."""
    found = _walk("", old, new, DEPTH)
    if len(found) > FIELDS:
        rest = len(found) - FIELDS
        found = [*found[:FIELDS], FieldChange(f"and {rest} more", "…", "…")]
    return found


def _walk(path: str, old: Any, new: Any, depth: int) -> list[FieldChange]:
    if same_value(old, new):
        return []
    if isinstance(old, dict) and isinstance(new, dict) and depth:
        return [
            change
            for name in {**old, **new}
            for change in _part(f"{path}.{name}" if path else name, old, new, name, depth)
        ]
    if isinstance(old, list) and isinstance(new, list):
        return [_lists(path, old, new)]
    return [FieldChange(path[:NAME], long_cell_value(old), long_cell_value(new))]


def _part(path: str, old: dict[str, Any], new: dict[str, Any], name: str, depth: int) -> list[FieldChange]:
    if name in old and name in new:
        return _walk(path, old[name], new[name], depth - 1)
    return [
        FieldChange(
            path[:NAME],
            long_cell_value(old[name]) if name in old else "",
            long_cell_value(new[name]) if name in new else "",
        )
    ]


def _lists(path: str, old: list[Any], new: list[Any]) -> FieldChange:
    """Only what one of two lists holds; all of both if they hold the same in another order."""
    gone = [part for part in old if not any(same_value(part, other) for other in new)]
    come = [part for part in new if not any(same_value(part, other) for other in old)]
    if not gone and not come:
        return FieldChange(path[:NAME], long_cell_value(old), long_cell_value(new))
    return FieldChange(path[:NAME], _items(gone), _items(come))


def _items(parts: list[Any]) -> str:
    more = f" and {len(parts) - 12} more" if len(parts) > 12 else ""
    return ", ".join(cell_value(part) for part in parts[:12]) + more
