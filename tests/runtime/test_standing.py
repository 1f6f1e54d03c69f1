"""What slots show, kept in memory: the same as read anew, at the present and at any moment, for any journal."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runtime import standing, store
from runtime.models import Cycle, Job
from runtime.standing import Standing, find_place
from tests.runtime.copied_jobs import copy_job
from tests.runtime.fixtures import Use
from tests.runtime.packs import ECHO_SEEDS, PANEL_SEEDS, WALK_SEEDS
from tests.runtime.stage import run, submit

pytestmark = pytest.mark.django_db


def heads(kept: Standing, job: Job, seq: int | None) -> dict[tuple[str, str], tuple[str, int]]:
    keys = [key["name"] for key in job.frozen_spec()["keys"]]
    found = kept.read(job.pk, keys, find_place(job.pk, seq))
    return {(key, head.subject): (head.status, head.seq) for key in keys for head in found[key]}


def anew(job: Job, seq: int | None) -> dict[tuple[str, str], tuple[str, int]]:
    return {(row.key, row.subject): (row.status, row.seq) for row in store.standing(job, seq)}


@pytest.mark.parametrize(
    ("name", "seeds"), [("walk", WALK_SEEDS), ("panel", PANEL_SEEDS), ("echo", ECHO_SEEDS)]
)
def test_every_order_of_looks_gives_what_is_read_anew(use_packs: Use, name: str, seeds: Any) -> None:
    use_packs(name)
    job = run(submit(name, seeds))
    ends = list(Cycle.objects.filter(job=job).values_list("last_seq", flat=True))
    kept, chance = Standing(), random.Random(7)
    for _ in range(25):
        seq = chance.choice([*ends, None])
        assert heads(kept, job, seq) == anew(job, seq), seq


def test_a_number_given_to_another_job_brings_nothing_of_the_old_one(use_packs: Use) -> None:
    use_packs("walk", "panel")
    job, other = run(submit("walk", WALK_SEEDS)), run(submit("panel", PANEL_SEEDS))
    kept = Standing()
    kept.read(other.pk, [], find_place(job.pk))  # as if `other` had been that journal
    assert heads(kept, other, None) == anew(other, None)


def test_a_look_again_reads_the_head_alone(use_packs: Use) -> None:
    use_packs("walk")
    job = run(submit("walk", WALK_SEEDS))
    kept = Standing()
    heads(kept, job, None)
    with CaptureQueriesContext(connection) as queries:
        heads(kept, job, None)
    assert len([q for q in queries.captured_queries if "runtime_entry" in q["sql"]]) == 0


def test_what_is_too_large_is_not_kept(use_packs: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    use_packs("walk")
    job = run(submit("walk", WALK_SEEDS))
    monkeypatch.setattr(standing, "MOST_SLOTS", 3)
    kept = Standing()
    for copy in [job.pk, *copy_job(job, 3)]:
        again = Job.objects.get(pk=copy)
        assert heads(kept, again, None) == anew(again, None)
    assert sum(fold.size for fold in kept._folds.values()) <= 3


def test_entries_of_slots_are_all_of_them_in_order(use_packs: Use) -> None:
    use_packs("panel")
    job = run(submit("panel", PANEL_SEEDS))
    row = store.standing(job)[0]
    whole = store.slot_history(job, row.key, row.subject)
    assert store.entries_of_slots(job.pk, row.key, [row.subject, "nobody"]) == whole
    assert store.entries_of_slots(job.pk, row.key, [row.subject], whole[0].seq) == whole[:1]
    assert store.entries_of_slots(job.pk, row.key, []) == []
