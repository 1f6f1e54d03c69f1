"""The inbox with hundreds of open questions: in pages, quick, and the same in a push."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from converge_site.fragments.inbox import PAGE
from converge_site.live.pages import render_page
from runtime.models import Conflict, Job
from tests.web.cast import open_conflict


@pytest.fixture
def many(people: dict[str, User], waiting_job: Job) -> list[int]:
    """164 open questions of one job, in the order in which the inbox shows them."""
    first = open_conflict(waiting_job)
    Conflict.objects.exclude(pk=first.pk).delete()
    now = timezone.now()
    Conflict.objects.filter(pk=first.pk).update(blocks=2)
    Conflict.objects.bulk_create(
        Conflict(
            job=waiting_job,
            kind="conflict",
            key=first.key,
            subject=f"channel {number:03}",
            version=first.version,
            sides=first.sides,
            trace=first.trace,
            blocks=number % 2,
            opened_cycle=1,
            opened_at=now - timedelta(seconds=number // 3),
        )
        for number in range(163)
    )
    return list(Conflict.objects.order_by("-blocks", "opened_at", "id").values_list("pk", flat=True))


def shown(html: str) -> list[int]:
    return [int(pk) for pk in re.findall(r'<article id="conflict-(\d+)"', html)]


def test_pages_follow_each_other_and_say_which_they_are(otto: Client, many: list[int]) -> None:
    seen: list[int] = []
    for page, told in ((1, "1–50"), (2, "51–100"), (3, "101–150"), (4, "151–164")):
        html = otto.get(f"/inbox/?page={page}").content.decode()
        assert f'<b class="num">{told}</b> of <b class="num">164</b> open questions' in html
        assert ('rel="next"' in html, 'rel="prev"' in html) == (page < 4, page > 1)
        seen += shown(html)
    assert seen == many
    assert PAGE == 50


def test_a_page_beyond_the_last_is_the_last(otto: Client, many: list[int]) -> None:
    for page in ("99", "9" * 30):
        assert otto.get(f"/inbox/?page={page}").status_code == 200
    assert shown(otto.get("/inbox/?page=99").content.decode()) == many[150:]


def test_a_full_page_costs_no_query_a_question(otto: Client, vera: Client, many: list[int]) -> None:
    for client in (otto, vera):
        client.get("/inbox/")
        with CaptureQueriesContext(connection) as queries:
            client.get("/inbox/")
        assert len(queries) < 25, [query["sql"][:90] for query in queries]


def test_questions_of_ended_jobs_count_neither_in_the_list_nor_in_the_badge(
    otto: Client, many: list[int]
) -> None:
    Job.objects.update(status="cancelled")
    html = otto.get("/inbox/").content.decode()
    assert "Nobody waits for you" in html
    assert re.search(r'id="inbox-badge" class="badge" hidden', html)


def test_a_push_holds_the_page_that_is_looked_at(otto: Client, many: list[int]) -> None:
    assert shown(render_page("inbox", "page=4")) == many[150:]
    assert shown(render_page("inbox", "page=" + "9" * 30)) == many[:50]
