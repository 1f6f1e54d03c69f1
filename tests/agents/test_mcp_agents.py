"""Agents that call tools of an MCP server: a real one, by the SDK's own server side."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from mcp.server import MCPServer

from runtime.agents import Pack, propose
from runtime.agents.mapping import Mapped, compile_mapping
from runtime.agents.mcp_agents import result_of
from runtime.engine import ExpressionError
from runtime.engine.expr import Scope
from runtime.engine.spec import AgentSpec
from runtime.tools.record import CallName, MemoryRecorder, Recorded
from tests.agents.fakes import told
from tests.agents.outside import NEAR, calls_of, entries, facts, failures, rehearse, seed

CALLS: list[tuple[str, Any]] = []


def weigh(name: str, grams: Any) -> dict[str, Any]:
    """The weight of one thing."""
    CALLS.append(("weigh", grams))
    return {"subject": name, "kilos": grams / 1000, "sure": 0.7}


def list_parts(names: list[str]) -> list[dict[str, Any]]:
    """The parts of things."""
    CALLS.append(("list_parts", names))
    return [{"of": name, "part": f"{name}'s tail", "key": "part"} for name in names]


def say(text: str) -> Any:
    """Text alone, as many servers answer."""
    return text


def flood(count: int) -> list[int]:
    """More than anybody asked for."""
    return [0] * count


def choose(values: list[str]) -> dict[str, Any]:
    """The last in order."""
    return {"value": sorted(values)[-1]}


def stumble() -> None:
    """Never works."""
    raise ValueError("no scales here")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an MCP server."""
    mcp = MCPServer("scales")
    for tool in (weigh, list_parts, flood, choose, stumble):
        mcp.tool()(tool)
    mcp.tool(structured_output=False)(say)
    listening = socket.create_server(("127.0.0.1", 0))  # calls wait in its queue until the server takes them
    config = uvicorn.Config(mcp.streamable_http_app(), log_level="warning", lifespan="on")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    running.should_exit = True
    thread.join(timeout=10)
    listening.close()


@pytest.fixture(autouse=True)
def _forget_calls() -> None:
    CALLS.clear()


def things(url: str, **options: Any) -> Pack:
    """A pack whose only agent is a tool of the server at `url`."""
    pack = Pack("things")
    pack.key("thing", seed=True)
    pack.key("unit", seed=True)
    pack.key("weight")
    pack.key("part")
    pack.tool("scales", kind="mcp", url=url, **NEAR)
    pack.mcp("scale", **{"tool": "scales", **options})
    return pack


ONE_BY_ONE: dict[str, Any] = {
    "call": "weigh",
    "over": "thing",
    "writes": ["weight"],
    "arguments": {"name": "subject", "grams": 'value.grams * fact("unit", "gram")'},
    "subject": "result.subject",
    "value": "result.kilos",
    "confidence": "result.sure * confidence",
    "evidence": '{"source": "scales"}',
}
SEEDS = [seed("thing", "cup", {"grams": 300}), seed("unit", "gram", 1)]


def test_the_view_becomes_arguments_and_the_result_becomes_proposals(server: str) -> None:
    job = rehearse(things(server, **ONE_BY_ONE), SEEDS)
    (entry,) = entries(job, "accepted")[-1:]
    assert (entry["subject"], entry["value"], entry["conf"]) == ("cup", 0.3, 700)
    assert entry["evidence"] == {"source": "scales"}
    assert CALLS == [("weigh", 300)]
    assert type(CALLS[0][1]) is int
    assert calls_of(job) == [{"item": "cup", "tool": "scales"}]


def test_it_reads_what_its_expressions_look_up(server: str) -> None:
    (agent,) = things(server, **ONE_BY_ONE).spec().agents
    assert (agent.kind, agent.shape, agent.reads) == ("mcp", "each", ("unit",))


