"""`manage.py score_incidents`: what the pack `incident` makes of any series, beside windows labelled by people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.management.scoring import BAD_INPUT, number_between, read_text_file, refuse_file
from runtime.packs.incident import pack
from runtime.packs.incident.keys import ODDS
from runtime.packs.incident.reading import read_series_csv
from runtime.packs.incident.score import (
    Score,
    Span,
    find_outliers,
    meets,
    read_windows,
    score_spans,
    span_of,
)
from runtime.packs.incident.series import Series, series_to_seeds
from runtime.rehearsal import Rehearsal


@dataclass(frozen=True)
class Outcome:
    """How a job on one series ended. `asked` counts the windows that no incident hits and an open question meets;
    `left` is the share of candidates left to people. `windows` is None, and all but the counts 0, without labels."""

    series: str
    points: int
    status: str
    digest: str
    seconds: float
    candidates: int
    left: float
    windows: int | None
    asked: int
    incidents: Score
    baseline: Score


class Command(BaseCommand):
    help = (
        "Runs a job of the pack `incident` on each series in the files SERIES (CSV: timestamp,value or "
        "series,timestamp,value), in memory, and reports windows hit, false alarms and the share left to people, "
        "beside a threshold at three standard deviations. --odds 1 leaves nothing to people."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("series", metavar="SERIES", type=Path, nargs="+", help="points, CSV")
        parser.add_argument(
            "--windows",
            metavar="FILE",
            type=Path,
            required=True,
            help='labels, used for scoring only: {"name of series or file": [["from", "to"], …]}',
        )
        parser.add_argument(
            "--odds",
            metavar="N",
            type=number_between(1, 1000),
            default=ODDS,
            help=f"people decide below (default {ODDS:g})",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON list")

    def handle(self, *args: Any, **options: Any) -> None:
        windows = read_text_file(options["windows"], _read_windows)
        outcomes = [
            score_job(series, _find_windows(windows, path, series.name), options["odds"])
            for path in options["series"]
            for series in read_file(path)
        ]
        if options["json"]:
            self.stdout.write(orjson.dumps([asdict(outcome) for outcome in outcomes]).decode())
        else:
            self.stdout.write("\n".join(tell(outcomes)))


def read_file(path: Path) -> list[Series]:
    """The series in a file; one without a name is called after it. Raises CommandError (exit status 2) with the lines
    that cannot be read."""
    series, problems = read_text_file(path, lambda text: read_series_csv(text, path.stem))
    if problems:
        told = [f"line {p.line}: {p.message}" if p.line else p.message for p in problems]
        raise refuse_file(path, told)
    return series


def _read_windows(text: str) -> dict[str, list[Span]]:
    try:
        return read_windows(text)
    except ValueError as error:
        raise CommandError(f"The windows cannot be read. {error}", returncode=BAD_INPUT) from None


def _find_windows(windows: dict[str, list[Span]], path: Path, name: str) -> list[Span] | None:
    """The windows of a series: under its name, with or without .csv, or that of its file. None if there are none."""
    names = (name, f"{name}.csv", path.name, path.stem)
    return next((windows[known] for known in names if known in windows), None)


def score_job(series: Series, windows: Sequence[Span] | None, odds: float) -> Outcome:
    """Runs a job on one series on the engine, as a worker would, and scores what stands when it stops."""
    seeds = [{"key": "setting", "subject": "odds", "value": odds}, *series_to_seeds(series)]
    began = time.perf_counter()
    job = Rehearsal(pack.spec(), seeds)
    stop = job.run()
    seconds = time.perf_counter() - began
    facts = job.core.facts()
    verdicts = {fact.subject: fact.value for fact in facts if fact.key == "verdict"}
    spans = {fact.subject: span_of(fact.value) for fact in facts if fact.key == "candidate"}
    incidents = [span for subject, span in spans.items() if verdicts.get(subject) == "incident"]
    open_ones = [span for subject, span in spans.items() if subject not in verdicts]
    labelled = list(windows or [])
    asked = [
        window
        for window in labelled
        if any(meets(span, window) for span in open_ones)
        and not any(meets(span, window) for span in incidents)
    ]
    return Outcome(
        series=series.name,
        points=series.length,
        status=stop.reason,
        digest=job.core.digest,
        seconds=round(seconds, 2),
        candidates=len(spans),
        left=round(len(open_ones) / len(spans), 3) if spans else 0.0,
        windows=None if windows is None else len(labelled),
        asked=len(asked),
        incidents=score_spans(incidents, labelled),
        baseline=score_spans(find_outliers(series), labelled),
    )


COLUMNS = f"{'points':>7} {'windows':>7} {'hit':>4} {'asked':>5} {'false':>5} {'left':>5}"
HEADER = f"{'series':40} {COLUMNS} {'3 sigma: hit':>14} {'false':>5}"


def tell(outcomes: Sequence[Outcome]) -> list[str]:
    """The outcomes as a table, with totals where all are labelled."""
    return [HEADER, *(_tell_row(outcome) for outcome in outcomes), *_tell_total(outcomes)]


def _tell_row(outcome: Outcome) -> str:
    name = outcome.series if len(outcome.series) <= 40 else outcome.series[:39] + "…"
    row = f"{name:40} {outcome.points:>7} "
    if outcome.windows is None:
        return (
            f"{row}not labelled; {outcome.incidents.found} incidents, {outcome.left:.0%} of candidates left"
        )
    ours, plain = outcome.incidents, outcome.baseline
    return (
        f"{row}{outcome.windows:>7} {ours.hit:>4} {outcome.asked:>5} {ours.false_alarms:>5} {outcome.left:>5.0%} "
        f"{plain.hit:>14} {plain.false_alarms:>5}"
    )


def _tell_total(outcomes: Sequence[Outcome]) -> list[str]:
    scored = [outcome for outcome in outcomes if outcome.windows is not None]
    if len(scored) < 2:
        return []
    candidates = sum(outcome.candidates for outcome in scored)
    left = sum(outcome.left * outcome.candidates for outcome in scored) / candidates if candidates else 0.0
    ours, plain = [outcome.incidents for outcome in scored], [outcome.baseline for outcome in scored]
    return [
        f"{'all':40} {sum(outcome.points for outcome in scored):>7} {sum(o.windows or 0 for o in scored):>7} "
        f"{sum(s.hit for s in ours):>4} {sum(o.asked for o in scored):>5} {sum(s.false_alarms for s in ours):>5} "
        f"{left:>5.0%} {sum(s.hit for s in plain):>14} {sum(s.false_alarms for s in plain):>5}"
    ]
