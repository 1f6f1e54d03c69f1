"""The pages without a cursor, rendered for all viewers from the fragments the page itself uses (D8.3)."""

from __future__ import annotations

from collections.abc import Callable

from django.http import QueryDict
from django.template.loader import render_to_string

from converge_site.fragments.backtests import FlipFilter, find_backtest, read_backtest
from converge_site.fragments.conflicts import read_card
from converge_site.fragments.inbox import count_open, read_inbox
from converge_site.fragments.job_filter import JobFilter
from converge_site.fragments.job_rows import render_list
from converge_site.fragments.lineage import read_depth
from converge_site.fragments.moment_bar import read_present
from converge_site.fragments.runtimes import read_runtimes
from converge_site.fragments.slots import read_slot
from converge_site.fragments.timeline_page import read_window, timeline_context
from converge_site.fragments.tool_board import ToolFilter, read_board
from converge_site.readable import read_query
from converge_site.whole_numbers import read_whole
from runtime.audience import newest_notice
from runtime.models import Conflict, Job

PAGE_NAMES = (
    "badge",
    "jobs",
    "inbox",
    "conflict",
    "slot",
    "backtest",
    "moment",
    "timeline",
    "runtimes",
    "tools",
)
MOST_QUERY = 2000  # characters


def render_page(name: str, query: str) -> str:
    """The fragments of a page as HTML. `query` is the page's own query string. Raises UnreadableQuery."""
    return _PAGES[name](read_page_query(query))


def read_page_query(query: str) -> QueryDict:
    """A page's query string as far as it is read. Raises UnreadableQuery."""
    return read_query(query[:MOST_QUERY])


def _badge(query: QueryDict) -> str:
    """What every page shows: how many questions wait, and that there are notices to ask for."""
    badge = render_to_string("fragments/_badge.html", {"count": count_open()})
    return badge + render_to_string("fragments/_notice_hint.html", {"newest": newest_notice()})


def _jobs(query: QueryDict) -> str:
    return render_list(JobFilter.from_query({name: str(query[name]) for name in query}))


def _inbox(query: QueryDict) -> str:
    found = read_inbox({name: str(query[name]) for name in query})
    return render_to_string("fragments/_inbox.html", {"inbox": found})


def _conflict(query: QueryDict) -> str:
    number = read_whole(query.get("id", ""))
    rows = Conflict.objects.select_related("job", "job__pack", "job__submitter")
    conflict = None if number is None else rows.filter(pk=number).first()
    if conflict is None:
        return ""
    return render_to_string("fragments/_conflict.html", {"card": read_card(conflict), "show_job": True})


def _slot(query: QueryDict) -> str:
    number = read_whole(query.get("job", ""))
    job = None if number is None else Job.objects.filter(pk=number).first()
    depth = read_depth(query.get("depth", ""))
    key, subject = query.get("key", ""), query.get("subject", "")
    view = read_slot(job, key, subject, depth, patient=True) if job else None
    return render_to_string("fragments/_slot.html", {"slot": view, "job": job}) if view else ""


def _backtest(query: QueryDict) -> str:
    number = read_whole(query.get("id", ""))
    backtest = None if number is None else find_backtest(number)
    if backtest is None:
        return ""
    view = read_backtest(backtest, FlipFilter.from_query({name: str(query[name]) for name in query}))
    return render_to_string("fragments/_backtest.html", {"view": view})


def _moment(query: QueryDict) -> str:
    """For who looks at a job's past: where the present is."""
    number = read_whole(query.get("id", ""))
    present = None if number is None else read_present(number)
    return render_to_string("fragments/_moment_now.html", {"present": present}) if present else ""


def _runtimes(query: QueryDict) -> str:
    return render_to_string("fragments/_runtimes.html", {"view": read_runtimes()})


def _tools(query: QueryDict) -> str:
    board = read_board(ToolFilter.from_query({name: str(query[name]) for name in query}))
    return render_to_string("fragments/_tool_list.html", {"board": board})


def _timeline(query: QueryDict) -> str:
    """The latest cycles of a job's timeline, as the page of its own shows them."""
    number = read_whole(query.get("job", ""))
    job = None if number is None else Job.objects.select_related("pack").filter(pk=number).first()
    if job is None:
        return ""
    window = read_window(job, {name: str(query[name]) for name in query})
    context = {"job": job, "moment": None, **timeline_context(job, None, window)}
    return render_to_string("fragments/_timeline_page.html", context)


_PAGES: dict[str, Callable[[QueryDict], str]] = {
    "badge": _badge,
    "jobs": _jobs,
    "inbox": _inbox,
    "conflict": _conflict,
    "slot": _slot,
    "backtest": _backtest,
    "moment": _moment,
    "timeline": _timeline,
    "runtimes": _runtimes,
    "tools": _tools,
}
