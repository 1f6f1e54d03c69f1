"""Each detector finds its kind of trouble, nothing in quiet series, and the same whatever the unit."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.packs.incident.detectors import DETECTORS, FARTHEST, deviate
from runtime.packs.incident.rarity import Stretch, block_length, can_judge, find_stretches
from runtime.packs.incident.series import Series, make_series
from tests.packs.incident_worlds import BEGIN, DAY, STEP, freeze, gap, make, shift, spike

AT = 9 * DAY + 17
KINDS = sorted(DETECTORS)


def find(name: str, series: Series, sure: float = 0.5) -> list[Stretch]:
    """What a detector finds, and is that sure of."""
    return [found for found in find_stretches(DETECTORS[name](series)) if found.confidence >= sure]


def rhythm_missed(at: int, value: float) -> float:
    """One day stays flat where others rise and fall."""
    return value - 5 * math.sin(at / DAY * math.tau) if 10 * DAY <= at < 11 * DAY else value


@pytest.mark.parametrize(
    ("kind", "series", "at"),
    [
        ("spikes", make(change=spike(AT)), AT),
        ("forecast", make(change=spike(AT)), AT),
        ("forecast", make(rhythm=5, change=spike(AT)), AT),
        ("shifts", make(change=shift(AT)), AT + 20),
        ("change", make(change=shift(AT)), AT),
        ("season", make(rhythm=5, change=rhythm_missed), 10 * DAY + DAY // 4),
        ("silence", make(change=freeze(AT)), AT + 30),
    ],
)
def test_planted_trouble_is_found_where_it_is_and_nowhere_else(kind: str, series: Series, at: int) -> None:
    (found,) = find(kind, series, 0.9)
    assert found.first <= at <= found.last


def test_gap_is_found_from_the_last_point_before_it() -> None:
    series = make(change=gap(AT))
    (found,) = find("silence", series)
    assert series.times[found.first] == BEGIN + (AT - 1) * STEP
    assert series.times[found.last] == BEGIN + (AT + 40) * STEP


def test_each_kind_is_blind_to_what_another_sees() -> None:
    worlds = {
        "spike": make(change=spike(AT)),
        "shift": make(change=shift(AT)),
        "freeze": make(change=freeze(AT)),
    }
    seen = {world: {kind for kind in KINDS if find(kind, series, 0.9)} for world, series in worlds.items()}
    assert {"spikes", "forecast"} <= seen["spike"] and not {"shifts", "change", "silence"} & seen["spike"]
    assert {"shifts", "change"} <= seen["shift"] and not {"spikes", "silence"} & seen["shift"]
    assert seen["freeze"] == {"silence"}


def test_direction_is_told_by_the_sign() -> None:
    for kind, up, down in (
        ("spikes", spike(AT), spike(AT, -30)),
        ("shifts", shift(AT), shift(AT, -6)),
        ("change", shift(AT), shift(AT, -6)),
    ):
        assert find(kind, make(change=up))[0].figure > 0 > find(kind, make(change=down))[0].figure, kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 1e-300, 42.5])
def test_constant_series_gives_nothing(kind: str, value: float) -> None:
    assert find(kind, make(change=lambda at, _: value), 0) == []
    assert find(kind, make(change=lambda at, _: value if at < 70 else None), 0) == []


@pytest.mark.parametrize("kind", KINDS)
def test_mere_noise_is_hardly_ever_called_nearly_certain(kind: str) -> None:
    found = [find(kind, make(seed=seed, days=8, rhythm=seed % 2 * 5), 0.9) for seed in range(12)]
    assert sum(map(len, found)) <= 1


def test_one_other_value_in_a_constant_series_is_found() -> None:
    (found,) = find("spikes", make(change=lambda at, _: 7.0 if at == AT else 3.0), 0.9)
    assert (found.first, found.last) == (AT, AT)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [2.0**-30, 1024.0])
def test_the_unit_of_the_values_does_not_matter(kind: str, factor: float) -> None:
    series = make(rhythm=3, change=lambda at, value: spike(AT)(at, shift(AT + DAY)(at, value) or 0))
    scaled = replace(series, values=tuple(value * factor for value in series.values))
    assert find(kind, scaled, 0) == find(kind, series, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_does_where_zero_lies(kind: str) -> None:
    series = make(change=spike(AT))
    moved = replace(series, values=tuple(value + 4096 for value in series.values))
    figures = zip(DETECTORS[kind](series).figures, DETECTORS[kind](moved).figures, strict=True)
    assert all(one == pytest.approx(other, abs=1e-6) for one, other in figures)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_detector_cannot_judge_it_says_so_of(kind: str) -> None:
    short = make_series("short", [(BEGIN + at * 3600, float(at % 7)) for at in range(30)])
    reading = DETECTORS[kind](short)
    assert len(reading.figures) == 30
    assert not can_judge(reading)
    assert find_stretches(reading) == []


def test_season_needs_days_and_says_from_when_it_can_judge() -> None:
    assert DETECTORS["season"](make(days=14)).blind == 3 * DAY
    assert not can_judge(DETECTORS["season"](make(days=3)))


@pytest.mark.parametrize(("step", "day"), [(10, 0), (30, 2880), (300, 288), (3600, 24), (7200, 0)])
def test_a_day_is_known_where_it_has_neither_too_few_points_nor_too_many(step: int, day: int) -> None:
    assert make_series("any", [(at * step, 0.0) for at in range(9)]).day == day


def test_two_points_centuries_apart_cost_no_memory() -> None:
    points = [(at * STEP, float(at % 5)) for at in range(8 * DAY)] + [(250_000_000_000, 1.0)]
    assert [found.peak for found in find("silence", make_series("far", points))] == [8 * DAY - 1]
    assert DETECTORS["season"](make_series("far", points)).blind == 3 * DAY


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-1e100, 1e100), min_size=90, max_size=200),
    st.sampled_from([1, 60, 3600]),
)
def test_any_series_is_read_in_finite_figures(values: list[float], step: int) -> None:
    series = make_series("any", [(at * step, value) for at, value in enumerate(values)])
    for kind, detect in DETECTORS.items():
        reading = detect(series)
        assert len(reading.figures) == len(values), kind
        assert all(map(math.isfinite, reading.figures)), kind
        for found in find_stretches(reading):
            assert 0 <= found.first <= found.peak <= found.last < len(values)
            assert 0 <= found.confidence <= 0.95


def test_a_deviation_is_bounded_and_none_where_nothing_moves() -> None:
    assert deviate(1e100, 0, 1e-300, 0) == FARTHEST
    assert deviate(5, 5, 0, 0) == deviate(6, 5, 0, 0) == 0


def test_stretches_nearer_than_a_block_are_one() -> None:
    block = block_length(14 * DAY)

    def twice(apart: int) -> Series:
        return make(change=lambda at, value: value + 30 if at in (AT, AT + apart) else value)

    assert len(find("spikes", twice(block))) == 1
    assert len(find("spikes", twice(2 * block))) == 2
