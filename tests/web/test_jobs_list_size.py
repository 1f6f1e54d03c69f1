"""The Jobs list among many jobs: what is counted, looked up and looked through is bounded, and said honestly."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext

from converge_site.fragments import job_search
from converge_site.fragments.job_filter import JobFilter
from converge_site.fragments.job_rows import read_list
from converge_site.fragments.job_search import PAGE, Found, count_up_to, find_page
from runtime.models import Job
from tests.web.test_jobs_list import make_jobs, titles

STATUSES = ("converged", "partial", "waiting", "recovering", "queued", "failed")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test reaches."""
    monkeypatch.setattr(job_search, "MOST_COUNTED", 5)
    monkeypatch.setattr(job_search, "WINDOW", 10)


def many(people: dict[str, User], number: int = 3 * PAGE) -> list[Job]:
    """Jobs of all kinds, in a mixed order."""
    jobs = make_jobs(people["otto"], number)
    for place, job in enumerate(jobs):
        Job.objects.filter(pk=job.pk).update(
            status=STATUSES[place % len(STATUSES)],
            tier=place % 4,
            submitter=people["ada" if place % 5 == 0 else "otto"],
        )
    return jobs


def walk(chosen: JobFilter) -> list[int]:
    """All pages of a list, from the newest on; by their links."""
    seen: list[int] = []
    found = find_page(chosen)
    while True:
        assert len(found.ids) <= PAGE
        seen += found.ids
        if not found.older:
            return seen
        found = find_page(chosen.at(before=found.older))


def walk_back(chosen: JobFilter, oldest: int) -> list[int]:
    """All that are newer than one of them, from the other end."""
    seen: list[int] = []
    found: Found = find_page(chosen.at(after=oldest))
    while True:
        seen = found.ids + seen
        if not found.newer:
            return seen
        found = find_page(chosen.at(after=found.newer))


FILTERS: list[dict[str, str]] = [
    {},
    {"status": "waiting"},
    {"status": "active"},
    {"tier": "2"},
    {"submitter": "ada"},
    {"pack": "growth"},
    {"status": "active", "tier": "1"},
    {"status": "partial", "submitter": "otto", "pack": "growth"},
    {"status": "converged", "tier": "1"},
    {"pack": "claims", "tier": "1"},
    {"q": "job"},
    {"q": "job 1"},
    {"q": "job", "status": "waiting"},
]


@pytest.mark.parametrize("bounds", ["small", "as they are"])
@pytest.mark.parametrize("fields", FILTERS, ids=str)
def test_walking_the_pages_meets_each_job_that_matches_once(
    people: dict[str, User], monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], bounds: str
) -> None:
    many(people)
    if bounds == "small":
        monkeypatch.setattr(job_search, "MOST_COUNTED", 5)
        monkeypatch.setattr(job_search, "WINDOW", 10)
    chosen = JobFilter.from_query(fields)
    expected = list(chosen.apply(Job.objects.all()).order_by("-pk").values_list("pk", flat=True))
    assert walk(chosen) == expected
    if expected:
        assert walk_back(chosen, expected[-1]) == expected[:-1]


def test_what_is_many_is_counted_no_further(otto: Client, people: dict[str, User], small: None) -> None:
    make_jobs(people["otto"], 6, tier=1)
    html = otto.get("/").content.decode()
    assert '<b class="num">5+</b> of <span class="num">5+</span>' in html
    assert str(read_list(JobFilter(tier="1")).found) == "5+"
    assert str(read_list(JobFilter(tier="1", status="queued")).found) == "5+"
    assert str(count_up_to(Job.objects.filter(tier=1), 6)) == "6"


def test_a_text_is_looked_for_in_portions_and_the_page_says_so(
    otto: Client, people: dict[str, User], small: None
) -> None:
    first, *_ = make_jobs(people["otto"], 25)
    Job.objects.filter(pk=first.pk).update(title="the needle")
    html = otto.get("/?q=needle").content.decode()
    assert "No job matches" in html
    assert "Nothing among the 10 jobs that were looked through" in html
    links = []
    while older := re.search(r'href="(\?[^"]+)">Look through older jobs', html):
        links.append("/" + older.group(1).replace("&amp;", "&"))
        html = otto.get(links[-1]).content.decode()
    assert len(links) == 2
    assert titles(otto, links[-1]) == ["the needle"]


def test_a_number_is_found_wherever_it_lies(otto: Client, people: dict[str, User], small: None) -> None:
    jobs = make_jobs(people["otto"], 25)
    for text in (f"{jobs[0].pk}", f"%23{jobs[0].pk}"):
        assert "job 0" in titles(otto, f"/?q={text}")
    assert titles(otto, f"/?q={jobs[0].pk}&status=failed") == []


def test_a_filter_of_nobody_finds_nothing(otto: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 2)
    for query in ("pack=none", "submitter=nobody", "pack=none&tier=0", "submitter=nobody&status=queued"):
        assert titles(otto, f"/?{query}") == [], query


def test_the_number_of_queries_follows_no_number_of_jobs(otto: Client, people: dict[str, User]) -> None:
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert otto.get(url).status_code == 200
        return len(captured)

    urls = ["/", "/?status=active", "/?q=job", "/?status=waiting&tier=2&pack=growth", "/?before=30"]
    make_jobs(people["otto"], 2, status="waiting", tier=2)
    otto.get("/")  # what is asked once a process
    few = [queries(url) for url in urls]
    many(people)
    more = [queries(url) for url in urls]
    assert all(b <= a + 4 for a, b in zip(few, more, strict=True)), (few, more)
    assert max(more) <= 32


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL plans by its statistics")
@pytest.mark.parametrize(
    "fields",
    [
        {"status": "failed", "pack": "growth"},
        {"pack": "growth", "submitter": "otto"},
        {"status": "stuck", "tier": "2"},
        {"status": "converged", "tier": "1", "submitter": "otto", "pack": "growth"},
    ],
    ids=str,
)
def test_several_filters_are_looked_up_in_one_index(people: dict[str, User], fields: dict[str, str]) -> None:
    many(people, 12)
    plan = plan_of(JobFilter.from_query(fields).scan().values_list("pk", flat=True)[:100])
    assert "COVERING INDEX job_for_lists" in plan
    assert "TEMP B-TREE" not in plan


def plan_of(jobs: QuerySet[Job, int]) -> str:
    return str(jobs.explain())
