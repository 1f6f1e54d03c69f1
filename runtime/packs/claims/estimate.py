"""Truth out of sources that disagree: trust from beliefs, beliefs from trust, in turns until neither changes.

The method. Each source is judged by how its claims compare with what is currently believed, and each belief is
the claims weighed by that judgement (Dawid and Skene 1979, expectation and maximisation). What is learned about
a source depends on the data. Where labels recur, a table of what it says under each truth, shrunk in steps
towards a single skill (`confusion`; hierarchical as in Kim and Ghahramani 2012, "Bayesian classifier
combination"). Where every slot has candidates of its own, one shrunk reliability, with wrong answers scattered
as widely as they are found to be (Dong et al. 2009; `Li et al. 2014, CRH` is the relative that minimises
distances), and among numbers, near misses likelier than far ones. How strong each prior is, is learned too
(`shrink`). Sources that echo each other share one voice (`echoes`). A confidence counts by its rank among those
the source itself gave, and as much as high ranks have gone with right answers: forged certainty carries nothing.

The turns end. Numbers are rounded to thousandths; a fact keeps its earlier figures unless one moves by more than
a band, and the band widens with the rounds until at LAST_ROUND nothing moves. `estimate_trust` waits until the
beliefs it sees answer the trust it last gave, so that the order in which the two are run does not matter. The
same claims, in any order, take the same course.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Any

from runtime.packs.claims.confusion import fit_confusions
from runtime.packs.claims.shrink import learn_strength, shrink
from runtime.packs.claims.tabulate import Slot, Table

JSON = Any
Beliefs = Mapping[str, Mapping[str, float]]  # slot -> label -> probability
Decided = Mapping[str, str]  # slot -> the label that a rule or an operator settled

OPEN = 0  # the number of the open family in every table
FULL_VOICES = 1.5  # a slot with fewer independent voices says nothing about those who speak there
BAND = 0.01
LAST_ROUND = 60
RANKS = 3
CONFIDENCE_CLAIMS = 16.0  # weight of what high confidence usually means against what it means for one source
SOME_NEARNESS = 0.2  # a far miss is this likely, beside a near one


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of the sources.

    `sources`: name -> {"reliability": share of its claims that are right, "judged": claims counted,
    "open": the same share where slots have candidates of their own, "says": {family: {truth: {said: share}}},
    "confidence": {label: {"right": [low, middle, high], "wrong": [...]}}, "echoes": [names]}; parts without
    content are left out. `summary`: {"shares": {family: {label: share}}, "spread": wrong candidates a slot,
    "round": n, "of": digest of claims and decisions}.
    """

    sources: Mapping[str, JSON] = field(default_factory=dict)
    summary: Mapping[str, JSON] = field(default_factory=dict)


def estimate_beliefs(
    table: Table, trust: Trust, previous: Beliefs | None = None, decided: Decided | None = None
) -> dict[str, dict[str, float]]:
    """Probabilities (thousandths) of the claimed labels of each disputed slot; a decided one is certain.

    Without trust (`Trust()`, the first round) they are the smoothed shares of voices. `previous` is what this
    function last returned: within the band of `trust`'s round it is kept.
    """
    previous, decided = previous or {}, decided or {}
    weigh = _Scales(table, trust).weigh if trust.sources else count_voices
    band = _find_band(trust.summary.get("round", 0))
    beliefs = {}
    for slot in table.slots:
        if slot.subject in decided:
            beliefs[slot.subject] = {decided[slot.subject]: 1.0}
        elif slot.disputed:
            raw = {label: round(p, 3) for label, p in zip(slot.labels, weigh(slot), strict=True)}
            beliefs[slot.subject] = _keep_if_near(raw, previous.get(slot.subject), band)
    return beliefs


def estimate_trust(
    table: Table, beliefs: Beliefs, previous: Trust | None = None, decided: Decided | None = None
) -> Trust:
    """Trust in every source, judged by `beliefs`; slots without one are taken as `estimate_beliefs` would begin.

    Returns `previous` itself when nothing moves by more than the band, when LAST_ROUND has come, or when
    `beliefs` do not yet answer `previous`.
    """
    previous, decided = previous or Trust(), decided or {}
    of = _digest(table, decided)
    same = previous.summary.get("of") == of
    count = previous.summary.get("round", 0) if same else 0
    if count >= LAST_ROUND or (same and _is_stale(table, previous, beliefs, decided)):
        return previous
    truths = [_find_truths(slot, beliefs, decided) for slot in table.slots]
    band = _find_band(count)
    fitted = _fit(table, truths)
    sources = {name: _keep_if_near(json, previous.sources.get(name), band) for name, json in fitted.sources.items()}
    parts = {name: _keep_if_near(json, previous.summary.get(name), band) for name, json in fitted.summary.items()}
    unchanged = sources == previous.sources and all(previous.summary.get(name) == parts[name] for name in parts)
    if same and unchanged:
        return previous
    return Trust(sources, {**parts, "round": count + 1, "of": of})


