"""What became of each question of a form that decided several at once, told one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.contrib.sessions.backends.base import SessionBase

from runtime.actions.bulk import Answered, rows_of_form
from runtime.actions.bulk_jobs import FITTING
from runtime.models import Conflict, Decision

KEPT = 5  # forms whose refusals are remembered in a session
NAME = "refused_alike"


@dataclass(frozen=True, slots=True)
class Told:
    """One of them; `conflict` is None if there is no such question any more, `why` says why it was not decided."""

    conflict_id: int
    conflict: Conflict | None
    decision: Decision | None
    why: str


@dataclass(frozen=True, slots=True)
class AnsweredList:
    """All of them, those that were not decided first: these ask for something. `first` is the one they are like."""

    told: list[Told]
    first: Decision

    @property
    def done(self) -> int:
        """How many were decided."""
        return sum(one.decision is not None for one in self.told)

    @property
    def left(self) -> int:
        """How many were not."""
        return len(self.told) - self.done


def remember_refusals(session: SessionBase, batch: str, answered: Sequence[Answered]) -> None:
    """Keeps what was refused for the page that tells of it: decisions have rows, refusals have none."""
    refused = [[one.conflict_id, one.refused.message] for one in answered if one.refused]
    others = {name: said for name, said in session.get(NAME, {}).items() if name != batch}
    session[NAME] = dict([*others.items(), (batch, refused)][-KEPT:])


def read_answered(session: Mapping[str, object] | SessionBase, batch: str) -> AnsweredList | None:
    """All that the form with this receipt asked for; None if there is no such form."""
    rows = list(rows_of_form(batch).exclude(act__in=tuple(FITTING)).select_related("conflict__job__pack"))
    if not rows:
        return None
    known = session.get(NAME) or {}
    refused = known.get(batch, []) if isinstance(known, dict) else []
    found = Conflict.objects.select_related("job__pack").in_bulk([pk for pk, _ in refused])
    told = [Told(pk, found.get(pk), None, why) for pk, why in refused]
    told += [Told(row.conflict_id or 0, row.conflict, row, "") for row in rows]
    return AnsweredList(told, rows[0])
