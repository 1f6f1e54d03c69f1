"""Where in a text each seed stands, so that what is wrong with it can be pointed at."""

from __future__ import annotations

import csv
import io
import json

_BETWEEN = " \t\r\n,"


def find_json_lines(text: str) -> list[int]:
    """The line on which each item of a JSON list begins. The text must be one."""
    decoder = json.JSONDecoder()
    lines: list[int] = []
    line, counted, at = 1, 0, text.index("[") + 1
    while True:
        while at < len(text) and text[at] in _BETWEEN:
            at += 1
        if at >= len(text) or text[at] == "]":
            return lines
        line, counted = line + text.count("\n", counted, at), at
        lines.append(line)
        at = decoder.raw_decode(text, at)[1]


def find_csv_lines(text: str) -> list[int]:
    """The line on which each row below the header ends; rows of empty cells are left out."""
    reader = csv.reader(io.StringIO(text))
    lines = [reader.line_num for row in reader if any(cell.strip() for cell in row)]
    return lines[1:]