def count_voices(slot: Slot) -> list[float]:
    """Smoothed shares of the independent voices for each label."""
    votes = [1 / len(slot.labels)] * len(slot.labels)
    for voice in slot.voices:
        votes[voice.label] += voice.weight
    whole = sum(votes)
    return [vote / whole for vote in votes]


def _digest(table: Table, decided: Decided) -> str:
    from hashlib import sha256
    return sha256(repr((table.digest, sorted(decided.items()))).encode()).hexdigest()[:16]


def _find_band(count: int) -> float:
    return BAND * max(1.0, count / 10)


def _is_stale(table: Table, trust: Trust, beliefs: Beliefs, decided: Decided) -> bool:
    answer = estimate_beliefs(table, trust, beliefs, decided)
    return any(beliefs[slot] != answer[slot] for slot in answer if slot in beliefs and slot not in decided)


def _keep_if_near(new: Any, old: Any, band: float) -> Any:
    return old if old is not None and _is_near(new, old, band) else new


def _is_near(new: Any, old: Any, band: float) -> bool:
    if isinstance(new, dict):
        return isinstance(old, dict) and new.keys() == old.keys() and all(_is_near(v, old[k], band) for k, v in new.items())
    if isinstance(new, list):
        return isinstance(old, list) and len(new) == len(old) and all(map(_is_near, new, old, [band] * len(new)))
    if isinstance(new, float):
        return isinstance(old, float | int) and abs(new - old) <= band
    return bool(new == old)


def _find_truths(slot: Slot, beliefs: Beliefs, decided: Decided) -> list[tuple[str, float]]:
    """Labels with their probability; empty if nothing can be learned from this slot."""
    if slot.subject in decided:
        return [(decided[slot.subject], 1.0)]
    if slot.weight < FULL_VOICES:
        return []
    if not slot.disputed:
        return [(slot.labels[0], 1.0)]
    believed = beliefs.get(slot.subject)
    if believed is None:
        return list(zip(slot.labels, count_voices(slot), strict=True))
    return [(label, believed[label]) for label in sorted(believed)]


class _Tally:
    """Expected counts: what the sources said where this or that is believed to be true."""

    def __init__(self, table: Table) -> None:
        many = len(table.sources)
        self.judged = [0.0] * many
        self.right = [0.0] * many
        self.open = [[0.0, 0.0] for _ in range(many)]
        self.same_miss, self.two_misses = 0.0, 0.0
        self.said = [
            [[[0.0] * len(f.labels) for _ in f.labels] for _ in range(many)] if f.labels else [] for f in table.families
        ]
        self.shares = [dict.fromkeys(f.labels, 1.0) for f in table.families]
        self.ranks: dict[tuple[int, str], list[list[float]]] = {}

    def add(self, table: Table, slot: Slot, truths: list[tuple[str, float]]) -> None:
        family = table.families[slot.family]
        chance = dict(truths)
        for voice in slot.voices:
            p = chance.get(slot.labels[voice.label], 0.0)
            self.judged[voice.source] += 1
            self.right[voice.source] += p
            if voice.rank:
                key = (voice.source, slot.labels[voice.label] if slot.family else "")
                rows = self.ranks.setdefault(key, [[0.0] * RANKS, [0.0] * RANKS])
                rows[0][voice.rank - 1] += p
                rows[1][voice.rank - 1] += 1 - p
            if slot.family == OPEN:
                self.open[voice.source][0] += p
                self.open[voice.source][1] += 1 - p
        if slot.family == OPEN:
            self._count_misses(slot, chance)
            return
        shares = self.shares[slot.family]
        place = {label: index for index, label in enumerate(family.labels)}
        for label, p in truths:
            if p and label in place:
                shares[label] += p
                for voice in slot.voices:
                    self.said[slot.family][voice.source][place[label]][place[slot.labels[voice.label]]] += p

    def _count_misses(self, slot: Slot, chance: dict[str, float]) -> None:
        votes = [0.0] * len(slot.labels)
        for voice in slot.voices:
            votes[voice.label] += voice.weight
        miss = [1 - chance.get(label, 0.0) for label in slot.labels]
        missed = sum(v * m for v, m in zip(votes, miss, strict=True))
        self.two_misses += max(0.0, missed * missed - sum(v * m * m for v, m in zip(votes, miss, strict=True)))
        self.same_miss += sum(max(0.0, v * (v - 1)) * m * m for v, m in zip(votes, miss, strict=True))


