"""Lint is silent on sound packs, and finds keys and loops that were planted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.agents import DeclarationError, Pack, all_packs
from runtime.engine import AgentSpec, KeySpec, RuleSpec
from runtime.lint_pack import Acceptance, accepted_findings, lint_pack
from tests.packs.sound_pack import ASKED, LOOK, SOUND, plus, said, the_one
from tests.runtime import packs as runtime_packs
from tests.web import packs as web_packs


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
