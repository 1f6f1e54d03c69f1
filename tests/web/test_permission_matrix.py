"""Every role, every act, every page: what is allowed happens, and what is not leaves no trace (D9.1, D9.2).

Whoever adds an address without saying here who may use it makes the first test red.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

from runtime.actions import Refused, add_fact, answer_hold, decide_conflict
from runtime.actions.backtests import start_backtest
from runtime.actions.rules import draft_rule
from runtime.engine.spec import CLOCK
from runtime.models import Backtest, Conflict, Decision, GovernanceRule, Pack
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import submit
from tests.web import cast
from tests.web.matrix import (
    ACTS,
    ADMINS,
    OPERATORS,
    PAGES,
    PEOPLE,
    World,
    answer,
    to,
)
from tests.web.tools import make_tool

pytestmark = pytest.mark.early

# What the framework itself answers, or what is held to account elsewhere: signing in and out.
APART = {"sign_in_with_link", "sign_out", "resume", "test_digest"}


@pytest.fixture
def world(people: dict[str, User], use_packs: Use) -> World:
    for name in ("olga", "gone"):
        people[name] = User.objects.create_user(name, password=f"pass of {name}")
        people[name].groups.add(Group.objects.get(name="operator"))
    people["nobody"] = User.objects.create_user("nobody", password="pass of nobody")
    use_packs("panel")
    make_tool("oracle")
    settled = {"key": "case", "subject": "settled", "value": {"doubtful": True}}
    job = cast.run_on(submit("panel", [*PANEL_SEEDS, settled]))
    first = Conflict.objects.get(job=job, subject="settled")
    batch = str(uuid4())
    decide_conflict(people["olga"], first.pk, first.version, {"value": "no"}, "", batch, batch=batch)
    job = cast.run_on(job)
    for name in ("otto", "olga", "ada"):
        add_fact(people[name], job.pk, "verdict", "said", "yes", 1.0, "", str(uuid4()))
    job = cast.run_on(job)
    pack = Pack.objects.get(name="panel")
    draft = draft_rule(
        people["otto"],
        pack.pk,
        {"name": "surer", "kind": "confidence", "keys": ["verdict"], "params": {"margin": 0.2}},
        "to try it",
    )
    browsers = {name: cast.signed_in(user) for name, user in people.items()}
    User.objects.filter(username="gone").update(is_active=False)
    return World(
        job=job,
        conflict=Conflict.objects.get(job=job, subject="doubtful", status="open"),
        hold=Conflict.objects.get(job=job, kind="hold", status="open"),
        settled=first,
        rule=pack.rules.get(name="people decide"),
        draft=draft,
        backtest=start_backtest(people["otto"], draft.pk, receipt=str(uuid4())),
        batch=batch,
        browsers={**browsers, "stranger": Client()},
        people=people,
    )


def counts() -> dict[str, Any]:
    """What is stored: a row more or less shows here, and so does a question put off or a rule that moved on."""
    stored: dict[str, Any] = {
        model.__name__: model._default_manager.count()
        for model in apps.get_app_config("runtime").get_models()
    }
    stored["rules"] = list(GovernanceRule.objects.order_by("id").values_list("state", "version"))
    stored["backtests"] = list(Backtest.objects.order_by("id").values_list("status", flat=True))
    stored["drafts"] = list(GovernanceRule.objects.order_by("id").values_list("params", flat=True))
    stored["questions"] = list(Conflict.objects.order_by("id").values_list("version", "deferred_until"))
    return stored


@contextmanager
def taken_back() -> Iterator[None]:
    """What is done in here is undone afterwards, so that the next person finds the same world."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def is_turned_away(response: Any, person: str) -> bool:
    """Strangers, and whoever's account is closed, are sent to sign in; all others are told that they may not."""
    if person in ("stranger", "gone"):
        return response.status_code == 302 and response["Location"].startswith("/sign-in/")
    return response.status_code == 403


def names_of_addresses() -> set[str]:
    return {p.name for p in get_resolver().url_patterns if isinstance(p, URLPattern) and p.name}


