"""Deciding once, and the like questions along with it."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from converge_site.live.pages import render_page
from runtime.models import AuditRecord, Conflict, Decision, Job
from tests.web.cast import run_on, signed_in
from tests.web.desk import HTMX, act, along, ask_alike, boxes, jobs, page, questions, text_of
from tests.web.test_deciding import choice_of, decide, form_of

__all__ = ["jobs"]


def test_like_questions_are_listed_with_what_it_would_mean_there(otto: Client, jobs: list[Job]) -> None:
    first, *others = questions()
    assert "Also decide like this" in page(otto, first)
    assert "3 others alike" in text_of(page(otto, first))
    assert 'class="conflict has-alike"' in render_page("conflict", f"id={first.pk}")
    answer = ask_alike(otto, first)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert boxes(html) == {row.pk: "*" for row in others}
    assert html.count("kept: ") == 3
    assert f"Also decide like this: keep {first.sides[0]['value']}" in text_of(html)
    assert Decision.objects.count() == 0
    answer = ask_alike(otto, first, choice="none")
    assert text_of(answer.content.decode()).count("would be: reject all") == 3


def test_those_put_off_are_listed_unticked_and_those_decided_cannot_be(otto: Client, jobs: list[Job]) -> None:
    first, second, third, fourth = questions()
    act(otto, second, "defer", span="3600", reason="later")
    decide(otto, third, form_of(otto, third), choice="1")
    html = ask_alike(otto, first).content.decode()
    assert boxes(html) == {second.pk: "", third.pk: "-", fourth.pk: "*"}
    assert "put off by otto" in text_of(html)
    assert "otto sent already: keep" in text_of(html)
    html = ask_alike(otto, first, tick="none", listed="1").content.decode()
    assert boxes(html) == {second.pk: "", third.pk: "-", fourth.pk: ""}
    kept = ask_alike(otto, first, listed="1", like=[f"{second.pk}:x"]).content.decode()
    assert boxes(kept) == {second.pk: "*", third.pk: "-", fourth.pk: ""}


def test_all_that_are_ticked_are_decided_and_told(otto: Client, jobs: list[Job]) -> None:
    first, *others = questions()
    answer = along(otto, first, others)
    assert answer.status_code == 200
    assert "4 of 4 decided" in text_of(answer.content.decode())
    assert Decision.objects.filter(reason="as always", by_name="otto").exclude(batch="").count() == 4
    for job in jobs:
        run_on(job)
    assert questions() == []


def test_what_is_refused_is_told_beside_its_link(
    otto: Client, people: dict[str, User], jobs: list[Job]
) -> None:
    first, *others = questions()
    ada = signed_in(people["ada"])
    decide(ada, others[0], form_of(ada, others[0]), choice="1")
    answer = along(otto, first, others)
    html = answer.content.decode()
    assert "3 of 4 decided; 1 not" in text_of(html)
    assert re.search(rf'href="/conflicts/{others[0].pk}/".*?not decided.*?ada has decided this already', html)
    assert Decision.objects.count() == 4


def test_the_same_form_again_is_told_the_same(otto: Client, vera: Client, jobs: list[Job]) -> None:
    first, *others = questions()
    form = {
        **form_of(otto, first),
        "choice": choice_of(first, "0"),
        "along": "1",
        "like": [f"{others[0].pk}:0000"],
    }
    sent = [otto.post(f"/conflicts/{first.pk}/decide/", form)["Location"] for _ in range(2)]
    assert sent[0] == sent[1] == f"/decided/{form['receipt']}/"
    told = text_of(otto.get(sent[0]).content.decode())
    assert "1 of 2 decided; 1 not" in told
    assert "The candidates changed while you were looking" in told
    assert "1 of 1 decided" in text_of(vera.get(sent[0]).content.decode())  # refusals are nobody else's
    assert otto.get("/decided/nothing-of-the-kind/").status_code == 404
    assert Decision.objects.count() == 1


def test_ticks_are_sent_only_with_their_own_button(otto: Client, jobs: list[Job]) -> None:
    first, *others = questions()
    form = {
        **form_of(otto, first),
        "choice": choice_of(first, "0"),
        "like": [f"{row.pk}:{row.version}" for row in others],
    }
    otto.post(f"/conflicts/{first.pk}/decide/", form)
    assert Decision.objects.count() == 1


def test_without_script_it_is_a_page_whose_form_sends_all_of_it(otto: Client, jobs: list[Job]) -> None:
    first = questions()[0]
    step = ask_alike(otto, first, choice="1", reason="so they say").content.decode()
    form = re.search(rf'<form[^>]*action="/conflicts/{first.pk}/decide/".*?</form>', step, re.DOTALL)
    assert form
    fields = dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', form.group()))
    reason = re.search(r'name="reason" value="([^"]*)"', form.group())
    assert reason
    assert fields["choice"] == choice_of(first, "1")
    ticked = re.findall(r'name="like" value="([^"]+)"[^>]* checked', form.group())
    answer = otto.post(
        f"/conflicts/{first.pk}/decide/",
        {**fields, "reason": reason[1], "along": "1", "like": ticked},
        follow=True,
    )
    assert "4 of 4 decided" in text_of(answer.content.decode())
    assert {row.payload["value"] for row in Decision.objects.all()} == {first.sides[1]["value"]}
    assert set(Decision.objects.values_list("reason", flat=True)) == {"so they say"}


def test_htmx_gets_the_list_alone_and_an_error_in_it(otto: Client, jobs: list[Job]) -> None:
    first = questions()[0]
    answer = ask_alike(otto, first, HTMX)
    assert answer.content.decode().strip().startswith("<fieldset")
    answer = ask_alike(otto, first, HTMX, choice="other", listed="1")
    assert answer.status_code == 200
    assert "Give the value that shall stand" in answer.content.decode()
    answer = ask_alike(otto, first, HTMX, choice="")
    assert (answer.status_code, answer["HX-Retarget"]) == (422, f"#decide-{first.pk}")
    answer = ask_alike(otto, first, HTMX, version="0000")
    assert answer.status_code == 409
    told = along(otto, first, questions()[1:], HTMX)
    assert told["HX-Redirect"].startswith("/decided/")
    assert "4 of 4 decided" in text_of(otto.get(told["HX-Redirect"]).content.decode())


def test_boxes_that_make_no_sense_are_no_boxes(otto: Client, jobs: list[Job]) -> None:
    first = questions()[0]
    odd = ["", ":", "x:1", f"{first.pk}:{first.version}", "9" * 40, "7:" + "v" * 100, "987654321:aa"]
    answer = along(otto, first, [], like=odd)
    assert "1 of 2 decided" in text_of(answer.content.decode())
    assert "There is no such question any more" in answer.content.decode()


def test_a_viewer_may_do_none_of_it(vera: Client, jobs: list[Job]) -> None:
    first, *others = questions()
    html = page(vera, first)
    for name in ("like", "defer", "rule", "undo"):
        assert f"/conflicts/{first.pk}/{name}/" not in html
    form = {"version": first.version, "receipt": "12345678", "choice": "0", "span": "3600"}
    for name in ("like", "decide", "defer", "resume", "rule", "undo"):
        answer = vera.post(
            f"/conflicts/{first.pk}/{name}/", {**form, "along": "1", "like": f"{others[0].pk}:x"}
        )
        assert answer.status_code == 403, name
    assert vera.get(f"/conflicts/{first.pk}/rule/").status_code == 403
    assert Decision.objects.count() == AuditRecord.objects.filter(act="defer").count() == 0


def test_a_list_of_two_hundred_costs_no_query_for_each_card(otto: Client, jobs: list[Job]) -> None:
    first, model = questions()[:2]
    now = model.opened_at
    Conflict.objects.bulk_create(
        Conflict(
            job=jobs[1],
            key=model.key,
            subject=f"channel {number:03}",
            version=model.version,
            sides=model.sides,
            shape=model.shape,
            opened_cycle=1,
            opened_at=now,
        )
        for number in range(220)
    )
    with CaptureQueriesContext(connection) as queries:
        html = ask_alike(otto, first).content.decode()
    assert len(boxes(html)) == 200
    assert "and 23 more than can be decided at once" in text_of(html)
    assert len(queries) < 60, len(queries)
