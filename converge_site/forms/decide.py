"""The decision form on a conflict or hold: its options, and what a POST of it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from converge_site.forms.receipts import new_receipt
from converge_site.fragments.conflicts import Card
from converge_site.whole_numbers import read_whole
from runtime.actions import Refused
from runtime.actions.inbox import check_value


@dataclass(frozen=True, slots=True)
class Option:
    """One radio button; `short` names it on the button of its preview."""

    name: str
    label: str
    help: str = ""
    has_value: bool = False
    value: Any = None
    short: str = ""


@dataclass(frozen=True, slots=True)
class DecideForm:
    """The form as rendered. After a refusal it keeps what the person had typed."""

    version: str
    receipt: str
    next: str
    options: list[Option] = field(default_factory=list)
    choice: str = ""
    value: str = ""
    reason: str = ""
    placeholder: str = ""


def make_form(card: Card, next_url: str, typed: Mapping[str, str] | None = None) -> DecideForm:
    """The form for a card as it is now; `typed` is what an earlier POST held."""
    typed = typed or {}
    hold = card.conflict.kind == "hold"
    first = card.sides[0].value if card.sides else ""
    return DecideForm(
        version=card.conflict.version,
        receipt=new_receipt(),
        next=next_url,
        options=_hold_options() if hold else _conflict_options(card),
        choice=typed.get("choice", ""),
        value=typed.get("value", ""),
        reason=typed.get("reason", ""),
        placeholder=_write(first)[:80],
    )


def read_choice(card: Card, posted: Mapping[str, str]) -> dict[str, Any]:
    """What a POST chose: {"value": v}, {"none": True}, or for a hold {"approve": bool}.

    A side is named by its place, which means something only together with the version that is posted along.
    Raises Refused if nothing, or nothing that exists, was chosen.
    """
    choice = posted.get("choice", "")
    if card.conflict.kind == "hold" and choice in ("approve", "refuse"):
        return {"approve": choice == "approve"}
    if card.conflict.kind != "hold":
        if choice == "none":
            return {"none": True}
        if choice == "other":
            return {"value": _read_value(posted.get("value", ""), card)}
        place = read_whole(choice, most=len(card.sides) - 1)
        if place is not None:
            return {"value": card.sides[place].value}
    raise Refused("Choose one of the answers first.", field="choice", code="invalid")


def safe_next(request: HttpRequest, fallback: str) -> str:
    """The page a form wants to go back to, if it is one of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    own = wanted.startswith("/") and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if own else fallback


def _conflict_options(card: Card) -> list[Option]:
    sides = [
        Option(str(place), f"Keep {place + 1}:", has_value=True, value=side.value, short=f"Keep {place + 1}")
        for place, side in enumerate(card.sides)
    ]
    return [
        *sides,
        Option("none", "Reject all", "nothing stands", short="Reject all"),
        Option("other", "Another value", short="Another value"),
    ]


def _hold_options() -> list[Option]:
    return [
        Option("approve", "Approve", "it stands from the next cycle on", short="Approve"),
        Option("refuse", "Refuse", "this value never stands; it becomes a stated gap", short="Refuse"),
    ]


def _read_value(text: str, card: Card) -> Any:
    """JSON if it reads as JSON; plain text where the sides are texts."""
    text = text.strip()
    if not text:
        raise Refused("Give the value that shall stand.", field="value", code="invalid")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if all(isinstance(side.value, str) for side in card.sides):
            return text
        raise Refused(f"That is no JSON: {error}", field="value", code="invalid") from None
    check_value("value", value)  # before anything else walks through it: it may be nested 900 deep
    return value


def _write(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
