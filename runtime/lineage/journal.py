"""The few questions that lineage asks of a job's journal, each one statement however many facts it is about.

Only entries that change what a slot shows are indexed by slot; the rest of a journal is read by seq, or once through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max, OuterRef, Q, QuerySet, Subquery

from runtime.lineage.story import SAYS
from runtime.lineage.told import Slot
from runtime.models import Cycle, Entry

RUNS_READ = 60


@dataclass(frozen=True, slots=True)
class View:
    """The facts of some keys that a run was shown: for each key, by subject in order, the seq since which it stood."""

    bound: int
    keys: tuple[str, ...]
    heads: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def seq_of(self, slot: Slot) -> int | None:
        """Since which entry the fact stood, None if there was none."""
        return self.heads[slot[0]].get(slot[1]) if slot[0] in self.heads else None


class JournalReader:
    """One job's journal as of entry `at`."""

    def __init__(self, job_id: int, at: int) -> None:
        self.job_id = job_id
        self.at = at
        self._entries: dict[int, Entry] = {}
        self._bounds: dict[int, int] = {}
        self._views: dict[tuple[int, tuple[str, ...]], View] = {}

    def _rows(self) -> QuerySet[Entry]:
        return Entry.objects.filter(job_id=self.job_id, seq__lte=self.at)

    def entries(self, seqs: Iterable[int]) -> dict[int, Entry]:
        """The entries of these numbers."""
        lacking = {seq for seq in seqs if seq not in self._entries}
        if lacking:
            self._entries |= {entry.seq: entry for entry in self._rows().filter(seq__in=lacking)}
        return self._entries

    def story(self, slots: Collection[Slot]) -> dict[Slot, list[Entry]]:
        """Every entry about these slots, in order. One pass over the journal."""
        found: dict[Slot, list[Entry]] = {slot: [] for slot in slots}
        if slots:
            for entry in _about(self._rows(), slots).order_by("seq"):
                found[entry.key, entry.subject].append(entry)
        return found

    def makers(self, slots: Collection[Slot]) -> dict[Slot, int]:
        """The entry since which each of these slots shows what it shows."""
        if not slots:
            return {}
        changes = _about(self._rows(), slots).exclude(now="")
        latest = changes.values("key", "subject").annotate(last=Max("seq")).order_by()
        return {(key, subject): seq for key, subject, seq in latest.values_list("key", "subject", "last")}

    def changed(self, keys: Collection[str], after: int) -> dict[Slot, int]:
        """The slots of these keys that show something else since entry `after`, each with its latest such entry."""
        if not keys:
            return {}
        changes = self._rows().filter(key__in=keys, seq__gt=after).exclude(now="")
        latest = changes.values("key", "subject").annotate(last=Max("seq")).order_by()
        return {(key, subject): seq for key, subject, seq in latest.values_list("key", "subject", "last")}

    def statements(
        self, wanted: Collection[tuple[str, str, Slot, int]]
    ) -> dict[tuple[str, str, Slot], Entry]:
        """The latest statement of each (agent, item) about a slot at or before an entry. One pass over the journal."""
        found: dict[tuple[str, str, Slot], Entry] = {}
        if not wanted:
            return found
        until = {(agent, item, slot): seq for agent, item, slot, seq in wanted}
        said = _about(self._rows(), {slot for _, _, slot, _ in wanted}).filter(kind__in=SAYS)
        for entry in said.filter(agent__in={agent for agent, *_ in wanted}).order_by("seq"):
            name = (entry.agent, entry.item, (entry.key, entry.subject))
            if entry.seq <= until.get(name, 0):
                found[name] = entry
        return found

    def runs_after(self, agents: Collection[str], cycle: int) -> dict[str, list[Entry]]:
        """The runs of these agents after a cycle, newest first, RUNS_READ at most."""
        found: dict[str, list[Entry]] = {agent: [] for agent in agents}
        if agents:
            rows = self._rows().filter(kind="run", agent__in=agents, cycle__gt=cycle)
            for entry in rows.order_by("-seq")[:RUNS_READ]:
                found[entry.agent].append(entry)
        return found

    def bounds(self, cycles: Iterable[int]) -> dict[int, int]:
        """For each cycle the last entry before its merges: what came from outside stands by then (D2.2)."""
        lacking = {cycle for cycle in cycles if cycle not in self._bounds}
        if lacking:
            runs = Entry.objects.filter(
                job_id=self.job_id, kind="run", seq__gte=OuterRef("first_seq"), seq__lte=OuterRef("last_seq")
            )
            rows = Cycle.objects.filter(job_id=self.job_id, number__in=lacking)
            first_runs = rows.annotate(run=Subquery(runs.order_by("seq").values("seq")[:1]))
            for number, run, last in first_runs.values_list("number", "run", "last_seq"):
                self._bounds[number] = last if run is None else run - 1
        return self._bounds

    def is_read(self, bound: int, keys: tuple[str, ...]) -> bool:
        """Whether this view costs nothing any more."""
        return (bound, keys) in self._views

    def view(self, bound: int, keys: tuple[str, ...]) -> View:
        """What stood in `keys` after entry `bound`."""
        found = self._views.get((bound, keys))
        if found is None:
            changes = Entry.objects.filter(job_id=self.job_id, key__in=keys, seq__lte=bound).exclude(now="")
            latest = changes.values("key", "subject").annotate(last=Max("seq")).order_by().values("last")
            facts = Entry.objects.filter(job_id=self.job_id, seq__in=latest, now="fact")
            heads: dict[str, dict[str, int]] = {key: {} for key in keys}
            for key, subject, seq in sorted(facts.values_list("key", "subject", "seq")):
                heads[key][subject] = seq
            found = self._views[bound, keys] = View(bound, keys, heads)
        return found

    def tiers(self, upto: int) -> dict[int, Entry]:
        """The newest judgement of each tier, read backwards until all are found; and under 0 the newest stop."""
        found: dict[int, Entry] = {}
        for entry in self._rows().filter(kind__in=("tier", "stop")).order_by("-seq").iterator(chunk_size=20):
            found.setdefault(0 if entry.kind == "stop" else int(entry.data["tier"]), entry)
            if len(found) > upto:
                break
        return found

    def last_runs(self) -> dict[str, Entry]:
        """The newest run of every agent. One pass over the journal."""
        latest = self._rows().filter(kind="run").values("agent").annotate(last=Max("seq")).order_by()
        return {entry.agent: entry for entry in self._rows().filter(seq__in=latest.values("last"))}


def _about(rows: QuerySet[Entry], slots: Collection[Slot]) -> QuerySet[Entry]:
    """The rows about these slots: exactly for one, for several by one condition a key."""
    by_key: dict[str, list[str]] = {}
    for key, subject in slots:
        by_key.setdefault(key, []).append(subject)
    condition = Q()
    for key, subjects in by_key.items():
        condition |= Q(key=key, subject__in=subjects)
    return rows.filter(condition)


def value_at(entry: Entry | None) -> tuple[str, Any]:
    """What a slot shows after an entry that changed it: its status, and the value of a fact."""
    if entry is None:
        return "empty", None
    return entry.now, entry.data.get("value") if entry.now == "fact" else None
