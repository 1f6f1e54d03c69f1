"""What no form of ours sends: NUL, endless numbers, foreign charsets. It is refused in words, and never a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from converge_site.forms.decide import read_choice
from converge_site.fragments.conflicts import read_card
from converge_site.whole_numbers import LARGEST, read_whole
from runtime.actions import Refused
from runtime.actions.sync_packs import sync_packs
from runtime.models import Job
from tests.web.cast import open_conflict

pytestmark = pytest.mark.early

ENDLESS = "9" * 5000
ODD = ["%ED%A0%80", "%01%1b%7f", "%FF%FE", "%E2%80%AE", "x" * 65536, "٣", "-1", "1e9", ENDLESS]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("007", 7),
        (str(LARGEST), LARGEST),
        (str(LARGEST + 1), None),
        (ENDLESS, None),
        ("٣", None),
        ("²", None),
        ("-1", None),
        ("+1", None),
        ("1_0", None),
        (" 1", None),
        ("", None),
        ("\0", None),
    ],
)
def test_a_whole_number_is_ascii_digits_within_bounds(text: str, number: int | None) -> None:
    assert read_whole(text) == number


def test_a_bound_of_ones_own_is_kept() -> None:
    assert [read_whole(text, 3) for text in ("3", "4", "0003")] == [3, None, 3]


def filters_of(job: Job) -> list[str]:
    """Addresses that end in a text a person may type into them."""
    one, conflict = f"/jobs/{job.pk}/", open_conflict(job)
    names = ["status", "pack", "tier", "submitter", "q", "before", "after"]
    return [
        *(f"/?{name}=" for name in names),
        *(f"{one}?{name}=" for name in ("kind", "agent", "key")),
        *(f"{one}journal/?{name}=" for name in ("before", "kind", "agent", "key")),
        f"{one}slots/?key={conflict.key}&subject=",
        f"{one}slots/forms/?subject=x&key=",
        f"{one}context/?key={conflict.key}&q=",
        f"{one}context/?key=",
        f"{one}facts/new?key=",
        *(f"/inbox/?{name}=" for name in ("page", "job")),
        *(f"/jobs/new?{name}=" for name in ("pack", "from", "sample", "mode")),
        "/jobs/new?pack=growth&mode=paste&sample=",
        f"/conflicts/{conflict.pk}/decide/?next=",
        f"{one}answers/1.json?download=",
        f"{one}weather/?part=",
        *(f"/tools/?{name}=" for name in ("q", "state")),
        *(f"/tools/search/?{name}=" for name in ("end", "before", "after")),
        "/sign-in/?next=",
        "/admin/runtime/job/?q=",
        "/admin/runtime/job/?p=",
        "/admin/auth/user/?q=",
    ]


def test_no_filter_fails_over_an_odd_text(ada: Client, waiting_job: Job) -> None:
    ada.raise_request_exception = False
    failed = [
        (address, text[:12])
        for address in filters_of(waiting_job)
        for text in ODD
        if ada.get(address + text).status_code >= 500
    ]
    assert failed == []


def test_a_nul_in_an_address_is_refused_in_the_look_of_the_site(otto: Client, waiting_job: Job) -> None:
    for address in filters_of(waiting_job):
        answer = otto.get(address + "a%00b")
        assert (answer.status_code, "makes no sense" in answer.content.decode()) == (400, True), address
        assert 'class="topbar"' in answer.content.decode(), address
    assert otto.get("/?%00=1").status_code == 400


@pytest.mark.parametrize(
    "path", ["/packs/%00/", "/sign-in/%00/", "/static/%00.css", "/admin/%00/", "/jobs/1%00/", "/%00"]
)
def test_a_nul_in_a_path_is_refused(otto: Client, path: str) -> None:
    answer = otto.get(path)
    assert answer.status_code == 400
    assert "makes no sense" in answer.content.decode()


@pytest.mark.parametrize(
    "path",
    [f"/jobs/{ENDLESS}/", f"/jobs/{10**30}/", "/jobs/٣/", "/jobs/%ED%A0%80/", f"/packs/{'x' * 65536}/"],
)
def test_a_path_that_names_nothing_is_not_there(otto: Client, path: str) -> None:
    assert otto.get(path).status_code == 404


def test_a_journal_is_not_cut_by_a_number_that_makes_no_sense(otto: Client, waiting_job: Job) -> None:
    whole = otto.get(f"/jobs/{waiting_job.pk}/journal/").context["journal"].rows
    for text in (ENDLESS, "٣", "x", "-5"):
        answer = otto.get(f"/jobs/{waiting_job.pk}/journal/", {"before": text})
        assert answer.context["journal"].rows == whole, text[:5]
        assert answer.context["is_live"]


@pytest.mark.parametrize("choice", [ENDLESS, "٠", "99", "0" * 5000, "-0"])
def test_a_choice_that_is_no_side_is_refused(otto: Client, waiting_job: Job, choice: str) -> None:
    conflict = open_conflict(waiting_job)
    with pytest.raises(Refused) as refused:
        read_choice(read_card(conflict), {"choice": choice, "rule": conflict.rule})
    assert refused.value.field == "choice"
    form = {"choice": choice, "version": conflict.version, "rule": conflict.rule}
    answer = otto.post(f"/conflicts/{conflict.pk}/decide/", form)
    assert answer.status_code == 422


def forms_of(job: Job) -> dict[str, dict[str, Any]]:
    """Every form that takes a text, filled with what it takes."""
    conflict, one = open_conflict(job), f"/jobs/{job.pk}/"
    slot = {"key": conflict.key, "subject": conflict.subject, "receipt": "12345678", "reason": "so"}
    said = slot | {"value": "1", "confidence": "1"}
    return {
        f"/conflicts/{conflict.pk}/decide/": slot
        | {"version": conflict.version, "choice": "other", "value": "1", "next": "/"},
        f"{one}slots/decide/": slot | {"version": "v", "choice": "other", "value": "1"},
        f"{one}slots/undo/": slot,
        f"{one}slots/say/": said,
        f"{one}slots/withdraw/": slot,
        f"{one}facts/new": said,
        "/jobs/new": {"pack": "growth", "mode": "paste", "text": "[]", "title": "t", "submit_key": "12345678"}
        | {"filename": "x.json", "do": "create"},
        f"{one}retry/": {"receipt": "12345678"},
        "/tools/search/trip/": {"receipt": "12345678", "reason": "so"},
        "/tools/search/reset/": {"receipt": "12345678", "reason": "so"},
        "/sign-in/": {"username": "otto", "password": "x", "next": "/"},
        f"{one}cancel/": {"receipt": "12345678", "reason": "so"},
    }


ODD_FIELDS = [
    "\x01\x1b\x7f",
    "\u202e",
    "x" * 65536,
    ENDLESS,
    "[" * 900 + "]" * 900,
    "٣",
    "1e400",
    "NaN",
    '"\\u0000"',
]


def test_no_form_fails_over_an_odd_field(otto: Client, waiting_job: Job) -> None:
    otto.raise_request_exception = False
    failed = [
        (address, name, text[:12])
        for address, fields in forms_of(waiting_job).items()
        for name in fields
        for text in ODD_FIELDS
        if otto.post(address, fields | {name: text}).status_code >= 500
    ]
    assert failed == []


def as_form(fields: dict[str, Any], name: str, raw: str) -> str:
    return "&".join(f"{n}={raw if n == name else text}" for n, text in fields.items())


def test_no_form_fails_over_broken_unicode(otto: Client, waiting_job: Job) -> None:
    otto.raise_request_exception = False
    kind = "application/x-www-form-urlencoded"
    for address, fields in forms_of(waiting_job).items():
        for name in fields:
            body = as_form(fields, name, "%ED%A0%80%FF")
            assert otto.post(address, body, content_type=kind).status_code < 500, (address, name)


def test_a_nul_in_a_form_is_refused(otto: Client, waiting_job: Job) -> None:
    for address, fields in forms_of(waiting_job).items():
        for name in fields:
            assert otto.post(address, fields | {name: "a\0b"}).status_code == 400, (address, name)
    assert otto.post(f"/jobs/{waiting_job.pk}/retry/", {"a\0": "b"}).status_code == 400
    waiting_job.refresh_from_db()
    assert waiting_job.status == "waiting"


@pytest.mark.parametrize("charset", ["unicode_escape", "base64", "utf-16", "utf-7", "idna"])
def test_a_form_in_another_charset_is_refused(otto: Client, waiting_job: Job, charset: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="reason"\r\n\r\n\\ud800\r\n--x--\r\n'
    for kind in ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded"):
        answer = otto.generic(
            "POST", f"/jobs/{waiting_job.pk}/cancel/", body, content_type=f"{kind}; charset={charset}"
        )
        assert answer.status_code == 400


def test_a_form_of_too_many_fields_is_refused_in_words(otto: Client, waiting_job: Job) -> None:
    answer = otto.post(f"/jobs/{waiting_job.pk}/retry/", {f"f{n}": "" for n in range(1001)})
    assert (answer.status_code, "makes no sense" in answer.content.decode()) == (400, True)
    assert otto.get("/?" + "&" * 1500).status_code == 400


def test_a_cookie_with_a_nul_signs_nobody_in(people: dict[str, User], settings: Any) -> None:
    client = Client()
    cookie = f'{settings.SESSION_COOKIE_NAME}="\\000bcdefghijk"; other=1'
    answer: HttpResponse = client.get("/", headers={"Cookie": cookie})  # type: ignore[assignment]
    assert answer.status_code == 302
    assert "\0" not in "".join(answer.wsgi_request.COOKIES.values())  # type: ignore[attr-defined]


DEEP = "[" * 900 + "]" * 900


@pytest.mark.parametrize("value", [DEEP, '"a\\u0000b"', "9" * 4000, "1e400", '"\\ud800"', f'"{"x" * 65536}"'])
def test_no_seed_fails_however_odd_it_is(otto: Client, people: dict[str, User], value: str) -> None:
    sync_packs()
    otto.raise_request_exception = False
    text = f'[{{"key": "goal", "subject": "a", "value": {value}, "evidence": {{"why": {value}}}}}]'
    seeds = {"pack": "growth", "title": "t", "submit_key": "12345678"}
    rows = {"k0-row": "0", "k0-r0-subject": "a"} | {f"k0-r0-f{n}": value for n in range(4)}
    forms = [
        seeds | {"mode": "paste", "text": text},
        seeds | {"mode": "paste", "file": SimpleUploadedFile("a.json", text.encode())},
        seeds | {"mode": "paste", "file": SimpleUploadedFile("a.csv", f"key,subject\nb\0,{value}".encode())},
        seeds | {"mode": "form"} | rows,
        seeds | {"mode": "form", "k0-r0-rest": f'{{"evidence": {value}}}'} | rows,
    ]
    for form in forms:
        for act in ("preview", "create", "add:0"):
            assert otto.post("/jobs/new", form | {"do": act}).status_code < 500, (act, list(form))


def test_nothing_odd_fails_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    """SQLite takes a NUL where PostgreSQL does not."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE odd")
    url = postgres_url.replace("/postgres?", "/odd?")
    run = subprocess.run(
        [sys.executable, "-m", "tests.web.odd_probe"],
        cwd=settings.BASE_DIR,
        env=os.environ | {"CONVERGE_HOME": str(tmp_path), "CONVERGE_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert (found.pop("vendor"), found.pop("pushed")) == ("postgresql", "refused")
    assert 200 in found["%01%1b"]
    assert 422 in found["form long"]
    assert (found["a%00b"], found["form NUL"]) == ([400], [400])
    assert {name: codes for name, codes in found.items() if codes[-1] >= 500} == {}, run.stderr[-3000:]
