"""Agents behind an HTTP address: what they are asked, and what becomes of what they answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.conf import settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from runtime.agents import Pack, propose
from runtime.agents.answering import FOLDER, load_schema
from runtime.agents.http_agents import PARTS as HTTP_PARTS
from runtime.agents.llm_agents import PARTS as LLM_PARTS
from runtime.agents.mcp_agents import PARTS as MCP_PARTS
from runtime.rehearsal import Rehearsal
from runtime.tools.record import MemoryRecorder
from tests.agents.outside import NEAR, calls_of, entries, facts, failures, rehearse, seed

EXAMPLE = FOLDER / "example_agent.py"


def pets(url: str, **options: Any) -> Pack:
    """A pack whose only agent is behind `url`, asked for a verdict on each pet."""
    pack = Pack("pets")
    pack.key("pet", seed=True)
    pack.key("size", seed=True)
    pack.key("verdict", schema={"enum": ["yes", "no"]})
    pack.key("secret")
    pack.tool("oracle", url=url, **NEAR)
    pack.http(
        "judge", **{"tool": "oracle", "over": "pet", "reads": ["size"], "writes": ["verdict"], **options}
    )
    return pack


SEEDS = [seed("pet", "rex", {"joy": 7}), seed("size", "rex", 40)]


def answered(httpserver: HTTPServer, answer: Any, **options: Any) -> Any:
    """The job in which the agent answers `answer`."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer)
    httpserver.expect_request("/judge").respond_with_data(body, content_type="application/json")
    return rehearse(pets(httpserver.url_for("/judge"), **options), SEEDS)


def asked(httpserver: HTTPServer) -> list[dict[str, Any]]:
    return [json.loads(request.data) for request, _ in httpserver.log]


def says(key: str, subject: str, value: Any) -> Any:
    """A Python agent that always says that."""
    return lambda view: propose(key, subject, value)


SAID = {"key": "verdict", "subject": "rex", "value": "yes"}


def test_what_it_proposes_stands_with_its_evidence_and_premises(httpserver: HTTPServer) -> None:
    said = {**SAID, "confidence": 0.8, "evidence": {"by": "hand"}, "because": [["pet", "rex"]]}
    job = answered(httpserver, {"proposals": [said]})
    (entry,) = entries(job, "accepted")[-1:]
    assert (entry["key"], entry["subject"], entry["value"], entry["conf"]) == ("verdict", "rex", "yes", 800)
    assert entry["evidence"] == {"by": "hand"}
    assert entry["because"] == [1]
    assert calls_of(job) == [{"item": "rex", "tool": "oracle"}]


def test_it_is_asked_as_the_contract_says(httpserver: HTTPServer) -> None:
    answered(httpserver, {"proposals": []})
    (body,) = asked(httpserver)
    jsonschema_rs.validate(load_schema("request"), body)
    assert body["idempotency_key"] == httpserver.log[0][0].headers["Idempotency-Key"]
    assert {name: body[name] for name in ("contract", "job", "cycle", "agent", "shape")} == {
        "contract": "converge-agent/1",
        "job": "7",
        "cycle": 1,
        "agent": "judge",
        "shape": "each",
    }
    assert body["item"] == {"key": "pet", "subject": "rex", "value": {"joy": 7}, "confidence": 1}
    assert body["facts"] == {"size": [{"subject": "rex", "value": 40, "confidence": 1}]}
    assert body["writes"] == {"verdict": {"enum": ["yes", "no"]}}


def test_every_shape_is_asked_as_the_contract_says(httpserver: HTTPServer) -> None:
    def answer(request: Request) -> Response:
        ruling = json.loads(request.data)["shape"] == "aggregate"
        said = {"ruling": {"value": "no", "confidence": 0.6}} if ruling else {"proposals": []}
        return Response(json.dumps(said), content_type="application/json")

    httpserver.expect_request("/a").respond_with_handler(answer)
    pack = pets(httpserver.url_for("/")[:-1], path="/a")
    pack.http("herd", tool="oracle", path="/a", over="pet", by="kind", writes=["secret"])
    pack.http("all", tool="oracle", path="/a", reads=["pet", "verdict"], writes=["secret"])
    pack.http("weigh", tool="oracle", path="/a", settles="verdict")
    for name, value in (("fond", "yes"), ("stern", "no")):
        pack.agent(name=name, reads=["pet"], writes=["verdict"])(says("verdict", "rex", value))
    job = rehearse(pack, [seed("pet", "rex", {"joy": 7, "kind": "dog"})])
    bodies = {body["agent"]: body for body in asked(httpserver)}
    for body in asked(httpserver):
        jsonschema_rs.validate(load_schema("request"), body)
    assert bodies["herd"]["group"]["name"] == "dog"
    assert bodies["weigh"]["slot"] == {"key": "verdict", "subject": "rex"}
    assert [side["value"] for side in bodies["weigh"]["sides"]] == ["no", "yes"]
    assert bodies["weigh"]["writes"] == {"verdict": {"enum": ["yes", "no"]}}
    assert {"contested": {"verdict": ["rex"]}}.items() <= next(
        body for body in asked(httpserver) if body["agent"] == "all" and body["contested"]
    ).items()
    assert facts(job, "verdict") == {"rex": "no"}


