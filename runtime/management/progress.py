"""A job's progress at a terminal: what it shows is read from the database, as the pages do."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import orjson
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runtime.models import Conflict, Entry, Job

LATEST_ENTRIES = 8
MOST_CONFLICTS = 5
LONGEST_VALUE = 60

# Kind of an entry -> mark and colour; the mark tells it where there is no colour.
_MARKS = {
    "accepted": ("+", "green"),
    "won": ("+", "green"),
    "confirmed": ("=", "green"),
    "revised": ("~", "cyan"),
    "risen": ("+", "green"),
    "lost": ("-", "dim"),
    "withdrawn": ("-", "dim"),
    "contested": ("!", "yellow"),
    "conflict": ("!", "yellow"),
    "held": ("?", "yellow"),
    "approval": ("?", "yellow"),
    "rejected": ("x", "red"),
    "overruled": ("x", "red"),
    "inbox": (">", "magenta"),
    "tier": ("#", "bold"),
    "answer": ("#", "bold"),
    "stop": (".", "bold"),
}


@dataclass
class Progress:
    """One look at a job: its summary, its open questions and its latest entries."""

    job: Job
    tiers: list[str]
    conflicts: list[Conflict] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def look(self) -> None:
        """Reads the job as it is now."""
        self.job.refresh_from_db(fields=_SUMMARY)
        # What agents said, not that they ran.
        rows = Entry.objects.filter(job=self.job).exclude(kind="run").order_by("-seq")
        self.entries = list(reversed(rows[:LATEST_ENTRIES]))
        self.conflicts = list(
            Conflict.objects.filter(job=self.job, status="open").order_by("id")[:MOST_CONFLICTS]
        )

    @property
    def line(self) -> str:
        """The job in one line, for logs and for whoever reads no live display."""
        job = self.job
        parts = [job.status_words.lower(), f"tier {job.tier} of {job.top_tier}", _count(job.cycle, "cycle")]
        parts += [_count(job.facts, "fact"), _count(job.entries, "entry", "entries")]
        if job.conflicts_open:
            parts.append(f"{_count(job.conflicts_open, 'conflict')} open")
        if job.holds_open:
            parts.append(f"{_count(job.holds_open, 'approval')} asked")
        if job.status == "recovering":
            parts.append(_recovery(job))
        return f"job {job.pk}: {', '.join(parts)}"


_SUMMARY = (
    "status",
    "reason",
    "tier",
    "cycle",
    "entries",
    "facts",
    "conflicts_open",
    "holds_open",
    "digest",
    "answer_version",
    "lease_until",
    "causes",
    "retry_at",
    "give_up_at",
    "waits_on",
)


def _recovery(job: Job) -> str:
    """What a recovering job waits for, and when it goes on: times of day, for the words change only with the row."""
    tools = " and ".join(job.waits_on.split())
    waits = f"waits for {tools}, " if tools else ""
    return f"{waits}next try {_clock(job.retry_at)}" if job.retry_at else f"{waits}about to be tried again"


def _clock(seconds: float) -> str:
    """A moment in the terminal's zone: 14:05:20, or 2026-11-23 14:05 if it is not today."""
    moment = dt.datetime.fromtimestamp(seconds)
    return moment.strftime("%H:%M:%S" if moment.date() == dt.date.today() else "%Y-%m-%d %H:%M")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def draw(progress: Progress) -> RenderableType:
    """The live display: status, tier ladder, open questions, latest entries."""
    parts: list[RenderableType] = [Text(progress.line, style="bold"), _draw_ladder(progress)]
    if progress.job.status == "recovering":
        parts.append(_draw_recovery(progress.job))
    if progress.conflicts:
        parts.append(_draw_conflicts(progress))
    parts.append(_draw_entries(progress.entries))
    return Group(*parts)


def _draw_ladder(progress: Progress) -> Text:
    ladder = Text()
    for number, name in enumerate(progress.tiers, 1):
        reached = number <= progress.job.tier
        ladder.append(f"  {'✓' if reached else '·'} {number} {name}", style="green" if reached else "dim")
    return ladder


def _draw_recovery(job: Job) -> Text:
    """Why it recovers, and until when."""
    until = f" It gives up {_clock(job.give_up_at)}." if job.give_up_at else ""
    return _plain(f"  ~ {job.reason}{until}", style="yellow")


def _draw_conflicts(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 1))
    for row in progress.conflicts:
        word = "approve" if row.kind == "hold" else "decide"
        sides = " | ".join(f"{_short(side['value'])} {side['conf'] / 1000:.2f}" for side in row.sides)
        table.add_row(
            Text(f"  ! {word}", style="yellow"),
            _plain(f"{row.key} / {row.subject}"),
            _plain(sides, style="dim"),
        )
    return table


def _draw_entries(entries: list[Entry]) -> Table:
    table = Table.grid(padding=(0, 1))
    for entry in entries:
        mark, style = _MARKS.get(entry.kind, (" ", ""))
        table.add_row(
            Text(f"  {entry.seq}", style="dim"),
            Text(f"{mark} {entry.kind}", style=style),
            _plain(" / ".join(filter(None, (entry.key, entry.subject)))),
            _plain(_said(entry.data)),
            _plain(entry.agent, style="dim"),
        )
    return table


def _said(body: dict[str, Any]) -> str:
    if "value" in body:
        return _short(body["value"])
    if body["kind"] == "tier":
        return f"tier {body['tier']} {'reached' if body['reached'] else 'not reached'}"
    if body["kind"] == "answer":
        return f"answer {body['version']}: {_count(body['facts'], 'fact')}"
    return str(body.get("action") or body.get("reason") or "")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _plain(text: str, style: str = "") -> Text:
    """Text from outside: its brackets are no markup, and what a terminal would obey is left out."""
    return Text(
        "".join(c if c.isprintable() else " " for c in text), style=style, overflow="ellipsis", no_wrap=True
    )
