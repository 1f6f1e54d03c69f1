"""What a language model is told to answer, as a JSON Schema, and how its answer is read and checked.

The form is that of the http contract, with the parts left out that are known beforehand: the key where the agent
writes one, the subject where there can be one only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jsonschema_rs

from runtime.agents.answering import explain_error, make_validator
from runtime.agents.saying import Ruling
from runtime.engine import BoundsError, Proposal
from runtime.engine.spec import AgentSpec
from runtime.engine.values import load_json

Json = dict[str, Any]

DEFAULT_CONFIDENCE = 0.5  # where neither the config nor the model says how sure it is
LONGEST_REASON = 2_000
MAX_ANSWER = 4_000_000  # bytes; the tool's own limit is what binds


class Unfit(ValueError):
    """What a model said is not what it was asked for. The message completes "at fault: …"; it quotes nothing."""


class AnswerForm:
    """The form of one agent's answers. `subject` is whom they are about, where that is known beforehand;
    `confidence` is what every proposal gets, where the config says so."""

    def __init__(
        self, agent: AgentSpec, schemas: Mapping[str, Json], subject: str | None, confidence: float | None
    ) -> None:
        self.agent = agent
        self.schemas = schemas
        self.subject = subject
        self.confidence = confidence
        self.only_key = next(iter(schemas)) if len(schemas) == 1 else None

    @cached_property
    def schema(self) -> Json:
        """The JSON Schema that the model is given."""
        if self.agent.shape == "aggregate":
            ruling = self._said({"value": dict(self.schemas[self.agent.over])}, ["value"])
            return _object({"ruling": {"anyOf": [ruling, {"type": "null"}]}}, ["ruling"])
        forms = [self._proposal({"const": key}, dict(schema)) for key, schema in self.schemas.items()]
        items = forms[0] if len(forms) == 1 else {"anyOf": forms}
        listed: Json = {"type": "array", "items": items}
        if self.subject is not None:
            listed["maxItems"] = len(forms)
        return _object({"proposals": listed}, ["proposals"])

    def read(self, text: str) -> Any:
        """The answer in `text`, as JSON that fits the form and the keys' schemas. Raises Unfit."""
        try:
            answer = load_json(text, MAX_ANSWER)
        except BoundsError as error:
            raise Unfit(f"it {error}") from None
        why = explain_error(self._envelope, answer)
        if why:
            raise Unfit(why)
        for where, key, value in self._values(answer):
            why = explain_error(self._validators[key], value)
            if why:
                raise Unfit(f"{where}: {why}")
        return answer

    def proposals(self, answer: Any, evidence: Mapping[str, Any]) -> list[Proposal] | Ruling | None:
        """What a read answer proposes, `evidence` beside the reason it gives; None is an abstention."""
        if self.agent.shape == "aggregate":
            said = answer["ruling"]
            return (
                None if said is None else Ruling(said["value"], self._sure(said), _evidence(said, evidence))
            )
        return [
            Proposal(
                said.get("key", self.only_key),
                said.get("subject", self.subject),
                said["value"],
                self._sure(said),
                _evidence(said, evidence),
            )
            for said in answer["proposals"]
        ]

    @cached_property
    def _envelope(self) -> jsonschema_rs.Validator:
        """The form without the keys' schemas, which are asked one by one: their complaints are then precise."""
        if self.agent.shape == "aggregate":
            ruling = {**self._said({"value": {}}, ["value"]), "type": ["object", "null"]}
            return make_validator(_object({"ruling": ruling}, ["ruling"]))
        listed = {"type": "array", "items": self._proposal({"enum": list(self.schemas)}, {})}
        return make_validator(_object({"proposals": listed}, ["proposals"]))

    @cached_property
    def _validators(self) -> dict[str, jsonschema_rs.Validator]:
        return {key: make_validator(schema) for key, schema in self.schemas.items()}

    def _values(self, answer: Any) -> list[tuple[str, str, Any]]:
        if self.agent.shape == "aggregate":
            said = answer["ruling"]
            return [] if said is None else [("in ruling/value", self.agent.over, said["value"])]
        return [
            (f"in proposals/{at}/value", said.get("key", self.only_key), said["value"])
            for at, said in enumerate(answer["proposals"])
        ]

    def _proposal(self, key: Json, value: Json) -> Json:
        subject: Json = {"type": "string"} if self.subject is None else {"const": self.subject}
        needed = ["key"] * (self.only_key is None) + ["subject"] * (self.subject is None)
        return self._said({"key": key, "subject": subject, "value": value}, [*needed, "value"])

    def _said(self, properties: Json, needed: list[str]) -> Json:
        sure: Json = {"confidence": {"type": "number", "minimum": 0, "maximum": 1}}
        rest = {**({} if self.confidence is not None else sure), "reason": {"type": "string"}}
        return _object({**properties, **rest}, needed)

    def _sure(self, said: Mapping[str, Any]) -> Any:
        return said.get("confidence", DEFAULT_CONFIDENCE) if self.confidence is None else self.confidence


def describe_form(form: AnswerForm) -> str:
    """The form in words and as a schema, for models whose server does not know `response_format`."""
    schema = json.dumps(form.schema, ensure_ascii=False)
    return f"Answer with one JSON object and nothing else. It must fit this JSON Schema:\n{schema}"


def _object(properties: Json, needed: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def _evidence(said: Mapping[str, Any], evidence: Mapping[str, Any]) -> Json:
    reason = said.get("reason", "")[:LONGEST_REASON]
    return {**evidence, **({"reason": reason} if reason else {})}
