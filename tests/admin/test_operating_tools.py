"""Operators trip and reset breakers by hand: for all runtimes, with a reason, on the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser, User
from redis import Redis

from runtime.actions import Refused
from runtime.actions.tools import reset_tool, trip_tool
from runtime.models import AuditRecord, Job, Pack, Tool
from runtime.tools.gate import shared_gate
from tests.admin.cast import person

Act = Callable[[Any, str, str], None]
ACTS: list[Act] = [trip_tool, reset_tool]


@pytest.fixture(autouse=True)
def _fresh_breakers(search: Tool) -> Iterator[None]:
    url = django_settings.CONVERGE_REDIS_URL
    yield
    with Redis.from_url(url) as client:
        for key in client.scan_iter("converge:tool:*"):
            client.delete(key)


def test_an_operator_trips_and_resets(otto: User) -> None:
    trip_tool(otto, "finder", "it answers nonsense")
    state = shared_gate().state("finder")
    assert (state.status, state.tripped_by, state.next_probe) == ("open", "otto", None)
    reset_tool(otto, "finder", "mended")
    assert shared_gate().state("finder").status == "closed"
    told = [(r.who_name, r.act, r.target, r.reason) for r in AuditRecord.objects.all()[:2]]
    assert told == [
        ("otto", "reset_tool", "tool:finder", "mended"),
        ("otto", "trip_tool", "tool:finder", "it answers nonsense"),
    ]


@pytest.mark.parametrize("act", ACTS)
def test_a_viewer_and_a_stranger_do_neither(act: Act) -> None:
    trip_tool(person("ida", "operator"), "finder", "")
    before = AuditRecord.objects.count()
    with pytest.raises(Refused, match="needs the role operator; you are signed in as a viewer"):
        act(person("vera", "viewer"), "finder", "please")
    with pytest.raises(Refused, match="Sign in") as refusal:
        act(AnonymousUser(), "finder", "please")
    assert refusal.value.code == "forbidden"
    assert shared_gate().state("finder").tripped_by == "ida"
    assert AuditRecord.objects.count() == before


@pytest.mark.parametrize("act", ACTS)
def test_a_tool_that_is_gone_is_said(otto: User, act: Act) -> None:
    with pytest.raises(Refused, match="'ghost'") as refusal:
        act(otto, "ghost", "")
    assert refusal.value.code == "gone"
    assert not AuditRecord.objects.filter(target="tool:ghost").exists()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("x" * 2_001, "limit is 2,000"),
        ("a\x00", "NUL"),
        ("sk-proj-4f9a8b7c6d5e4f3a2b1c", "looks like a secret"),
    ],
)
def test_reasons_are_bounded(otto: User, act: Act, reason: str, words: str) -> None:
    before = AuditRecord.objects.count()
    with pytest.raises(Refused, match=words) as refusal:
        act(otto, "finder", reason)
    assert refusal.value.field == "reason"
    assert AuditRecord.objects.count() == before


@pytest.mark.parametrize("act", ACTS)
def test_without_redis_nothing_is_done_and_that_is_said(otto: User, settings: Any, act: Act) -> None:
    settings.CONVERGE_REDIS_URL = "unix:///nowhere/redis.sock"
    before = AuditRecord.objects.count()
    with pytest.raises(Refused, match="Redis does not answer"):
        act(otto, "finder", "please")
    assert AuditRecord.objects.count() == before


def test_a_reset_wakes_the_jobs_that_wait(otto: User, growth: Pack) -> None:
    common = {"pack": growth, "status": "recovering", "retry_at": 4e9}
    waits, other = (Job.objects.create(waits_on=f" {name} ", **common) for name in ("finder", "writer"))
    trip_tool(otto, "finder", "")
    reset_tool(otto, "finder", "")
    waits.refresh_from_db()
    other.refresh_from_db()
    assert waits.retry_at is not None
    assert waits.retry_at < 4e9
    assert other.retry_at == 4e9
