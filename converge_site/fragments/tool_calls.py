"""The recent calls of one tool: filtered by how they ended, in pages by keyset, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlencode

from django.db.models import Q, QuerySet

from converge_site.fragments.failure_words import FAILURE_LOOKS, look_of_failure
from converge_site.fragments.words import Look
from converge_site.whole_numbers import read_whole
from runtime.models import ToolCall

PAGE = 50
ENDINGS = {"done": "answered", "started": "under way", "failed": "any failure"} | {
    cls: look.word for cls, look in FAILURE_LOOKS.items()
}
_ANSWERED = Look("done", "green", "answered", "It answered, and what it said could be used.")
_UNDER_WAY = Look("clock", "blue", "under way", "It was sent and has not ended, or its worker died.")


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls are listed: `end` is a key of ENDINGS or "" for all; `before` and `after` are ids of calls."""

    end: str = ""
    before: int = 0
    after: int = 0

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Reads the filter; what makes no sense counts as not given."""
        end = query.get("end", "")
        return cls(
            end if end in ENDINGS else "",
            read_whole(query.get("before", "")) or 0,
            read_whole(query.get("after", "")) or 0,
        )

    def link(self, **place: int) -> str:
        """The address of another page under the same filter."""
        fields: dict[str, str | int] = {"end": self.end} if self.end else {}
        return "?" + urlencode({**fields, **place})

    def apply(self, calls: QuerySet[ToolCall]) -> QuerySet[ToolCall]:
        """The calls that match, wherever their page."""
        if self.end in ("done", "started", "failed"):
            return calls.filter(status=self.end)
        return calls.filter(status="failed", cls=self.end) if self.end else calls


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call as listed. `duration` is None while it is under way, and where nothing was sent."""

    call: ToolCall
    look: Look
    duration: float | None


@dataclass(frozen=True, slots=True)
class CallPage:
    """A page of calls; `any` is whether there are calls at all. `newer` and `older` are addresses, "" for none."""

    filter: CallFilter
    rows: list[CallRow] = field(default_factory=list)
    any: bool = False
    newer: str = ""
    older: str = ""


def read_calls(tool: str, chosen: CallFilter) -> CallPage:
    """The page of a tool's calls that the filter asks for. What was answered is left in the database: it is large."""
    all_calls = ToolCall.objects.filter(tool=tool)
    matching = chosen.apply(all_calls).defer("result")
    if chosen.after:
        later = _beside(matching, chosen.after, "gt").order_by("started_at", "pk")
        upward = list(later[: PAGE + 1])
        calls, older, newer = list(reversed(upward[:PAGE])), True, len(upward) > PAGE
    else:
        earlier = _beside(matching, chosen.before, "lt") if chosen.before else matching
        found = list(earlier.order_by("-started_at", "-pk")[: PAGE + 1])
        calls, older, newer = found[:PAGE], len(found) > PAGE, bool(chosen.before)
    return CallPage(
        chosen,
        [_row(call) for call in calls],
        any=bool(calls) or all_calls.exists(),
        newer=chosen.link(after=calls[0].pk) if calls and newer else "",
        older=chosen.link(before=calls[-1].pk) if calls and older else "",
    )


def _beside(calls: QuerySet[ToolCall], pk: int, side: str) -> QuerySet[ToolCall]:
    """The calls before ("lt") or after ("gt") one of them; none if that one is gone."""
    at = ToolCall.objects.filter(pk=pk).values_list("started_at", flat=True).first()
    if at is None:
        return calls.none()
    # In the order of the index by tool and time: by id alone, all calls of the tool would be sorted for each page.
    return calls.filter(Q(**{f"started_at__{side}": at}) | Q(started_at=at, **{f"pk__{side}": pk}))


def _row(call: ToolCall) -> CallRow:
    if call.status == "started":
        return CallRow(call, _UNDER_WAY, None)
    look = _ANSWERED if call.status == "done" else look_of_failure(call.cls)
    return CallRow(call, look, call.duration_ms if call.attempts else None)
