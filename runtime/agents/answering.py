"""Answers from outside: checked against the contract, then read as proposals.

An answer of another form than the contract's is the tool's failure, `bad_output`. What a well-formed answer
proposes is looked at one by one by the engine, as that of any agent: a foreign key or a value that does not fit
its schema is rejected alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from runtime.agents.saying import Ruling
from runtime.engine import Proposal
from runtime.engine.spec import AgentSpec

CONTRACT = "converge-agent/1"
FOLDER = Path(__file__).parent / "contract"
LONGEST_WORDS = 300  # of a schema's complaint: it may quote names that somebody outside chose


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The contract's JSON Schema of that name: `request` or `response`."""
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return schema


def explain_misfit(agent: AgentSpec, answer: Any) -> str:
    """Why `answer` is not what the contract says an agent of this shape answers; "" if it is."""
    return explain_error(_validator("ruling" if agent.shape == "aggregate" else "proposals"), answer)


def explain_error(validator: jsonschema_rs.Validator, value: Any) -> str:
    """The first thing a schema has against `value`, and where, without quoting the value; "" if nothing."""
    try:
        error = next(iter(validator.iter_errors(value)), None)
    except (ValueError, RecursionError):
        return "it is nested too deep"
    if error is None:
        return ""
    where = "/".join(str(part) for part in error.instance_path)
    return f"{'at ' + where + ': ' if where else ''}{error.message}"[:LONGEST_WORDS]


def make_validator(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """A validator whose complaints say `it` for the value: what was sent is not quoted, so that one mistake
    has one text (it enters the journal's digest)."""
    return jsonschema_rs.validator_for(dict(schema), mask="it")


def read_answer(answer: Mapping[str, Any]) -> list[Proposal] | Ruling | None:
    """What an answer that fits the contract says: proposals, a ruling, or None, an abstention."""
    if "proposals" in answer:
        return [_read_proposal(one) for one in answer["proposals"]]
    said = answer["ruling"]
    return None if said is None else Ruling(said["value"], said.get("confidence", 1.0), said.get("evidence"))


def _read_proposal(one: Mapping[str, Any]) -> Proposal:
    because = one.get("because")
    return Proposal(
        one["key"],
        one["subject"],
        one["value"],
        one.get("confidence", 1.0),
        one.get("evidence"),
        None if because is None else [(key, subject) for key, subject in because],
    )


@cache
def _validator(part: str) -> jsonschema_rs.Validator:
    schema = load_schema("response")
    return make_validator({"$schema": schema["$schema"], "$ref": f"#/$defs/{part}", "$defs": schema["$defs"]})
