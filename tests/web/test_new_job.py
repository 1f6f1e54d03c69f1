"""A job is created from the form, from text or from a file, once, and only if everything reads well."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from runtime.actions.sync_packs import sync_packs
from runtime.models import Job
from tests.web.cast import sample_seeds


@pytest.fixture(autouse=True)
def _packs(db: Any) -> None:
    sync_packs()


def read_fields(html: str) -> dict[str, list[str]]:
    """The named values of the form on a page, as a browser would send them."""
    form = html[html.index('id="new-job"') :]
    fields: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r' name="([^"]*)"', tag), re.search(r' value="([^"]*)"', tag)
        if name and 'type="file"' not in tag:
            fields.setdefault(name.group(1), []).append(unescape(value.group(1)) if value else "")
    for name_, body in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', form, re.S):
        chosen = re.search(r"<option[^>]* selected>([^<]*)", body)
        fields[name_] = [chosen.group(1) if chosen else ""]
    return fields


def filled(client: Client) -> dict[str, list[str]]:
    return read_fields(client.get("/jobs/new?pack=growth").content.decode())


def test_the_form_holds_the_sample_with_titles_units_and_choices(otto: Client) -> None:
    html = otto.get("/jobs/new?pack=growth").content.decode()
    assert 'value="Tidewater Bicycles"' in html
    assert "EUR a month" in html
    assert "<option selected>profit</option>" in html
    assert html.count('name="k1-row"') == len([s for s in sample_seeds() if s["key"] == "channel"])


def test_sending_the_form_as_it_is_submits_the_sample(otto: Client) -> None:
    answer = otto.post("/jobs/new", {**filled(otto), "title": "From the form", "do": "create"})
    job = Job.objects.get()
    assert answer["Location"] == f"/jobs/{job.pk}/"
    assert job.title == "From the form"
    assert json.loads(job.seeds) == sample_seeds()


def test_the_same_form_sent_twice_is_one_job(otto: Client) -> None:
    fields = filled(otto)
    first = otto.post("/jobs/new", {**fields, "do": "create"})
    second = otto.post("/jobs/new", {**fields, "do": "create"})
    assert first["Location"] == second["Location"]
    assert Job.objects.count() == 1


def test_rows_are_added_and_removed_without_creating_anything(otto: Client) -> None:
    fields = filled(otto)
    rows = len(fields["k1-row"])
    html = otto.post("/jobs/new", {**fields, "do": "add:1"}).content.decode()
    assert html.count('name="k1-row"') == rows + 1
    html = otto.post("/jobs/new", {**read_fields(html), "do": "remove:1:0"}).content.decode()
    assert html.count('name="k1-row"') == rows
    assert "Search ads" not in html
    assert Job.objects.count() == 0


def test_a_blank_row_is_left_out(otto: Client) -> None:
    html = otto.post("/jobs/new", {**filled(otto), "do": "add:1"}).content.decode()
    otto.post("/jobs/new", {**read_fields(html), "do": "create"})
    assert json.loads(Job.objects.get().seeds) == sample_seeds()


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("k1-r2-f2", "a lot", "is no number"),
        ("k1-r2-f2", "-5", "must be at least 0"),
        ("k1-r2-f2", "", "Spend: is missing"),
        ("k1-r2-f2", "1e999", "must be finite"),
        ("k0-r0-f0", "glory", "choose one of profit, customers"),
    ],
)
def test_a_wrong_input_is_named_beside_it_and_kept(otto: Client, field: str, text: str, said: str) -> None:
    answer = otto.post("/jobs/new", {**filled(otto), field: [text], "do": "create"})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert said in unescape(html)
    assert 'aria-invalid="true"' in html
    assert "Newsletter" in html
    assert Job.objects.count() == 0


def test_a_row_without_a_subject_is_pointed_at(otto: Client) -> None:
    answer = otto.post(
        "/jobs/new", {**filled(otto), "k1-r2-subject": [""], "k1-r2-f2": ["77"], "do": "create"}
    )
    assert answer.status_code == 422
    assert Job.objects.count() == 0


def paste(client: Client, text: str, do: str = "preview", **more: Any) -> Any:
    body = {"pack": "growth", "mode": "paste", "text": text, "do": do, "submit_key": "paste-1234", **more}
    return client.post("/jobs/new", body)


def test_pasted_seeds_are_shown_before_anything_is_created(otto: Client) -> None:
    answer = paste(otto, json.dumps(sample_seeds()))
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "Reads well" in html
    assert "14 channel, 1 company" in html
    assert Job.objects.count() == 0
    answer = paste(otto, json.dumps(sample_seeds()), "create")
    assert answer["Location"] == f"/jobs/{Job.objects.get().pk}/"


def test_csv_errors_are_told_by_line(otto: Client) -> None:
    csv = "key,subject,audience,stage,spend,conversions,growth,spend_growth,overlap,margin\n"
    csv += "channel,Search,All,close,100,10,1,1,1,10\nchannel,Mail,All,close,plenty,10,1,1,1,10\n"
    html = unescape(paste(otto, csv).content.decode())
    assert "Line 3" in html
    assert "'plenty' is not a number" in html
    assert paste(otto, csv, "create").status_code == 422
    assert Job.objects.count() == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Paste some seeds"),
        ("[]", "There are no seeds"),
        ("{", "nothing was created"),
        ('[{"key": "nokey", "subject": "a", "value": 1}]', "'nokey' is unknown"),
        ('[{"key": "channel", "subject": "a", "value": {"spend": NaN}}]', "nothing was created"),
    ],
)
def test_what_cannot_be_read_is_told(otto: Client, text: str, said: str) -> None:
    answer = paste(otto, text, "create")
    assert answer.status_code == 422
    assert said in unescape(answer.content.decode())
    assert Job.objects.count() == 0


def test_an_uploaded_file_is_previewed_with_its_text(otto: Client) -> None:
    upload = SimpleUploadedFile("seeds.json", json.dumps(sample_seeds()).encode())
    html = paste(otto, "", file=upload).content.decode()
    assert "Reads well" in html
    assert "Tidewater Bicycles" in html


def test_a_file_that_is_no_text_is_told(otto: Client) -> None:
    html = paste(otto, "", file=SimpleUploadedFile("seeds.json", b"\xff\xfe\x00")).content.decode()
    assert "is not UTF-8 text" in html


def test_a_viewer_may_not_submit(vera: Client) -> None:
    for answer in (vera.get("/jobs/new"), paste(vera, json.dumps(sample_seeds()), "create")):
        assert answer.status_code == 403
        assert "needs the role operator" in answer.content.decode()
    assert "New job" not in vera.get("/").content.decode()
    assert Job.objects.count() == 0


def test_a_job_is_cloned_with_its_seeds(otto: Client, people: dict[str, User]) -> None:
    otto.post("/jobs/new", {**filled(otto), "title": "First", "do": "create"})
    first = Job.objects.get()
    fields = read_fields(otto.get(f"/jobs/new?from={first.pk}").content.decode())
    assert fields["title"] == ["First (again)"]
    otto.post("/jobs/new", {**fields, "do": "create"})
    second = Job.objects.exclude(pk=first.pk).get()
    assert json.loads(second.seeds) == json.loads(first.seeds)


def test_the_form_takes_the_sample_that_is_asked_for(otto: Client, people: dict[str, User]) -> None:
    sync_packs()
    shop = otto.get("/jobs/new?pack=growth&sample=corner-shop").content.decode()
    assert "Fern Street Books" in shop
    for address in ("/jobs/new?pack=growth", "/jobs/new?pack=growth&sample=none"):
        html = otto.get(address).content.decode()
        assert "Fern Street Books" not in html and "Trade fairs" in html, address
        assert "sample=corner-shop" in html
