"""Who is told what: the one place that says which notices concern a person (D9.1).

Viewers are told of lost tiers; operators and admins also of the questions that their groups are asked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F, Max, Q, QuerySet, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan
from django.utils import timezone

from runtime.actions.permissions import groups_of, role_of
from runtime.lease import database_clock
from runtime.models import Conflict, Notice, NoticeSetting
from runtime.models.job import ENDED

KINDS: Final = ("question", "deadline", "expired", "tier_lost")
KINDS_FOR_VIEWERS: Final = ("tier_lost",)
AT_ONCE: Final = 5_000  # ids in one query; databases take no more than some ten thousand values
# A notice may be committed after one with a higher id: what is this old comes in order.
SETTLED: Final = dt.timedelta(seconds=10)
IN_QUESTION: Final = ("question", "deadline")  # of no interest any more once the question is answered


def kinds_for(user: Any) -> tuple[str, ...]:
    """The kinds of which a person can be told at all; none for somebody without a role."""
    role = role_of(user)
    if not role:
        return ()
    return KINDS_FOR_VIEWERS if role == "viewer" else KINDS


def notices_for(user: Any, after: int = 0) -> QuerySet[Notice]:
    """The notices that concern a person, of those with an id beyond `after`; the newest first."""
    kinds = kinds_for(user)
    if not kinds:
        return Notice.objects.none()
    found = Notice.objects.filter(kind__in=kinds, id__gt=after)
    if kinds != KINDS_FOR_VIEWERS:
        # Not `contains`: SQLite would take capitals for small letters, and groups are told apart by them.
        asked = Q(groups="")
        for name in groups_of(user):
            asked |= Q(GreaterThan(StrIndex(F("groups"), Value(f"\n{name}\n")), 0))
        found = found.filter(asked).exclude(spares_submitter=True, job__submitter_id=user.pk)
    return found.order_by("-id")


def newest_notice() -> int:
    """The id up to which all notices there will ever be can be read, for whomever; 0 if there is none.

    A cursor that stands here passes over none. On PostgreSQL a notice may be committed after one with a higher id: it
    leaves a gap, and what comes after a gap waits until that is filled or SETTLED has passed.
    """
    if ids_come_in_order():
        return Notice.objects.aggregate(newest=Max("id"))["newest"] or 0
    old = Notice.objects.filter(at__lte=timezone.now() - SETTLED).order_by("-id")
    settled = old.values_list("id", flat=True).first() or 0
    later = list(Notice.objects.filter(id__gt=settled).order_by("id").values_list("id", flat=True)[:AT_ONCE])
    newest = settled or (later[0] - 1 if later else 0)
    for pk in later:
        if pk != newest + 1:
            break
        newest = pk
    return newest


def ids_come_in_order() -> bool:
    """Whether notices become visible in the order of their ids: SQLite has one writer at a time."""
    return connection.vendor == "sqlite"


def setting_of(user: User) -> NoticeSetting:
    """How a person wants to be told; as it comes, and not saved, for whoever never said."""
    return NoticeSetting.objects.filter(user=user).first() or NoticeSetting(user=user)


def count_unseen(user: User, most: int) -> int:
    """How many notices a person has not seen, `most` at the most. What came before the account is no news."""
    seen = NoticeSetting.objects.filter(user=user).values_list("seen", flat=True).first() or 0
    news = notices_for(user, seen).filter(at__gte=user.date_joined)
    return news.order_by()[:most].count()


def open_questions(notices: Iterable[Notice]) -> dict[int, Conflict]:
    """Of the questions that notices tell of, those that still wait for people: open, and not put off."""
    ids = {pk for notice in notices if notice.kind in IN_QUESTION for pk in notice.about}
    if not ids:
        return {}
    rows = Conflict.objects.filter(status="open", awaiting="").exclude(job__status__in=ENDED)
    rows = rows.filter(Q(deferred_until=None) | Q(deferred_until__lte=database_clock()))
    rows = rows.only("id", "kind", "key", "subject")
    wanted, found = sorted(ids), dict[int, Conflict]()
    for start in range(0, len(wanted), AT_ONCE):
        found |= {row.pk: row for row in rows.filter(pk__in=wanted[start : start + AT_ONCE])}
    return found


def still_so(notice: Notice, waiting: Container[int]) -> bool:
    """Whether there is still something in what a notice tells; `waiting` are the open questions.

    A lost tier is of interest until it is reached again; that a deadline has passed is a fact.
    """
    if notice.kind in IN_QUESTION:
        return any(pk in waiting for pk in notice.about)
    return notice.kind != "tier_lost" or notice.job.tier < notice.tier