def _fit(table: Table, truths: Sequence[list[tuple[str, float]]]) -> Trust:
    tally = _Tally(table)
    for slot, believed in zip(table.slots, truths, strict=True):
        if believed:
            tally.add(table, slot, believed)
    sources: dict[str, dict[str, JSON]] = {name: {} for name in table.sources}
    rates = _fit_rates(list(zip(tally.right, (n - r for n, r in zip(tally.judged, tally.right)), strict=True)))
    for index, name in enumerate(table.sources):
        sources[name]["reliability"] = _round(rates[index])
        sources[name]["judged"] = round(tally.judged[index])
    if any(slot.family == OPEN for slot in table.slots):
        for name, rate in zip(table.sources, _fit_rates(tally.open), strict=True):
            sources[name]["open"] = _round(rate)
    for family, counts in zip(table.families[1:], tally.said[1:], strict=True):
        for name, matrix in zip(table.sources, fit_confusions(counts, len(family.labels)), strict=True):
            says = {t: {s: _round(p) for s, p in zip(family.labels, row)} for t, row in zip(family.labels, matrix)}
            sources[name].setdefault("says", {})[family.name] = says
    for index, slope in _fit_slopes(tally.ranks).items():
        sources[table.sources[index]]["confidence"] = round(slope, 3)
    for group in table.echoes:
        for index in group:
            sources[table.sources[index]]["echoes"] = [table.sources[i] for i in group if i != index]
    shares = {}
    for family, amounts in zip(table.families[1:], tally.shares[1:], strict=True):
        whole = sum(amounts.values())
        shares[family.name] = {label: _round(amount / whole) for label, amount in amounts.items()}
    spread = (tally.two_misses + 4) / (tally.same_miss + 2)
    return Trust(sources, {"shares": shares, "spread": round(min(spread, 50.0), 2)})


def _round(share: float) -> float:
    return min(max(round(share, 3), 0.001), 0.999)


def _fit_rates(counts: Sequence[Sequence[float]]) -> list[float]:
    right, wrong = sum(c[0] for c in counts), sum(c[1] for c in counts)
    usual = (right + 2) / (right + wrong + 3)
    strength = learn_strength([(c, (usual, 1 - usual)) for c in counts])
    return [shrink(c, (usual, 1 - usual), strength)[0] for c in counts]


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
    means = [sum(rank * n for rank, n in enumerate(row)) / size for row, size in zip(rows, sizes, strict=True)]
    weight = sizes[0] * sizes[1] / whole
    return (weight * (means[0] - means[1]) / spread + CONFIDENCE_CLAIMS * usual) / (weight + CONFIDENCE_CLAIMS)


class _Scales:
    """Trust as logarithms, ready to weigh slots."""

    def __init__(self, table: Table, trust: Trust) -> None:
        self._table = table
        spread = trust.summary["spread"]
        self._right: dict[int, float] = {}
        self._wrong: dict[int, float] = {}
        self._says: dict[tuple[int, int], dict[str, dict[str, float]]] = {}
        self._slopes: dict[int, float] = {}
        for index, name in enumerate(table.sources):
            json = trust.sources.get(name, {})
            rate = json.get("open")
            if rate is not None:
                self._right[index], self._wrong[index] = log(rate), log((1 - rate) / spread)
            for number, family in enumerate(table.families):
                rows = json.get("says", {}).get(family.name)
                if rows is not None and number != OPEN:
                    self._says[number, index] = {t: {s: log(p) for s, p in row.items()} for t, row in rows.items()}
            self._slopes[index] = json.get("confidence", 0.0)
        self._shares = [
            {label: log(p) for label, p in trust.summary["shares"].get(family.name, {}).items()} for family in table.families
        ]

    def weigh(self, slot: Slot) -> list[float]:
        scores = [self._shares[slot.family].get(label, -7.0) if slot.family else 0.0 for label in slot.labels]
        for voice in slot.voices:
            for index, amount in enumerate(self._hear(slot, voice)):
                scores[index] += voice.weight * amount
        top = max(scores)
        chances = [exp(score - top) for score in scores]
        whole = sum(chances)
        return [chance / whole for chance in chances]

    def _hear(self, slot: Slot, voice: Any) -> list[float]:
        said = slot.labels[voice.label]
        if slot.family:
            rows = self._says.get((slot.family, voice.source))
            if rows is None:
                return [0.0] * len(slot.labels)
            heard = [rows[label][said] if label in rows else -7.0 for label in slot.labels]
        else:
            right = self._right.get(voice.source)
            if right is None:
                return [0.0] * len(slot.labels)
            wrong = self._wrong[voice.source]
            heard = [wrong] * len(slot.labels)
            if slot.closeness:
                heard = [wrong + log(SOME_NEARNESS + (1 - SOME_NEARNESS) * row[voice.label]) for row in slot.closeness]
            heard[voice.label] = right
        if voice.rank:
            heard[voice.label] += self._slopes[voice.source] * (voice.rank - 2)
        return heard
