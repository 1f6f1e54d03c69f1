"""Truth out of sources that disagree: trust from beliefs, beliefs from trust, in turns until neither changes.

The method. Each source is judged by how its claims compare with what is currently believed, and each belief is
the claims weighed by that judgement (Dawid and Skene 1979). What is learned about a source depends on the data.
Where labels recur, it is a table of what the source says under each truth, shrunk in steps towards one skill and
the errors usual among all (`confusion`; a hierarchy as in Kim and Ghahramani, "Bayesian classifier combination",
2012). Where every slot has candidates of its own, it is one shrunk reliability, with wrong claims agreeing as
often as they are found to (Dong et al. 2009) and, among numbers, near misses likelier than far ones. How strongly
to shrink is learned too (`shrink`). Sources that echo each other share one voice (`echoes`), and where all err
together on the same slots, probabilities are drawn in (`dependence`). A confidence counts by its rank among those
the same source gave, and as much as higher ranks have gone with right claims: forged certainty carries nothing.

The turns end. Figures are rounded to thousandths; a fact keeps its earlier figures unless one of them moves by
more than a band, and the band widens with the rounds until at LAST_ROUND nothing moves. `estimate_trust` waits
until the beliefs it sees answer the trust it last gave, so the order in which the two are run does not matter.
The same claims, in any order, take the same course.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from runtime.packs.claims.scales import Scales
from runtime.packs.claims.tabulate import Slot, Table
from runtime.packs.claims.trust import Trust, Truths, fit_trust

Beliefs = Mapping[str, Mapping[str, float]]  # slot -> label -> probability
Decided = Mapping[str, str]  # slot -> the label that a rule or an operator settled

BAND = 0.01  # figures that move by less are left as they are
EASY_ROUNDS = 10  # after these the band widens by a tenth of itself each round
LAST_ROUND = 40
FULL_VOICES = 1.5  # with fewer independent voices a slot says nothing about those who speak there


def estimate_beliefs(
    table: Table, trust: Trust, previous: Beliefs | None = None, decided: Decided | None = None
) -> dict[str, dict[str, float]]:
    """Probabilities of the claimed labels of each disputed slot; a decided slot, disputed or not, is certain.

    Without trust (`Trust()`, the first round) they are the smoothed shares of voices. `previous` is what this
    function last returned; figures within the band are taken over from it.
    """
    previous, decided = previous or {}, decided or {}
    weigh = Scales(table, trust).weigh if trust.sources else count_voices
    band = _find_band(trust.summary.get("round", 0))
    beliefs: dict[str, dict[str, float]] = {}
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
    """Trust in every source, judged by `beliefs`; a slot missing there is taken as `estimate_beliefs` begins it.

    `previous` is what this function last returned. It is returned itself when nothing moves by more than the
    band, when LAST_ROUND has come, or when `beliefs` do not yet answer it.
    """
    previous, decided = previous or Trust(), decided or {}
    of = _digest(table, decided)
    same = previous.summary.get("of") == of
    count = previous.summary.get("round", 0) if same else 0
    if same and (count >= LAST_ROUND or _is_stale(table, previous, beliefs, decided)):
        return previous
    fitted = fit_trust(table, [_find_truths(slot, beliefs, decided) for slot in table.slots])
    sources = _keep_each(fitted.sources, previous.sources, _find_band(count))
    summary = _keep_each(fitted.summary, previous.summary, _find_band(count))
    if same and sources == previous.sources and previous.summary == {**previous.summary, **summary}:
        return previous
    return Trust(sources, {**summary, "round": count + 1, "of": of})


def count_voices(slot: Slot) -> list[float]:
    """Smoothed shares of the independent voices for each label."""
    votes = [1 / len(slot.labels)] * len(slot.labels)
    for voice in slot.voices:
        votes[voice.label] += voice.weight
    whole = sum(votes)
    return [vote / whole for vote in votes]


def _find_truths(slot: Slot, beliefs: Beliefs, decided: Decided) -> Truths:
    if slot.subject in decided:
        return [(decided[slot.subject], 1.0)]
    if slot.weight < FULL_VOICES:
        return []
    if not slot.disputed:
        return [(slot.labels[0], 1.0)]
    believed = beliefs.get(slot.subject)
    if believed is None:
        return list(zip(slot.labels, count_voices(slot), strict=True))
    return sorted(believed.items())


def _is_stale(table: Table, trust: Trust, beliefs: Beliefs, decided: Decided) -> bool:
    answer = estimate_beliefs(table, trust, beliefs, decided)
    return any(beliefs[slot] != answer[slot] for slot in answer if slot in beliefs and slot not in decided)


def _digest(table: Table, decided: Decided) -> str:
    return hashlib.sha256(repr((table.digest, sorted(decided.items()))).encode()).hexdigest()[:16]


def _find_band(count: int) -> float:
    return BAND * max(1.0, count / EASY_ROUNDS)


def _keep_each(new: Mapping[str, Any], old: Mapping[str, Any], band: float) -> dict[str, Any]:
    return {name: _keep_if_near(value, old.get(name), band) for name, value in new.items()}


def _keep_if_near(new: Any, old: Any, band: float) -> Any:
    return old if old is not None and _is_near(new, old, band) else new


def _is_near(new: Any, old: Any, band: float) -> bool:
    """Whether all figures of two JSON values lie within the band and all else is equal."""
    if type(new) is float:
        return type(old) in (float, int) and abs(new - old) <= band
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return new.keys() == old.keys() and all(_is_near(part, old[name], band) for name, part in new.items())
    return bool(new == old)
