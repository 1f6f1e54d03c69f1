"""What the simulated tools answer when they are well."""

from __future__ import annotations

import json

import jsonschema_rs

from runtime.tools.flaky import FlakyTools
from runtime.tools.flaky.research import find_interest
from tests.simulator.asking import CHAT, SEARCH, SUMMARY, ask, ask_json


def test_search_answers_by_the_name_alone(tools: FlakyTools) -> None:
    (said,) = ask_json(tools)["proposals"]
    assert (said["key"], said["subject"]) == ("evidence.web", "Podcasts")
    assert said["value"] == {name: find_interest("Podcasts")[name] for name in ("interest", "change")}
    assert said == ask_json(tools, body=SEARCH | {"job": 7, "cycle": 9}, key="other")["proposals"][0]
    radio = SEARCH | {"item": {"subject": "Radio spots"}}
    assert ask_json(tools, body=radio)["proposals"][0]["value"]["interest"] == "falling"


def test_search_speaks_about_groups_and_whole_views_and_rules_between_sides(tools: FlakyTools) -> None:
    rows = [{"subject": "a"}, {"subject": "b"}]
    for asked in ({"group": {"name": "g", "items": rows}}, {"facts": {"channel": rows}}):
        proposals = ask_json(tools, body={"writes": SEARCH["writes"]} | asked)["proposals"]
        assert [said["subject"] for said in proposals] == ["a", "b"]
    ruled = ask_json(tools, body={"sides": [{"value": 1}, {"value": 2}]})
    assert ruled["ruling"]["value"] == 1


def test_a_value_for_any_other_key_fits_its_schema(tools: FlakyTools) -> None:
    schema = {
        "type": "object",
        "properties": {
            "word": {"enum": ["yes", "no"]},
            "share": {"type": "number", "minimum": 0.5, "maximum": 0.6},
            "names": {"type": "array", "items": {"type": "string", "maxLength": 5}, "minItems": 2},
            "either": {"type": ["integer", "null"], "maximum": 3},
        },
        "required": ["word", "share", "names", "either"],
        "additionalProperties": False,
    }
    for subject in ("a", "b", "c"):
        asked = {"item": {"subject": subject}, "writes": {"k": schema}}
        jsonschema_rs.validate(schema, ask_json(tools, body=asked)["proposals"][0]["value"])


def test_writer_honours_the_schema_and_counts_tokens(tools: FlakyTools) -> None:
    said = ask_json(tools, "/writer/v1/chat/completions", CHAT)
    content = json.loads(said["choices"][0]["message"]["content"])
    jsonschema_rs.validate(SUMMARY, content)
    assert "Podcasts" in content["summary"]
    assert "Radio spots" in content["summary"]
    usage = said["usage"]
    assert usage["prompt_tokens"] > 5 < usage["completion_tokens"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert said == ask_json(tools, "/writer/v1/chat/completions", CHAT)
    plain = {name: value for name, value in CHAT.items() if name != "response_format"}
    assert (
        "Podcasts"
        in ask_json(tools, "/writer/v1/chat/completions", plain)["choices"][0]["message"]["content"]
    )


def test_what_is_no_json_object_is_a_400_and_a_wrong_path_a_404(tools: FlakyTools) -> None:
    assert ask(tools, body=b"{").status == 400
    assert ask(tools, body=[1]).status == 400
    assert ask(tools, "/writer/v1/models", {}).status == 404
    assert ask(tools, "/nowhere", {}).status == 404
    assert tools.requests("search") == 2
    assert tools.requests("writer") == 1


# Misbehaving