def test_a_list_in_the_result_is_said_one_by_one(server: str) -> None:
    pack = things(
        server,
        call="list_parts",
        reads=["thing"],
        writes=["weight", "part"],
        arguments={"names": 'facts("thing").map(name, name)'},
        each="result.result",
        key="it.key",
        subject="it.of",
        value="it.part",
    )
    job = rehearse(pack, SEEDS)
    assert facts(job, "part") == {"cup": "cup's tail"}


def test_groups_and_sides_can_be_handed_over(server: str) -> None:
    pack = things(
        server,
        call="list_parts",
        over="thing",
        by="kind",
        writes=["part"],
        arguments={"names": "group.items.map(item, item.subject)"},
        subject="group.name",
        value="result.result.map(it, it.part)",
    )
    pack.mcp(
        "judge",
        tool="scales",
        call="choose",
        settles="weight",
        arguments={"values": "sides.map(side, side.value)"},
        value="result.value",
    )
    for name in ("light", "heavy"):
        pack.agent(name=name, reads=["thing"], writes=["weight"])(
            lambda view, name=name: propose("weight", "cup", name)
        )
    job = rehearse(pack, [seed("thing", name, {"kind": "dish"}) for name in ("cup", "bowl")])
    assert facts(job, "part") == {"dish": ["bowl's tail", "cup's tail"]}
    assert facts(job, "weight") == {"cup": "light"}


@pytest.mark.parametrize(("said", "kilos"), [('{"kilos": 3}', 3), ("heavy", "heavy")])
def test_text_is_read_as_json_where_it_is_json(server: str, said: str, kilos: Any) -> None:
    value = "result.kilos" if kilos == 3 else "result"
    pack = things(
        server,
        call="say",
        over="thing",
        writes=["weight"],
        arguments={"text": "value"},
        subject="subject",
        value=value,
    )
    assert facts(rehearse(pack, [seed("thing", "cup", said)]), "weight") == {"cup": kilos}


def test_several_texts_are_a_list() -> None:
    assert result_of({"structured": None, "content": ["1", "2"]}) == ["1", "2"]


