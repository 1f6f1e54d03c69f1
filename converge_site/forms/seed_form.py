"""The form for seeds, generated from a pack's keys: rows in, seeds out, and each problem beside its input.

Inputs are named by place: `k1-r3-subject`, `k1-r3-f2`; `k1-row` repeats once for each row, so that a removed row is
gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from django.http import QueryDict

from converge_site.forms.fields import Field, FieldError, make_fields
from converge_site.whole_numbers import read_whole
from runtime.engine.values import BoundsError, canonical

MOST_ROWS = 60
MOST_ROW_NUMBER = 99_999
REST = ("confidence", "evidence")


class Problem(Protocol):
    """What a check found: seed number from 1 (0 for all of them), field and sentence."""

    @property
    def line(self) -> int: ...
    @property
    def field(self) -> str: ...
    @property
    def message(self) -> str: ...


@dataclass(slots=True)
class Cell:
    """One input with its text and what is wrong with it."""

    field: Field
    name: str
    text: str = ""
    error: str = ""


@dataclass(slots=True)
class FormRow:
    """One seed being written."""

    number: int
    subject_name: str
    subject: str
    cells: list[Cell]
    error: str = ""
    subject_error: str = ""
    rest: dict[str, Any] = field(default_factory=dict)  # confidence and evidence, carried along

    @property
    def rest_text(self) -> str:
        """What is carried along, for a hidden input; "" for nothing."""
        return orjson.dumps(self.rest).decode() if self.rest else ""

    @property
    def is_blank(self) -> bool:
        """Whether nobody wrote anything here: defaults do not count."""
        return not self.subject.strip() and all(
            not cell.text.strip() or cell.text == cell.field.write(cell.field.default) for cell in self.cells
        )


@dataclass(slots=True)
class KeyForm:
    """The rows of one seed key."""

    place: int
    key: str
    title: str
    description: str
    subject_label: str
    fields: list[Field]
    rows: list[FormRow] = field(default_factory=list)

    @property
    def as_table(self) -> bool:
        """Several seeds make a table; one is shown as a block of fields."""
        return len(self.rows) != 1

    def add_row(self, number: int | None = None) -> FormRow:
        """A new row at the end with the defaults filled in."""
        if number is None:
            number = max((row.number for row in self.rows), default=-1) + 1
        prefix = f"k{self.place}-r{number}"
        cells = [Cell(f, f"{prefix}-f{i}", f.write(f.default)) for i, f in enumerate(self.fields)]
        row = FormRow(number, f"{prefix}-subject", "", cells)
        self.rows.append(row)
        return row

    def fill_row(self, seed: Mapping[str, Any]) -> None:
        """A row that shows a seed."""
        row, value = self.add_row(), seed.get("value")
        row.subject = str(seed.get("subject", ""))
        row.rest = {name: seed[name] for name in REST if seed.get(name) is not None}
        for cell in row.cells:
            part = value.get(cell.field.name) if cell.field.name and isinstance(value, dict) else value
            cell.text = cell.field.write(part)


@dataclass(slots=True)
class SeedForm:
    """All seed keys of a pack. After `seeds()` each row knows what is wrong with it."""

    keys: list[KeyForm]
    wrong: int = 0
    general: list[str] = field(default_factory=list)

    def seeds(self) -> list[dict[str, Any]]:
        """What the form says, blank rows left out. Cells that hold no value of their field get an error."""
        found = []
        self.wrong = 0
        for _, row, key in self._filled():
            found.append({"key": key, "subject": row.subject.strip(), "value": self._read(row), **row.rest})
        return found

    def place_problems(self, problems: Iterable[Problem]) -> None:
        """Puts what a check of `seeds()` found beside the input it is about."""
        rows = [row for _, row, _ in self._filled()]
        for problem in problems:
            self.wrong += 1
            if not 1 <= problem.line <= len(rows):
                self.general.append(problem.message)
                continue
            row = rows[problem.line - 1]
            cell = next((c for c in row.cells if c.field.name and c.field.name == problem.field), None)
            if cell is not None:
                cell.error = cell.error or problem.message
            elif problem.field == "subject":
                row.subject_error = row.subject_error or problem.message
            else:
                row.error = row.error or problem.message

    def _filled(self) -> list[tuple[KeyForm, FormRow, str]]:
        return [(key, row, key.key) for key in self.keys for row in key.rows if not row.is_blank]

    def _read(self, row: FormRow) -> Any:
        value: dict[str, Any] = {}
        for cell in row.cells:
            cell.error = ""
            try:
                read = _read_cell(cell)
            except FieldError as error:
                cell.error, self.wrong = str(error), self.wrong + 1
                continue
            if not cell.field.name:
                return read
            if cell.text.strip():
                value[cell.field.name] = read
        return value


def make_form(keys: Sequence[Mapping[str, Any]], seeds: Sequence[Mapping[str, Any]]) -> SeedForm:
    """The form of a pack's seed keys, filled with `seeds`; a key without any gets a blank row or two."""
    form = SeedForm([_key_form(place, key) for place, key in enumerate(k for k in keys if k.get("seed"))])
    by_key = {key.key: key for key in form.keys}
    for seed in seeds:
        if seed.get("key") in by_key:
            by_key[str(seed["key"])].fill_row(seed)
    for key in form.keys:
        if not key.rows:
            key.add_row()
    return form


def read_form(keys: Sequence[Mapping[str, Any]], posted: QueryDict) -> SeedForm:
    """The form as a POST brought it back."""
    form = SeedForm([_key_form(place, key) for place, key in enumerate(k for k in keys if k.get("seed"))])
    for key in form.keys:
        for text in posted.getlist(f"k{key.place}-row")[: 10 * MOST_ROWS]:
            number = read_whole(text, most=MOST_ROW_NUMBER)
            if number is not None:
                row = key.add_row(number)
                row.subject = posted.get(row.subject_name, "")
                row.rest = _read_rest(posted.get(f"k{key.place}-r{row.number}-rest", ""))
                for cell in row.cells:
                    cell.text = posted.get(cell.name, "")
    return form


def change_rows(form: SeedForm, change: str) -> None:
    """Carries out the button "add:1" or "remove:1:3" (key place, row number)."""
    act, _, rest = change.partition(":")
    place, _, number = rest.partition(":")
    for key in form.keys:
        if str(key.place) != place:
            continue
        if act == "add" and len(key.rows) < 10 * MOST_ROWS:
            key.add_row()
        elif act == "remove":
            key.rows = [row for row in key.rows if str(row.number) != number]


def _key_form(place: int, key: Mapping[str, Any]) -> KeyForm:
    return KeyForm(
        place,
        str(key["name"]),
        str(key.get("title") or key["name"]),
        str(key.get("description") or ""),
        str(key.get("subject_label") or "Subject"),
        make_fields(key.get("schema") or {}),
    )


def _read_cell(cell: Cell) -> Any:
    if cell.text.strip():
        return cell.field.read(cell.text)
    if cell.field.required:
        raise FieldError(f"{cell.field.title}: is missing.")
    return None


def _read_rest(text: str) -> dict[str, Any]:
    try:
        rest = orjson.loads(text) if text else {}
        canonical(rest)
    except (orjson.JSONDecodeError, BoundsError):
        return {}
    return {name: rest[name] for name in REST if name in rest} if isinstance(rest, dict) else {}
