"""What somebody types on the test bench: candidates in rows or as a JSON list, and facts that stand beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs
import orjson

from runtime.actions import Refused
from runtime.bench import MOST_CANDIDATES, MOST_FACTS, Made
from runtime.engine import BoundsError, Seed
from runtime.engine.spec import SEED, KeySpec
from runtime.engine.values import load_json

MOST_BYTES = 64 * 1024
ROWS = 4  # that are offered; more where there are more candidates
_FIELDS = ("value", "confidence", "agent", "item", "evidence", "source")
_FACT_FIELDS = ("key", "subject", "value", "confidence", "evidence")
_CELLS = ("agent", "value", "confidence", "evidence")


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate as typed."""

    number: int
    agent: str = ""
    value: str = ""
    confidence: str = ""
    evidence: str = ""


@dataclass(slots=True)
class BenchInput:
    """What was typed, and what was read from it; `problems` say by field (rows, candidates, facts) what
    could not be."""

    rows: list[Row]
    candidates: str
    facts: str
    made: list[Made] = field(default_factory=list)
    seeds: list[Seed] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def read_input(candidates: str, facts: str) -> BenchInput:
    """Candidates and facts given as JSON, "" for none."""
    found = BenchInput([], candidates, facts)
    _try(found, "candidates", lambda: found.made.extend(read_candidates(candidates)))
    _try(found, "facts", lambda: found.seeds.extend(read_facts(facts)))
    found.rows = rows_of(found.made)
    return found


def read_rows(posted: Mapping[str, str], key: KeySpec, facts: str) -> BenchInput:
    """Candidates given in rows, `row-1-agent` and so on; a row without a value is none."""
    rows = [
        _row(posted, number) for number in range(1, MOST_CANDIDATES + 1) if f"row-{number}-value" in posted
    ]
    found = BenchInput(rows, "", facts)
    _try(found, "rows", lambda: found.made.extend(_made_of(row, key) for row in rows if row.value.strip()))
    _try(found, "facts", lambda: found.seeds.extend(read_facts(facts)))
    found.candidates = write_candidates([as_json(made) for made in found.made])
    found.rows = rows if found.problems else rows_of(found.made)
    return found


def _try(found: BenchInput, name: str, read: Any) -> None:
    try:
        read()
    except Refused as refused:
        found.problems[name] = refused.message


def read_candidates(text: str) -> list[Made]:
    """The candidates of a JSON list. Raises Refused with line and column, or the place in the list."""
    return [_made(at, said) for at, said in enumerate(_list(text, MOST_CANDIDATES, "candidates"), 1)]


def read_facts(text: str) -> list[Seed]:
    """Further seeds, numbered from 1. Raises Refused."""
    found = []
    for at, said in enumerate(_list(text, MOST_FACTS, "facts"), 1):
        _check_fields(f"Fact {at}", said, _FACT_FIELDS)
        for name in ("key", "subject"):
            if not isinstance(said.get(name), str):
                raise Refused(f"Fact {at} needs a {name}, as text.")
        if "value" not in said:
            raise Refused(f"Fact {at} has no value.")
        sure, evidence = _sure(f"Fact {at}", said), _object(f"Fact {at}", said.get("evidence"))
        found.append(Seed(at, said["key"], said["subject"], said["value"], sure, evidence))
    return found


def _list(text: str, most: int, what: str) -> list[Any]:
    if not text.strip():
        return []
    try:
        found = load_json(text, MOST_BYTES)
    except BoundsError as error:
        raise Refused(f"This {error}.") from None
    if not isinstance(found, list):
        raise Refused(f"Give a list of {what}: [ … ].")
    if len(found) > most:
        raise Refused(f"There are {len(found):,} {what}; the bench takes {most:,}.")
    return found


def _check_fields(named: str, said: Any, known: Sequence[str]) -> None:
    if not isinstance(said, dict):
        raise Refused(f"{named} is no object; write {{{', '.join(known)}}}.")
    unknown = [name for name in said if name not in known]
    if unknown:
        raise Refused(f"{named} has the field {unknown[0][:60]!r}; fields are {', '.join(known)}.")


