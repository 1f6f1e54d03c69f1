"""Cursors over notices pass over none, also where what was begun first is committed last (PostgreSQL)."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from runtime import audience
from runtime.actions.notice_settings import mark_seen
from runtime.audience import count_unseen, newest_notice, notices_for
from runtime.models import Job, Notice, NoticeSetting
from tests.runtime.fixtures import Use
from tests.runtime.stage import person, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def out_of_order(monkeypatch: pytest.MonkeyPatch, use_packs: Use) -> Job:
    """A job, on a database that shows ids in any order; nothing is told of it yet."""
    monkeypatch.setattr(audience, "ids_come_in_order", lambda: False)
    use_packs("panel")
    return submit("panel", [{"key": "case", "subject": "one", "value": {"doubtful": True}}])


def noted(job: Job, pk: int, ago: float = 0.0) -> Notice:
    """A notice with this id, written so many seconds ago."""
    notice = Notice.objects.create(pk=pk, kind="question", job=job, text=f"notice {pk}")
    Notice.objects.filter(pk=pk).update(at=timezone.now() - dt.timedelta(seconds=ago))
    return notice


def test_no_cursor_passes_over_what_may_still_be_committed(out_of_order: Job) -> None:
    olga = person("olga", "operator")
    noted(out_of_order, 101, ago=60)
    noted(out_of_order, 102)
    noted(out_of_order, 104)  # 103 is still being written
    assert newest_notice() == 102
    mark_seen(olga, 104)
    noted(out_of_order, 103)
    assert newest_notice() == 104
    assert {notice.pk for notice in notices_for(olga, NoticeSetting.objects.get().seen)} == {103, 104}
    mark_seen(olga, 104)
    assert count_unseen(olga, 100) == 0


def test_without_a_gap_nothing_waits_and_a_gap_is_waited_for_a_moment_only(out_of_order: Job) -> None:
    assert newest_notice() == 0
    for pk in (7, 8, 9):
        noted(out_of_order, pk)
        assert newest_notice() == pk
    noted(out_of_order, 11, ago=60)  # what had the number 10 came to nothing
    assert newest_notice() == 11
    noted(out_of_order, 12)
    assert newest_notice() == 12


def test_on_sqlite_the_newest_is_the_newest(out_of_order: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "ids_come_in_order", lambda: True)
    for pk in (7, 9):
        noted(out_of_order, pk)
        assert newest_notice() == pk
