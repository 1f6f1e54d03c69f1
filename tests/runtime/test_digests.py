"""Digests, through a real mail server on this machine: one letter for all that is new, never twice, never to anybody
who may not know."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runtime import digests
from runtime.actions import Refused, add_fact, decide_conflict
from runtime.actions.notice_settings import change_notice_settings, send_test_digest
from runtime.digests import post, send_digests_due
from runtime.models import AuditRecord, Conflict, Job, Notice, NoticeSetting
from runtime.reconciler import reconcile_once
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.smtp_server import MailServer
from tests.runtime.stage import person, question, receipt, run, submit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def server(settings: Any, use_packs: Use) -> Iterator[MailServer]:
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


def test_all_that_is_new_is_one_letter_with_links(server: MailServer) -> None:
    reader("olga")
    one, two = doubts(2, "Spring <budget>"), doubts(1, "Autumn")
    assert send() == 1
    (letter,) = server.letters
    assert (letter["To"], letter["From"]) == ("olga@example.org", "converge@example.org")
    assert letter["Subject"] == "Converge: 3 questions wait"
    text, html = text_of(letter), text_of(letter, "html")
    for job in (one, two):
        assert f"https://converge.example.org/jobs/{job.pk}/" in text
    for row in Conflict.objects.filter(kind="conflict"):
        assert (
            f"- Contested: {row.key} / {row.subject}\n  https://converge.example.org/conflicts/{row.pk}/"
            in text
        )
        assert f'<a href="https://converge.example.org/conflicts/{row.pk}/">' in html
    assert f"Spring <budget> #{one.pk}" in text
    assert f"Spring &lt;budget&gt; #{one.pk}" in html
    assert "https://converge.example.org/notices/" in text
    assert send() == 0
    assert len(server.letters) == 1


def test_the_next_letter_waits_its_time(server: MailServer) -> None:
    reader("olga", every=30)
    doubts(1, "First")
    send()
    doubts(1, "Second")
    let_minutes_pass(29)
    assert send() == 0
    let_minutes_pass(1.1)
    assert send() == 1
    assert server.subjects() == [
        "Converge: 1 question waits in First",
        "Converge: 1 question waits in Second",
    ]


def test_nobody_gets_what_they_did_not_ask_for_or_may_not_know(server: MailServer) -> None:
    reader("olga")
    reader("tim", kinds=["tier_lost"])
    reader("vera", "viewer")
    reader("nemo", "")
    gone, mute, off = reader("gus"), reader("mia"), reader("oscar")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    User.objects.filter(pk=mute.pk).update(email="")
    NoticeSetting.objects.filter(user=off).update(email=False)
    doubts()
    send()
    assert [letter["To"] for letter in server.letters] == ["olga@example.org"]
    # Nothing to say is no letter, and no wait for the next one.
    assert NoticeSetting.objects.get(user__username="vera").mailed == Notice.objects.latest("id").pk
    assert NoticeSetting.objects.get(user__username="vera").mailed_at == 0.0


def test_what_is_answered_meanwhile_is_dropped(server: MailServer) -> None:
    reader("olga")
    job = doubts(2)
    first, second = Conflict.objects.filter(job=job, kind="conflict").order_by("id")
    Notice.objects.create(kind="deadline", job=job, conflict=first, about=[first.pk], text="10 minutes left")
    settle()
    decide_conflict(person("otto", "operator"), first.pk, first.version, {"value": "yes"}, "", receipt())
    run(job)
    Notice.objects.filter(text__startswith="Waits for approval").delete()
    assert send() == 1
    text = text_of(server.letters[0])
    assert server.letters[0]["Subject"].startswith("Converge: 1 question waits in ")
    assert second.subject in text
    assert first.subject not in text and "minutes left" not in text
    # Nothing left: no letter at all.
    doubts(1)
    row = Conflict.objects.filter(kind="conflict", status="open").latest("id")
    Conflict.objects.filter(pk=row.pk).update(status="closed")
    let_minutes_pass(60)
    assert send() == 0
    assert NoticeSetting.objects.get(user__username="olga").mailed == Notice.objects.latest("id").pk


def test_every_kind_is_counted_in_the_subject(server: MailServer) -> None:
    reader("olga")
    job = doubts(1, "Spring")
    row = question(job)
    for kind in ("deadline", "expired", "expired"):
        Notice.objects.create(kind=kind, job=job, conflict=row, about=[row.pk], text=f"{kind} of it")
    Notice.objects.create(kind="tier_lost", job=job, tier=1, text="Tier 1 is lost: why")
    Notice.objects.create(kind="tier_lost", job=job, tier=0, text="Tier 0 is lost: never")
    settle()
    send()
    assert server.subjects() == [
        "Converge: 1 question waits, 1 deadline near, 2 deadlines passed, 1 tier lost in Spring"
    ]


def test_a_title_cannot_write_headers(server: MailServer) -> None:
    reader("olga")
    doubts(1, "Budget\r\nBcc: everybody@example.org\r\n\r\nHello\x1b[2J" + "x" * 150)
    assert send() == 1
    (letter,) = server.letters
    assert letter["Bcc"] is None
    assert (
        letter["Subject"]
        .strip()
        .startswith("Converge: 1 question waits in Budget Bcc: everybody@example.org Hello [2Jxx")
    )
    assert "\x1b" not in text_of(letter)


def test_a_long_letter_is_cut_and_says_so(server: MailServer) -> None:
    reader("olga")
    doubts(60)
    send()
    text = text_of(server.letters[0])
    assert server.letters[0]["Subject"].startswith("Converge: 60 questions wait")
    assert text.count("- Contested: ") == 50
    assert "and 10 more: https://converge.example.org/notices/" in text


def test_two_schedulers_send_one_letter(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert len(server.letters) == 1


@pytest.mark.parametrize("mode", ["busy", "full", "silent"])
def test_a_mail_server_that_fails_is_tried_again_and_loses_nothing(
    server: MailServer, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader("olga")
    reader("omar")
    doubts()
    server.mode = mode
    before = list(NoticeSetting.objects.order_by("user").values())
    with caplog.at_level(logging.INFO):
        assert send() == 2
    assert list(NoticeSetting.objects.order_by("user").values()) == before
    assert "took no digest" in caplog.text
    seen = server.connections
    assert send() == 0, "it is left alone for a while"
    assert server.connections == seen
    server.mode = "ok"
    post._shut_until = 0.0
    assert send() == 2
    assert sorted(letter["To"] for letter in server.letters) == ["olga@example.org", "omar@example.org"]
    assert send() == 0


def test_a_slow_mail_server_holds_up_no_round(server: MailServer, settings: Any) -> None:
    settings.EMAIL_TIMEOUT = 5
    reader("olga")
    doubts()
    server.mode = "silent"
    assert send_digests_due() == 1
    assert not post.is_free
    assert reconcile_once() == 0  # while the letter is under way
    assert not post.is_free
    server.ended.set()
    post.wait(10)
    assert NoticeSetting.objects.get().mailed == 0


def test_an_address_that_is_refused_keeps_nobody_else_waiting(
    server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("ann", "bob", "cy"):
        reader(name)
    User.objects.filter(username="cy").update(email="cy@example.org\nBcc: all@example.org")
    server.refuses = ["ann@"]
    doubts()
    assert send() == 3
    assert [letter["To"] for letter in server.letters] == ["bob@example.org"]
    assert "it refuses the address (550)" in caplog.text
    assert post.is_free
    assert send() == 0
    server.refuses = []
    User.objects.filter(username="cy").update(email="cy@example.org")
    let_minutes_pass(61)
    assert send() == 2
    assert sorted(letter["To"] for letter in server.letters)[::2] == ["ann@example.org", "cy@example.org"]


def test_a_cursor_that_somebody_moved_meanwhile_stays(server: MailServer) -> None:
    user = reader("olga")
    doubts()
    server.mode = "silent"
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


def test_a_notice_that_may_still_get_an_elder_is_not_told_yet(server: MailServer) -> None:
    reader("olga")
    doubts()
    Notice.objects.update(at=timezone.now())
    assert send() == 0
    settle()
    assert send() == 1


def test_switching_email_on_tells_nothing_of_the_past(server: MailServer) -> None:
    doubts()
    user = person("olga", "operator")
    with pytest.raises(Refused, match="no address"):
        change_notice_settings(user, True, True, 30, ["question"])
    User.objects.filter(pk=user.pk).update(email="olga@example.org")
    user.refresh_from_db()
    setting = change_notice_settings(user, True, True, 30, ["question"])
    assert (setting.kinds, setting.email) == (["question"], True)
    assert AuditRecord.objects.get(act="change_notice_settings").who == user
    change_notice_settings(user, True, True, 30, ["question"])
    assert (
        AuditRecord.objects.count() == AuditRecord.objects.exclude(act="change_notice_settings").count() + 1
    )
    assert send() == 0
    doubts(1, "New")
    assert send() == 1
    assert server.subjects() == ["Converge: 1 question waits in New"]
    change_notice_settings(user, False, True, 60, ["question", "deadline", "expired", "tier_lost"])
    setting.refresh_from_db()
    assert (setting.toasts, setting.kinds, setting.mailed) == (False, [], Notice.objects.latest("id").pk)


@pytest.mark.parametrize(
    ("minutes", "kinds", "field"),
    [
        (4, ["question"], "every_minutes"),
        (1441, ["question"], "every_minutes"),
        (30, [], "kinds"),
        (30, ["x"], "kinds"),
    ],
)
def test_settings_that_make_no_sense_are_refused(minutes: int, kinds: list[str], field: str) -> None:
    user = reader("olga")
    with pytest.raises(Refused) as refused:
        change_notice_settings(user, True, True, minutes, kinds)
    assert refused.value.field == field
    assert not AuditRecord.objects.filter(act="change_notice_settings").exists()


def test_a_viewer_chooses_among_what_viewers_are_told() -> None:
    vera = reader("vera", "viewer")
    with pytest.raises(Refused):
        change_notice_settings(vera, True, True, 30, ["question"])
    assert change_notice_settings(vera, True, True, 45, ["tier_lost"]).kinds == []
    with pytest.raises(Refused):
        change_notice_settings(person("nemo", ""), True, False, 30, [])


def test_no_email_is_switched_on_where_none_is_sent(settings: Any) -> None:
    settings.CONVERGE_SENDS_EMAIL = False
    user = reader("olga")
    NoticeSetting.objects.update(email=False)
    with pytest.raises(Refused, match="CONVERGE_EMAIL_URL"):
        change_notice_settings(user, True, True, 30, ["question"])


def test_a_test_digest_is_sent_at_once_and_moves_nothing(server: MailServer) -> None:
    user = reader("olga")
    job = doubts(1, "Spring")
    before = NoticeSetting.objects.values().get()
    assert send_test_digest(user) == "olga@example.org"
    assert NoticeSetting.objects.values().get() == before
    (letter,) = server.letters
    assert letter["Subject"] == "Test: Converge: 1 question waits in Spring"
    assert f"/jobs/{job.pk}/" in text_of(letter)
    with pytest.raises(Refused, match="a moment ago"):
        send_test_digest(user)
    assert len(server.letters) == 1


def test_a_test_digest_without_news_shows_an_example_and_trouble_is_told(server: MailServer) -> None:
    user = reader("olga")
    send_test_digest(user)
    assert server.subjects() == ["Test: Converge: 1 question waits in An example"]
    AuditRecord.objects.all().delete()
    server.mode = "busy"
    with pytest.raises(Refused, match=r"It was not sent. The mail server: it refuses with 421\."):
        send_test_digest(user)


def test_a_lost_tier_is_mailed_until_it_is_reached_again(server: MailServer) -> None:
    reader("vera", "viewer")
    job = run(submit("panel", PANEL_SEEDS))
    row = question(job)
    decide_conflict(person("otto", "operator"), row.pk, row.version, {"value": "yes"}, "", receipt())
    job = run(job)
    assert job.tier == 1
    add_fact(person("otto", "operator"), job.pk, "case", "new", {"doubtful": True}, 1.0, "", receipt())
    run(job)
    settle()
    assert send() == 1
    assert server.subjects()[0].startswith("Converge: 1 tier lost in ")
    assert "Tier 1 “Judged” of 2 is lost: verdict / new is contested" in text_of(server.letters[0])


def test_a_scheduler_that_dies_before_it_sends_loses_nothing(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader("olga")
    doubts()
    with monkeypatch.context() as dying:
        dying.setattr(post, "send", lambda claims: None)  # gone, with the letter in its hands
        assert send_digests_due() == 1
    assert send() == 0, "nobody else takes it up at once, for it may have been sent"
    let_minutes_pass(61)
    assert send() == 1
    assert len(server.letters) == 1
    let_minutes_pass(61)
    assert send() == 0
