"""The graph while it grows: nodes and voices as they are found, frozen at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from runtime.engine.spec import OPERATOR, PERSON, SEED
from runtime.lineage.journal import View
from runtime.lineage.story import Said, said_of
from runtime.lineage.told import Link, Node, Reason, Rest, Slot, Speaker
from runtime.lineage.words import say_approval, say_by, say_decider, say_place, say_reason
from runtime.models import Entry

SPEECHLESS = (SEED, PERSON, OPERATOR)


@dataclass(slots=True, eq=False)
class Voice:
    """A voice of a node. `view` is what it was shown, where it rests on that."""

    said: Said
    rests: Literal["ground", "named", "shown"]
    shown_in: int = 0
    again: bool = False
    named: tuple[int, ...] = ()
    view: View | None = None
    own: tuple[int, ...] = ()  # facts of its own item or group
    fell: frozenset[Slot] = frozenset()
    links: list[Link] = field(default_factory=list)
    rest: list[Rest] = field(default_factory=list)
    cut: bool = False

    def freeze(self) -> Speaker:
        """As it is told."""
        said = self.said
        return Speaker(
            agent=said.agent,
            item=said.item,
            value=said.value,
            confidence=said.confidence,
            seq=said.seq,
            cycle=said.cycle,
            rests=self.rests,
            shown_in=self.shown_in,
            again=self.again,
            ruling=said.ruling,
            evidence=said.evidence,
            links=tuple(self.links),
            rest=tuple(self.rest),
            cut=self.cut,
        )


@dataclass(slots=True, eq=False)
class Growing:
    """A node. `parent` is the node by which it was found first."""

    seq: int
    slot: Slot
    status: str
    value: object
    confidence: float | None
    cycle: int
    depth: int = 0
    parent: Growing | None = None
    fallen: bool = False
    provisional: bool = False
    now: str = ""
    voices: list[Voice] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)

    def has_above(self, slot: Slot) -> bool:
        """Whether a slot rests on itself by this path."""
        at: Growing | None = self
        while at is not None:
            if at.slot == slot:
                return True
            at = at.parent
        return False

    def freeze(self) -> Node:
        """As it is told."""
        return Node(
            seq=self.seq,
            key=self.slot[0],
            subject=self.slot[1],
            status=self.status,
            value=self.value,
            confidence=self.confidence,
            cycle=self.cycle,
            depth=self.depth,
            fallen=self.fallen,
            provisional=self.provisional,
            now=self.now,
            speakers=tuple(voice.freeze() for voice in self.voices),
            reasons=tuple(self.reasons),
        )


def voice_of(said: Said) -> Voice:
    """A statement as a voice, resting on what its entry says."""
    if said.agent in SPEECHLESS or said.because == ():
        return Voice(said, "ground")
    if said.because is not None:
        return Voice(said, "named", named=said.because)
    return Voice(said, "shown", shown_in=said.cycle)


def node_of(entry: Entry) -> Growing:
    """What an entry made its slot show. Who says it is added by `speaker_of` and `Grower`."""
    body, is_fact = entry.data, entry.now == "fact"
    strength = body.get("strength", body.get("conf", 0)) / 1000
    node = Growing(
        seq=entry.seq,
        slot=(entry.key, entry.subject),
        status=entry.now or "empty",
        value=body.get("value") if is_fact else None,
        confidence=strength if is_fact else None,
        cycle=entry.cycle,
    )
    trace: Sequence[dict[str, object]] = body.get("trace") or ()
    decider = say_decider(trace)
    if decider:
        node.reasons.append(Reason("rule", f"won by {decider}", entry.seq, tuple(trace)))
    if entry.kind == "inbox":
        node.reasons += _acts(entry)
    return node


def _acts(entry: Entry) -> list[Reason]:
    body = entry.data
    act, place = body.get("act"), say_place(entry.seq, entry.cycle)
    by = say_by(str(body.get("by") or ""))
    because = say_reason(body.get("reason"))
    if act == "decide" or (act == "expire" and body.get("speaker") == OPERATOR):
        return [Reason("decision", f"decided by {by}{because} {place}", entry.seq)]
    if act in ("approve", "expire"):
        return [
            Reason(
                "approval", f"{say_approval(str(body.get('message') or ''), by)}{because} {place}", entry.seq
            )
        ]
    if act == "undo":
        return [Reason("decision", f"{by} took a decision back{because} {place}", entry.seq)]
    return []


def own_statement(entry: Entry) -> Said | None:
    """The statement that an entry itself is, if it is one."""
    return said_of(entry) if "agent" in entry.data and entry.kind not in ("risen", "withdrawn") else None


def speaker_named(entry: Entry) -> tuple[str, str] | None:
    """Whose statement stands after an entry that is none itself; None if nobody's, as after a decision."""
    body = entry.data
    agent, item = (
        (entry.agent, entry.item)
        if entry.kind == "risen"
        else (str(body.get("speaker") or ""), str(body.get("speaker_item") or ""))
    )
    return None if agent in ("", OPERATOR) else (agent, item)
