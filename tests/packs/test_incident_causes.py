"""What follows from an incident that stands: cause, episode, severity, its signature, and the status of a series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from runtime.packs.incident.causes import find_grounds, read_shape
from tests.packs.incident_worlds import DAY, closest, freeze, gap, make, play, shift, spike, state

AT = 9 * DAY + 17


def test_quiet_series_converges_and_is_well() -> None:
    job = play(make(seed=3, rhythm=5))
    assert (job.stop.reason, job.tier) == ("converged", 3)
    assert job.facts("candidate") == {}
    assert job.facts("status")["web"]["state"] == "well"


def test_series_too_short_to_judge_is_not_called_well() -> None:
    job = play(make(change=lambda at, value: value if at < 40 else None))
    assert job.facts("status")["web"]["state"] == "too short to tell"


def test_lasting_change_is_in_trouble_until_its_signature_nothing_more() -> None:
    job = play(make(change=shift(AT, 20)), web="high")
    subject, _ = closest(job, "verdict")
    assert job.facts("cause") == {subject: "lasting change"}
    assert state(job, "severity")["held"] == [subject]
    assert job.facts("status")["web"] == {
        "state": "in trouble",
        "since": job.facts("candidate")[subject]["since"],
        "why": "lasting change",
        "severity": "",
        "incidents": 1,
    }


@pytest.mark.parametrize(
    ("change", "cause", "status"),
    [
        (spike(AT), "burst", "was in trouble"),
        (spike(AT, -30), "drop", "was in trouble"),
        (gap(AT), "data stopped", "was in trouble"),
        (freeze(14 * DAY - 70, 70), "data stopped", "in trouble"),
    ],
)
def test_shape_tells_the_cause(change: Any, cause: str, status: str) -> None:
    job = play(make(change=change))
    assert list(job.facts("cause").values()) == [cause]
    assert (job.facts("status")["web"]["state"], job.facts("status")["web"]["why"]) == (status, cause)


def test_peaks_at_the_same_hour_of_other_days_are_a_habit() -> None:
    def nightly(at: int, value: float) -> float:
        heights = {AT: 60.0, AT - 2 * DAY: 14.0, AT - 4 * DAY: 14.0, AT + 2 * DAY: 14.0, AT - DAY: 14.0}
        return value + heights.get(at, 0)

    job = play(make(change=nightly))
    (subject,) = (s for s, value in job.facts("candidate").items() if value["since"] == "2014-05-22T19:50:00")
    said = [entry for entry in job.entries() if entry.get("agent") == "judge-by-habit" and "subject" in entry]
    assert {(entry["subject"], entry["value"]) for entry in said} >= {(subject, "recurring job")}


def test_incidents_of_several_series_at_once_are_an_episode_with_a_shared_cause() -> None:
    job = play(
        make("db", change=shift(AT, 20)),
        make("web", seed=2, change=shift(AT + 3, 20)),
        make("far", seed=3, change=spike(3 * DAY)),
    )
    _, episode = closest(job, "episode")
    assert episode["series"] == ["db", "web"]
    assert len(episode["incidents"]) == 2
    assert episode["first"] in ("db", "web")
    said = {entry["subject"] for entry in job.entries() if entry.get("value") == "shared cause"}
    assert said == set(episode["incidents"])


def test_incidents_at_other_times_are_no_episode() -> None:
    job = play(make("db", change=spike(AT)), make("web", seed=2, change=spike(AT + DAY)))
    assert len(job.facts("verdict")) == 2
    assert job.facts("episode") == {}


def test_a_verdict_that_falls_takes_all_that_rests_on_it_along() -> None:
    job = play(make("db", change=shift(AT, 20)), make("web", seed=2, change=shift(AT + 3, 20)))
    (subject,) = (subject for subject in job.facts("verdict") if subject.startswith("web"))
    assert job.facts("episode")
    job.act("decide", "verdict", subject, value="normal", reason="planned")
    assert job.facts("episode") == {}
    assert subject not in job.facts("cause") and subject not in job.facts("severity")
    assert job.facts("status")["web"]["state"] == "well"
    assert "shared cause" not in job.facts("cause").values()


# Severity and its signature


def test_critical_stands_only_once_it_is_signed() -> None:
    job = play(make(change=shift(AT, 20)), web="high")
    subject, _ = closest(job, "verdict")
    assert (job.stop.reason, job.tier) == ("waiting", 2)
    assert job.facts("severity") == {}
    job.act("approve", "severity", subject)
    assert job.facts("severity") == {subject: "critical"}
    assert job.facts("status")["web"]["severity"] == "critical"
    assert (job.stop.reason, job.tier) == ("converged", 3)


def test_refused_critical_never_stands() -> None:
    job = play(make(change=shift(AT, 20)), web="high")
    subject, _ = closest(job, "verdict")
    job.act("refuse", "severity", subject)
    assert job.facts("severity") == {}
    assert job.stop.reason == "partial"


def test_less_than_critical_needs_no_signature() -> None:
    job = play(make(change=spike(AT, 12)), web="low")
    assert list(job.facts("severity").values()) == ["minor"]
    assert job.stop.reason == "converged"


@pytest.mark.parametrize(
    ("change", "importance", "shared", "points"),
    [
        ({}, "usual", False, 0),
        ({"deviation": -9.0}, "usual", False, 1),
        ({"deviation": 25.0}, "high", False, 3),
        ({"deviation": 25.0, "ended": False}, "low", True, 3),
    ],
)
def test_severity_adds_up(change: Mapping[str, Any], importance: str, shared: bool, points: int) -> None:
    extent = {"deviation": 3.0, "ended": True, **change}
    assert sum(find_grounds("burst", extent, importance, shared).values()) == points


def test_a_level_that_moved_for_hours_is_no_burst() -> None:
    extent = {"shift": 4.0, "deviation": 9.0, "hours": 7, "ended": True}
    assert read_shape({"found_by": ["shifts"]}, extent) == ("lasting change", 0.7)
    assert read_shape({"found_by": ["shifts"]}, {**extent, "hours": 2}) == ("burst", 0.6)
