"""Digests: one letter for all that is new, never to anybody who may not know, and what a person chooses about them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from runtime.actions import Refused, add_fact, decide_conflict
from runtime.actions.notice_settings import change_notice_settings, send_test_digest
from runtime.models import AuditRecord, Conflict, Notice, NoticeSetting
from tests.runtime.mail import doubts, let_minutes_pass, reader, send, settle, text_of
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.smtp_server import MailServer
from tests.runtime.stage import person, question, receipt, run, submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("mail_server")]


def test_all_that_is_new_is_one_letter_with_links(mail_server: MailServer) -> None:
    reader("olga")
    one, two = doubts(2, "Spring <budget>"), doubts(1, "Autumn")
    assert send() == 1
    (letter,) = mail_server.letters
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
    assert len(mail_server.letters) == 1


def test_the_next_letter_waits_its_time(mail_server: MailServer) -> None:
    reader("olga", every=30)
    doubts(1, "First")
    send()
    doubts(1, "Second")
    let_minutes_pass(29)
    assert send() == 0
    let_minutes_pass(1.1)
    assert send() == 1
    assert mail_server.subjects() == [
        "Converge: 1 question waits in First",
        "Converge: 1 question waits in Second",
    ]


def test_nobody_gets_what_they_did_not_ask_for_or_may_not_know(mail_server: MailServer) -> None:
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
    assert [letter["To"] for letter in mail_server.letters] == ["olga@example.org"]
    # Nothing to say is no letter, and no wait for the next one.
    assert NoticeSetting.objects.get(user__username="vera").mailed == Notice.objects.latest("id").pk
    assert NoticeSetting.objects.get(user__username="vera").mailed_at == 0.0


def test_what_is_answered_meanwhile_is_dropped(mail_server: MailServer) -> None:
    reader("olga")
    job = doubts(2)
    first, second = Conflict.objects.filter(job=job, kind="conflict").order_by("id")
    Notice.objects.create(kind="deadline", job=job, conflict=first, about=[first.pk], text="10 minutes left")
    settle()
    decide_conflict(person("otto", "operator"), first.pk, first.version, {"value": "yes"}, "", receipt())
    run(job)
    Notice.objects.filter(text__startswith="Waits for approval").delete()
    assert send() == 1
    text = text_of(mail_server.letters[0])
    assert mail_server.letters[0]["Subject"].startswith("Converge: 1 question waits in ")
    assert second.subject in text
    assert first.subject not in text and "minutes left" not in text
    # Nothing left: no letter at all.
    doubts(1)
    row = Conflict.objects.filter(kind="conflict", status="open").latest("id")
    Conflict.objects.filter(pk=row.pk).update(status="closed")
    let_minutes_pass(60)
    assert send() == 0
    assert NoticeSetting.objects.get(user__username="olga").mailed == Notice.objects.latest("id").pk


def test_every_kind_is_counted_in_the_subject(mail_server: MailServer) -> None:
    reader("olga")
    job = doubts(1, "Spring")
    row = question(job)
    for kind in ("deadline", "expired", "expired"):
        Notice.objects.create(kind=kind, job=job, conflict=row, about=[row.pk], text=f"{kind} of it")
    Notice.objects.create(kind="tier_lost", job=job, tier=1, text="Tier 1 is lost: why")
    Notice.objects.create(kind="tier_lost", job=job, tier=0, text="Tier 0 is lost: never")
    settle()
    send()
    assert mail_server.subjects() == [
        "Converge: 1 question waits, 1 deadline near, 2 deadlines passed, 1 tier lost in Spring"
    ]


def test_a_title_cannot_write_headers(mail_server: MailServer) -> None:
    reader("olga")
    doubts(1, "Budget\r\nBcc: everybody@example.org\r\n\r\nHello\x1b[2J" + "x" * 150)
    assert send() == 1
    (letter,) = mail_server.letters
    assert letter["Bcc"] is None
    assert (
        letter["Subject"]
        .strip()
        .startswith("Converge: 1 question waits in Budget Bcc: everybody@example.org Hello [2Jxx")
    )
    assert "\x1b" not in text_of(letter)


def test_a_long_letter_is_cut_and_says_so(mail_server: MailServer) -> None:
    reader("olga")
    doubts(60)
    send()
    text = text_of(mail_server.letters[0])
    assert mail_server.letters[0]["Subject"].startswith("Converge: 60 questions wait")
    assert text.count("- Contested: ") == 50
    assert "and 10 more: https://converge.example.org/notices/" in text


def test_a_notice_that_may_still_get_an_elder_is_not_told_yet(mail_server: MailServer) -> None:
    reader("olga")
    doubts()
    Notice.objects.update(at=timezone.now())
    assert send() == 0
    settle()
    assert send() == 1


def test_switching_email_on_tells_nothing_of_the_past(mail_server: MailServer) -> None:
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
    assert mail_server.subjects() == ["Converge: 1 question waits in New"]
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


def test_a_test_digest_is_sent_at_once_and_moves_nothing(mail_server: MailServer) -> None:
    user = reader("olga")
    job = doubts(1, "Spring")
    before = NoticeSetting.objects.values().get()
    assert send_test_digest(user) == "olga@example.org"
    assert NoticeSetting.objects.values().get() == before
    (letter,) = mail_server.letters
    assert letter["Subject"] == "Test: Converge: 1 question waits in Spring"
    assert f"/jobs/{job.pk}/" in text_of(letter)
    with pytest.raises(Refused, match="a moment ago"):
        send_test_digest(user)
    assert len(mail_server.letters) == 1


def test_a_test_digest_without_news_shows_an_example_and_trouble_is_told(mail_server: MailServer) -> None:
    user = reader("olga")
    send_test_digest(user)
    assert mail_server.subjects() == ["Test: Converge: 1 question waits in An example"]
    AuditRecord.objects.all().delete()
    mail_server.mode = "busy"
    with pytest.raises(Refused, match=r"It was not sent. The mail server: it refuses with 421\."):
        send_test_digest(user)


def test_a_lost_tier_is_mailed_until_it_is_reached_again(mail_server: MailServer) -> None:
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
    assert mail_server.subjects()[0].startswith("Converge: 1 tier lost in ")
    assert "Tier 1 “Judged” of 2 is lost: verdict / new is contested" in text_of(mail_server.letters[0])
