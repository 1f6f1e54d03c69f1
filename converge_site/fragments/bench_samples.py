"""Candidates to begin with on the test bench: what really disagreed on a key last, or what its schema suggests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.bench import MOST_CANDIDATES
from runtime.engine import PackSpec
from runtime.engine.spec import SEED, KeySpec
from runtime.models import Conflict, Entry, Pack


def sample_of(pack: Pack, spec: PackSpec, key: KeySpec) -> tuple[str, list[dict[str, Any]], Conflict | None]:
    """A subject, candidates on it, and the question that they come from, if there ever was one on this key."""
    asked = Conflict.objects.filter(job__pack=pack, key=key.name, kind="conflict").select_related("job")
    last = asked.order_by("-id").first()
    if last is not None and last.sides:
        return last.subject, _from_conflict(last), last
    return "sample", _from_schema(spec, key), None


def _from_conflict(conflict: Conflict) -> list[dict[str, Any]]:
    voices = [(side.get("value"), voice) for side in conflict.sides for voice in side.get("voices", ())]
    seqs = [voice["seq"] for _, voice in voices if "seq" in voice]
    entries = Entry.objects.filter(job=conflict.job_id, seq__in=seqs)
    evidence = {entry.seq: entry.data.get("evidence") for entry in entries}
    return [
        {
            "value": value,
            "confidence": voice.get("conf", 1000) / 1000,
            "agent": voice["agent"],
            **({"item": voice["item"]} if voice.get("item") and voice["agent"] != SEED else {}),
            **({"evidence": evidence[voice["seq"]]} if evidence.get(voice.get("seq")) else {}),
        }
        for value, voice in voices[:MOST_CANDIDATES]
    ]


def _from_schema(spec: PackSpec, key: KeySpec) -> list[dict[str, Any]]:
    writers = [a.name for a in spec.agents if key.name in a.writes and a.shape != "aggregate"]
    speakers = [*writers, *([SEED] if key.seed or not writers else [])]
    values = _two_values(key.schema)
    return [
        {"value": value, "confidence": sure, "agent": speakers[at % len(speakers)]}
        for at, (value, sure) in enumerate(zip(values, (0.9, 0.6), strict=False))
    ]


def _two_values(schema: Mapping[str, Any]) -> Sequence[Any]:
    """Two values that differ and that the schema most likely takes."""
    if schema.get("enum"):
        return list(schema["enum"])[:2]
    examples = schema.get("examples")
    if isinstance(examples, list) and len(examples) > 1:
        return examples[:2]
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        needed = schema.get("required") or list(properties)
        pairs = {name: _two_values(properties.get(name, {})) for name in needed}
        return [{name: pair[min(at, len(pair) - 1)] for name, pair in pairs.items()} for at in (0, 1)]
    return _of_type(schema)


def _of_type(schema: Mapping[str, Any]) -> Sequence[Any]:
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "boolean":
        return [True, False]
    if kind in ("number", "integer"):
        return _numbers(schema)
    if kind == "array":
        return [
            [],
            *([[_two_values(schema["items"])[0]]] if isinstance(schema.get("items"), Mapping) else [[1]]),
        ]
    return ["one", "other"]


def _numbers(schema: Mapping[str, Any]) -> Sequence[float]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None:
        low = high - 1 if high is not None else 1
    return [low, high if high is not None else low + 1]
