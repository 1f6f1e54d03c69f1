"""Email: one digest now and then for whoever wants it, never a letter a notice.

A digest is claimed by the time at which it is begun, so of several schedulers one sends it; the person's cursor moves
once it is sent. A scheduler that dies in between loses nothing: what was to be told is in the next digest. A mail
server that is slow or out holds up nobody: letters leave from a thread of their own. All times are the database's.
"""

from __future__ import annotations

import logging
import smtplib
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.utils import timezone

from runtime.audience import SETTLED, notices_for, open_questions
from runtime.lease import clock_sql
from runtime.letters import Digest, make_digest, make_letter
from runtime.models import Notice, NoticeSetting

log = logging.getLogger(__name__)

MOST_AT_ONCE = 20  # people in one round
MOST_READ = 500  # notices in one digest; what is older is left to the page
FIRST_PAUSE = 60.0  # seconds, after a mail server did not take letters; doubled each time
LONGEST_PAUSE = 1800.0
REFUSED_PAUSE = 3600.0  # before a letter is tried again that the server refuses for its own sake


@dataclass(frozen=True, slots=True)
class Due:
    """A person whose time has come, and how the cursor was found."""

    user_id: int
    mailed: int
    mailed_at: float
    every_minutes: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A letter that is this scheduler's to send; `at` is when it claimed it."""

    due: Due
    upto: int
    at: float
    letter: EmailMultiAlternatives


def send_digests_due() -> int:
    """Claims the digests that are due and hands them to the post. Returns how many. Never raises.

    Costs nothing where no email is sent, and one query where nobody is due.
    """
    if not settings.CONVERGE_SENDS_EMAIL or not post.is_free:
        return 0
    try:
        upto = _newest_settled()
        claims = [claim for due in _due(upto) if (claim := _safely_claim(due, upto)) is not None]
    except Exception:
        log.exception("digests could not be looked for")
        return 0
    if claims:
        post.send(claims)
    return len(claims)


def _newest_settled() -> int:
    settled = Notice.objects.filter(at__lte=timezone.now() - SETTLED)
    return settled.order_by("-id").values_list("id", flat=True).first() or 0


def _due(upto: int) -> list[Due]:
    """Whoever wants email, can get it, has something new, and was not written to for as long as they said."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT s.user_id, s.mailed, s.mailed_at, s.every_minutes
            FROM runtime_noticesetting s JOIN auth_user u ON u.id = s.user_id
            WHERE s.email AND u.is_active AND u.email <> '' AND s.mailed < %s
              AND s.mailed_at + 60.0 * s.every_minutes <= {clock_sql()}
            ORDER BY s.mailed_at, s.user_id LIMIT %s
            """,
            [upto, MOST_AT_ONCE],
        )
        return [Due(*row) for row in cursor.fetchall()]


def _safely_claim(due: Due, upto: int) -> Claim | None:
    """One person's trouble is not that of all others."""
    try:
        return _claim(due, upto)
    except Exception:
        log.exception("the digest of person %s could not be made", due.user_id)
        return None


def _claim(due: Due, upto: int) -> Claim | None:
    """The letter, for this scheduler to send; None if there is nothing to say, or another scheduler was quicker."""
    user = User.objects.get(pk=due.user_id)
    setting = NoticeSetting.objects.get(user=user)
    digest = digest_for(user, setting, due.mailed, upto)
    if digest is None:
        _move(due, upto)
        return None
    letter = make_letter(user, digest, due.every_minutes, f"{due.user_id}.{due.mailed}.{upto}")
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE runtime_noticesetting SET mailed_at = {clock_sql()} "
            "WHERE user_id = %s AND email AND mailed = %s AND mailed_at = %s RETURNING mailed_at",
            [due.user_id, due.mailed, due.mailed_at],
        )
        row = cursor.fetchone()
    return Claim(due, upto, float(row[0]), letter) if row else None


def digest_for(user: User, setting: NoticeSetting, after: int, upto: int | None = None) -> Digest | None:
    """What a person would be written about the notices after one and up to another; None for nothing."""
    found = notices_for(user, after).select_related("job", "job__pack")
    if upto is not None:
        found = found.filter(id__lte=upto)
    if setting.kinds:
        found = found.filter(kind__in=setting.kinds)
    notices = list(found[:MOST_READ])
    return make_digest(notices, open_questions(notices))


