"""Acting in a slot: a swing is settled by a decision, people speak and take it back, and each refusal is told where it
belongs."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client

from converge_site.fragments.slots import read_slot
from converge_site.live.topics import PageTopic
from runtime.actions import cancel_job, submit_job
from runtime.engine.desk import slot_version
from runtime.models import Conflict, Decision, Entry, Job
from runtime.store import load_core
from tests.runtime.fixtures import Use, installed, use_packs
from tests.web import packs
from tests.web.cast import open_conflict, run_on, signed_in
from tests.web.test_deciding import decide, form_of

__all__ = ["installed", "use_packs"]


@pytest.fixture
def swinging_job(use_packs: Use, people: dict[str, User]) -> Job:
    """A job of Otto's whose two agents swing for ever."""
    use_packs("tests.web.packs:seesaw")
    job = run_on(submit_job(people["otto"], "seesaw", packs.SEEDS, "Who is up?"))
    assert job.status == "oscillating"
    return job


def address(job: Job, key: str, subject: str) -> str:
    return f"/jobs/{job.pk}/slots/?{urlencode({'key': key, 'subject': subject})}"


def page(client: Client, job: Job, key: str = "left", subject: str = "x") -> str:
    return client.get(address(job, key, subject)).content.decode()


def hidden_of(html: str, act: str) -> dict[str, str]:
    """The hidden fields of one form of a page."""
    form = html.split(f'/{act}/"', 1)[1].split("</form>", 1)[0]
    found = re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


def choices_of(html: str) -> dict[str, str]:
    """The values offered, by the text beside each, with the name each is posted under."""
    found = re.findall(r'name="choice" value="(\w+)".*?</b>(.*?)</label>', html, re.DOTALL)
    return {re.sub(r"<[^>]+>", "", text).strip(): name for name, text in found}


def send(
    client: Client,
    job: Job,
    act: str,
    key: str = "left",
    subject: str = "x",
    form: dict[str, str] | None = None,
    **fields: str,
) -> Any:
    form = hidden_of(page(client, job, key, subject), f"slots/{act}") if form is None else form
    return client.post(f"/jobs/{job.pk}/slots/{act}/", {**form, **fields})


def standing_of(job: Job, key: str, subject: str) -> Any:
    view = read_slot(job, key, subject)
    assert view is not None
    return view.value if view.status == "fact" else view.status


def test_the_swinging_slots_are_named_in_plain_words_and_lead_to_their_pages(
    otto: Client, swinging_job: Job
) -> None:
    html = unescape(otto.get(f"/jobs/{swinging_job.pk}/").content.decode())
    why = html.split('id="panel-why"', 1)[1].split("</section>", 1)[0]
    assert "lift-left and lift-right keep changing what the others go by" in why
    for key in ("left", "right"):
        assert f'href="{address(swinging_job, key, "x")}"' in why
        assert re.search(rf"{key} / x swings between (0 and 1|1 and 0)( and nothing)?: decide it", why), why
    assert 'href="#panel-why"' in html


def test_a_swing_is_settled_by_deciding_one_of_its_slots(otto: Client, swinging_job: Job) -> None:
    html = page(otto, swinging_job)
    assert {"0", "1"} <= set(choices_of(html)), "the end that nobody says now is offered too"
    answer = send(otto, swinging_job, "decide", choice=choices_of(html)["1"], reason="enough")
    assert answer["Location"] == address(swinging_job, "left", "x")
    html = page(otto, swinging_job)
    assert "It is applied at the start of the next cycle" in html
    assert 'name="choice"' not in html
    job = run_on(swinging_job)
    assert job.status == "converged"
    assert [standing_of(job, key, "x") for key in ("left", "right")] == [1, 1]
    html = page(otto, job)
    assert "applied in cycle" in html
    assert "Undo the operator" in unescape(html)


def test_any_slot_takes_another_value_and_none_at_all(otto: Client, swinging_job: Job) -> None:
    send(otto, swinging_job, "decide", choice="other", value="7")
    send(otto, swinging_job, "decide", "note", "sky", choice="none", reason="no view")
    job = run_on(swinging_job)
    assert standing_of(job, "left", "x") == 7
    assert standing_of(job, "note", "sky") == "empty"


def test_a_decision_is_made_on_the_version_of_the_slot(otto: Client, swinging_job: Job) -> None:
    send(otto, swinging_job, "decide", choice="none")
    assert re.fullmatch(r"[0-9a-f]{16}", Decision.objects.get().version)
    run_on(swinging_job)
    assert Decision.objects.get().status == "applied", "the engine found the same version"


def check_versions(job: Job) -> None:
    """The version on the page of every slot is the engine's own."""
    core = load_core(job)
    slots = set(Entry.objects.filter(job=job).exclude(subject="").values_list("key", "subject"))
    for key, subject in slots:
        view = read_slot(job, key, subject)
        assert view is not None
        assert view.version == slot_version(core.ledger.slot(key, subject)), (key, subject)
    assert slots


