"""Claims as people bring them, CSV or JSON; what cannot be read is said, by line and field."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runtime.engine.values import BoundsError, load_json
from runtime.packs.claims.claim import Claim, claim_subject, newest_words, read_instant, to_label

COLUMNS = ("source", "object", "attribute", "value")
KNOWN = (*COLUMNS, "observed_at", "confidence")
MAX_NAME = 150  # source, object, attribute: together they name a slot and must fit into one subject
MAX_SUBJECT = 500
MAX_VALUE = 2_000
MAX_EVIDENCE = 2_000
MAX_PROBLEMS = 50
MAX_BYTES = 64 * 1024 * 1024
OVERSHOOT = 0.01  # detectors' scores overshoot 0..1 by rounding of their own


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line (in JSON: an item) cannot be read: a sentence. `line` counts from 1; 0 is the whole input."""

    line: int
    field: str
    message: str
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.unit} {self.line}: {self.message}" if self.line else self.message


@dataclass(frozen=True, slots=True)
class Reading:
    """One claim for each (source, slot), the problems (at most MAX_PROBLEMS and one that says so), and how many
    older statements of the same source on the same slot were passed over."""

    claims: tuple[Claim, ...]
    problems: tuple[Problem, ...]
    superseded: int = 0


def read_claims_csv(text: str) -> Reading:
    """Read claims with the columns source, object, attribute, value, and if there are any observed_at, confidence.

    Comma, semicolon or tab; a byte order mark is skipped; further columns become evidence. Of a source's repeated
    statements on one slot the newest `observed_at` is its word, and of equal ones the last row.
    """
    return _read(_csv_rows(text.removeprefix("\ufeff")), "line")


def read_claims_json(text: str) -> Reading:
    """Read a JSON list of objects with the same fields as the CSV's columns; a value may be any JSON but null."""
    return _read(_json_rows(text.removeprefix("\ufeff")), "item")


