"""JSON values as people read them: one line, a few fields, or in full. Plain text; escaping is the template's."""

from __future__ import annotations

from typing import Any

import orjson

LINE = 160
FIELDS = 8


def pretty_value(value: Any) -> str:
    """The whole value as indented JSON."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def brief_value(value: Any, length: int = LINE) -> str:
    """The value on one line, cut at `length` characters."""
    return _cut(_in_line(value), length)


def cell_value(value: Any) -> str:
    """One field of a row: numbers with their thousands apart, everything else on one line."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.10g}" if abs(value) < 1e15 else str(value)
    return "–" if value is None else _cut(_in_line(value), 90)


def long_cell_value(value: Any) -> str:
    """One field of a record that has room: up to 1,000 characters."""
    if isinstance(value, dict):
        return _cut(
            " · ".join(f"{name}: {cell_value(part)}" for name, part in list(value.items())[:60]) or "{}", 1000
        )
    if isinstance(value, list):
        return _cut(", ".join(cell_value(part) for part in value[:60]) or "none", 1000)
    return _cut(value, 1000) if isinstance(value, str) else cell_value(value)


def field_pairs(value: Any) -> list[tuple[str, str]]:
    """The fields of a flat object with few fields, as texts; [] for anything else, which is shown in one line."""
    if not isinstance(value, dict) or not value or len(value) > FIELDS:
        return []
    return [(_cut(name, 40), _cut(_in_line(part), 90)) for name, part in value.items()]


def is_shortened(value: Any) -> bool:
    """Whether `field_pairs` or `brief_value` leave out some of the value."""
    pairs = field_pairs(value)
    shown = [text for pair in pairs for text in pair] or [brief_value(value)]
    return any(text.endswith("…") for text in shown) or (isinstance(value, dict) and len(value) > FIELDS)


def confidence_words(confidence: float | None) -> str:
    """A confidence 0..1 with two decimals, or three where it has them."""
    if confidence is None:
        return ""
    thousandths = round(confidence * 1000)
    return f"{thousandths / 1000:.3f}" if thousandths % 10 else f"{thousandths / 1000:.2f}"


def _in_line(value: Any) -> str:
    if isinstance(value, str):
        return value if value else '""'
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "nothing"}[value]
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, dict):
        return " · ".join(f"{name}: {_in_line(part)}" for name, part in list(value.items())[:FIELDS]) or "{}"
    if isinstance(value, list):
        return (
            ", ".join(_in_line(part) for part in value[:FIELDS]) + (" …" if len(value) > FIELDS else "")
            or "[]"
        )
    return str(value)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
