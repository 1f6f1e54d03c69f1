"""Points as people bring them, in CSV; what cannot be read is said by line and field."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from runtime.agents import Problem
from runtime.packs.incident.series import Series, make_series, series_to_seeds, to_seconds

COLUMNS = ("timestamp", "value")
KNOWN = ("series", *COLUMNS)
NAME_LINE = "# series:"
UNNAMED = "series"
MAX_NAME = 150
MOST = 1e100  # beyond it, differences and their sums might leave what a float holds
MAX_PROBLEMS = 50
FEWEST_POINTS = 100  # a series; with fewer nobody can say what is usual
MISSING = ("", "nan", "null", "none")
EARLIEST, LATEST = 0, 253_402_300_799  # 1970 to 9999


class _Unreadable(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def read_points_csv(text: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Seeds from CSV: a few `points` facts for each series. See `read_series_csv` for the form."""
    series, problems = read_series_csv(text)
    return ([] if problems else [seed for one in series for seed in series_to_seeds(one)]), problems


def read_series_csv(text: str, name: str = UNNAMED) -> tuple[list[Series], list[Problem]]:
    """Series in order of first appearance, and what is wrong with the text (at most 50 problems and one that says so).

    Columns `timestamp` (ISO 8601, without an offset in UTC, or seconds since 1970), `value`, and for several series
    in one file `series`. A file of one is named by a first line `# series: NAME`, or is called `name`. Comma, semicolon
    or tab. Rows may come in any order; of several at one time the last counts; a row without a value (empty, NaN) is no
    point.
    """
    text = text.removeprefix("\ufeff")
    first, _, rest = text.partition("\n")
    table = _Table(name)
    try:
        if first.lower().startswith(NAME_LINE):
            table.name = _read_name(first[len(NAME_LINE) :].strip().rstrip(",;\t"))
            table.skipped, text = 1, rest
        _read_rows(text, table)
    except _Unreadable as error:
        table.refuse(table.line, error)
    if not table.problems:
        table.check_lengths()
    return [make_series(one, points) for one, points in table.points.items()], table.problems


class _Table:
    """What was read so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.skipped = 0  # lines above the header
        self.line = 1
        self.points: dict[str, list[tuple[int, float]]] = {}
        self.problems: list[Problem] = []

    def refuse(self, line: int, error: _Unreadable) -> None:
        what = error.field or "line"
        self.problems.append(Problem(line, error.field, f"The {what} {error}."))

    def add(self, cells: dict[str, str]) -> None:
        name = _read_name(cells.get("series", self.name))
        time = _read_time(cells["timestamp"])
        value = _read_value(cells["value"])
        points = self.points.setdefault(name, [])
        if value is not None:
            points.append((time, value))

    def check_lengths(self) -> None:
        if not self.points:
            message = "There is a header and no row below it."
            self.problems.append(Problem(self.line, "", message))
        for name, points in self.points.items():
            count = len(dict(points))
            if count < FEWEST_POINTS:
                message = f"{name} has {count} points; it takes {FEWEST_POINTS} to know what is usual."
                self.problems.append(Problem(0, "series", message))


def _read_rows(text: str, table: _Table) -> None:
    table.line = 1 + table.skipped
    if not text.strip():
        raise _Unreadable("input", f"is empty; it needs a header with {', '.join(COLUMNS)} and a row a point")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_find_delimiter(text), strict=True)
    try:
        header = _read_header(next(reader))
        for cells in reader:
            table.line = reader.line_num + table.skipped
            if not any(cells):
                continue
            try:
                table.add(_name_cells(header, cells))
            except _Unreadable as error:
                table.refuse(table.line, error)
            if len(table.problems) == MAX_PROBLEMS:
                raise _Unreadable(
                    "input", f"has {MAX_PROBLEMS} unreadable lines up to here; the rest was not read"
                )
    except csv.Error as error:
        table.line = reader.line_num + table.skipped
        raise _Unreadable("line", f"is not CSV: {error}") from None


def _find_delimiter(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(",;\t", key=lambda mark: (header.count(mark), mark == ","))


def _read_header(cells: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    for name in COLUMNS:
        if name not in header:
            raise _Unreadable(
                name, f"is not in the header, which names {', '.join(cells)[:200]}; add the column"
            )
    for name in KNOWN:
        if header.count(name) > 1:
            raise _Unreadable(name, "is twice in the header; rename one")
    strange = [cell for cell in header if cell not in KNOWN]
    if strange:
        raise _Unreadable(strange[0][:50], f"is no column of points; these are {', '.join(KNOWN)}")
    return header


def _name_cells(header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise _Unreadable("line", f"has {len(cells)} cells where the header has {len(header)}")
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _read_name(raw: str) -> str:
    name = " ".join(raw.split())
    if not name:
        raise _Unreadable("series", "is empty; say what was measured")
    if len(name) > MAX_NAME:
        raise _Unreadable("series", f"has {len(name):,} characters; the limit is {MAX_NAME}; shorten it")
    if not name.isprintable():
        raise _Unreadable("series", "holds a character that cannot be printed; remove it")
    return name


def _read_time(text: str) -> int:
    try:
        time = int(text) if text.isascii() and text.isdigit() else to_seconds(text)
    except (ValueError, OverflowError):
        time = EARLIEST - 1
    if not EARLIEST <= time <= LATEST:
        message = f"is {text[:40]!r}, no time from 1970 on; write 2014-04-10 00:04:00, or seconds since 1970"
        raise _Unreadable("timestamp", message)
    return time


def _read_value(text: str) -> float | None:
    if text.lower() in MISSING:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= MOST:
        raise _Unreadable(
            "value", f"is {text[:40]!r}; it must be a number, or empty where nothing was measured"
        )
    return value
