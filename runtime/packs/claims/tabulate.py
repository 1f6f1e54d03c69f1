"""Claims laid out for counting: who said what about which slot, once, in one fixed order.

Everything here follows from the claims alone, so it is worked out once for a set of claims and remembered
(`tabulate_claims` keeps the last few tables).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from runtime.packs.claims.claim import Claim, newest_words
from runtime.packs.claims.echoes import find_echo_groups

OPEN = 0  # the number of the open family in every table
MOST_LABELS = 24  # above this a table of who-mistakes-what-for-what is mostly empty cells
SLOTS_PER_LABEL = 2  # labels recur: a shared label stands, on average, for at least this many slots
OWN_FAMILY = 10  # an attribute with this many slots is a label family of its own
RANKS = 3  # low, middle, high
RANKED = 8  # a source's confidences on one label are ranked only if there are this many that differ


@dataclass(frozen=True, slots=True)
class Voice:
    """One source's word on one slot. `rank` is 0 without usable confidence, else 1 (low), 2 (middle), 3 (high)."""

    source: int
    label: int
    rank: int
    weight: float


@dataclass(frozen=True, slots=True)
class Slot:
    """One (object, attribute). `labels` are the claimed values in sorted order, `voices` are in source order.

    `places` are the labels' places in the family's (empty in the open family).
    `closeness[truth][said]` in 0..1 says how near two numbers lie; None where the values are no numbers.
    """

    subject: str
    family: int
    labels: tuple[str, ...]
    places: tuple[int, ...]
    voices: tuple[Voice, ...]
    closeness: tuple[tuple[float, ...], ...] | None

    @property
    def disputed(self) -> bool:
        return len(self.labels) > 1

    @property
    def weight(self) -> float:
        """Independent voices: an echo group that says the same counts as one."""
        return sum(voice.weight for voice in self.voices)


