"""A question is put off: it waits out of sight, and comes back by itself."""

from __future__ import annotations

from typing import Literal

import pytest

from runtime.actions import Refused, decide_conflict
from runtime.actions.deferring import UNTIL_IT_CHANGES, defer_conflict, put_off, resume_conflict
from runtime.lease import database_clock
from runtime.models import AuditRecord, Conflict, Entry, Job
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    use_packs("panel")
    return run(submit("panel", PANEL_SEEDS))


def defer(
    conflict: Conflict,
    seconds: float | Literal["until it changes"] = 3600,
    by: str = "otto",
    form: str = "",
    version: str = "",
) -> Conflict:
    version = version or conflict.version
    return defer_conflict(person(by, "operator"), conflict.pk, version, seconds, "ask Ida", form or receipt())


def is_put_off(conflict: Conflict) -> bool:
    return Conflict.objects.filter(put_off(), pk=conflict.pk).exists()


def test_it_is_put_off_with_who_until_when_and_why(job: Job) -> None:
    before = (Entry.objects.count(), database_clock())
    conflict = defer(question(job))
    assert is_put_off(conflict)
    fresh = question(job)
    assert (fresh.deferred_by, fresh.deferred_reason, fresh.status) == ("otto", "ask Ida", "open")
    assert fresh.deferred_until is not None
    assert before[1] + 3599 <= fresh.deferred_until <= database_clock() + 3600
    assert Entry.objects.count() == before[0]
    record = AuditRecord.objects.get(act="defer")
    assert (record.who_name, record.reason, record.detail["conflict"]) == ("otto", "ask Ida", conflict.pk)


def test_it_comes_back_when_the_time_is_over_by_the_databases_clock(job: Job) -> None:
    conflict = defer(question(job))
    Conflict.objects.filter(pk=conflict.pk).update(deferred_until=database_clock() - 0.001)
    assert not is_put_off(conflict)
    defer(question(job), "until it changes")
    assert question(job).deferred_until == UNTIL_IT_CHANGES
    assert is_put_off(conflict)


def test_it_comes_back_when_its_sides_change_and_stays_away_when_they_do_not(job: Job) -> None:
    conflict = defer(question(job), "until it changes")
    tell(job, "add_fact", "ida", key="case", subject="third", payload={"value": {}})
    run(job)
    assert is_put_off(conflict)
    tell(job, "add_fact", "ida", key="verdict", subject="doubtful", payload={"value": "maybe"})
    run(job)
    assert not is_put_off(conflict)
    assert question(job).deferred_by == ""


def test_its_deadline_stays_what_it_was(job: Job) -> None:
    Conflict.objects.update(deadline_at=123.0, remind_at=100.0)
    defer(question(job))
    assert (question(job).deadline_at, question(job).remind_at) == (123.0, 100.0)


def test_it_is_brought_back_by_a_person(job: Job) -> None:
    conflict = defer(question(job))
    form = receipt()
    for _ in range(2):
        resume_conflict(person("ida", "operator"), conflict.pk, conflict.version, "Ida is here", form)
    assert not is_put_off(conflict)
    assert AuditRecord.objects.filter(act="resume").count() == 1
    with pytest.raises(Refused, match="It is back already"):
        resume_conflict(person("ida", "operator"), conflict.pk, conflict.version, "", receipt())


def test_a_double_click_is_one_act(job: Job) -> None:
    until = [defer(question(job), form="form-1").deferred_until for _ in range(2)]
    assert until[0] == until[1]
    assert AuditRecord.objects.filter(act="defer").count() == 1


def test_it_can_be_decided_while_it_is_put_off(job: Job) -> None:
    conflict = defer(question(job))
    decide_conflict(person("ada", "admin"), conflict.pk, conflict.version, {"value": "yes"}, "", receipt())
    run(job)
    assert Conflict.objects.get(pk=conflict.pk).status == "closed"


@pytest.mark.parametrize("seconds", [0, 59, -1, float("nan"), float("inf"), 400 * 86_400])
def test_a_time_that_makes_no_sense_is_refused_at_its_field(job: Job, seconds: float) -> None:
    with pytest.raises(Refused) as refused:
        defer(question(job), seconds)
    assert refused.value.field == "seconds"
    assert not is_put_off(question(job))


def test_who_looks_at_an_older_state_is_refused(job: Job) -> None:
    conflict = question(job)
    with pytest.raises(Refused, match="changed while you were looking"):
        defer(conflict, version="0000")
    decide_conflict(person("ada", "admin"), conflict.pk, conflict.version, {"value": "yes"}, "", receipt())
    with pytest.raises(Refused, match="ada has decided this already"):
        defer(conflict)
    run(job)
    with pytest.raises(Refused, match="closed since cycle"):
        defer(conflict)
    assert not AuditRecord.objects.filter(act="defer").exists()


def test_a_viewer_may_not(job: Job) -> None:
    conflict = question(job)
    with pytest.raises(Refused) as refused:
        defer_conflict(person("vera", "viewer"), conflict.pk, conflict.version, 3600, "", receipt())
    assert refused.value.code == "forbidden"


def test_what_is_not_there_or_has_ended_is_gone(job: Job) -> None:
    conflict = question(job)
    Job.objects.update(status="cancelled")
    with pytest.raises(Refused) as refused:
        defer(conflict)
    assert refused.value.code == "gone"
    with pytest.raises(Refused) as refused:
        defer_conflict(person("otto", "operator"), 987_654, "", 3600, "", receipt())
    assert refused.value.code == "gone"
