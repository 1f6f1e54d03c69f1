"""The form that puts a question off: for how long, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from converge_site.forms.receipts import new_receipt
from converge_site.fragments.conflicts import Card
from runtime.actions import Refused

UNTIL_IT_CHANGES: Literal["until it changes"] = "until it changes"
SPANS = {
    "3600": "for an hour",
    "14400": "for four hours",
    "86400": "for a day",
    "259200": "for three days",
    "604800": "for a week",
    "change": UNTIL_IT_CHANGES,
}


@dataclass(frozen=True, slots=True)
class DeferForm:
    """The form as rendered; after a refusal with what was typed, and open."""

    version: str
    receipt: str
    next: str
    span: str = "86400"
    reason: str = ""
    is_open: bool = False

    @property
    def spans(self) -> list[tuple[str, str, bool]]:
        """What there is to choose: what is sent, its words, and whether it is chosen."""
        return [(name, words, name == self.span) for name, words in SPANS.items()]


def make_defer_form(card: Card, next_url: str, typed: Mapping[str, str] | None = None) -> DeferForm:
    """The form for a card as it is now; `typed` is what an earlier POST of this very form held."""
    typed = typed or {}
    is_own = "span" in typed
    return DeferForm(
        version=card.conflict.version,
        receipt=new_receipt(),
        next=next_url,
        span=typed.get("span", "86400"),
        reason=typed.get("reason", "") if is_own else "",
        is_open=is_own,
    )


def read_span(posted: Mapping[str, str]) -> float | Literal["until it changes"]:
    """For how many seconds. Raises Refused."""
    span = posted.get("span", "")
    if span not in SPANS:
        raise Refused("Choose for how long to put it off.", field="span")
    return UNTIL_IT_CHANGES if span == "change" else float(span)
