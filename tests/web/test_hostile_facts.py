"""Facts are hostile: markup, htmx attributes and script ends render as text on every page and in every push."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.live.topics import JobTopic
from runtime.actions import submit_job
from runtime.actions.sync_packs import sync_packs
from runtime.models import Conflict, Entry, Job
from tests.web.cast import run_on, sample_seeds
from tests.web.hostile import what_hurts

HOSTILE = [
    "</script><script>window.hurt=1</script>",
    '"><img src=x onerror="window.hurt=1">',
    '<a hx-get="/jobs/new" hx-trigger="load" hx-swap-oob="true">x</a>',
    "' onmouseover='window.hurt=1",
    "{{ job.seeds }}{% csrf_token %}",
    "שלום 🐘 <b>&amp;</b>",
]
BIDI = "\u202eevil\u2066"


def hostile_seeds() -> list[dict[str, Any]]:
    """The sample, with names that would hurt where they are not escaped."""
    seeds = sample_seeds()
    for seed, name in zip([s for s in seeds if s["key"] == "channel"], HOSTILE, strict=False):
        seed["subject"] = name
        seed["value"]["audience"] = name + BIDI
    seeds[0]["subject"] = HOSTILE[0]
    return seeds


@pytest.fixture
def hostile_job(people: dict[str, User]) -> Job:
    sync_packs()
    return run_on(submit_job(people["otto"], "growth", hostile_seeds(), HOSTILE[1]))


def check(html: str, where: str) -> None:
    assert what_hurts(html) == [], where
    assert 'hx-get="/jobs/new"' not in html, where


def test_pages_show_hostile_facts_as_text(otto: Client, hostile_job: Job) -> None:
    job = hostile_job
    pages = [
        "/",
        f"/jobs/{job.pk}/",
        f"/jobs/{job.pk}/journal/",
        "/inbox/",
        f"/jobs/{job.pk}/context/?key=channel",
    ]
    pages += [f"/jobs/{job.pk}/entries/{seq}/" for seq in (2, 3, 40)]
    pages += [f"/conflicts/{conflict.pk}/" for conflict in Conflict.objects.all()]
    pages += [f"/jobs/{job.pk}/answers/{job.answer_version}/", f"/jobs/new?from={job.pk}", "/packs/growth/"]
    for page in pages:
        answer = otto.get(page)
        assert answer.status_code == 200, page
        check(answer.content.decode(), page)
    for subject in HOSTILE:
        answer = otto.get(f"/jobs/{job.pk}/slots/", {"key": "channel", "subject": subject})
        assert answer.status_code == 200, subject
        check(answer.content.decode(), subject)


def test_pushes_hold_hostile_facts_as_text(hostile_job: Job) -> None:
    topic = JobTopic(hostile_job.pk)
    topic.changes(at_once=True)
    for frame in topic.catch_up(0):
        check(json.loads(frame)["html"], "push")


def test_every_place_of_a_value_switches_htmx_off(hostile_job: Job, otto: Client) -> None:
    entries = Entry.objects.filter(job=hostile_job).count()
    html = otto.get(f"/jobs/{hostile_job.pk}/journal/").content.decode()
    assert entries > 0
    for row in html.split('<div class="entry')[1:]:
        assert "hx-disable" in row[: row.index(">")]


def test_preview_of_hostile_text_is_text(otto: Client, people: dict[str, User]) -> None:
    sync_packs()
    body = {"pack": "growth", "mode": "paste", "text": json.dumps(hostile_seeds()), "do": "preview"}
    html = otto.post("/jobs/new", body).content.decode()
    assert "Reads well" in html
    check(html, "preview")
    body["text"] = json.dumps([{"key": HOSTILE[0], "subject": "a", "value": 1}])
    check(otto.post("/jobs/new", body).content.decode(), "problems")
