"""The bars of an agent timeline: what an agent did in one cycle, in colour, shape, icon and words.

Lengths across are hundredths of the drawing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from converge_site.fragments.amounts import count_words, ms_words
from converge_site.fragments.failure_words import look_of_failure
from converge_site.fragments.timeline_runs import AgentRuns, CycleSpan, Told
from converge_site.fragments.words import Look

LEAST_WIDTH = 0.5  # 3 pixels where the drawing is narrowest
NARROWEST = 6.0  # pixels a hundredth has at least (see converge.css)
LETTER, ICON = 6.3, 16  # pixels


@dataclass(frozen=True, slots=True)
class Bar:
    """An agent's runs in one cycle. `shape`: "full", "half" (nothing said) or "part" (some failed); `label` fits it."""

    run: AgentRuns
    x: str
    width: str
    middle: str
    look: Look
    shape: str
    label: str
    has_icon: bool
    is_thin: bool  # thinner than its icon
    words: str
    href: str
    began: dt.datetime
    took_ms: float | None

    @property
    def exact(self) -> str:
        """When it began, to the millisecond."""
        return exact_words(self.began)

    @property
    def took(self) -> str:
        """How long it took, in words."""
        return "–" if self.took_ms is None else took_words(self.took_ms)


def draw_bar(entries: str, span: CycleSpan, run: AgentRuns, x: float, width: float) -> Bar:
    """The bar of a run whose cycle lies at `x`, `width` wide. To `entries`, an address, the entry's number is added."""
    look, shape = look_of_runs(run.told)
    room = width * 0.94  # a little air before the next cycle
    first, last = span.active
    whole = last - first or 1.0
    began = 0.0 if run.began is None else min(max((run.began - first) / whole, 0.0), 1.0)
    ended = 1.0 if run.ended is None else min(max((run.ended - first) / whole, began), 1.0)
    wide = min(max(room * (ended - began), LEAST_WIDTH), max(room, LEAST_WIDTH))
    at = min(x + room * began, x + max(room - wide, 0.0))
    took = None if run.began is None or run.ended is None else run.ended - run.began
    since = span.started_at + dt.timedelta(milliseconds=run.began or 0.0)
    return Bar(
        run=run,
        x=percent(at),
        width=percent(wide),
        middle=percent(at + wide / 2),
        look=look,
        shape=shape,
        label=_label(run, look, wide * NARROWEST),
        has_icon=bool(run.told.failed) or wide * NARROWEST >= ICON,
        is_thin=bool(run.told.failed) and wide * NARROWEST < ICON,
        words=words_of_bar(run, look, since, took),
        href=f"{entries}{run.seq}/",
        began=since,
        took_ms=took,
    )


def look_of_runs(told: Told) -> tuple[Look, str]:
    """How an agent's runs in one cycle are shown, and the shape of their bar."""
    if told.failed:
        cls = told.classes[0][0]
        look = look_of_failure(cls)
        if told.failed < told.ran:
            return Look(look.icon, "red", f"{told.failed} of {told.ran} failed: {look.word}"), "part"
        words = [look_of_failure(name).word for name, _ in told.classes]
        word = ", ".join(words[:2]) + (" …" if len(words) > 2 else "")
        return Look(look.icon, "red", word, look.meaning), "full"
    if told.abstained >= told.ran:
        return Look("hold", "grey", "abstained"), "half"
    if told.said == 0:
        return Look("dash", "grey", "nothing to say"), "half"
    return Look("done", "green", f"said {told.said}" if told.said else "ran"), "full"


def words_of_bar(run: AgentRuns, look: Look, began: dt.datetime, took: float | None) -> str:
    """A bar in words: who, where, what came of it, when exactly and how long."""
    told = run.told
    parts = [f"{run.agent}, cycle {run.cycle}: {count_words(told.ran, 'run')}, {look.word}"]
    if told.message:
        parts.append(told.message.rstrip("."))
    if run.attempt > 1:
        parts.append(f"attempt {run.attempt}")
    if run.requests:
        parts.append(count_words(run.requests, "request"))
    exact = exact_words(began)
    parts.append(f"{exact}, took {took_words(took)}" if took is not None else f"in the cycle of {exact}")
    return ". ".join(parts)


def exact_words(at: dt.datetime) -> str:
    """A moment in UTC, to the millisecond."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"


def took_words(milliseconds: float) -> str:
    """How long runs took: also those of a few microseconds."""
    return f"{milliseconds:.2g} ms" if milliseconds < 10 else ms_words(milliseconds)


def _label(run: AgentRuns, look: Look, pixels: float) -> str:
    """The most telling words that fit on a bar of so many pixels; room for the icon is taken off."""
    again = f"try {run.attempt}" if run.attempt > 1 else ""
    items = count_words(run.told.ran, "run") if run.told.ran > 1 else ""
    wanted = [f"{items}, {look.word}" if items and not run.told.failed else "", look.word, items]
    if again:
        wanted = [f"{look.word}, {again}", again]
    for words in wanted:
        if words and len(words) * LETTER + 24 <= pixels:
            return words
    return ""


def percent(hundredths: float) -> str:
    """A length across, as SVG takes it."""
    return f"{hundredths:.2f}".rstrip("0").rstrip(".") + "%"
