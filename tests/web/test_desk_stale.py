"""What is pressed on a page that has grown old does what it said there, or nothing; and refusals are undone."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from runtime.actions import add_fact, decide_slot, submit_job
from runtime.actions.rules import activate_rule, draft_rule
from runtime.deadlines import expire_due
from runtime.lease import database_clock
from runtime.models import Conflict, Decision, Job, Pack
from runtime.verifying import verify_job
from tests.runtime.fixtures import Use, installed, use_packs
from tests.runtime.stage import question, receipt, run
from tests.web.desk import HTMX, act, page, text_of
from tests.web.test_deciding import choice_of, decide, form_of

__all__ = ["installed", "use_packs"]

BREAD = {"key": "price", "subject": "bread"}


def say(user: User, job: Job, value: int, confidence: float) -> Job:
    add_fact(user, job.pk, "price", "bread", value, confidence, "", receipt())
    return run(job)


@pytest.fixture
def job(use_packs: Use, people: dict[str, User]) -> Job:
    """Otto says 4, Ada says 3 and is surer of it."""
    use_packs("timed")
    job = run(submit_job(people["otto"], "timed", [{**BREAD, "value": 4, "confidence": 0.5}]))
    return say(people["ada"], job, 3, 0.9)


def first_choice(html: str) -> str:
    """What the button "Keep 1" of a page sends."""
    found = re.search(r'name="choice" value="(\w+)"[^>]*>(?:<[^>]+>)*Keep 1:', html)
    assert found
    return found[1]


def test_keep_1_keeps_what_was_first_on_the_page_that_was_seen(
    otto: Client, people: dict[str, User], job: Job
) -> None:
    asked = question(job)
    form, html = form_of(otto, asked), page(otto, asked)
    assert [side["value"] for side in asked.sides] == [3, 4]
    say(people["ada"], job, 3, 0.3)
    Conflict.objects.filter(pk=asked.pk).update(sides=asked.sides[::-1])
    assert (
        otto.post(f"/conflicts/{asked.pk}/decide/", {**form, "choice": first_choice(html)}).status_code == 302
    )
    assert Decision.objects.get(act="decide").payload["value"] == 3


def test_the_form_on_an_open_page_is_fetched_anew_when_the_sides_change_their_order(
    otto: Client, job: Job
) -> None:
    asked = question(job)
    before = re.search(r'data-rev="([^"]+)"', page(otto, asked))
    Conflict.objects.filter(pk=asked.pk).update(sides=asked.sides[::-1])
    after = re.search(r'data-rev="([^"]+)"', page(otto, asked))
    assert before and after
    assert before[1] != after[1]


def test_an_answer_to_what_another_rule_asks_by_now_is_refused(
    otto: Client, use_packs: Use, people: dict[str, User]
) -> None:
    use_packs("timed")
    sure = {"kind": "operator", "keys": ["price"], "priority": 10}
    sure["expression"] = "sides.exists(s, s.confidence > 0.8)"
    rule = draft_rule(people["ada"], Pack.objects.get(name="timed").pk, {"name": "sure ones", **sure}, "so")
    activate_rule(people["ada"], rule.pk, "so", version=1)
    job = run(submit_job(people["otto"], "timed", [{**BREAD, "value": 4, "confidence": 0.5}]))
    asked = question(say(people["ada"], job, 3, 0.9))
    form, choice = form_of(otto, asked), choice_of(asked, "0")
    assert (form["rule"], asked.rule) == ("sure ones", "sure ones")
    version = asked.version
    asked = question(say(people["ada"], job, 3, 0.3))
    assert (asked.rule, asked.version) == ("price in time", version), "the values are the same"
    for path, headers in (("decide", {}), ("decide", HTMX), ("like", {}), ("preview", HTMX)):
        answer = otto.post(f"/conflicts/{asked.pk}/{path}/", {**form, "choice": choice}, headers=headers)
        assert answer.status_code == 409, path
        assert "Another rule asks this since you looked" in text_of(answer.content.decode())
    assert not Decision.objects.filter(act="decide").exists()
    assert decide(otto, asked, form_of(otto, asked), choice="1").status_code == 302
    assert Decision.objects.get(act="decide").payload["value"] == asked.sides[1]["value"]


def test_a_side_that_is_gone_is_told_as_such(otto: Client, people: dict[str, User], job: Job) -> None:
    asked = question(job)
    form, choice = form_of(otto, asked), choice_of(asked, "0")
    asked = question(say(people["ada"], job, 7, 0.9))
    answer = otto.post(f"/conflicts/{asked.pk}/decide/", {**form, "choice": choice, "reason": "mine"})
    assert answer.status_code == 409
    assert "The candidates changed while you were looking" in answer.content.decode()
    assert 'value="mine"' in answer.content.decode()


def test_a_form_sent_again_is_the_same_decision_whatever_is_asked_since(otto: Client, job: Job) -> None:
    asked = question(job)
    form = form_of(otto, asked)
    sent = {**form, "choice": choice_of(asked, "0")}
    assert otto.post(f"/conflicts/{asked.pk}/decide/", sent).status_code == 302
    Conflict.objects.filter(pk=asked.pk).update(rule="another one", policy={}, sides=asked.sides[1:])
    assert otto.post(f"/conflicts/{asked.pk}/decide/", sent).status_code == 302
    assert Decision.objects.filter(act="decide").count() == 1


def slot_page(client: Client, job: Job) -> str:
    return client.get(f"/jobs/{job.pk}/slots/", BREAD).content.decode()


def test_undo_on_a_slots_page_undoes_the_decision_that_was_seen_there(
    otto: Client, people: dict[str, User], job: Job
) -> None:
    decide_slot(people["ada"], job.pk, "price", "bread", "", {"value": 3}, "", receipt())
    run(job)
    form = slot_page(otto, job).split('/slots/undo/"', 1)[1].split("</form>", 1)[0]
    seen = dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', form))
    decide_slot(people["ada"], job.pk, "price", "bread", "", {"value": 4}, "the better figure", receipt())
    waits = otto.post(f"/jobs/{job.pk}/slots/undo/", seen)
    assert waits.status_code == 409
    assert "ada has decided this already" in waits.content.decode()
    run(job)
    late = otto.post(f"/jobs/{job.pk}/slots/undo/", {**seen, "reason": "a slip"})
    assert late.status_code == 409
    assert "What is said here changed while you were looking" in late.content.decode()
    assert not Decision.objects.filter(act="undo").exists()

    form = slot_page(otto, job).split('/slots/undo/"', 1)[1].split("</form>", 1)[0]
    seen = dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', form))
    assert [otto.post(f"/jobs/{job.pk}/slots/undo/", seen).status_code for _ in range(2)] == [302, 302]
    assert Decision.objects.get(act="undo").version == seen["version"]
    assert run(job).status == "waiting"


# ---- an answer to a hold is undone


@pytest.fixture
def held(use_packs: Use, people: dict[str, User]) -> Conflict:
    """What Otto wants to spend waits for somebody else; another question keeps the job going."""
    use_packs("timed")
    seeds = [{**BREAD, "value": n, "confidence": 0.5} for n in (3, 4)]
    job = submit_job(people["otto"], "timed", [*seeds, {"key": "spend", "subject": "bread", "value": 7}])
    return question(run(job), "hold")


def refuse(client: Client, held: Conflict) -> Job:
    decide(client, held, form_of(client, held), choice="refuse")
    return run(held.job)


def let_pass(held: Conflict) -> Job:
    Conflict.objects.filter(pk=held.pk).update(deadline_at=database_clock() - 1)
    expire_due()
    return run(held.job)


@pytest.mark.parametrize("by", ["ada", "the deadline"])
def test_a_refusal_is_undone_from_its_page_and_asked_again(
    ada: Client, otto: Client, held: Conflict, by: str
) -> None:
    job = refuse(ada, held) if by == "ada" else let_pass(held)
    assert not Conflict.objects.filter(job=job, kind="hold", status="open").exists()
    html = page(ada, held)
    assert "Undo this answer" in html
    assert "the value is asked about again" in text_of(html)
    assert "Undo this answer" not in page(otto, held), "whoever submitted has no say"
    bare = {"version": "0000", "receipt": "from-otto-1"}
    assert otto.post(f"/conflicts/{held.pk}/undo/", bare).status_code == 403
    assert ada.post(f"/conflicts/{held.pk}/undo/", bare).status_code == 409
    assert act(ada, held, "undo", reason="a slip").status_code == 302
    assert "undo the decision" in text_of(page(ada, held))
    run(job)
    assert Decision.objects.get(act="undo").status == "applied"
    again = question(job, "hold")
    assert again.pk != held.pk
    assert "Undo this answer" not in page(ada, held), "it is undone"
    decide(ada, again, form_of(ada, again), choice="approve")
    run(job)
    assert Conflict.objects.get(pk=again.pk).outcome == "granted"
    assert verify_job(job)


def test_only_what_an_undo_would_take_back_offers_it(
    ada: Client, people: dict[str, User], held: Conflict
) -> None:
    job = refuse(ada, held)
    decide_slot(people["ada"], job.pk, "spend", "bread", "", {"value": 8}, "", receipt())
    run(job)
    assert Decision.objects.get(act="decide").status == "applied"
    assert "Undo this answer" not in page(ada, held), "an undo would take back the decision"


def test_a_job_of_an_older_engine_offers_none(ada: Client, held: Conflict) -> None:
    job = refuse(ada, held)
    assert "Undo this answer" in page(ada, held)
    Job.objects.filter(pk=job.pk).update(engine_version=2)
    assert "Undo this answer" not in page(ada, held)


def test_an_approval_is_not_undone(ada: Client, held: Conflict) -> None:
    decide(ada, held, form_of(ada, held), choice="approve")
    run(held.job)
    assert "Undo this answer" not in page(ada, held)
