"""The head of the job page: status with its reason, the tier ladder, what it has used of its budget."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from converge_site.fragments.moment import Moment
from converge_site.fragments.words import Look, look_of_status
from runtime.models import Job


@dataclass(frozen=True, slots=True)
class Tier:
    """A rung. `state`: "reached", "climbing" (the next one of a job at work) or "ahead"."""

    number: int
    name: str
    description: str
    state: str


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget bar; `near` from four fifths on."""

    name: str
    used: int
    limit: int
    text: str

    @property
    def near(self) -> bool:
        """Whether little of it is left."""
        return self.used >= self.limit * 0.8


@dataclass(frozen=True, slots=True)
class Header:
    """Everything the header shows besides the job's own row."""

    look: Look
    tiers: list[Tier]
    budgets: list[Budget]
    took: float | None


def read_header(job: Job, moment: Moment | None = None) -> Header:
    """The header of a job. Of a moment nothing else is asked: `job` is the row as it was then."""
    spec = job.frozen_spec()
    return Header(
        look_of_status(job.status), _tiers(job, spec["tiers"]), _budgets(job, spec["budget"]), _took(job)
    )


def _tiers(job: Job, tiers: list[dict[str, str]]) -> list[Tier]:
    def state(number: int) -> str:
        if number <= job.tier:
            return "reached"
        return "climbing" if number == job.tier + 1 and job.is_active else "ahead"

    return [
        Tier(number, tier["name"], tier.get("description", ""), state(number))
        for number, tier in enumerate(tiers, start=1)
    ]


def _budgets(job: Job, budget: dict[str, float]) -> list[Budget]:
    used = {"cycles": job.cycle, "facts": job.facts, "seconds": job.ran_seconds}
    # Most jobs ask no tool, and need no bar for it.
    used |= {name: amount for name, amount in (("calls", job.calls), ("tokens", job.tokens)) if amount}
    names = {
        "cycles": "Cycles",
        "facts": "Facts",
        "seconds": "Time",
        "calls": "Tool calls",
        "tokens": "Tokens",
    }
    bars = []
    for name, amount in used.items():
        # The count of cycles restarts at outside input; over its life a job has the lifetime cap (D2.7).
        limit = budget.get("lifetime_cycles" if name == "cycles" and amount > budget["cycles"] else name, 0)
        if not limit:
            continue
        unit = " s" if name == "seconds" else ""
        shown = f"{amount:.1f}" if name == "seconds" and amount < 100 else f"{amount:,.0f}"
        bars.append(Budget(names[name], round(amount), round(limit), f"{shown} / {limit:,.0f}{unit}"))
    return bars


def _took(job: Job) -> float | None:
    """Seconds from start to settling, for a job that has settled and does not go on by itself."""
    if job.started_at is None or job.settled_at is None or job.is_active or job.status == "recovering":
        return None
    return max(dt.timedelta(), job.settled_at - job.started_at).total_seconds()
