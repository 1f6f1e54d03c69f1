"""The bell, the toasts and the page of notices: each person's own, and no look changes anything."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from converge_site.fragments.notices import PAGE
from converge_site.live.pages import render_page
from runtime.models import AuditRecord, Conflict, Job, Notice, NoticeSetting
from tests.web.cast import open_conflict, signed_in


@pytest.fixture(autouse=True)
def _joined_long_ago(people: dict[str, User]) -> None:
    User.objects.update(date_joined=timezone.now() - timedelta(days=90))
    for user in people.values():
        user.refresh_from_db()


@pytest.fixture
def told_job(waiting_job: Job) -> Job:
    """A job whose two questions are told of in one notice, the only one there is."""
    Notice.objects.all().delete()
    asked = list(Conflict.objects.filter(job=waiting_job, status="open").order_by("id")[:2])
    add(waiting_job, count=2, about=[row.pk for row in asked], text="Contested: outlook / one, outlook / two")
    return waiting_job


def add(job: Job, times: int = 1, kind: str = "question", **fields: Any) -> list[Notice]:
    """So many notices of a job."""
    return [
        Notice.objects.create(**({"kind": kind, "job": job, "text": f"{kind} {n}"} | fields))
        for n in range(times)
    ]


def page(client: Client, path: str = "/notices/") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def news(client: Client, after: int = 0, at: str = "/packs/") -> str:
    return page(client, f"/notices/new?after={after}&at={at}")


def toasts(html: str) -> list[str]:
    return re.findall(r'<li class="toast".*?<bdi>(.*?)</bdi>', html, re.S)


def bell(html: str) -> str:
    """What the bell counts, "" if it counts nothing."""
    found = re.search(r'id="notice-count" class="badge"( hidden)?>([^<]*)<', html)
    assert found
    return "" if found[1] else found[2]


def test_the_bell_counts_on_every_page_what_this_person_has_not_seen(
    otto: Client, vera: Client, told_job: Job
) -> None:
    for path in ("/", "/packs/", f"/jobs/{told_job.pk}/"):
        assert bell(page(otto, path)) == "1"
        assert bell(page(vera, path)) == ""
    add(told_job, 2, "tier_lost", tier=1)
    assert (bell(page(otto, "/")), bell(page(vera, "/"))) == ("3", "2")
    add(told_job, 120)
    assert bell(page(otto, "/")) == "99+"


def test_looking_changes_nothing_and_saying_so_does(
    otto: Client, ada: Client, people: dict[str, User], told_job: Job
) -> None:
    html = page(otto)
    assert 'class="tag tone-blue">new' in html
    page(otto, "/notices/new?after=0")
    assert not NoticeSetting.objects.exists()
    upto = re.findall(r'name="upto" value="(\d+)"', html)[0]
    answer = otto.post("/notices/seen/", {"upto": upto}, headers={"HX-Request": "true"})
    assert 'id="notice-bell"' in answer.content.decode()
    assert (bell(answer.content.decode()), bell(page(otto, "/")), bell(page(ada, "/"))) == ("", "", "1")
    assert list(NoticeSetting.objects.values_list("user", "seen")) == [(people["otto"].pk, int(upto))]
    assert 'class="tag tone-blue">new' not in page(otto)
    (later,) = add(told_job)
    assert bell(page(otto, "/")) == "1"
    otto.post("/notices/seen/", {"upto": "1"})
    assert NoticeSetting.objects.get().seen == int(upto), "it never goes back"
    assert otto.post("/notices/seen/", {"upto": "9" * 15}).status_code == 302
    assert NoticeSetting.objects.get().seen == later.pk, "nor beyond what there is"
    for odd in ("", "x", "-1", "٣"):
        assert otto.post("/notices/seen/", {"upto": odd}).status_code == 302


@pytest.mark.parametrize("path", ["/notices/seen/", "/notices/settings/", "/notices/test/"])
def test_nothing_is_written_without_a_token_or_by_a_link(people: dict[str, User], path: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["otto"])
    assert strict.post(path, {"upto": "1", "toasts": "on"}).status_code == 403
    assert strict.get(path).status_code == 405
    assert not NoticeSetting.objects.exists()


def test_strangers_and_people_without_a_role_see_nothing(db: Any, told_job: Job) -> None:
    for path in ("/notices/", "/notices/new"):
        assert Client().get(path).status_code == 302
        assert signed_in(User.objects.get_or_create(username="nemo")[0]).get(path).status_code == 403


def test_news_are_toasts_from_where_the_page_is_on(otto: Client, vera: Client, told_job: Job) -> None:
    before = Notice.objects.latest("id").pk
    assert toasts(news(otto, before)) == []
    (one,) = add(told_job, text="Contested: outlook / <b>radio</b>")
    html = news(otto, before)
    assert toasts(html) == ["Contested: outlook / &lt;b&gt;radio&lt;/b&gt;"]
    assert f'data-newest="{one.pk}"' in html
    assert f"Spring budget #{told_job.pk}" in html
    assert bell(html) == "2"
    assert toasts(news(otto, one.pk)) == []
    assert toasts(news(vera, before)) == []
    for odd in ("x", "-1", "9" * 30, ""):
        assert otto.get(f"/notices/new?after={odd}&at=%00x").status_code in (200, 400)


def test_a_page_is_not_told_what_it_shows_itself(otto: Client, told_job: Job) -> None:
    before, row = Notice.objects.latest("id").pk, open_conflict(told_job)
    add(told_job, conflict=row, about=[row.pk])
    add(told_job, kind="tier_lost", tier=1)
    seen = {at: len(toasts(news(otto, before, at))) for at in ("/", "/inbox/", "/notices/")}
    assert seen == {"/": 2, "/inbox/": 1, "/notices/": 0}
    assert len(toasts(news(otto, before, f"/conflicts/{row.pk}/"))) == 1
    assert len(toasts(news(otto, before, f"/conflicts/{row.pk + 1}/"))) == 2
    assert len(toasts(news(otto, before, f"/jobs/{told_job.pk}/journal/"))) == 0
    assert len(toasts(news(otto, before, f"/jobs/{told_job.pk}0/"))) == 2


def test_a_question_that_is_answered_already_is_no_toast(otto: Client, told_job: Job) -> None:
    before, row = Notice.objects.latest("id").pk, open_conflict(told_job)
    add(told_job, conflict=row, about=[row.pk])
    Conflict.objects.filter(pk=row.pk).update(status="closed")
    assert toasts(news(otto, before)) == []


def test_a_burst_is_a_few_sentences(otto: Client, people: dict[str, User], told_job: Job) -> None:
    before = Notice.objects.latest("id").pk
    jobs = [Job.objects.create(pack=told_job.pack, title=f"job {n}") for n in range(3)]
    for job in jobs:
        add(job, 2, count=2)
    assert toasts(news(otto, before)) == ["12 questions opened in 3 jobs"]
    add(jobs[0], kind="tier_lost", tier=1)
    add(jobs[0], kind="deadline")
    html = news(otto, before)
    assert toasts(html) == [
        "1 deadline comes near in 1 job",
        "12 questions opened in 3 jobs",
        "1 tier is lost in 1 job",
    ]
    assert f'href="/inbox/?job={jobs[0].pk}"' in html and f'href="/jobs/{jobs[0].pk}/"' in html
    add(jobs[0], kind="expired")
    assert toasts(news(otto, before)) == ["9 notices"]


def test_whoever_wants_no_toasts_gets_the_bell_alone(
    otto: Client, people: dict[str, User], told_job: Job
) -> None:
    before = Notice.objects.latest("id").pk
    NoticeSetting.objects.create(user=people["otto"], toasts=False)
    add(told_job)
    html = news(otto, before)
    assert (toasts(html), bell(html)) == ([], "2")


def test_the_push_tells_everybody_the_same_and_nothing_personal(told_job: Job) -> None:
    newest = Notice.objects.latest("id").pk
    html = render_page("badge", "")
    assert f'id="notice-hint" data-newest="{newest}"' in html
    assert "notice-bell" not in html
    add(told_job)
    assert render_page("badge", "") != html


def test_the_list_says_what_became_of_it(otto: Client, vera: Client, told_job: Job) -> None:
    html = page(otto)
    assert "Contested: outlook / one" in html
    assert f'href="/inbox/?job={told_job.pk}"' in html
    assert "no longer waits" not in html
    first = open_conflict(told_job)
    Conflict.objects.filter(pk=first.pk).update(status="closed")
    assert re.search(r"1 of 2 still waits?", page(otto))
    Conflict.objects.update(status="closed")
    assert "no longer waits" in page(otto)
    add(told_job, kind="tier_lost", tier=told_job.tier + 1)
    assert "reached again" not in page(vera)
    Job.objects.update(tier=told_job.tier + 1)
    assert "reached again" in page(vera)


def test_the_list_comes_in_pages_and_kinds(otto: Client, told_job: Job) -> None:
    made = add(told_job, PAGE + 10) + add(told_job, 3, "tier_lost", tier=9)
    html = page(otto)
    assert len(re.findall(r'<li id="notice-', html)) == PAGE
    older = re.findall(r'href="\?before=(\d+)"', html)[0]
    rest = re.findall(r'<li id="notice-(\d+)', page(otto, f"/notices/?before={older}"))
    assert len(rest) == 14
    assert re.findall(r'<li id="notice-(\d+)', html) + rest == [
        str(pk) for pk in Notice.objects.order_by("-id").values_list("pk", flat=True)
    ]
    assert len(re.findall(r'<li id="notice-', page(otto, "/notices/?kind=tier_lost"))) == 3
    assert "None of this kind" in page(otto, "/notices/?kind=expired")
    assert "Nothing older" in page(otto, "/notices/?before=1")
    for odd in ("kind=x", "before=x", "before=" + "9" * 30):
        assert f'id="notice-{made[-1].pk}"' in page(otto, f"/notices/?{odd}")
    assert "pagehead" not in otto.get("/notices/", headers={"HX-Request": "true"}).content.decode()


def test_nothing_yet_is_said_kindly(otto: Client, vera: Client) -> None:
    assert "Questions that open, deadlines that come near" in page(otto)
    assert "When a job loses a tier" in page(vera)


def test_the_list_and_the_bell_cost_no_query_a_notice(otto: Client, told_job: Job) -> None:
    def cost(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            page(otto, path)
        return len(queries)

    before = cost("/notices/"), cost("/packs/"), cost("/notices/new?after=0")
    add(told_job, 40)
    assert (cost("/notices/"), cost("/packs/"), cost("/notices/new?after=0")) <= before
    assert before[0] < 30


def save(client: Client, **fields: Any) -> Any:
    form = {"toasts": "on", "every_minutes": "30", "kinds": ["question", "tier_lost"]} | fields
    return client.post("/notices/settings/", {name: value for name, value in form.items() if value})


def test_settings_are_kept_for_this_person_alone_and_recorded(
    otto: Client, ada: Client, people: dict[str, User], settings: Any
) -> None:
    settings.CONVERGE_SENDS_EMAIL = True
    User.objects.filter(username="otto").update(email="otto@example.org")
    assert "To <b><bdi>otto@example.org</bdi></b>" in page(otto)
    assert save(otto, email="on", every_minutes="60", user=str(people["ada"].pk)).status_code == 302
    kept = NoticeSetting.objects.get()
    assert (kept.user, kept.toasts, kept.email, kept.every_minutes) == (people["otto"], True, True, 60)
    assert kept.kinds == ["question", "tier_lost"]
    record = AuditRecord.objects.get(act="change_notice_settings")
    assert (record.who, record.target) == (people["otto"], "person:otto")
    html = page(otto)
    assert re.search(r'name="email" checked', html) and 'value="60"' in html
    assert re.search(r'name="email" disabled', page(ada)), "who has no address can choose none"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"every_minutes": "4"}, "from 5 to 1,440"),
        ({"every_minutes": "many"}, "from 5 to 1,440"),
        ({"every_minutes": "9" * 40}, "from 5 to 1,440"),
        ({"email": "on"}, "sends no email"),
        ({"kinds": ["everything"]}, "no such kind"),
    ],
)
def test_what_is_refused_comes_back_with_what_was_typed(
    otto: Client, fields: dict[str, Any], said: str
) -> None:
    answer = save(otto, **fields)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert said in html
    assert f'value="{fields.get("every_minutes", "30")[:10]}"' in html
    assert not NoticeSetting.objects.exists()


def test_the_form_says_what_keeps_email_from_coming(otto: Client, ada: Client, settings: Any) -> None:
    assert "<code>CONVERGE_EMAIL_URL</code> is not set" in page(otto)
    assert "Send me a test digest" not in page(otto)
    settings.CONVERGE_SENDS_EMAIL = True
    assert "Your account has no address yet. An admin (ada) can set it" in page(otto)
    assert "Set it</a>" not in page(otto)
    assert re.search(r'href="/admin/auth/user/\d+/change/">Set it</a>', page(ada))
    assert "Send me a test digest" not in page(otto)


def test_a_test_digest_is_sent_once_a_minute(
    otto: Client, people: dict[str, User], settings: Any, mailoutbox: list[Any], told_job: Job
) -> None:
    settings.CONVERGE_SENDS_EMAIL = True
    User.objects.filter(username="otto").update(email="otto@example.org")
    assert "Send me a test digest" in page(otto)
    html = otto.post("/notices/test/", follow=True).content.decode()
    assert "on its way to otto@example.org" in html
    (letter,) = mailoutbox
    assert (letter.to, letter.subject) == (
        ["otto@example.org"],
        "Test: Converge: 2 questions wait in Spring budget",
    )
    refused = otto.post("/notices/test/")
    assert refused.status_code == 409
    assert "A test was sent a moment ago" in refused.content.decode()
    assert 'hx-get="/notices/"' in refused.content.decode(), "the list goes on by itself from there"
    assert len(mailoutbox) == 1


def test_a_viewer_is_offered_what_viewers_are_told(vera: Client) -> None:
    html = page(vera)
    assert re.findall(r'name="kinds" value="(\w+)"', html) == ["tier_lost"]
