"""A claim, the names of the slot it is about, and its form as a seed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Claim:
    """One source's statement about one slot.

    `label` is the value as text: what is compared. `observed_at` is ISO 8601 as given, or "".
    `evidence` holds the further columns, sorted by name.
    """

    source: str
    object: str
    attribute: str
    label: str
    observed_at: str = ""
    confidence: float | None = None
    evidence: tuple[tuple[str, str], ...] = ()
    value: Any = field(default=None, compare=False)
    line: int = field(default=0, compare=False)

    @property
    def subject(self) -> str:
        return slot_subject(self.object, self.attribute)


def newest_words(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """One claim for each (source, slot): the newest, and of equally old ones the last. Order of first appearance."""
    words: dict[tuple[str, str, str], Claim] = {}
    for claim in claims:
        key = (claim.source, claim.object, claim.attribute)
        word = words.get(key)
        if word is None or read_instant(claim.observed_at) >= read_instant(word.observed_at):
            words[key] = claim
    return tuple(words.values())


def slot_subject(object_: str, attribute: str) -> str:
    """`<object>/<attribute>`. The last slash divides: one inside the attribute is written %2F, a per cent sign %25."""
    return f"{object_}/{attribute.replace('%', '%25').replace('/', '%2F')}"


def claim_subject(source: str, object_: str, attribute: str) -> str:
    """`<source> on <object>/<attribute>`. The first ` on ` divides: one inside the source is written `%20on `."""
    escaped = re.sub(r" (?=on( |$))", "%20", source.replace("%", "%25"))
    return f"{escaped} on {slot_subject(object_, attribute)}"


@lru_cache(maxsize=65_536)
def read_instant(text: str) -> float:
    """ISO 8601 as seconds since 1970, dates as midnight, without an offset as UTC; "" is older than everything.

    Raises ValueError for anything else.
    """
    if not text:
        return -math.inf
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def claims_to_seeds(claims: Iterable[Claim]) -> list[dict[str, Any]]:
    """One seed for each claim; subjects are unique for each (source, slot)."""
    return [_to_seed(claim) for claim in claims]


def claim_from_seed(value: Mapping[str, Any]) -> Claim:
    """The claim again, from the value of its seed (or of the fact that the seed became)."""
    evidence = value.get("evidence") or {}
    return Claim(
        value["source"],
        value["object"],
        value["attribute"],
        to_label(value["value"]),
        str(value.get("observed_at", "")),
        value.get("confidence"),
        tuple((name, str(evidence[name])) for name in sorted(evidence)),
        value["value"],
    )


def to_label(value: Any) -> str:
    """A value as text; equal values have equal labels (1 and 1.0 are the same)."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _to_seed(claim: Claim) -> dict[str, Any]:
    """All that is known of the claim is in the value: agents are shown values, not evidence."""
    value: dict[str, Any] = {
        "source": claim.source,
        "object": claim.object,
        "attribute": claim.attribute,
        "value": claim.label if claim.value is None else claim.value,
    }
    if claim.observed_at:
        value["observed_at"] = claim.observed_at
    if claim.confidence is not None:
        value["confidence"] = claim.confidence
    if claim.evidence:
        value["evidence"] = dict(claim.evidence)
    return {
        "key": "claim",
        "subject": claim_subject(claim.source, claim.object, claim.attribute),
        "value": value,
    }
