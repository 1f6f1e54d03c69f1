"""Seeds from text: the samples a pack ships, and tables a person uploads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.agents.errors import DeclarationError
from runtime.engine.spec import KeySpec

Seeds = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an input: the line of the file (from 1; 0 if it has none), the field, and a
    sentence."""

    line: int
    field: str
    message: str


CsvReader = Callable[[str], tuple[Seeds, list[Problem]]]

OWN_COLUMNS = ("key", "subject", "value", "confidence")


def read_table(text: str, keys: Sequence[KeySpec]) -> tuple[Seeds, list[Problem]]:
    """Seeds from CSV text, for the seed keys in `keys`; problems name their line.

    Columns: `key` (may be left out where the pack has one seed key, or where the other columns fit only
    one), `subject`, `confidence`, and either `value` (JSON, or plain text) or one column for each field of
    the value. Empty cells are left out. Whether the values fit their schema is not looked at here.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        found = _check_header(header)
        if found:
            return [], found
        table = _Table(header, {key.name: key for key in keys if key.seed})
        for row in reader:
            if any(cell.strip() for cell in row):
                table.add(reader.line_num, row)
    except csv.Error as error:
        return [], [Problem(reader.line_num, "", f"This line is not CSV: {error}.")]
    if not table.seeds and not table.problems:
        return [], [Problem(1, "", "There is a header and no row below it.")]
    return table.seeds, table.problems


def read_samples(path: Path, read_csv: CsvReader) -> Seeds:
    """The seeds in a sample file that a pack ships: a JSON list, or CSV. Raises DeclarationError if it is
    unreadable."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        seeds: Seeds = json.loads(text)
        return seeds
    seeds, problems = read_csv(text)
    if problems:
        raise DeclarationError(f"Sample {path.name}, line {problems[0].line}: {problems[0].message}")
    return seeds


def _check_header(header: list[str]) -> list[Problem]:
    if not any(header):
        return [Problem(1, "", "The file is empty; its first line must name the columns.")]
    if "subject" not in header:
        return [
            Problem(1, "subject", f"There is no column `subject`; the first line names {', '.join(header)}.")
        ]
    twice = sorted({name for name in header if name and header.count(name) > 1})
    return [Problem(1, name, f"The column `{name}` is there twice.") for name in twice]


class _Table:
    """Reads rows under one header."""

    def __init__(self, header: list[str], keys: Mapping[str, KeySpec]) -> None:
        self.header = header
        self.keys = keys
        self.seeds: Seeds = []
        self.problems: list[Problem] = []

    def add(self, line: int, row: list[str]) -> None:
        if len(row) > len(self.header):
            wanted = f"{len(row)} cells under {len(self.header)} columns"
            self.problems.append(Problem(line, "", f"This line has {wanted}; quote cells that hold a comma."))
            return
        cells = {
            name: cell.strip() for name, cell in zip(self.header, row, strict=False) if name and cell.strip()
        }
        try:
            self.seeds.append(self._seed(cells))
        except _Refusal as refusal:
            self.problems.append(Problem(line, refusal.field, str(refusal)))

    def _seed(self, cells: dict[str, str]) -> dict[str, Any]:
        fields = {name: cell for name, cell in cells.items() if name not in OWN_COLUMNS}
        if "subject" not in cells:
            raise _Refusal("subject", "The subject is empty; say whom this line is about.")
        key = self._key_of(cells.get("key", ""), fields)
        if "value" in cells and fields:
            raise _Refusal(
                "value", f"Both `value` and the column `{min(fields)}` are filled; use one or the other."
            )
        seed: dict[str, Any] = {"key": key.name, "subject": cells["subject"]}
        seed["value"] = _plain(cells["value"]) if "value" in cells else _object(fields, key)
        if "confidence" in cells:
            seed["confidence"] = _number("confidence", cells["confidence"])
        return seed

    def _key_of(self, name: str, fields: Mapping[str, str]) -> KeySpec:
        if name:
            if name not in self.keys:
                raise _Refusal(
                    "key", f"The key {name!r} is none that can be submitted: {', '.join(self.keys)}."
                )
            return self.keys[name]
        fitting = [
            key for key in self.keys.values() if set(fields) <= set(key.schema.get("properties", fields))
        ]
        if len(fitting) != 1:
            raise _Refusal(
                "key", f"Say in a column `key` which of these this line is: {', '.join(self.keys)}."
            )
        return fitting[0]


class _Refusal(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _object(fields: Mapping[str, str], key: KeySpec) -> dict[str, Any]:
    known = key.schema.get("properties", {})
    return {name: _cell(name, cell, known.get(name, {})) for name, cell in fields.items()}


def _cell(name: str, cell: str, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind in ("number", "integer"):
        return _number(name, cell)
    if kind == "boolean":
        return _truth(name, cell)
    if kind == "array":
        return [
            _cell(name, part.strip(), schema.get("items", {})) for part in cell.split(";") if part.strip()
        ]
    return cell if kind == "string" else _plain(cell)


def _number(name: str, cell: str) -> float | int:
    try:
        number = float(cell)
    except ValueError:
        raise _Refusal(name, f"{cell!r} is not a number; write it like 1200 or 0.35.") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise _Refusal(name, f"{cell!r} is not a number that JSON has.")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _truth(name: str, cell: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if cell.lower() not in words:
        raise _Refusal(name, f"{cell!r} is neither yes nor no.")
    return words[cell.lower()]


def _plain(cell: str) -> Any:
    try:
        return json.loads(cell, parse_constant=lambda word: word)
    except (ValueError, RecursionError):
        return cell
