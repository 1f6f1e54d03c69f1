"""Failpoints: a closed set of names, each placed once and really met; off by default; loud about rubbish."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from converge_site.live.tailer import Tailer
from runtime import failpoints, lease, queue
from runtime.actions.backtests import start_backtest
from runtime.actions.bulk import decide_alike
from runtime.deadlines import expire_due
from runtime.failpoints import NAMES, RAISES, FailpointReached, arm, failpoint, hits, read_failpoints
from runtime.models import Agent, Backtest, Conflict, GovernanceRule, Job, Tool
from runtime.reconciler import reconcile_once
from runtime.tools.flaky import FlakyTools
from tests.runtime.fixtures import Use, empty_queue, installed, use_packs
from tests.runtime.packs import ASKER_SEEDS, ECHO_SEEDS, TIMED_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit, tell
from tests.waiting import eventually

__all__ = ["empty_queue", "installed", "use_packs"]

ROOT = Path(settings.BASE_DIR)


@pytest.fixture(autouse=True)
def _off_again() -> Iterator[None]:
    yield
    arm({})


def test_each_name_is_placed_exactly_once() -> None:
    placed: list[str] = []
    for package in ("runtime", "converge_site"):
        for path in (ROOT / package).rglob("*.py"):
            placed += re.findall(r"\bfailpoint(?:\(|, )\"([a-z_.]+)\"", path.read_text())
    assert sorted(placed) == sorted(NAMES)


@pytest.mark.django_db(transaction=True)
async def test_each_name_is_met(use_packs: Use, empty_queue: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(asyncio.get_running_loop())
    await asyncio.to_thread(_do_everything, use_packs, empty_queue, monkeypatch, line)
    assert set(hits()) == set(NAMES)


class Line:
    """A viewer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def deliver(self, texts: list[str], replaces: Hashable = None) -> None: ...

    def end(self) -> None: ...


def _do_everything(use: Use, redis: Redis, monkeypatch: pytest.MonkeyPatch, line: Line) -> None:
    """A job with a tool, a row from a person, a lost message, a renewed lease, questions, a backtest, a viewer."""
    from runtime.tools import session

    use("echo", "asker", "timed")
    arm({"queue.after_dequeue": failpoints.Failpoint("queue.after_dequeue", "raise", at=1_000)})
    with FlakyTools() as tools:
        Tool.objects.filter(name="oracle").update(url=f"{tools.url}/search")
        Agent.objects.filter(name="explain").update(enabled=False)
        submit("asker", ASKER_SEEDS)
        echo = submit("echo", ECHO_SEEDS)
        redis.flushall()
        assert reconcile_once() == 2
        monkeypatch.setattr(lease, "RENEW_SECONDS", 0.0)
        assert queue.work(burst=True)
    assert session is not None
    assert set(Job.objects.values_list("status", flat=True)) == {"converged"}
    tell(echo, "add_fact", "otto", key="said", subject="dale", payload={"value": "hello"})
    _answer_and_let_pass()
    tailer = Tailer()
    tailer.watch(line, ("job", echo.pk))
    tailer._round()
    assert eventually(lambda: "event.before_send" in hits(), 5)


def _answer_and_let_pass() -> None:
    """Three like questions: one form answers two of them, the clock the third; then their rule is tried on jobs."""
    asked = [question(run(submit("timed", TIMED_SEEDS))) for _ in range(3)]
    boss = person("olga", "operator")
    one, other = ((row.pk, row.version) for row in asked[:2])
    decide_alike(boss, *one, {"none": True}, [other], receipt=receipt())
    Conflict.objects.filter(pk=asked[2].pk).update(deadline_at=1.0)
    assert expire_due() == 1
    rule = GovernanceRule.objects.get(name="price in time")
    start_backtest(boss, rule.pk, receipt=receipt())
    queue.work(burst=True)
    assert Backtest.objects.get().status == "done"


def test_nothing_is_counted_or_done_when_they_are_off() -> None:
    arm({})
    failpoint("cycle.before_commit")
    assert hits() == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cycle.befor_commit=kill", "is no failpoint"),
        ("kill", "is no failpoint"),
        ("worker.parked", "is not an action"),
        ("worker.parked=explode", "the actions are"),
        ("worker.parked=kill:9", "the actions are"),
        ("worker.parked=delay", "the actions are"),
        ("worker.parked=delay:soon", "the actions are"),
        ("worker.parked=delay:nan", "the actions are"),
        ("worker.parked=delay:-1", "the actions are"),
        ("worker.parked=raise:SystemExit", "raise knows"),
        ("worker.parked=kill@0", "neither a number"),
        ("worker.parked=kill@p=2", "neither a number"),
        ("worker.parked=kill@p=0.1,seed=x", "neither a number"),
        ("worker.parked=kill;worker.parked=stop", "given twice"),
    ],
)
def test_rubbish_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_failpoints(text)


def test_several_are_read() -> None:
    points = read_failpoints(" cycle.before_commit=kill@3 ; worker.parked=delay:0.5@p=0.25,seed=7;")
    assert [(p.name, p.act, p.at, p.chance, p.seed) for p in points.values()] == [
        ("cycle.before_commit", "kill", 3, 1.0, 0),
        ("worker.parked", "delay", 0, 0.25, 7),
    ]
    assert read_failpoints("") == {}


def test_a_hit_strikes_by_its_number() -> None:
    arm(read_failpoints("worker.parked=raise@2"))
    failpoint("worker.parked")
    with pytest.raises(FailpointReached, match=r"worker\.parked"):
        failpoint("worker.parked")
    failpoint("worker.parked")


def test_a_chance_is_drawn_from_its_seed() -> None:
    def struck(seed: int) -> list[int]:
        arm(read_failpoints(f"worker.parked=raise@p=0.3,seed={seed}"))
        found = []
        for number in range(200):
            try:
                failpoint("worker.parked")
            except FailpointReached:
                found.append(number)
        return found

    assert struck(1) == struck(1) != struck(2)
    assert 30 < len(struck(1)) < 90


@pytest.mark.parametrize(
    ("name", "kind"), [("OperationalError", OperationalError), ("ConnectionError", RedisConnectionError)]
)
def test_what_is_raised_is_what_the_surroundings_raise(name: str, kind: type[Exception]) -> None:
    assert name in RAISES
    arm(read_failpoints(f"worker.parked=raise:{name}"))
    with pytest.raises(kind):
        failpoint("worker.parked")


def run_armed(tmp_path: Path, value: str, code: str = "pass") -> Any:
    """A process with CONVERGE_FAILPOINTS set, that loads Django and runs `code`."""
    return subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{code}"],
        env=os.environ | {"CONVERGE_HOME": str(tmp_path), "CONVERGE_FAILPOINTS": value},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_process_does_not_start_with_an_unknown_one(tmp_path: Path) -> None:
    done = run_armed(tmp_path, "cycle.befor_commit=kill")
    assert done.returncode != 0
    assert "CONVERGE_FAILPOINTS: 'cycle.befor_commit' is no failpoint" in done.stderr


def test_a_process_says_that_they_are_on_and_dies_of_one(tmp_path: Path) -> None:
    meet = "failpoint('worker.parked')"
    code = f"from runtime.failpoints import failpoint; {meet}; {meet}; print('alive')"
    done = run_armed(tmp_path, "worker.parked=kill@2", code)
    assert done.returncode == -signal.SIGKILL
    assert "FAILPOINT ON: worker.parked=kill@2" in done.stderr
    assert "alive" not in done.stdout
