"""Which keys lie on a loop of the pack's graph: what agents read -> what they write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def keys_on_loops(agents: Iterable[tuple[Sequence[str], Sequence[str]]]) -> list[str]:
    """The keys from which a path of agents leads back to themselves, sorted. `agents` are (read, written) pairs."""
    return sorted(key for loop in loops(agents) for key in loop)


def loops(agents: Iterable[tuple[Sequence[str], Sequence[str]]]) -> list[list[str]]:
    """The loops, each as its keys, sorted: the strongly connected parts of the graph with more than one key, and keys
    that lead to themselves (Tarjan 1972, without recursion). Loops that share a key are one.
    """
    after: dict[str, dict[str, None]] = {}
    for read, written in agents:
        for key in read:
            after.setdefault(key, {}).update(dict.fromkeys(written))
    parts = _connected_parts(after)
    return sorted(sorted(part) for part in parts if len(part) > 1 or part[0] in after.get(part[0], ()))


def _connected_parts(after: dict[str, dict[str, None]]) -> Iterator[list[str]]:
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_keys: dict[str, None] = {}
    for root in after:
        if root in number:
            continue
        number[root] = lowest[root] = len(number)
        open_keys[root] = None
        path = [(root, iter(after.get(root, ())))]
        while path:
            key, rest = path[-1]
            for follower in rest:
                if follower not in number:
                    number[follower] = lowest[follower] = len(number)
                    open_keys[follower] = None
                    path.append((follower, iter(after.get(follower, ()))))
                    break
                if follower in open_keys:
                    lowest[key] = min(lowest[key], number[follower])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[key])
                if lowest[key] == number[key]:
                    yield _close(open_keys, key)


def _close(open_keys: dict[str, None], key: str) -> list[str]:
    part: list[str] = []
    while not part or part[-1] != key:
        part.append(open_keys.popitem()[0])
    return part
