"""What is known of the sources, worked out from what they said and what is believed to be true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.packs.claims.confusion import Matrix, fit_confusions
from runtime.packs.claims.dependence import measure_dependence
from runtime.packs.claims.shrink import learn_strength, shrink
from runtime.packs.claims.tabulate import OPEN, RANKS, Family, Slot, Table

JSON = Any
Truths = Sequence[
    tuple[str, float]
]  # labels of one slot with their probability; empty: nothing to learn there

CONFIDENCE_CLAIMS = 16.0  # weight of what confidence usually means against what it means for one source


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of the sources; all shares lie in .001-.999.

    `sources`: name -> {"reliability": share of its claims that are right, "judged": claims that counted for it,
    "open": the same share where slots have candidates of their own, "says": {family: {truth: {said: share}}},
    "confidence": what one rank of its confidence adds to the log odds, "echoes": [names]}; parts that do not
    apply are left out. `summary`: {"shares": {family: {label: share}}, "coincidence": chance that two wrong
    claims agree, "independence": .999 where sources err alone, less where they err together, "round": n,
    "of": digest of claims and decisions}.
    """

    sources: Mapping[str, JSON] = field(default_factory=dict)
    summary: Mapping[str, JSON] = field(default_factory=dict)


def fit_trust(table: Table, truths: Sequence[Truths]) -> Trust:
    """Trust (without "round" and "of") given what is believed of each slot of the table, in its order."""
    tally = _Tally(table)
    for slot, believed in zip(table.slots, truths, strict=True):
        if believed:
            tally.add(slot, believed)
    sources: list[dict[str, JSON]] = [
        {"reliability": to_share(rate), "judged": round(sum(count))}
        for rate, count in zip(_fit_rates(tally.claims), tally.claims, strict=True)
    ]
    speakers = sorted(tally.open)
    for index, rate in zip(speakers, _fit_rates([tally.open[index] for index in speakers]), strict=True):
        sources[index]["open"] = to_share(rate)
    for family, said in zip(table.families[1:], tally.said[1:], strict=True):
        speakers = sorted(said)
        matrices = fit_confusions([said[index] for index in speakers], len(family.labels))
        for index, matrix in zip(speakers, matrices, strict=True):
            sources[index].setdefault("says", {})[family.name] = _name_shares(family, matrix)
    for index, slope in _fit_slopes(tally.ranks).items():
        sources[index]["confidence"] = round(slope, 3)
    for group in table.echoes:
        for index in group:
            sources[index]["echoes"] = [table.sources[other] for other in group if other != index]
    named = dict(zip(table.sources, sources, strict=True))
    summary = {
        "shares": _find_shares(table, tally),
        "coincidence": to_share(tally.find_coincidence()),
        "independence": to_share(1 / measure_dependence(table, truths, named)),
    }
    return Trust(named, summary)


def to_share(share: float) -> float:
    """Thousandths, and never none or all: what was not seen is not impossible."""
    return min(max(round(share, 3), 0.001), 0.999)


class _Tally:
    """Expected counts: what the sources said where this or that is believed to be true. [right, wrong] pairs."""

    def __init__(self, table: Table) -> None:
        self._places = [{label: place for place, label in enumerate(f.labels)} for f in table.families]
        self.claims = [[0.0, 0.0] for _ in table.sources]
        self.open: dict[int, list[float]] = {}
        self.said: list[dict[int, Matrix]] = [{} for _ in table.families]
        self.shares = [[1.0] * len(family.labels) for family in table.families]
        self.ranks: dict[tuple[int, str], list[list[float]]] = {}
        self._misses, self._same_misses = 0.0, 0.0

    def add(self, slot: Slot, truths: Truths) -> None:
        chance = dict(truths)
        right = [chance.get(label, 0.0) for label in slot.labels]
        for voice in slot.voices:
            p = right[voice.label]
            _count(self.claims[voice.source], p)
            if slot.family == OPEN:
                _count(self.open.setdefault(voice.source, [0.0, 0.0]), p)
            if voice.rank:
                label = "" if slot.family == OPEN else slot.labels[voice.label]
                rows = self.ranks.setdefault((voice.source, label), _no_ranks())
                rows[0][voice.rank - 1] += p
                rows[1][voice.rank - 1] += 1 - p
        if slot.family == OPEN:
            self._add_misses(slot, right)
        else:
            self._add_answers(slot, truths)

    def _add_answers(self, slot: Slot, truths: Truths) -> None:
        places, said, shares = self._places[slot.family], self.said[slot.family], self.shares[slot.family]
        for voice in slot.voices:
            if voice.source not in said:
                said[voice.source] = [[0.0] * len(shares) for _ in shares]
        answers = [(said[voice.source], slot.places[voice.label]) for voice in slot.voices]
        for label, p in truths:
            truth = places.get(label)
            if p and truth is not None:
                shares[truth] += p
                for rows, answer in answers:
                    rows[truth][answer] += p

    def _add_misses(self, slot: Slot, right: list[float]) -> None:
        """Pairs of wrong claims, and those of them that agree."""
        votes = [0.0] * len(slot.labels)
        for voice in slot.voices:
            votes[voice.label] += voice.weight
        missed = sum(vote * (1 - p) for vote, p in zip(votes, right, strict=True))
        for vote, p in zip(votes, right, strict=True):
            self._misses += vote * (1 - p) * (missed - (1 - p))
            self._same_misses += vote * max(vote - 1, 0.0) * (1 - p) ** 2

    def find_coincidence(self) -> float:
        """Chance that two wrong claims agree; taken for a half where there are hardly any."""
        return min(max((self._same_misses + 2) / (self._misses + 4), 0.02), 1.0)