def test_every_address_says_who_may_use_it() -> None:
    told = {name.partition(":")[0] for name in (*PAGES, *ACTS)} | APART
    assert names_of_addresses() == told


@pytest.mark.parametrize("name", PAGES)
def test_page_is_shown_to_whom_it_is_for(world: World, name: str) -> None:
    url, who = PAGES[name]
    for person in PEOPLE:
        response = world.browsers[person].get(url(world))
        if person in who:
            elsewhere = response.status_code == 302 and not response["Location"].startswith("/sign-in/")
            assert response.status_code in (200, 204) or elsewhere, (person, response.status_code)
        else:
            assert is_turned_away(response, person), (person, response.status_code)


@pytest.mark.parametrize("name", ACTS)
def test_act_is_done_for_whom_it_is_for_and_leaves_no_trace_else(world: World, name: str) -> None:
    act = ACTS[name]
    for person in PEOPLE:
        act.before(world)
        with taken_back():
            before, data = counts(), act.data(world)
            response = world.browsers[person].post(act.url(world), data)
            after = counts()
        if person in act.who:
            assert response.status_code in (200, 204, 302), (
                person,
                response.status_code,
                response.content[:2000],
            )
            assert (after != before) is act.writes, (person, name)
        else:
            assert is_turned_away(response, person), (person, response.status_code)
            assert after == before, (person, name)


def test_bare_post_does_nothing(world: World) -> None:
    """From another site: with the session of somebody who may, and without the token of a form of ours."""
    elsewhere = Client(enforce_csrf_checks=True)
    elsewhere.force_login(world.people["ada"])
    for name, act in ACTS.items():
        with taken_back():
            before = counts()
            assert elsewhere.post(act.url(world), act.data(world)).status_code == 403, name
            assert counts() == before, name


def test_reading_an_address_of_an_act_does_nothing(world: World) -> None:
    for name, act in ACTS.items():
        with taken_back():
            before = counts()
            response = world.browsers["ada"].get(act.url(world))
            assert response.status_code in (200, 204, 302, 404, 405), name
            assert counts() == before, name


def test_admin_is_for_admins(world: World) -> None:
    from converge_site.admin.site import site

    models = [f"admin:{m._meta.app_label}_{m._meta.model_name}_changelist" for m in site._registry]
    for name in ("admin:index", *models):
        for person in PEOPLE:
            response = world.browsers[person].get(reverse(name))
            assert (response.status_code == 200) is (person in ADMINS), (name, person, response.status_code)


def test_resume_is_like_defer(world: World) -> None:
    with taken_back():
        world.browsers["olga"].post(to("defer", "conflict")(world), answer(world.conflict, span="3600"))
        for person in PEOPLE:
            before = counts()
            with taken_back():
                response = world.browsers[person].post(
                    to("resume", "conflict")(world), answer(world.conflict)
                )
                done = counts() != before
            assert done is (person in OPERATORS), (person, response.status_code)


class TestTheClock:
    """The timer has no say of its own: it does what a rule says, and nobody passes for it."""

    def test_it_approves_nothing(self, world: World) -> None:
        row = Decision.objects.create(
            job=world.job,
            act="approve",
            key=world.hold.key,
            subject=world.hold.subject,
            by_name=CLOCK,
            receipt=str(uuid4()),
            payload={"groups": ["operator"]},
        )
        cast.run_on(world.job)
        row.refresh_from_db()
        assert row.status == "refused"

    def test_nobody_sends_its_rows(self, world: World) -> None:
        """Every row of the inbox that a page or an action writes is of an act of people."""
        for act in ("expire", "retry_due", "give_up"):
            with taken_back():
                data = answer(world.conflict, choice="0", act=act)
                world.browsers["ada"].post(to("decide", "conflict")(world), data)
                assert not Decision.objects.filter(act=act).exists()

    def test_whoever_is_called_so_may_do_nothing(self, world: World) -> None:
        clock = User.objects.create_superuser(CLOCK)
        with pytest.raises(Refused) as refused:
            answer_hold(clock, world.hold.pk, world.hold.version, True, "", str(uuid4()))
        assert refused.value.code == "forbidden"