def _made(at: int, said: Any) -> Made:
    named = f"Candidate {at}"
    _check_fields(named, said, _FIELDS)
    if "value" not in said:
        raise Refused(f"{named} has no value.")
    for name in ("agent", "item", "source"):
        if not isinstance(said.get(name, ""), str):
            raise Refused(f"{named}: {name} is a text.")
    evidence = _object(named, said.get("evidence"))
    if said.get("source"):
        evidence = {**(evidence or {}), "source": said["source"]}
    agent = said.get("agent") or SEED
    return Made(said["value"], _sure(named, said), agent, said.get("item", ""), evidence)


def _sure(named: str, said: Mapping[str, Any]) -> float:
    sure = said.get("confidence", 1.0)
    if type(sure) not in (int, float) or not 0 <= sure <= 1:
        raise Refused(f"{named}: the confidence is {str(sure)[:40]!r}; give a number from 0 to 1.")
    return float(sure)


def _object(named: str, evidence: Any) -> dict[str, Any] | None:
    if evidence is None or evidence == {}:
        return None
    if not isinstance(evidence, dict):
        raise Refused(f'{named}: evidence is an object, such as {{"source": "crm"}}.')
    return evidence


def _row(posted: Mapping[str, str], number: int) -> Row:
    return Row(number, **{name: posted.get(f"row-{number}-{name}", "")[:MOST_BYTES] for name in _CELLS})


def _made_of(row: Row, key: KeySpec) -> Made:
    named = f"Row {row.number}"
    try:
        sure = float(row.confidence.strip().replace(",", ".") or 1)
    except ValueError:
        sure = -1.0
    if not 0 <= sure <= 1:
        raise Refused(f"{named}: the confidence is {row.confidence[:40]!r}; give a number from 0 to 1.")
    evidence = None
    if row.evidence.strip():
        try:
            evidence = _object(named, load_json(row.evidence, MOST_BYTES))
        except BoundsError as error:
            raise Refused(f"{named}: the evidence {error}.") from None
    agent, _, item = row.agent.strip().partition(" on ")
    return Made(_typed(named, row.value.strip(), key), sure, agent or SEED, item, evidence)


def _typed(named: str, text: str, key: KeySpec) -> Any:
    """A value as typed: as JSON, unless only the plain text is what the key takes."""
    try:
        value = load_json(text, MOST_BYTES)
    except BoundsError as error:
        if text[:1] in ('"', "{", "["):
            raise Refused(f"{named}: the value {error}.") from None
        return text
    return text if _takes(key, text) and not _takes(key, value) else value


def _takes(key: KeySpec, value: Any) -> bool:
    return bool(jsonschema_rs.is_valid(dict(key.schema), value)) if key.schema else True


def rows_of(made: Sequence[Made]) -> list[Row]:
    """The rows that say the same, and empty ones up to what is offered."""
    rows = [
        Row(
            at,
            f"{one.agent} on {one.item}" if one.item else one.agent,
            one.value if _is_plain(one.value) else orjson.dumps(one.value).decode(),
            f"{one.confidence:g}",
            orjson.dumps(one.evidence).decode() if one.evidence else "",
        )
        for at, one in enumerate(made, 1)
    ]
    more = max(ROWS - len(rows), 1) if len(rows) < MOST_CANDIDATES else 0
    return [*rows, *(Row(len(rows) + extra + 1) for extra in range(more))]


def _is_plain(value: Any) -> bool:
    """A text that is read back as itself."""
    if not isinstance(value, str) or not value or value != value.strip() or value[0] in '"{[':
        return False
    try:
        load_json(value, MOST_BYTES)
    except BoundsError:
        return True
    return False


def as_json(made: Made) -> dict[str, Any]:
    """A candidate as it is typed."""
    said: dict[str, Any] = {"value": made.value, "confidence": made.confidence, "agent": made.agent}
    if made.item:
        said["item"] = made.item
    if made.evidence:
        said["evidence"] = dict(made.evidence)
    return said


def write_candidates(said: Sequence[Mapping[str, Any]], compact: bool = False) -> str:
    """The JSON list, a candidate a line, or all in one for an address."""
    if compact:
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return "[\n" + ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in said) + "\n]"
