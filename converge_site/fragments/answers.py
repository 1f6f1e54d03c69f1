"""Published answers: the newest one with its facts and stated gaps, and the versions before it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from converge_site.fragments.columns import Column, make_columns
from converge_site.fragments.context import slot_href
from converge_site.fragments.discount import Discounts
from converge_site.fragments.gaps import GapLink, link_gaps
from converge_site.fragments.moment import Moment
from runtime.models import Answer, Job
from runtime.store import first_answer_facts

FACTS_SHOWN = 12
VERSIONS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class AnswerFact:
    """One fact of an answer. `discount` tells what was taken off its confidence and why; "" for a whole fact."""

    key: str
    subject: str
    value: Any
    confidence: float
    agent: str
    provisional: bool
    href: str
    discount: str = ""


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """The facts of one key."""

    title: str
    subject_label: str
    columns: list[Column]
    rows: list[AnswerFact]


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer as shown: the first `shown` of its facts by key, what rests on most first."""

    answer: Answer
    tier_name: str
    top_tier: int
    groups: list[AnswerGroup]
    shown: int
    gaps: list[GapLink]

    @property
    def more(self) -> int:
        """How many of its facts are not shown."""
        return max(0, self.answer.facts - self.shown)


@dataclass(frozen=True, slots=True)
class Answers:
    """The answer panel of a job: the newest answer, or None, and the latest versions."""

    current: AnswerView | None
    versions: list[Answer]
    count: int


def read_answers(job: Job, moment: Moment | None = None) -> Answers:
    """The answer panel of a job, as of `moment` or now."""
    published = Answer.objects.filter(job=job)
    if moment is not None:
        published = published.filter(seq__lte=moment.seq)
    versions = list(published.order_by("-version").defer("gaps", "marks")[:VERSIONS_SHOWN])
    if not versions:
        return Answers(None, [], 0)
    newest = Answer.objects.get(pk=versions[0].pk)
    return Answers(read_answer(job, newest, FACTS_SHOWN), versions, newest.version)


def read_answer(job: Job, answer: Answer, limit: int = FACTS_SHOWN) -> AnswerView:
    """One answer with the first `limit` of its facts."""
    pack = job.frozen_spec()
    tiers = pack["tiers"]
    name = tiers[answer.tier - 1]["name"] if 0 < answer.tier <= len(tiers) else "no tier"
    # A pack names its keys from the ground up; the answer itself is at the top.
    keys = {key["name"]: key for key in reversed(pack["keys"])}
    order = list(reversed(pack["answer"])) or list(keys)
    published = set(pack["answer"]) or {key for agent in pack["agents"] for key in agent["writes"]}
    facts = first_answer_facts(job, answer, [key for key in order if key in published], limit)
    discounts = Discounts(job, answer, pack)
    groups = [
        _group(job.pk, discounts, keys.get(key, {"name": key}), list(of_key))
        for key, of_key in groupby(facts, key=lambda fact: str(fact["key"]))
    ]
    return AnswerView(answer, name, job.top_tier, groups, len(facts), link_gaps(job.pk, answer.gaps))


def _group(
    job_id: int, discounts: Discounts, key: dict[str, Any], facts: list[dict[str, Any]]
) -> AnswerGroup:
    return AnswerGroup(
        title=key.get("title") or key["name"],
        subject_label=key.get("subject_label") or "Subject",
        columns=make_columns(key.get("schema") or {}),
        rows=[_fact(job_id, fact, discounts) for fact in facts],
    )


def _fact(job_id: int, fact: dict[str, Any], discounts: Discounts) -> AnswerFact:
    return AnswerFact(
        key=fact["key"],
        subject=fact["subject"],
        value=fact["value"],
        confidence=fact["confidence"],
        agent=fact.get("agent", ""),
        provisional=bool(fact.get("provisional")),
        href=slot_href(job_id, fact["key"], fact["subject"]),
        discount=discounts.words_of(fact),
    )
