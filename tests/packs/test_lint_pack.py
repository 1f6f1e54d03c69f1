"""Lint finds each planted defect, and is silent on a sound pack and on those that ship."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from runtime.agents import DeclarationError, Pack, all_packs
from runtime.engine import AgentSpec, KeySpec, PackSpec, RuleSpec, TierSpec
from runtime.lint_pack import Acceptance, Finding, accepted_findings, lint_pack
from runtime.linting.findings import CODES
from tests.runtime import packs as runtime_packs
from tests.web import packs as web_packs

# A sound pack: `in` is submitted; `look` and `doubt` judge each of it and may disagree, a rule or a person settles
# that, and `sum` concludes in tier 2.
KEYS = (KeySpec("in", seed=True), KeySpec("view"), KeySpec("out"))
LOOK = AgentSpec("look", "each", over="in", writes=("view",), required=True)
DOUBT = AgentSpec("doubt", "each", over="in", writes=("view",))
SUM = AgentSpec("sum", reads=("view",), writes=("out",), tier=2, required=True)
MARGIN = RuleSpec("margin", "confidence", ("view",), 10, {"margin": 0.2})
SOUND = PackSpec(
    "sound",
    keys=KEYS,
    agents=(LOOK, DOUBT, SUM),
    rules=(MARGIN,),
    tiers=(TierSpec("Views"), TierSpec("Sum")),
    answer=("out",),
)
ASKED = AgentSpec("settle", "aggregate", over="view")


def plus(
    keys: Iterable[KeySpec] = (),
    agents: Iterable[AgentSpec] = (),
    rules: Iterable[RuleSpec] = (),
    **changes: Any,
) -> PackSpec:
    """The sound pack with something more, or something else."""
    return replace(
        SOUND,
        keys=(*SOUND.keys, *keys),
        agents=(*SOUND.agents, *agents),
        rules=(*SOUND.rules, *rules),
        **changes,
    )


def ruled(
    kind: Any, keys: tuple[str, ...] = ("view",), expression: str = "", priority: int = 50, **params: Any
) -> PackSpec:
    """The sound pack with one more rule, named `new`."""
    return plus(rules=[RuleSpec("new", kind, keys, priority, params, expression)])


def said(spec: PackSpec, **options: Any) -> list[tuple[str, str]]:
    """The findings, shortly: code, and what they are about."""
    return [(f.code, " ".join(f.names)) for f in lint_pack(spec, **options)]


def the_one(spec: PackSpec, **options: Any) -> Finding:
    (found,) = lint_pack(spec, **options)
    assert found.code in CODES
    assert found.text.endswith((".", "why=…)."))
    return found


def test_a_sound_pack_has_no_finding() -> None:
    assert lint_pack(SOUND) == []


def test_the_packs_that_ship_have_no_finding() -> None:
    for pack in all_packs():
        assert lint_pack(pack.spec(), tools=pack.tools, accepted=pack.accepted) == [], pack.name


def test_what_the_packs_that_ship_accept_is_there_and_has_a_reason() -> None:
    accepted = {
        pack.name: [
            f.code for f, why in accepted_findings(pack.spec(), pack.accepted, tools=pack.tools) if why
        ]
        for pack in all_packs()
    }
    assert accepted["claims"] == ["loop"]
    assert accepted["growth"] == ["key_never_read"]


def test_the_packs_of_the_tests_have_the_findings_they_were_made_with() -> None:
    found = {}
    for module in (runtime_packs, web_packs):
        for pack in (p for p in vars(module).values() if isinstance(p, Pack)):
            found[pack.name] = said(pack.spec(), tools=pack.tools)
    assert {name: what for name, what in found.items() if what} == {
        "walk": [("loop", "step")],
        "seesaw": [("key_never_read", "wish"), ("loop", "left right")],
        "scouts": [("tier_empty", "1")],
    }


# Keys


def test_a_key_that_nobody_writes() -> None:
    reads = AgentSpec("reader", "each", over="in", reads=("gone",), writes=("out",))
    assert the_one(plus([KeySpec("gone")], [reads])).names == ("gone",)
    assert said(plus([KeySpec("gone")])) == [("key_never_written", "gone")]


def test_ruling_on_a_key_is_no_writing_of_it() -> None:
    rules = [RuleSpec("asks", "aggregation", ("gone",), params={"agent": "settle"})]
    found = said(plus([KeySpec("gone")], [replace(ASKED, over="gone", writes=("gone",))], rules))
    assert found[0] == ("key_never_written", "gone")
    assert ("agent_never_runs", "settle") in found


def test_a_pack_that_names_no_seed_takes_all_keys_as_seeds() -> None:
    keys = (KeySpec("in"), *SOUND.keys[1:])
    assert lint_pack(replace(SOUND, keys=keys)) == []


def test_a_key_that_nobody_reads() -> None:
    found = the_one(plus([KeySpec("aside")], [replace(LOOK, name="note", writes=("aside",))]))
    assert (found.code, found.names) == ("key_never_read", ("aside",))
    assert "`note`" in found.text
    assert said(plus([KeySpec("wish", seed=True)])) == [("key_never_read", "wish")]


def test_what_an_answer_publishes_or_a_rule_looks_up_is_read() -> None:
    spec = plus([KeySpec("aside", seed=True)])
    assert lint_pack(replace(spec, answer=("out", "aside"))) == []
    rule = RuleSpec("some", "invariant", params={"tier": 1}, expression='size(facts("aside")) > 0')
    assert lint_pack(replace(spec, rules=(rule,))) == []


# Loops


def test_a_loop_is_named_with_its_agents() -> None:
    looped = plus(
        [KeySpec("trust"), KeySpec("belief")],
        [
            AgentSpec("judge", reads=("in", "belief"), writes=("trust",)),
            AgentSpec("believe", reads=("trust",), writes=("belief",)),
        ],
    )
    found = the_one(looped)
    assert (found.code, found.names) == ("loop", ("belief", "trust"))
    assert "`judge`" in found.text and "`believe`" in found.text
    assert 'pack.accepts_lint("loop", "belief", "trust", why=…)' in found.text


def test_a_loop_through_an_aggregation_agent_is_found() -> None:
    settle = replace(ASKED, reads=("out",))
    asks = RuleSpec("asks", "aggregation", ("view",), params={"agent": "settle"})
    assert ("loop", "out view") in said(plus(agents=[settle], rules=[asks]))


def test_a_loop_through_a_constraint_is_found() -> None:
    rule = RuleSpec("at most two", "constraint", ("out",), expression='size(facts("out")) < 2')
    found = the_one(plus(rules=[rule]))
    assert (found.code, found.names) == ("loop", ("out",))
    assert "constraint" in found.text


def test_an_accepted_loop_is_left_out_until_it_grows() -> None:
    looped = plus(agents=[AgentSpec("again", reads=("out",), writes=("out",))])
    accepted = [Acceptance("loop", ("out",), "it rounds")]
    assert said(looped) == [("loop", "out")]
    assert lint_pack(looped, accepted=accepted) == []
    assert [why for _, why in accepted_findings(looped, accepted)] == ["it rounds"]
    wider = replace(looped, agents=(*looped.agents, AgentSpec("more", reads=("out",), writes=("view",))))
    assert said(wider, accepted=accepted) == [("loop", "out view"), ("acceptance_unused", "out")]


def test_an_acceptance_that_fits_nothing_is_a_note() -> None:
    found = the_one(SOUND, accepted=[Acceptance("loop", ("view",), "it rounds")])
    assert (found.severity, found.code) == ("note", "acceptance_unused")


def test_an_acceptance_in_code_needs_a_known_code_and_a_reason() -> None:
    pack = Pack("mine")
    for code, why in (("lop", "it rounds"), ("loop", " ")):
        with pytest.raises(DeclarationError):
            pack.accepts_lint(code, "view", why=why)
    pack.accepts_lint("loop", "view", why="it rounds")
    assert pack.accepted == [Acceptance("loop", ("view",), "it rounds")]


# Agents


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


@pytest.mark.parametrize(
    "spec",
    [
        ruled("operator", ("other.*",)),  # covers no key
        ruled("operator", ("veiw",)),
        ruled("confidence", margin=1.5),
        ruled("aggregation", agent="settle"),  # its agent is switched off
        ruled("newer", ("out",), field="observed_at"),  # one voice
        ruled("operator", ("in", "out")),
        ruled("dominance", agents=["nobody"]),
        ruled("dominance", agents=["look", "doubt"]),  # all of them
        ruled("newer", expression="false", field="observed_at"),
        ruled("newer", expression='key == "out"', field="observed_at"),
        ruled("approval", ("out",), "1 > 2"),
        ruled("constraint", ("out",), "1 < 2"),
        ruled("invariant", (), "true || false", tier=1),
        ruled("discount", ()),
        ruled("discount", ("view",), incomplete=0.5),
    ],
)
def test_a_rule_that_can_never_fire(spec: PackSpec) -> None:
    found = the_one(spec)
    assert (found.severity, found.code, found.names) == ("warning", "rule_never_fires", ("new",))


@pytest.mark.parametrize("kind", ["approval", "constraint", "operator"])
def test_a_rule_about_a_key_that_nobody_writes(kind: str) -> None:
    rule = RuleSpec("new", kind, ("gone",), expression="value > 1" if kind == "constraint" else "")  # type: ignore[arg-type]
    assert said(plus([KeySpec("gone")], rules=[rule])) == [
        ("key_never_written", "gone"),
        ("rule_never_fires", "new"),
    ]


def test_an_invariant_that_nothing_can_break() -> None:
    rule = RuleSpec(
        "new", "invariant", params={"tier": 1}, expression='facts("gone").all(s, facts("gone")[s] > 1)'
    )
    assert ("rule_never_fires", "new") in said(plus([KeySpec("gone")], rules=[rule]))


@pytest.mark.parametrize(
    "spec",
    [
        ruled("newer", ("out", "view"), field="observed_at"),  # of use on one of its keys
        ruled("dominance", agents=["look"]),
        ruled("dominance", agents=["nobody"], sources=["desk"]),
        ruled("dominance", ("out",), agents=["@person"]),  # people may always speak
        ruled("operator", expression='subject == "a"', priority=5),
        ruled("confidence", margin=0.1),  # asked after a margin that is wider
        ruled("approval", ("out",), "value > 1"),
        ruled("discount", ("out",), incomplete=0.5),
    ],
)
def test_a_rule_that_can_fire_is_left_alone(spec: PackSpec) -> None:
    assert lint_pack(spec) == []


def test_a_rule_that_looks_where_nothing_is() -> None:
    rule = RuleSpec("new", "constraint", ("out",), expression='value > 1 || fact("gone", subject) == null')
    assert said(plus([KeySpec("gone")], rules=[rule])) == [
        ("key_never_written", "gone"),
        ("rule_looks_at_nothing", "new"),
    ]
    rule = RuleSpec("new", "invariant", expression='size(facts("in")) > 2 || size(facts("gone")) > 2')
    assert said(plus([KeySpec("gone")], rules=[rule])) == [
        ("key_never_written", "gone"),
        ("rule_looks_at_nothing", "new"),
    ]


def test_an_operator_rule_that_comes_first_shadows_what_is_below() -> None:
    found = the_one(ruled("operator", priority=5))
    assert (found.code, found.names) == ("rule_shadowed", ("margin",))
    assert "`new`" in found.text
    assert the_one(ruled("operator", expression="1 < 2", priority=5)).names == ("margin",)
    assert lint_pack(ruled("operator", expression="1 > 2", priority=5))[0].code == "rule_never_fires"


def test_a_rule_shadows_another_under_the_same_condition() -> None:
    when = "size(sides) == 2"
    first = RuleSpec("first", "operator", ("view",), 20, {}, when)
    second = RuleSpec("second", "newer", ("view",), 30, {"field": "at"}, when)
    assert said(plus(rules=[first, second])) == [("rule_shadowed", "second")]
    assert said(plus(rules=[first, replace(second, expression="size(sides) == 3")])) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RuleSpec("one", "newer", ("view",), 20, {"field": "at"}), {"priority": 30}),
        (RuleSpec("one", "dominance", ("*",), 20, {"agents": ["look"]}), {"params": {"agents": ("look",)}}),
        (RuleSpec("one", "confidence", ("view",), 5, {"margin": 0.1}), {"params": {"margin": 0.3}}),
        (RuleSpec("one", "approval", ("out",), 20, {"count": 1}), {"expression": "value > 1"}),
        (RuleSpec("one", "constraint", ("out",), 20, {}, "value > 1"), {"message": "Too small."}),
        (RuleSpec("one", "invariant", (), 20, {"tier": 1}, 'size(facts("in")) > 0'), {"params": {"tier": 2}}),
    ],
)
def test_of_two_like_rules_the_second_is_shadowed(one: RuleSpec, other: dict[str, Any]) -> None:
    one = replace(one, keys=("view",)) if one.keys == ("*",) else one
    twin = replace(one, name="twin", **other)
    spec = replace(SOUND, rules=(one, twin) if one.kind == "confidence" else (MARGIN, one, twin))
    assert said(spec) == [("rule_shadowed", "twin")]


def test_a_weak_margin_after_a_strong_one_is_no_duplicate() -> None:
    strong = RuleSpec("strong", "confidence", ("view",), 5, {"margin": 0.4})
    assert lint_pack(plus(rules=[strong])) == []


def test_rules_that_are_switched_off_are_not_looked_at() -> None:
    off = RuleSpec("off", "operator", ("view",), 1, enabled=False)
    broken = RuleSpec("broken", "dominance", ("view",), 1, {"sources": []}, enabled=False)
    assert lint_pack(plus(rules=[off, broken])) == []


def test_a_pack_that_cannot_run_is_a_finding() -> None:
    found = the_one(plus(agents=[AgentSpec("lost", reads=("nowhere",), writes=("out",))]))
    assert (found.code, found.kind, found.names) == ("cannot_run", "pack", ("sound",))
    assert "nowhere" in found.text
    assert said(replace(SOUND, tiers=())) == [("cannot_run", "sound")]
    assert said(ruled("newer", expression="size(sides", field="at")) == [("cannot_run", "sound")]


def test_one_broken_rule_hides_nothing_else() -> None:
    spec = plus([KeySpec("gone")], rules=[RuleSpec("new", "confidence", ("view",), 5, {"margin": 7})])
    assert said(spec) == [("key_never_written", "gone"), ("rule_never_fires", "new")]
