"""Growth and its tools: what an answer says while the search or the language model is out, and what it says after."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from runtime.packs.growth import pack
from runtime.tools.flaky import FlakyTools
from runtime.tools.flaky.research import find_interest
from tests.packs.driving import Played

SHOP = "Fern Street Books"
PAPER = "Local newspaper"  # the shop's channel in which interest falls


def shop(renamed: dict[str, str] | None = None, **channels: dict[str, Any]) -> list[dict[str, Any]]:
    """The sample `corner-shop`; `renamed` gives channels other names, `channels` replace fields of their values."""
    seeds = copy.deepcopy(pack.sample_seeds("corner-shop"))
    for seed in seeds:
        seed["value"].update(channels.get(seed["subject"], {}))
        seed["subject"] = (renamed or {}).get(seed["subject"], seed["subject"])
    return seeds


def tidewater(name: str = "") -> list[dict[str, Any]]:
    """The large sample; its short video ads under another name."""
    seeds = copy.deepcopy(pack.sample_seeds("tidewater"))
    for seed in seeds:
        if name and seed["subject"] == "Short video ads":
            seed["subject"] = name
    return seeds


def marks(job: Played) -> dict[str, tuple[int, int]]:
    """What the latest answer discounts: key to confidence before and after, in thousandths, of one of its facts."""
    return {mark["key"]: (mark["from"], mark["conf"]) for mark in job.entries("answer")[-1]["marks"]}


def calls(job: Played) -> dict[str, int]:
    """Requests by tool, as the record of calls tells."""
    sent = dict.fromkeys(pack.tools, 0)
    for name, requests in job.recorder.sent.items():
        sent[pack.agents[name.agent].config["tool"]] += requests
    return sent


# The corner shop


def test_the_corner_shop_converges_unaided(tools: FlakyTools) -> None:
    job = Played(pack, shop())
    assert (job.stop.reason, job.tier) == ("converged", 3)
    assert job.facts("plan")[SHOP]["spend"] == job.facts("plan.split")["budget"]["total"] <= 4_200
    assert job.facts("stance")[PAPER] == "trim"
    assert not job.entries("conflict")
    assert marks(job) == {}
    assert tools.requests("search") == 6
    assert calls(job) == {tool: tools.requests(tool) for tool in pack.tools}


def test_without_the_search_it_reaches_tier_2_and_says_what_it_lacks(tools: FlakyTools) -> None:
    tools.mode("search", "down")
    job = Played(pack, shop())
    assert (job.stop.reason, job.tier) == ("recovering", 2)
    gaps = job.entries("answer")[-1]["gaps"]
    assert {(gap["what"], gap["agent"], gap["cls"], gap["tool"], gap["transient"]) for gap in gaps} == {
        ("failed", "web-search", "server_error", "search", True)
    }
    assert {gap["item"] for gap in gaps} == set(job.facts("economics"))


def test_what_lacks_the_web_is_drawn_from_the_numbers_and_discounted(tools: FlakyTools) -> None:
    tools.mode("search", "down")
    job = Played(pack, shop())
    assert job.facts("stance")[PAPER] == "keep"
    assert job.facts("strategy")[SHOP]["unchecked"] == sorted(job.facts("economics"))
    assert job.facts("plan")[SHOP]["moves"]
    found = marks(job)
    assert set(found) == {"stance", "strategy", "plan.split", "plan", "summary"}
    assert all(after == round(before * 0.8) < before for before, after in found.values())
    assert found["summary"] == (700, 560), "what a model says of itself does not count"
    incomplete = {mark["incomplete"] for mark in job.entries("answer")[-1]["marks"]}
    assert incomplete == {"evidence.web"}


def test_when_the_search_is_back_only_what_the_web_contradicts_is_revised(tools: FlakyTools) -> None:
    tools.mode("search", "down")
    job = Played(pack, shop())
    before = job.facts("stance")
    tools.mode("search", "ok")
    assert job.retry().reason == "converged"
    assert job.tier == 3
    changed = {name: now for name, now in job.facts("stance").items() if now != before[name]}
    assert changed == {PAPER: "trim"}
    assert PAPER in job.facts("strategy")[SHOP]["cut"]
    assert job.facts("strategy")[SHOP]["unchecked"] == []
    assert marks(job) == {}
    assert [answer["tier"] for answer in job.entries("answer")][-2:] == [2, 3]
    assert calls(job) == {tool: tools.requests(tool) for tool in pack.tools}


def test_an_interrupted_job_ends_where_an_undisturbed_one_does(tools: FlakyTools) -> None:
    calm = Played(pack, shop())
    tools.mode("search", "random:0.5:x")
    job = Played(pack, shop())
    assert job.stop.reason in ("recovering", "partial")
    assert 0 < len(job.facts("evidence.web")) < 6
    tools.mode("search", "ok")
    job.act("retry", "", "")
    assert job.stop.reason == "converged"
    for key in pack.answer:
        assert job.facts(key) == calm.facts(key), key


@pytest.mark.parametrize("mode", ["refused", "bad_json", "bad_schema", "redirect"])
def test_a_search_that_waiting_cannot_mend_is_not_waited_for(tools: FlakyTools, mode: str) -> None:
    tools.mode("search", mode)
    job = Played(pack, shop())
    assert (job.stop.reason, job.tier) == ("partial", 2)
    assert tools.followed == 0


@pytest.mark.parametrize("mode", ["slow", "slow_body", "reset", "rate_limited", "server_error"])
def test_a_search_that_may_mend_is_waited_for(tools: FlakyTools, mode: str) -> None:
    tools.mode("search", mode)
    job = Played(pack, shop(), timeout=1.5)
    assert (job.stop.reason, job.tier) == ("recovering", 2)
    assert calls(job)["search"] == tools.requests("search") == 6


def test_tier_3_is_lost_when_a_channel_changes_while_the_search_is_out(tools: FlakyTools) -> None:
    job = Played(pack, shop())
    tools.mode("search", "down")
    seeds = {seed["subject"]: seed["value"] for seed in shop()}
    more = seeds["Loyalty cards"] | {"spend": 500}
    job.act("decide", "channel", "Loyalty cards", value=more)
    assert (job.stop.reason, job.tier) == ("recovering", 2)
    assert job.facts("economics")["Loyalty cards"]["spend"] == 500
    tools.mode("search", "ok")
    assert job.retry().reason == "converged"


# What the web says


def stance_of(name: str, **now: Any) -> tuple[str, dict[str, Any]]:
    """The stance on the shop's newspaper under another name, and the evidence given for it."""
    job = Played(pack, shop({PAPER: name}, **{PAPER: now}))
    said = [
        entry
        for entry in job.entries()
        if entry.get("subject") == name and entry.get("agent") == "take-stance"
    ]
    return job.facts("stance")[name], said[-1]["evidence"]


