"""Every page opens for whoever may look, in the same look when something is wrong, and for nobody else."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from runtime.models import Conflict, Entry, Job
from tests.web.cast import signed_in


def pages_of(job: Job) -> list[str]:
    conflict = Conflict.objects.filter(job=job)[0]
    fact = Entry.objects.filter(job=job, now="fact").order_by("seq")[0]
    return [
        "/",
        "/?status=waiting&pack=growth&tier=1&submitter=otto&q=spring",
        f"/jobs/{job.pk}/",
        f"/jobs/{job.pk}/?kind=won&agent=headroom&key=outlook",
        f"/jobs/{job.pk}/journal/",
        f"/jobs/{job.pk}/journal/?before=40",
        f"/jobs/{job.pk}/entries/{fact.seq}/",
        f"/jobs/{job.pk}/slots/?key={fact.key}&subject={fact.subject}",
        f"/jobs/{job.pk}/context/?key={fact.key}&q=a",
        f"/jobs/{job.pk}/answers/{job.answer_version}/",
        f"/jobs/{job.pk}/answers/{job.answer_version}.json",
        f"/conflicts/{conflict.pk}/",
        f"/conflicts/{conflict.pk}/decide/",
        "/inbox/",
        f"/inbox/?job={job.pk}",
        f"/jobs/{job.pk}/answers/1..{job.answer_version}/",
        f"/jobs/{job.pk}/weather/",
        "/tools/",
        "/tools/?state=closed",
        "/tools/search/",
        "/tools/search/?end=done",
        "/tools/search/forms/",
        "/packs/",
        "/packs/growth/",
    ]


@pytest.mark.parametrize("name", ["vera", "otto", "ada"])
def test_everybody_with_a_role_reads_every_page(people: dict[str, User], waiting_job: Job, name: str) -> None:
    client = signed_in(people[name])
    for page in pages_of(waiting_job):
        assert client.get(page).status_code == 200, page


def test_a_stranger_is_asked_to_sign_in_and_comes_back(people: dict[str, User], waiting_job: Job) -> None:
    stranger = Client()
    for page in [*pages_of(waiting_job), "/jobs/new"]:
        answer = stranger.get(page)
        assert answer.status_code == 302, page
        assert answer["Location"].startswith("/sign-in/?next="), page
    answer = stranger.post(
        "/sign-in/?next=/packs/", {"username": "vera", "password": "pass of vera", "next": "/packs/"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/packs/")


def test_a_wrong_password_is_said_plainly(people: dict[str, User]) -> None:
    answer = Client().post("/sign-in/", {"username": "vera", "password": "wrong"})
    assert "correct username and password" in answer.content.decode()
    assert 'value="vera"' in answer.content.decode()


def test_somebody_without_a_role_is_told_so(people: dict[str, User]) -> None:
    nobody = User.objects.create_user("nemo", password="x")
    answer = signed_in(nobody).get("/")
    assert answer.status_code == 403
    assert "account that has a role" in answer.content.decode()


def test_signing_out_is_a_post(otto: Client) -> None:
    assert otto.get("/sign-out/").status_code == 405
    assert otto.post("/sign-out/")["Location"] == "/sign-in/"
    assert otto.get("/").status_code == 302


@pytest.mark.parametrize(
    "page",
    [
        "/jobs/999/",
        "/jobs/999/journal/",
        "/conflicts/999/",
        "/packs/none/",
        "/nowhere/",
        "/jobs/999/answers/1/",
        "/jobs/999/answers/1..2/",
        "/jobs/999/weather/",
        "/tools/none/",
        "/tools/none/forms/",
    ],
)
def test_what_is_not_there_is_a_page_of_ours(otto: Client, page: str) -> None:
    answer = otto.get(page)
    assert answer.status_code == 404
    assert "Not here" in answer.content.decode()
    assert 'class="topbar"' in answer.content.decode()


def test_a_slot_in_which_nothing_was_said_is_not_there(otto: Client, waiting_job: Job) -> None:
    assert otto.get(f"/jobs/{waiting_job.pk}/slots/?key=outlook&subject=nobody").status_code == 404
    assert otto.get(f"/jobs/{waiting_job.pk}/context/?key=nokey").status_code == 404
    assert otto.get(f"/jobs/{waiting_job.pk}/entries/99999/").status_code == 404


def test_a_form_without_its_token_is_refused_in_words(people: dict[str, User], waiting_job: Job) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["otto"])
    answer = client.post(f"/jobs/{waiting_job.pk}/cancel/", {"receipt": "12345678"})
    assert answer.status_code == 403
    assert "This form has expired" in answer.content.decode()


def test_a_page_holds_no_inline_script_style_or_handler(otto: Client, waiting_job: Job) -> None:
    for page in pages_of(waiting_job):
        html = otto.get(page).content.decode()
        if page.endswith(".json"):
            continue
        assert not re.search(r"<script(?![^>]*\ssrc=)", html), page
        assert not re.search(r"<style|\sstyle=", html), page
        assert not re.search(r"<[^>]+\son[a-z]+=", html), page


def test_the_badge_counts_open_questions(otto: Client, waiting_job: Job) -> None:
    waiting = Conflict.objects.filter(job=waiting_job, status="open").count()
    assert waiting > 0
    html = otto.get("/packs/").content.decode()
    assert f'id="inbox-badge" class="badge">{waiting}<' in html
