"""What a card of the conflict desk tells, who comes second, and undoing what was decided."""

from __future__ import annotations

import datetime as dt
import re
from html import unescape
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.fragments.conflicts import read_card
from converge_site.fragments.side_diff import Part, diff_sides
from runtime.lease import database_clock
from runtime.models import Conflict, Decision, Job
from tests.web import cast
from tests.web.cast import run_on, signed_in
from tests.web.desk import act, ask_alike, jobs, page, questions, text_of
from tests.web.test_deciding import decide, form_of

__all__ = ["jobs"]


def test_a_card_tells_confidence_evidence_lineage_and_the_rules_with_their_numbers(
    otto: Client, jobs: list[Job]
) -> None:
    conflict = questions()[0]
    html = page(otto, conflict)
    said = text_of(html)
    assert re.search(r"clear margin confidence did not decide: leads by 0\.\d+, the margin is 0\.4", said)
    assert "leaves it to an operator" in said
    assert "elasticity" in said
    slot = f"/jobs/{conflict.job_id}/slots/?key=outlook&amp;subject="
    assert html.count(f'href="{slot}') >= 3
    assert "#lineage" in html
    assert "rests on" in said


def test_objects_are_compared_part_by_part(otto: Client, jobs: list[Job]) -> None:
    conflict = questions()[0]
    values = [{"spend": 1, "by": {"a": 1, "b": 2}}, {"spend": 1, "by": {"a": 3, "b": 2}, "note": "x"}]
    sides = [{**side, "value": value} for side, value in zip(conflict.sides, values, strict=True)]
    Conflict.objects.filter(pk=conflict.pk).update(sides=sides)
    conflict.refresh_from_db()
    diff = read_card(conflict).diff
    assert diff is not None
    assert diff.parts == [Part("by.a", ("1", "3")), Part("note", ("", "x"))]
    assert diff.same == 1
    assert "Differs in" in page(otto, conflict)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ([[1, 2, 3], [2, 3, 4], [2]], [Part("Items", ("1, 3", "3, 4", ""))]),
        ([[1, 2], [2, 1]], [Part("Items", ("1, 2", "2, 1"))]),
        ([{"a": 1}, {"a": 1.0}], []),
        ([{"a": True}, {"a": 1}], [Part("a", ("yes", "1"))]),
        ([{"a": {"x": 1}}, {"a": [1]}], [Part("a", ("x: 1", "1"))]),
    ],
)
def test_what_differs_between_lists_and_objects(values: list[Any], parts: list[Part]) -> None:
    found = diff_sides(values)
    assert found is not None
    assert found.parts == parts


@pytest.mark.parametrize("values", [["a", "b"], [1, {"a": 1}], [{"a": 1}], [[n] for n in range(7)]])
def test_plain_values_are_not_taken_apart(values: list[Any]) -> None:
    assert diff_sides(values) is None


def test_the_policy_is_told_on_the_card(otto: Client, jobs: list[Job]) -> None:
    conflict = questions()[0]
    assert "Any operator decides ." in text_of(page(otto, conflict))
    policy = {"groups": ["audit", "admin"], "exclude_submitter": True, "reason": True, "outcome": "strongest"}
    soon = database_clock() + 3600
    Conflict.objects.filter(pk=conflict.pk).update(policy=policy, deadline_at=soon)
    html = page(otto, conflict)
    assert re.search(
        "Somebody of audit or admin decides, never the submitter [(]otto[)] ; a reason is required ; "
        "deadline [-0-9: ]+UTC , then the strongest side stands",
        text_of(html),
    )
    assert f'<time datetime="{dt.datetime.fromtimestamp(soon, dt.UTC).isoformat(timespec="seconds")}"' in html
    Conflict.objects.filter(pk=conflict.pk).update(expired_at=soon)
    assert "the deadline has passed , and it stays open" in text_of(page(otto, conflict))


def test_a_reason_is_required_where_the_rule_says_so_and_what_was_typed_is_kept(
    ada: Client, people: dict[str, User]
) -> None:
    job = cast.growth_job(people["otto"])
    require_reasons(job)
    conflict = questions()[0]
    Conflict.objects.filter(pk=conflict.pk).update(policy={"reason": True})
    html = page(ada, conflict)
    assert re.search(r'<input id="reason-\d+" name="reason"[^>]* required', html)
    answer = decide(ada, conflict, form_of(ada, conflict), choice="other", value="steady", reason="  ")
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "asks for a reason" in unescape(html)
    assert re.search(r'value="other" checked', html)
    assert 'name="value" value="steady"' in html
    assert Decision.objects.count() == 0