class _Unreadable(Exception):
    """Ends the reading of one row, or, raised outside any row, of the whole input."""

    def __init__(self, field: str, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.field, self.message, self.line = field, message, line


Row = Mapping[str, Any] | _Unreadable


def _read(rows: Iterator[tuple[int, Row]], unit: str) -> Reading:
    claims: list[Claim] = []
    problems: list[Problem] = []
    try:
        for line, row in rows:
            try:
                claims.append(_read_row(line, row))
            except _Unreadable as error:
                problems.append(_tell(error, line, unit))
            if len(problems) >= MAX_PROBLEMS:
                message = f"has {MAX_PROBLEMS} unreadable {unit}s up to {line}; the rest was not looked at"
                raise _Unreadable("", message)
        if not claims and not problems:
            raise _Unreadable("", f"holds no claims; it needs at least one {unit} beside the field names")
    except _Unreadable as error:
        problems.append(_tell(error, error.line, unit))
    words = newest_words(claims)
    return Reading(words, tuple(problems), len(claims) - len(words))


def _tell(error: _Unreadable, line: int, unit: str) -> Problem:
    what = error.field or (unit if line else "input")
    return Problem(line, error.field, f"The {what} {error.message}.", unit)


def _csv_rows(text: str) -> Iterator[tuple[int, Row]]:
    if not text.strip():
        raise _Unreadable(
            "", f"is empty; it needs a header with {', '.join(COLUMNS)}, and a row for each claim"
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_find_delimiter(text), strict=True)
    begins = 1
    try:
        header = _read_header(next(reader))
        begins = reader.line_num + 1
        for cells in reader:
            if any(cells):
                yield begins, _name_cells(header, cells)
            begins = reader.line_num + 1
    except csv.Error as error:
        message = f"is malformed CSV: {error}; double the quotes inside quoted cells, and close each one"
        raise _Unreadable("", message, begins) from None


def _name_cells(header: list[str], cells: list[str]) -> Row:
    if len(cells) == len(header):
        return dict(zip(header, cells, strict=True))
    message = (
        f"has {len(cells)} cells where the header has {len(header)}; quote cells that hold the separator"
    )
    return _Unreadable("", message)


def _find_delimiter(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(",;\t", key=lambda mark: (header.count(mark), mark == ","))


def _read_header(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    header = [name.lower() if name.lower() in KNOWN else name for name in names]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        message = f"is not in the header, which names {', '.join(names)}; add {', '.join(missing)}"
        raise _Unreadable(missing[0], message, 1)
    twice = [name for index, name in enumerate(header) if name in header[:index]]
    if twice:
        raise _Unreadable(twice[0], "is twice in the header; rename one", 1)
    return header


def _json_rows(text: str) -> Iterator[tuple[int, Row]]:
    if not text.strip():
        raise _Unreadable("", "is empty; it needs a JSON list of objects, one for each claim")
    try:
        rows = load_json(text, MAX_BYTES)
    except BoundsError as error:
        raise _Unreadable("", str(error)) from None
    if not isinstance(rows, list):
        raise _Unreadable("", "is not a JSON list; put the claims in [ ]")
    for place, row in enumerate(rows, 1):
        wrong = _Unreadable("", f"is not an object with the fields {', '.join(COLUMNS)}")
        yield place, row if isinstance(row, dict) else wrong


def _read_row(line: int, row: Row) -> Claim:
    if isinstance(row, _Unreadable):
        raise row
    source, object_, attribute = (_read_name(row, name) for name in ("source", "object", "attribute"))
    value, label = _read_value(row.get("value"))
    observed = _read_observed(row.get("observed_at"))
    evidence = _read_evidence(row)
    if len(claim_subject(source, object_, attribute)) > MAX_SUBJECT:
        message = (
            f"is too long with its object and attribute: the limit for all is {MAX_SUBJECT}; shorten one"
        )
        raise _Unreadable("source", message)
    return Claim(
        source,
        object_,
        attribute,
        label,
        observed,
        _read_confidence(row.get("confidence")),
        evidence,
        value,
        line,
    )


def _read_name(row: Mapping[str, Any], name: str) -> str:
    raw = row.get(name)
    if not isinstance(raw, str | int) or isinstance(raw, bool):
        raise _Unreadable(name, f"is {raw!r}; it must be a text")
    text = " ".join(str(raw).split())
    if not text:
        raise _Unreadable(name, "is empty; every claim names its source, object and attribute")
    if len(text) > MAX_NAME:
        raise _Unreadable(name, f"has {len(text):,} characters; the limit is {MAX_NAME}; shorten it")
    if not text.isprintable():
        raise _Unreadable(name, f"is {text!r} and holds a character that cannot be printed; remove it")
    return text


def _read_value(raw: Any) -> tuple[Any, str]:
    value = raw.strip() if isinstance(raw, str) else raw
    if value is None or value == "":
        raise _Unreadable("value", "is empty; leave the row out if the source says nothing")
    label = to_label(value)
    if len(label) > MAX_VALUE:
        raise _Unreadable("value", f"has {len(label):,} characters; the limit is {MAX_VALUE:,}; shorten it")
    if "\0" in label or _has_surrogates(label):
        raise _Unreadable("value", "holds a character that cannot be stored; remove it")
    return value, label


def _has_surrogates(text: str) -> bool:
    return not text.isprintable() and any("\ud800" <= mark <= "\udfff" for mark in text)


def _read_observed(raw: Any) -> str:
    text = "" if raw is None else str(raw).strip()
    try:
        read_instant(text)
    except (ValueError, OverflowError):
        message = (
            f"is {text[:40]!r}, no ISO 8601 time; write 2024-04-22 or 2024-04-22T20:26:29Z, or leave it empty"
        )
        raise _Unreadable("observed_at", message) from None
    return text


def _read_confidence(raw: Any) -> float | None:
    if raw is None or raw == "":
        return None
    try:
        number = float(raw)
    except (TypeError, ValueError):
        number = math.nan
    if not -OVERSHOOT <= number <= 1 + OVERSHOOT:
        raise _Unreadable("confidence", f"is {str(raw)[:40]!r}; it must lie between 0 and 1, or be empty")
    return min(max(number, 0.0), 1.0)


def _read_evidence(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    evidence = []
    for name in sorted(set(row) - set(KNOWN)):
        raw = row[name]
        text = raw.strip() if isinstance(raw, str) else json.dumps(raw, sort_keys=True, ensure_ascii=False)
        if len(text) > MAX_EVIDENCE:
            message = f"has {len(text):,} characters; the limit is {MAX_EVIDENCE:,}; shorten it"
            raise _Unreadable(name, message)
        if text and name:
            evidence.append((name, text))
    return tuple(evidence)
