"""A backtest as it is shown: how far it is, what would have been different, and where to look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from converge_site.forms.receipts import new_receipt
from converge_site.fragments.context import slot_href
from converge_site.fragments.words import Look
from converge_site.people import allowed
from converge_site.whole_numbers import read_whole
from runtime.actions.backtests import JOBS, MOST_JOBS
from runtime.backtest import KINDS, RuleChange
from runtime.backtesting import MOST_KEPT
from runtime.models import Backtest, BacktestFlip, GovernanceRule

PAGE = 100
EARLIER = 10

STATUS_LOOKS = {
    "queued": Look("clock", "grey", "Queued", "It begins when the jobs that wait have had their turn."),
    "running": Look("running", "blue", "Running"),
    "done": Look("done", "green", "Done"),
    "failed": Look("failed", "red", "Failed"),
    "cancelled": Look("ban", "grey", "Broken off"),
}

# By kind and turn: how it looks, and what it means of a count of them.
TURN_LOOKS = {
    "merge.another": Look("swap", "blue", "another value", "Another value would have stood."),
    "merge.settled": Look(
        "done", "green", "not asked", "A conflict that nobody has decided would not have been opened."
    ),
    "merge.asked": Look("person", "amber", "people asked", "A conflict would have been opened for people."),
    "decision.same": Look(
        "done", "green", "decided the same", "People decided as the rule would have, without asking."
    ),
    "decision.otherwise": Look(
        "alert",
        "red",
        "decided otherwise",
        "People decided otherwise than the rule would have, without asking.",
    ),
    "hold.held": Look("hold", "amber", "held", "A value would have waited for approval."),
    "hold.freed": Look("up", "blue", "not held", "A value would not have waited for approval."),
    "refusal.refused": Look("ban", "red", "refused", "What was said would have been refused."),
    "refusal.let in": Look("plus-circle", "blue", "let in", "What was refused would have been said."),
    "tier.lost": Look("flag", "red", "tier missed", "A tier would not have been reached."),
    "tier.gained": Look("flag", "green", "tier reached", "A tier would have been reached."),
    "unknown.unknown": Look(
        "question",
        "grey",
        "not known",
        "Somebody would have been asked, and what would have come of it is not on record.",
    ),
}
assert set(TURN_LOOKS) == {f"{kind}.{turn}" for kind, turns in KINDS.items() for turn in turns}


@dataclass(frozen=True, slots=True)
class FlipFilter:
    """Which flips are listed: of one kind and turn, or all; those that last alone; and the page, from 1."""

    turn: str = ""
    lasting: bool = False
    page: int = 1

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Reads the filter from a URL's query; what makes no sense counts as not given."""
        turn = query.get("turn", "")
        page = read_whole(query.get("page", ""), most=MOST_KEPT) or 1
        return cls(turn if turn in TURN_LOOKS else "", query.get("lasting") == "1", page)

    def query(self, **changed: Any) -> str:
        """The filter as a query string, with some of it changed; "?" for all on the first page."""
        turn, lasting = changed.get("turn", self.turn), changed.get("lasting", self.lasting)
        page = changed.get("page", 1)
        named = {"turn": turn, "lasting": "1" if lasting else "", "page": str(page) if page > 1 else ""}
        return "?" + urlencode({name: value for name, value in named.items() if value})


@dataclass(frozen=True, slots=True)
class CountLine:
    """How many flips there are of one kind and turn, and the list of them."""

    look: Look
    count: int
    href: str
    is_shown: bool


@dataclass(frozen=True, slots=True)
class FlipRow:
    """One flip with what it links to."""

    flip: BacktestFlip
    look: Look
    slot_href: str


