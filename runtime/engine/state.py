"""What a job knows at one moment: slots with their candidates, voices with what they said and were shown.

Plain records with `__slots__`: a job may hold a million slots. Values are kept as canonical bytes only; whoever wants
the value parses a fresh copy, so nobody can change what stands.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from runtime.engine.values import THOUSAND

EMPTY: Final = 0
FACT: Final = 1
CONTESTED: Final = 2
HELD: Final = 3
STATUS_NAMES: Final = ("empty", "fact", "contested", "held")

# What a slot shows: (status, canonical value or None, strength in thousandths). Absent is the one below (D2.1).
Shown = tuple[int, bytes | None, int]
ABSENT: Final[Shown] = (EMPTY, None, 0)


class Block:
    """All facts that stood in `keys` when an agent was shown them: the default premises, without listing them (D3.5).

    `changed` holds the slots that show another value now than then, with the value they had (None: no fact then).
    """

    __slots__ = ("changed", "fallen", "keys", "mark", "refs")

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.mark: tuple[int, ...] = ()  # what it held, as the watch for oscillations sums it up
        self.changed: dict[Slot, bytes | None] = {}
        self.fallen = 0
        self.refs = 0


class Premises:
    """What one run's statements rest on: (slot, value) pairs, and the block of whole keys it was shown.

    `default` is set when the agent named none and it rests on all it was shown.
    """

    __slots__ = ("block", "default", "fallen", "pairs", "refs")

    def __init__(self, pairs: tuple[tuple[Slot, bytes], ...], block: Block | None, default: bool) -> None:
        self.pairs = pairs
        self.block = block
        self.default = default
        self.fallen = 0
        self.refs = 0

    def hold(self) -> bool:
        """Whether every premise still stands."""
        return not self.fallen and (self.block is None or not self.block.fallen)


GROUND: Final = Premises((), None, False)


class Candidate:
    """What one voice currently says about a slot. `evidence` is canonical bytes of an object, or b"" for none."""

    __slots__ = ("conf", "evidence", "premises", "raw", "seq", "slot", "voice")

    def __init__(
        self, voice: Voice, slot: Slot, raw: bytes, conf: int, evidence: bytes, premises: Premises, seq: int
    ) -> None:
        self.voice = voice
        self.slot = slot
        self.raw = raw
        self.conf = conf
        self.evidence = evidence
        self.premises = premises
        self.seq = seq


class Voice:
    """An agent, an agent on one item or group, a seed or a person. `shown` is its own item as its last run saw it.

    `ran` says whether it completed a run; `silent` that its item is gone and what it said was withdrawn.
    """

    __slots__ = ("agent", "at", "item", "ran", "refused", "said", "shown", "silent")

    def __init__(self, agent: str, at: int, item: str | None) -> None:
        self.agent = agent
        self.at = at
        self.item = item
        self.said: dict[Slot, Candidate] = {}
        self.shown: Any = None
        self.ran = False
        self.silent = False
        self.refused: list[tuple[str, str, str]] = []


class Ruling:
    """What an aggregation agent said about a slot's sides. `raw` None is an abstention; `sides` is what it saw."""

    __slots__ = ("conf", "premises", "raw", "refused", "sides")

    def __init__(self, raw: bytes | None, conf: int, sides: Any, premises: Premises) -> None:
        self.raw = raw
        self.conf = conf
        self.sides = sides
        self.premises = premises
        self.refused = False


class Verdict:
    """An operator's decision on a slot: `raw` None means that nothing stands (D3.7).

    `rules` are the operator rules under which it was made, and under which it is made anew or undone. A person is
    certain; what a deadline ruled is as strong as its side was.
    """

    __slots__ = ("by", "groups", "raw", "rules", "strength")

    def __init__(
        self,
        raw: bytes | None,
        by: str,
        groups: tuple[str, ...],
        rules: tuple[str, ...] = (),
        strength: int = THOUSAND,
    ) -> None:
        self.raw = raw
        self.by = by
        self.groups = groups
        self.rules = rules
        self.strength = strength


