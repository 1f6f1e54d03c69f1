"""Points come in as CSV; what cannot be read is told by line and field; a series survives being cut into facts."""

from __future__ import annotations

import random

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.actions.seeds import parse_seeds
from runtime.agents import Problem
from runtime.engine.values import canonical
from runtime.packs.incident import pack
from runtime.packs.incident.reading import FEWEST_POINTS, MAX_PROBLEMS, read_points_csv, read_series_csv
from runtime.packs.incident.series import (
    CHUNK,
    make_series,
    read_chunks,
    series_to_seeds,
    to_seconds,
    to_text,
)
from tests.packs.incident_worlds import make, to_csv

ROWS = [f"2014-04-10 {at // 60:02}:{at % 60:02}:00,{at % 7}.5" for at in range(FEWEST_POINTS)]


def csv(*rows: str, header: str = "timestamp,value") -> str:
    return "\n".join([header, *ROWS, *rows]) + "\n"


def problem(text: str) -> Problem:
    _, problems = read_series_csv(text)
    (found,) = problems
    assert read_points_csv(text) == ([], problems)
    return found


def test_timestamps_and_values_become_one_series() -> None:
    (series,), problems = read_series_csv(csv(), "web")
    assert problems == []
    assert (series.name, series.length, series.step) == ("web", FEWEST_POINTS, 60)
    assert (to_text(series.times[1]), series.values[1]) == ("2014-04-10T00:01:00", 1.5)


def test_first_line_may_name_the_series() -> None:
    assert read_series_csv("# series: web 1\n" + csv())[0][0].name == "web 1"
    assert problem("# series: web 1\n" + csv("now,3")).line == FEWEST_POINTS + 3


def test_several_series_in_one_file() -> None:
    two = {"a": make("a"), "b": make("b", seed=2)}
    found, problems = read_series_csv(to_csv(two))
    assert (found, problems) == (list(two.values()), [])


def test_rows_may_come_in_any_order() -> None:
    rows = list(ROWS)
    random.Random(1).shuffle(rows)
    assert read_series_csv("timestamp,value\n" + "\n".join(rows)) == read_series_csv(csv())


def test_of_one_time_the_last_value_counts_and_no_value_is_no_point() -> None:
    (series,), _ = read_series_csv(
        csv("2014-04-10T00:03:00Z,99", "2014-04-10 05:00:00,", "2014-04-10 06:00:00,NaN")
    )
    assert (series.length, series.values[3]) == (FEWEST_POINTS, 99)


def test_times_may_have_offsets_and_be_seconds() -> None:
    assert to_seconds("2014-04-10T02:00:00+02:00") == to_seconds("2014-04-10")
    (series,), _ = read_series_csv(csv(f"{to_seconds('2014-04-11')},1"))
    assert to_text(series.times[-1]) == "2014-04-11T00:00:00"


def test_semicolons_tabs_and_a_byte_order_mark_are_read() -> None:
    for mark in ";\t":
        assert read_series_csv("\ufeff" + csv().replace(",", mark)) == read_series_csv(csv())


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        ("yesterday,3", "timestamp", "'yesterday', no time"),
        ("1969-12-31 23:59:59,3", "timestamp", "no time from 1970 on"),
        ("99999999999999999999,3", "timestamp", "no time"),
        ("2014-04-11,high", "value", "'high'; it must be a number"),
        ("2014-04-11,inf", "value", "it must be a number"),
        ("2014-04-11,1e101", "value", "it must be a number"),
        ("2014-04-11,1,2", "line", "has 3 cells where the header has 2"),
        ('2014-04-11,"1', "line", "is not CSV"),
    ],
)
def test_row_that_cannot_be_read_is_named(row: str, field: str, said: str) -> None:
    found = problem(csv(row))
    assert (found.line, found.field) == (FEWEST_POINTS + 2, field)
    assert said in found.message
    assert found.message.startswith(f"The {field} ") and found.message.endswith(".")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "is empty"),
        ("time,value\n1,2\n", 1, "The timestamp is not in the header, which names time, value"),
        ("timestamp,value,value\n", 1, "is twice in the header"),
        ("timestamp,value,host\n", 1, "The host is no column of points"),
        ("timestamp,value\n", 1, "There is a header and no row below it."),
        ("timestamp,value\n2014-04-10,1\n", 0, "series has 1 points; it takes 100"),
        (csv(",2014-04-11,1", header="series,timestamp,value"), 2, "has 2 cells where the header has 3"),
    ],
)
def test_file_that_cannot_be_read_is_named(text: str, line: int, said: str) -> None:
    found = read_series_csv(text)[1][0]
    assert found.line == line
    assert said in found.message


