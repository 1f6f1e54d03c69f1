"""`manage.py score_incidents`: the real job on any series, beside labels it never sees."""

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.packs.incident import pack
from runtime.packs.incident.score import Score, find_outliers, score_spans
from runtime.packs.incident.series import Series, series_to_seeds, to_text
from runtime.rehearsal import Rehearsal
from tests.commands.said import call
from tests.packs.incident_worlds import BEGIN, DAY, STEP, make, spike, to_csv

AT = 9 * DAY + 17
SAMPLES = Path(pack.samples_folder or "")


def window(first: int, last: int) -> list[str]:
    return [to_text(BEGIN + first * STEP), to_text(BEGIN + last * STEP)]


def write(folder: Path, series: dict[str, Series], windows: Any) -> tuple[str, ...]:
    """Arguments for these series in one file, and their windows."""
    points, labels = folder / "points.csv", folder / "windows.json"
    points.write_text(to_csv(series))
    labels.write_text(windows if isinstance(windows, str) else json.dumps(windows))
    return str(points), "--windows", str(labels)


def score(*arguments: str) -> list[dict[str, Any]]:
    said = call("score_incidents", *arguments, "--json")
    assert said.status == 0, said.err
    found: list[dict[str, Any]] = json.loads(said.out)
    return found


def test_windows_hit_and_false_alarms_are_counted_for_each_series(tmp_path: Path) -> None:
    series = {"right": make("right", change=spike(AT)), "wrong": make("wrong", seed=2, change=spike(AT))}
    windows = {"right": [window(AT - 9, AT + 9), window(0, 9)], "wrong.csv": [window(0, 9)]}
    right, wrong = score(*write(tmp_path, series, windows))
    assert (right["series"], right["points"], right["windows"], right["left"]) == ("right", 14 * DAY, 2, 0)
    assert right["incidents"] == {"found": 1, "hit": 1, "false_alarms": 0}
    assert wrong["incidents"] == {"found": 1, "hit": 0, "false_alarms": 1}
    assert wrong["baseline"]["false_alarms"] >= 1


def test_it_is_the_job_itself_that_is_scored(tmp_path: Path) -> None:
    series = make("web", change=spike(AT))
    seeds = [{"key": "setting", "subject": "odds", "value": 2.0}, *series_to_seeds(series)]
    job = Rehearsal(pack.spec(), seeds)
    job.run()
    (found,) = score(*write(tmp_path, {"web": series}, {}))
    assert (found["digest"], found["status"], found["windows"]) == (job.core.digest, "converged", None)


def test_what_is_left_to_people_depends_on_the_odds() -> None:
    sample = (str(SAMPLES / "latency.csv"), "--windows", str(SAMPLES / "truth" / "windows.json"))
    (bold,), (careful,) = score(*sample, "--odds", "1"), score(*sample, "--odds", "2")
    assert (bold["left"], bold["asked"], bold["incidents"]["hit"]) == (0, 0, 3)
    assert (careful["left"], careful["asked"], careful["incidents"]["hit"]) == (0.25, 1, 2)
    assert bold["windows"] == careful["windows"] == 3


def test_outcome_is_told_as_a_table_with_totals(tmp_path: Path) -> None:
    series = {"a": make("a", change=spike(AT)), "b": make("b", seed=2), "c": make("c", seed=3)}
    said = call("score_incidents", *write(tmp_path, series, {"a": [window(AT, AT)], "b": []}))
    header, a, b, c, total = said.out.splitlines()
    assert header.split()[:4] == ["series", "points", "windows", "hit"]
    assert a.split()[:7] == ["a", str(14 * DAY), "1", "1", "0", "0", "0%"]
    assert b.split()[:6] == ["b", str(14 * DAY), "0", "0", "0", "0"]
    assert "not labelled" in c
    assert total.split()[:4] == ["all", str(28 * DAY), "1", "1"]


def test_series_without_a_name_is_called_after_its_file(tmp_path: Path) -> None:
    arguments = write(tmp_path, {"x": make(change=spike(AT))}, {"points.csv": [window(AT, AT)]})
    text = Path(arguments[0]).read_text().replace("series,", "", 1).replace("\nx,", "\n")
    Path(arguments[0]).write_text(text)
    (found,) = score(*arguments)
    assert (found["series"], found["incidents"]["hit"]) == ("points", 1)


@pytest.mark.parametrize(
    ("found", "windows", "score"),
    [
        ([], [(5, 9)], Score(0, 0, 0)),
        ([(1, 5)], [(5, 9)], Score(1, 1, 0)),
        ([(1, 4)], [(5, 9)], Score(1, 0, 1)),
        ([(1, 6), (8, 9), (20, 21)], [(5, 9), (11, 12)], Score(3, 1, 1)),
        ([(1, 20)], [(5, 9), (11, 12)], Score(1, 2, 0)),
    ],
)
def test_spans_and_windows_meet_in_a_second_they_share(found: Any, windows: Any, score: Score) -> None:
    assert score_spans(found, windows) == score


def test_baseline_takes_three_standard_deviations() -> None:
    def raised(points: int) -> Series:
        """40 of 2,016 lie seven deviations off, 300 under three."""
        return make(change=lambda at, _: 1.0 if AT <= at < AT + points else 0.0)

    assert find_outliers(raised(40)) == [(BEGIN + AT * STEP, BEGIN + (AT + 39) * STEP)]
    assert find_outliers(raised(300)) == []
    assert find_outliers(make(change=lambda at, value: 1.0)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "It is no object"),
        ("{", "It is not JSON"),
        ('{"a": 1}', "a: 1 is no window"),
        ('{"a": [["2014-04-10"]]}', "is no window"),
        ('{"a": [["2014-04-10", "noon"]]}', "is no window"),
        ('{"a": [["2014-04-11", "2014-04-10"]]}', "ends before it begins"),
    ],
)
def test_windows_that_cannot_be_read_are_said(tmp_path: Path, text: str, said: str) -> None:
    found = call("score_incidents", *write(tmp_path, {"a": make("a")}, text))
    assert (found.status, found.out) == (2, "")
    assert said in found.err


def test_points_that_cannot_be_read_are_said_by_line(tmp_path: Path) -> None:
    points, *windows = write(tmp_path, {"a": make("a")}, {})
    Path(points).write_text("timestamp,value\nnoon,1\n")
    found = call("score_incidents", points, *windows)
    assert (found.status, found.out) == (2, "")
    assert "cannot be scored.\n  line 2: The timestamp is 'noon'" in found.err
    assert "No such file" in call("score_incidents", str(tmp_path / "none.csv"), *windows).err


@pytest.mark.parametrize("odds", ["0", "1001", "nan", "some"])
def test_odds_must_lie_between_1_and_1000(tmp_path: Path, odds: str) -> None:
    found = call("score_incidents", *write(tmp_path, {}, {}), f"--odds={odds}")
    assert "is no number from 1 to 1000" in found.err
