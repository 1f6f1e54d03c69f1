"""The parts in which JSON values differ. Every part is written out once, so two long lists cost no more than two lists;
what is too much to compare part by part is told by its size."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from converge_site.fragments.values import cell_value, long_cell_value
from converge_site.fragments.voices import form_of

DEPTH = 4  # of objects in objects; deeper ones are compared whole
NAME = 80
ITEMS = 12
MOST_COMPARED = 2_000  # fields and items, of all the values together
MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One part that differs: `path` leads to it, () for the whole; `values` has one for each of the values compared,
    MISSING where one has no such part. `own` says that these are lists of which only what not all hold is left; `sizes`
    that they are too long to compare."""

    path: tuple[str, ...]
    values: Sequence[Any]
    own: bool = False
    sizes: bool = False

    @property
    def name(self) -> str:
        """Its path as it is shown: "channels.Podcasts", "" for the whole."""
        return ".".join(self.path)[:NAME]

    def texts(self) -> tuple[str, ...]:
        """What each value holds there, "" where it holds nothing."""
        if self.sizes:
            return tuple("" if v is MISSING else _size(v) for v in self.values)
        if self.own:
            return tuple(_items(value) for value in self.values)
        return tuple("" if v is MISSING else long_cell_value(v) for v in self.values)


def find_differences(values: Sequence[Any]) -> Iterator[Difference]:
    """The parts in which some values differ from each other, in order; nothing if all are one value."""
    return _walk((), values, DEPTH, [MOST_COMPARED])


def _walk(path: tuple[str, ...], values: Sequence[Any], depth: int, room: list[int]) -> Iterator[Difference]:
    objects = depth > 0 and all(isinstance(value, dict) for value in values)
    if not objects and not all(isinstance(value, list) for value in values):
        if not _agree(values):
            yield Difference(path, values)
        return
    room[0] -= sum(len(value) for value in values)
    if room[0] < 0:
        if not _agree(values):
            yield Difference(path, values, sizes=True)
    elif objects:
        for name in dict.fromkeys(name for value in values for name in value):
            part = [value.get(name, MISSING) for value in values]
            yield from _walk((*path, name), part, depth - 1, room)
    else:
        yield from _compare_lists(path, values)


def _agree(values: Sequence[Any]) -> bool:
    return len({value if value is MISSING else form_of(value) for value in values}) == 1


def _compare_lists(path: tuple[str, ...], values: Sequence[list[Any]]) -> Iterator[Difference]:
    """What each list holds and not all of them do; all of each if they differ in order or number alone."""
    forms: list[list[Hashable]] = [[form_of(item) for item in value] for value in values]
    if all(of_list == forms[0] for of_list in forms[1:]):
        return
    in_all = set(forms[0]).intersection(*forms[1:])
    own = [
        [item for item, form in zip(value, of_list, strict=True) if form not in in_all]
        for value, of_list in zip(values, forms, strict=True)
    ]
    if any(own):
        yield Difference(path, own, own=True)
    else:
        yield Difference(path, values)


def _items(items: list[Any]) -> str:
    more = f" and {len(items) - ITEMS} more" if len(items) > ITEMS else ""
    return ", ".join(cell_value(item) for item in items[:ITEMS]) + more


def _size(value: Any) -> str:
    what = "item" if isinstance(value, list) else "field"
    return f"{len(value):,} {what}{'' if len(value) == 1 else 's'}, too many to compare here"
