"""What comes into the engine: seeds, inbox rows and the effects of agent runs. Plain values, made by anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

FAILURE_CLASSES = (
    "timeout",
    "unreachable",
    "rate_limited",
    "server_error",
    "refused",
    "bad_output",
    "circuit_open",
    "agent_error",
    "over_budget",
)


class Proposal(NamedTuple):
    """What an agent suggests for a slot. `confidence` is 0..1; `because` are the slots it rests on, None for all
    that the run was shown, () for none."""

    key: str
    subject: str
    value: Any
    confidence: float = 1.0
    evidence: Mapping[str, Any] | None = None
    because: Sequence[tuple[str, str]] | None = None


class Malformed(NamedTuple):
    """Something an agent returned that is no proposal in good shape, with as much of it as could be read, so that its
    rejection can be told and replayed. `raw` and `evidence` are canonical bytes, `conf` thousandths."""

    reason: str
    key: str = ""
    subject: str = ""
    raw: bytes | None = None
    conf: int | None = None
    evidence: bytes = b""


class Failure(NamedTuple):
    """Why a run came to nothing: one of FAILURE_CLASSES, in words, and whether trying again may help (D5.2).

    `tool` names the tool that failed it, "" where none did.
    """

    cls: str
    message: str
    transient: bool = False
    tool: str = ""


class Call(NamedTuple):
    """One call of a tool: requests sent (which the journal leaves to the record of calls), how it ended ("" for well,
    else one of FAILURE_CLASSES), and for language models the tokens read and written and their cost."""

    tool: str
    attempts: int
    cls: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0


class Effect(NamedTuple):
    """Everything one run returned. For an aggregation run: one proposal is a ruling, none an abstention.

    `calls` are the calls of tools that it made, for the record.
    """

    agent: str
    item: str | None
    proposals: Sequence[Proposal | Malformed] = ()
    failure: Failure | None = None
    calls: Sequence[Call] = ()


class Seed(NamedTuple):
    """A fact somebody submitted with the job. `number` is its place in the submission, from 1."""

    number: int
    key: str
    subject: str
    value: Any
    confidence: float = 1.0
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class InboxRow:
    """What a person, or the clock, asked of the job (D7.2).

    `act`: decide, undo, approve, refuse, add_fact, withdraw_fact, cancel, retry; and of the clock (D2.1) retry_due,
    give_up, and expire: the deadline of a question has passed. `none` is the choice that nothing stands. `version` is
    the conflict's version the person saw; "" skips the comparison. `groups` are the person's. `on` names the agent that
    is given up, "" for all that still may recover; or the rule whose deadline has passed; or,
    of a decision, the rule that asked for it ("" skips the comparison).
    """

    id: int
    act: str
    by: str
    key: str = ""
    subject: str = ""
    value: Any = None
    none: bool = False
    confidence: float = 1.0
    version: str = ""
    reason: str = ""
    groups: tuple[str, ...] = field(default=())
    on: str = ""


PERSON_ACTS = ("decide", "undo", "approve", "refuse", "add_fact", "withdraw_fact", "cancel", "retry")
CLOCK_ACTS = ("retry_due", "give_up", "expire")
INBOX_ACTS = (*PERSON_ACTS, *CLOCK_ACTS)
