"""`manage.py export`: a bundle that is checked anywhere, with no database (D6.3)."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from runtime.models import Cycle, Entry, Job
from tests.commands.said import call
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import environment, manage, run, submit, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS))
    tell(
        job,
        "decide",
        "otto",
        key="verdict",
        subject="doubtful",
        payload={"value": "yes"},
        reason="ß 𝔘 \u2028",
    )
    return run(job)


def test_bundle_holds_pack_seeds_cycles_and_the_very_entries(job: Job) -> None:
    bundle = json.loads(call("export", str(job.pk)).out)
    assert bundle["format"] == "converge-bundle/2"
    assert bundle["pack"] == job.frozen_spec()
    assert bundle["seeds"] == PANEL_SEEDS
    assert (bundle["job"]["digest"], bundle["job"]["status"]) == (job.digest, job.status)
    cycles = Cycle.objects.filter(job=job).order_by("number")
    assert [c["digest"] for c in bundle["cycles"]] == [cycle.digest for cycle in cycles]
    entries = [orjson.dumps(e, option=orjson.OPT_SORT_KEYS) for c in bundle["cycles"] for e in c["entries"]]
    assert entries == [body.encode() for body in Entry.objects.filter(job=job).values_list("body", flat=True)]


def test_job_that_has_not_begun_has_a_bundle_too(use_packs: Use, tmp_path: Path) -> None:
    use_packs("panel")
    job = submit("panel", PANEL_SEEDS)
    path = str(tmp_path / "new.json")
    assert call("export", str(job.pk), "--out", path).status == 0
    assert call("verify", path).status == 0
    assert call("replay", path).status == 0


def test_bundle_is_verified_and_replayed_with_no_database(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    assert call("export", str(job.pk), "--out", str(path)).status == 0
    nowhere = environment(
        CONVERGE_DATABASE_URL="postgres://nobody@127.0.0.1:1/none", CONVERGE_HOME=str(tmp_path)
    )
    for command in ("verify", "replay"):
        done = manage(command, str(path), env=nowhere)
        assert done.returncode == 0, done.stderr
        assert b"holds: " in done.stdout


def test_export_writes_a_whole_file_or_none(job: Job, tmp_path: Path) -> None:
    said = call("export", str(job.pk), "--out", str(tmp_path / "missing" / "bundle.json"))
    assert said.status == 2
    assert "bundle.json cannot be written: No such file or directory." in said.err
    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON: line 1"),
        ("[]", "is no bundle"),
        ('{"format": "something else"}', "is no bundle"),
        (
            '{"format": "converge-bundle/99"}',
            "is a converge-bundle/99; this version reads converge-bundle/1 and converge-bundle/2",
        ),
        (
            '{"format": "converge-bundle/1"}',
            "lacks a part of a bundle, or one is of the wrong kind: 'cycles'",
        ),
        ('{"format": "converge-bundle/1", "cycles": [{"number": 1}]}', "lacks a part of a bundle"),
        ('{"format": "converge-bundle/1", "cycles": 3}', "lacks a part of a bundle"),
        ('{"format": "converge-bundle/1", "format": "x"}', "has the key 'format' twice in one object"),
        ("[" * 100_000, "is nested more than"),
    ],
)
def test_file_that_is_no_bundle_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    for command in ("verify", "replay"):
        found = call(command, str(path))
        assert found.status == 2
        assert said in found.err


@pytest.mark.parametrize("part", ["pack", "seeds", "job"])
def test_bundle_with_a_part_of_the_wrong_kind_is_said(job: Job, tmp_path: Path, part: str) -> None:
    bundle: dict[str, Any] = json.loads(call("export", str(job.pk), "--unsigned").out)
    path = tmp_path / "file.json"
    path.write_text(json.dumps({**bundle, part: 3}))
    assert call("verify", str(path)).status == 2


def test_file_that_is_not_there_is_said() -> None:
    said = call("verify", "nowhere.json")
    assert (said.status, said.err) == (
        2,
        "nowhere.json is no job and cannot be read: No such file or directory.\n",
    )
