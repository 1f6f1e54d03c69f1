"""A value as a person types it: JSON, or plain text where the key takes texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from runtime.actions import Refused
from runtime.actions.deciding import check_fits_key
from runtime.actions.inbox import check_value
from runtime.models import Job

CHOICES_SHOWN = 12
_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list, as JSON",
    "null": "null",
}


def read_typed_value(job: Job, key: str, text: str) -> Any:
    """The value `text` stands for in `key`: read as JSON if that fits the key's schema, else as plain text.

    Raises Refused with field "value" if neither fits, and with field "key" if the job's pack has no such key.
    """
    text = text.strip()
    if not text:
        raise Refused("Give a value.", field="value")
    fits_as_text = _fits(job, key, text)
    try:
        read = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if not fits_as_text and text[0] in "{[":
            raise Refused(f"That is no JSON: {error}.", field="value") from None
        read = text
    if not fits_as_text:
        check_value("value", read)
    if fits_as_text and not _fits(job, key, read):
        return text
    check_fits_key(job, key, read)
    return read


def _fits(job: Job, key: str, value: Any) -> bool:
    try:
        check_value("value", value)  # before the schema's reader walks through it: it may be nested 900 deep
        check_fits_key(job, key, value)
    except Refused as refused:
        if refused.field == "key":
            raise
        return False
    return True


def words_of_schema(schema: Mapping[str, Any]) -> str:
    """What values a key takes, in a few words."""
    choices = schema.get("enum")
    if choices:
        shown = ", ".join(map(str, choices[:CHOICES_SHOWN]))
        return f"one of {shown}" + (" …" if len(choices) > CHOICES_SHOWN else "")
    properties = schema.get("properties")
    if isinstance(properties, dict) and properties:
        needed = set(schema.get("required") or ())
        names = ", ".join(n if n in needed else f"{n} (optional)" for n in list(properties)[:CHOICES_SHOWN])
        return f"an object with {names}, as JSON"
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    words = " or ".join(_KINDS.get(str(k), "an object, as JSON") for k in kinds if k)
    return (words or "any text or JSON") + _limits(schema)


def _limits(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:,.10g} to {high:,.10g}"
    if low is not None:
        return f" of at least {low:,.10g}"
    return f" of at most {high:,.10g}" if high is not None else ""
