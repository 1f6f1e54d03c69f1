"""The form in which people say how they want to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q
from django.http import QueryDict

from converge_site.fragments.notices import LOOKS
from converge_site.fragments.words import Look
from converge_site.whole_numbers import read_whole
from runtime.actions.notice_settings import LONGEST_MINUTES, SHORTEST_MINUTES
from runtime.audience import kinds_for, setting_of

MOST_ADMINS: Final = 3


@dataclass(frozen=True, slots=True)
class NoticeForm:
    """The settings as they are, or as somebody typed them; and what stands in the way of email, in words."""

    toasts: bool
    email: bool
    every_minutes: str
    kinds: Sequence[tuple[str, Look, bool]]
    address: str
    obstacle: str
    admins: Sequence[str]

    shortest = SHORTEST_MINUTES
    longest = LONGEST_MINUTES


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a form asks for; a number of minutes that is none is 0, which the action refuses."""

    toasts: bool
    email: bool
    every_minutes: int
    kinds: Sequence[str]


def make_notice_form(user: User, typed: QueryDict | None = None) -> NoticeForm:
    """The form of a person; after a refusal with what was typed."""
    setting = setting_of(user)
    chosen = setting.kinds or kinds_for(user)
    toasts, email, minutes = setting.toasts, setting.email, str(setting.every_minutes)
    if typed is not None:
        toasts, email, minutes = "toasts" in typed, "email" in typed, typed.get("every_minutes", "")[:10]
        chosen = typed.getlist("kinds")
    obstacle = "" if settings.CONVERGE_SENDS_EMAIL else "server"
    if not obstacle and not user.email:
        obstacle = "address"
    return NoticeForm(
        toasts=toasts,
        email=email,
        every_minutes=minutes,
        kinds=[(kind, LOOKS[kind], kind in chosen) for kind in LOOKS if kind in kinds_for(user)],
        address=user.email,
        obstacle=obstacle,
        admins=_admins() if obstacle == "address" else [],
    )


def read_notice_form(posted: QueryDict) -> Wanted:
    """What a form asks for."""
    minutes = read_whole(posted.get("every_minutes", "").strip(), most=100_000)
    return Wanted("toasts" in posted, "email" in posted, minutes or 0, posted.getlist("kinds"))


def _admins() -> list[str]:
    """Some of those who can set an address."""
    found = User.objects.filter(Q(is_superuser=True) | Q(groups__name="admin"), is_active=True).distinct()
    return list(found.order_by("username").values_list("username", flat=True)[:MOST_ADMINS])
