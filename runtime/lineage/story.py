"""The story of one slot, folded from its journal entries: who says what now, what was said before and how it ended,
what people ruled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from runtime.engine.values import BoundsError, canonical
from runtime.lineage.told import Slot, Step
from runtime.models import Entry

SAYS = frozenset(("accepted", "won", "confirmed", "revised", "lost", "contested", "held", "overruled"))
VoiceName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """One statement: an entry in which a voice spoke about the slot. `because` are seqs, None for all it was shown."""

    slot: Slot
    agent: str
    item: str
    value: Any
    has_value: bool
    confidence: float | None
    seq: int
    cycle: int
    kind: str
    reason: str = ""
    rule: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    because: tuple[int, ...] | None = None
    ruling: bool = False
    raw: bytes = field(init=False, compare=False)  # its value in canonical form

    def __post_init__(self) -> None:
        object.__setattr__(self, "raw", raw_of(self.value))


@dataclass(frozen=True, slots=True)
class Past:
    """A statement that is not said any more, or never was: `how` is withdrawn, replaced or rejected."""

    said: Said
    how: str
    reason: str
    seq: int
    cycle: int


@dataclass(frozen=True, slots=True)
class Act:
    """What a person, or the clock, did about the slot."""

    act: str
    by: str
    reason: str
    seq: int
    cycle: int
    value: Any = None
    none: bool = False
    message: str = ""
    rule: str = ""

    @property
    def raw(self) -> bytes:
        """The value it is about."""
        return raw_of(self.value)


@dataclass(slots=True)
class Story:
    """The slot after the last entry folded. `maker` is the entry that made it show what it shows."""

    key: str
    subject: str
    said: dict[VoiceName, Said] = field(default_factory=dict)
    rulings: dict[VoiceName, Said] = field(default_factory=dict)
    past: list[Past] = field(default_factory=list)
    decision: Act | None = None
    undone: list[tuple[Act, Act]] = field(default_factory=list)
    unheard: list[Act] = field(default_factory=list)  # what was sent and not applied
    approvals: list[Act] = field(default_factory=list)
    refusals: dict[bytes, Act] = field(default_factory=dict)
    asked: Act | None = None  # the value whose approval is asked for
    word: Act | None = None  # the latest row that approved or refused
    trace: tuple[Step, ...] = ()
    trace_cycle: int = 0
    maker: Entry | None = None
    value: Any = None
    strength: float | None = None
    by_value: dict[bytes, list[Said]] | None = None  # what `sides` found; None once somebody spoke since

    @property
    def status(self) -> str:
        """fact, contested, held or empty."""
        return (self.maker.now if self.maker else "") or "empty"

    @property
    def raw(self) -> bytes | None:
        """The canonical form of what stands, None if nothing does."""
        return raw_of(self.value) if self.status == "fact" else None

    def sides(self) -> dict[bytes, list[Said]]:
        """What is said now, by value: the strongest side first, and so its voices."""
        if self.by_value is None:
            found: dict[bytes, list[Said]] = {}
            for said in sorted(self.said.values(), key=lambda s: (-(s.confidence or 0), s.agent, s.item)):
                found.setdefault(said.raw, []).append(said)
            self.by_value = found
        return self.by_value


def raw_of(value: Any) -> bytes:
    """The canonical form by which values are compared; b"" for what has none."""
    try:
        return canonical(value)
    except BoundsError:
        return b""


def said_of(entry: Entry) -> Said:
    """An entry in which a voice spoke, as a statement."""
    body = entry.data
    because, conf = body.get("because"), body.get("conf")
    return Said(
        slot=(entry.key, entry.subject),
        agent=entry.agent,
        item=entry.item,
        value=body.get("value"),
        has_value="value" in body,
        confidence=None if conf is None else conf / 1000,
        seq=entry.seq,
        cycle=entry.cycle,
        kind=entry.kind,
        reason=str(body.get("reason") or ""),
        rule=str(body.get("rule") or ""),
        evidence=body.get("evidence") or {},
        because=None if because is None else tuple(because),
        ruling=bool(body.get("ruling")),
    )


def fold_story(key: str, subject: str, entries: Iterable[Entry]) -> Story:
    """The story of a slot from its entries in order."""
    story = Story(key, subject)
    for entry in entries:
        if entry.kind in SAYS:
            _speak(story, entry)
        elif entry.kind in _READERS:
            _READERS[entry.kind](story, entry)
        _show(story, entry)
    return story


def _show(story: Story, entry: Entry) -> None:
    """What the slot shows after an entry, and the rules that were asked for it."""
    if not entry.now and entry.kind not in SAYS and entry.kind != "conflict":
        return
    body = entry.data
    if body.get("trace"):
        story.trace, story.trace_cycle = tuple(body["trace"]), entry.cycle
    if entry.now:
        story.maker = entry
        fact = entry.now == "fact"
        story.value = body.get("value") if fact else None
        story.strength = body.get("strength", body.get("conf", 0)) / 1000 if fact else None


def _speak(story: Story, entry: Entry) -> None:
    said = said_of(entry)
    voices = story.rulings if said.ruling else story.said
    name = (said.agent, said.item)
    old = voices.get(name)
    if old is not None and old.raw != said.raw:
        story.past.append(Past(old, "replaced", "", said.seq, said.cycle))
    voices[name] = said
    story.by_value = None


def _withdraw(story: Story, entry: Entry) -> None:
    name = (entry.agent, entry.item)
    old = story.said.pop(name, None)
    story.by_value = None
    if old is not None:
        reason = str(entry.data.get("reason") or "")
        story.past.append(Past(old, "withdrawn", reason, entry.seq, entry.cycle))


def _reject(story: Story, entry: Entry) -> None:
    said = said_of(entry)
    story.past.append(Past(said, "rejected", said.reason, entry.seq, entry.cycle))
    story.rulings.pop((entry.agent, entry.item), None)


def _act_of(entry: Entry) -> Act:
    body = entry.data
    decided_by_clock = body.get("act") == "expire" and entry.now == "fact"
    return Act(
        act=str(body.get("act") or body.get("action") or ""),
        by=str(body.get("by") or ""),
        reason=str(body.get("reason") or ""),
        seq=entry.seq,
        cycle=entry.cycle,
        value=body.get("value") if decided_by_clock else body.get("choice", body.get("value")),
        none=bool(body.get("none")) or (body.get("act") == "expire" and entry.now == "empty"),
        message=str(body.get("message") or ""),
        rule=str(body.get("rule") or body.get("on") or ""),
    )


def _hear(story: Story, entry: Entry) -> None:
    """A row of the inbox. What is done about a hold, its own entries tell."""
    act, body = _act_of(entry), entry.data
    if body.get("result") != "applied":
        story.unheard.append(act)
    elif act.act == "decide" or (act.act == "expire" and story.status != "held"):
        if story.decision is not None:
            story.undone.append((story.decision, act))
        story.decision = act
    elif act.act == "undo" and story.decision is not None:
        story.undone.append((story.decision, act))
        story.decision = None
    elif act.act in ("approve", "refuse"):
        story.word = act


def _approve(story: Story, entry: Entry) -> None:
    act = _act_of(entry)
    word = story.word  # the row that led to it, which alone tells the reason
    if (
        act.act in ("granted", "refused")
        and word is not None
        and (word.by, word.cycle) == (act.by, act.cycle)
    ):
        act = replace(act, reason=word.reason, message=word.message)
    if act.act == "asked":
        story.asked = act
    elif act.act in ("granted", "passed"):
        story.approvals.append(act)
    elif act.act == "refused":
        story.refusals[act.raw] = act
    if act.act != "asked" and not entry.data.get("open"):
        story.asked = None


_READERS = {"withdrawn": _withdraw, "rejected": _reject, "inbox": _hear, "approval": _approve}
