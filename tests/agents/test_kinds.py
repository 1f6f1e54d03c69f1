"""What the config of an agent without code must be: one check for packs in code and for the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.agents import DeclarationError, Pack, check_agent_config, functions_for
from runtime.engine import KeySpec, PackSpec
from runtime.engine.spec import AgentSpec
from runtime.tools.spec import ToolSpec

KEYS = PackSpec("pets", keys=(KeySpec("pet"), KeySpec("verdict")))
HTTP = {"tool": "oracle"}
LLM = {"tool": "oracle", "prompt": "Is {{ item.subject }} good?"}
MCP = {"tool": "oracle", "call": "ask", "subject": "subject", "value": "result"}
CEL = {"when": "true", "subject": "subject", "value": "1", "confidence": "1"}


def agent(kind: str, config: dict[str, Any], **options: Any) -> AgentSpec:
    given = {"shape": "each", "over": "pet", "writes": ("verdict",), **options}
    return AgentSpec("judge", kind=kind, config=config, **given)


SOUND: dict[str, AgentSpec] = {
    "python": AgentSpec("judge", writes=("verdict",)),
    "http": agent("http", HTTP),
    "http with a path": agent("http", {**HTTP, "path": "/v1/judge?mode=strict"}),
    "llm": agent("llm", LLM),
    "llm in full": agent(
        "llm",
        {**LLM, "system": "s", "temperature": None, "seed": None, "max_tokens": 5, "confidence": 0.5},
    ),
    "llm that names its subject": agent(
        "llm", {**LLM, "prompt": "?", "subject": "all"}, shape="whole", over=""
    ),
    "mcp": agent("mcp", MCP),
    "mcp in full": agent(
        "mcp",
        {**MCP, "arguments": {"a": "value"}, "each": "result", "key": '"verdict"', "confidence": "it.sure"}
        | {"evidence": "it"},
    ),
    "mcp that rules": agent("mcp", {"tool": "t", "call": "c", "value": "sides[0].value"}, shape="aggregate"),
    "cel": agent("cel", CEL),
}


@pytest.mark.parametrize("case", SOUND)
def test_a_sound_config_is_taken_and_has_a_function(case: str) -> None:
    check_agent_config(SOUND[case], KEYS)
    if SOUND[case].kind != "python":
        found = functions_for(PackSpec("gone from code", agents=(SOUND[case],), keys=KEYS.keys))
        assert found["judge"].is_async == (case != "cel")


REFUSED: dict[str, tuple[AgentSpec, list[str]]] = {
    "python with a config": (AgentSpec("judge", writes=("verdict",), config={"x": 1}), ["takes no config"]),
    "an unknown kind": (agent("magic", {}), ["'magic'", "cel, http, llm, mcp"]),
    "nothing to write": (
        agent("http", HTTP, writes=()),
        ["HTTP agent 'judge' of pack 'pets'", "writes no key"],
    ),
    "no tool": (agent("http", {}), ["tool of", "None"]),
    "a tool of another type": (agent("llm", {**LLM, "tool": 7}), ["tool of", "7"]),
    "an unknown part": (agent("http", {**HTTP, "url": "x"}), ["unknown part 'url'", "tool, path"]),
    "a path that is an address": (agent("http", {**HTTP, "path": "//evil.example/"}), ["path of"]),
    "a path that climbs": (agent("http", {**HTTP, "path": "/a/../b"}), ["path of"]),
    "a path with a space": (agent("http", {**HTTP, "path": "/a b"}), ["path of"]),
    "a path that ends in a line break": (agent("http", {**HTTP, "path": "/a\n"}), ["path of"]),
    "a path of another type": (agent("http", {**HTTP, "path": ["/a"]}), ["path of"]),
    "no prompt": (agent("llm", {"tool": "t"}), ["does not say its prompt"]),
    "a blank prompt": (agent("llm", {**LLM, "prompt": " \n"}), ["does not say its prompt"]),
    "a prompt that cannot be read": (agent("llm", {**LLM, "prompt": "{% if %}"}), ["The prompt of", "if"]),
    "a prompt with a misspelt name": (agent("llm", {**LLM, "prompt": "{{ itm }}"}), ["`itm`", "item"]),
    "a prompt with the name of another shape": (
        agent("llm", {**LLM, "prompt": "{{ group }}"}),
        ["`group`", "each"],
    ),
    "a system prompt that cannot be used": (
        agent("llm", {**LLM, "system": "{% now 'Y' %}"}),
        ["The system of"],
    ),
    "a subject where it is known": (agent("llm", {**LLM, "subject": "all"}), ["drop `subject`"]),
    "temperature as text": (agent("llm", {**LLM, "temperature": "hot"}), ["temperature of", "from 0 to 2"]),
    "temperature too high": (agent("llm", {**LLM, "temperature": 3}), ["temperature of"]),
    "seed with a fraction": (agent("llm", {**LLM, "seed": 1.5}), ["seed of", "whole number"]),
    "a truth for a seed": (agent("llm", {**LLM, "seed": True}), ["seed of"]),
    "no tokens": (agent("llm", {**LLM, "max_tokens": 0}), ["max_tokens of"]),
    "confidence beyond 1": (agent("llm", {**LLM, "confidence": 7}), ["confidence of"]),
    "no call": (agent("mcp", {k: v for k, v in MCP.items() if k != "call"}), ["does not say its call"]),
    "no value": (agent("mcp", {k: v for k, v in MCP.items() if k != "value"}), ["does not say its value"]),
    "no subject": (
        agent("mcp", {k: v for k, v in MCP.items() if k != "subject"}),
        ["does not say its subject"],
    ),
    "a ruling with a subject": (agent("mcp", MCP, shape="aggregate"), ["no part 'subject'"]),
    "several keys and none named": (agent("mcp", MCP, writes=("verdict", "pet")), ["say in `key`"]),
    "an expression that cannot be read": (agent("mcp", {**MCP, "value": "result."}), ["value of", "no CEL"]),
    "an expression that is no text": (agent("mcp", {**MCP, "value": ["result"]}), ["value of"]),
    "an argument that cannot be read": (
        agent("mcp", {**MCP, "arguments": {"a": "subjekt"}}),
        ["arguments.a of", "subjekt"],
    ),
    "the result in an argument": (
        agent("mcp", {**MCP, "arguments": {"a": "result"}}),
        ["unknown name `result`"],
    ),
    "one of a list where there is none": (agent("mcp", {**MCP, "value": "it"}), ["unknown name `it`"]),
    "arguments of another shape": (agent("mcp", {**MCP, "arguments": ["a"]}), ["arguments of"]),
    "a look-up it does not read": (
        agent("mcp", {**MCP, "value": 'fact("verdict", "rex")'}),
        ["looks up the key 'verdict'", "reads"],
    ),
    "a look-up of its own items": (
        agent("cel", {**CEL, "when": 'fact("pet", "rex") != null'}),
        ["looks up the key 'pet'", "one at a time"],
    ),
    "cel over nothing": (agent("cel", CEL, shape="whole", over=""), ["goes through one key"]),
    "cel without a part": (agent("cel", {"when": "true"}), ["does not say its subject"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_config_that_cannot_be_is_refused_with_the_part_at_fault(case: str) -> None:
    spec, words = REFUSED[case]
    with pytest.raises(DeclarationError) as refusal:
        check_agent_config(spec, KEYS)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def pets() -> Pack:
    pack = Pack("pets", tiers=["A", "B"])
    pack.key("pet", seed=True)
    pack.key("verdict")
    pack.tool("oracle", url="https://oracle.example", timeout=3, allow=["10.0.0.0/8"])
    pack.tool(
        "writer", kind="llm", url="{flaky_tools}/writer/v1", title="The writer", description="It writes."
    )
    return pack


DECLARATIONS: dict[str, tuple[Callable[[Pack], Any], list[str]]] = {
    "a tool twice": (lambda p: p.tool("oracle", url="https://x"), ["'oracle'", "declared twice"]),
    "a tool without address": (lambda p: p.tool("other"), ["'other'", "address"]),
    "a tool at no address": (lambda p: p.tool("other", url="file:///etc/passwd"), ["address", "https://"]),
    "a tool of an unknown kind": (lambda p: p.tool("other", kind="ftp", url="https://x"), ["kind 'ftp'"]),
    "a tool with a misspelt setting": (lambda p: p.tool("other", url="https://x", retries=3), ["'retries'"]),
    "a tool that takes no call": (lambda p: p.tool("other", url="https://x", concurrency=0), ["concurrency"]),
    "a tool with a bad name": (lambda p: p.tool("my tool", url="https://x"), ["'my tool'"]),
    "an unknown tool": (
        lambda p: p.http("judge", tool="orakle", over="pet", writes=["verdict"]),
        ["calls the tool 'orakle'", "declared: oracle, writer"],
    ),
    "a tool of another kind": (
        lambda p: p.http("judge", tool="writer", writes=["verdict"]),
        ["of kind 'http'"],
    ),
    "groups of nothing": (lambda p: p.http("j", tool="oracle", by="kind", writes=["verdict"]), ["over="]),
    "two shapes": (lambda p: p.http("j", tool="oracle", over="pet", settles="verdict"), ["both"]),
    "writes as text": (lambda p: p.http("j", tool="oracle", writes="verdict"), ["write ['verdict']"]),
    "a wait of a required agent": (
        lambda p: p.http("j", tool="oracle", writes=["verdict"], required=True, wait=60),
        ["wait of 60 s", "optional"],
    ),
    "a bad prompt": (lambda p: p.llm("j", tool="writer", prompt="{{ x }}", writes=["verdict"]), ["`x`"]),
}


@pytest.mark.parametrize("case", DECLARATIONS)
def test_what_cannot_be_is_refused_where_it_is_declared(case: str) -> None:
    declare, words = DECLARATIONS[case]
    with pytest.raises(DeclarationError) as refusal:
        declare(pets())
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def test_declarations_become_data_that_survives_json() -> None:
    pack = pets()
    pack.http("judge", tool="oracle", path="/j", over="pet", writes=["verdict"], tier=2, required=True)
    pack.llm("muse", tool="writer", prompt="?", writes=["verdict"], tier=2, wait=60, timeout=9)
    pack.http("weigh", tool="oracle", settles="verdict", priority=3)
    spec = pack.spec()
    assert PackSpec.from_json(spec.to_json()) == spec
    agents = {agent.name: agent for agent in spec.agents}
    judge, muse, weigh = agents["judge"], agents["muse"], agents["weigh"]
    assert (judge.shape, judge.timeout, judge.config) == ("each", 120, {"tool": "oracle", "path": "/j"})
    assert (muse.shape, muse.timeout, muse.wait, muse.title) == ("whole", 9, 60, "Muse")
    assert muse.config == {"tool": "writer", "prompt": "?", "temperature": 0.0, "seed": 1}
    assert (weigh.shape, weigh.over, weigh.writes, weigh.tier) == ("aggregate", "verdict", ("verdict",), 2)
    (rule,) = spec.rules
    assert (rule.kind, rule.params, rule.priority) == ("aggregation", {"agent": "weigh"}, 3)


def test_tools_are_declared_with_their_settings() -> None:
    tools = pets().tools
    assert tools["oracle"].spec == ToolSpec(
        "oracle", url="https://oracle.example", timeout=3, allow=("10.0.0.0/8",)
    )
    assert (tools["oracle"].title, tools["writer"].title) == ("Oracle", "The writer")
    assert tools["writer"].description == "It writes."
