"""Which tiers the changed invariants would have kept from being reached, or let through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runtime.backtest.flips import BRIEF, Flip
from runtime.engine import Commit, Core
from runtime.engine.compiled import Compiled, Rule
from runtime.engine.eligible import lowest_tier
from runtime.engine.premises import provisional_facts
from runtime.engine.tiers import Gap, invariant_gap, judge_tiers


class TierWatch:
    """Judges the tiers again whenever what the invariants look at has changed, or the engine has judged."""

    def __init__(self, core: Core, changed: Compiled) -> None:
        self.core = core
        mine, theirs = core.plan.invariants, changed.invariants
        self._gone = [r for r in mine if not any(r.spec == other.spec for other in theirs)]
        self._come = [r for r in theirs if not any(r.spec == other.spec for other in mine)]
        rules = (*self._gone, *self._come)
        self._keys = {key for rule in rules if rule.expression is not None for key in rule.expression.keys}
        self._found: dict[int, Flip] = {}
        self._differs: dict[int, bool] = {}
        self._tier = -1

    def look(self, commit: Commit) -> None:
        """Judges anew after a cycle that may have changed a judgement."""
        is_news = commit.tier != self._tier or commit.stop is not None
        if not is_news and not any(e.kind == "tier" or e.key in self._keys for e in commit.entries):
            return
        self._tier = commit.tier
        gaps = self._gaps(commit)
        for at, spec in enumerate(self.core.pack.tiers, 1):
            was, would = at <= commit.tier, self._would_be_reached(at, commit.tier, gaps)
            self._differs[at] = was != would
            if was != would and at not in self._found:
                self._found[at] = self._flip(at, spec.name, commit.number, was, gaps)

    def flips(self) -> Iterator[Flip]:
        """All flips, each with whether it lasts."""
        for at, flip in self._found.items():
            yield flip._replace(lasting=self._differs[at])

    def _gaps(self, commit: Commit) -> list[tuple[list[Gap], list[Gap]]]:
        """The gaps of each tier that can be judged now: as they are, and as they would be."""
        ledger = self.core.ledger
        upto = self.core.plan.top_tier if commit.stop is not None else max(lowest_tier(ledger) - 1, 0)
        upto = max(upto, commit.tier)
        found = []
        gone = {rule.spec.name for rule in self._gone}
        for at, gaps in enumerate(judge_tiers(ledger, upto, provisional_facts(ledger)), 1):
            left = [gap for gap in gaps if gap["what"] != "invariant" or gap["rule"] not in gone]
            new = [gap for rule in self._come if _tier_of(rule) == at for gap in invariant_gap(ledger, rule)]
            found.append((gaps, left + new))
        return found

    def _would_be_reached(self, at: int, tier: int, gaps: list[tuple[list[Gap], list[Gap]]]) -> bool:
        """A tier the record claims is lost to a new gap; one that it does not is gained if its gaps all go."""
        if at <= tier:
            come = {rule.spec.name for rule in self._come}
            return not any(gap.get("rule") in come for _, then in gaps[:at] for gap in then)
        if at > len(gaps) or not any(now for now, _ in gaps[:at]):
            return False  # not judged, or the engine had a reason of its own
        return not any(then for _, then in gaps[:at])

    def _flip(
        self, at: int, name: str, cycle: int, was: bool, gaps: list[tuple[list[Gap], list[Gap]]]
    ) -> Flip:
        side = 1 if was else 0
        rules = {rule.spec.name for rule in (*self._gone, *self._come)}
        why = next((g["text"] for pair in gaps[:at] for g in pair[side] if g.get("rule") in rules), "")
        reached: dict[str, Any] = {"status": "reached", "tier": at, "name": name}
        missed: dict[str, Any] = {"status": "missed", "tier": at, "name": name, "why": why[:BRIEF]}
        before, after = (reached, missed) if was else (missed, reached)
        return Flip("tier", "lost" if was else "gained", "", "", cycle, before, after)


def _tier_of(rule: Rule) -> int:
    return int(rule.spec.params.get("tier", 1))
