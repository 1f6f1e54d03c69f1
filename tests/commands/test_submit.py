"""`manage.py submit`: what it takes, what it refuses and how, and what it says of a job nobody runs."""

import json
import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import reverse

from runtime.management import waiting
from runtime.models import AuditRecord, Job
from runtime.worker import run_job
from tests.commands.said import call
from tests.runtime.fixtures import Use
from tests.runtime.stage import person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def packs(use_packs: Use) -> Any:
    return use_packs("growth", "claims", "panel", "walk")


def give(monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    """Standard input."""
    data = text.encode() if isinstance(text, str) else text
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=BytesIO(data)))


def test_without_seeds_it_submits_the_sample_as_the_local_operator(packs: Any) -> None:
    said = call("submit", "growth", "--title", "From the shell")
    job = Job.objects.get()
    assert said.status == 0
    assert said.out.splitlines() == [f"Submitted: job {job.pk}.", f"http://127.0.0.1:8000/jobs/{job.pk}/"]
    assert json.loads(job.seeds) == packs.sample_seeds()
    assert (job.title, str(job.submitter)) == ("From the shell", "local")
    assert job.submitter is not None
    assert not job.submitter.has_usable_password()
    assert not job.submitter.is_superuser
    assert list(job.submitter.groups.values_list("name", flat=True)) == ["operator"]
    assert AuditRecord.objects.get(act="submit").who_name == "local"


def test_address_is_that_of_the_page() -> None:
    call("submit", "growth")
    job = Job.objects.get()
    assert call("submit", "growth", "--json").out.count(reverse("job", args=[job.pk + 1])) == 1


def test_address_follows_the_up_that_holds_this_home(settings: Any, tmp_path: Path) -> None:
    settings.CONVERGE_HOME = tmp_path
    (tmp_path / "up.lock").write_text("process 17, http://127.0.0.1:8642/")
    assert "http://127.0.0.1:8642/jobs/" in call("submit", "growth").out
    settings.CONVERGE_ORIGINS = ["https://converge.example.org"]
    assert "https://converge.example.org/jobs/" in call("submit", "growth").out


def test_seeds_come_from_a_file_or_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = [{"key": "case", "subject": "a", "value": {}}, {"key": "case", "subject": "b", "value": {}}]
    path = tmp_path / "seeds.json"
    path.write_text(json.dumps(seeds))
    assert call("submit", "panel", "--seeds", str(path)).status == 0
    give(monkeypatch, json.dumps(seeds))
    assert call("submit", "panel", "--seeds", "-").status == 0
    assert [json.loads(job.seeds) for job in Job.objects.all()] == [seeds, seeds]


def test_claims_come_as_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, "source,object,attribute,value\nann,door,colour,red\nben,door,colour,blue\n")
    assert call("submit", "claims", "--seeds", "-").status == 0
    assert len(json.loads(Job.objects.get().seeds)) == 2


def test_claims_come_as_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = {"source": "ann", "object": "door", "attribute": "colour", "value": "red"}
    give(monkeypatch, json.dumps([claim, {**claim, "source": "ben", "value": "blue"}]))
    assert call("submit", "claims", "--seeds", "-").status == 0
    seeds = json.loads(Job.objects.get().seeds)
    assert [seed["subject"] for seed in seeds] == ["ann on door/colour", "ben on door/colour"]


@pytest.mark.parametrize(
    ("pack", "text", "said"),
    [
        ("nonsense", "[]", "There is no pack 'nonsense'; known are: "),
        ("panel", "", "The input is empty."),
        ("panel", " \n\t", "The input is empty."),
        ("panel", b"\xff\xfe", "The input is not UTF-8 text: byte 0 cannot be read."),
        ("panel", "[1,\n 2,\n oops]", "is not JSON: line 3"),
        ("panel", "[]", "There are no seeds."),
        ("panel", '{"key": "case"}', "The input is no list"),
        ("panel", '[{"key": "case", "subject": "a"}]', "line 1: The field value is missing."),
        ("panel", '[\n{"key": "case", "subject": "a", "value": {}},\n{"key": "kase", "subject": "a", "value": 1}]',
         "line 3: The key 'kase' is unknown; this pack takes case."),
        ("panel", '[{"key": "verdict", "subject": "a", "value": "yes"}]', "line 1: The key 'verdict' cannot be seeded"),
        ("panel", '[{"key": "case", "subject": "a", "value": [1]}]', 'line 1: a: [1] is not of type "object".'),
        ("claims", "source,object,attribute,value\nann,door,colour,red\nben,door,colour\n", "line 3: "),
        ("claims", 'source,object,attribute,value\nann,door,colour,"red\n', "line 2: "),
        ("claims", '[\n{"source": "ann", "object": "door", "attribute": "colour", "value": 1},\n{"source": "b"}]',
         "line 3: "),
        ("claims", "who,what\na,b\n", "line 1: "),
    ],
)  # fmt: skip
def test_input_that_cannot_be_submitted_is_said_and_creates_nothing(
    monkeypatch: pytest.MonkeyPatch, pack: str, text: str | bytes, said: str
) -> None:
    give(monkeypatch, text)
    found = call("submit", pack, "--seeds", "-", "--json")
    assert (found.status, found.out) == (2, "")
    assert said in found.err
    assert not Job.objects.exists()


