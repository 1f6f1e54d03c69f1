"""Digests and who reads them: a mail server, people who want email, jobs that ask something, a round of sending."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from runtime.digests import post, send_digests_due
from runtime.models import Job, Notice, NoticeSetting
from tests.runtime.fixtures import Use
from tests.runtime.smtp_server import MailServer
from tests.runtime.stage import person, run, submit


@pytest.fixture
def mail_server(settings: Any, use_packs: Use) -> Iterator[MailServer]:
    """A mail server that digests go to; jobs are of the pack `panel`."""
    use_packs("panel")
    post.reopen()
    with MailServer() as server:
        settings.CONVERGE_SENDS_EMAIL = True
        settings.CONVERGE_ORIGINS = ["https://converge.example.org"]
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_TIMEOUT = 0.5
        settings.DEFAULT_FROM_EMAIL = "converge@example.org"
        yield server
    post.wait(10)
    post.reopen()


def reader(name: str, role: str = "operator", every: int = 30, kinds: list[str] | None = None) -> User:
    """Somebody who wants email."""
    user = person(name, role)
    user.email = f"{name}@example.org"
    user.save()
    NoticeSetting.objects.create(user=user, email=True, every_minutes=every, kinds=kinds or [])
    return user


def doubts(count: int = 1, title: str = "") -> Job:
    """A job with so many contested verdicts, and nothing else that is asked."""
    seeds = [{"key": "case", "subject": f"case {n}", "value": {"doubtful": True}} for n in range(count)]
    job = run(submit("panel", seeds))
    Job.objects.filter(pk=job.pk).update(title=title)
    Notice.objects.filter(text__startswith="Waits for approval").delete()
    settle()
    return job


def settle() -> None:
    """Makes the notices old enough to be told in order."""
    Notice.objects.update(at=timezone.now() - dt.timedelta(minutes=1))


def send() -> int:
    """One round, to its end; how many letters were claimed."""
    claimed = send_digests_due()
    post.wait(10)
    return claimed


def let_minutes_pass(minutes: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE runtime_noticesetting SET mailed_at = mailed_at - %s", [60 * minutes])


def text_of(letter: EmailMessage, kind: str = "plain") -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")
