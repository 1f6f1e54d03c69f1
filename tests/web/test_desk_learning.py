"""A decision, or many alike, made a rule."""

from __future__ import annotations

import datetime as dt
import re
from html import unescape
from typing import Any

from django.test import Client

from converge_site.live.pages import render_page
from runtime.models import Conflict, GovernanceRule, Job
from tests.web.cast import run_on
from tests.web.desk import along, jobs, page, questions, text_of
from tests.web.test_deciding import decide, form_of

__all__ = ["jobs"]


def learn_form(client: Client, conflict: Conflict) -> dict[str, str]:
    html = client.get(f"/conflicts/{conflict.pk}/rule/").content.decode()
    form = re.search(rf'action="/conflicts/{conflict.pk}/rule/".*?</form>', html, re.DOTALL)
    assert form, html
    fields = re.findall(r'<input[^>]* name="(name|expires|priority|reason)" value="([^"]*)"', form.group())
    return {name: unescape(value) for name, value in fields} | {"scope": "alike"}


def test_a_decision_becomes_a_draft_with_all_filled_in(otto: Client, jobs: list[Job]) -> None:
    first = questions()[0]
    decide(otto, first, form_of(otto, first), reason="the numbers say so")
    assert f"/conflicts/{first.pk}/rule/" in page(otto, first)
    kept = first.sides[0]["speakers"]
    form = learn_form(otto, first)
    assert form["reason"] == "the numbers say so"
    assert form["expires"] == (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)).isoformat()
    answer = otto.post(f"/conflicts/{first.pk}/rule/", form)
    rule = GovernanceRule.objects.get(state="draft", origin="admin")
    assert answer["Location"] == f"/rules/{rule.pk}/"
    assert (rule.params, rule.keys, rule.shape) == ({"agents": kept}, ["outlook"], first.shape)
    assert rule.learned_from_id == first.pk
    assert rule.before is not None
    assert (rule.priority, rule.before.name) == (90, first.rule)
    again = otto.post(f"/conflicts/{first.pk}/rule/", form)
    assert again["Location"] == f"/rules/{rule.pk}/"
    assert GovernanceRule.objects.filter(state="draft", origin="admin").count() == 1
    assert "There is a rule about questions of this kind already" in text_of(
        otto.get(f"/conflicts/{first.pk}/rule/").content.decode()
    )


def test_what_was_typed_wrong_comes_back_on_the_form(otto: Client, jobs: list[Job]) -> None:
    first = questions()[0]
    decide(otto, first, form_of(otto, first))
    form = learn_form(otto, first)
    for fields, said in (
        ({"expires": "soon"}, "Give the day on which it ends"),
        ({"expires": "2001-01-01"}, "This moment has passed"),
        ({"expires": "2999-01-01"}, "Let it end within a year"),
        ({"priority": "x"}, "Give a whole number"),
        ({"reason": " "}, "Say why"),
        ({"name": "an operator decides"}, "already; give this one another name"),
        ({"name": ""}, "Give the rule a name"),
    ):
        answer = otto.post(f"/conflicts/{first.pk}/rule/", {**form, "scope": "subject", **fields})
        html = answer.content.decode()
        assert answer.status_code == 422, fields
        assert said in unescape(html), fields
        assert 'value="subject" checked' in html
    assert not GovernanceRule.objects.filter(state="draft", origin="admin").exists()


def test_what_no_rule_can_say_is_told_in_words(otto: Client, jobs: list[Job]) -> None:
    first, second = questions()[:2]
    decide(otto, first, form_of(otto, first), choice="none")
    answer = otto.get(f"/conflicts/{first.pk}/rule/")
    assert answer.status_code == 422
    assert "otto rejected all. No side was kept" in text_of(answer.content.decode())
    assert "Nobody has decided this" in otto.get(f"/conflicts/{second.pk}/rule/").content.decode()


def test_what_is_decided_again_and_again_is_proposed(otto: Client, jobs: list[Job], settings: Any) -> None:
    settings.CONVERGE_PRECEDENTS_AFTER = 2
    first, *others = questions()
    along(otto, first, others[:1])
    run_on(jobs[0])
    assert "again and again" not in otto.get("/inbox/").content.decode()
    decide(otto, others[1], form_of(otto, others[1]))
    run_on(jobs[1])
    inbox = otto.get("/inbox/").content.decode()
    assert "Decided the same way 2 times in a row, 3 questions in all, by otto" in text_of(inbox)
    assert text_of(render_page("inbox", "")).count("2 times") == 1
    assert "2 times" in text_of(page(otto, others[1]))
    assert "2 times" not in text_of(page(otto, others[2]))
    html = otto.get(f"/conflicts/{others[1].pk}/rule/").content.decode()
    assert "It rests on these decisions" in html
    assert "2 alike in a row, 3 questions in all" in text_of(html)
    assert html.count('<tr><td><a href="/conflicts/') == 3
    assert (
        "Decided the same way 2 times by otto, 3 questions in all." in learn_form(otto, others[1])["reason"]
    )
    otto.post(f"/conflicts/{others[1].pk}/rule/", learn_form(otto, others[1]))
    assert "again and again" not in otto.get("/inbox/").content.decode()
