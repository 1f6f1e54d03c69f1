"""Which keys lie on a loop of the pack's graph: what agents read -> what they write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def keys_on_loops(agents: Iterable[tuple[Sequence[str], Sequence[str]]]) -> list[str]:
    """The keys from which a path of agents leads back to themselves, sorted. `agents` are (read, written) pairs."""
    after: dict[str, set[str]] = {}
    for read, written in agents:
        for key in read:
            after.setdefault(key, set()).update(written)
    return sorted(key for key in after if key in _reached_from(key, after))


def _reached_from(start: str, after: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        for key in after.get(todo.pop(), ()):
            if key not in found:
                found.add(key)
                todo.append(key)
    return found
