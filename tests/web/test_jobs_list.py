"""The Jobs list: filters in the URL, pages by keyset, and three kinds of nothing told apart."""

from __future__ import annotations

import datetime as dt
import re

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from converge_site.fragments.job_filter import JobFilter
from converge_site.fragments.job_rows import render_list
from converge_site.fragments.job_search import PAGE
from converge_site.live.pages import render_page
from runtime.actions.sync_packs import sync_packs
from runtime.models import Job, Pack


def make_jobs(user: User, number: int, **fields: object) -> list[Job]:
    sync_packs()
    pack = Pack.objects.get(name="growth")
    return [Job.objects.create(pack=pack, submitter=user, title=f"job {i}", **fields) for i in range(number)]


def titles(client: Client, url: str) -> list[str]:
    return re.findall(r'class="title" href="[^"]+"><bdi>([^<]+)</bdi>', client.get(url).content.decode())


def test_an_empty_installation_offers_a_sample(otto: Client) -> None:
    sync_packs()
    html = otto.get("/").content.decode()
    assert "Nothing yet" in html
    assert "/jobs/new?pack=growth" in html


def test_no_match_offers_to_clear_the_filters(otto: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 2)
    html = otto.get("/?q=elephant").content.decode()
    assert "No job matches" in html
    assert "Clear filters" in html
    assert '<b class="num">0</b> of <span class="num">2</span>' in html


def test_queued_jobs_that_nobody_takes_say_that_nothing_moves(otto: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 1)
    assert "Nothing moves" not in otto.get("/").content.decode()
    Job.objects.update(updated_at=timezone.now() - dt.timedelta(minutes=2))
    assert "Nothing moves" in otto.get("/").content.decode()


def test_filters_narrow_and_count(otto: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 2, status="waiting", tier=1)
    make_jobs(people["ada"], 3, status="converged", tier=3)
    assert len(titles(otto, "/?status=waiting")) == 2
    assert len(titles(otto, "/?status=stuck")) == 0
    assert len(titles(otto, "/?submitter=ada&tier=3")) == 3
    assert len(titles(otto, "/?q=job+1")) == 2
    assert len(titles(otto, "/?pack=claims")) == 0
    assert '<b class="num">3</b> of <span class="num">5</span>' in otto.get("/?tier=3").content.decode()


def test_a_filter_that_makes_no_sense_counts_as_none(otto: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 1)
    assert titles(otto, "/?status=asleep&tier=top&before=x&after=-1") == ["job 0"]


def test_pages_follow_each_other_without_gap_or_double(otto: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 2 * PAGE + 3)
    seen: list[str] = []
    url = "/?submitter=otto"
    for _ in range(3):
        html = otto.get(url).content.decode()
        seen += titles(otto, url)
        older = re.search(r'href="(\?[^"]+)">Older', html)
        url = "/" + older.group(1).replace("&amp;", "&") if older else ""
    assert url == ""
    assert seen == [f"job {i}" for i in reversed(range(2 * PAGE + 3))]


def test_newer_leads_back(otto: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], PAGE + 5)
    older = re.search(r'href="(\?[^"]+)">Older', otto.get("/").content.decode())
    assert older
    html = otto.get("/" + older.group(1)).content.decode()
    newer = re.search(r'href="(\?[^"]+)">Newer', html)
    assert newer
    assert titles(otto, "/" + newer.group(1)) == titles(otto, "/")


def test_the_greeting_offers_every_sample_of_every_pack(otto: Client) -> None:
    sync_packs()
    html = otto.get("/").content.decode()
    assert "sample=corner-shop" in html
    for pack in Pack.objects.filter(enabled=True):
        assert f"/jobs/new?pack={pack.name}" in html


def test_an_installation_without_packs_says_what_brings_them(otto: Client) -> None:
    html = otto.get("/").content.decode()
    assert "Nothing yet" in html
    assert "sync_packs" in html


def test_a_row_tells_age_and_change(otto: Client, people: dict[str, User]) -> None:
    (job,) = make_jobs(people["otto"], 1)
    Job.objects.update(created_at=timezone.now() - dt.timedelta(days=2))
    html = otto.get("/").content.decode()
    job.refresh_from_db()
    for moment in (job.created_at, job.updated_at):
        assert moment.astimezone(dt.UTC).isoformat(timespec="seconds") in html


def test_a_row_that_changed_is_rendered_anew(otto: Client, people: dict[str, User]) -> None:
    (job,) = make_jobs(people["otto"], 1, status="running", cycle=3)
    assert "Running" in render_list(JobFilter())
    Job.objects.filter(pk=job.pk).update(status="converged", cycle=4)
    fresh = render_list(JobFilter())
    assert "Converged" in fresh
    assert 'data-label="cycle">4<' in fresh


def test_what_is_pushed_is_what_the_page_shows(otto: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 3, status="waiting", conflicts_open=1)
    make_jobs(people["ada"], 2, status="partial")
    for query in ("", "status=waiting", "q=job+1", "status=waiting&submitter=ada"):
        pushed = render_page("jobs", query)
        page = otto.get(f"/?{query}").content.decode()
        for part in pushed.strip().split("\n"):
            assert part.strip() in page, query


def test_those_who_look_at_one_list_share_it(otto: Client, people: dict[str, User]) -> None:
    make_jobs(people["otto"], 1)
    for url in ("/?status=waiting&q=", "/?q=&tier=&status=waiting", "/?status=waiting&tier=none"):
        assert 'data-query="status=waiting"' in otto.get(url).content.decode()