class Desk:
    """What people and aggregation agents said about a slot. Most slots have none."""

    __slots__ = ("approvals", "asked", "open_version", "passed", "refusals", "rulings", "verdict")

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        self.approvals: dict[bytes, dict[str, tuple[str, ...]]] = {}
        self.refusals: dict[bytes, str] = {}
        self.passed: dict[bytes, dict[str, None]] = {}  # values that a deadline let pass, by rule
        self.rulings: dict[int, Ruling] = {}
        self.open_version: Any = None  # of the conflict that is open, with whom it awaits
        self.asked: tuple[bytes, str] | None = (
            None  # the value whose approval is asked for, and the rule that asks
        )

    def is_answered(self) -> bool:
        """Whether somebody refused a value, or a deadline let one pass."""
        return bool(self.refusals or self.passed)


class Slot:
    """A (key, subject) pair and what stands in it. `would` is the value that waits for approval or was refused."""

    __slots__ = (
        "cands",
        "cycle",
        "dependents",
        "desk",
        "key",
        "raw",
        "seq",
        "status",
        "strength",
        "subject",
        "would",
    )

    def __init__(self, key: str, subject: str) -> None:
        self.key = key
        self.subject = subject
        self.cands: list[Candidate] = []
        self.status = EMPTY
        self.raw: bytes | None = None
        self.strength = 0
        self.seq = 0
        self.cycle = 0
        self.desk: Desk | None = None
        self.would: bytes | None = None
        self.dependents: dict[Premises, bytes] | None = None

    def shown(self) -> Shown:
        """What readers are shown of it."""
        return (self.status, self.raw, self.strength)

    def candidate_of(self, voice: Voice) -> Candidate | None:
        """What `voice` says here."""
        return voice.said.get(self)

    def sides(self) -> dict[bytes, list[Candidate]]:
        """Candidates by value, sides and voices in canonical order: who spoke first carries no meaning."""
        found: dict[bytes, list[Candidate]] = {}
        for cand in sorted(self.cands, key=_by_voice):
            found.setdefault(cand.raw, []).append(cand)
        return dict(sorted(found.items()))

    def own_desk(self) -> Desk:
        """Its desk, made when first needed."""
        if self.desk is None:
            self.desk = Desk()
        return self.desk


def slot_version(slot: Slot) -> str:
    """The set of the sides' values, as 16 hex digits: what a decision is made on (D3.4); of a held slot, the value
    that waits. A decided slot adds its decision, so that of two decisions on one state the second is stale."""
    if slot.status == HELD and slot.would is not None:
        parts = [b"would:" + slot.would]  # an approval is of this very value, whatever else is said meanwhile
    else:
        parts = sorted({c.raw for c in slot.cands})
    if slot.desk is not None and slot.desk.verdict is not None:
        parts.append(b"decided:" + (slot.desk.verdict.raw or b""))
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:16]


def _by_voice(cand: Candidate) -> tuple[str, str]:
    """By name, not by place in the pack: what stands is the same under any pack order (D3.1)."""
    item = cand.voice.item or ""
    return (cand.voice.agent, item.rjust(20, "0") if cand.voice.agent == "@seed" else item)


class KeyState:
    """All slots of one key, and the blocks of premises that watch it."""

    __slots__ = ("blocks", "changed_at", "contested", "held", "order", "shown", "slots")

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.shown = 0  # slots that show anything
        self.blocks: dict[Block, None] = {}
        self.order: list[str] | None = None  # sorted subjects, until a slot is added
        self.contested: dict[Slot, None] = {}
        self.held: dict[Slot, None] = {}
        self.changed_at = 0

    def in_order(self) -> list[str]:
        """Subjects in canonical order."""
        if self.order is None:
            self.order = sorted(self.slots)
        return self.order
