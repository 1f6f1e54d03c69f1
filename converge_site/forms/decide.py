"""The decision form on a conflict or hold: its options, and what a POST of it asks for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from converge_site.forms.receipts import new_receipt
from converge_site.fragments.conflicts import Card
from converge_site.whole_numbers import read_whole
from runtime.actions import Refused
from runtime.actions.inbox import check_value
from runtime.engine.values import canonical
from runtime.models import Conflict, Decision

MOST_VERSION = 64  # characters
NAME_OF_VALUE = re.compile(r"[0-9a-f]{16}")


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
    rule: str
    receipt: str
    next: str
    options: list[Option] = field(default_factory=list)
    choice: str = ""
    value: str = ""
    reason: str = ""
    placeholder: str = ""
    needs_reason: bool = False


def make_form(card: Card, next_url: str, typed: Mapping[str, str] | None = None) -> DecideForm:
    """The form for a card as it is now; `typed` is what an earlier POST held."""
    typed = typed or {}
    hold = card.conflict.kind == "hold"
    first = card.sides[0].value if card.sides else ""
    return DecideForm(
        version=card.conflict.version,
        rule=card.conflict.rule,
        receipt=new_receipt(),
        next=next_url,
        options=_hold_options() if hold else _conflict_options(card),
        choice=typed.get("choice", ""),
        value=typed.get("value", ""),
        reason=typed.get("reason", ""),
        placeholder=_write(first)[:80],
        needs_reason=card.policy.needs_reason,
    )


def read_choice(card: Card, posted: Mapping[str, str]) -> dict[str, Any]:
    """What a POST chose: {"value": v}, {"none": True}, or for a hold {"approve": bool}.

    Raises Refused if nothing, or nothing that exists, was chosen; code "stale" if that side is gone, or if another rule
    asks now, under terms that were not seen.
    """
    choice = posted.get("choice", "")
    if choice and card.is_open and posted.get("rule", "") != card.conflict.rule:
        message = "Another rule asks this since you looked; here is what it asks and of whom."
        raise Refused(message, code="stale")
    if card.conflict.kind == "hold" and choice in ("approve", "refuse"):
        return {"approve": choice == "approve"}
    if card.conflict.kind != "hold":
        if choice == "none":
            return {"none": True}
        if choice == "other":
            return {"value": _read_value(posted.get("value", ""), card)}
        for side in card.conflict.sides:  # also one that the card had no room for any more
            if choice == name_of_value(side["value"]):
                return {"value": side["value"]}
        if NAME_OF_VALUE.fullmatch(choice):
            message = "The candidates changed while you were looking; here they are as they stand now."
            raise Refused(message, code="stale")
    raise Refused("Choose one of the answers first.", field="choice", code="invalid")


def choice_made(user: User, conflict: Conflict, receipt: str) -> dict[str, Any] | None:
    """What the form with this receipt chose when the person sent it before; None if it was not sent."""
    row = Decision.objects.filter(receipt=receipt, by=user, conflict=conflict).first()
    if row is None or row.act not in ("decide", "approve", "refuse"):
        return None
    if row.act != "decide":
        return {"approve": row.act == "approve"}
    return {"none": True} if row.payload.get("none") else {"value": row.payload.get("value")}


def name_of_value(value: Any) -> str:
    """Names a value by what it is: a place in a list would mean another value as soon as the list changes."""
    return hashlib.sha256(canonical(value)).hexdigest()[:16]


def read_likes(boxes: Iterable[str]) -> list[tuple[int, str]]:
    """The like questions whose boxes were ticked: (id, the version that was seen). What is no box of ours is none."""
    found = []
    for box in boxes:
        number, _, version = box.partition(":")
        conflict_id = read_whole(number)
        if conflict_id is not None and len(version) <= MOST_VERSION:
            found.append((conflict_id, version))
    return found


def safe_next(request: HttpRequest, fallback: str) -> str:
    """The page a form wants to go back to, if it is one of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    own = wanted.startswith("/") and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if own else fallback


def _conflict_options(card: Card) -> list[Option]:
    sides = [
        Option(name_of_value(side.value), f"Keep {no}:", has_value=True, value=side.value, short=f"Keep {no}")
        for no, side in enumerate(card.sides, start=1)
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
