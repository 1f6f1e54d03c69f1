"""Rows as CSV for spreadsheets: no cell is a formula, and every script is read as it was written.

The file begins with a byte order mark. Without one Excel takes UTF-8 for the code page of the machine; those who read
files by program know it as `utf-8-sig`, as does every reader of ours.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

MARK = "\ufeff"
# What spreadsheets take for the beginning of a formula, the wide forms of East Asian keyboards too; and what they drop
# from the front of a cell before they look.
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_rows(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """The mark, the names of the columns, and a line for each row."""
    text = io.StringIO()
    # Every cell in quotes: where the list separator is a semicolon, one inside a text would begin a cell of its own.
    write = csv.writer(text, quoting=csv.QUOTE_ALL).writerow
    write(head)
    yield MARK + text.getvalue()
    for row in rows:
        text.seek(0)
        text.truncate()
        write([cell_of(value) for value in row])
        yield text.getvalue()


def cell_of(value: Any) -> str:
    """A value as the text of a cell: texts as they are, but for `'` before what would be a formula; "" for None, and
    everything else as JSON. A number is a number even if it is negative."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATETIME, default=str).decode()
    return f"'{value}" if value.lstrip(" ").startswith(_BEGINS_FORMULA) else value
