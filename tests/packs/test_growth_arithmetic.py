"""What holds for any channels a person can submit, not just for the sample."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.packs.growth import pack
from runtime.packs.growth.economics import Curve, elasticity, margin_per_euro, split_budget
from tests.packs.driving import Played


def field(name: str, key: str = "channel") -> st.SearchStrategy[Any]:
    """Anything the schema admits, with its edges likely."""
    schema = pack.keys[key].schema["properties"][name]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    low, high = schema["minimum"], schema["maximum"]
    return st.sampled_from([low, high, 0 if low <= 0 else low]) | st.floats(low, high).map(
        lambda x: round(x, 2)
    )


def channels() -> st.SearchStrategy[list[dict[str, Any]]]:
    names = [name for name in pack.keys["channel"].schema["properties"] if name != "audience"]
    one = st.fixed_dictionaries(
        {"audience": st.sampled_from(["young", "old"]), **{name: field(name) for name in names}}
    )
    return st.lists(one, min_size=0, max_size=6)


def companies() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {name: field(name, "company") for name in pack.keys["company"].schema["properties"]}
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(companies(), channels())
def test_no_agent_fails_and_nothing_is_rejected_whatever_is_submitted(
    company: dict[str, Any], found: list[dict[str, Any]]
) -> None:
    seeds = [{"key": "company", "subject": "Acme", "value": company}]
    seeds += [{"key": "channel", "subject": f"c{at}", "value": value} for at, value in enumerate(found)]
    job = Played(pack, seeds)
    while any(cause["what"] == "conflict" for cause in job.stop.causes):
        job.act("decide", "outlook", job.stop.causes[0]["subject"], value="promising")
    assert not [entry for entry in job.entries("run") if entry.get("failed")]
    assert not job.entries("rejected")
    for split in job.facts("plan.split").values():
        assert split["total"] <= company["budget"]
        assert split["total"] == sum(split["channels"].values())


curves = st.builds(
    Curve,
    name=st.just(""),
    spend=st.floats(0, 1e6),
    customers=st.floats(0, 1e5),
    margin=st.floats(0, 1e3),
    elasticity=st.floats(0, 1.2),
    least=st.floats(0, 5e5),
    most=st.floats(5e5, 2e6),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(curves, max_size=6), st.floats(0, 5e6), st.sampled_from([0.7, 1.0]))
def test_a_split_never_exceeds_the_budget_nor_the_bounds(
    found: list[Curve], budget: float, worth_it: float
) -> None:
    named = [Curve(str(at), *_after_name(curve)) for at, curve in enumerate(found)]
    spends = split_budget(named, budget, worth_it)
    assert sum(spends.values()) <= budget + 1e-6
    assert all(0 <= spends[curve.name] <= curve.most for curve in named)


def _after_name(curve: Curve) -> tuple[float, ...]:
    return (curve.spend, curve.customers, curve.margin, curve.elasticity, curve.least, curve.most)


def test_the_next_euro_goes_where_it_earns_most() -> None:
    rich = Curve("rich", 10_000, 1_000, 40, 0.8, 10_000, 40_000)
    poor = Curve("poor", 10_000, 1_000, 20, 0.8, 10_000, 40_000)
    spends = split_budget([rich, poor], 30_000, 1.0)
    assert spends["rich"] > spends["poor"] == 10_000


def test_nothing_is_spent_on_a_euro_that_is_not_worth_it() -> None:
    worn = Curve("worn", 10_000, 1_000, 12, 0.5, 10_000, 40_000)
    assert split_budget([worn], 30_000, 1.0) == {"worn": 10_000}
    assert split_budget([worn], 30_000, 0.5)["worn"] > 10_000


def test_next_euros_earn_the_same_where_no_bound_binds() -> None:
    """The mark of an optimal split: no step can be moved to earn more."""
    found = [Curve(str(m), 50_000, 1_000, m, 0.5, 0, 10**6) for m in (60, 90, 120)]
    spends = split_budget(found, 150_000, 0.0)
    worths = [curve.worth_of(spends[curve.name], 100) for curve in found]
    assert max(worths) == pytest.approx(min(worths), rel=0.01)


def test_elasticity_is_measured_only_where_spend_moved() -> None:
    assert elasticity({"growth": 20, "spend_growth": 60}) == pytest.approx(0.388)
    assert elasticity({"growth": 20, "spend_growth": 2}) == elasticity({"growth": -90, "spend_growth": 0})
    assert elasticity({"growth": -12, "spend_growth": 10}) == 0
    assert elasticity({"growth": -100, "spend_growth": -100}) == 0.7


def test_a_channel_without_spend_returns_nothing() -> None:
    assert margin_per_euro({"spend": 0, "conversions": 10, "margin": 5}) == 0
    assert margin_per_euro({"spend": 100, "conversions": 10, "margin": 15}) == 1.5
