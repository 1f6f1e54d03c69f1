"""Digests through a real mail server on this machine: never twice, never lost, and nobody waits for a slow one."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runtime import digests
from runtime.digests import post, send_digests_due
from runtime.models import NoticeSetting
from runtime.reconciler import reconcile_once
from tests.runtime.mail import doubts, let_minutes_pass, reader, send
from tests.runtime.smtp_server import MailServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("mail_server")]


def test_two_schedulers_send_one_letter(mail_server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reader("olga")
    doubts()
    both_found = threading.Barrier(2, timeout=10)
    found = digests._due

    def find(upto: int) -> list[digests.Due]:
        due = found(upto)
        both_found.wait()
        return due

    monkeypatch.setattr(digests, "_due", find)
    claimed: list[int] = []

    def scheduler() -> None:
        claimed.append(send_digests_due())
        connection.close()

    threads = [threading.Thread(target=scheduler) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    post.wait(10)
    assert sorted(claimed) == [0, 1]
    assert len(mail_server.letters) == 1


@pytest.mark.parametrize("mode", ["busy", "full", "silent"])
def test_a_mail_server_that_fails_is_tried_again_and_loses_nothing(
    mail_server: MailServer, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader("olga")
    reader("omar")
    doubts()
    mail_server.mode = mode
    before = list(NoticeSetting.objects.order_by("user").values())
    with caplog.at_level(logging.INFO):
        assert send() == 2
    assert list(NoticeSetting.objects.order_by("user").values()) == before
    assert "took no digest" in caplog.text
    seen = mail_server.connections
    assert send() == 0, "it is left alone for a while"
    assert mail_server.connections == seen
    mail_server.mode = "ok"
    post._shut_until = 0.0
    assert send() == 2
    assert sorted(letter["To"] for letter in mail_server.letters) == ["olga@example.org", "omar@example.org"]
    assert send() == 0


def test_a_slow_mail_server_holds_up_no_round(mail_server: MailServer, settings: Any) -> None:
    settings.EMAIL_TIMEOUT = 5
    reader("olga")
    doubts()
    mail_server.mode = "silent"
    assert send_digests_due() == 1
    assert not post.is_free
    assert reconcile_once() == 0  # while the letter is under way
    assert not post.is_free
    mail_server.ended.set()
    post.wait(10)
    assert NoticeSetting.objects.get().mailed == 0


def test_an_address_that_is_refused_keeps_nobody_else_waiting(
    mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("ann", "bob", "cy"):
        reader(name)
    User.objects.filter(username="cy").update(email="cy@example.org\nBcc: all@example.org")
    mail_server.refuses = ["ann@"]
    doubts()
    assert send() == 3
    assert [letter["To"] for letter in mail_server.letters] == ["bob@example.org"]
    assert "it refuses the address (550)" in caplog.text
    assert post.is_free
    assert send() == 0
    mail_server.refuses = []
    User.objects.filter(username="cy").update(email="cy@example.org")
    let_minutes_pass(61)
    assert send() == 2
    assert sorted(letter["To"] for letter in mail_server.letters)[::2] == [
        "ann@example.org",
        "cy@example.org",
    ]


def test_a_cursor_that_somebody_moved_meanwhile_stays(mail_server: MailServer) -> None:
    user = reader("olga")
    doubts()
    mail_server.mode = "silent"
    assert send_digests_due() == 1
    NoticeSetting.objects.filter(user=user).update(mailed=4711)
    post.wait(10)
    assert NoticeSetting.objects.get(user=user).mailed == 4711


def test_rounds_cost_nothing_where_no_email_is_sent(settings: Any) -> None:
    reader("olga")
    doubts()
    settings.CONVERGE_SENDS_EMAIL = False
    with CaptureQueriesContext(connection) as queries:
        assert send_digests_due() == 0
    assert len(queries) == 0
    settings.CONVERGE_SENDS_EMAIL = True
    NoticeSetting.objects.update(email=False)
    with CaptureQueriesContext(connection) as queries:
        assert send_digests_due() == 0
    assert len(queries) <= 2


def test_a_database_that_is_out_ends_no_round(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(upto: int) -> list[digests.Due]:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(digests, "_due", fail)
    assert send_digests_due() == 0
