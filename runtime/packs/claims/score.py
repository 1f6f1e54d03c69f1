"""Verdicts beside the truth, and the turns of `estimate` taken in a plain loop.

`python -m runtime.packs.claims.score CLAIMS.csv TRUTH.csv [--margin M]` prints one line for voting and one for this.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from runtime.packs.claims.claim import slot_subject
from runtime.packs.claims.estimate import Beliefs, Decided, estimate_beliefs, estimate_trust
from runtime.packs.claims.reading import read_claims_csv
from runtime.packs.claims.tabulate import Table, tabulate_claims
from runtime.packs.claims.trust import Trust

EQUAL = 1e-9  # probabilities this near are a tie
MOST_TURNS = 500


@dataclass(frozen=True, slots=True)
class Course:
    """Where the turns ended: every slot's probabilities, trust, the rounds of trust, and whether nothing moved."""

    beliefs: Beliefs
    trust: Trust
    rounds: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The likeliest labels of a slot (several only in a tie), the probability, and the lead over the next."""

    labels: tuple[str, ...]
    confidence: float
    lead: float


@dataclass(frozen=True, slots=True)
class Score:
    """Shares of the slots whose truth is known; a tie counts as its share of right labels.

    `accuracy` takes every slot's likeliest label; `settled` is the share whose lead reaches the margin,
    `settled_accuracy` how many of those are right, `left` the share of near-ties left to people. `f1` is that of
    the rarer label, where the truth has two, else None.
    """

    slots: int
    accuracy: float
    disputed_accuracy: float
    settled: float
    left: float
    settled_accuracy: float
    f1: float | None


def run_rounds(table: Table, decided: Decided | None = None, at_once: bool = False) -> Course:
    """Take turns until neither beliefs nor trust change; `at_once` runs both on the same view, as one cycle may."""
    trust, beliefs = Trust(), estimate_beliefs(table, Trust(), None, decided)
    for _ in range(MOST_TURNS):
        new_trust = estimate_trust(table, beliefs, trust, decided)
        new_beliefs = estimate_beliefs(table, trust if at_once else new_trust, beliefs, decided)
        if new_trust == trust and new_beliefs == beliefs:
            return Course(complete_beliefs(table, beliefs), trust, _count_rounds(trust), True)
        trust, beliefs = new_trust, new_beliefs
    return Course(complete_beliefs(table, beliefs), trust, _count_rounds(trust), False)


def _count_rounds(trust: Trust) -> int:
    return int(trust.summary.get("round", 0))


def complete_beliefs(table: Table, beliefs: Beliefs) -> dict[str, Mapping[str, float]]:
    """Beliefs with the undisputed slots added: what nobody disputes is taken as certain."""
    return {slot.subject: beliefs.get(slot.subject) or {slot.labels[0]: 1.0} for slot in table.slots}


def count_votes(table: Table) -> dict[str, dict[str, float]]:
    """Plurality, to compare with: every source has one vote, echoes too."""
    votes = {}
    for slot in table.slots:
        counts = Counter(slot.labels[voice.label] for voice in slot.voices)
        votes[slot.subject] = {label: counts[label] / len(slot.voices) for label in slot.labels}
    return votes


def pick_verdict(belief: Mapping[str, float]) -> Verdict:
    """The likeliest label; of a tie all, in sorted order: whoever needs one takes the first."""
    ordered = sorted(belief.items(), key=lambda item: (-item[1], item[0]))
    best = ordered[0][1]
    tied = tuple(sorted(label for label, p in ordered if p > best - EQUAL))
    second = ordered[1][1] if len(ordered) > 1 else 0.0
    return Verdict(tied, best, best - second)


def score_verdicts(
    table: Table, truth: Mapping[str, str], verdicts: Mapping[str, Verdict], margin: float = 0.0
) -> Score:
    """Compare with the truth of the slots that have one and a verdict; slots led by less than `margin` are left."""
    known = [slot for slot in table.slots if slot.subject in truth and slot.subject in verdicts]
    credit = {slot.subject: _credit(verdicts[slot.subject], truth[slot.subject]) for slot in known}
    disputed = [credit[slot.subject] for slot in known if slot.disputed]
    settled = [credit[slot.subject] for slot in known if verdicts[slot.subject].lead >= margin - EQUAL]
    share = len(settled) / len(known) if known else 0.0
    return Score(
        len(known),
        _mean(list(credit.values())),
        _mean(disputed),
        share,
        1 - share,
        _mean(settled),
        _find_f1([(verdicts[slot.subject].labels[0], truth[slot.subject]) for slot in known]),
    )


def _credit(verdict: Verdict, truth: str) -> float:
    return 1 / len(verdict.labels) if truth in verdict.labels else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _find_f1(pairs: Sequence[tuple[str, str]]) -> float | None:
    counts = Counter(truth for _, truth in pairs)
    if len(counts) != 2:
        return None
    rare = min(counts, key=lambda label: (counts[label], label))
    hits = sum(said == truth == rare for said, truth in pairs)
    named = sum(said == rare for said, _ in pairs)
    return 2 * hits / (named + counts[rare])


def read_truth_csv(text: str) -> dict[str, str]:
    """Columns object, attribute, value; slot -> label. Raises KeyError when a column is missing."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    return {
        slot_subject(row["object"].strip(), row["attribute"].strip()): row["value"].strip() for row in rows
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Score claims against a known truth.")
    parser.add_argument("claims", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--margin", type=float, default=0.0)
    chosen = parser.parse_args(arguments)
    reading = read_claims_csv(chosen.claims.read_text("utf-8"))
    for problem in reading.problems:
        print(problem)
    table = tabulate_claims(reading.claims)
    truth = read_truth_csv(chosen.truth.read_text("utf-8"))
    course = run_rounds(table)
    print(f"{len(table.sources)} sources, {len(reading.claims)} claims, {course.rounds} rounds")
    for name, beliefs in (("plurality", count_votes(table)), ("converged", course.beliefs)):
        verdicts = {slot: pick_verdict(belief) for slot, belief in beliefs.items()}
        score = score_verdicts(table, truth, verdicts, chosen.margin)
        print(name, *(f"{part.name}={_show(getattr(score, part.name))}" for part in fields(score)))


def _show(value: float | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
