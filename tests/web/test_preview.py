"""A preview on the page: shown in place, with the field's error, to whoever may decide; and nothing is written."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from runtime.models import Conflict, Decision, Job
from tests.runtime.test_preview import everything
from tests.web.cast import open_conflict, run_on, signed_in
from tests.web.test_deciding import choice_of, decide, form_of

HTMX = {"HX-Request": "true"}


def ask(client: Client, conflict: Conflict, choice: str, headers: Any = None, **fields: str) -> Any:
    """Presses the preview button of one choice."""
    form = {"version": conflict.version, "rule": conflict.rule, "receipt": "unused-receipt", **fields}
    return client.post(
        f"/conflicts/{conflict.pk}/preview/",
        {"reason": "numbers", **form, "preview": choice_of(conflict, choice)},
        headers=headers or {},
    )


def words(answer: Any) -> str:
    """What a page says, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())).split())


def test_every_choice_has_its_preview(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    for page in (f"/conflicts/{conflict.pk}/", f"/jobs/{waiting_job.pk}/", "/inbox/"):
        html = otto.get(page).content.decode()
        for choice in ("0", "1", "none", "other"):
            name = choice_of(conflict, choice)
            assert re.search(
                rf'<button [^>]*form="decide-form-{conflict.pk}"[^>]*name="preview" value="{name}"', html
            ), (page, choice)


def test_the_difference_is_shown_in_place(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    answer = ask(otto, conflict, "none", HTMX)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert html.strip().startswith('<section class="preview"')
    assert "If you reject all" in words(answer)
    assert f'id="preview-said-{conflict.pk}" class="sr-only" role="status" hx-swap-oob="true"' in html
    assert f"closes {conflict.key} / {conflict.subject}" in words(answer)


def test_without_script_the_page_shows_it_with_what_was_typed(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    answer = ask(otto, conflict, "other", value="steady", reason="my reason")
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "If you keep steady" in words(answer)
    assert '<section class="preview"' in html and "<!doctype html>" in html
    assert re.search(r'name="choice" value="other" checked', html)
    assert 'value="my reason"' in html and 'name="value" value="steady"' in html


def test_a_preview_is_followed_by_what_it_showed(otto: Client, waiting_job: Job) -> None:
    first, second = Conflict.objects.filter(job=waiting_job, status="open").order_by("id")
    for conflict, choice in ((first, "0"), (second, "1")):
        seen = words(ask(otto, conflict, choice, HTMX))
        decide(otto, conflict, form_of(otto, conflict), choice=choice)
        job = run_on(waiting_job)
        assert f"Tier reached, of 3 1 then {job.tier}" in seen
    assert "asks for approval: plan /" in seen
    assert "Not known: write-summary" in seen
    hold = Conflict.objects.get(job=job, kind="hold", status="open")
    seen = words(ask(otto, hold, "approve", HTMX))
    assert "Waiting for people then Converged" in seen and "Not known" not in seen
    assert "approved, 1 of 1" in seen
    assert "this value will not stand" in words(ask(otto, hold, "refuse", HTMX))
    decide(otto, hold, form_of(otto, hold), choice="approve")
    assert run_on(job).status == "converged"


def test_a_preview_writes_to_no_table(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    otto.get("/inbox/")
    before = everything()
    for choice in ("0", "1", "none"):
        assert ask(otto, conflict, choice).status_code == 200
    assert ask(otto, conflict, "other", value="steady").status_code == 200
    assert ask(otto, conflict, "other", value="splendid").status_code == 422
    assert ask(otto, conflict, "0", version="0000").status_code == 409
    assert everything() == before


def test_what_does_not_fit_is_told_at_the_field(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    for headers in ({}, HTMX):
        for fields, said in (
            ({"choice": "", "value": ""}, "Choose one of the answers first."),
            ({"choice": "17", "value": ""}, "Choose one of the answers first."),
            ({"choice": "other", "value": ""}, "Give the value that shall stand."),
            ({"choice": "other", "value": "splendid"}, "does not fit outlook"),
        ):
            answer = ask(otto, conflict, headers=headers, **fields)
            html = unescape(answer.content.decode())
            assert answer.status_code == 422 and said in html, fields
            assert ('aria-invalid="true"' in html) == (fields["choice"] == "other")
            assert 'class="preview"' not in html
            assert answer["HX-Retarget"] == f"#decide-{conflict.pk}"


def test_a_stale_page_is_told_so_and_gets_the_fresh_form(
    otto: Client, people: dict[str, User], waiting_job: Job
) -> None:
    conflict = open_conflict(waiting_job)
    answer = ask(otto, conflict, "0", HTMX, version="0000")
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "The candidates changed while you were looking" in html
    assert f'value="{conflict.version}"' in html and " checked" not in html
    assert (answer["HX-Retarget"], answer["HX-Reswap"]) == (f"#decide-{conflict.pk}", "outerHTML")

    ada = signed_in(people["ada"])
    decide(ada, conflict, form_of(ada, conflict))
    answer = ask(otto, conflict, "0")
    assert answer.status_code == 409 and "ada has decided this already" in answer.content.decode()
    run_on(waiting_job)
    assert ask(otto, conflict, "0", HTMX).status_code == 409


def test_a_viewer_has_no_preview_and_a_bare_post_is_refused(vera: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    assert 'name="preview"' not in vera.get(f"/conflicts/{conflict.pk}/").content.decode()
    for headers in ({}, HTMX):
        answer = ask(vera, conflict, "0", headers)
        assert answer.status_code == 403
        assert "Deciding needs the role operator" in answer.content.decode()
        assert 'class="preview"' not in answer.content.decode()


def test_a_stranger_signs_in_first_and_a_get_shows_the_question(otto: Client, waiting_job: Job) -> None:
    url = f"/conflicts/{open_conflict(waiting_job).pk}/preview/"
    assert Client().post(url)["Location"].startswith("/sign-in/")
    assert otto.get(url)["Location"] == f"/conflicts/{open_conflict(waiting_job).pk}/"
    assert otto.post("/conflicts/999999/preview/", {"preview": "0"}).status_code == 404


def test_a_job_that_has_ended_has_none(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    otto.post(f"/jobs/{waiting_job.pk}/cancel/", {"receipt": "cancel-1234"})
    assert run_on(waiting_job).status == "cancelled"
    assert ask(otto, conflict, "0", HTMX).status_code in (409, 410)


def test_nothing_a_page_offers_was_decided(otto: Client, waiting_job: Job) -> None:
    ask(otto, open_conflict(waiting_job), "0")
    assert Decision.objects.count() == 0
