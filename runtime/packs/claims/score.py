"""Beliefs beside the truth, and the turns of `estimate` run in a plain loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.packs.claims.estimate import Beliefs, Decided, Trust, estimate_beliefs, estimate_trust
from runtime.packs.claims.tabulate import Table

@dataclass(frozen=True, slots=True)
class Course:
    beliefs: Mapping[str, Mapping[str, float]]
    trust: Trust
    rounds: int
    settled: bool

def run_rounds(table: Table, decided: Decided | None = None, most: int = 200) -> Course:
    beliefs = estimate_beliefs(table, Trust(), None, decided)
    trust = Trust()
    for count in range(1, most + 1):
        new_trust = estimate_trust(table, beliefs, trust, decided)
        if new_trust == trust:
            return Course(beliefs, trust, count, True)
        trust = new_trust
        beliefs = estimate_beliefs(table, trust, beliefs, decided)
    return Course(beliefs, trust, most, False)
