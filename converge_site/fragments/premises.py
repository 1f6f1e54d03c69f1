"""What an entry rests on, as links back towards the seeds."""

from __future__ import annotations

from dataclasses import dataclass, field

from converge_site.fragments.journal import Row, row_of
from converge_site.fragments.voices import SAYS
from runtime.engine.spec import OPERATOR, PERSON, SEED
from runtime.models import Entry

SHOWN = 40
GROUND = (SEED, PERSON, OPERATOR)  # who say what they say, and rest on nothing


@dataclass(frozen=True, slots=True)
class Premises:
    """`rows`: the entries it names. `shown_cycle`: set instead if it rests on all its run was shown in that cycle."""

    rows: list[Row] = field(default_factory=list)
    more: int = 0
    shown_cycle: int | None = None


def read_premises(entry: Entry) -> Premises:
    """The premises of one entry; empty for a seed or a statement without premises."""
    because = entry.data.get("because")
    if because is None:
        is_shown = entry.kind in SAYS and entry.agent not in GROUND
        return Premises(shown_cycle=entry.cycle if is_shown else None)
    found = Entry.objects.filter(job_id=entry.job_id, seq__in=because[:SHOWN]).order_by("seq")
    return Premises([row_of(row) for row in found], more=max(0, len(because) - SHOWN))