def test_the_version_folded_from_the_journal_is_the_engines(
    otto: Client, people: dict[str, User], swinging_job: Job, waiting_job: Job
) -> None:
    check_versions(swinging_job)
    send(otto, swinging_job, "say", "wish", "peace", form={"key": "wish", "subject": "peace"}, value="x")
    otto.post(f"/jobs/{swinging_job.pk}/facts/new", new_fact("wish", "peace", "quiet"))
    send(otto, swinging_job, "decide", choice="none")
    check_versions(run_on(swinging_job))  # decided, and held
    ada = signed_in(people["ada"])
    send(ada, swinging_job, "say", "wish", "peace", value="loud")
    send(otto, swinging_job, "undo")
    check_versions(run_on(swinging_job))  # contested under an approval rule, undone
    check_versions(waiting_job)
    for conflict in Conflict.objects.filter(job=waiting_job, status="open", kind="conflict"):
        assert decide(otto, conflict, form_of(otto, conflict)).status_code == 302
    check_versions(run_on(waiting_job))


def test_a_refused_value_leaves_the_slot_decidable(otto: Client, swinging_job: Job) -> None:
    otto.post(f"/jobs/{swinging_job.pk}/facts/new", new_fact("wish", "peace", "quiet"))
    job = run_on(swinging_job)
    hold = Conflict.objects.get(job=job, kind="hold", status="open")
    form = {"version": hold.version, "rule": hold.rule, "receipt": "refuse-it-1", "choice": "refuse"}
    assert otto.post(f"/conflicts/{hold.pk}/decide/", form).status_code == 302
    job = run_on(job)
    check_versions(job)
    send(otto, job, "decide", "wish", "peace", choice="other", value="silence")
    run_on(job)
    assert Decision.objects.latest("id").status == "applied"


def test_somebody_who_decides_second_is_told_and_sees_the_fresh_state(
    otto: Client, people: dict[str, User], swinging_job: Job
) -> None:
    form = hidden_of(page(otto, swinging_job), "slots/decide")
    send(signed_in(people["ada"]), swinging_job, "decide", choice="none")
    answer = send(otto, swinging_job, "decide", form=form, choice="other", value="5", reason="mine")
    assert answer.status_code == 409
    assert "ada has decided this already" in answer.content.decode()
    run_on(swinging_job)
    answer = send(otto, swinging_job, "decide", form=form, choice="other", value="5", reason="my reason")
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "changed while you were looking" in html
    assert 'value="my reason"' in html
    assert 'value="5"' in html
    assert hidden_of(html, "slots/decide")["version"] != form["version"]
    assert Decision.objects.count() == 1


def test_the_same_receipt_is_one_act(otto: Client, swinging_job: Job) -> None:
    for act, fields in (("decide", {"choice": "none"}), ("say", {"value": "3", "confidence": "1"})):
        form = hidden_of(page(otto, swinging_job), f"slots/{act}")
        sent = [send(otto, swinging_job, act, form=form, **fields).status_code for _ in range(2)]
        assert sent == [302, 302], act
    assert Decision.objects.count() == 2


