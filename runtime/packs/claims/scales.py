"""Claims weighed by trust: the probability of each label of a slot."""

from __future__ import annotations

from math import exp, log

from runtime.packs.claims.tabulate import OPEN, RANKS, Slot, Table, Voice
from runtime.packs.claims.trust import Trust

SOME_NEARNESS = 0.2  # among numbers, how likely the farthest miss is beside the nearest
UNHEARD = log(0.001)
MIDDLE_RANK = (RANKS + 1) / 2


class Scales:
    """Trust as logarithms, ready to weigh the slots of a table."""

    def __init__(self, table: Table, trust: Trust) -> None:
        self._right: dict[int, float] = {}
        self._wrong: dict[int, float] = {}
        self._slope: dict[int, float] = {}
        self._says: list[dict[int, dict[str, dict[str, float]]]] = [{} for _ in table.families]
        for index, name in enumerate(table.sources):
            known = trust.sources.get(name, {})
            self._slope[index] = known.get("confidence", 0.0)
            if "open" in known:
                self._right[index] = log(known["open"])
                self._wrong[index] = log((1 - known["open"]) * trust.summary["coincidence"])
            for family, rows in zip(table.families, self._says, strict=True):
                if family.name in known.get("says", {}):
                    shares = known["says"][family.name]
                    rows[index] = {t: {said: log(p) for said, p in row.items()} for t, row in shares.items()}
        self._independence = trust.summary.get("independence", 1.0)
        shares = trust.summary.get("shares", {})
        self._shares = [{label: log(p) for label, p in shares.get(f.name, {}).items()} for f in table.families]

    def weigh(self, slot: Slot) -> list[float]:
        """Probabilities of `slot.labels`, in their order. A source not known yet has no weight."""
        usual = self._shares[slot.family]
        scores = [0.0 if slot.family == OPEN else usual.get(label, UNHEARD) for label in slot.labels]
        for voice in slot.voices:
            heard = self._hear_open(slot, voice) if slot.family == OPEN else self._hear_shared(slot, voice)
            for index, amount in enumerate(heard):
                scores[index] += voice.weight * amount
            if voice.rank:
                scores[voice.label] += voice.weight * self._slope[voice.source] * (voice.rank - MIDDLE_RANK)
        top = max(scores)
        chances = [exp((score - top) * self._independence) for score in scores]
        whole = sum(chances)
        return [chance / whole for chance in chances]

    def _hear_shared(self, slot: Slot, voice: Voice) -> list[float]:
        """Log likelihood of what the voice said, for each label being the truth."""
        rows = self._says[slot.family].get(voice.source)
        if rows is None:
            return []
        said = slot.labels[voice.label]
        return [rows[label].get(said, UNHEARD) if label in rows else UNHEARD for label in slot.labels]

    def _hear_open(self, slot: Slot, voice: Voice) -> list[float]:
        right = self._right.get(voice.source)
        if right is None:
            return []
        heard = [self._wrong[voice.source]] * len(slot.labels)
        if slot.closeness:
            heard = [
                wrong + log(SOME_NEARNESS + (1 - SOME_NEARNESS) * row[voice.label])
                for wrong, row in zip(heard, slot.closeness, strict=True)
            ]
        heard[voice.label] = right
        return heard
