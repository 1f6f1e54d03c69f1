"""A JSON value that fits a schema, made up from the schema and a text alone."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

DEEPEST = 20


def fill_schema(schema: Mapping[str, Any] | bool, about: str, text: str, depth: int = 0) -> Any:
    """A value for a JSON Schema: of texts the given one, of choices one drawn from `about`. Covers what keys of packs
    are declared with; references and patterns are not followed."""
    if isinstance(schema, bool) or depth > DEEPEST:
        return text
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][_draw(about) % len(schema["enum"])]
    for either in ("anyOf", "oneOf", "allOf"):
        if schema.get(either):
            return fill_schema(schema[either][0], about, text, depth + 1)
    return _of_type(schema, _type(schema), about, text, depth)


def _type(schema: Mapping[str, Any]) -> str:
    named = schema.get("type") or ("object" if "properties" in schema else "string")
    return str(named if isinstance(named, str) else next((t for t in named if t != "null"), "null"))


def _of_type(schema: Mapping[str, Any], kind: str, about: str, text: str, depth: int) -> Any:
    if kind == "object":
        properties = schema.get("properties") or {}
        return {
            name: fill_schema(part, f"{about}\0{name}", text, depth + 1) for name, part in properties.items()
        }
    if kind == "array":
        count = max(1, int(schema.get("minItems", 1)))
        items = schema.get("items", {})
        return [fill_schema(items, f"{about}\0{at}", text, depth + 1) for at in range(count)]
    if kind in ("number", "integer"):
        return _number(schema, about, whole=kind == "integer")
    if kind == "boolean":
        return _draw(about) % 2 == 0
    if kind == "null":
        return None
    short = text[: int(schema.get("maxLength", len(text)))]
    return short.ljust(int(schema.get("minLength", 0)), ".")


def _number(schema: Mapping[str, Any], about: str, whole: bool) -> float | int:
    low = float(schema.get("minimum", 0))
    high = min(float(schema.get("maximum", low + 100)), low + 100)
    found = low + (high - low) * (_draw(about) % 101) / 100
    return int(found) if whole else round(found, 2)


def _draw(about: str) -> int:
    return int.from_bytes(sha256(about.encode()).digest()[:6])
