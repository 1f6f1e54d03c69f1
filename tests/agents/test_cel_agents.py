"""Agents written as CEL."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runtime.agents import DeclarationError, Pack, functions_for, run_all
from runtime.agents.cel_agents import compile_agent
from runtime.engine import Proposal
from runtime.engine.spec import AgentSpec, PackSpec
from tests.agents.fakes import run_of, told


def view(**facts: dict[str, Any]) -> Any:
    """A view of keys with values by subject."""
    held = {key: {s: told(key, s, v) for s, v in values.items()} for key, values in facts.items()}

    class Shown:
        def __getitem__(self, key: str) -> Any:
            return list(held[key].values())

        def fact(self, key: str, subject: str) -> Any:
            return held[key].get(subject)

    return Shown()


def compiled(**parts: str) -> Any:
    given = {"when": "true", "subject": "subject", "value": "1", "confidence": "1.0", **parts}
    return compile_agent("flag", given, "it")


def test_it_speaks_where_its_condition_is_true_and_only_there() -> None:
    agent = compiled(when="value.margin < 0.1", value='"thin margin"', confidence="0.9")
    assert agent(told("channel", "tv", {"margin": 0.05}), view()) == Proposal(
        "flag", "tv", "thin margin", 0.9, None
    )
    assert agent(told("channel", "tv", {"margin": 0.1}), view()) is None


def test_all_parts_are_expressions() -> None:
    agent = compiled(
        subject='subject + "!"',
        value="value.a + value.b",
        confidence="confidence * 0.5",
        evidence='{"was": value.a}',
    )
    said = agent(told("channel", "tv", {"a": 1, "b": 2.5}, 0.8), view())
    assert said == Proposal("flag", "tv!", 3.5, 0.4, {"was": 1.0})


def test_it_looks_up_other_facts_and_reads_what_it_looks_up() -> None:
    agent = compiled(when='value < fact("limit", "cost") && size(facts("limit")) == 1')
    assert agent.looks_up == ("limit",)
    assert agent(told("cost", "tv", 3), view(limit={"cost": 4})) is not None
    assert agent(told("cost", "tv", 5), view(limit={"cost": 4})) is None


def test_a_pack_declares_what_a_cel_agent_looks_up() -> None:
    pack = Pack("pets")
    for key in ("pet", "limit", "flag"):
        pack.key(key)
    pack.cel("dear", over="pet", writes="flag", when='value > fact("limit", "cost")', value='"dear"')
    (agent,) = pack.spec().agents
    assert agent.reads == ("limit",)
    assert agent.kind == "cel"
    assert agent.config["value"] == '"dear"'


def test_a_frozen_pack_runs_the_expressions_it_froze() -> None:
    config = {"when": "true", "subject": "subject", "value": '"frozen"', "confidence": "1.0"}
    agent = AgentSpec("gone-from-code", "each", writes=("flag",), over="pet", kind="cel", config=config)
    found = functions_for(PackSpec("no-such-pack", agents=(agent,)))
    run = run_of("gone-from-code", shape="each", item="rex", shown=told("pet", "rex"))
    (effect,) = run_all([run], found)
    assert [said.value for said in effect.proposals if isinstance(said, Proposal)] == ["frozen"]


def test_an_error_in_evaluation_is_a_failure_that_quotes_the_expression() -> None:
    agent = SimpleNamespace(call=compiled(when="value.margin < 0.1"), is_async=False)
    run = run_of("thin", shape="each", item="tv", shown=told("channel", "tv", {}))
    (effect,) = run_all([run], {"thin": agent})  # type: ignore[dict-item]
    assert effect.failure is not None
    assert effect.failure.cls == "agent_error"
    assert "value.margin < 0.1" in effect.failure.message


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"when": "true"}, "does not say its subject"),
        ({"when": "true", "whenever": "x"}, "unknown part 'whenever'"),
        (
            {"when": "true && ", "subject": "subject", "value": "1", "confidence": "1.0"},
            "when of it is no CEL",
        ),
    ],
)
def test_a_bad_config_is_refused_with_its_part(config: dict[str, str], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        compile_agent("flag", config, "it")
