"""Every page of the site in a real browser: no accessibility violation in light or dark, nothing that sticks out of a
phone, no script that fails. A page that is added to the matrix is looked at by itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import ViewportSize

from runtime.actions.saved_views import save_view
from runtime.actions.sync_packs import sync_packs
from runtime.models import Job
from tests.web.accessible import violations_of
from tests.web.journeys import CONTESTED, STANDING
from tests.web.matrix import PAGES, World
from tests.web.played import Played, played
from tests.web.test_hostile_pages import STICKS_OUT, is_page
from tests.web.test_permission_matrix import world

__all__ = ["world"]

pytestmark = [pytest.mark.browser, pytest.mark.early]

DESK: ViewportSize = {"width": 1280, "height": 900}
WITHOUT_A_JOB = (
    "jobs",
    "inbox",
    "tools",
    "runtimes",
    "packs",
    "rules",
    "notices",
    "keys",
    "new_job",
    "new_rule",
)
WITHOUT_A_PACK = ("jobs", "packs", "rules", "new_job")
NO_MATCH = ("/?q=no-such-thing", "/tools/?q=no-such-thing", "/rules/?q=no-such-thing", "/inbox/?deferred=1",
            "/notices/?kind=tier_lost", "/jobs/new?pack=growth", "/jobs/new?pack=growth&mode=paste")  # fmt: skip


def look_at(client: Client, addresses: dict[str, str]) -> dict[str, list[Any]]:
    """What is wrong with each page."""
    pages = {name: url for name, url in addresses.items() if is_page(client.get(url, follow=True))}
    with played(client, viewport=DESK) as window:
        return {name: found for name, url in pages.items() if (found := look_at_one(window, url))}


def look_at_one(window: Played, url: str) -> list[Any]:
    page = window.page
    page.set_viewport_size(DESK)
    page.goto(url)
    found: list[Any] = [*window.wrongs(), *violations_of(page)]
    page.set_viewport_size({"width": 380, "height": 800})
    if (width := window.width()) > 380:
        found.append(f"{width} px wide: {page.evaluate(STICKS_OUT)}")
    return found


def of_matrix(world: World) -> dict[str, str]:
    return {name: url(world) for name, (url, _) in PAGES.items()}


def test_pages_of_a_job_that_waits(world: World, ada: Client) -> None:
    pages = of_matrix(world)
    pages |= {
        "hold": reverse("conflict", args=[world.hold.pk]),
        "settled": reverse("conflict", args=[world.settled.pk]),
    }
    pages |= {"missing": "/nowhere/", "clone": f"{reverse('new_job')}?from={world.job.pk}"}
    pages |= {f"entry {seq}": reverse("entry", args=[world.job.pk, seq]) for seq in (2, 5, 9)}
    assert look_at(ada, pages) == {}


def test_pages_of_an_empty_installation(people: dict[str, User], ada: Client) -> None:
    assert look_at(ada, {name: reverse(name) for name in WITHOUT_A_PACK}) == {}
    sync_packs()
    pages = {name: reverse(name) for name in WITHOUT_A_JOB}
    assert look_at(ada, pages | {path: path for path in NO_MATCH}) == {}


def test_pages_of_the_sample(waiting_job: Job, people: dict[str, User], ada: Client) -> None:
    """What the small job of the matrix does not show: pages of many facts and of much that was said."""
    save_view(people["otto"], "A rather long name of a view, as people give them", "tier=1")
    paths = ["/?tier=1", "/inbox/", "/packs/growth/", "/packs/growth/bench/", "/jobs/bulk/?act=cancel&all=1"]
    of_job = ["", "?cycle=2", "journal/?key=outlook", "journal/?cycle=2&outcome=accepted"]
    of_job += ["answers/1/", f"answers/1..{waiting_job.answer_version}/", "entries/40/", CONTESTED, STANDING]
    of_job += ["context/?key=channel&q=zzz", "facts/new"]
    paths += [f"/jobs/{waiting_job.pk}/{path}" for path in of_job]
    assert look_at(ada, {path: path for path in paths}) == {}


def test_pages_of_a_job_that_recovers(recovering_job: Job, ada: Client) -> None:
    job = recovering_job.pk
    paths = [
        "/",
        f"/jobs/{job}/",
        f"/jobs/{job}/tiers/3/",
        "/tools/",
        "/tools/search/",
        "/runtimes/",
        f"/jobs/{job}/verify/",
    ]
    assert look_at(ada, {path: path for path in paths}) == {}


def test_the_sign_in(client: Client, db: Any) -> None:
    assert look_at(client, {"sign_in": "/sign-in/", "wrong": "/sign-in/not-a-token/"}) == {}
