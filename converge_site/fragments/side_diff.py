"""Where the candidates of a question differ, part by part, as texts to show in columns beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from converge_site.fragments.value_parts import Difference, find_differences

ROWS = 40
COLUMNS = 6  # sides; a question with more shows its values alone


@dataclass(frozen=True, slots=True)
class Part:
    """One part that differs. `name` is its path ("channels.Podcasts"); `texts` has one text a side, "" where the side
    has no such part."""

    name: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SideDiff:
    """The parts in which the sides differ; `hidden` counts those left out, `same` the parts of the first level in
    which all sides agree."""

    parts: list[Part]
    hidden: int
    same: int


def diff_sides(values: Sequence[Any]) -> SideDiff | None:
    """None where there is nothing to take apart: plain values, values of different types, or too many sides."""
    if not 2 <= len(values) <= COLUMNS:
        return None
    if not (all(isinstance(v, dict) for v in values) or all(isinstance(v, list) for v in values)):
        return None
    found = list(find_differences(values))
    parts = [Part(one.name or _whole(values), one.texts()) for one in found[:ROWS]]
    return SideDiff(parts, max(0, len(found) - ROWS), _count_same(values, found))


def _whole(values: Sequence[Any]) -> str:
    return "Items" if isinstance(values[0], list) else "Fields"


def _count_same(values: Sequence[Any], found: Sequence[Difference]) -> int:
    """How many parts of the first level are the same; 0 where they were not looked at one by one."""
    if not isinstance(values[0], dict) or any(not one.path for one in found):
        return 0
    return len({name for value in values for name in value} - {one.path[0] for one in found})
