"""The pack `incident`: detectors disagree, rules and people settle it, and all that follows rests on what stands."""

from __future__ import annotations

import math
from typing import Any

import jsonschema_rs
import orjson
import pytest

from runtime.agents import find_pack
from runtime.lint_pack import lint_pack
from runtime.packs.incident import pack
from runtime.packs.incident.detectors import DETECTORS
from runtime.packs.incident.series import to_text
from runtime.packs.incident.verdicts import weigh_odds
from tests.packs.driving import Played
from tests.packs.incident_worlds import (
    BEGIN,
    DAY,
    STEP,
    closest,
    make,
    play,
    seeds_of,
    spike,
    state,
)

AT = 9 * DAY + 17
ELB = "elb_request_count_8c0756 since 2014-04-22T19:34:00"
CC0 = "rds_cpu_utilization_cc0c53 since 2014-02-25T07:15:00"
E47 = "rds_cpu_utilization_e47b3b since 2014-04-18T23:27:00"
E47_FIRST = "rds_cpu_utilization_e47b3b since 2014-04-13T06:52:00"


@pytest.fixture(scope="module")
def sample() -> list[dict[str, Any]]:
    return pack.sample_seeds()


@pytest.fixture
def job(sample: list[dict[str, Any]]) -> Played:
    """The sample, run until it waits for people."""
    return Played(pack, sample)


def said_of_verdicts(job: Played) -> dict[str, str]:
    """What each agent said of the one candidate there is."""
    slots = job.core.ledger.keys["verdict"].slots.values()
    return {said.voice.agent: orjson.loads(said.raw) for slot in slots for said in slot.cands}


# The pack


def test_it_is_found_and_lint_has_nothing_to_say() -> None:
    assert find_pack("incident") is pack
    assert lint_pack(pack.spec()) == []
    assert len(DETECTORS) >= 4


def test_the_sample_fits_the_schemas_and_what_agents_say_too(job: Played) -> None:
    schemas = {key.name: dict(key.schema) for key in job.spec.keys}
    assert not job.entries("rejected")
    for fact in job.core.facts():
        jsonschema_rs.validate(schemas[fact.key], fact.value)


# From signals to verdicts


def test_detectors_disagree_and_a_nearly_certain_one_prevails() -> None:
    job = play(make(change=spike(AT)))
    subject, value = closest(job, "verdict")
    words = said_of_verdicts(job)
    assert len(words) == len(DETECTORS)
    assert set(words.values()) == {"incident", "normal"}
    assert value == "incident"
    assert job.facts("candidate")[subject]["since"] == "2014-05-22T19:50:00"
    deciding = {step["rule"] for entry in job.entries("lost") for step in entry["trace"] if step["decided"]}
    assert deciding == {"nearly certain"}


def test_too_close_to_call_is_left_to_people(job: Played) -> None:
    assert job.stop.reason == "waiting"
    assert state(job, "verdict")["contested"] == [ELB, E47]
    assert job.tier == 1
    assert set(job.facts("verdict")) == {
        CC0,
        E47_FIRST,
        "rds_cpu_utilization_e47b3b since 2014-04-22T11:27:00",
    }


def test_nothing_rests_on_what_is_undecided(job: Played) -> None:
    about = {subject for key in ("cause", "severity", "status") for subject in job.facts(key)}
    assert not {ELB, E47, "elb_request_count_8c0756", "rds_cpu_utilization_e47b3b"} & about


def test_the_setting_says_how_even_the_odds_must_be_to_ask(sample: list[dict[str, Any]]) -> None:
    def asked(odds: float) -> int:
        seeds = [{**seed, "value": odds} if seed["key"] == "setting" else seed for seed in sample]
        return len(state(Played(pack, seeds), "verdict")["contested"])

    assert (asked(1), asked(2), asked(1000)) == (0, 2, 3)


@pytest.mark.parametrize(
    ("found", "looked", "odds"),
    [
        ([], 6, 1 / 6),
        ([0.95], 6, 19 / 6),
        ([0.9, 0.9], 6, 27 / 6),
        ([0.5, 0.5, 0.5], 6, 1 / 6),
        ([0.8], 1, 4),
    ],
)
def test_further_detectors_count_half_and_many_looks_count_against(
    found: list[float], looked: int, odds: float
) -> None:
    assert math.exp(weigh_odds(found, looked)) == pytest.approx(odds)


def test_detector_that_cannot_judge_says_nothing() -> None:
    job = play(make(days=3, change=spike(2 * DAY)))
    assert len(job.facts("candidate")) == 1
    assert set(said_of_verdicts(job)) >= {"spikes-says", "forecast-says"}
    assert "season-says" not in said_of_verdicts(job)


# Decisions and determinism


def test_people_settle_the_sample(job: Played) -> None:
    for subject, word in ((ELB, "incident"), (E47, "normal")):
        job.act("decide", "verdict", subject, value=word)
    for subject in state(job, "severity")["held"]:
        job.act("approve", "severity", subject)
    assert (job.stop.reason, job.tier) == ("converged", 3)
    assert {name: value["state"] for name, value in job.facts("status").items()} == {
        "elb_request_count_8c0756": "was in trouble",
        "rds_cpu_utilization_cc0c53": "in trouble",
        "rds_cpu_utilization_e47b3b": "in trouble",
    }


def test_the_same_points_give_the_same_digest_however_they_are_cut(sample: list[dict[str, Any]]) -> None:
    digests = {Played(pack, sample).core.digest for _ in range(2)}
    assert len(digests) == 1
    whole = play(make(change=spike(AT)))
    seeds = seeds_of(make(change=spike(AT)))
    first = seeds[0]["value"]
    parts = [
        {**first, "values": first["values"][:700]},  # type: ignore[index,dict-item]
        {**first, "values": first["values"][700:], "start": _later(700)},  # type: ignore[index,dict-item]
    ]
    cut = [{"key": "points", "subject": f"part {n}", "value": part} for n, part in enumerate(parts)]
    again = Played(pack, [*cut, *seeds[1:]])
    assert (again.facts("verdict"), again.facts("extent")) == (whole.facts("verdict"), whole.facts("extent"))


def _later(points: int) -> str:
    return to_text(BEGIN + points * STEP)


def test_points_that_do_not_say_when_stop_the_series_and_no_other() -> None:
    broken = {
        "key": "points",
        "subject": "odd",
        "value": {"series": "odd", "start": "2014-04-10T00:00:00", "values": [1]},
    }
    job = Played(pack, [*seeds_of(make(seed=3)), broken])
    assert job.stop.reason == "partial"
    assert list(job.facts("status")) == ["web"]


def test_every_agent_is_documented_for_people() -> None:
    for agent in pack.agents.values():
        assert agent.title and agent.description, agent.name
