"""The form that makes a decision a rule: prefilled from the decision, scoped, and with an end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from converge_site.fragments.rule_words import say_rule
from converge_site.whole_numbers import read_whole
from runtime.actions import Refused
from runtime.actions.learning import DAYS, MOST_DAYS, Learned
from runtime.engine import RuleSpec


@dataclass(frozen=True, slots=True)
class LearnForm:
    """The form as rendered. `says` is the rule in words; after a refusal the fields hold what was typed."""

    says: str
    condition: str
    name: str
    only_subject: bool
    priority: str
    expires: str
    soonest: str
    latest: str
    reason: str


@dataclass(frozen=True, slots=True)
class LearnAsked:
    """What a POST asks for, as arguments of `learn_rule`."""

    name: str
    only_subject: bool
    priority: int
    expires_at: dt.datetime
    reason: str


def make_learn_form(learned: Learned, reason: str = "", typed: Mapping[str, str] | None = None) -> LearnForm:
    """The form for a decision; `reason` is what is proposed as such."""
    said: dict[str, Any] = learned.settings
    typed = typed or {}
    today = timezone.now().date()
    return LearnForm(
        says=say_rule(RuleSpec(**{**said, "keys": tuple(said["keys"])})),
        condition=said["expression"],
        name=typed.get("name", said["name"]),
        only_subject=is_of_subject(typed),
        priority=typed.get("priority", str(said["priority"])),
        expires=typed.get("expires", (today + dt.timedelta(days=DAYS)).isoformat()),
        soonest=today.isoformat(),
        latest=(today + dt.timedelta(days=MOST_DAYS)).isoformat(),
        reason=typed.get("reason", reason),
    )


def is_of_subject(posted: Mapping[str, str]) -> bool:
    """Whether the rule shall be about this subject alone."""
    return posted.get("scope") == "subject"


def read_learn_form(posted: Mapping[str, str]) -> LearnAsked:
    """What was asked for. Raises Refused, with the field at fault."""
    priority = _read_priority(posted.get("priority", ""))
    return LearnAsked(
        name=posted.get("name", "").strip(),
        only_subject=is_of_subject(posted),
        priority=priority,
        expires_at=_read_end(posted.get("expires", "")),
        reason=posted.get("reason", "").strip(),
    )


def _read_priority(text: str) -> int:
    text = text.strip()
    number = read_whole(text.removeprefix("-"), most=10_000)
    if number is None:
        raise Refused(
            "Give a whole number from -10,000 to 10,000; lower ones are asked first.", field="priority"
        )
    return -number if text.startswith("-") else number


def _read_end(text: str) -> dt.datetime:
    """The end of a day, in UTC."""
    try:
        day = dt.date.fromisoformat(text.strip())
    except ValueError:
        raise Refused("Give the day on which it ends, like 2026-12-31.", field="expires_at") from None
    return dt.datetime.combine(day, dt.time(23, 59, 59), dt.UTC)
