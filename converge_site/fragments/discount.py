"""Where a published confidence comes from (D3.8): "0.72 = 0.90 × 0.8 (incomplete: web_search on search failed)".

What an answer stores is the result. The factors are worked out again from the rules that the job froze; if they do not
give that very result, they are not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from converge_site.fragments.context import incomplete_words
from converge_site.fragments.values import confidence_words
from runtime.engine.spec import RuleSpec
from runtime.models import Answer, Entry, Job

LOOKED_THROUGH = 5_000  # entries before an answer in which the run that failed is looked for


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor: its rule, what it is taken for ("incomplete" or "provisional"), and why that is so."""

    amount: float
    rule: str
    what: str
    why: str = ""


class Discounts:
    """The arithmetic of one answer's confidences."""

    def __init__(self, job: Job, answer: Answer, pack: Mapping[str, Any]) -> None:
        self._job, self._answer, self._pack = job, answer, pack
        rows = [rule for rule in pack["rules"] if rule["kind"] == "discount" and rule.get("enabled", True)]
        self._rules = [RuleSpec(**{**rule, "keys": tuple(rule["keys"])}) for rule in rows]
        self._causes: dict[str, str] = {}

    def words_of(self, fact: Mapping[str, Any]) -> str:
        """What was taken off a fact of `store.answer_facts` and why, or why it is incomplete; "" for a whole one."""
        why = self._why(fact)
        full = fact.get("from")
        if full is None or round(full * 1000) == round(fact["confidence"] * 1000):
            return f"incomplete: {why}" if why else ""
        factors = self._factors(fact, why)
        if round(round(full * 1000) * prod(f.amount for f in factors)) != round(fact["confidence"] * 1000):
            return f"{confidence_words(fact['confidence'])}, from {confidence_words(full)}" + (
                f" (incomplete: {why})" if why else ""
            )
        told = " × ".join([confidence_words(full), *_tell(factors)])
        return f"{confidence_words(fact['confidence'])} = {told}"

    def _factors(self, fact: Mapping[str, Any], why: str) -> list[Factor]:
        """In the order in which the engine takes them."""
        found = []
        for rule in self._rules:
            if rule.keys and not rule.covers(fact["key"]):
                continue
            if fact.get("provisional"):
                found.append(Factor(float(rule.params.get("provisional", 1)), rule.name, "provisional"))
            if fact.get("incomplete"):
                found.append(Factor(float(rule.params.get("incomplete", 1)), rule.name, "incomplete", why))
        return [factor for factor in found if factor.amount != 1]

    def _why(self, fact: Mapping[str, Any]) -> str:
        """What failed, for a fact that rests on incomplete input; "" for any other."""
        said = incomplete_words(dict(fact))
        if said and said not in self._causes:
            self._causes[said] = self._find_cause(said) or said
        return self._causes.get(said, "")

    def _find_cause(self, key: str) -> str:
        """Who failed to write `key`, and on which tool; "" if the record does not tell."""
        writers = [agent["name"] for agent in self._pack["agents"] if key in agent["writes"]]
        for gap in self._answer.gaps:
            if gap.get("what") in ("failed", "awaited") and gap.get("agent") in writers:
                return _failure_words(str(gap["agent"]), str(gap.get("tool") or ""))
        # An optional agent's failure is no gap; its run tells.
        runs = Entry.objects.filter(
            job=self._job,
            kind="run",
            agent__in=writers,
            seq__lte=self._answer.seq,
            seq__gt=self._answer.seq - LOOKED_THROUGH,
        )
        for entry in runs.order_by("-seq")[:50]:
            if failed := entry.data.get("failed"):
                return _failure_words(entry.agent, str(failed[0].get("tool") or ""))
        return ""


def _failure_words(agent: str, tool: str) -> str:
    return f"{agent} on {tool} failed" if tool else f"{agent} failed"


def _tell(factors: Iterable[Factor]) -> list[str]:
    told = list(factors)
    several = len({factor.rule for factor in told}) > 1
    words = []
    for factor in told:
        why = f"{factor.what}: {factor.why}" if factor.why else factor.what
        words.append(f"{factor.amount:g} ({why}{f'; rule {factor.rule}' if several else ''})")
    return words
