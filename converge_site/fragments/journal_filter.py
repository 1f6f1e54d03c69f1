"""What of a journal is shown: by kind of entry, agent, key and outcome. The filter lives in the address.

A row says its own kind and outcome (`sort_of`, `outcome_of`), so that the page can tell of an entry that streams in
whether it belongs to what is shown; the database is asked the same question (`Filter.apply`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from django.db.models import JSONField, Q, QuerySet
from django.db.models.functions import Cast

from converge_site.fragments.words import KIND_LOOKS
from runtime.models import Entry

PROPOSAL = "proposal"
# In the order of the design: each proposal ends in exactly one of these.
OUTCOMES = ("rejected", "overruled", "contested", "held", "lost", "confirmed", "revised", "won", "accepted")
SORTS = (PROPOSAL, *(kind for kind in KIND_LOOKS if kind not in OUTCOMES))

# The outcomes of entries that are no proposals: those of the word on the left, as the body has it.
_ACTIONS = {
    "conflict": ("opened", "changed", "closed"),
    "approval": ("asked", "granted", "refused", "lapsed", "passed"),
}
_RESULTS = ("applied", "refused", "stale")
_TIERS = {"reached": True, "not reached": False}
FAILED = "failed"
# As the page offers them, by what they are outcomes of.
OUTCOME_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Proposals", OUTCOMES),
    ("Runs", (FAILED,)),
    ("Conflicts and approvals", (*_ACTIONS["conflict"], *_ACTIONS["approval"])),
    ("What was sent", ("applied", "stale")),
    ("Tiers", tuple(_TIERS)),
)
_KNOWN = {name for _, names in OUTCOME_GROUPS for name in names}


def sort_of(kind: str) -> str:
    """The kind of an entry as people sort them: what a proposal came to is its outcome."""
    return PROPOSAL if kind in OUTCOMES else kind


def outcome_of(kind: str, body: Mapping[str, Any]) -> str:
    """What came of what an entry tells; "" where nothing can."""
    if kind in OUTCOMES:
        return kind
    return _OUTCOME.get(kind, _none)(body)


def _none(body: Mapping[str, Any]) -> str:
    return ""


_OUTCOME: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "run": lambda body: FAILED if body.get("failed") else "",
    "conflict": lambda body: str(body.get("action", "")),
    "approval": lambda body: str(body.get("action", "")),
    "inbox": lambda body: str(body.get("result", "")),
    "tier": lambda body: "reached" if body.get("reached") else "not reached",
}


@dataclass(frozen=True, slots=True)
class Filter:
    """What of a journal is shown; "" means everything. `kind` is one of SORTS."""

    kind: str = ""
    agent: str = ""
    key: str = ""
    outcome: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Reads `kind`, `agent`, `key` and `outcome`; what is unknown counts as none. An outcome given as a kind is
        meant as an outcome."""
        kind, outcome = query.get("kind", ""), query.get("outcome", "")
        if kind in OUTCOMES:
            kind, outcome = "", kind
        return cls(
            kind if kind in SORTS else "",
            query.get("agent", "")[:100],
            query.get("key", "")[:100],
            outcome if outcome in _KNOWN else "",
        )

    def __bool__(self) -> bool:
        return bool(self.kind or self.agent or self.key or self.outcome)

    @property
    def parts(self) -> dict[str, str]:
        """Its parts that are set, by name."""
        named = (("kind", self.kind), ("agent", self.agent), ("key", self.key), ("outcome", self.outcome))
        return {name: value for name, value in named if value}

    @property
    def query(self) -> str:
        """The filter as a query string, empty parts left out."""
        return urlencode(self.parts)

    def apply(self, entries: QuerySet[Entry]) -> QuerySet[Entry]:
        """The entries that match."""
        if self.agent:
            entries = entries.filter(agent=self.agent)
        if self.key:
            entries = entries.filter(key=self.key)
        if self.kind:
            entries = entries.filter(kind__in=OUTCOMES if self.kind == PROPOSAL else (self.kind,))
        return _with_outcome(entries, self.outcome) if self.outcome else entries


def _with_outcome(entries: QuerySet[Entry], outcome: str) -> QuerySet[Entry]:
    if outcome in OUTCOMES:
        return entries.filter(kind=outcome)
    if outcome == FAILED:
        # No text of a body can spell this: within a string the quotes have a backslash before them.
        return entries.filter(kind="run", body__contains='"failed":[{')
    wanted = Q()
    for kind, actions in _ACTIONS.items():
        if outcome in actions:
            wanted |= Q(kind=kind, told__action=outcome)
    if outcome in _RESULTS:
        wanted |= Q(kind="inbox", told__result=outcome)
    if outcome in _TIERS:
        wanted |= Q(kind="tier", told__reached=_TIERS[outcome])
    kinds = ("conflict", "approval", "inbox", "tier")
    return entries.filter(kind__in=kinds).annotate(told=Cast("body", JSONField())).filter(wanted)