@pytest.mark.parametrize(
    ("now", "flat", "falling"),
    [
        ({"growth": 20, "margin": 12}, "scale", "grow"),
        ({"growth": 20, "margin": 6}, "grow", "keep"),
        ({"growth": 0}, "keep", "trim"),
        ({"growth": 0, "margin": 4}, "trim", "stop"),
        ({"growth": 0, "margin": 2}, "stop", "stop"),
    ],
)
def test_where_interest_falls_the_stance_is_one_step_more_careful(
    now: dict[str, Any], flat: str, falling: str
) -> None:
    names = {"flat": "Choir sponsoring", "rising": "Podcast ads", "falling": PAPER}
    assert {find_interest(name)["interest"]: name for name in names.values()} == names
    alone = {"stage": "close", "spend_growth": 0, **now}
    stance, evidence = stance_of(names["flat"], **alone)
    assert (stance, evidence["interest"]) == (flat, "flat")
    assert stance_of(names["rising"], **alone)[0] == flat, "what the numbers do not pay, interest does not"
    stance, evidence = stance_of(names["falling"], **alone)
    assert (stance, evidence["interest"]) == (falling, "falling")


def test_a_feeder_is_not_stopped_because_interest_falls() -> None:
    name = "Short print ads"
    assert find_interest(name)["interest"] == "falling"
    job = Played(pack, tidewater(name))
    job.act("decide", "outlook", name, value="saturated")
    assert job.facts("stance")[name] == "trim"
    said = [entry for entry in job.entries() if entry.get("agent") == "take-stance"]
    assert next(e for e in reversed(said) if e.get("subject") == name)["evidence"]["feeds_others"]


