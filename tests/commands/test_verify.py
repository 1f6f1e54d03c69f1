"""`manage.py verify` and `replay`: a record that was tampered with is found out, by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from runtime.engine import GENESIS
from runtime.engine.log import chain
from runtime.models import Answer, Conflict, Cycle, Decision, Entry, Job
from tests.commands.said import call
from tests.runtime.fixtures import Use
from tests.runtime.packs import PANEL_SEEDS
from tests.runtime.stage import run, submit, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(use_packs: Use) -> Job:
    """A job with a decision behind it, an approval before it, and cycles under two epochs."""
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS))
    tell(job, "decide", "otto", key="verdict", subject="doubtful", payload={"value": "yes"})
    return run(job)


def test_record_that_holds_is_said_to(job: Job) -> None:
    verified, replayed = call("verify", str(job.pk)), call("replay", str(job.pk))
    assert (verified.status, verified.err) == (0, "")
    assert verified.out.splitlines() == [
        f"The record {job.pk} holds: {job.cycle} cycles, {job.entries} entries.",
        "None of it is signed yet: the scheduler signs a job once it has settled.",
    ]
    assert (replayed.status, replayed.err) == (0, "")
    assert job.digest in replayed.out


def test_job_that_has_not_begun_holds(use_packs: Use) -> None:
    use_packs("panel")
    job = submit("panel", PANEL_SEEDS)
    assert call("verify", str(job.pk)).status == 0
    assert call("replay", str(job.pk)).status == 0


def change_body(job: Job) -> None:
    entry = Entry.objects.get(job=job, agent="lenient", subject="clear")
    Entry.objects.filter(pk=entry.pk).update(body=entry.body.replace('"yes"', '"no"'))


def drop_entry(job: Job) -> None:
    Entry.objects.get(job=job, seq=3).delete()


def drop_last_entry(job: Job) -> None:
    Entry.objects.get(job=job, seq=job.entries).delete()


def drop_cycle(job: Job) -> None:
    Cycle.objects.get(job=job, number=2).delete()


def lower_epoch(job: Job) -> None:
    Cycle.objects.filter(job=job, number=job.cycle).update(epoch=0)


def shift_cycle(job: Job) -> None:
    Cycle.objects.filter(job=job, number=2).update(first_seq=1)


def add_entry(job: Job) -> None:
    Entry.objects.create(job=job, seq=job.entries + 1, cycle=job.cycle + 1, kind="run", body='{"kind":"run"}')


def change_column(job: Job) -> None:
    Entry.objects.filter(job=job, agent="lenient", subject="clear").update(subject="doubtful")


def close_conflict(job: Job) -> None:
    Conflict.objects.filter(job=job, status="open").update(status="closed")


def change_sides(job: Job) -> None:
    Conflict.objects.filter(job=job, status="open").update(sides=[])


def change_answer(job: Job) -> None:
    Answer.objects.filter(job=job, version=1).update(tier=9)


def change_decision(job: Job) -> None:
    Decision.objects.filter(job=job).update(status="refused")


def forget_decision(job: Job) -> None:
    Decision.objects.filter(job=job).delete()


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (change_body, "cycle 1: its entries give the digest "),
        (drop_entry, "cycle 1: entry 3 is missing, entry 4 comes in its place"),
        (drop_last_entry, "says it ends with entry "),
        (drop_cycle, "cycle 2 is missing: cycle 3 comes in its place"),
        (lower_epoch, "was written under epoch 0, after one of epoch "),
        (shift_cycle, "cycle 2 says it begins with entry 1; "),
        (add_entry, "is the last one the job knows of, and there is one after it"),
        (change_column, "its column subject says 'doubtful', its body 'clear'"),
        (close_conflict, "the hold on plan / all is open in the journal, not in the database"),
        (change_sides, "the hold on plan / all shows other sides than the journal"),
        (change_answer, "the published answers are not those of the journal"),
        (change_decision, "of the inbox says refused, the journal applied"),
        (forget_decision, "of the inbox is told of in one place and not in the other"),
    ],
)
def test_tampering_with_the_database_is_found(job: Job, tamper: Callable[[Job], None], said: str) -> None:
    tamper(job)
    verified = call("verify", str(job.pk))
    assert (verified.status, verified.out) == (1, "")
    assert verified.err.startswith(f"The record {job.pk} does not hold: ")
    assert said in verified.err


@pytest.mark.parametrize(
    "column",
    [
        "cycle",
        "entries",
        "tier",
        "facts",
        "conflicts_open",
        "holds_open",
        "answer_version",
        "digest",
        "status",
    ],
)
def test_summary_that_is_not_the_fold_of_the_journal_is_found(job: Job, column: str) -> None:
    wrong: Any = {"digest": "0" * 64, "status": "converged", "cycle": job.cycle - 1}.get(column, 77)
    Job.objects.filter(pk=job.pk).update(**{column: wrong})
    verified = call("verify", str(job.pk))
    assert verified.status == 1, verified.out


@pytest.mark.parametrize("tamper", [change_body, drop_entry, drop_cycle])
def test_replay_does_not_reach_the_digests_of_a_changed_record(
    job: Job, tamper: Callable[[Job], None]
) -> None:
    tamper(job)
    replayed = call("replay", str(job.pk))
    assert replayed.status == 1
    assert replayed.err.startswith(f"The record {job.pk} does not hold: ")


def rechain(bundle: dict[str, Any]) -> None:
    """What a careful forger does: the digests are made to fit."""
    digest = GENESIS
    for cycle in bundle["cycles"]:
        bodies = [orjson.dumps(entry, option=orjson.OPT_SORT_KEYS) for entry in cycle["entries"]]
        cycle["digest"] = digest = chain(digest, bodies)
    bundle["job"]["digest"] = digest


def forge(bundle: dict[str, Any], path: Path) -> str:
    rechain(bundle)
    path.write_text(json.dumps(bundle))
    return str(path)


@pytest.fixture
def bundle(job: Job) -> dict[str, Any]:
    """One without a signature, as whoever lacks the key would leave it."""
    found: dict[str, Any] = json.loads(call("export", str(job.pk), "--unsigned").out)
    return found


def test_forger_who_mends_the_chain_is_found_by_replay(bundle: dict[str, Any], tmp_path: Path) -> None:
    """Verify sees that a record is whole; that it is what the engine makes of its inputs, only replay sees."""
    entries = [entry for cycle in bundle["cycles"] for entry in cycle["entries"]]
    claimed = next(entry for entry in entries if entry["kind"] == "tier" and not entry["reached"])
    claimed.update(reached=True, gaps=[])
    name = forge(bundle, tmp_path / "forged.json")
    assert call("verify", name).status == 0
    replayed = call("replay", name)
    assert replayed.status == 1
    assert "merging again gives" in replayed.err


def test_forger_who_changes_the_pack_is_found_by_replay(bundle: dict[str, Any], tmp_path: Path) -> None:
    bundle["pack"]["rules"] = [rule for rule in bundle["pack"]["rules"] if rule["kind"] != "approval"]
    assert call("replay", forge(bundle, tmp_path / "forged.json")).status == 1


def test_forger_who_changes_the_seeds_is_found_by_replay(bundle: dict[str, Any], tmp_path: Path) -> None:
    bundle["seeds"][0]["subject"] = "another"
    replayed = call("replay", forge(bundle, tmp_path / "forged.json"))
    assert replayed.status == 1
    assert "seed 1 is not what the journal says was submitted" in replayed.err


@pytest.mark.parametrize("kind", ["nonsense", "accepted", "inbox", "run", "stop"])
def test_entries_that_no_engine_writes_are_no_traceback(
    bundle: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    bundle["cycles"][1]["entries"][0] = {"kind": kind}
    replayed = call("replay", forge(bundle, tmp_path / "forged.json"))
    assert replayed.status == 1
    assert " does not hold: " in replayed.err


def test_entry_of_an_unknown_kind_is_found_by_verify(bundle: dict[str, Any], tmp_path: Path) -> None:
    bundle["cycles"][1]["entries"][0]["kind"] = "nonsense"
    verified = call("verify", forge(bundle, tmp_path / "forged.json"))
    assert verified.status == 1
    assert "is no journal entry" in verified.err
