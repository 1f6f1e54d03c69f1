"""`verify FILE` says who vouches for a bundle: nobody, somebody unknown, or somebody one trusts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.bundle import write_bundle
from runtime.models import Entry, Job
from runtime.signing import key_id, own_key, pem_of
from tests.commands.said import Said, call
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import MANAGE, environment, manage, run, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(job: Job, tmp_path: Path) -> Path:
    """A bundle of this installation."""
    path = tmp_path / "bundle.json"
    assert call("export", str(job.pk), "--out", str(path)).status == 0
    return path


def test_our_own_bundle_is_said_to_be_ours(path: Path) -> None:
    said = call("verify", str(path))
    assert said.status == 0
    assert f"Signed by key {key_id(own_key().public)}, 20" in said.out
    assert "a key this installation trusts." in said.out


def test_a_signer_nobody_named_is_said_to_be_unknown(path: Path, home: Path) -> None:
    signer = json.loads(path.read_bytes())["signed"]["key"]
    for _ in range(2):  # without a key of one's own, and with one
        said = call("verify", str(path))
        assert said.status == 0
        assert f"Signed by key {key_id(signer)}, " in said.out
        assert "which you have not named as trusted: anybody may have made and signed this file." in said.out
        assert f"--key {signer}" in said.out
        assert own_key().public != signer


def test_a_signer_that_is_named_is_asked_for(path: Path, home: Path) -> None:
    signer = json.loads(path.read_bytes())["signed"]["key"]
    (home / "key.pem").write_text(pem_of(signer))
    for named in (signer, str(home / "key.pem")):
        said = call("verify", str(path), "--key", "ab" * 32, "--key", named)
        assert (said.status, said.err) == (0, "")
        assert ": a key you named." in said.out
    refused = call("verify", str(path), "--key", "ab" * 32)
    assert (refused.status, refused.out) == (1, "")
    assert f"it is signed by key {key_id(signer)}, which is none of those named" in refused.err


def test_a_forger_with_a_key_of_his_own_is_found_by_whoever_names_the_key(path: Path, home: Path) -> None:
    signer = json.loads(path.read_bytes())["signed"]["key"]
    data = json.loads(path.read_bytes())
    forger = own_key()  # of another home
    text = path.read_bytes()
    start = text.rindex(b"\n", 0, -1) + 1
    line = forger.sign("converge-bundle/2", data["signed"]["said"])
    path.write_bytes(text[:start] + b'"signed":' + line + b"}\n")
    assert call("verify", str(path)).status == 0
    refused = call("verify", str(path), "--key", signer)
    assert refused.status == 1


def test_an_unsigned_bundle_is_said_to_be_unsigned(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "unsigned.json"
    assert call("export", str(job.pk), "--unsigned", "--out", str(path)).status == 0
    assert json.loads(path.read_bytes())["format"] == "converge-bundle/1"
    said = call("verify", str(path))
    assert said.status == 0
    assert "It is not signed: its digests fit each other, and nobody vouches for them." in said.out
    assert call("replay", str(path)).status == 0
    refused = call("verify", str(path), "--key", own_key().public)
    assert refused.status == 1 and "it is not signed" in refused.err


def test_nothing_is_signed_that_does_not_hold(job: Job, tmp_path: Path) -> None:
    entry = Entry.objects.get(job=job, agent="lenient", subject="clear")
    Entry.objects.filter(pk=entry.pk).update(body=entry.body.replace('"yes"', '"no"'))
    path = tmp_path / "broken.json"
    refused = call("export", str(job.pk), "--out", str(path))
    assert (refused.status, path.exists()) == (1, False)
    assert "cycle 1: its entries give the digest " in refused.err and "--unsigned" in refused.err
    assert list(tmp_path.glob(".*")) == []
    assert call("export", str(job.pk), "--out", str(path), "--unsigned").status == 0
    assert call("verify", str(path)).status == 1


def test_a_summary_that_is_not_where_the_journal_ends_is_not_signed(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(entries=job.entries + 1)
    refused = call("export", str(job.pk))
    assert refused.status == 1
    assert '"signed"' not in refused.out


def test_without_a_key_nothing_is_exported_but_unsigned(job: Job, home: Path) -> None:
    own_key()
    (home / "signing-key").chmod(0o644)
    refused = call("export", str(job.pk))
    assert (refused.status, refused.out) == (2, "")
    assert "chmod 600" in refused.err
    assert call("export", str(job.pk), "--unsigned").status == 0


def test_a_file_is_checked_where_there_is_nothing(path: Path, tmp_path: Path) -> None:
    """No database, no Redis, and a home that is empty or cannot even be made: nothing is written anywhere."""
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o500)
    for home, commands in ((empty, ("verify", "replay")), (Path("/proc/no-home"), ("verify",))):
        nowhere = environment(
            CONVERGE_DATABASE_URL="postgres://nobody@127.0.0.1:1/none",
            CONVERGE_REDIS_URL="redis://127.0.0.1:1/0",
            CONVERGE_HOME=str(home),
        )
        for command in commands:
            done = manage(command, str(path), env=nowhere)
            assert done.returncode == 0, done.stderr
            assert b"holds: " in done.stdout
    assert list(empty.iterdir()) == []
    altered = tmp_path / "altered.json"
    altered.write_bytes(path.read_bytes().replace(b"lenient", b"Lenient", 1))
    assert manage("verify", str(altered), env=nowhere).returncode == 1


def test_another_program_can_check_the_signature(path: Path, tmp_path: Path) -> None:
    """What a stranger needs: a SHA-256 and an Ed25519 verification, without any of our code."""
    import hashlib

    text = path.read_bytes()
    start = text.rindex(b"\n", 0, -1) + 1
    line = json.loads(text)["signed"]
    assert line["said"]["bytes"] == hashlib.sha256(text[:start]).hexdigest()
    said = json.dumps(line["said"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (tmp_path / "message").write_bytes(b"converge-bundle/2\n" + said.encode())
    (tmp_path / "signature").write_bytes(bytes.fromhex(line["signature"]))
    (tmp_path / "key.pem").write_text(pem_of(line["key"]))
    openssl = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "message"]
    try:
        done = subprocess.run(
            [*openssl, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no openssl on PATH")
    assert b"Signature Verified Successfully" in done.stdout, done.stderr


def test_heads_of_which_none_is_of_its_job_vouch_for_nothing(job: Job, path: Path, tmp_path: Path) -> None:
    other = run(submit("panel", PANEL_SEEDS[:1]))
    Job.objects.filter(pk=job.pk).update(status="running")  # is not signed
    kept = tmp_path / "kept"
    kept.write_text(call("heads", "--all").out)
    assert f'"job":{other.pk}' in kept.read_text() and f'"job":{job.pk},' not in kept.read_text()
    said = call("verify", str(path), "--heads", str(kept))
    assert (said.status, said.out) == (1, "")
    assert f"none of the 1 heads in {kept} is of job {job.pk}" in said.err


def unsigned(job: Job, path: Path, old: str, new: str) -> Said:
    """What `verify` says of an unsigned bundle in which one thing is another."""
    text = "".join(write_bundle(job, sign=False))
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return call("verify", str(path))


def test_a_bundle_of_a_job_without_a_number_is_none(job: Job, tmp_path: Path) -> None:
    for other in (f'"id":"{job.pk}"', '"id":true', '"id":1.0', '"no":1'):
        said = unsigned(job, tmp_path / "odd.json", f'"id":{job.pk}', other)
        assert (said.status, said.out) == (2, ""), other
        assert "its job has no number" in said.err


def test_half_a_character_in_a_bundle_is_said(job: Job, tmp_path: Path) -> None:
    for place in ('"seeds":[', '"pack":{'):
        odd = '"\\ud800",' if place.endswith("[") else '"\\ud800":1,'
        said = unsigned(job, tmp_path / "odd.json", place, place + odd)
        assert (said.status, said.out) == (2, ""), place
        assert "lacks a part of a bundle, or one is of the wrong kind" in said.err


def test_a_signature_that_does_not_say_when_is_refused(path: Path, home: Path) -> None:
    data = json.loads(path.read_bytes())
    del data["signed"]["said"]["exported_at"]
    text = path.read_bytes()
    line = own_key().sign("converge-bundle/2", data["signed"]["said"])
    path.write_bytes(text[: text.rindex(b"\n", 0, -1) + 1] + b'"signed":' + line + b"}\n")
    said = call("verify", str(path))
    assert (said.status, said.out) == (1, "") and "does not say when it was exported" in said.err


def test_heads_by_a_stranger_that_lack_a_part_are_said(path: Path, home: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(own_key().sign("converge-head/1", {"number": 1, "job": 1}))
    said = call("verify", str(path), "--heads", str(kept))
    assert said.status == 1 and "it lacks a part" in said.err


def test_an_export_is_utf_8_in_any_locale(tmp_path: Path) -> None:
    path, script = tmp_path / "bundle.json", "from pathlib import Path; import sys\n"
    script += "from runtime.management.commands.export import write_whole\n"
    script += "write_whole(Path(sys.argv[1]), ['größer 𝔘'])"
    latin = environment(
        PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LC_ALL="C", DJANGO_SETTINGS_MODULE="converge_site.settings"
    )
    begin = "import django; django.setup()\n"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            begin + script.encode("unicode_escape").decode().replace("\\n", "\n"),
            str(path),
        ],
        env=latin,
        cwd=Path(MANAGE).parent,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert path.read_text(encoding="utf-8") == "größer 𝔘"