def test_a_stance_rests_on_its_own_channel_alone() -> None:
    """Another channel's evidence is no premise of it: it may fall without making the stance provisional."""
    job = Played(pack, shop())
    entries = job.entries()
    said = [
        entry for entry in entries if entry.get("agent") == "take-stance" and entry.get("subject") == PAPER
    ]
    premises = [entries[seq - 1] for seq in said[-1]["because"]]
    assert [e["subject"] for e in premises if e["key"] == "evidence.web"] == [PAPER]
    assert {e["subject"] for e in premises if e["key"] != "relation"} == {PAPER, SHOP}


# The summary


def test_the_written_summary_stands_and_the_plain_one_stays_beside_it(tools: FlakyTools) -> None:
    job = Played(pack, shop())
    assert job.facts("summary")[SHOP].startswith("In short: cut Local newspaper")
    beside = [entry for entry in job.entries("lost") if entry.get("agent") == "summarise"]
    assert "Interest falls in Local newspaper." in beside[-1]["value"]
    writing = [
        call for run in job.entries("run") for call in run.get("calls", ()) if call["tool"] == "writer"
    ]
    assert all(call["tokens_in"] > 50 < call["tokens_out"] + 50 and call["cost"] > 0 for call in writing)


@pytest.mark.parametrize("mode", ["down", "bad_schema"])
def test_without_the_writer_the_plain_summary_stands_at_a_discount(tools: FlakyTools, mode: str) -> None:
    tools.mode("writer", mode)
    job = Played(pack, shop())
    assert (job.stop.reason, job.tier) == ("converged", 3)
    said = job.facts("summary")[SHOP]
    assert said.startswith(job.facts("strategy")[SHOP]["headline"])
    assert "3 to back, 2 to keep, 1 to cut" in said
    assert marks(job) == {"summary": (600, 480)}


def test_a_writer_that_answers_in_another_shape_is_asked_once_more_and_no_more(tools: FlakyTools) -> None:
    tools.mode("writer", "bad_schema")
    job = Played(pack, shop())
    runs = [run for run in job.entries("run") if run.get("agent") == "write-summary" and run.get("failed")]
    assert tools.requests("writer") == 2 * len(runs)
    assert {run["failed"][0]["cls"] for run in runs} == {"bad_output"}


def test_the_plain_summary_says_what_was_not_looked_up(tools: FlakyTools) -> None:
    for tool in pack.tools:
        tools.mode(tool, "down")
    said = Played(pack, shop()).facts("summary")[SHOP]
    assert "The web was not asked about Local newspaper, Loyalty cards, Map listing and 3 more." in said


# Who signs


@pytest.mark.parametrize(("budget", "waits"), [(99_000, False), (420_000, True)])
def test_only_a_plan_of_100_000_and_more_is_signed(budget: float, waits: bool) -> None:
    seeds = tidewater()
    seeds[0]["value"]["budget"] = budget
    job = Played(pack, seeds)
    for channel in ("Short video ads", "Trade fairs"):
        job.act("decide", "outlook", channel, value="promising")
    assert (job.facts("plan.split")["budget"]["total"] >= 100_000) is waits
    assert bool(job.facts("plan")) is not waits
    assert job.stop.reason == ("waiting" if waits else "converged")


def test_relations_and_the_web_are_required_and_the_writer_is_not() -> None:
    needed = {agent.name: agent.required for agent in pack.spec().agents}
    assert needed["relationships"]
    assert needed["web-search"]
    assert not needed["write-summary"]
    assert pack.default_sample == "tidewater"
