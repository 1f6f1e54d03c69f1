"""One input of a seed form, made from a JSON Schema: its title, unit, limits and example; text to value and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson


class FieldError(ValueError):
    """A text that is no value for its field. The message is for people."""


@dataclass(frozen=True, slots=True)
class Field:
    """One input. `kind`: "number", "integer", "text", "choice", "boolean", "list" (of texts) or "json".

    `name` is the property of the value; "" if the field is the whole value.
    """

    name: str
    title: str
    kind: str
    unit: str = ""
    help: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    default: Any = None
    example: str = ""

    def write(self, value: Any) -> str:
        """The value as the input's text."""
        if value is None:
            return ""
        if self.kind == "list" and isinstance(value, list):
            return "; ".join(map(str, value))
        if isinstance(value, str):
            return value
        return orjson.dumps(value).decode()

    def read(self, text: str) -> Any:
        """The input's text as a value. Raises FieldError; an empty text is never passed."""
        return _READERS[self.kind](text.strip(), self)


def make_fields(schema: Mapping[str, Any]) -> list[Field]:
    """The inputs for the values of a key: one for each property of an object, one in all for anything else."""
    properties = schema.get("properties")
    if schema.get("type", "object") == "object" and isinstance(properties, dict) and properties:
        required = list(schema.get("required") or ())
        # PostgreSQL's jsonb forgets the order of an object's keys; the list of required ones keeps theirs.
        names = dict.fromkeys([*(name for name in required if name in properties), *properties])
        return [_make(name, properties[name], name in required) for name in names]
    return [_make("", schema, True)]


def _make(name: str, schema: Mapping[str, Any], required: bool) -> Field:
    examples = schema.get("examples") or []
    field = Field(
        name=name,
        title=str(schema.get("title") or name.replace("_", " ").capitalize() or "Value"),
        kind=_kind(schema),
        unit=str(schema.get("unit") or ""),
        help=str(schema.get("description") or "") if name else "",
        required=required,
        choices=tuple(map(str, schema.get("enum") or ())),
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        default=schema.get("default"),
    )
    example = field.write(examples[0]) if examples else ""
    return Field(**{**{slot: getattr(field, slot) for slot in field.__slots__}, "example": example})


def _kind(schema: Mapping[str, Any]) -> str:
    enum = schema.get("enum")
    if enum and all(isinstance(choice, str) for choice in enum):
        return "choice"
    kind = schema.get("type")
    if kind == "array" and (schema.get("items") or {}).get("type") == "string":
        return "list"
    return {"number": "number", "integer": "integer", "string": "text", "boolean": "boolean"}.get(
        str(kind), "json"
    )


def _read_number(text: str, field: Field) -> float | int:
    try:
        number = float(text)
    except ValueError:
        raise FieldError(f"{field.title}: “{text[:40]}” is no number; write it like 1200 or 0.35.") from None
    if not math.isfinite(number):
        raise FieldError(f"{field.title}: a number must be finite.")
    if field.minimum is not None and number < field.minimum:
        raise FieldError(f"{field.title}: must be at least {field.minimum:g}.")
    if field.maximum is not None and number > field.maximum:
        raise FieldError(f"{field.title}: must be at most {field.maximum:,.10g}.")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _read_integer(text: str, field: Field) -> int:
    number = _read_number(text, field)
    if not isinstance(number, int):
        raise FieldError(f"{field.title}: must be a whole number.")
    return number


def _read_choice(text: str, field: Field) -> str:
    if text not in field.choices:
        raise FieldError(f"{field.title}: choose one of {', '.join(field.choices)}.")
    return text


def _read_boolean(text: str, field: Field) -> bool:
    if text not in ("true", "false"):
        raise FieldError(f"{field.title}: choose yes or no.")
    return text == "true"


def _read_json(text: str, field: Field) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise FieldError(f"{field.title}: that is no JSON ({error}).") from None


_READERS: dict[str, Callable[[str, Field], Any]] = {
    "number": _read_number,
    "integer": _read_integer,
    "choice": _read_choice,
    "boolean": _read_boolean,
    "json": _read_json,
    "text": lambda text, field: text,
    "list": lambda text, field: [part.strip() for part in text.split(";") if part.strip()],
}
