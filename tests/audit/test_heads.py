"""Signed heads: what is rewritten or cut back in the database afterwards is found, without the key to mend it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.db import IntegrityError

from runtime import heads
from runtime.engine import GENESIS
from runtime.engine.log import chain
from runtime.head_log import NEWEST_FILE, PURPOSE, link
from runtime.heads import Signer, sign_all_settled, sign_removal
from runtime.models import Answer, Conflict, Cycle, Decision, Entry, Head, Job
from runtime.reconciler import reconcile_once
from runtime.signing import KeyTrouble, key_id, own_key
from tests.commands.said import Said, call
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, PANEL_SEEDS
from tests.runtime.stage import run, submit, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def signed(job: Job) -> Job:
    """The job with a decision behind it, and another, both signed."""
    run(submit("panel", PANEL_SEEDS[:1]))
    assert Signer().sign_settled() == 2
    return job


def verify(job: Job, *more: str) -> Said:
    return call("verify", str(job.pk), *more)


def rechain(job: Job) -> None:
    """What a careful forger does: digests of cycles and job are made to fit."""
    digest = GENESIS
    for cycle in Cycle.objects.filter(job=job).order_by("number"):
        bodies = (
            Entry.objects.filter(job=job, cycle=cycle.number).order_by("seq").values_list("body", flat=True)
        )
        digest = chain(digest, [body.encode() for body in bodies])
        Cycle.objects.filter(pk=cycle.pk).update(digest=digest)
    Job.objects.filter(pk=job.pk).update(digest=digest)


def rewrite(job: Job) -> None:
    """A judge's reason, which nothing else is derived from."""
    entry = Entry.objects.get(job=job, agent="lenient", subject="clear")
    body = orjson.loads(entry.body) | {"evidence": {"said": "by nobody"}}
    Entry.objects.filter(pk=entry.pk).update(body=orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode())
    rechain(job)


ROWS = (Entry, Cycle, Answer, Conflict, Decision)


def snapshot(job: Job) -> list[Any]:
    """Everything the database holds of a job, as a backup would."""
    rows = [row for model in ROWS for row in model._default_manager.filter(job=job)]
    return [Job.objects.get(pk=job.pk), *rows]


def put_back(job: Job, rows: list[Any]) -> None:
    """The job as it was, in every table: what came since never happened."""
    for model in ROWS:
        model._default_manager.filter(job=job).delete()
    for row in rows:
        row.save()


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


def with_line(number: int, change: Callable[[str], str]) -> None:
    row = Head.objects.get(number=number)
    Head.objects.filter(number=number).update(line=change(row.line))


def take_out_first(job: Job) -> None:
    Head.objects.filter(number=1).delete()


def take_out_last(job: Job) -> None:
    Head.objects.filter(number=2).delete()


def take_out_all(job: Job) -> None:
    Head.objects.all().delete()


def change_what_it_says(job: Job) -> None:
    with_line(1, lambda line: line.replace('"status":"', '"status":"un'))


def sign_with_another_key(job: Job) -> None:
    line = own_key_of_a_forger().sign(PURPOSE, json.loads(Head.objects.get(number=1).line)["said"])
    Head.objects.filter(number=1).update(line=line.decode())


def own_key_of_a_forger() -> heads.SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from runtime.signing import SigningKey

    return SigningKey(Ed25519PrivateKey.generate())


def give_it_to_another_job(job: Job) -> None:
    Head.objects.filter(number=1).update(job_id=job.pk + 1)


def say_another_cycle(job: Job) -> None:
    Head.objects.filter(number=1).update(cycle=1)


def swap(job: Job) -> None:
    first, second = (Head.objects.get(number=n).line for n in (1, 2))
    with_line(1, lambda _: second)
    with_line(2, lambda _: first)


def doubled(job: Job) -> None:
    Head.objects.create(number=3, job_id=job.pk, cycle=job.cycle, line=Head.objects.get(number=2).line)


@pytest.mark.parametrize(
    "tamper",
    [
        take_out_first,
        take_out_last,
        take_out_all,
        change_what_it_says,
        sign_with_another_key,
        give_it_to_another_job,
        say_another_cycle,
        swap,
        doubled,
    ],
)
def test_a_log_that_was_tampered_with_does_not_hold(signed: Job, tamper: Callable[[Job], None]) -> None:
    assert call("verify", "--all").status == 0
    tamper(signed)
    said = call("verify", "--all")
    assert (said.status, said.out) == (1, "")
    assert "The log of heads: " in said.err


@pytest.mark.parametrize(
    "tamper", [take_out_first, take_out_last, take_out_all, sign_with_another_key, change_what_it_says]
)
def test_verifying_one_job_looks_at_its_heads_and_at_the_end_of_the_log(
    signed: Job, tamper: Callable[[Job], None]
) -> None:
    tamper(signed)
    assert verify(signed).status == 1


@pytest.mark.parametrize("tamper", [take_out_last, take_out_all])
def test_nothing_is_signed_on_a_log_that_was_cut_back(
    signed: Job, tamper: Callable[[Job], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the scheduler would mend, with our key, what somebody took out."""
    tamper(signed)
    run(submit("panel", PANEL_SEEDS))
    signer = Signer()
    before = Head.objects.count()
    assert (signer.sign_settled(), signer.sign_settled()) == (0, 0)
    assert Head.objects.count() == before
    said = [record.getMessage() for record in caplog.records if "no head is signed" in record.getMessage()]
    assert len(said) == 1 and "the log of heads was cut back" in said[0]
    assert call("heads").status == 1


def test_nothing_is_signed_on_top_of_what_another_key_signed(
    signed: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A host that was given another key, and a home of its own in which no head is kept."""
    ours = own_key().public
    stranger = own_key_of_a_forger()
    run(submit("panel", PANEL_SEEDS))
    with monkeypatch.context() as there:
        there.setattr(settings, "CONVERGE_HOME", tmp_path)
        there.setattr(heads, "own_key", lambda: stranger)
        there.setattr(heads, "trusted_keys", lambda: frozenset([stranger.public]))
        assert Signer().sign_settled() == 0
        assert (
            f"no head is signed: head 2 is signed by key {key_id(ours)}, which is none of ours" in caplog.text
        )
        assert Head.objects.count() == 2
        # And if it was signed by one of an earlier version, nothing of ours comes on top of that.
        there.setattr(heads, "read_row", lambda row, trusted: None)
        there.setattr(heads, "compare_heads", lambda *given: None)
        assert Signer().sign_settled() == 1
    run(submit("panel", PANEL_SEEDS))
    caplog.clear()
    assert Signer().sign_settled() == 0
    assert f"head 3 is signed by key {key_id(stranger.public)}, which is none of ours" in caplog.text


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
