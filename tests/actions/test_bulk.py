"""Deciding once: the same decision on like questions, each by itself, and told one by one."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from runtime.actions import Refused, bulk, decide_conflict
from runtime.actions.bulk import Answered, decide_alike, find_alike, rows_of_form, same_choice
from runtime.models import AuditRecord, Conflict, Decision, Job
from tests.runtime.fixtures import Use
from tests.runtime.stage import person, receipt, run, submit, tell

pytestmark = pytest.mark.django_db


def doubtful(*names: str) -> list[dict[str, object]]:
    return [{"key": "case", "subject": name, "value": {"doubtful": True}} for name in names]


@pytest.fixture
def jobs(use_packs: Use) -> list[Job]:
    """Three jobs with two questions each, all of one shape: lenient says yes, strict says no."""
    use_packs("panel")
    return [run(submit("panel", doubtful("left", "right"))) for _ in range(3)]


def questions() -> list[Conflict]:
    return list(Conflict.objects.filter(status="open", kind="conflict").order_by("id"))


def seen(rows: list[Conflict]) -> list[tuple[int, str]]:
    return [(row.pk, row.version) for row in rows]


def keep(by: str, value: str, rows: list[Conflict], form: str = "form-1", reason: str = "") -> list[Answered]:
    first, *others = rows
    return decide_alike(
        person(by, "operator"), first.pk, first.version, {"value": value}, seen(others), reason, form
    )


def test_like_questions_of_all_jobs_are_found_the_most_blocking_first(jobs: list[Job]) -> None:
    first, *others = questions()
    Conflict.objects.filter(pk=others[3].pk).update(blocks=9)
    Conflict.objects.filter(pk=others[0].pk).update(awaiting="an agent")
    Conflict.objects.filter(pk=others[1].pk).update(shape="another")
    jobs[2].status = "cancelled"
    jobs[2].save()
    assert [row.pk for row in find_alike(first)] == [others[2].pk]
    Job.objects.update(status="waiting")
    assert [row.pk for row in find_alike(first)] == [others[3].pk, others[2].pk, others[4].pk]


def test_each_is_a_decision_of_its_own_and_is_applied(jobs: list[Job]) -> None:
    said = keep("otto", "no", questions(), reason="as always")
    assert [one.refused for one in said] == [None] * 6
    rows = Decision.objects.order_by("id")
    assert {(row.batch, row.by_name, row.reason, tuple(row.kept)) for row in rows} == {
        ("form-1", "otto", "as always", ("strict",))
    }
    assert len({row.receipt for row in rows}) == AuditRecord.objects.filter(act="decide").count() == 6
    for job in jobs:
        run(job)
    assert questions() == []
    assert set(Decision.objects.values_list("status", flat=True)) == {"applied"}


def test_a_single_decision_names_whom_it_kept_and_no_batch(jobs: list[Job]) -> None:
    kept = []
    choices: list[dict[str, Any]] = [{"value": "yes"}, {"value": "maybe"}, {"none": True}]
    for row, choice in zip(questions(), choices, strict=False):
        made = decide_conflict(person("otto", "operator"), row.pk, row.version, choice, "", receipt())
        kept.append((made.kept, made.batch))
    assert kept == [(["lenient"], ""), ([], ""), ([], "")]


def test_the_same_form_again_gives_the_same_rows_also_when_they_were_applied(jobs: list[Job]) -> None:
    rows = questions()
    first = keep("otto", "no", rows)
    run(jobs[0])
    again = keep("otto", "no", rows)
    assert [one.decision for one in again] == [one.decision for one in first]
    assert Decision.objects.count() == 6


def test_what_is_refused_is_told_and_undoes_no_other(jobs: list[Job]) -> None:
    rows = questions()
    decide_conflict(person("ada", "admin"), rows[1].pk, rows[1].version, {"value": "yes"}, "", receipt())
    tell(jobs[1], "add_fact", "ida", key="verdict", subject="left", payload={"value": "maybe"})
    run(jobs[1])
    said = keep("otto", "no", rows)
    assert [one.conflict_id for one in said] == [row.pk for row in rows]
    told = {one.conflict_id: one.refused.message for one in said if one.refused}
    assert told[rows[1].pk] == "ada has decided this already."
    assert "not like the one" in told[rows[2].pk]
    assert len(told) == 2
    assert Decision.objects.filter(act="decide", by_name="otto").count() == 4


def test_if_the_first_is_refused_nothing_is_done(jobs: list[Job]) -> None:
    first, *others = questions()
    with pytest.raises(Refused) as refused:
        decide_alike(
            person("otto", "operator"), first.pk, "0000", {"value": "no"}, seen(others), "", receipt()
        )
    assert refused.value.code == "stale"
    with pytest.raises(Refused) as refused:
        decide_alike(
            person("vera", "viewer"), first.pk, first.version, {"value": "no"}, seen(others), "", receipt()
        )
    assert refused.value.code == "forbidden"
    assert Decision.objects.count() == 0


def test_each_asks_whether_this_person_may(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """Otto submitted the jobs, but one; where the rule excludes the submitter, he may answer that one alone."""
    spec = jobs[0].frozen_spec()
    rule = next(rule for rule in spec["rules"] if rule["kind"] == "operator")
    rule["params"] = {"exclude_submitter": True}
    for job in jobs[1:]:
        job.input.spec = orjson.dumps(spec).decode()
        job.input.save()
    said = keep("otto", "no", questions())
    assert [one.refused.code if one.refused else "" for one in said] == ["", "", *["forbidden"] * 4]


def test_the_side_of_the_same_speakers_is_kept_whatever_it_says(jobs: list[Job]) -> None:
    first, other = questions()[:2]
    for side in other.sides:
        side["value"] = {"yes": "no", "no": "yes"}[side["value"]]
    assert same_choice(first, {"value": "no"}, other) == {"value": "yes"}
    assert same_choice(first, {"value": "maybe"}, other) == {"value": "maybe"}
    assert same_choice(first, {"none": True}, other) == {"none": True}


def test_where_speakers_are_ambiguous_the_same_value_is_kept_or_nothing(jobs: list[Job]) -> None:
    first, other = questions()[:2]
    for side in other.sides:
        side["speakers"] = ["lenient", "strict"]
    assert same_choice(first, {"value": "no"}, other) == {"value": "no"}
    for side in other.sides:
        side["value"] = f"{side['value']}!"
    with pytest.raises(Refused, match="None of its sides is like the one that is kept"):
        same_choice(first, {"value": "no"}, other)


def test_holds_are_approved_alike(jobs: list[Job]) -> None:
    keep("otto", "no", questions())
    for job in jobs:
        run(job)
    first, *others = Conflict.objects.filter(status="open", kind="hold").order_by("id")
    assert [row.pk for row in find_alike(first)] == [row.pk for row in others]
    said = decide_alike(
        person("ida", "operator"), first.pk, first.version, {"approve": True}, seen(others), "", "form-2"
    )
    assert [one.decision.act for one in said if one.decision] == ["approve"] * 3
    refused = decide_alike(
        person("ida", "operator"), first.pk, first.version, {"approve": True}, seen(others), "", "form-2"
    )
    assert [one.decision for one in refused] == [one.decision for one in said]


def test_more_than_two_hundred_are_too_many(jobs: list[Job]) -> None:
    first = questions()[0]
    many = [(pk, "x") for pk in range(10_000, 10_201)]
    with pytest.raises(Refused, match="tick at most 200"):
        decide_alike(
            person("otto", "operator"), first.pk, first.version, {"value": "no"}, many, "", receipt()
        )
    assert Decision.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_of_two_people_at_the_same_moment_each_question_is_decided_once(
    jobs: list[Job], empty_queue: object
) -> None:
    rows = questions()
    people = [person(f"operator-{n}", "operator") for n in range(3)]
    together, said = threading.Barrier(len(people)), []

    def act(number: int) -> None:
        mine = rows[number:] + rows[:number]  # each begins with another one
        try:
            together.wait()
            said.append(
                decide_alike(
                    people[number],
                    mine[0].pk,
                    mine[0].version,
                    {"value": "no"},
                    seen(mine[1:]),
                    "",
                    f"f{number}",
                )
            )
        except Refused:
            pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=act, args=(n,)) for n in range(len(people))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decided = list(Decision.objects.filter(act="decide").values_list("conflict", flat=True))
    assert sorted(decided) == sorted(row.pk for row in rows)


def test_rows_of_a_form_are_found_by_an_index(jobs: list[Job]) -> None:
    keep("otto", "no", questions())
    assert [row.batch for row in rows_of_form("form-1")] == ["form-1"] * 6
    assert not rows_of_form("").exists()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "inbox_by_form" in rows_of_form("form-1").order_by().explain()


def test_questions_of_one_job_are_committed_together(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "TOGETHER", 3)
    job = run(submit("panel", doubtful(*"abcdefgh")))
    rows = [row for row in questions() if row.job_id == job.pk] + questions()[:2]
    with CaptureQueriesContext(connection) as queries:
        assert all(one.decision for one in keep("otto", "no", rows))
    begun = sum(query["sql"].startswith("SAVEPOINT") for query in queries)
    assert begun == len(rows) + 4, "one a question; and seven of one job, three at a time, and two of another"