UNFIT: dict[str, dict[str, Any]] = {
    "a field that is not there": {**ONE_BY_ONE, "value": "result.tons"},
    "no list to go through": {**ONE_BY_ONE, "each": "result.kilos", "value": "it"},
    "an object to go through": {**ONE_BY_ONE, "each": "result", "value": "it"},
    "more than fits": {
        **ONE_BY_ONE,
        "call": "flood",
        "arguments": {"count": "50000"},
        "each": "result.result",
        "value": "it",
    },
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_result_the_expressions_cannot_use_is_bad_output(server: str, case: str) -> None:
    job = rehearse(things(server, **UNFIT[case]), SEEDS)
    (failure,) = failures(job)
    assert (failure.cls, failure.transient, failure.tool) == ("bad_output", False, "scales")
    assert case == "more than fits" or "expressions cannot use" in failure.message
    assert [call["cls"] for call in calls_of(job)] == ["bad_output"]


def test_proposals_out_of_bounds_are_rejected_alone(server: str) -> None:
    job = rehearse(things(server, **{**ONE_BY_ONE, "confidence": "7", "key": '"thing"'}), SEEDS)
    assert [entry["key"] for entry in entries(job, "rejected")] == ["thing"]
    assert not failures(job)


def test_arguments_that_cannot_be_worked_out_fail_the_agent_and_nothing_is_called(server: str) -> None:
    arguments = {"name": "subject", "grams": "value.pounds"}
    (failure,) = failures(rehearse(things(server, **{**ONE_BY_ONE, "arguments": arguments}), SEEDS))
    assert failure.cls == "agent_error"
    assert "value.pounds" in failure.message
    assert not CALLS


@pytest.mark.parametrize("call", ["stumble", "no_such_tool"])
def test_a_tool_that_fails_or_is_not_there_is_the_failure_of_the_run(server: str, call: str) -> None:
    (failure,) = failures(rehearse(things(server, **{**ONE_BY_ONE, "call": call, "arguments": {}}), SEEDS))
    assert failure.tool == "scales"
    assert failure.cls in ("server_error", "refused")
    assert "no scales here" not in failure.message


@dataclass
class Given:
    """What a mapping is shown: one fact of each key."""

    values: dict[str, Any]
    item: Any = None
    group: Any = None
    sides: Any = None

    @property
    def keys(self) -> tuple[str, ...]:
        return ()

    def __getitem__(self, key: str) -> Any:
        return [told(key, subject, value) for subject, value in self.values[key].items()]


def mapped(**config: Any) -> Mapped:
    agent = AgentSpec("scale", "whole", writes=("weight",), kind="mcp", config=config)
    return compile_mapping(agent, "it")


def read(parts: Mapped, values: dict[str, Any], result: Any) -> list[Any]:
    view: Any = Given(values)
    said = parts.read(view, result)
    assert isinstance(said, list)
    return said


def test_what_is_beside_a_thing_is_bound_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[str] = []
    bind = Scope.set

    def noting(scope: Scope, name: str, value: Any) -> None:
        bound.append(name)
        bind(scope, name, value)

    monkeypatch.setattr(Scope, "set", noting)
    parts = mapped(
        each="result.list",
        subject='"s" + string(it)',
        value="it / result.total",
        confidence="result.sure",
        evidence='{"of": size(facts("thing"))}',
    )
    result = {"list": list(range(100)), "total": 50, "sure": 0.5}
    said = read(parts, {"thing": {"cup": 1}}, result)
    assert [(one.subject, one.value) for one in said][:3] == [("s0", 0.0), ("s1", 0.02), ("s2", 0.04)]
    assert {(one.key, one.confidence, str(one.evidence)) for one in said} == {("weight", 0.5, "{'of': 1}")}
    assert bound.count("result") == 1
    assert bound.count("it") == 200
    assert read(parts, {}, {**result, "list": []}) == []


@pytest.mark.parametrize("value", ["it + double(size(result.list))", 'it + double(size(facts("thing")))'])
def test_things_that_would_each_go_through_much_are_refused(value: str) -> None:
    parts = mapped(each="result.list", subject='"x"', value=value)
    view = {"thing": {str(n): n for n in range(300)}}
    assert len(read(parts, view, {"list": [1] * 50})) == 50
    with pytest.raises(ExpressionError, match="too much for 6,000 things"):
        read(parts, view, {"list": [1] * 6000})


def test_an_answer_is_read_once(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []
    read_all = Mapped.read

    def noting(mapped: Mapped, view: Any, result: Any) -> Any:
        reads.append(result)
        return read_all(mapped, view, result)

    monkeypatch.setattr(Mapped, "read", noting)
    assert facts(rehearse(things(server, **ONE_BY_ONE), SEEDS), "weight") == {"cup": 0.3}
    assert len(reads) == 1


def test_an_answer_that_another_runtime_recorded_first_is_the_one_that_is_read(server: str) -> None:
    class Late(MemoryRecorder):
        def finish(self, name: CallName, tool: str, recorded: Recorded) -> Recorded:
            first = {"structured": {"subject": "cup", "kilos": 9, "sure": 0.7}, "content": []}
            return super().finish(name, tool, recorded._replace(value=first))

    job = rehearse(things(server, **ONE_BY_ONE), SEEDS, Late())
    assert facts(job, "weight") == {"cup": 9}


def test_an_expression_is_quoted_without_what_cannot_be_printed(server: str) -> None:
    recorder = MemoryRecorder()
    job = rehearse(things(server, **{**ONE_BY_ONE, "value": 'result["\u202e\x07"]'}), SEEDS, recorder)
    (failure,) = failures(job)
    assert failure.cls == "bad_output"
    (kept,) = [recorded.failure for recorded in recorder.finished.values()]
    assert kept is not None and kept.message.isprintable()