@pytest.mark.parametrize(
    ("act", "fields", "said"),
    [
        ("decide", {}, "Choose one of the answers first."),
        ("decide", {"choice": "0123456789abcdef"}, "Choose one of the answers first."),
        ("decide", {"choice": "other", "value": ""}, "Give a value."),
        ("decide", {"choice": "other", "value": "high"}, "The value does not fit left"),
        ("decide", {"choice": "other", "value": "{high"}, "That is no JSON"),
        ("say", {"value": "", "confidence": "1"}, "Give a value."),
        ("say", {"value": "1.5", "confidence": "1"}, "The value does not fit left"),
        ("say", {"value": "5", "confidence": "2"}, "Give a number from 0 to 1"),
        ("say", {"value": "5", "confidence": "nan"}, "Give a number from 0 to 1"),
        ("say", {"value": "5", "confidence": "sure"}, "Give a number from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_told_at_the_field_and_kept(
    otto: Client, swinging_job: Job, act: str, fields: dict[str, str], said: str
) -> None:
    answer = send(otto, swinging_job, act, reason="because I say so", **fields)
    html = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert re.search(rf'class="error"[^>]*role="alert"><bdi>{re.escape(said)}', html)
    assert 'value="because I say so"' in html
    if fields.get("value"):
        assert f'value="{fields["value"]}"' in html
        assert 'aria-invalid="true"' in html
    assert Decision.objects.count() == 0


def test_a_person_speaks_and_takes_it_back(otto: Client, people: dict[str, User], swinging_job: Job) -> None:
    answer = send(otto, swinging_job, "say", "note", "sky", value="windy", confidence="0.9", reason="seen")
    assert answer.status_code == 302
    job = run_on(swinging_job)
    conflict = open_conflict(job)
    html = page(otto, job, "note", "sky")
    assert f'id="conflict-{conflict.pk}"' in html, "the same card as everywhere"
    assert f'action="/conflicts/{conflict.pk}/decide/"' in html
    assert "Decide this slot" not in html
    assert "Withdraw what I said" in html
    ada = signed_in(people["ada"])
    assert "Withdraw what I said" not in page(ada, job, "note", "sky"), "she said nothing"
    form = {"key": "note", "subject": "sky", "receipt": "withdraw-not-mine"}
    answer = send(ada, job, "withdraw", form=form)
    assert answer.status_code == 409
    assert "You say nothing here that could be withdrawn." in answer.content.decode()
    assert send(otto, job, "withdraw", "note", "sky", reason="a kite").status_code == 302
    job = run_on(job)
    assert standing_of(job, "note", "sky") == "calm"
    assert "Withdraw what I said" not in page(otto, job, "note", "sky")


def test_plain_text_json_and_numbers_that_are_texts_are_told_apart(otto: Client, swinging_job: Job) -> None:
    for place, text in enumerate(("windy", '"windy"', "42")):
        otto.post(f"/jobs/{swinging_job.pk}/facts/new", new_fact("note", f"sky {place}", text))
    job = run_on(swinging_job)
    assert [standing_of(job, "note", f"sky {place}") for place in range(3)] == ["windy", "windy", "42"]


def new_fact(key: str, subject: str, value: str, **more: str) -> dict[str, str]:
    return {"key": key, "subject": subject, "value": value, "confidence": "1", **more}


def test_a_fact_is_added_from_the_job_page(otto: Client, swinging_job: Job) -> None:
    url = f"/jobs/{swinging_job.pk}/facts/new"
    assert f'href="{url}"' in otto.get(f"/jobs/{swinging_job.pk}/").content.decode()
    html = otto.get(url).content.decode()
    assert "one of calm, windy, 42" in html
    answer = otto.post(url, new_fact("note", "sea & shore", "windy", confidence="0,5", reason="a walk"))
    assert answer["Location"] == address(swinging_job, "note", "sea & shore")
    html = page(otto, swinging_job, "note", "sea & shore")
    assert "waits for the next cycle" in html, "its page is there before anything was said"
    run_on(swinging_job)
    view = read_slot(swinging_job, "note", "sea & shore")
    assert view is not None
    assert (view.value, view.confidence, view.voices[0].item) == ("windy", 0.5, "otto")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (new_fact("note", "", "windy"), "Say what the fact is about."),
        (new_fact("nowhere", "sky", "windy"), "is unknown; this job has push, left"),
        (new_fact("note", "sky", "stormy"), "The value does not fit note"),
        (new_fact("note", "sky", "windy", confidence=""), "Give a number from 0 to 1"),
        (new_fact("note", "a\nb", "windy"), "The subject"),
    ],
)
def test_a_new_fact_that_does_not_fit_is_told_at_the_field_and_kept(
    otto: Client, swinging_job: Job, fields: dict[str, str], said: str
) -> None:
    answer = otto.post(f"/jobs/{swinging_job.pk}/facts/new", {**fields, "reason": "so it is"})
    html = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert said in html
    assert 'role="alert"' in html
    assert 'value="so it is"' in html
    assert Decision.objects.count() == 0


def test_a_viewer_sees_no_form_and_a_bare_post_is_refused(vera: Client, swinging_job: Job) -> None:
    html = page(vera, swinging_job)
    assert "Deciding needs the role operator" in html
    assert "<form" not in html.split('id="main"', 1)[1].split("</main>")[0]
    assert "Add a fact" not in vera.get(f"/jobs/{swinging_job.pk}/").content.decode()
    form = {"key": "left", "subject": "x", "receipt": "bare-post-1", "choice": "none", "value": "1"}
    for act in ("decide", "say", "withdraw", "undo"):
        assert send(vera, swinging_job, act, form=form).status_code == 403, act
    assert vera.get(f"/jobs/{swinging_job.pk}/facts/new").status_code == 403
    assert (
        vera.post(f"/jobs/{swinging_job.pk}/facts/new", new_fact("note", "sky", "windy")).status_code == 403
    )
    assert Decision.objects.count() == 0


def test_an_ended_job_takes_nothing_more(otto: Client, people: dict[str, User], swinging_job: Job) -> None:
    form = hidden_of(page(otto, swinging_job), "slots/decide")
    cancel_job(people["otto"], swinging_job.pk, "enough", "cancel-1234")
    job = run_on(swinging_job)
    html = page(otto, job)
    assert "The job has ended" in html
    assert "<form" not in html.split('id="main"', 1)[1].split("</main>")[0]
    assert send(otto, job, "decide", form=form, choice="none").status_code == 410


def test_the_page_is_pushed_without_anything_personal_when_its_slot_changes(
    otto: Client, swinging_job: Job
) -> None:
    html = page(otto, swinging_job)
    query = unescape(re.findall(r'data-page="slot" data-query="([^"]*)"', html)[0])
    topic = PageTopic("slot", query)
    (frame,) = topic.changes(at_once=True)
    assert "<form" not in json.loads(frame)["html"]
    assert topic.changes(at_once=True) == []
    send(otto, swinging_job, "decide", choice="none")
    (frame,) = topic.changes(at_once=True)
    assert "waits for the next cycle" in json.loads(frame)["html"]
    answer = otto.get(f"/jobs/{swinging_job.pk}/slots/forms/?key=left&subject=x")
    assert answer.content.decode().strip().startswith('<div id="slot-forms"')