def require_reasons(job: Job) -> None:
    """As if the job had frozen a rule that wants them."""
    spec = job.frozen_spec()
    for rule in spec["rules"]:
        if rule["kind"] == "operator":
            rule["params"] = {"reason": True}
    job.input.spec = orjson.dumps(spec).decode()
    job.input.save()


def test_hostile_values_stay_text(otto: Client, jobs: list[Job]) -> None:
    evil = '<img src=x onerror=alert(1) hx-get="/evil">'
    first, other = questions()[:2]
    for conflict in (first, other):
        sides = [{**side, "value": {evil: evil, "n": at}} for at, side in enumerate(conflict.sides)]
        Conflict.objects.filter(pk=conflict.pk).update(
            sides=sides, subject=f"{evil} {conflict.pk}", deferred_reason=evil, deferred_by=evil
        )
    Conflict.objects.filter(pk=other.pk).update(deferred_until=database_clock() + 99)
    html = page(otto, first) + ask_alike(otto, first).content.decode()
    html += otto.get("/inbox/?deferred=1").content.decode()
    assert "&lt;img src=x" in html
    assert "<img" not in html
    assert not re.search(r'<[a-z]+[^<>"]*hx-get="/evil"', html)


def test_who_comes_second_is_told_who_decided_what(
    otto: Client, people: dict[str, User], jobs: list[Job]
) -> None:
    first = questions()[0]
    form = form_of(otto, first)
    ada = signed_in(people["ada"])
    decide(ada, first, form_of(ada, first), choice="1", reason="I asked them")
    said = f"ada has decided this already: keep {first.sides[1]['value']}."
    answer = decide(otto, first, form)
    assert answer.status_code == 409
    assert said in text_of(answer.content.decode())
    run_on(jobs[0])
    answer = decide(otto, first, {**form, "receipt": "another-receipt"})
    assert answer.status_code == 409
    fresh = text_of(answer.content.decode())
    assert said in fresh
    assert f"ada : keep {first.sides[1]['value']} (“ I asked them ”), applied in cycle" in fresh


def test_a_settled_question_tells_who_decided_and_is_undone_from_its_page(
    otto: Client, vera: Client, jobs: list[Job]
) -> None:
    first = questions()[0]
    decide(otto, first, form_of(otto, first))
    run_on(jobs[0])
    html = page(otto, first)
    assert "otto : keep" in text_of(html)
    assert html.count('class="side-card kept"') == 1
    assert "Undo this decision" in html
    assert "Undo this decision" not in page(vera, first)
    hidden = re.search(r'action="/conflicts/\d+/undo/".*?name="version" value="(\w+)"', html, re.DOTALL)
    assert hidden
    assert act(otto, first, "undo", reason="a slip").status_code == 302
    assert "otto sent: undo the decision" in text_of(page(otto, first))
    second = otto.post(
        f"/conflicts/{first.pk}/undo/", {"version": hidden[1], "receipt": "another-one", "reason": "me too"}
    )
    assert second.status_code == 409
    run_on(jobs[0])
    assert Conflict.objects.filter(status="open", job=jobs[0], subject=first.subject).exists()
    assert "Undo this decision" not in page(otto, first)
    late = otto.post(f"/conflicts/{first.pk}/undo/", {"version": hidden[1], "receipt": "a-third-one"})
    assert late.status_code == 409
    assert "not in force any more" in late.content.decode()
    assert Decision.objects.filter(act="undo").get().reason == "a slip"


def test_an_old_undo_form_does_not_undo_a_newer_decision(
    otto: Client, people: dict[str, User], jobs: list[Job]
) -> None:
    first = questions()[0]
    decide(otto, first, form_of(otto, first))
    run_on(jobs[0])
    hidden = re.search(r'/undo/".*?name="version" value="(\w+)"', page(otto, first), re.DOTALL)
    assert hidden
    act(otto, first, "undo")
    run_on(jobs[0])
    fresh = Conflict.objects.get(status="open", job=jobs[0], subject=first.subject)
    ada = signed_in(people["ada"])
    decide(ada, fresh, form_of(ada, fresh), choice="1")
    run_on(jobs[0])
    answer = otto.post(f"/conflicts/{first.pk}/undo/", {"version": hidden[1], "receipt": "an-old-form"})
    assert answer.status_code == 409
    assert "Undo this decision" in page(otto, fresh)
    assert Decision.objects.filter(act="undo").count() == 1
