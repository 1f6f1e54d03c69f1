"""Everything the database keeps beside the journal equals the journal's fold, and the engine's own count."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from runtime import store
from runtime.bundle import record_of_job
from runtime.engine import Core
from runtime.models import Conflict, Job
from runtime.verifying import replay_record, verify_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import CHOIR_SEEDS, ECHO_SEEDS, PANEL_SEEDS, WALK_SEEDS
from tests.runtime.stage import question, run, submit, tell

pytestmark = pytest.mark.django_db


def check(job: Job) -> None:
    """Holds rows, journal and engine against each other."""
    job.refresh_from_db()
    fold = verify_job(job)
    core = replay_record(record_of_job(job))
    assert core.digest == job.digest
    assert shown_by(core) == fold.slots
    rows = Conflict.objects.filter(job=job, status="open")
    assert sum(row.kind == "conflict" for row in rows) == job.conflicts_open == core.ledger.contested
    assert sum(row.kind == "hold" for row in rows) == job.holds_open == core.ledger.held
    standing = {
        (r.key, r.subject): (r.status, r.value, round(r.confidence * 1000)) for r in store.standing(job)
    }
    assert {slot: shown[0] for slot, shown in standing.items()} == fold.slots
    for fact in core.facts():
        strength = round(fact.confidence * 1000)
        assert standing[fact.key, fact.subject] == ("fact", fact.value, strength), (fact.key, fact.subject)
    if (answer := store.latest_answer(job)) is not None:
        assert len(store.answer_facts(job, answer)) == answer.facts


def shown_by(core: Core) -> dict[tuple[str, str], str]:
    """What every slot of the engine shows."""
    names = ("", "fact", "contested", "held")
    keys = core.ledger.keys.items()
    return {(k, s): names[slot.status] for k, key in keys for s, slot in key.slots.items() if slot.status}


@pytest.mark.parametrize(
    ("name", "seeds"),
    [("walk", WALK_SEEDS), ("choir", CHOIR_SEEDS), ("echo", ECHO_SEEDS), ("panel", PANEL_SEEDS)],
)
def test_rows_equal_the_fold_when_a_job_stops(use_packs: Use, name: str, seeds: Any) -> None:
    use_packs(name)
    check(run(submit(name, seeds)))


def test_rows_equal_the_fold_through_conflicts_holds_and_their_undoing(use_packs: Use) -> None:
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS))
    check(job)
    slot = {"key": "verdict", "subject": "doubtful"}
    plan = {"key": "plan", "subject": "all"}
    steps: list[Callable[[], Any]] = [
        lambda: tell(job, "decide", "otto", **slot, payload={"value": "yes"}),
        lambda: tell(job, "approve", "ada", **plan),
        lambda: tell(job, "approve", "ida", **plan),
        lambda: tell(job, "undo", "otto", **slot),
        lambda: tell(job, "decide", "otto", **slot, payload={"none": True}),
        lambda: tell(job, "refuse", "ada", **plan),
        lambda: tell(job, "add_fact", "ada", **plan, payload={"value": 7, "confidence": 1.0}),
        lambda: tell(job, "withdraw_fact", "ada", **plan),
        lambda: tell(job, "cancel", "otto"),
    ]
    for step in steps:
        step()
        check(run(job))
    assert job.status == "cancelled"


def test_conflict_that_gains_and_loses_sides_is_the_same_open_question(use_packs: Use) -> None:
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS))
    opened = question(job)
    slot = {"key": "verdict", "subject": "doubtful"}
    tell(job, "add_fact", "ida", **slot, payload={"value": "maybe", "confidence": 0.2})
    check(run(job))
    changed = question(job)
    assert (changed.pk, len(changed.sides)) == (opened.pk, 3)
    assert changed.version != opened.version
    tell(job, "withdraw_fact", "ida", **slot)
    check(run(job))
    assert question(job).version == opened.version


def test_rows_equal_the_fold_of_growth(use_packs: Use) -> None:
    job = run(submit("growth", use_packs("growth").sample_seeds()))
    assert job.conflicts_open == 2
    check(job)


def test_hold_that_a_decision_settles_closes(use_packs: Use) -> None:
    """A decision by people whose word counts is their approval (D3.7)."""
    use_packs("panel")
    job = run(submit("panel", [PANEL_SEEDS[0]]))
    assert question(job, "hold").need == 2
    tell(job, "approve", "ada", key="plan", subject="all")
    tell(job, "decide", "ida", key="plan", subject="all", payload={"value": 1})
    check(run(job))
    assert job.status == "converged"
    assert not Conflict.objects.filter(job=job, status="open").exists()


@pytest.mark.parametrize("chance", range(4))
def test_rows_equal_the_fold_whatever_people_do(use_packs: Use, chance: int) -> None:
    use_packs("panel")
    dice = random.Random(chance)
    job = run(submit("panel", PANEL_SEEDS))
    for _ in range(8):
        for _ in range(dice.randint(1, 3)):
            act_at_random(job, dice)
        check(run(job))


def act_at_random(job: Job, dice: random.Random) -> None:
    slot = dice.choice(
        [
            {"key": "verdict", "subject": "doubtful"},
            {"key": "verdict", "subject": "clear"},
            {"key": "verdict", "subject": "new"},
            {"key": "plan", "subject": "all"},
        ]
    )
    value = dice.choice([0, 1, 2]) if slot["key"] == "plan" else dice.choice(["yes", "no", "maybe"])
    act = dice.choice(
        ["decide", "decide", "undo", "approve", "approve", "refuse", "add_fact", "withdraw_fact"]
    )
    payload: dict[str, Any] = {}
    if act == "decide":
        payload = dice.choice([{"value": value}, {"value": value}, {"none": True}])
    elif act == "add_fact":
        payload = {"value": value, "confidence": dice.choice([0.2, 0.6, 1.0])}
    tell(job, act, dice.choice(["otto", "ada", "ida"]), **slot, payload=payload)
