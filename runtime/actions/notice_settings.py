"""How a person wants to be told. Everybody changes only their own: whose settings they are is who asks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.conf import settings as site
from django.contrib.auth.models import User
from django.core.mail import get_connection
from django.db import transaction
from django.utils import timezone

from runtime.actions.audit import record_act
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.addresses import notices_address
from runtime.audience import kinds_for, newest_notice, notices_for, setting_of
from runtime.digests import digest_for, say_trouble
from runtime.letters import Digest, Line, Section, make_letter
from runtime.models import AuditRecord, NoticeSetting

SHORTEST_MINUTES, LONGEST_MINUTES = 5, 1440
BETWEEN_TESTS = dt.timedelta(minutes=1)
NO_EMAIL = "This installation sends no email; CONVERGE_EMAIL_URL is not set."


@transaction.atomic
def change_notice_settings(
    user: User, toasts: bool, email: bool, every_minutes: int, kinds: Sequence[str]
) -> NoticeSetting:
    """Set how `user` is told: toasts on pages, and email at most every so many minutes, of some kinds. Raises Refused.

    Email tells of what comes from now on, and not of all that was before.
    """
    require(user, "view")
    NoticeSetting.objects.get_or_create(user=user)
    setting = NoticeSetting.objects.select_for_update().get(user=user)
    wanted = _check(user, setting, email, every_minutes, kinds)
    new = {"toasts": toasts, "email": email, "every_minutes": every_minutes, "kinds": wanted}
    told = {
        name: {"from": getattr(setting, name), "to": value}
        for name, value in new.items()
        if getattr(setting, name) != value
    }
    if not told:
        return setting
    if email and not setting.email:
        setting.mailed, setting.mailed_at = newest_notice(), 0.0
    for name, value in new.items():
        setattr(setting, name, value)
    setting.save(update_fields=[*new, "mailed", "mailed_at"] if "email" in told else [*new])
    record_act(user, "change_notice_settings", f"person:{user.get_username()}", changes=told)
    return setting


def _check(
    user: User, setting: NoticeSetting, email: bool, every_minutes: int, kinds: Sequence[str]
) -> list[str]:
    """The kinds as they are kept, [] for all. Raises Refused, with the field at fault."""
    if not SHORTEST_MINUTES <= every_minutes <= LONGEST_MINUTES:
        raise Refused(
            f"Choose a number of minutes from {SHORTEST_MINUTES} to {LONGEST_MINUTES:,} (a day).",
            field="every_minutes",
        )
    known = kinds_for(user)
    if not set(kinds) <= set(known):
        raise Refused("There is no such kind of notice for you.", field="kinds")
    if email and not kinds:
        raise Refused("Choose what is mailed, or switch email off.", field="kinds")
    if email and not setting.email:
        _check_can_get_email(user)
    return [] if set(kinds) == set(known) or not kinds else [kind for kind in known if kind in kinds]


def _check_can_get_email(user: User) -> None:
    if not site.CONVERGE_SENDS_EMAIL:
        raise Refused(NO_EMAIL, field="email")
    if not user.email:
        raise Refused("Your account has no address; an admin can set one.", field="email")


@transaction.atomic
def mark_seen(user: User, upto: int) -> None:
    """Remember that `user` has seen the notices up to one. The cursor never goes back, nor beyond what there is."""
    require(user, "view")
    seen = min(upto, newest_notice())
    NoticeSetting.objects.get_or_create(user=user)
    NoticeSetting.objects.filter(user=user, seen__lt=seen).update(seen=seen)


def send_test_digest(user: User) -> str:
    """Send `user` now what a digest would tell of the newest notices; returns the address. Raises Refused.

    Changes nothing about when the next one is due.
    """
    require(user, "view")
    _check_can_get_email(user)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # of two at once, one is the first
        recent = AuditRecord.objects.filter(
            who=user, act="send_test_digest", at__gt=timezone.now() - BETWEEN_TESTS
        )
        if recent.exists():
            raise Refused(
                "A test was sent a moment ago; look for it, and try again in a minute.", code="stale"
            )
        record_act(user, "send_test_digest", f"person:{user.get_username()}")
    setting = setting_of(user)
    newest = notices_for(user).values_list("id", flat=True)[:10]
    digest = digest_for(user, setting, min(newest, default=1) - 1) or _sample()
    letter = make_letter(
        user, digest, setting.every_minutes, f"test.{user.pk}.{timezone.now().timestamp()}", test=True
    )
    try:
        get_connection().send_messages([letter])
    except Exception as error:
        raise Refused(f"It was not sent. The mail server: {say_trouble(error)}.") from None
    return user.email


def _sample() -> Digest:
    """What is told when there is nothing to tell."""
    line = Line("question", "Contested: outlook / Example", notices_address())
    return Digest([Section("An example", 0, notices_address(), [line])], {"question": 1}, 0)