def _count(counts: list[float], right: float) -> None:
    counts[0] += right
    counts[1] += 1 - right


def _find_shares(table: Table, tally: _Tally) -> dict[str, dict[str, float]]:
    return {
        family.name: {
            label: to_share(n / sum(amounts)) for label, n in zip(family.labels, amounts, strict=True)
        }
        for family, amounts in zip(table.families[1:], tally.shares[1:], strict=True)
    }


def _name_shares(family: Family, matrix: Matrix) -> dict[str, dict[str, float]]:
    return {
        truth: {said: to_share(share) for said, share in zip(family.labels, row, strict=True)}
        for truth, row in zip(family.labels, matrix, strict=True)
    }


def _fit_rates(counts: Sequence[Sequence[float]]) -> list[float]:
    """Each source's share of right claims, shrunk to the share of all."""
    right, wrong = sum(count[0] for count in counts), sum(count[1] for count in counts)
    usual = (right + 2) / (right + wrong + 3)
    strength = learn_strength([(count, (usual, 1 - usual)) for count in counts])
    return [shrink(count, (usual, 1 - usual), strength)[0] for count in counts]


def _fit_slopes(ranks: Mapping[tuple[int, str], list[list[float]]]) -> dict[int, float]:
    """How much one rank of confidence adds to the log odds of being right, for each source; never below 0.

    What ranks usually mean is taken from the label where they mean least: a score that rises with one label and
    falls with another is no confidence.
    """
    pooled: dict[str, list[list[float]]] = {}
    own: dict[int, list[list[float]]] = {}
    for (index, label), rows in sorted(ranks.items()):
        for sums in (pooled.setdefault(label, _no_ranks()), own.setdefault(index, _no_ranks())):
            for total, row in zip(sums, rows, strict=True):
                for rank in range(RANKS):
                    total[rank] += row[rank]
    usual = max(0.0, min(_slope(rows, 0.0) for rows in pooled.values())) if pooled else 0.0
    return {index: max(0.0, _slope(rows, usual)) for index, rows in own.items()}


def _no_ranks() -> list[list[float]]:
    return [[0.0] * RANKS, [0.0] * RANKS]


def _slope(rows: list[list[float]], usual: float) -> float:
    """Difference of the mean ranks of right and wrong claims over their variance, shrunk to the usual slope."""
    sizes = [sum(row) for row in rows]
    whole = sum(sizes)
    both = [rows[0][rank] + rows[1][rank] for rank in range(RANKS)]
    mean = sum(rank * n for rank, n in enumerate(both)) / whole
    spread = sum((rank - mean) ** 2 * n for rank, n in enumerate(both)) / whole
    if min(sizes) <= 0 or spread <= 0:
        return usual
    means = [
        sum(rank * n for rank, n in enumerate(row)) / size for row, size in zip(rows, sizes, strict=True)
    ]
    weight = sizes[0] * sizes[1] / whole
    return (weight * (means[0] - means[1]) / spread + CONFIDENCE_CLAIMS * usual) / (
        weight + CONFIDENCE_CLAIMS
    )
