"""The Verify button, and the bundle as a download: for whoever may look."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient, Client

from converge_site import downloads
from converge_site.fragments.verified import read_verified
from converge_site.views import verify
from runtime import verdict
from runtime.heads import sign_all_settled
from runtime.models import Entry, Head, Job
from runtime.signing import key_id, own_key
from runtime.verdict import examine
from tests.commands.said import call
from tests.web.cast import signed_in

HTMX = {"HX-Request": "true"}


def words(answer: Any) -> str:
    """What a page says, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())).split())


def tamper(job: Job) -> None:
    entry = Entry.objects.filter(job=job, kind="accepted").order_by("seq")[0]
    Entry.objects.filter(pk=entry.pk).update(body=entry.body.replace('"conf":', '"conf":1'))


def test_job_page_offers_to_verify_and_to_download(vera: Client, waiting_job: Job) -> None:
    html = vera.get(f"/jobs/{waiting_job.pk}/").content.decode()
    panel = html[html.index('id="panel-verify"') :]
    assert f'action="/jobs/{waiting_job.pk}/verify/" hx-post="/jobs/{waiting_job.pk}/verify/"' in panel
    assert f'href="/jobs/{waiting_job.pk}/bundle"' in panel
    assert html.index('id="panel-journal"') < html.index('id="panel-verify"')


def test_a_record_that_holds_is_said_to_with_what_was_looked_at(vera: Client, waiting_job: Job) -> None:
    said = words(vera.post(f"/jobs/{waiting_job.pk}/verify/", headers=HTMX))
    assert "This record holds." in said
    assert (
        f"{waiting_job.cycle} cycles, {waiting_job.entries} entries: each follows from the one before" in said
    )
    assert "the recorded effects and decisions lead to the same digests" in said
    assert waiting_job.digest in said
    assert "not yet: that is done soon after a job has settled" in said


def test_its_signed_head_is_shown(vera: Client, waiting_job: Job) -> None:
    sign_all_settled()
    said = words(vera.post(f"/jobs/{waiting_job.pk}/verify/", headers=HTMX))
    key = key_id(own_key().public)
    assert f"up to cycle {waiting_job.cycle}, " in said
    assert f"as head {Head.objects.get().number}, by key {key} : unchanged since" in said


def test_a_record_that_does_not_hold_is_said_where(vera: Client, waiting_job: Job) -> None:
    tamper(waiting_job)
    answer = vera.post(f"/jobs/{waiting_job.pk}/verify/", headers=HTMX)
    html, said = answer.content.decode(), words(answer)
    assert 'class="notice bad" role="status"' in html and "#i-failed" in html
    assert "This record does not hold. Cycle 1: its entries give the digest " in said
    assert "lead to the same digests" not in said


def test_cut_back_behind_its_head_it_does_not_hold(vera: Client, waiting_job: Job) -> None:
    sign_all_settled()
    head = Head.objects.get()
    Head.objects.all().delete()
    Head.objects.create(
        number=1, job_id=waiting_job.pk, cycle=head.cycle, line=head.line.replace('"job"', '"jop"')
    )
    assert "This record does not hold. Head 1: " in words(
        vera.post(f"/jobs/{waiting_job.pk}/verify/", headers=HTMX)
    )


def test_without_script_it_is_a_page(vera: Client, waiting_job: Job) -> None:
    address = f"/jobs/{waiting_job.pk}/verify/"
    page = vera.get(address)
    assert page.status_code == 200 and "This record holds." not in words(page)
    said = vera.post(address)
    assert "<!doctype html>" in said.content.decode() and "This record holds." in words(said)


def test_a_job_that_has_not_begun_holds(vera: Client, people: dict[str, User], waiting_job: Job) -> None:
    from runtime.actions import submit_job
    from tests.web.cast import sample_seeds

    job = submit_job(people["otto"], "growth", sample_seeds(), "new")
    said = words(vera.post(f"/jobs/{job.pk}/verify/", headers=HTMX))
    assert "This record holds." in said and "0 cycles, 0 entries" in said
    assert vera.get(f"/jobs/{job.pk}/bundle").status_code == 200


