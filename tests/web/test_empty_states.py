"""What a page says when there is nothing to show: why, and the way on (nothing yet, no match, nothing moves)."""

from __future__ import annotations

import datetime as dt
import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from runtime.actions import submit_job
from runtime.actions.sync_packs import sync_packs
from runtime.models import Job
from tests.web import cast
from tests.web.tools import break_tool, make_tool

NOTHING_YET = {
    "/": ("Nothing yet", ""),
    "/inbox/": ("Nobody waits for you", '<a class="btn" href="/">'),
    "/notices/": ("Nothing to tell", '<a class="btn" href="/">'),
    "/tools/": ("No tool yet", "sync_packs"),
    "/packs/": ("No pack yet", "sync_packs"),
    "/rules/": ("No rule yet", "left to a person"),
    "/jobs/new": ("No pack to run", "sync_packs"),
}
NO_MATCH = {
    "/?q=nothing-like-it": ("No job matches", 'href="/"'),
    "/tools/?q=nothing-like-it": ("No tool matches", 'href="/tools/"'),
    "/rules/?q=nothing-like-it": ("No rule matches", 'href="/rules/"'),
    "/inbox/?deferred=1": ("Nothing is put off", 'href="/inbox/"'),
}
OF_A_JOB = {
    "journal/?kind=cancelled&key=outlook&agent=nobody": (
        "No entry matches these filters.",
        "Clear the filters",
    ),
    "context/?key=channel&q=nothing-like-it": ("matches.", "Clear the search"),
}


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.mark.parametrize("path", NOTHING_YET)
def test_an_empty_installation_says_what_comes(otto: Client, path: str) -> None:
    html = otto.get(path).content.decode()
    for text in NOTHING_YET[path]:
        assert text in html


def test_it_greets_with_a_sample_of_every_pack(otto: Client) -> None:
    sync_packs()
    html = otto.get("/").content.decode()
    samples = re.findall(r'href="(/jobs/new\?pack=([a-z]+)[^"]*)"', html)
    assert {name for _, name in samples} >= {"growth", "claims", "incident"}
    for url, _ in samples:
        assert otto.get(url).status_code == 200


@pytest.mark.parametrize("path", NO_MATCH)
def test_no_match_offers_to_clear(otto: Client, waiting_job: Job, path: str) -> None:
    html = otto.get(path).content.decode()
    place = html.index('class="panel empty"')
    for text in NO_MATCH[path]:
        assert text in html[place:], path


@pytest.mark.parametrize("path", OF_A_JOB)
def test_no_match_in_a_job_offers_to_clear(otto: Client, waiting_job: Job, path: str) -> None:
    html = otto.get(f"/jobs/{waiting_job.pk}/{path}").content.decode()
    for text in OF_A_JOB[path]:
        assert text in html


def test_nothing_moves_is_said_with_its_cause(otto: Client, people: dict[str, User]) -> None:
    sync_packs()
    job = submit_job(people["otto"], "growth", cast.sample_seeds(), "Stuck")
    long_ago = timezone.now() - dt.timedelta(minutes=10)
    Job.objects.filter(pk=job.pk).update(created_at=long_ago, updated_at=long_ago)
    assert "Nothing moves." in words(otto.get("/").content.decode())


def test_a_tool_that_stops_jobs_is_named(otto: Client, recovering_job: Job) -> None:
    break_tool(make_tool())
    assert "Nothing moves where search is needed: 1 job waits for it." in words(
        otto.get("/tools/").content.decode()
    )
