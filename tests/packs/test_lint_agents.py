"""Lint finds agents that never run or are never heard, and tiers out of reach."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.engine import AgentSpec, KeySpec, RuleSpec, TierSpec
from runtime.lint_pack import lint_pack
from tests.packs.sound_pack import ASKED, DOUBT, LOOK, MARGIN, SOUND, SUM, plus, ruled, said, the_one


def test_an_agent_that_can_never_run_and_all_that_rest_on_it() -> None:
    first = AgentSpec("first", reads=("gone",), writes=("view",))
    found = said(
        plus([KeySpec("gone"), KeySpec("next")], [first, replace(first, name="fed", writes=("next",))])
    )
    assert ("agent_never_runs", "first") in found
    chain = plus(
        [KeySpec("gone"), KeySpec("next")],
        [
            replace(first, writes=("next",)),
            AgentSpec("second", "each", over="next", reads=("in",), writes=("out",), required=True),
        ],
    )
    found = lint_pack(chain)
    assert [(f.code, *f.names) for f in found] == [
        ("key_never_written", "gone"),
        ("agent_never_runs", "first"),
        ("agent_never_runs", "second"),
    ]
    assert "tier 1 is reached without it" in found[2].text  # nobody misses a voice that is never called


def test_two_agents_that_only_feed_each_other_can_never_run() -> None:
    left = AgentSpec("left", reads=("b",), writes=("a",))
    right = AgentSpec("right", reads=("a",), writes=("b",))
    found = said(plus([KeySpec("a"), KeySpec("b")], [left, right]))
    assert found == [("loop", "a b"), ("agent_never_runs", "left"), ("agent_never_runs", "right")]


def test_one_key_that_is_there_is_enough_for_a_whole_agent() -> None:
    spec = plus([KeySpec("gone")], [AgentSpec("half", reads=("in", "gone"), writes=("out",))])
    assert said(spec) == [("key_never_written", "gone")]


def test_a_group_that_no_schema_admits() -> None:
    closed = {"type": "object", "properties": {"size": {}}, "additionalProperties": False}
    for schema in (closed, {"type": "string"}):
        keys = (KeySpec("in", seed=True, schema=schema), *SOUND.keys[1:])
        by_colour = AgentSpec("by-colour", "grouped", over="in", group_by="colour", writes=("out",))
        spec = replace(SOUND, keys=keys, agents=(*SOUND.agents, by_colour))
        assert said(spec) == [("agent_never_runs", "by-colour")]
        assert said(replace(spec, keys=SOUND.keys)) == []


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [RuleSpec("asks", "aggregation", ("view",), 50, {"agent": "settle"}, enabled=False)],
        [RuleSpec("asks", "aggregation", ("view",), 50, {"agent": "settle"}, "false")],
        [
            RuleSpec("people", "operator", ("view",), 40),
            RuleSpec("asks", "aggregation", ("view",), 50, {"agent": "settle"}),
        ],
    ],
)
def test_an_aggregation_agent_whose_rule_is_never_reached(rules: list[RuleSpec]) -> None:
    assert ("agent_never_runs", "settle") in said(plus(agents=[ASKED], rules=rules))


def test_an_aggregation_agent_on_a_key_of_one_voice() -> None:
    rules = [RuleSpec("asks", "aggregation", ("out",), params={"agent": "settle"})]
    found = said(plus(agents=[replace(ASKED, over="out")], rules=rules))
    assert found == [("agent_never_runs", "settle"), ("rule_never_fires", "asks")]


def test_an_agent_whose_words_are_always_refused() -> None:
    for expression in ('agent == "look"', "1 > 2", 'key != "view" || agent == "look"'):
        found = said(plus(rules=[RuleSpec("only look", "constraint", ("view",), expression=expression)]))
        assert ("agent_always_refused", "doubt") in found, expression
    spec = plus(
        rules=[RuleSpec("not all", "constraint", ("view",), expression='agent == "look" || value > 1')]
    )
    assert lint_pack(spec) == []


def test_waits_for_nothing() -> None:
    config = {"when": "true", "subject": "subject", "value": "value", "confidence": "1"}
    cel = AgentSpec("cel", "each", over="in", writes=("view",), kind="cel", config=config, wait=60)
    assert (the_one(plus(agents=[cel])).code, the_one(plus(agents=[cel])).severity) == (
        "wait_for_nothing",
        "warning",
    )
    for agent in (replace(LOOK, name="new", wait=60), replace(DOUBT, name="new", wait=60)):
        found = the_one(plus(agents=[agent]))
        assert (found.code, found.severity, found.names) == ("wait_for_nothing", "note", ("new",))
    http = replace(DOUBT, name="new", kind="http", config={"tool": "search"}, wait=60)
    assert lint_pack(plus(agents=[http]), tools=["search"]) == []


def test_tools_that_are_not_there_and_tools_that_nobody_names() -> None:
    http = replace(DOUBT, name="ask", kind="http", config={"tool": "serach"})
    found = lint_pack(plus(agents=[http]), tools=["search"])
    assert [(f.severity, f.code, f.names) for f in found] == [
        ("warning", "tool_unknown", ("ask",)),
        ("note", "tool_unused", ("search",)),  # an agent in Python may call it
    ]
    outside = tuple(replace(a, kind="http", config={"tool": "search"}) for a in SOUND.agents)
    (found_one,) = lint_pack(replace(SOUND, agents=outside), tools=["search", "spare"])
    assert (found_one.severity, found_one.code, found_one.names) == ("warning", "tool_unused", ("spare",))


# Tiers


def test_a_tier_whose_required_agent_can_never_run() -> None:
    third = AgentSpec("third", reads=("gone",), writes=("out",), tier=2, required=True)
    found = said(plus([KeySpec("gone")], [third]))
    assert found == [
        ("key_never_written", "gone"),
        ("agent_never_runs", "third"),
        ("tier_never_reached", "2"),
    ]


def test_a_tier_with_an_invariant_that_never_holds() -> None:
    unwritten = RuleSpec("some", "invariant", params={"tier": 1}, expression='size(facts("gone")) > 0')
    found = lint_pack(plus([KeySpec("gone")], rules=[unwritten]))
    assert [f.code for f in found] == ["key_never_written", "tier_never_reached"]
    assert "`some`" in found[1].text and "`gone`" in found[1].text and "none above it" in found[1].text
    mixed = replace(unwritten, expression='size(facts("in")) > 0 && size(facts("gone")) > 0')
    assert ("tier_never_reached", "1") in said(plus([KeySpec("gone")], rules=[mixed]))
    assert said(ruled("invariant", (), "1 > 2", tier=2)) == [("tier_never_reached", "2")]


def test_a_tier_whose_required_agent_is_always_refused() -> None:
    rule = RuleSpec("no sums", "constraint", ("out",), expression='agent != "sum"')
    found = said(plus(rules=[rule]))
    assert found == [("agent_always_refused", "sum"), ("tier_never_reached", "2")]
    optional = replace(SOUND, agents=(LOOK, DOUBT, replace(SUM, required=False)), rules=(MARGIN, rule))
    assert said(optional) == [("agent_always_refused", "sum")]


def test_a_tier_without_agents() -> None:
    spec = replace(SOUND, tiers=(*SOUND.tiers, TierSpec("Signed")))
    assert said(spec) == [("tier_empty", "3")]
    signed = RuleSpec("signed", "invariant", params={"tier": 3}, expression='size(facts("out")) == 1')
    assert said(replace(spec, rules=(*spec.rules, signed))) == []


# Rules
