"""Agents that are a prompt: asked over real HTTP, of a server that speaks OpenAI's chat completions."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from runtime.agents import Pack, propose
from runtime.agents.completions import count_tokens
from runtime.tools.flaky.server import FlakyTools
from runtime.tools.record import MemoryRecorder
from tests.agents.outside import NEAR, calls_of, entries, facts, failures, rehearse, seed

PROMPT = "Is {{ item.subject }} of joy {{ item.value.joy }} a good pet?"
SEEDS = [seed("pet", "rex", {"joy": 7})]
GOOD = {"proposals": [{"value": "yes", "confidence": 0.8, "reason": "it wags"}]}


def pets(url: str, **options: Any) -> Pack:
    """A pack whose only agent is a prompt about each pet."""
    pack = Pack("pets")
    pack.key("pet", seed=True)
    pack.key("verdict", schema={"enum": ["yes", "no"]})
    pack.key("note", schema={"type": "string", "maxLength": 40})
    pack.tool("writer", kind="llm", url=url, model="small-1", price_in=2.0, price_out=10.0, **NEAR)
    pack.llm("judge", **{"tool": "writer", "prompt": PROMPT, "over": "pet", "writes": ["verdict"], **options})
    return pack


def completion(content: Any, **more: Any) -> dict[str, Any]:
    """A chat completion as OpenAI-compatible servers send it."""
    text = content if isinstance(content, str | list) or content is None else json.dumps(content)
    return {
        "id": "1",
        "object": "chat.completion",
        "model": "small-1-0613",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        **more,
    }


class Model:
    """A language model that says what it is told, in turn, the last for ever."""

    def __init__(self, httpserver: HTTPServer, *answers: dict[str, Any]) -> None:
        self.url = httpserver.url_for("/v1")
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        httpserver.expect_request("/v1/chat/completions", method="POST").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        self.asked.append(json.loads(request.data))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Response(json.dumps(answer), content_type="application/json")


def test_what_it_proposes_stands_with_model_temperature_and_seed_as_evidence(httpserver: HTTPServer) -> None:
    model = Model(httpserver, completion(GOOD))
    job = rehearse(pets(model.url, temperature=0.2, seed=11), SEEDS)
    (entry,) = entries(job, "accepted")[-1:]
    assert (entry["key"], entry["subject"], entry["value"], entry["conf"]) == ("verdict", "rex", "yes", 800)
    assert entry["evidence"] == {"model": "small-1-0613", "temperature": 0.2, "seed": 11, "reason": "it wags"}
    (asked,) = model.asked
    assert (asked["model"], asked["temperature"], asked["seed"]) == ("small-1", 0.2, 11)


def test_it_is_asked_with_the_prompt_and_a_schema_that_holds_the_keys(httpserver: HTTPServer) -> None:
    model = Model(httpserver, completion(GOOD))
    rehearse(pets(model.url, system="You know {{ agent.name }}s.", max_tokens=50), SEEDS)
    (asked,) = model.asked
    system, user = asked["messages"]
    assert user == {"role": "user", "content": "Is rex of joy 7 a good pet?"}
    assert system["content"].startswith("You know judges.\n\nAnswer with one JSON object")
    assert asked["max_tokens"] == 50
    form = asked["response_format"]
    assert form["type"] == "json_schema"
    schema = form["json_schema"]["schema"]
    assert json.dumps(schema) in system["content"]
    one = schema["properties"]["proposals"]["items"]
    assert one["properties"]["value"] == {"enum": ["yes", "no"]}
    assert one["properties"]["subject"] == {"const": "rex"}
    jsonschema_rs.validate(schema, GOOD)


def test_temperature_and_seed_are_left_out_where_the_config_says_null(httpserver: HTTPServer) -> None:
    model = Model(httpserver, completion(GOOD, model=None))
    job = rehearse(pets(model.url, temperature=None, seed=None), SEEDS)
    assert not {"temperature", "seed", "max_tokens"} & set(model.asked[0])
    assert entries(job, "accepted")[-1]["evidence"] == {"model": "small-1", "reason": "it wags"}


def test_tokens_and_cost_are_counted(httpserver: HTTPServer) -> None:
    model = Model(httpserver, completion(GOOD))
    (call,) = calls_of(rehearse(pets(model.url), SEEDS))
    assert (call["tokens_in"], call["tokens_out"]) == (100, 20)
    assert call["cost"] == pytest.approx((100 * 2 + 20 * 10) / 1_000_000)


@pytest.mark.parametrize(
    "usage", [None, {}, "many", {"prompt_tokens": -5}, {"prompt_tokens": True, "completion_tokens": "9"}]
)
def test_a_server_that_does_not_say_what_it_used_is_not_free(httpserver: HTTPServer, usage: Any) -> None:
    model = Model(httpserver, completion(GOOD, usage=usage))
    (call,) = calls_of(rehearse(pets(model.url), SEEDS))
    assert call["tokens_in"] > len(PROMPT) / 4
    assert call["tokens_out"] == -(-len(json.dumps(GOOD)) // 4)


def test_no_server_can_claim_more_tokens_than_there_can_be() -> None:
    assert count_tokens([], completion(GOOD, usage={"prompt_tokens": 10**30}))[0] == 10**9


def test_an_answer_that_does_not_fit_is_repaired_once_with_the_fault_named(httpserver: HTTPServer) -> None:
    model = Model(httpserver, completion({"proposals": [{"value": "maybe"}]}), completion(GOOD))
    job = rehearse(pets(model.url), SEEDS)
    assert facts(job, "verdict") == {"rex": "yes"}
    first, second = model.asked
    assert second["messages"][:2] == first["messages"]
    quoted, told = second["messages"][2:]
    assert quoted["role"] == "assistant" and "maybe" in quoted["content"]
    assert "proposals/0/value" in told["content"]
    assert len(calls_of(job)) == 2
    assert sum(call["tokens_in"] for call in calls_of(job)) == 200


UNFIT: dict[str, tuple[Any, str]] = {
    "prose": ("Yes, of course!", "is not JSON"),
    "no object": ("[1]", "it is not of type"),
    "another object": ({"poem": 7}, "poem"),
    "a value outside the schema": ({"proposals": [{"value": "maybe"}]}, "proposals/0/value"),
    "another subject": ({"proposals": [{"value": "yes", "subject": "tom"}]}, "proposals/0/subject"),
    "a foreign key": ({"proposals": [{"value": "yes", "key": "note"}]}, "proposals/0/key"),
    "confidence beyond 1": ({"proposals": [{"value": "yes", "confidence": 9}]}, "proposals/0/confidence"),
    "the same key twice": ('{"proposals": [], "proposals": []}', "twice"),
    "NaN": ('{"proposals": [{"value": NaN}]}', "NaN"),
    "deep": ("[" * 50_000, "nested"),
    "empty": ("", "is not JSON"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_an_answer_that_does_not_fit_twice_is_bad_output(httpserver: HTTPServer, case: str) -> None:
    content, words = UNFIT[case]
    model = Model(httpserver, completion(content))
    job = rehearse(pets(model.url), SEEDS)
    (failure,) = failures(job)
    assert (failure.cls, failure.transient, failure.tool) == ("bad_output", False, "writer")
    assert words in failure.message
    assert len(model.asked) == 2
    assert [call.get("cls", "") for call in calls_of(job)] == ["", "bad_output"]


def test_an_answer_cut_off_is_told_so(httpserver: HTTPServer) -> None:
    cut = {"message": {"content": '{"proposals": [{"va'}, "finish_reason": "length"}
    model = Model(httpserver, completion("", choices=[cut]))
    (failure,) = failures(rehearse(pets(model.url), SEEDS))
    assert "cut off at the limit of tokens" in failure.message
    assert "cut off" in model.asked[1]["messages"][-1]["content"]


NO_COMPLETION: dict[str, Any] = {
    "an error in a 200": {"error": {"message": "overloaded"}},
    "no choices": completion(GOOD, choices=[]),
    "choices of another type": completion(GOOD, choices={"0": 1}),
    "no message": completion(GOOD, choices=[{"text": "yes"}]),
    "no text": completion(None),
    "a refusal": completion("", choices=[{"message": {"content": None, "refusal": "I cannot do that."}}]),
    "filtered": completion("", choices=[{"message": {"content": "x"}, "finish_reason": "content_filter"}]),
}


@pytest.mark.parametrize("case", NO_COMPLETION)
def test_what_is_no_completion_is_bad_output_and_not_repaired(httpserver: HTTPServer, case: str) -> None:
    model = Model(httpserver, NO_COMPLETION[case])
    (failure,) = failures(rehearse(pets(model.url), SEEDS))
    assert (failure.cls, failure.tool) == ("bad_output", "writer")
    assert "overloaded" not in failure.message
    assert ("declined to answer" in failure.message) == (case in ("a refusal", "filtered"))
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    "content",
    [
        f"```json\n{json.dumps(GOOD)}\n```",
        f"```\n{json.dumps(GOOD)}```",
        [{"type": "text", "text": json.dumps(GOOD)}],
    ],
)
def test_fences_and_parts_are_taken_off(httpserver: HTTPServer, content: Any) -> None:
    model = Model(httpserver, completion(content))
    assert facts(rehearse(pets(model.url), SEEDS), "verdict") == {"rex": "yes"}
    assert len(model.asked) == 1


def test_a_whole_agent_says_whom_it_speaks_about_unless_its_config_does(httpserver: HTTPServer) -> None:
    said = {
        "proposals": [
            {"key": "verdict", "subject": "tom", "value": "no"},
            {"key": "note", "subject": "x", "value": "n"},
        ]
    }
    model = Model(httpserver, completion(said))
    whole = {"over": "", "reads": ["pet"], "writes": ["verdict", "note"], "prompt": "Who?"}
    job = rehearse(pets(model.url, **whole), SEEDS)
    assert (facts(job, "verdict"), facts(job, "note")) == ({"tom": "no"}, {"x": "n"})
    assert {entry["conf"] for entry in entries(job, "accepted")[1:]} == {500}


def test_a_whole_agent_whose_config_names_the_subject_speaks_about_that(httpserver: HTTPServer) -> None:
    model = Model(httpserver, completion({"proposals": [{"value": "short"}]}))
    whole = {"over": "", "reads": ["pet"], "writes": ["note"], "prompt": "Sum up.", "subject": "all"}
    assert facts(rehearse(pets(model.url, **whole), SEEDS), "note") == {"all": "short"}


def test_a_group_is_spoken_about_by_its_name_and_the_config_s_confidence_is_taken(
    httpserver: HTTPServer,
) -> None:
    model = Model(httpserver, completion({"proposals": [{"value": "yes"}]}))
    pack = pets(model.url, by="kind", prompt="{{ group.items|length }} of {{ group.name }}", confidence=0.7)
    job = rehearse(pack, [seed("pet", "rex", {"kind": "dog"}), seed("pet", "fox", {"kind": "dog"})])
    (entry,) = entries(job, "accepted")[-1:]
    assert (entry["subject"], entry["conf"]) == ("dog", 700)
    assert model.asked[0]["messages"][1]["content"] == "2 of dog"
    one = model.asked[0]["response_format"]["json_schema"]["schema"]["properties"]["proposals"]["items"]
    assert "confidence" not in one["properties"]


@pytest.mark.parametrize(
    ("ruling", "stands"), [({"value": "no", "confidence": 0.6}, {"rex": "no"}), (None, {})]
)
def test_it_may_rule_on_a_conflict(httpserver: HTTPServer, ruling: Any, stands: dict[str, str]) -> None:
    model = Model(httpserver, completion({"ruling": ruling}))
    prompt = "{{ slot.subject }}: {% for side in sides %}{{ side.value }} {% endfor %}"
    pack = pets(model.url, over="", settles="verdict", writes=(), prompt=prompt)
    for name, value in (("fond", "yes"), ("stern", "no")):
        pack.agent(name=name, reads=["pet"], writes=["verdict"])(
            lambda view, value=value: propose("verdict", "rex", value)
        )
    job = rehearse(pack, SEEDS)
    assert facts(job, "verdict") == stands
    assert model.asked[0]["messages"][1]["content"] == "rex: no yes "


def test_a_ruling_outside_the_schema_is_repaired(httpserver: HTTPServer) -> None:
    model = Model(
        httpserver, completion({"ruling": {"value": "maybe"}}), completion({"ruling": {"value": "no"}})
    )
    pack = pets(model.url, over="", settles="verdict", writes=(), prompt="?")
    for name, value in (("fond", "yes"), ("stern", "no")):
        pack.agent(name=name, reads=["pet"], writes=["verdict"])(
            lambda view, value=value: propose("verdict", "rex", value)
        )
    assert facts(rehearse(pack, SEEDS), "verdict") == {"rex": "no"}
    assert "ruling/value" in model.asked[1]["messages"][-1]["content"]


def test_a_recorded_answer_is_used_again_with_the_model_it_came_from(httpserver: HTTPServer) -> None:
    model = Model(httpserver, completion(GOOD, model=None))
    recorder = MemoryRecorder()
    pack = pets(model.url)
    first = rehearse(pack, SEEDS, recorder)
    second = rehearse(pack, SEEDS, recorder)
    assert len(model.asked) == 1
    assert second.core.digest == first.core.digest


def test_the_budget_of_tokens_ends_the_repair(httpserver: HTTPServer) -> None:
    model = Model(httpserver, completion("prose"))
    job = rehearse(pets(model.url), SEEDS, tokens=100)
    (failure,) = failures(job)
    assert failure.cls == "over_budget"
    assert len(model.asked) == 1


def test_a_prompt_that_stumbles_over_a_fact_fails_the_agent_alone(httpserver: HTTPServer) -> None:
    model = Model(httpserver, completion(GOOD))
    job = rehearse(
        pets(model.url, prompt="{{ item.value.joy|add:1|fixed:item.value.joy }}"),
        [seed("pet", "rex", {"joy": "x"})],
    )
    (failure,) = failures(job)
    assert failure.cls == "agent_error"
    assert failure.message.startswith("The prompt of LLM agent 'judge' of pack 'pets' cannot be used")
    assert not model.asked


def test_the_simulator_that_ships_can_be_asked() -> None:
    with FlakyTools() as tools:
        whole = {"over": "", "reads": ["pet"], "writes": ["note"], "prompt": "Sum up.", "subject": "all"}
        job = rehearse(pets(f"{tools.url}/writer/v1", **whole), SEEDS)
    assert not failures(job)
    assert list(facts(job, "note")) == ["all"]


def test_a_name_that_a_model_made_up_is_quoted_without_what_no_database_keeps(httpserver: HTTPServer) -> None:
    odd = completion('{"proposals": [{"value": "yes", "\\u0000evil": 1}]}')
    recorder = MemoryRecorder()
    job = rehearse(pets(Model(httpserver, odd).url), SEEDS, recorder)
    (failure,) = failures(job)
    assert (failure.cls, failure.message.isprintable()) == ("bad_output", True)
    failed = [recorded.failure for recorded in recorder.finished.values() if recorded.failure is not None]
    assert [found.message.isprintable() for found in failed] == [True]
