"""The runs of a stretch of cycles: by cycle and agent, when they ran and what came of them.

The times are clock data of the cycle rows; what came of it is told by the journal's run entries, found by number. So a
stretch of a journal of any length is read in two queries, whatever lies between.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from runtime.models import Cycle, Entry, Job

MESSAGE = 160  # characters of a failure's message
SEARCHED = 20_000  # entries looked through for the runs of cycles that kept no times
FOUND = 2_000  # runs of such cycles
REMEMBERED = 20_000  # told runs kept in memory; a few hundred bytes each


@dataclass(frozen=True, slots=True)
class Told:
    """What a run entry tells of an agent's runs in one cycle. `said` is None where nobody counts."""

    ran: int
    said: int | None
    failed: int
    classes: tuple[tuple[str, int], ...]
    message: str
    transient: bool
    abstained: int


@dataclass(frozen=True, slots=True)
class AgentRuns:
    """An agent's runs in one cycle. `began` and `ended` are ms since the cycle began, None if nobody noted them.

    `attempt` counts the cycles in a row in which it was tried, this one included; `requests` those sent to tools.
    """

    agent: str
    cycle: int
    seq: int
    told: Told
    began: float | None
    ended: float | None
    requests: int
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class CycleSpan:
    """One cycle with its runs, in the order in which they were merged."""

    number: int
    last_seq: int
    started_at: dt.datetime
    duration_ms: float
    runs: list[AgentRuns]

    @property
    def active(self) -> tuple[float, float]:
        """When its first run began and its last one ended, in ms since it began; what comes before and after is the
        engine's own work. The whole cycle where nobody noted it."""
        began = [run.began for run in self.runs if run.began is not None]
        ended = [run.ended for run in self.runs if run.ended is not None]
        return (min(began), max(ended)) if began and ended else (0.0, self.duration_ms)

    @property
    def ended_at(self) -> dt.datetime:
        """When its last run was over."""
        return self.started_at + dt.timedelta(milliseconds=self.duration_ms)


_FIELDS = ("number", "first_seq", "last_seq", "runs", "digest", "started_at", "duration_ms", "timings")


def read_spans(job: Job, first: int, last: int) -> list[CycleSpan]:
    """The cycles `first` to `last`, each with the runs that were made in it."""
    rows = list(
        Cycle.objects.filter(job=job, number__gte=first, number__lte=last).order_by("number").values(*_FIELDS)
    )
    found = _read_told(job, rows)
    tries: Counter[str] = Counter()
    return [_span(row, found.get(row["number"], {}), tries) for row in rows]


def _span(row: dict[str, Any], told: dict[int, tuple[str, Told]], tries: Counter[str]) -> CycleSpan:
    times = {time[5]: time for time in row["timings"]}
    runs = []
    for seq, (agent, what) in sorted(told.items()):
        if not what.ran:
            continue  # silenced: nobody was called
        _, began, ended, _, requests, _ = times.get(seq, (agent, None, None, 0, 0, seq))
        runs.append(
            AgentRuns(agent, row["number"], seq, what, began, ended, requests, attempt=tries[agent] + 1)
        )
        tries[agent] = tries[agent] + 1 if what.failed and what.transient else 0
    return CycleSpan(row["number"], row["last_seq"], row["started_at"], row["duration_ms"], runs)


def _read_told(job: Job, rows: list[dict[str, Any]]) -> dict[int, dict[int, tuple[str, Told]]]:
    """What the run entries of these cycles tell, by cycle and number."""
    found: dict[int, dict[int, tuple[str, Told]]] = {}
    asked: dict[int, dict[str, Any]] = {}
    for row in rows:
        for agent, _, _, _, _, seq in row["timings"]:
            if seq is None:
                continue
            known = _memory.get((row["digest"], seq))
            if known is None:
                asked[seq] = row
            else:
                found.setdefault(row["number"], {})[seq] = (agent, known)
    for seq, agent, body in _read_entries(job, asked):
        row = asked[seq]
        told = found.setdefault(row["number"], {})
        told[seq] = (agent, _memory.put((row["digest"], seq), read_told(body)))
    for entry in _search_old(job, [row for row in rows if row["runs"] and not row["timings"]]):
        found.setdefault(entry.cycle, {})[entry.seq] = (entry.agent, read_told(entry.data))
    return found


def _read_entries(job: Job, seqs: Iterable[int]) -> Iterable[tuple[int, str, dict[str, Any]]]:
    numbers = list(seqs)
    if not numbers:
        return
    for entry in Entry.objects.filter(job=job, seq__in=numbers).only("seq", "agent", "body"):
        yield entry.seq, entry.agent, entry.data


def _search_old(job: Job, rows: list[dict[str, Any]]) -> list[Entry]:
    """The run entries of cycles from before times were kept; of very wide ones, those that are found soon."""
    if not rows:
        return []
    first, last = rows[0]["first_seq"], rows[-1]["last_seq"]
    between = Entry.objects.filter(job=job, seq__gte=max(first, last - SEARCHED), seq__lte=last, kind="run")
    numbers = {row["number"] for row in rows}
    return [entry for entry in between.order_by("-seq")[:FOUND] if entry.cycle in numbers]


def read_told(body: dict[str, Any]) -> Told:
    """A run entry, as much of it as a timeline shows."""
    failed: list[dict[str, Any]] = body.get("failed") or []
    classes = Counter(str(one.get("cls") or "") for one in failed)
    return Told(
        ran=int(body.get("ran", 1)),
        said=body.get("said"),
        failed=len(failed),
        classes=tuple(classes.most_common()),
        message=str(failed[0].get("message") or "")[:MESSAGE] if failed else "",
        transient=any(one.get("transient") for one in failed),
        abstained=len(body.get("abstained") or ()),
    )


class _Memory:
    """What was told before. Entries never change, and a cycle's digest names all of them (D6.2)."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str, int], Told] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: tuple[str, int]) -> Told | None:
        """What was put there."""
        return self._told.get(name)

    def put(self, name: tuple[str, int], told: Told) -> Told:
        """Keeps it, and lets go of what has been there longest."""
        with self._lock:
            self._told[name] = told
            while len(self._told) > REMEMBERED:
                self._told.popitem(last=False)
        return told


_memory = _Memory()