@dataclass(frozen=True, slots=True)
class BacktestView:
    """A backtest as its fragment shows it. `listed` flips are kept as rows and match the filter."""

    backtest: Backtest
    look: Look
    change: RuleChange
    filter: FlipFilter
    counts: list[CountLine]
    reasons: list[tuple[str, int]]
    rows: list[FlipRow]
    listed: int
    kept: int

    @property
    def compared(self) -> int:
        """Jobs that were gone through and could be compared."""
        return self.backtest.jobs_done - self.backtest.skipped

    @property
    def percent(self) -> int:
        """How far it is, 0..100."""
        return 100 * self.backtest.jobs_done // max(1, self.backtest.jobs_total)

    @property
    def passing(self) -> int:
        """Flips that are no difference any more where their job ends."""
        return self.backtest.flips - self.backtest.lasting

    @property
    def lost(self) -> int:
        """Flips that were counted and not kept."""
        return self.backtest.flips - self.kept

    @property
    def is_of_discount(self) -> bool:
        """Whether it is about published figures alone."""
        return self.change.add is not None and self.change.add.kind == "discount"

    @property
    def replaced(self) -> list[str]:
        """The other rules that the draft was put in place of."""
        own = self.change.add.name if self.change.add is not None else ""
        return [name for name in self.change.without if name != own]

    @property
    def all_href(self) -> str:
        """The list of all flips."""
        return self.filter.query(turn="", lasting=False)

    @property
    def lasting_href(self) -> str:
        """The same list, with or without those that do not last."""
        return self.filter.query(lasting=not self.filter.lasting)

    @property
    def last_page(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.listed // PAGE))

    @property
    def previous_href(self) -> str:
        """The page before, "" on the first."""
        return self.filter.query(page=self.filter.page - 1) if self.filter.page > 1 else ""

    @property
    def next_href(self) -> str:
        """The page after, "" on the last."""
        return self.filter.query(page=self.filter.page + 1) if self.filter.page < self.last_page else ""

    @property
    def page_query(self) -> str:
        """The query under which the same fragment is pushed."""
        return f"id={self.backtest.pk}&{self.filter.query(page=self.filter.page)[1:]}".rstrip("&")


def read_backtest(backtest: Backtest, chosen: FlipFilter | None = None) -> BacktestView:
    """A backtest with one page of what it found."""
    chosen = chosen or FlipFilter()
    kept = backtest.found.all()
    listed = kept
    if chosen.turn:
        kind, turn = chosen.turn.split(".")
        listed = listed.filter(kind=kind, turn=turn)
    if chosen.lasting:
        listed = listed.filter(lasting=True)
    start = (chosen.page - 1) * PAGE
    rows = listed.select_related("job", "job__pack").order_by("-job_id", "id")[start : start + PAGE]
    return BacktestView(
        backtest=backtest,
        look=_look_of(backtest),
        change=RuleChange.from_json(backtest.change),
        filter=chosen,
        counts=[
            CountLine(look, backtest.counts[name], chosen.query(turn=name), name == chosen.turn)
            for name, look in TURN_LOOKS.items()
            if backtest.counts.get(name)
        ],
        reasons=sorted(backtest.reasons.items(), key=lambda pair: (-pair[1], pair[0])),
        rows=[_row(flip) for flip in rows],
        listed=listed.count(),
        kept=min(backtest.flips, MOST_KEPT),
    )


def find_backtest(backtest_id: int) -> Backtest | None:
    """The row with what its page needs; None if there is none."""
    rows = Backtest.objects.select_related("rule", "rule__pack")
    return rows.defer("jobs").filter(pk=backtest_id).first()


def _look_of(backtest: Backtest) -> Look:
    """Between two slices it is queued, and under way all the same."""
    under_way = backtest.status == "queued" and backtest.jobs_done
    return STATUS_LOOKS["running" if under_way else backtest.status]


def _row(flip: BacktestFlip) -> FlipRow:
    href = slot_href(flip.job_id, flip.key, flip.subject) if flip.key else ""
    return FlipRow(flip, TURN_LOOKS[f"{flip.kind}.{flip.turn}"], href)


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A backtest in a list of them."""

    backtest: Backtest
    look: Look


def render_backtests(request: HttpRequest, rule: GovernanceRule) -> SafeString:
    """A rule's backtests for its page: the form that starts one, for who may, and those there were."""
    rows = rule.backtests.defer("jobs").order_by("-id")[:EARLIER]
    context = {
        "rule": rule,
        "runs": [EarlierRun(row, _look_of(row)) for row in rows],
        "may_backtest": allowed(request.user, "backtest"),
        "job_count": JOBS,
        "most_jobs": MOST_JOBS,
        "receipt": new_receipt(),
        "address": reverse("start_backtest", args=[rule.pk]),
    }
    return render_to_string("fragments/_backtest_list.html", context, request)
