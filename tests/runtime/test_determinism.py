"""The same seeds, pack and decisions give the same digest, in any process and order, on any database (D2.4)."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from runtime import store
from runtime.agents import run_all
from runtime.agents.functions import Function
from runtime.engine import Effect, Run
from runtime.models import Cycle, Job
from runtime.rehearsal import Rehearsal
from tests.runtime.digests import claims_spec, growth_spec, run_choir
from tests.runtime.fixtures import Use
from tests.runtime.packs import CHOIR_SEEDS, WALK_SEEDS, choir, walk
from tests.runtime.stage import environment, submit
from tests.runtime.workers import Workers
from tests.waiting import eventually

pytestmark = pytest.mark.early


def say(module: str, **more: str) -> Any:
    """What `python -m tests.runtime.<module>` prints, as JSON."""
    run = subprocess.run(
        [sys.executable, "-m", f"tests.runtime.{module}"],
        cwd=settings.BASE_DIR,
        env=os.environ | more,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_digests_are_the_same_under_twenty_hash_seeds() -> None:
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda seed: say("digests", PYTHONHASHSEED=str(seed)), range(20)))
    assert said == said[:1] * 20


def test_which_async_agent_is_done_first_does_not_matter() -> None:
    assert {run_choir() for _ in range(6)} == {run_choir()}


@pytest.mark.parametrize("chance", range(3))
def test_effects_may_come_in_any_order(chance: int) -> None:
    dice = random.Random(chance)

    def shuffled(runs: Sequence[Run], functions: Mapping[str, Function]) -> list[Effect]:
        effects = run_all(runs, functions)
        dice.shuffle(effects)
        return effects

    for spec, seeds in (growth_spec(), claims_spec()):
        in_order, out_of_order = Rehearsal(spec, seeds), Rehearsal(spec, seeds, execute=shuffled)
        in_order.run()
        out_of_order.run()
        assert out_of_order.core.digest == in_order.core.digest


def digest_alone(job: Job, seeds: Any, functions: Mapping[str, Function]) -> str:
    alone = Rehearsal(store.pack_of(job), seeds, functions)
    alone.run()
    return alone.core.digest


@pytest.mark.django_db(transaction=True)
def test_three_workers_write_what_one_engine_in_memory_does(use_packs: Use, workers: Workers) -> None:
    use_packs("walk", "choir")
    workers.start(3)
    walks = [submit("walk", WALK_SEEDS) for _ in range(3)]
    # All three stand at the gate at once, so each has a worker of its own.
    assert eventually(lambda: all(_cycle(job) == 6 for job in walks)), workers.said
    choirs = [submit("choir", CHOIR_SEEDS) for _ in range(3)]
    workers.open_gate()
    assert eventually(lambda: all(_status(job) == "converged" for job in (*walks, *choirs))), workers.said
    assert Cycle.objects.filter(job__in=walks).values("worker").distinct().count() == 3
    assert {job.digest for job in walks} == {digest_alone(walks[0], WALK_SEEDS, walk.functions)}
    assert {job.digest for job in choirs} == {digest_alone(choirs[0], CHOIR_SEEDS, choir.functions)}


def _cycle(job: Job) -> int:
    job.refresh_from_db()
    return job.cycle


def _status(job: Job) -> str:
    job.refresh_from_db()
    return job.status


@pytest.fixture
def postgres_database(postgres_url: str) -> str:
    """The URL of a new, empty database on a real PostgreSQL."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE scenario")
    return postgres_url.replace("/postgres?", "/scenario?")


def test_postgresql_and_sqlite_keep_the_same_journal(
    postgres_database: str, installed: Path, tmp_path: Path
) -> None:
    def play(name: str, url: str) -> Any:
        home = str(tmp_path / name)
        return say("scenario", **environment(installed, CONVERGE_HOME=home, CONVERGE_DATABASE_URL=url))

    with ThreadPoolExecutor(2) as pool:
        on_sqlite, on_postgres = pool.map(play, ("sqlite", "postgres"), ("", postgres_database))
    assert (on_sqlite.pop("vendor"), on_postgres.pop("vendor")) == ("sqlite", "postgresql")
    assert on_postgres == on_sqlite
    assert on_sqlite["growth converged"][:2] == ["converged", 3]
    assert on_sqlite["claims"] == [1, None, []]
