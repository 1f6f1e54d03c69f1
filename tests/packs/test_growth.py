"""The growth pack, from the sample to a signed plan."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema_rs
import pytest

from runtime.agents import find_pack
from runtime.packs.growth import pack
from tests.packs.driving import Played

COMPANY = "Tidewater Bicycles"
BIG, CLOSE = "Short video ads", "Trade fairs"  # the two that the sample leaves to an operator


def sample(company: dict[str, Any] | None = None, **channels: dict[str, Any]) -> list[dict[str, Any]]:
    """The shipped sample; `company` and channels by name replace fields of their values."""
    seeds = copy.deepcopy(pack.sample_seeds())
    for seed in seeds:
        seed["value"].update(
            (company or {}) if seed["key"] == "company" else channels.get(seed["subject"], {})
        )
    return seeds


@pytest.fixture
def job() -> Played:
    """The sample, run until it waits for people."""
    return Played(pack, sample())


def decide(job: Played, big: str = "saturated", close: str = "saturated") -> Played:
    job.act("decide", "outlook", BIG, value=big)
    job.act("decide", "outlook", CLOSE, value=close)
    return job


def test_it_is_found_and_has_eight_agents_over_three_tiers() -> None:
    assert find_pack("growth") is pack
    spec = pack.spec()
    assert len(spec.agents) >= 8
    assert {agent.tier for agent in spec.agents} == {1, 2, 3}
    assert {agent.shape for agent in spec.agents} == {"whole", "each", "grouped", "aggregate"}


def test_the_sample_fits_the_schemas_and_has_a_dozen_channels() -> None:
    seeds = sample()
    assert len([seed for seed in seeds if seed["key"] == "channel"]) >= 12
    for seed in seeds:
        jsonschema_rs.validate(pack.keys[seed["key"]].schema, seed["value"])


def test_a_form_can_be_made_from_the_seed_schemas() -> None:
    for key in pack.keys.values():
        if not key.seed:
            continue
        assert key.title, key.name
        assert key.description, key.name
        for name, field in key.schema["properties"].items():
            assert {"title", "description", "default", "examples"} <= set(field), name
            jsonschema_rs.validate(field, field["default"])
            if field["type"] == "number":
                assert {"unit", "minimum", "maximum"} <= set(field), name


def test_one_agent_sees_promise_at_06_where_another_sees_saturation_at_09(job: Played) -> None:
    said = {
        entry["agent"]: (entry["value"], entry["conf"])
        for entry in job.entries()
        if entry.get("subject") == BIG
        and entry.get("key") == "outlook"
        and "agent" in entry
        and "value" in entry
    }
    assert said == {"opportunity": ("promising", 600), "headroom": ("saturated", 900)}


def test_the_sample_waits_for_two_decisions_and_no_more(job: Played) -> None:
    assert job.stop.reason == "waiting"
    assert [cause["subject"] for cause in job.stop.causes] == [BIG, CLOSE]
    assert job.tier == 1


def test_a_clear_margin_decides_without_anybody(job: Played) -> None:
    won = [entry for entry in job.entries("won") if entry["subject"] == "Brand search"]
    assert [entry["value"] for entry in won] == ["saturated"]
    assert any(step["rule"] == "clear margin" and step["decided"] for step in won[0]["trace"])


def test_small_stakes_are_weighed_and_large_ones_are_not(job: Played) -> None:
    assert job.facts("outlook")["Podcasts"] == "promising"
    ruled = [entry for entry in job.entries("won") if entry.get("agent") == "weigh"]
    assert [entry["subject"] for entry in ruled] == ["Podcasts"]
    traces = {
        entry["subject"]: {step["rule"]: step["why"] for step in entry["trace"]}
        for entry in job.entries("conflict")
        if entry["action"] != "closed"
    }
    assert "condition does not hold" in traces[BIG]["small stakes are weighed"]
    assert "abstained" in traces[CLOSE]["small stakes are weighed"]


def test_the_stake_decides_who_decides() -> None:
    """The same channel at half its size, and no more in others' way, is ruled by the agent."""
    job = Played(pack, sample(**{BIG: {"spend": 32_000, "conversions": 640, "overlap": 10}}))
    assert [cause["subject"] for cause in job.stop.causes] == [CLOSE]
    assert job.facts("outlook")[BIG] == "promising"


def test_an_undecided_channel_stops_only_what_lies_downstream(job: Played) -> None:
    channels = {seed["subject"] for seed in sample() if seed["key"] == "channel"}
    assert set(job.facts("stance")) == channels - {BIG, CLOSE}
    assert not job.facts("strategy")
    assert not job.facts("plan.split")
    job.act("decide", "outlook", CLOSE, value="saturated")
    assert set(job.facts("stance")) == channels - {BIG}
    assert not job.facts("strategy")