@dataclass(frozen=True, slots=True)
class Family:
    """Slots that share their labels (`labels` is then the shared set), or, with `labels` empty, the open rest."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """All claims of a job: sources and slots sorted by name. `digest` identifies exactly these claims."""

    sources: tuple[str, ...]
    slots: tuple[Slot, ...]
    families: tuple[Family, ...]
    echoes: tuple[tuple[int, ...], ...]
    digest: str


def tabulate_claims(claims: Iterable[Claim]) -> Table:
    """Lay out claims; their order does not matter. Costs about 10 µs a claim the first time, 1 µs when repeated."""
    return _tabulate(tuple(claims))


@lru_cache(maxsize=4)
def _tabulate(claims: tuple[Claim, ...]) -> Table:
    words = sorted(newest_words(sorted(claims, key=_order)), key=lambda claim: (claim.subject, claim.source))
    sources = tuple(sorted({claim.source for claim in words}))
    number = {source: index for index, source in enumerate(sources)}
    by_slot: dict[str, list[Claim]] = defaultdict(list)
    for claim in words:
        by_slot[claim.subject].append(claim)
    families, family_of = group_attributes(words)
    ranks = _rank_confidences(words)
    said = [[(number[claim.source], claim.label) for claim in rows] for rows in by_slot.values()]
    echoes = find_echo_groups(said)
    group = {member: index for index, members in enumerate(echoes) for member in members}
    slots = tuple(
        _lay_out(subject, family_of[rows[0].attribute], families, rows, number, group, ranks)
        for subject, rows in by_slot.items()
    )
    return Table(sources, slots, families, echoes, _digest(words))


def _order(claim: Claim) -> tuple[str, ...]:
    return (claim.subject, claim.source, claim.label, str(claim.confidence))


def _digest(words: Sequence[Claim]) -> str:
    lines = (f"{c.source!r} {c.subject!r} {c.label!r} {c.confidence!r}" for c in words)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _lay_out(
    subject: str,
    family: int,
    families: tuple[Family, ...],
    rows: list[Claim],
    number: dict[str, int],
    group: dict[int, int],
    ranks: dict[tuple[str, str], int],
) -> Slot:
    labels = tuple(sorted({claim.label for claim in rows}))
    place = {label: index for index, label in enumerate(labels)}
    said = [(number[claim.source], place[claim.label]) for claim in rows]
    camps = Counter((group[source], label) for source, label in said if source in group)
    voices = tuple(
        Voice(
            source,
            label,
            ranks.get((claim.source, subject), 0),
            1 / camps[group[source], label] if source in group else 1.0,
        )
        for claim, (source, label) in zip(rows, said, strict=True)
    )
    places = tuple(families[family].labels.index(label) for label in labels) if family != OPEN else ()
    return Slot(subject, family, labels, places, voices, _measure_closeness(labels, voices))


def group_attributes(words: Sequence[Claim]) -> tuple[tuple[Family, ...], dict[str, int]]:
    """Families of attributes, and the number of the family of each attribute.

    An attribute with few slots joins the other small ones that share a label with it (a data set may have one
    attribute a question). A family whose labels recur is *shared*; all others are pooled as *open*: there every
    slot has its own candidates, and only right or wrong can be learned.
    """
    slots: dict[str, set[str]] = defaultdict(set)
    labels: dict[str, set[str]] = defaultdict(set)
    for claim in words:
        slots[claim.attribute].add(claim.subject)
        labels[claim.attribute].add(claim.label)
    families: list[Family] = [Family("", ())]
    family_of: dict[str, int] = {}
    for attributes in _join_small(slots, labels):
        together = sorted(set().union(*(labels[a] for a in attributes)))
        count = sum(len(slots[a]) for a in attributes)
        shared = 1 < len(together) <= MOST_LABELS and count >= SLOTS_PER_LABEL * len(together)
        if shared:
            more = f" and {len(attributes) - 1} more" if len(attributes) > 1 else ""
            families.append(Family(attributes[0] + more, tuple(together)))
        for attribute in attributes:
            family_of[attribute] = len(families) - 1 if shared else 0
    return tuple(families), family_of


def _join_small(slots: dict[str, set[str]], labels: dict[str, set[str]]) -> list[list[str]]:
    groups: list[tuple[list[str], set[str]]] = []
    alone: list[list[str]] = []
    for attribute in sorted(slots):
        if len(slots[attribute]) >= OWN_FAMILY:
            alone.append([attribute])
            continue
        touching = [group for group in groups if group[1] & labels[attribute]]
        joined = ([attribute], set(labels[attribute]))
        for members, known in touching:
            joined = (members + joined[0], known | joined[1])
            groups.remove((members, known))
        groups.append(joined)
    return sorted(alone + [sorted(members) for members, _ in groups])


def _rank_confidences(words: Sequence[Claim]) -> dict[tuple[str, str], int]:
    """Rank each confidence among those the same source gave with the same kind of answer.

    Only the order within a source is used: a source that always claims .99 says nothing by it, and one that
    forges high figures is compared with its own.
    """
    given: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for claim in words:
        if claim.confidence is not None:
            given[claim.source, claim.label].append((claim.confidence, claim.subject))
    rest: dict[str, list[tuple[float, str]]] = defaultdict(list)
    ranks: dict[tuple[str, str], int] = {}
    for (source, _), rows in given.items():
        if not _rank(source, rows, ranks):
            rest[source].extend(rows)
    for source, rows in rest.items():
        _rank(source, rows, ranks)
    return ranks


def _rank(source: str, rows: list[tuple[float, str]], ranks: dict[tuple[str, str], int]) -> bool:
    values = sorted(value for value, _ in rows)
    low, high = values[len(values) // 3], values[2 * len(values) // 3]
    if len(set(values)) < RANKED:
        return False
    for value, subject in rows:
        ranks[source, subject] = 1 + bisect_right((low, high), value) if low < high else 0
    return True


def _measure_closeness(
    labels: tuple[str, ...], voices: tuple[Voice, ...]
) -> tuple[tuple[float, ...], ...] | None:
    if len(labels) < 3:
        return None  # with two candidates neither is nearer to the other
    numbers = [_parse_number(label) for label in labels]
    known = [number for number in numbers if number is not None]
    if len(known) < len(labels):
        return None
    claimed = sorted(known[voice.label] for voice in voices)
    middle = claimed[len(claimed) // 2]
    spread = sorted(abs(number - middle) for number in claimed)[len(claimed) // 2]
    return tuple(tuple(_nearness(abs(a - b), spread) for b in known) for a in known)


def _nearness(distance: float, spread: float) -> float:
    if distance == 0:
        return 1.0
    return 1 / (1 + (distance / spread) ** 2) if spread else 0.0


def _parse_number(text: str) -> float | None:
    try:
        number = float(text.replace(",", "").strip(" $%"))
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None
