"""Keys whose values are flat objects, shown as tables: a column a field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a key's values."""

    name: str
    title: str
    is_number: bool


def make_columns(schema: Mapping[str, Any]) -> list[Column]:
    """Columns for objects of 2 to MOST_COLUMNS fields; none for anything else, which is shown in one cell."""
    properties = schema.get("properties") or {}
    if schema.get("type") != "object" or not 2 <= len(properties) <= MOST_COLUMNS:
        return []
    columns = []
    for name, part in properties.items():
        kinds = part.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        title = str(part.get("title") or name.replace("_", " ").capitalize())
        columns.append(Column(name, title, bool({"number", "integer"} & set(kinds))))
    return columns