@pytest.mark.parametrize("step", ["", "verified"])
def test_what_takes_too_long_is_said_with_the_way_out(waiting_job: Job, step: str) -> None:
    """The clock goes on by one each time it is looked at, which is at each cycle: the time is over in the first, or
    after all of them were verified."""
    moments = iter(range(10_000))
    found = examine(waiting_job, waiting_job.cycle + 2 if step else 0, clock=lambda: float(next(moments)))
    assert (found.end, found.step) == ("unfinished", step)
    shown = read_verified(waiting_job, found)
    assert shown.title == "Not finished." and f"`manage.py verify {waiting_job.pk}`" in shown.text


def test_only_so_many_are_verified_at_once(waiting_job: Job) -> None:
    for _ in range(verdict.AT_ONCE):
        assert verdict._places.acquire(blocking=False)
    try:
        assert examine(waiting_job).end == "busy"
    finally:
        for _ in range(verdict.AT_ONCE):
            verdict._places.release()
    assert examine(waiting_job).end == "holds"


def test_a_key_that_cannot_be_read_is_said(
    vera: Client, waiting_job: Job, tmp_path: Path, settings: Any
) -> None:
    settings.CONVERGE_HOME = tmp_path
    own_key()
    (tmp_path / "signing-key").chmod(0o644)
    said = words(vera.post(f"/jobs/{waiting_job.pk}/verify/", headers=HTMX))
    assert "The signatures could not be checked. The signing key " in said
    refused = vera.get(f"/jobs/{waiting_job.pk}/bundle")
    assert refused.status_code == 409 and "chmod 600" in words(refused)


def test_the_bundle_comes_as_a_file_that_verifies(vera: Client, waiting_job: Job, tmp_path: Path) -> None:
    answer = vera.get(f"/jobs/{waiting_job.pk}/bundle")
    assert answer.status_code == 200 and answer.streaming
    assert answer["Content-Type"] == "application/json"
    name = f"converge-job-{waiting_job.pk}-cycle-{waiting_job.cycle}.json"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    path = tmp_path / name
    path.write_bytes(b"".join(answer.streaming_content))
    assert json.loads(path.read_bytes())["job"]["id"] == waiting_job.pk
    for command in ("verify", "replay"):
        assert call(command, str(path)).status == 0


@pytest.mark.django_db(transaction=True)
async def test_under_asgi_the_bundle_comes_in_pieces(
    people: dict[str, User], waiting_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PIECE_BYTES", 1000)
    client = AsyncClient()
    await client.aforce_login(people["vera"])
    answer = await client.get(f"/jobs/{waiting_job.pk}/bundle")
    pieces = [piece async for piece in answer.streaming_content]
    assert len(pieces) > 5
    assert json.loads(b"".join(pieces))["job"]["digest"] == waiting_job.digest
    await sync_to_async(connections.close_all)()  # the thread that read has a connection of its own


def test_there_is_no_bundle_of_a_record_that_does_not_hold(
    vera: Client, waiting_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(waiting_job)
    refused = vera.get(f"/jobs/{waiting_job.pk}/bundle")
    assert refused.status_code == 409
    assert "Nothing is signed that does not hold: cycle 1: its entries give the digest " in words(refused)
    assert f"`manage.py export {waiting_job.pk} --unsigned`" in words(refused)
    # One too long to be written twice breaks off: half a bundle is none.
    monkeypatch.setattr(verify, "CHECKED_FIRST", 0)
    answer = vera.get(f"/jobs/{waiting_job.pk}/bundle")
    with pytest.raises(verify.RecordBroken):
        list(answer.streaming_content)


def test_whoever_may_not_look_gets_neither(people: dict[str, User], waiting_job: Job) -> None:
    nobody = User.objects.create_user("nemo", password="x")
    for address in (f"/jobs/{waiting_job.pk}/verify/", f"/jobs/{waiting_job.pk}/bundle"):
        for method in ("get", "post"):
            stranger = getattr(Client(), method)(address)
            assert (stranger.status_code, stranger["Location"][:15]) == (302, "/sign-in/?next=")
            assert getattr(signed_in(nobody), method)(address).status_code == 403
    assert signed_in(people["vera"]).get("/jobs/999999/verify/").status_code == 404
    assert signed_in(people["vera"]).get("/jobs/999999/bundle").status_code == 404


def test_verifying_takes_a_token_of_ours(people: dict[str, User], waiting_job: Job) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(people["vera"])
    assert careful.post(f"/jobs/{waiting_job.pk}/verify/").status_code == 403
