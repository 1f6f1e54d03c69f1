"""Series made up for tests: noise of a fixed seed, with or without a daily rhythm, and trouble planted in it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from runtime.packs.incident import pack
from runtime.packs.incident.series import Series, make_series, series_to_seeds
from tests.packs.driving import Played

BEGIN = 1_400_000_400  # 2014-05-13T17:00:00
STEP = 600
DAY = 86_400 // STEP  # points
DAYS = 14


def make_points(
    seed: int = 1,
    days: int = DAYS,
    *,
    rhythm: float = 0.0,
    change: Callable[[int, float], float | None] = lambda at, value: value,
) -> list[tuple[int, float]]:
    """(time, value) of Gaussian noise around 50 with deviation 1, and a daily sine of height `rhythm`.

    `change(place, value)` gives the value there, None for a point that never came.
    """
    dice = random.Random(seed)
    points = []
    for at in range(days * DAY):
        value = change(at, 50 + rhythm * math.sin(at / DAY * math.tau) + dice.gauss(0, 1))
        if value is not None:
            points.append((BEGIN + at * STEP, round(value, 3)))
    return points


def make(name: str = "web", **how: object) -> Series:
    """The same as a series."""
    return make_series(name, make_points(**how))  # type: ignore[arg-type]


def spike(at: int, height: float = 30.0, width: int = 2) -> Callable[[int, float], float | None]:
    return lambda place, value: value + height if at <= place < at + width else value


def shift(at: int, height: float = 6.0) -> Callable[[int, float], float | None]:
    return lambda place, value: value + height if place >= at else value


def gap(at: int, width: int = 40) -> Callable[[int, float], float | None]:
    return lambda place, value: None if at <= place < at + width else value


def freeze(at: int, width: int = 60) -> Callable[[int, float], float | None]:
    return lambda place, value: 50.0 if at <= place < at + width else value


def seeds_of(*series: Series, **servers: str) -> list[dict[str, Any]]:
    """Seeds of a job on these series; `servers` gives their importance by name."""
    seeds: list[dict[str, Any]] = [seed for one in series for seed in series_to_seeds(one)]
    return seeds + [
        {"key": "server", "subject": name, "value": {"importance": importance}}
        for name, importance in servers.items()
    ]


def to_csv(series: Mapping[str, Series]) -> str:
    """`series,timestamp,value` of several series, timestamps as seconds."""
    rows = [
        f"{name},{time},{value}"
        for name, one in series.items()
        for time, value in zip(one.times, one.values, strict=True)
    ]
    return "\n".join(["series,timestamp,value", *rows]) + "\n"


def play(*series: Any, **servers: str) -> Played:
    return Played(pack, seeds_of(*series, **servers))


def state(job: Played, key: str) -> dict[str, list[str]]:
    """The subjects of a key that are contested, and that are held."""
    slots = job.core.ledger.keys[key]
    return {
        "contested": sorted(slot.subject for slot in slots.contested),
        "held": sorted(slot.subject for slot in slots.held),
    }


def closest(job: Played, key: str) -> tuple[str, Any]:
    """The one fact of a key."""
    ((subject, value),) = job.facts(key).items()
    return subject, value
