"""What viewers watch. A topic reads the database once for all its viewers and says what changed (D8.2).

Topics belong to the tailer's thread; nothing here is shared with another.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from converge_site.fragments.journal import row_of
from converge_site.fragments.panels import PANELS, Panel, render_keys, render_panel, render_row
from converge_site.live.frames import frame, job_frame
from converge_site.live.pages import render_page
from runtime.models import Decision, Entry, Job, JobStatus
from runtime.models.job import ENDED
from runtime.store import entries_after

CATCH_UP = 500  # entries; a viewer further behind gets the newest KEEP and a mark to load older ones
KEEP = 300
CHUNK = 250  # entries in one frame
PANELS_EVERY = 0.5  # seconds between two renderings of the panels of one job
REFRESH_EVERY = 5.0  # and at least as often, for what time alone changes, while the job has not ended
ROWS_EVERY = 0.03  # between two pieces of the panels, new rows are looked for as often
PAGE_EVERY = 0.5
MOST_SHARE = (
    0.2  # of the tailer's time for the panels of one job, or for one page: what costs much comes more seldom
)
REFRESH_SHARE = 0.02
# A process that stood still, or a database that was locked, makes one look seem as dear as it was long: nothing is held
# back for longer than this all the same.
HELD_AT_MOST = 4.0
REFRESHED_AT_LEAST = 60.0
MOST_CAUGHT_UP = 8  # frames for newcomers that are kept for the next newcomer
AT_REST = (JobStatus.CONVERGED, *ENDED)


class Topic(Protocol):
    """Something viewers watch."""

    def changes(self, at_once: bool) -> list[str]:
        """Frames for everybody who is up to date. `at_once`: somebody new must not be shown an older state."""
        ...

    def catch_up(self, after: int) -> list[str]:
        """Frames for one viewer whose last entry is `after`, to be where all others are."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether something is due that was held back to batch it."""
        ...

    @property
    def owes(self) -> bool:
        """Whether what it gave was the quick part, and `more` gives the rest."""
        ...

    def more(self) -> list[str]:
        """The next piece of what it owes; before it, what is new by then and quick."""
        ...


Chunk = tuple[int, list[tuple[int, str]]]  # the cursor before, and (seq, HTML) of each new entry