def test_file_that_is_not_there_is_said() -> None:
    said = call("submit", "panel", "--seeds", "nowhere.json")
    assert (said.status, said.err) == (2, "nowhere.json cannot be read: No such file or directory.\n")


def test_pack_without_a_sample_asks_for_seeds() -> None:
    said = call("submit", "panel")
    assert (said.status, said.err) == (2, "The pack panel ships no sample; give --seeds FILE.\n")


def test_as_names_an_account_with_its_own_permissions() -> None:
    person("otto", "operator")
    person("vera", "viewer")
    assert call("submit", "growth", "--as", "otto").status == 0
    assert str(Job.objects.get().submitter) == "otto"
    viewer = call("submit", "growth", "--as", "vera")
    assert (viewer.status, Job.objects.count()) == (2, 1)
    assert "Submitting a job needs the role operator; you are signed in as a viewer." in viewer.err
    assert "There is no account 'nobody'" in call("submit", "growth", "--as", "nobody").err


def test_job_that_nobody_will_run_is_said(empty_queue: object) -> None:
    said = call("submit", "growth")
    assert said.status == 0
    assert "No worker listens. `make run` starts everything it needs" in said.err
    assert "The job is kept, and runs as soon as one does." in said.err


def test_waiting_for_nobody_ends_with_status_3_and_keeps_the_job(
    empty_queue: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(waiting, "ASK_QUEUE_SECONDS", 0.0)
    said = call("submit", "growth", "--wait", "--json")
    job = Job.objects.get()
    assert said.status == 3
    assert "`make run` starts everything it needs; `manage.py worker` starts one worker." in said.err
    assert f"Job {job.pk} is kept, and runs as soon as one does." in said.err
    assert json.loads(said.out.splitlines()[-1])["status"] == "queued"


def test_redis_that_is_out_is_said(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONVERGE_REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(waiting, "ASK_QUEUE_SECONDS", 0.0)
    said = call("submit", "growth", "--wait")
    assert said.status == 3
    assert "Redis does not answer, so no worker can be told of the job." in said.err


def test_timeout_ends_the_waiting_and_not_the_job(empty_queue: object) -> None:
    said = call("submit", "growth", "--wait", "--timeout", "0.01")
    assert said.status == 3
    assert "has not stopped after 0.01 s; it goes on without you." in said.err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_timeout_must_be_a_number_of_seconds(seconds: str) -> None:
    said = call("submit", "growth", "--wait", f"--timeout={seconds}")
    assert f"{seconds!r} is no number of seconds above 0" in said.err


def test_report_is_the_contract_for_scripts() -> None:
    call("submit", "growth")
    job = Job.objects.get()
    run_job(job.pk)
    job.refresh_from_db()
    from runtime.job_report import report_job

    report = json.loads(json.dumps(report_job(job)))
    assert list(report) == [
        "id", "url", "status", "reason", "tier", "cycles", "entries", "digest", "conflicts_open", "answer",
    ]  # fmt: skip
    assert (report["status"], report["tier"], report["conflicts_open"]) == ("waiting", 1, 2)
    assert (report["cycles"], report["entries"], report["digest"]) == (job.cycle, job.entries, job.digest)
    answer = report["answer"]
    assert list(answer) == ["version", "tier", "facts", "gaps"]
    assert set(map(tuple, answer["facts"])) == {
        ("key", "subject", "value", "confidence", "agent", "provisional")
    }
    assert any(gap["what"] == "conflict" for gap in answer["gaps"])
