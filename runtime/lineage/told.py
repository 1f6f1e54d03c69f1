"""What lineage is told in: plain frozen values. Confidence is 0..1; seq and cycle count from 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Slot = tuple[str, str]
Step = Mapping[str, Any]  # of a trace: rule, kind, decided, why


@dataclass(frozen=True, slots=True)
class Link:
    """One premise. `node`: told in the graph under its `seq`; `seen`: told elsewhere in it; `back`: the slot is one
    that rests on it, as it was before, and is not followed; `gone`: the journal names no such fact."""

    seq: int
    kind: Literal["node", "seen", "back", "gone"]
    key: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Rest:
    """Premises that are not told one by one: `more` of the `count` facts of `key` that its run was shown; of premises
    that were named, `key` is "". `given`: seeds and people write this key, and no agent."""

    key: str
    count: int
    more: int
    fallen: int = 0
    given: bool = False


@dataclass(frozen=True, slots=True)
class Speaker:
    """One voice that says what a node shows, and what its statement rests on.

    `rests`: "ground" (a seed, a person, a statement without premises), "named" (`because`), or "shown": all that its
    run was shown in cycle `shown_in`; `again` if it said unchanged what it had said before. `cut`: it rests on more,
    which this graph does not follow.
    """

    agent: str
    item: str
    value: Any
    confidence: float | None
    seq: int
    cycle: int
    rests: Literal["ground", "named", "shown"] = "ground"
    shown_in: int = 0
    again: bool = False
    ruling: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    rest: tuple[Rest, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a value stands beyond that somebody says it: a rule, a decision, an approval, each a sentence."""

    kind: Literal["rule", "decision", "approval", "question"]
    text: str
    seq: int = 0
    trace: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """What one slot showed since entry `seq`. `fallen`: it shows something else now, or nothing; `now` says what."""

    seq: int
    key: str
    subject: str
    status: str  # fact | contested | held | empty
    value: Any
    confidence: float | None
    cycle: int
    depth: int = 0
    fallen: bool = False
    provisional: bool = False
    now: str = ""
    speakers: tuple[Speaker, ...] = ()
    reasons: tuple[Reason, ...] = ()

    @property
    def slot(self) -> Slot:
        """Its key and subject."""
        return self.key, self.subject


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Something said about a slot that does not stand there, and why not.

    `outcome`: lost, overruled, refused, rejected, withdrawn, replaced, undone, unanswered.
    """

    outcome: str
    who: str
    value: Any
    has_value: bool
    confidence: float | None
    text: str
    seq: int
    cycle: int
    current: bool = False  # it is still said
    trace: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Lineage:
    """Why a slot shows what it shows as of entry `at`, and why nothing else. `nodes` are by seq, in order of telling;
    the root is `nodes[root]`. `depth` is how many levels were asked for."""

    job_id: int
    at: int
    root: int
    nodes: Mapping[int, Node]
    why_not: tuple[WhyNot, ...] = ()
    more_why_not: int = 0
    depth: int = 0

    @property
    def top(self) -> Node:
        """The slot itself."""
        return self.nodes[self.root]

    @property
    def is_cut(self) -> bool:
        """Whether something rests on more than is told here."""
        return any(speaker.cut for node in self.nodes.values() for speaker in node.speakers)
