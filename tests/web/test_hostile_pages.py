"""Every page there is, with hostile text wherever text can be: it is shown, and does nothing."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from converge_site.live.topics import JobTopic
from runtime.models import Conflict
from tests.runtime.fixtures import Use
from tests.web.hostile import TEXTS, make_hostile_world, what_hurts
from tests.web.matrix import ACTS, PAGES, World
from tests.web.played import played
from tests.web.test_permission_matrix import taken_back

pytestmark = pytest.mark.early


@pytest.fixture
def world(people: dict[str, User], use_packs: Use) -> World:
    use_packs("tests.web.hostile:bazaar")
    return make_hostile_world(people)


def pages(world: World) -> dict[str, str]:
    """The address of every page of the matrix, and of those that a job has many of."""
    found = {name: url(world) for name, (url, _) in PAGES.items()}
    job = world.job
    found |= {f"entry {seq}": reverse("entry", args=[job.pk, seq]) for seq in range(1, job.entries + 1, 7)}
    found |= {f"conflict {row.pk}": reverse("conflict", args=[row.pk]) for row in Conflict.objects.all()}
    found |= {"deferred": f"{reverse('inbox')}?deferred=1", "clone": f"{reverse('new_job')}?from={job.pk}"}
    found |= {"tier 2": reverse("tier", args=[job.pk, 2]), "hold": reverse("conflict", args=[world.hold.pk])}
    found |= {"searched": f"{reverse('jobs')}?q=%3Cscript%3Ewindow.hurt%3D1%3C/script%3E&status=waiting"}
    return found


def is_html(response: Any) -> bool:
    return str(response.headers.get("Content-Type", "")).startswith("text/html")


def is_page(response: Any) -> bool:
    """Whether it is a page, and no part of one."""
    return is_html(response) and b"<!doctype html>" in response.content[:100]


def test_no_page_takes_a_text_for_more(world: World) -> None:
    wrong, shown = {}, 0
    for person in ("ada", "olga"):
        for name, url in pages(world).items():
            response = world.browsers[person].get(url, follow=True)
            if not is_html(response):
                continue
            assert response.status_code < 500, name
            html = response.content.decode()
            shown += "hurt" in html
            if found := what_hurts(html):
                wrong[name] = found[:3]
    assert wrong == {}
    assert shown > 60, shown  # it is there, and harmless


FIELDS = (
    "reason",
    "value",
    "name",
    "text",
    "title",
    "key",
    "subject",
    "choice",
    "mode",
    "pack",
    "do",
    "why",
    "message",
    "expression",
    "params",
    "keys",
    "kind",
    "span",
    "like",
    "along",
    "confidence",
    "priority",
    "expires",
    "scope",
    "every_minutes",
    "kinds",
    "q",
    "state",
    "candidates",
    "filter",
)


def test_no_answer_to_a_form_takes_a_text_for_more(world: World) -> None:
    """What is typed comes back with a refusal, as typed."""
    typed = dict.fromkeys(FIELDS, TEXTS[1]) | {"reason": TEXTS[0], "value": TEXTS[3]}
    whole = typed | {"version": world.conflict.version, "rule": world.conflict.rule, "receipt": str(uuid4())}
    wrong, refused = {}, 0
    for name, act in ACTS.items():
        for sent in (typed, whole, whole | {"choice": "other", "preview": "other"}):
            for headers in ({}, {"HX-Request": "true"}):
                with taken_back():
                    response = world.browsers["ada"].post(act.url(world), sent, follow=True, headers=headers)
                refused += response.status_code in (409, 422)
                if is_html(response) and (found := what_hurts(response.content.decode())):
                    wrong[name] = found[:3]
    assert wrong == {}
    assert refused > 30, refused


def test_no_push_takes_a_text_for_more(world: World) -> None:
    topic = JobTopic(world.job.pk)
    topic.changes(at_once=True)
    for frame in topic.catch_up(0):
        assert what_hurts(json.loads(frame)["html"]) == []


def test_the_admin_shows_it_as_text(world: World) -> None:
    from converge_site.admin.site import site

    wrong = {}
    for model in site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        urls = [reverse(f"{base}_changelist")]
        urls += [
            reverse(f"{base}_change", args=[row.pk]) for row in model._default_manager.order_by("-pk")[:2]
        ]
        for url in urls:
            response = world.browsers["ada"].get(url, follow=True)
            if response.status_code == 200 and (found := what_hurts(response.content.decode(), nonced=False)):
                wrong[url] = found[:3]
    assert wrong == {}


@pytest.mark.browser
def test_no_page_runs_asks_or_sticks_out(world: World) -> None:
    wrong = {}
    with played(world.browsers["ada"], viewport={"width": 380, "height": 800}) as window:
        for name, url in pages(world).items():
            if not is_page(world.browsers["ada"].get(url, follow=True)):
                continue
            window.page.goto(url)
            assert window.page.locator(".topbar .person").count(), f"{name}: nobody is signed in"
            found = window.wrongs()
            if (width := window.width()) > 380:
                found.append(f"{width} px wide: {window.page.evaluate(STICKS_OUT)}")
            if found:
                wrong[name] = found
    assert wrong == {}


@pytest.mark.browser
def test_what_is_pushed_into_a_page_is_text(world: World) -> None:
    topic = JobTopic(world.job.pk)
    topic.changes(at_once=True)
    with played(world.browsers["olga"], viewport={"width": 380, "height": 800}) as window:
        window.open(reverse("job", args=[world.job.pk]))
        window.push(*topic.catch_up(0))
        window.page.wait_for_function(
            f"() => document.getElementById('main').dataset.last === '{world.job.entries}'"
        )
        assert window.wrongs() == []
        assert window.width() <= 380


# The innermost elements that reach beyond the right edge and are not cut off or scrolled by what they are in.
STICKS_OUT = """() => [...document.querySelectorAll("body *")].filter((element) => {
    if (element.getBoundingClientRect().right <= 381) return false;
    for (let box = element.parentElement; box; box = box.parentElement) {
        if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(box).overflowX)) return false;
    }
    return ![...element.children].some((child) => child.getBoundingClientRect().right > 381);
}).slice(0, 4).map((element) => {
    const around = element.parentElement;
    return `${element.localName}.${element.className} in ${around.className}: ${element.textContent.slice(0, 40)}`;
})"""


def test_strangers_are_told_nothing(client: Client, world: World) -> None:
    html = client.get("/sign-in/?next=/%22%3E%3Cscript%3Ewindow.hurt%3D1%3C/script%3E").content.decode()
    assert what_hurts(html) == []
