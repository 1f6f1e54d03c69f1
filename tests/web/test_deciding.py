"""Deciding a conflict from the page: who may, what is refused and how it is said, and that it is done once."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from converge_site.forms.decide import name_of_value
from runtime.models import Conflict, Decision, Entry, Job
from tests.web.cast import open_conflict, run_on, signed_in


def form_of(client: Client, conflict: Conflict) -> dict[str, str]:
    """The hidden fields of the decision form, as rendered for whoever asks."""
    html = client.get(f"/conflicts/{conflict.pk}/decide/").content.decode()
    return dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', html))


def choice_of(conflict: Conflict, choice: str) -> str:
    """What the radio button of a side sends, by the place of the side; any other choice as it is."""
    if choice.isdecimal() and int(choice) < len(conflict.sides) and conflict.kind != "hold":
        return name_of_value(conflict.sides[int(choice)]["value"])
    return choice


def decide(client: Client, conflict: Conflict, form: dict[str, str], **fields: str) -> Any:
    fields["choice"] = choice_of(conflict, fields.get("choice", "0"))
    return client.post(f"/conflicts/{conflict.pk}/decide/", {**form, "reason": "numbers", **fields})


def test_a_decision_is_sent_and_applied(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    answer = decide(otto, conflict, form_of(otto, conflict))
    assert answer["Location"] == f"/conflicts/{conflict.pk}/"
    assert (
        "It is applied at the start of the next cycle"
        in otto.get(f"/conflicts/{conflict.pk}/").content.decode()
    )
    run_on(waiting_job)
    html = otto.get(f"/conflicts/{conflict.pk}/").content.decode()
    assert "applied in cycle" in html
    assert Conflict.objects.get(pk=conflict.pk).status == "closed"


def test_the_form_stands_on_job_page_inbox_and_conflict_page(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    for page in (f"/jobs/{waiting_job.pk}/", "/inbox/", f"/conflicts/{conflict.pk}/"):
        assert f'action="/conflicts/{conflict.pk}/decide/"' in otto.get(page).content.decode()


def test_without_script_one_comes_back_to_where_one_was(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    html = otto.get("/inbox/").content.decode()
    assert 'name="next" value="/inbox/"' in html
    answer = decide(otto, conflict, form_of(otto, conflict), next="/inbox/")
    assert answer["Location"] == "/inbox/"


def test_a_foreign_address_to_go_back_to_is_not_followed(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    for evil in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"):
        answer = decide(otto, conflict, form_of(otto, conflict), next=evil)
        assert answer.status_code in (302, 409)
        assert "evil" not in answer.get("Location", "")
        assert "javascript" not in answer.get("Location", "")


def test_the_same_receipt_is_one_decision(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    form = form_of(otto, conflict)
    assert [decide(otto, conflict, form).status_code for _ in range(2)] == [302, 302]
    assert Decision.objects.count() == 1


def test_a_viewer_sees_no_form_and_a_bare_post_is_refused_with_a_sentence(
    vera: Client, waiting_job: Job
) -> None:
    conflict = open_conflict(waiting_job)
    for page in (f"/jobs/{waiting_job.pk}/", "/inbox/", f"/conflicts/{conflict.pk}/"):
        html = vera.get(page).content.decode()
        assert 'name="choice"' not in html
        assert "Deciding needs the role operator" in html
    answer = decide(vera, conflict, {"version": conflict.version, "receipt": "12345678"})
    assert answer.status_code == 403
    assert "Deciding needs the role operator; you are signed in as a viewer." in answer.content.decode()
    assert Decision.objects.count() == 0


def test_a_late_decision_is_refused_with_the_fresh_state(
    otto: Client, people: dict[str, User], waiting_job: Job
) -> None:
    conflict = open_conflict(waiting_job)
    form = form_of(otto, conflict)
    ada = signed_in(people["ada"])
    decide(ada, conflict, form_of(ada, conflict), choice="1")
    answer = decide(otto, conflict, form, reason="too late")
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "ada has decided this already" in html
    assert Decision.objects.count() == 1
    run_on(waiting_job)
    answer = decide(otto, conflict, {**form, "receipt": "another-receipt"})
    assert answer.status_code == 409
    assert "decided this already" in answer.content.decode() or "closed" in answer.content.decode()


def test_a_decision_on_other_candidates_keeps_what_was_typed(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    form = form_of(otto, conflict) | {"version": "0000"}
    answer = decide(otto, conflict, form, reason="my long reason")
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "The candidates changed while you were looking" in html
    assert 'value="my long reason"' in html
    assert " checked" not in html.split("</main>")[0]
    assert f'value="{conflict.version}"' in html


def test_nothing_chosen_and_values_that_do_not_fit_are_told_at_the_field(
    otto: Client, waiting_job: Job
) -> None:
    conflict = open_conflict(waiting_job)
    form = form_of(otto, conflict)
    for fields, said in (
        ({"choice": ""}, "Choose one of the answers first."),
        ({"choice": "17"}, "Choose one of the answers first."),
        ({"choice": "other", "value": ""}, "Give the value that shall stand."),
        ({"choice": "other", "value": "splendid"}, "does not fit outlook"),
    ):
        answer = decide(otto, conflict, form, **fields)
        assert answer.status_code == 422, fields
        assert said in unescape(answer.content.decode()), fields
    assert Decision.objects.count() == 0


def test_htmx_gets_the_form_alone(otto: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    form = form_of(otto, conflict)
    url = f"/conflicts/{conflict.pk}/decide/"
    sent = {**form, "choice": choice_of(conflict, "0"), "reason": ""}
    answer = otto.post(url, {**sent, "version": "0000"}, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert answer.content.decode().strip().startswith(f'<div id="decide-{conflict.pk}"')
    answer = otto.post(url, sent, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "is applied at the start of the next cycle" in answer.content.decode()


def test_rejecting_all_and_another_value_are_taken(otto: Client, waiting_job: Job) -> None:
    first, second = Conflict.objects.filter(job=waiting_job, status="open").order_by("id")[:2]
    decide(otto, first, form_of(otto, first), choice="none")
    decide(otto, second, form_of(otto, second), choice="other", value="steady")
    assert [d.payload.get("none") or d.payload.get("value") for d in Decision.objects.order_by("id")] == [
        True,
        "steady",
    ]


def test_a_hold_is_approved_and_the_job_converges(otto: Client, waiting_job: Job) -> None:
    job = waiting_job
    for conflict in Conflict.objects.filter(job=job, status="open").order_by("id"):
        decide(otto, conflict, form_of(otto, conflict))
    job = run_on(job)
    hold = Conflict.objects.get(job=job, kind="hold", status="open")
    assert "Approve" in otto.get(f"/conflicts/{hold.pk}/").content.decode()
    assert decide(otto, hold, form_of(otto, hold), choice="0").status_code == 422
    decide(otto, hold, form_of(otto, hold), choice="approve")
    assert run_on(job).status == "converged"
    html = otto.get(f"/jobs/{job.pk}/").content.decode()
    assert "Why it converged" in html
    assert "Clone" in html
    granted = next(
        e for e in Entry.objects.filter(job=job, now="fact").order_by("-seq") if "speaker" in e.data
    )
    page = otto.get(f"/jobs/{job.pk}/entries/{granted.seq}/")
    speaker = page.context["row"].speaker
    assert speaker and not speaker.startswith("@")
    assert f"<dt>Said by</dt><dd><bdi>{speaker}</bdi>" in page.content.decode()
    journal = otto.get(f"/jobs/{job.pk}/journal/?kind={granted.kind}").content.decode()
    assert f"what stands is said by <bdi>{speaker}</bdi>" in journal


def test_a_decision_is_undone_from_the_slot(otto: Client, vera: Client, waiting_job: Job) -> None:
    conflict = open_conflict(waiting_job)
    decide(otto, conflict, form_of(otto, conflict))
    run_on(waiting_job)
    slot = f"/jobs/{waiting_job.pk}/slots/?key={conflict.key}&subject={conflict.subject}"
    assert "Undo the operator" in otto.get(slot).content.decode()
    assert "Undo the operator" not in vera.get(slot).content.decode()
    version = re.search(
        r'/slots/undo/".*?name="version" value="(\w+)"', otto.get(slot).content.decode(), re.DOTALL
    )
    assert version
    undo = {"key": conflict.key, "subject": conflict.subject, "receipt": "undo-1234", "reason": "slip"}
    undo["version"] = version[1]
    assert vera.post(f"/jobs/{waiting_job.pk}/slots/undo/", undo).status_code == 403
    assert otto.post(f"/jobs/{waiting_job.pk}/slots/undo/", undo).status_code == 302
    run_on(waiting_job)
    assert Conflict.objects.filter(job=waiting_job, subject=conflict.subject, status="open").exists()


def test_cancel_is_for_operators_and_says_what_it_did(otto: Client, vera: Client, waiting_job: Job) -> None:
    url = f"/jobs/{waiting_job.pk}/cancel/"
    assert vera.post(url, {"receipt": "cancel-1234"}).status_code == 403
    assert otto.get(url).status_code == 405
    assert (
        otto.post(url, {"receipt": "cancel-1234", "reason": "enough"})["Location"]
        == f"/jobs/{waiting_job.pk}/"
    )
    assert run_on(waiting_job).status == "cancelled"
    html = otto.get(f"/jobs/{waiting_job.pk}/").content.decode()
    assert "Cancelled" in html
    assert "The job has ended" in html
    answer = otto.post(url, {"receipt": "cancel-5678"})
    assert answer.status_code == 410
    assert "nothing more can be asked of it" in answer.content.decode()


def test_whoever_decides_can_read_the_whole_value() -> None:
    from converge_site.fragments.values import is_shortened

    assert is_shortened({"headline": "x" * 200})
    assert is_shortened({f"field {n}": n for n in range(20)})
    assert is_shortened("x" * 500)
    assert not is_shortened({"headline": "short"})
