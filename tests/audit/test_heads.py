"""Signed heads: what is rewritten or cut back in the database afterwards is found, without the key to mend it."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from django.conf import settings
from django.db import IntegrityError

from runtime import heads
from runtime.engine import GENESIS
from runtime.head_log import NEWEST_FILE, PURPOSE, link
from runtime.heads import Signer, sign_all_settled, sign_removal
from runtime.models import Entry, Head, Job
from runtime.reconciler import reconcile_once
from runtime.signing import KeyTrouble, key_id, own_key
from tests.audit.forging import ROWS, own_key_of_a_forger, put_back, rechain, rewrite, snapshot, verify
from tests.commands.said import call
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, PANEL_SEEDS
from tests.runtime.stage import run, submit, tell

pytestmark = pytest.mark.django_db(transaction=True)


def test_scheduler_signs_what_has_settled_and_only_once(job: Job) -> None:
    running = submit("panel", PANEL_SEEDS)
    reconcile_once()
    head = Head.objects.get()
    said = json.loads(head.line)["said"]
    assert (head.job_id, head.cycle) == (job.pk, job.cycle)
    assert {part: said[part] for part in ("number", "previous", "entries", "digest", "status")} == {
        "number": 1,
        "previous": GENESIS,
        "entries": job.entries,
        "digest": job.digest,
        "status": job.status,
    }
    reconcile_once()
    assert Head.objects.count() == 1
    run(running)
    reconcile_once()
    second = Head.objects.get(number=2)
    assert second.job_id == running.pk
    assert json.loads(second.line)["said"]["previous"] == link(head.line)


def test_a_job_that_goes_on_is_signed_again_where_it_stops(signed: Job) -> None:
    tell(signed, "add_fact", "otto", key="case", subject="third", payload={"value": {}})
    tell(signed, "cancel", "otto")
    run(signed)
    assert Signer().sign_settled() == 1
    said = verify(signed)
    assert said.status == 0
    assert f"Signed up to cycle {signed.cycle} by key {key_id(own_key().public)}, " in said.out
    assert [h.cycle for h in Head.objects.filter(job_id=signed.pk)][-1] == signed.cycle


def test_a_forger_who_mends_every_digest_does_not_fit_the_signed_head(job: Job) -> None:
    rewrite(job)
    assert verify(job).status == 0, "without a head nobody can tell"
    assert sign_all_settled() == 1
    Entry.objects.filter(job=job, agent="lenient", subject="clear").update(
        body=Entry.objects.get(job=job, agent="lenient", subject="clear").body.replace(
            "by nobody", "by no one"
        )
    )
    rechain(job)
    said = verify(job)
    assert (said.status, said.out) == (1, "")
    assert "the record was rewritten: head 1, signed " in said.err
    assert "says another digest for cycle " in said.err


def test_a_job_cut_back_in_every_table_does_not_fit_its_signed_head(use_packs: Use) -> None:
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS))
    assert sign_all_settled() == 1
    before = snapshot(job)
    tell(job, "decide", "otto", key="verdict", subject="doubtful", payload={"value": "yes"})
    cycle = run(job).cycle
    put_back(job, before)
    assert verify(job).status == 0, "the forger was careful: without a head of it nobody can tell"
    tell(job, "decide", "otto", key="verdict", subject="doubtful", payload={"value": "yes"})
    assert run(job).cycle == cycle
    assert sign_all_settled() == 1
    put_back(job, before)
    said = verify(job)
    assert said.status == 1
    assert "the record was cut back: head 2, signed " in said.err
    assert f"is of cycle {cycle}; the last one now is {before[0].cycle}" in said.err
    assert call("verify", "--all").status == 1


def test_another_pack_under_the_same_journal_is_found(signed: Job) -> None:
    spec = orjson.loads(signed.spec)
    spec["rules"] = []
    type(signed.input).objects.filter(job=signed).update(spec=orjson.dumps(spec).decode())
    said = verify(signed)
    assert said.status == 1 and "pack or seeds were rewritten: head 1" in said.err


def test_a_record_that_does_not_fit_its_head_gets_no_further_one(
    signed: Job, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(signed)
    tell(Job.objects.get(pk=signed.pk), "cancel", "otto")
    run(signed)
    assert Signer().sign_settled() == 0
    assert f"job {signed.pk} gets no head: the record was rewritten" in caplog.text
    refused = call("export", str(signed.pk))
    assert refused.status == 1 and "the record was rewritten" in refused.err


def test_whoever_kept_one_head_finds_what_was_changed_before_it(signed: Job, tmp_path: Path) -> None:
    """Everything is cut back together, the copy under CONVERGE_HOME too: one line kept elsewhere is enough."""
    kept = tmp_path / "kept"
    kept.write_text(call("heads").out)
    assert json.loads(kept.read_text())["said"]["number"] == 2
    for record in (("--all",), (str(signed.pk),)):
        assert call("verify", *record, "--heads", str(kept)).status == 0
    Head.objects.filter(number=2).delete()
    newest = Path(settings.CONVERGE_HOME) / NEWEST_FILE
    newest.write_text(Head.objects.get(number=1).line)
    assert call("verify", "--all").status == 0
    for record in (("--all",), (str(signed.pk),)):
        said = call("verify", *record, "--heads", str(kept))
        assert said.status == 1
        assert f"the log of heads was cut back: {kept} holds head 2, which it lacks" in said.err


def test_a_bundle_is_held_against_heads_that_somebody_kept(signed: Job, tmp_path: Path) -> None:
    kept, path = tmp_path / "kept", tmp_path / "bundle.json"
    kept.write_text(call("heads", "--all").out)
    assert call("export", str(signed.pk), "--out", str(path)).status == 0
    said = call("verify", str(path), "--heads", str(kept))
    assert said.status == 0 and f"Of the 2 heads in {kept}, 1 are of its job, and it fits them." in said.out
    Head.objects.all().delete()
    (Path(settings.CONVERGE_HOME) / NEWEST_FILE).unlink()
    rewrite(signed)
    assert call("export", str(signed.pk), "--out", str(path)).status == 0
    assert call("verify", str(path)).status == 0
    said = call("verify", str(path), "--heads", str(kept))
    assert said.status == 1 and "the record was rewritten: head 1" in said.err


def test_heads_that_cannot_be_read_are_said(signed: Job, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    assert call("verify", "--all", "--heads", str(path)).status == 2
    path.write_text("")
    assert call("verify", "--all", "--heads", str(path)).status == 1
    path.write_text(own_key_of_a_forger().sign(PURPOSE, {"number": 1}).decode())
    said = call("verify", "--all", "--heads", str(path))
    assert said.status == 1 and "which is not trusted here" in said.err


def test_a_key_of_before_is_trusted_when_it_is_listed(signed: Job) -> None:
    home = Path(settings.CONVERGE_HOME)
    old = own_key().public
    kept_key = (home / "signing-key").read_bytes()
    try:
        (home / "signing-key").unlink()
        with pytest.raises(KeyTrouble, match="are signed by key"):
            own_key()
        said = verify(signed)
        assert said.status == 1 and f"is signed by key {key_id(old)}, which is none of ours" in said.err
        (home / "trusted-keys").write_text(old)
        assert verify(signed).status == 0
        assert own_key().public != old
        run(submit("panel", PANEL_SEEDS))
        assert Signer().sign_settled() == 1  # the log goes on under the new key
        assert call("verify", "--all").status == 0
    finally:
        (home / "trusted-keys").unlink(missing_ok=True)
        (home / "signing-key").write_bytes(kept_key)


def test_a_job_taken_out_under_our_signature_is_no_fault_and_any_other_is(signed: Job) -> None:
    other = Job.objects.exclude(pk=signed.pk).get()
    sign_removal(other)
    other.delete()
    said = call("verify", "--all")
    assert said.status == 0 and " 1 jobs were taken out, under our signature." in said.out
    for rows in ROWS:
        rows._default_manager.filter(job=signed).delete()
    signed.delete()
    said = call("verify", "--all")
    assert said.status == 1
    assert "was signed, and is not in the database any more." in said.err


def test_one_key_for_the_scheduler_or_none_is_signed_and_it_goes_on(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_key() -> None:
        raise KeyTrouble("the signing key cannot be read: no such thing")

    with monkeypatch.context() as patched:
        patched.setattr(heads, "own_key", no_key)
        signer = Signer()
        assert signer.sign_settled() == signer.sign_settled() == 0
    assert caplog.text.count("no head is signed: the signing key cannot be read") == 1
    assert signer.sign_settled() == 1


def test_of_two_schedulers_at_once_one_signs(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:

        def taken(rows: object) -> None:
            raise IntegrityError("number 1 is taken")

        patched.setattr(Head.objects, "bulk_create", taken)
        assert heads.append_heads([job]) == 0
    assert Head.objects.count() == 0
    assert not (Path(settings.CONVERGE_HOME) / NEWEST_FILE).exists()


def test_jobs_are_signed_in_portions_and_each_once(use_packs: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    use_packs("echo")
    monkeypatch.setattr(heads, "AT_ONCE", 2)
    jobs = [run(submit("echo", ECHO_SEEDS)) for _ in range(5)]
    signer = Signer()
    assert [signer.sign_settled() for _ in range(4)] == [2, 2, 1, 0]
    later = run(submit("echo", ECHO_SEEDS))
    assert [signer.sign_settled() for _ in range(2)] == [1, 0]
    found = Head.objects.order_by("number").values_list("job_id", flat=True)
    assert list(found) == [job.pk for job in (*jobs, later)]
    said = call("verify", "--all")
    assert said.status == 0, said.err
    assert "The records of all 6 jobs hold: " in said.out and "6 heads signed by key " in said.out


def test_verify_all_names_every_fault_and_goes_on(signed: Job) -> None:
    Job.objects.filter(pk=signed.pk).update(tier=9)
    other = Job.objects.exclude(pk=signed.pk).get()
    Entry.objects.filter(job=other, seq=2).delete()
    run(submit("panel", PANEL_SEEDS))
    said = call("verify", "--all")
    assert (said.status, said.out) == (1, "")
    assert f"Job {signed.pk}: the summary says tier 9" in said.err
    assert f"Job {other.pk}: cycle 1: entry 2 is missing" in said.err
    assert "The record of all jobs does not hold: 2 faults in 3 jobs and 2 signed heads." in said.err


def test_verify_all_says_how_far_it_is(signed: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.management.verify_all.PROGRESS_SECONDS", 0.0)
    said = call("verify", "--all")
    assert said.status == 0
    assert said.err.splitlines() == ["1 of 2 jobs, 0 faults", "2 of 2 jobs, 0 faults"]


def test_verify_wants_one_thing_to_verify() -> None:
    for arguments in ((), ("12", "--all")):
        assert call("verify", *arguments).status == 2
