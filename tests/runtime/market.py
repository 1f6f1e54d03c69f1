"""A market and backtests of its rules: the pack, jobs that a rule would change, and what is done with a backtest."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models.expressions import RawSQL
from redis import Redis

from runtime import backtesting, queue
from runtime.actions import decide_conflict
from runtime.actions.backtests import start_backtest
from runtime.agents import Pack, propose
from runtime.engine import Fact, Proposal, View
from runtime.lease import clock_sql
from runtime.models import Backtest, BacktestFlip, Conflict, GovernanceRule, Job, RuleState
from tests.runtime.fixtures import Use
from tests.runtime.stage import person, receipt, run, submit

# `market`: sources name prices and disagree; a quote is made of what stands.
market = Pack("market", tiers=["Quoted"], answer=["quote"])
market.key("price", schema={"type": "number"}, seed=True)
market.key("note", seed=True)
market.key("quote", schema={"type": "number"})
market.confidence("far ahead", keys=["price"], margin=0.4)


@market.each("price", writes=["quote"])
def quote(price: Fact, view: View) -> Proposal:
    """A tenth on top."""
    return propose("quote", price.subject, price.value * 1.1)


Said = dict[str, tuple[float, float]]  # by source: value and confidence
PLAIN: Said = {"register": (10, 0.9), "web": (10, 0.5)}
DISPUTED: Said = {"register": (10, 0.6), "web": (12, 0.7)}
OVERRULED: Said = {"register": (10, 0.5), "web": (12, 0.95)}
ELSEWHERE: Said = {"blog": (10, 0.5), "web": (12, 0.6)}


def prices(said: Said, subject: str = "tea") -> list[dict[str, Any]]:
    return [
        {
            "key": "price",
            "subject": subject,
            "value": value,
            "confidence": conf,
            "evidence": {"source": source},
        }
        for source, (value, conf) in said.items()
    ]


def job_of(said: Said, subject: str = "tea") -> Job:
    return run(submit("market", prices(said, subject)))


def decided(choice: float) -> Job:
    job = job_of(DISPUTED)
    conflict = Conflict.objects.get(job=job)
    decide_conflict(
        person("ivy", "operator"), conflict.pk, conflict.version, {"value": choice}, "", receipt()
    )
    return run(job)


def draft(kind: str = "dominance", **settings: Any) -> GovernanceRule:
    said = {"keys": ["price"], "priority": 10, "params": {"sources": ["register"]}, **settings}
    pack = GovernanceRule.objects.get(name="far ahead").pack
    return GovernanceRule.objects.create(
        pack=pack, name="register first", kind=kind, state=RuleState.DRAFT, origin="admin", position=9, **said
    )


def start(rule: GovernanceRule | None = None, **more: Any) -> Backtest:
    return start_backtest(person("otto", "operator"), (rule or draft()).pk, receipt=receipt(), **more)


def finish(backtest: Backtest) -> Backtest:
    queue.work(burst=True)
    backtest.refresh_from_db()
    return backtest


def found(backtest: Backtest) -> list[tuple[int, str, str]]:
    return sorted(BacktestFlip.objects.filter(backtest=backtest).values_list("job_id", "kind", "turn"))


def let_time_pass(backtest: Backtest, seconds: float = 20) -> None:
    at = RawSQL(f"{clock_sql()} - %s", (seconds,))
    Backtest.objects.filter(pk=backtest.pk).update(touched_at=at)


@pytest.fixture
def use_market(use_packs: Use, empty_queue: Redis) -> None:
    """Makes the market known."""
    use_packs("tests.runtime.market:market")


@pytest.fixture
def three_jobs(use_market: None, monkeypatch: pytest.MonkeyPatch, empty_queue: Redis) -> list[Job]:
    """Three jobs, each of which would be different; a slice takes one of them."""
    monkeypatch.setattr(backtesting, "SLICE_SECONDS", 0.0)
    jobs = [job_of(DISPUTED), job_of(OVERRULED), decided(10)]
    empty_queue.flushall()
    return jobs


WHOLE = [("merge", "settled"), ("merge", "another"), ("decision", "same")]


def assert_whole(backtest: Backtest, jobs: list[Job]) -> None:
    """Everything was found, and once."""
    assert (backtest.status, backtest.jobs_done, backtest.flips) == ("done", 3, 3)
    assert found(backtest) == sorted((job.pk, *kind) for job, kind in zip(jobs, WHOLE, strict=True))