class JobTopic:
    """One job: its journal from a cursor, and its panels as they are."""

    def __init__(self, job_id: int) -> None:
        self.job_id = job_id
        self.cursor = -1
        self.rows: deque[tuple[int, str]] = deque(maxlen=CATCH_UP)
        self.panels: dict[str, str] = {}
        self._seen: object = None
        self._touched: set[str] | None = None  # keys with news; None: any
        self._dirty = False
        self._owed: list[Callable[[Job], dict[str, str]]] = []  # what is still to be rendered in this round
        self._spent = 0.0  # seconds on this round
        self._rows_at = 0.0
        self._panels_due_at = 0.0
        self._refresh_at = float("inf")
        self._caught_up: dict[int, str] = {}  # the frame for who is at an entry, since the last news

    @property
    def owes(self) -> bool:
        """Whether panels are due: they take ten times as long as rows, which need not wait for them."""
        return bool(self._owed)

    def changes(self, at_once: bool) -> list[str]:
        """New entries as rows, and the panels that are no longer what was sent. Reads little if nothing happened.

        If there are rows, they are all; the panels follow by `more`. With `at_once` nothing is owed.
        """
        with self._kept():
            entries = self._look()
            return [] if entries is None else self._read_news(entries, at_once)

    def more(self) -> list[str]:
        """One panel of those that are due, and the rows of the meantime before it."""
        with self._kept():
            texts = []
            if time.monotonic() - self._rows_at >= ROWS_EVERY and self._look() is not None:
                texts = [job_frame(after, rows[-1][0], (html for _, html in rows), "")
                         for after, rows in self._read_entries()]  # fmt: skip
            if panels := self._render_next():
                texts.append(job_frame(self.cursor, self.cursor, (), panels))
            return texts

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """If a look fails, nothing of it was sent: the next one begins where it did."""
        before = self.cursor
        try:
            yield
        except Exception:
            self.cursor = before
            self.rows.clear()  # they are read again when asked for
            if self._owed:
                self._owed, self._touched, self._dirty = [], None, True
            raise

    def _look(self) -> int | None:
        """The number of entries; None if there is no such job. Notes whether anything happened."""
        head, sent = self._read_head()
        if head is None:
            return None
        if (head, sent) != self._seen:
            self._seen, self._dirty = (head, sent), True
        self._dirty |= time.monotonic() >= self._refresh_at
        return int(head[0])

    def _read_news(self, entries: int, at_once: bool) -> list[str]:
        if self._dirty:
            self._caught_up.clear()
        if self.cursor < 0 or entries - self.cursor > CATCH_UP:
            return self._jump(entries)
        chunks = self._read_entries()
        if self._dirty and (at_once or time.monotonic() >= self._panels_due_at):
            self._begin_panels()
        panels = self._render_all() if at_once or not chunks else ""
        if panels and not chunks:
            return [job_frame(self.cursor, self.cursor, (), panels)]
        return [
            job_frame(after, rows[-1][0], (html for _, html in rows), panels if place == len(chunks) else "")
            for place, (after, rows) in enumerate(chunks, start=1)
        ]

    def catch_up(self, after: int) -> list[str]:
        """All panels, and the rows after the viewer's last entry; the newest ones alone if it lacks too many."""
        if self.cursor < 0:
            return []
        if after > self.cursor or self.cursor - after > CATCH_UP:
            after = -1
        if after not in self._caught_up:
            if len(self._caught_up) >= MOST_CAUGHT_UP:
                self._caught_up.clear()
            # When a server comes back, all its viewers do, and most lack the same.
            panels = "".join(self.panels.values())
            self._caught_up[after] = (
                self._afresh(panels)
                if after < 0
                else job_frame(after, self.cursor, self._rows_after(after), panels)
            )
        return [self._caught_up[after]]

    @property
    def waiting(self) -> bool:
        """Whether panels are due that were held back to batch them."""
        return self._dirty

    def _jump(self, head: int) -> list[str]:
        """The first look, or a burst too large to send: everybody starts afresh from the newest entries."""
        first_look = self.cursor < 0
        self.cursor, self._touched = head, None
        self.rows.clear()
        self._begin_panels()
        panels = self._render_all()
        return [] if first_look else [self._afresh(panels)]

    def _afresh(self, panels: str) -> str:
        first = max(0, self.cursor - KEEP)
        return job_frame(first, self.cursor, self._rows_after(first), panels, reset=True)

    def _read_head(self) -> tuple[tuple[Any, ...] | None, object]:
        """What shows cheaply that something happened: parts of the job's row, and the last thing a person sent."""
        head = (
            Job.objects.filter(pk=self.job_id)
            .values_list("entries", "status", "updated_at", "tier", "worker", "answer_version")
            .first()
        )
        if head is None:
            return None, None
        return head, Decision.objects.filter(job_id=self.job_id).order_by("-id").values_list(
            "id", "status"
        ).first()

    def _read_entries(self) -> list[Chunk]:
        """New entries, each rendered once, in chunks."""
        chunks: list[Chunk] = []
        self._rows_at = time.monotonic()
        while entries := entries_after(self.job_id, self.cursor, CHUNK):
            rows: list[tuple[int, str]] = [(entry.seq, render_row(row_of(entry))) for entry in entries]
            if self._touched is not None:
                self._touched.update(entry.key for entry in entries if entry.key)
            chunks.append((self.cursor, rows))
            self.rows.extend(rows)
            self.cursor = rows[-1][0]
            if len(entries) < CHUNK:
                break
        return chunks

    def _begin_panels(self) -> None:
        """From now on every panel, and every key with news, is owed."""
        touched, self._touched, self._dirty = self._touched, set(), False
        self._owed = [partial(_render_panel, panel) for panel in PANELS]
        self._owed.append(partial(_render_touched, touched))
        self._spent = 0.0

    def _render_all(self) -> str:
        parts = []
        while self._owed:
            parts.append(self._render_next())
        return "".join(parts)

    def _render_next(self) -> str:
        """The next panel, or the keys, as HTML; nothing if it looks as it did when it was last rendered."""
        if not self._owed:
            return ""
        began = time.monotonic()
        job = Job.objects.select_related("pack", "submitter").get(pk=self.job_id)
        now = self._owed[0](job)
        changed = [html for name, html in now.items() if self.panels.get(name) != html]
        self.panels |= now
        self._owed.pop(0)
        self._spent += time.monotonic() - began
        if not self._owed:
            self._put_off(job)
        return "".join(changed)

    def _put_off(self, job: Job) -> None:
        """Says when panels are due again, after a round of them."""
        now, cost = time.monotonic(), self._spent
        self._panels_due_at = now + min(max(PANELS_EVERY, cost / MOST_SHARE) - cost, HELD_AT_MOST)
        again = now + min(max(REFRESH_EVERY, cost / REFRESH_SHARE) - cost, REFRESHED_AT_LEAST)
        self._refresh_at = float("inf") if job.status in AT_REST else again

    def _rows_after(self, after: int) -> list[str]:
        """The rows from after an entry to the cursor; those that nobody had asked for yet are read and kept."""
        first = self.rows[0][0] if self.rows else self.cursor + 1
        if first > after + 1:
            lacking = Entry.objects.filter(job_id=self.job_id, seq__gt=after, seq__lt=first).order_by("-seq")
            room = CATCH_UP - len(self.rows)
            self.rows.extendleft((entry.seq, render_row(row_of(entry))) for entry in lacking[:room])
        return [html for seq, html in self.rows if seq > after]


class PageTopic:
    """A page without a cursor (a list, the inbox, a conflict, the badge): sent whole whenever it differs."""

    owes = False

    def __init__(self, name: str, query: str) -> None:
        self.name, self.query = name, query
        self.html = ""
        self._due_at = 0.0
        self._held = False

    def more(self) -> list[str]:
        """Nothing: it is sent whole."""
        return []

    def changes(self, at_once: bool) -> list[str]:
        """The page if it changed; looked at no more often than every PAGE_EVERY seconds, seldom if it costs much."""
        began = time.monotonic()
        self._held = not at_once and began < self._due_at
        if self._held:
            return []
        html = render_page(self.name, self.query)
        cost = time.monotonic() - began
        self._due_at = began + min(max(PAGE_EVERY, cost / MOST_SHARE), cost + HELD_AT_MOST)
        if html == self.html:
            return []
        self.html = html
        return [frame(html)]

    def catch_up(self, after: int) -> list[str]:
        """The page as it is."""
        return [frame(self.html)] if self.html else []

    @property
    def waiting(self) -> bool:
        """Whether it was asked for news before it was due."""
        return self._held


def _render_panel(panel: Panel, job: Job) -> dict[str, str]:
    return {panel.name: render_panel(panel, job)}


def _render_touched(touched: set[str] | None, job: Job) -> dict[str, str]:
    # Marks are derived from the newest answer, so a new one can change any key.
    keys = touched if touched is not None and job.is_active else None
    return {f"key:{name}": html for name, html in render_keys(job, keys).items()}