def test_an_empty_answer_withdraws_what_it_said_and_null_abstains(httpserver: HTTPServer) -> None:
    job = answered(httpserver, {"proposals": []})
    assert not failures(job)
    assert facts(job, "verdict") == {}
    pack = pets(httpserver.url_for("/null"), over="", settles="verdict", writes=())
    httpserver.expect_request("/null").respond_with_json({"ruling": None})
    for name, value in (("fond", "yes"), ("stern", "no")):
        pack.agent(name=name, reads=["pet"], writes=["verdict"])(says("verdict", "rex", value))
    job = rehearse(pack, SEEDS)
    assert [run["abstained"] for run in entries(job, "run") if run["agent"] == "judge"] == [["rex"]]


def deep(levels: int) -> bytes:
    return b'{"proposals":' + b"[" * levels + b"]" * levels + b"}"


UNFIT: dict[str, tuple[Any, str]] = {
    "a list": ([SAID], "it is not of type"),
    "no proposals": ({}, '"proposals" is a required property'),
    "proposals of another type": ({"proposals": "yes"}, "at proposals: it is not of type"),
    "a proposal of another type": ({"proposals": [7]}, "at proposals/0: it is not of type"),
    "a proposal without subject": (
        {"proposals": [{"key": "verdict", "value": "yes"}]},
        '"subject" is a required',
    ),
    "a misspelt part": ({"proposals": [{**SAID, "confidense": 1}]}, "'confidense' was unexpected"),
    "confidence as text": ({"proposals": [{**SAID, "confidence": "high"}]}, "at proposals/0/confidence"),
    "confidence beyond 1": ({"proposals": [{**SAID, "confidence": 7}]}, "at proposals/0/confidence"),
    "premises of another shape": ({"proposals": [{**SAID, "because": ["pet/rex"]}]}, "because/0"),
    "a ruling": ({"ruling": {"value": "yes"}}, "'ruling' was unexpected"),
    "nested a hundred deep": (deep(100), "oracle answered"),
    "nested a hundred thousand deep": (deep(100_000), "oracle answered"),
    "200,000 proposals": ({"proposals": [SAID] * 200_000}, "oracle answered"),
    "a huge name": ({"proposals": [{**SAID, "x" * 400_000: 1}]}, "oracle answered"),
    "no JSON": (b"<html>", "oracle answered"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_an_answer_of_another_form_is_bad_output_told_in_few_words(httpserver: HTTPServer, case: str) -> None:
    answer, words = UNFIT[case]
    (failure,) = failures(answered(httpserver, answer))
    assert (failure.cls, failure.transient, failure.tool) == ("bad_output", False, "oracle")
    assert words in failure.message
    assert len(failure.message) <= 400


def test_the_same_mistake_has_the_same_words_whatever_was_sent(httpserver: HTTPServer) -> None:
    told = set()
    for sent in ("yes", "no", "x" * 10_000):
        httpserver.clear()
        told.add(failures(answered(httpserver, {"proposals": sent}))[0])
    assert len(told) == 1


REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "a foreign key": ({**SAID, "key": "secret"}, "may not write"),
    "an unknown key": ({**SAID, "key": "no such"}, "may not write"),
    "a value outside the schema": ({**SAID, "value": "maybe"}, "maybe"),
    "a huge value": ({**SAID, "value": "x" * 400_000}, "the limit is"),
    "a huge subject": ({**SAID, "subject": "x" * 400_000}, "characters long"),
    "an empty subject": ({**SAID, "subject": ""}, "non-empty"),
    "premises it was not shown": ({**SAID, "because": [["secret", "rex"]]}, "was not shown"),
    "huge evidence": ({**SAID, "evidence": {"x": "y" * 400_000}}, "the limit is"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_bad_proposal_in_a_good_answer_is_rejected_alone(httpserver: HTTPServer, case: str) -> None:
    bad, words = REJECTED[case]
    job = answered(httpserver, {"proposals": [bad, {**SAID, "subject": "tom"}]})
    (entry,) = entries(job, "rejected")
    assert words in entry["reason"]
    assert facts(job, "verdict") == {"tom": "yes"}
    assert not failures(job)


def test_a_failure_of_the_tool_is_the_failure_of_the_run(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/judge").respond_with_data("busy", status=503)
    (failure,) = failures(rehearse(pets(httpserver.url_for("/judge")), SEEDS))
    assert (failure.cls, failure.transient, failure.tool) == ("server_error", True, "oracle")


def test_without_a_session_there_are_no_tools(httpserver: HTTPServer) -> None:
    spec = pets(httpserver.url_for("/judge")).spec()
    job = Rehearsal(spec, SEEDS)
    job.run()
    (failure,) = failures(job)
    assert failure.cls == "agent_error"
    assert "No tools" in failure.message
    assert not httpserver.log


def test_a_recorded_answer_is_used_again_and_not_paid_for_twice(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/judge").respond_with_json({"proposals": [SAID]})
    recorder = MemoryRecorder()
    pack = pets(httpserver.url_for("/judge"))
    first, second = rehearse(pack, SEEDS, recorder), rehearse(pack, SEEDS, recorder)
    assert len(httpserver.log) == 1
    assert second.core.digest == first.core.digest
    rehearse(pack, [seed("pet", "rex", {"joy": 8})], recorder)
    assert len(httpserver.log) == 2


def test_a_frozen_config_that_went_bad_fails_its_agent_alone(httpserver: HTTPServer) -> None:
    pack = pets(httpserver.url_for("/judge"))
    pack.agents["judge"] = replace(pack.agents["judge"], config={"tool": 7})
    pack.agent(name="fond", reads=["pet"], writes=["secret"])(says("secret", "rex", 1))
    job = rehearse(pack, SEEDS)
    (failure,) = failures(job)
    assert failure.cls == "agent_error"
    assert failure.message.startswith("tool of HTTP agent 'judge' of pack 'pets' is 7")
    assert facts(job, "secret") == {"rex": 1}


def test_a_view_of_many_facts_can_be_asked_about(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/judge").respond_with_json({"proposals": [SAID]})
    pack = pets(httpserver.url_for("/judge"), over="", reads=["pet"])
    job = rehearse(pack, [seed("pet", f"p{n}", n) for n in range(6_000)])
    assert facts(job, "verdict") == {"rex": "yes"}
    assert len(asked(httpserver)[0]["facts"]["pet"]) == 6_000


def test_a_view_too_large_to_send_fails_the_agent(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.agents.http_agents.MAX_REQUEST", 100)
    (failure,) = failures(rehearse(pets(httpserver.url_for("/judge")), SEEDS))
    assert failure.cls == "agent_error"
    assert "let it read less" in failure.message
    assert not httpserver.log


@pytest.fixture
def example() -> Iterator[str]:
    """The example of the README, run as anybody runs it."""
    server = subprocess.Popen([sys.executable, EXAMPLE, "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
    finally:
        server.kill()
        server.communicate()


def test_the_example_in_the_readme_is_an_agent(example: str) -> None:
    pack = Pack("margins")
    pack.key("channel", seed=True)
    pack.key("warning")
    pack.tool("warner", url=example, **NEAR)
    pack.http("warn", tool="warner", over="channel", writes=["warning"])
    job = rehearse(pack, [seed("channel", name, {"margin": m}) for name, m in (("tv", 0.05), ("print", 0.2))])
    assert not failures(job)
    assert facts(job, "warning") == {"tv": "thin margin"}


def readme() -> str:
    return (Path(settings.BASE_DIR) / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_example_as_it_is() -> None:
    shown = re.findall(r"```python\n(.*?)```", readme(), re.DOTALL)
    assert EXAMPLE.read_text(encoding="utf-8") in shown


def readme_rows() -> set[str]:
    """What the rows of the README's tables begin with."""
    return {row.strip("| `").split("`")[0] for row in readme().splitlines() if row.startswith("| `")}


@pytest.mark.parametrize("name", ["request", "response"])
def test_the_readme_names_every_field_of_the_contract(name: str) -> None:
    schema = load_schema(name)
    parts = (
        [schema] if name == "request" else [schema["$defs"][d] for d in ("proposals", "ruling", "proposal")]
    )
    assert {field for part in parts for field in part["properties"]} <= readme_rows()


def test_the_readme_names_every_part_of_a_config() -> None:
    assert {*HTTP_PARTS, *LLM_PARTS, *MCP_PARTS} <= readme_rows()
