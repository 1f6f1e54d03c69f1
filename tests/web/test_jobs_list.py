"""The Jobs list: filters in the URL, pages by keyset, and three kinds of nothing told apart."""

from __future__ import annotations

import datetime as dt
import re

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from converge_site.fragments.job_rows import PAGE
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
    assert "<b>0</b> of 2" in html


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