def test_every_row_that_cannot_be_read_is_told_up_to_a_limit() -> None:
    _, problems = read_series_csv(csv("a,1", "2014-04-11,b"))
    assert [(found.line, found.field) for found in problems] == [
        (FEWEST_POINTS + 2, "timestamp"),
        (FEWEST_POINTS + 3, "value"),
    ]
    _, problems = read_series_csv(csv(*["x,y"] * 200))
    assert len(problems) == MAX_PROBLEMS + 1
    assert "the rest was not read" in problems[-1].message


@pytest.mark.parametrize("name", ["", " ", "x" * 151, "a\u0007b"])
def test_name_that_cannot_be_a_subject_is_refused(name: str) -> None:
    found = problem(f"# series: {name}\n{csv()}")
    assert (found.line, found.field) == (1, "series")
    rows = [f"web,{row}" for row in ROWS]
    text = "\n".join(["series,timestamp,value", *rows, f"{name},2014-04-11,1"])
    assert (problem(text).line, problem(text).field) == (FEWEST_POINTS + 2, "series")


points = st.dictionaries(st.integers(0, 4_000_000_000), st.floats(-1e100, 1e100), min_size=1, max_size=40)


@settings(max_examples=50, deadline=None)
@given(points)
def test_a_series_survives_being_cut_into_facts(points: dict[int, float]) -> None:
    series = make_series("any", points.items())
    seeds = series_to_seeds(series)
    for seed in seeds:
        jsonschema_rs.validate(pack.keys["points"].schema, seed["value"])
    again = read_chunks(seed["value"] for seed in reversed(seeds))
    assert again == series


def test_the_longest_points_fit_into_a_fact() -> None:
    dice = random.Random(1)
    long = [(at * 1_000_000 + at % 3, -dice.random() * 1e-99) for at in range(CHUNK + 1)]
    seeds = series_to_seeds(make_series("x" * 150, long))
    assert [len(seed["value"]["values"]) for seed in seeds] == [CHUNK, 1]
    for seed in seeds:
        canonical(seed["value"])


def test_regular_points_cost_no_times() -> None:
    assert all("at" not in seed["value"] for seed in series_to_seeds(make()))


def test_chunk_that_does_not_say_when_is_refused() -> None:
    chunk = {"series": "web", "start": "2014-04-10T00:00:00", "values": [1, 2]}
    with pytest.raises(ValueError, match="neither `step` nor `at`"):
        read_chunks([chunk])
    with pytest.raises(ValueError, match="has 2 values at 1 times"):
        read_chunks([{**chunk, "at": [0]}])


def test_upload_is_refused_or_taken_as_a_whole() -> None:
    seeds, problems = parse_seeds(pack.spec(), csv(), "web.csv")
    assert (len(seeds), problems) == (1, [])
    seeds, problems = parse_seeds(pack.spec(), csv("2014-04-11,high"), "web.csv")
    assert (seeds, [found.line for found in problems]) == ([], [FEWEST_POINTS + 2])


@pytest.mark.parametrize("name", ["servers", "latency"])
def test_samples_can_be_submitted(name: str) -> None:
    text = pack.samples()[name].read_text("utf-8")
    seeds, problems = parse_seeds(pack.spec(), text, pack.samples()[name].name)
    assert problems == []
    assert seeds == pack.sample_seeds(name)
