"""Why a tier is not reached: everything that its newest judgement misses, each with where it comes from; and what
proves a tier that is (D4.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runtime.engine.compiled import Compiled, compile_pack
from runtime.engine.spec import AgentSpec
from runtime.lineage.explain import explain_slots
from runtime.lineage.journal import JournalReader
from runtime.lineage.told import Lineage, Slot
from runtime.lineage.words import cut, say_place
from runtime.models import Entry, Job
from runtime.store import pack_of

FOLLOWED = 24  # slots that are followed one step down
ITEMS = 6


@dataclass(frozen=True, slots=True)
class Missing:
    """One missing thing: the engine's sentence, what it is about ("" for nothing), and what more is known of it.

    `lineage` is that of its slot, one step down. `keys` are the keys to look at.
    """

    what: str
    text: str
    key: str = ""
    subject: str = ""
    agent: str = ""
    tool: str = ""
    rule: str = ""
    tier: int = 0
    seq: int = 0  # the entry that tells of it
    notes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    lineage: Lineage | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A required agent's newest run, by which its tier is reached; seq 0 if it never had anything to do."""

    agent: str
    text: str
    seq: int = 0


@dataclass(frozen=True, slots=True)
class TierStory:
    """One tier. `state`: reached, missing (by itself), below (only by a lower tier), stale (reached when last judged,
    and at work again since), unjudged. `seq` and `cycle` are of the judgement, 0 for none."""

    number: int
    name: str
    description: str
    state: str
    text: str
    seq: int = 0
    cycle: int = 0
    missing: tuple[Missing, ...] = ()
    proof: tuple[Proof, ...] = ()

    @property
    def is_reached(self) -> bool:
        """Whether the job claims it."""
        return self.state == "reached"


@dataclass(frozen=True, slots=True)
class TierWhy:
    """Why tier `upto` is reached or not: the tiers up to it, lowest first, and for what else the run stopped."""

    job_id: int
    at: int
    upto: int
    tiers: tuple[TierStory, ...]
    stopped: tuple[Missing, ...] = ()
    stop_seq: int = 0

    @property
    def top(self) -> TierStory:
        """The tier that is asked about."""
        return self.tiers[-1]

    @property
    def is_reached(self) -> bool:
        """Whether the job claims it."""
        return self.top.is_reached


def explain_tier(job: Job, tier: int) -> TierWhy | None:
    """Why `tier` of a job is reached or not, as of its newest judgement; None if its pack has no such tier."""
    pack = pack_of(job)
    if not 1 <= tier <= len(pack.tiers):
        return None
    plan, reader = compile_pack(pack), JournalReader(job.pk, job.entries)
    judged = reader.tiers(len(pack.tiers))
    stop = judged.pop(0, None)
    gaps = {number: _own_gaps(entry, number) for number, entry in judged.items() if number <= tier}
    causes = _other_causes(stop, judged.values()) if stop is not None and not job.is_active else []
    slots = dict.fromkeys(_slot_of(gap) for gap in [g for rows in gaps.values() for g in rows] + causes)
    found = explain_slots(job, pack, [slot for slot in slots if slot is not None][:FOLLOWED], reader)
    tell = _Teller(plan, reader.last_runs(), found)
    tiers = [
        _tell_tier(job, plan, number, judged.get(number), tell, gaps.get(number, []))
        for number in range(1, tier + 1)
    ]
    stopped = tuple(tell.missing(*alike) for alike in _gather(causes))
    return TierWhy(job.pk, reader.at, tier, tuple(tiers), stopped, stop.seq if stop else 0)


def _own_gaps(entry: Entry, number: int) -> list[dict[str, Any]]:
    """A judgement's gaps, but that a lower tier is not reached: that one tells its own."""
    gaps: list[dict[str, Any]] = entry.data.get("gaps") or []
    return [gap for gap in gaps if not (gap.get("what") == "tier" and gap.get("tier", number) < number)]


def _other_causes(stop: Entry, judged: Iterable[Entry]) -> list[dict[str, Any]]:
    """What a stop names beside the gaps of tiers: budgets, oscillations, what came from outside."""
    stated = {str(gap.get("text")) for entry in judged for gap in entry.data.get("gaps") or ()}
    return [cause for cause in stop.data.get("causes") or () if str(cause.get("text")) not in stated]


