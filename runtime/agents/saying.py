"""What an agent returns: proposals, and for aggregation agents a ruling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from runtime.engine import Proposal


class Told(Protocol):
    """Anything that stands in a slot: a fact, or a look-alike with a key and a subject."""

    @property
    def key(self) -> str: ...

    @property
    def subject(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Ruling:
    """What an aggregation agent says about the sides it was shown. Its slot is the one it was asked about."""

    value: Any
    confidence: float = 1.0
    evidence: Mapping[str, Any] | None = None


def propose(
    key: str,
    subject: str,
    value: Any,
    confidence: float = 1.0,
    *,
    evidence: Mapping[str, Any] | None = None,
    because: Iterable[Told | tuple[str, str]] | None = None,
) -> Proposal:
    """Suggest that `value` (JSON) stands in the slot `(key, subject)`, with a confidence of 0..1.

    `because` names the facts it rests on, as facts or as `(key, subject)`; left out, it rests on all that
    the run was shown; an empty list makes it a statement without premises.
    """
    premises = None if because is None else [_slot_of(told) for told in because]
    return Proposal(key, subject, value, confidence, evidence, premises)


def ruling(value: Any, confidence: float = 1.0, *, evidence: Mapping[str, Any] | None = None) -> Ruling:
    """An aggregation agent's verdict between sides: `value` (JSON) stands. Return None instead to abstain."""
    return Ruling(value, confidence, evidence)


def _slot_of(told: Told | tuple[str, str]) -> tuple[str, str]:
    try:
        return (told.key, told.subject)  # type: ignore[union-attr]
    except AttributeError:
        key, subject = told  # type: ignore[misc]
        return (key, subject)