def _move(due: Due, upto: int) -> None:
    """There was nothing to say: the cursor moves on, and the next letter need not wait."""
    found = NoticeSetting.objects.filter(user_id=due.user_id, mailed=due.mailed, mailed_at=due.mailed_at)
    found.update(mailed=upto)


def say_trouble(error: Exception) -> str:
    """What a mail server did, without what it said: that may repeat what it was told."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"it refuses to let this installation sign in ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"it refuses the address ({', '.join(sorted({str(code) for code, _ in error.recipients.values()}))})"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it refuses with {error.smtp_code}"
    if isinstance(error, OSError):  # most of smtplib's exceptions are, too
        return f"it does not answer as a mail server ({error.strerror or type(error).__name__})"
    return type(error).__name__


class Post:
    """The thread that hands letters to the mail server, a batch at a time."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="digests")
        self._under_way: Future[None] | None = None
        self._shut_until = 0.0
        self._pause = FIRST_PAUSE

    @property
    def is_free(self) -> bool:
        """Whether a batch would be sent now: none is under way, and the mail server did not just fail."""
        is_idle = self._under_way is None or self._under_way.done()
        return is_idle and time.monotonic() >= self._shut_until

    def send(self, claims: Sequence[Claim]) -> None:
        """Sends letters in the background, in order."""
        self._under_way = self._executor.submit(self._send_all, list(claims))

    def wait(self, seconds: float) -> None:
        """Waits until the batch under way is sent or put back."""
        if self._under_way is not None:
            self._under_way.result(seconds)

    def reopen(self) -> None:
        """Forgets that the mail server failed."""
        self._shut_until, self._pause = 0.0, FIRST_PAUSE

    def _send_all(self, claims: list[Claim]) -> None:
        try:
            self._send_in_order(claims)
        except Exception:
            log.exception("the post failed; digests under way may be lost, the pages have it all")
        finally:
            connection.close()  # this thread's own

    def _send_in_order(self, claims: list[Claim]) -> None:
        server = get_connection()
        left = list(claims)
        try:
            server.open()
            while left:
                _send_one(server, left[0])
                left.pop(0)
            self.reopen()
        except Exception as error:
            self._shut_until = time.monotonic() + self._pause
            trouble = say_trouble(error)
            log.warning(
                "The mail server took no digest: %s. The next try is in %.0f s.", trouble, self._pause
            )
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            for claim in left:
                _put_back(claim, None)
        finally:
            try:
                server.close()
            except Exception as error:
                log.info("the mail server hung up: %s", say_trouble(error))


def _send_one(server: BaseEmailBackend, claim: Claim) -> None:
    """Sends a letter; one that is refused for its own sake is put back, and keeps no other waiting."""
    try:
        server.send_messages([claim.letter])
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, ValueError) as error:
        if isinstance(error, smtplib.SMTPDataError) and error.smtp_code < 500:
            raise
        log.warning("The digest of person %s was not sent: %s.", claim.due.user_id, say_trouble(error))
        _put_back(claim, REFUSED_PAUSE)
    else:
        _note_sent(claim)


def _note_sent(claim: Claim) -> None:
    """The cursor moves past the letter, unless something else moved it since. Whoever dies just before it has people
    told again in the next digest."""
    try:
        _of_claim(claim).update(mailed=claim.upto)
    except DatabaseError:
        log.exception("that person %s was sent a digest could not be noted", claim.due.user_id)


def _put_back(claim: Claim, pause: float | None) -> None:
    """The letter was not sent, and is due again after `pause` seconds, at once for None."""
    due = claim.due
    mailed_at = due.mailed_at if pause is None else claim.at + pause - 60.0 * due.every_minutes
    _of_claim(claim).update(mailed_at=mailed_at)


def _of_claim(claim: Claim) -> QuerySet[NoticeSetting]:
    return NoticeSetting.objects.filter(
        user_id=claim.due.user_id, mailed=claim.due.mailed, mailed_at=claim.at
    )


post = Post()