def test_decisions_and_a_signature_reach_the_top_tier(job: Played) -> None:
    decide(job)
    assert job.stop.reason == "waiting"
    assert [(cause["what"], cause["key"]) for cause in job.stop.causes] == [("hold", "plan")]
    assert job.facts("strategy")
    assert not job.facts("plan")
    assert job.act("approve", "plan", COMPANY).reason == "converged"
    assert job.tier == 3
    assert job.facts("plan")[COMPANY]["spend"] == job.facts("plan.split")["budget"]["total"]


def test_a_refused_plan_does_not_stand(job: Played) -> None:
    decide(job)
    assert job.act("refuse", "plan", COMPANY).reason == "partial"
    assert not job.facts("plan")
    assert job.tier < 3


def test_a_decision_changes_the_plan() -> None:
    plans = {}
    for word in ("promising", "saturated"):
        job = decide(Played(pack, sample()), big=word)
        job.act("approve", "plan", COMPANY)
        plans[word] = (job.facts("plan.split")["budget"]["channels"], job.facts("plan")[COMPANY])
    (backed, backing), (cut, cutting) = plans["promising"], plans["saturated"]
    assert backed[BIG] >= 64_000 > 40_000 >= cut[BIG]
    assert backed != {**cut, BIG: backed[BIG]}, "what one channel loses, others may win"
    assert backing["headline"] != cutting["headline"]
    assert any(move.startswith(BIG) for move in cutting["moves"])


def test_undoing_a_decision_takes_the_plan_back(job: Played) -> None:
    decide(job)
    job.act("approve", "plan", COMPANY)
    assert job.act("undo", "outlook", BIG).reason == "waiting"
    assert not job.facts("plan")
    assert job.tier == 1


@pytest.mark.parametrize("goal", ["profit", "customers"])
def test_the_goal_and_the_risk_move_the_money(goal: str) -> None:
    totals = {}
    for risk in ("cautious", "bold"):
        job = decide(Played(pack, sample({"goal": goal, "risk": risk})))
        channels = job.facts("plan.split")["budget"]["channels"]
        totals[risk] = channels["Partner referrals"] / 12_000
    assert totals["cautious"] <= 1.4 < totals["bold"]


def test_more_customers_at_any_price_spends_more_than_profit() -> None:
    spent = {
        goal: decide(Played(pack, sample({"goal": goal, "budget": 500_000}))).facts("plan.split")["budget"][
            "total"
        ]
        for goal in ("profit", "customers")
    }
    assert spent["customers"] > spent["profit"]


def test_one_company_is_needed_for_the_first_tier() -> None:
    seeds = sample()
    two = [*seeds, {"key": "company", "subject": "Another", "value": seeds[0]["value"]}]
    for given in (two, seeds[1:]):
        job = Played(pack, given)
        assert job.tier == 0
        gaps = [gap["text"] for entry in job.entries("tier") if entry["tier"] == 1 for gap in entry["gaps"]]
        assert any("exactly one company" in gap for gap in gaps), gaps


def test_a_split_over_budget_is_refused(job: Played) -> None:
    """Nobody can put more into the slot than the company has, not even by decision."""
    decide(job)
    over = {"total": 420_001, "unspent": 0, "channels": {BIG: 420_001}}
    job.act("decide", "plan.split", "budget", value=over)
    assert job.facts("plan.split")["budget"]["total"] <= 420_000
    refused = job.commits[-1].receipts or [r for commit in job.commits for r in commit.receipts]
    assert refused[-1].result == "refused"


def test_a_smaller_budget_shrinks_the_split() -> None:
    job = decide(Played(pack, sample({"budget": 100_000})))
    split = job.facts("plan.split")["budget"]
    assert split["total"] <= 100_000
    assert split["total"] == sum(split["channels"].values())
    assert split["unspent"] == 100_000 - split["total"]


def test_risks_are_flagged(job: Played) -> None:
    flags = {(value["channel"], value["flag"]) for value in job.facts("flag").values()}
    assert ("Radio spots", "loses money") in flags
    assert ("Trade fairs", "small sample") in flags
    assert ("Trade fairs", "thin margin") in flags
    assert not [channel for channel, _ in flags if channel == "Newsletter"]


def test_related_channels_are_found(job: Played) -> None:
    relations = job.facts("relation")
    assert relations["Short video ads → Creator partnerships"]["kind"] == "feeds"
    assert relations["Podcasts ↔ Radio spots"]["kind"] == "competes"
    assert not [name for name in relations if "Podcasts" in name and "Search" in name]


def test_a_feeder_is_not_stopped_while_the_horizon_is_long() -> None:
    poor = {"growth": -14, "margin": 45}
    stances = {
        horizon: Played(pack, sample({"horizon": horizon}, **{"Photo feed ads": poor})).facts("stance")
        for horizon in (3, 12)
    }
    assert stances[3]["Photo feed ads"] == "stop"
    assert stances[12]["Photo feed ads"] == "trim"


def test_the_same_sample_gives_the_same_digest(job: Played) -> None:
    assert Played(pack, sample()).core.digest == job.core.digest


def test_no_seed_at_all_is_an_honest_nothing() -> None:
    job = Played(pack, [])
    assert job.tier == 0
    assert job.stop.reason == "partial"