def _gather(gaps: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Gaps in their order, those of one agent that failed in one way on many items together."""
    found: dict[object, list[dict[str, Any]]] = {}
    for place, gap in enumerate(gaps):
        is_item = gap.get("what") in ("failed", "awaited") and gap.get("item")
        name = (gap["what"], gap.get("agent"), gap.get("cls"), gap.get("tool")) if is_item else place
        found.setdefault(name, []).append(gap)
    return list(found.values())


def _slot_of(gap: Mapping[str, Any]) -> Slot | None:
    if gap.get("key") and gap.get("subject"):
        return str(gap["key"]), str(gap["subject"])
    return None


def _tell_tier(
    job: Job, plan: Compiled, number: int, entry: Entry | None, tell: _Teller, gaps: list[dict[str, Any]]
) -> TierStory:
    spec = plan.pack.tiers[number - 1]
    state, text = _state_of(job, number, entry, bool(gaps))
    reached = state == "reached"
    return TierStory(
        number=number,
        name=spec.name,
        description=spec.description,
        state=state,
        text=text,
        seq=entry.seq if entry else 0,
        cycle=entry.cycle if entry else 0,
        missing=() if reached else tuple(tell.missing(*alike) for alike in _gather(gaps)),
        proof=tuple(tell.proof(a) for a in plan.agents if a.tier == number and a.required) if reached else (),
    )


def _state_of(job: Job, number: int, entry: Entry | None, lacks: bool) -> tuple[str, str]:
    if entry is None:
        return "unjudged", _why_unjudged(job, number)
    place = say_place(entry.seq, entry.cycle)
    if number <= job.tier:
        return (
            "reached",
            f"Reached since cycle {entry.cycle} (#{entry.seq}): nothing is missing.",
        )
    if entry.data.get("reached"):
        return "stale", (
            f"It was reached when last judged {place}. Its agents, or those below it, have had work since: "
            "it is not claimed until it is judged again."
        )
    still = " The job is at work: this is how it was then." if job.is_active else ""
    if not lacks:
        return "below", f"Nothing of its own is missing {place}; a lower tier is not reached.{still}"
    return "missing", f"Not reached, as judged {place}.{still}"


def _why_unjudged(job: Job, number: int) -> str:
    if job.is_ended and not job.cycle:
        return "Never judged: the job ended before its first cycle."
    if not job.cycle:
        waits = "It waits for a runtime." if job.status == "queued" else "Its first cycle is not done."
        return f"Not judged yet: the job has had no cycle. {waits}"
    work = f"agents of tier {number} or below have work"
    if job.is_active:
        return f"Not judged yet: the job is at cycle {job.cycle}, and {work}."
    return f"Never judged: the run stopped ({job.status_words.lower()}) while {work.replace('have', 'had')}."


class _Teller:
    """Says more of each missing thing than its gap does."""

    def __init__(self, plan: Compiled, runs: Mapping[str, Entry], lineages: Mapping[Slot, Lineage]) -> None:
        self.plan = plan
        self.runs = runs
        self.lineages = lineages
        self.agents = {agent.name: agent for agent in plan.agents}
        self.invariants = {rule.spec.name: rule for rule in plan.invariants}

    def missing(self, gap: Mapping[str, Any], *alike: Mapping[str, Any]) -> Missing:
        """One gap, or one cause of a stop; `alike` are those on other items."""
        slot, agent = _slot_of(gap), str(gap.get("agent") or "")
        run = self.runs.get(agent)
        notes, keys = self._notes(gap, agent)
        if alike:
            others = ", ".join(cut(str(other.get("item")), 60) for other in alike[:ITEMS])
            more = f" and {len(alike) - ITEMS:,} more" if len(alike) > ITEMS else ""
            notes.insert(0, f"So it did on {len(alike):,} more: {others}{more}.")
        return Missing(
            what=str(gap.get("what") or ""),
            text=cut(str(gap.get("text") or gap.get("what") or "")),
            key=slot[0] if slot else str(gap.get("key") or ""),
            subject=slot[1] if slot else "",
            agent=agent,
            tool=str(gap.get("tool") or ""),
            rule=str(gap.get("rule") or ""),
            tier=int(gap.get("tier") or 0),
            seq=run.seq if run else 0,
            notes=tuple(notes),
            keys=tuple(keys),
            lineage=self.lineages.get(slot) if slot else None,
        )

    def _notes(self, gap: Mapping[str, Any], name: str) -> tuple[list[str], Iterable[str]]:
        what, agent = gap.get("what"), self.agents.get(name)
        if what == "invariant" and str(gap.get("rule")) in self.invariants:
            rule = self.invariants[str(gap["rule"])]
            return [f"It demands: {rule.spec.expression}"], rule.expression.keys if rule.expression else ()
        if agent is None:
            return [], ()
        notes = [self._last_run(agent)]
        if what in ("failed", "awaited"):
            transient = gap.get("transient") and not gap.get("given_up")
            notes.append(
                "It may recover, and is tried again by itself."
                if transient
                else "It is not tried again by itself."
            )
        if what not in ("nothing_to_read", "eligible"):
            return notes, ()
        return [*notes, *self._written_by(agent)], _reads(agent)

    def _written_by(self, agent: AgentSpec) -> list[str]:
        notes = []
        for key in _reads(agent):
            writers = [a.name for a in self.plan.agents if key in a.writes]
            seeds = ["seeds"] if key in self.plan.keys and self.plan.keys[key].spec.seed else []
            notes.append(
                f"It reads `{key}`, which is written by {', '.join([*seeds, *writers]) or 'nobody'}."
            )
        return notes

    def _last_run(self, agent: AgentSpec) -> str:
        run = self.runs.get(agent.name)
        return f"Its newest run: {_say_run(run)}." if run else "It never ran."

    def proof(self, agent: AgentSpec) -> Proof:
        """A required agent's newest run."""
        run = self.runs.get(agent.name)
        if run is None:
            return Proof(agent.name, "never had anything to do")
        return Proof(agent.name, _say_run(run), run.seq)


def _reads(agent: AgentSpec) -> list[str]:
    return [*([agent.over] if agent.over else []), *(key for key in agent.reads if key != agent.over)]


def _say_run(run: Entry) -> str:
    body = run.data
    ran, failed = int(body.get("ran", 1)), len(body.get("failed") or ())
    place = say_place(run.seq, run.cycle)
    if body.get("silenced"):
        return f"what it reads is gone, so it says nothing {place}"
    voices = "1 voice" if ran == 1 else f"{ran:,} voices"
    ended = f", {failed:,} of them failed" if failed else ", all well"
    return f"{voices} ran{ended} {place}"
