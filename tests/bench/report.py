"""The table, and what is written under it."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 170  # where the output is no terminal
WORDS = {True: ("met", "green"), False: ("MISSED", "red bold"), None: ("", "")}


def print_table(record: dict[str, Any]) -> None:
    """Prints the lines of all benchmarks, then the profiles of missed goals and what could not run."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    table = Table(
        title="Converge benchmarks (quick: rough figures)" if record["quick"] else "Converge benchmarks"
    )
    table.add_column("work", overflow="fold", min_width=30)
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("low – high", justify="right", no_wrap=True)
    table.add_column("beside", overflow="fold")
    table.add_column("its figure", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("goal", overflow="fold")
    table.add_column("", no_wrap=True)
    for bench in record["benchmarks"]:
        for line in bench["lines"]:
            table.add_row(*_cells(line))
        table.add_section()
    console.print(table)
    for bench in record["benchmarks"]:
        for line in bench["lines"]:
            _print_remarks(console, line)
        if bench["error"]:
            console.print(Text(f"{bench['name']} did not run:\n{bench['error']}", style="red"))


def _cells(line: dict[str, Any]) -> list[Any]:
    word, style = WORDS[line["met"]]
    beside = (
        f"{_number(line['beside'])}{' (given)' if line['given'] else ''}"
        if line["beside"] is not None
        else ""
    )
    spread = f"{_number(line['low'])} – {_number(line['high'])}" if line["runs"] > 1 else ""
    ratio = "" if line["ratio"] is None else f"{_number(line['ratio'])}×"
    figure = f"{_number(line['figure'])} {line['unit']}"
    return [line["title"], figure, spread, line["peer"], beside, ratio, line["goal"], Text(word, style)]


def _print_remarks(console: Console, line: dict[str, Any]) -> None:
    if line["note"]:
        console.print(f"{line['title']}: {line['note']}", style="dim")
    if line["profile"]:
        console.print(f"{line['title']}: where it goes", style="bold")
        for cost in line["profile"]:
            console.print(Text(f"    {cost}"))


def _number(value: float | None) -> str:
    """Three significant digits, thousands set apart."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
