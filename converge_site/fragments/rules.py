"""Rules of all packs in a list, by what somebody looks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils import timezone

from converge_site.fragments.rule_words import SOON, RuleView, rule_views
from runtime.actions.rule_places import in_order
from runtime.models import GovernanceRule, RuleState, RuleVersion

STATES = {"draft": "draft", "active": "active", "expired": "expired", "retired": "retired"}
MOST_RETIRED = 100


@dataclass(frozen=True, slots=True)
class RuleFilter:
    """What is looked for; "" is anything."""

    pack: str = ""
    state: str = ""
    q: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> RuleFilter:
        """The filter of a URL; what is no state is none."""
        state = query.get("state", "")
        found = (query.get(name, "")[:100].strip() for name in ("pack", "q"))
        pack, text = found
        return cls(pack, state if state in STATES else "", text)

    def __bool__(self) -> bool:
        return bool(self.pack or self.state or self.q)

    def apply(self, rules: QuerySet[GovernanceRule]) -> QuerySet[GovernanceRule]:
        """The rules that fit, but for their state."""
        if self.pack:
            rules = rules.filter(pack__name=self.pack)
        if self.q:
            found = Q(name__icontains=self.q) | Q(expression__icontains=self.q) | Q(message__icontains=self.q)
            rules = rules.filter(found)
        return rules


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule in the list: as it is, and its last version."""

    view: RuleView
    last: RuleVersion | None


@dataclass(frozen=True, slots=True)
class RuleBoard:
    """The list. Drafts wait for somebody and come first; of the active ones those that soon expire do."""

    filter: RuleFilter
    drafts: list[RuleLine]
    active: list[RuleLine]
    past: list[RuleLine]
    shown: int
    total: int
    soon: int


def read_board(chosen: RuleFilter) -> RuleBoard:
    """The rules that fit, in their three stages; of what is retired the newest."""
    now = timezone.now()
    rules = GovernanceRule.objects.select_related("pack", "replaces")
    fitting = chosen.apply(rules)
    over = Q(state=RuleState.ACTIVE, expires_at__lte=now)
    drafts = fitting.filter(state=RuleState.DRAFT).order_by("-id")
    active = fitting.filter(state=RuleState.ACTIVE).exclude(over)
    expired = fitting.filter(over).order_by("-expires_at")
    retired = fitting.filter(state=RuleState.RETIRED).order_by("-id")[:MOST_RETIRED]
    wanted = {"draft": drafts, "active": active, "expired": expired, "retired": retired}
    found = {name: list(rows) if chosen.state in ("", name) else [] for name, rows in wanted.items()}
    found["active"] = sorted(in_order(found["active"]), key=lambda rule: rule.pack.name)
    last = _last_versions([rule for rows in found.values() for rule in rows])
    lines = {name: _lines(rows, last) for name, rows in found.items()}
    soon = [line for line in lines["active"] if line.view.expires_soon]
    return RuleBoard(
        filter=chosen,
        drafts=lines["draft"],
        active=sorted(lines["active"], key=lambda line: not line.view.expires_soon),
        past=[*lines["expired"], *lines["retired"]],
        shown=sum(map(len, found.values())),
        total=GovernanceRule.objects.count(),
        soon=len(soon),
    )


def _last_versions(rules: Iterable[GovernanceRule]) -> dict[int, RuleVersion]:
    numbers = {rule.pk: rule.version for rule in rules}
    rows = RuleVersion.objects.filter(rule__in=list(numbers)).order_by("number").defer("said")
    return {row.rule_id: row for row in rows}


def _lines(rules: Iterable[GovernanceRule], last: Mapping[int, RuleVersion]) -> list[RuleLine]:
    return [RuleLine(view, last.get(view.rule.pk)) for view in rule_views(rules)]


__all__ = ["SOON", "STATES", "RuleBoard", "RuleFilter", "RuleLine", "read_board"]
