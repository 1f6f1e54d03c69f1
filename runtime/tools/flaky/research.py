"""What the simulated web search finds. It speaks the contract of http agents, and knows one thing: whether people
look for something more or less than a year ago."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from runtime.tools.flaky.filling import fill_schema

# Words in a name that tell where interest goes; for every other name it is drawn from the name.
FALLS = ("newspaper", "print", "flyer", "radio", "fax", "directory")
RISES = ("podcast", "video", "creator", "newsletter", "map")


def answer_search(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request of an http agent: a proposal for each key it may write and each subject it is about;
    to an aggregation agent's, the first side."""
    sides = asked.get("sides")
    if isinstance(sides, list) and sides and isinstance(sides[0], dict):
        return {"ruling": {"value": sides[0].get("value"), "confidence": 0.6}}
    writes = asked.get("writes")
    keys = writes if isinstance(writes, dict) else {}
    return {
        "proposals": [
            _proposal(key, schema, subject) for key, schema in keys.items() for subject in _subjects(asked)
        ]
    }


def find_interest(name: str) -> dict[str, Any]:
    """Whether interest in `name` rises, falls or is flat: {interest, change (percent in a year), pages, finding}."""
    lower = name.lower()
    drawn = int.from_bytes(sha256(lower.encode()).digest()[:6])
    falls, rises = any(word in lower for word in FALLS), any(word in lower for word in RISES)
    if falls:
        change = -8 - drawn % 25
    elif rises:
        change = 8 + drawn % 25
    else:
        change = drawn % 9 - 4
    interest = "falling" if change <= -5 else "rising" if change >= 5 else "flat"
    said = {"falling": f"fell {-change}%", "rising": f"rose {change}%", "flat": "hardly changed"}[interest]
    finding = f"Searches for “{name}” {said} within a year."
    return {"interest": interest, "change": change, "pages": 3 + drawn % 40, "finding": finding[:500]}


def _subjects(asked: Mapping[str, Any]) -> list[str]:
    """The item, the items of the group, or all facts shown, each once."""
    item, group, facts = asked.get("item"), asked.get("group"), asked.get("facts")
    rows: list[Any] = []
    if isinstance(item, dict):
        rows = [item]
    elif isinstance(group, dict) and isinstance(group.get("items"), list):
        rows = group["items"]
    elif isinstance(facts, dict):
        rows = [row for listed in facts.values() if isinstance(listed, list) for row in listed]
    named = (row.get("subject") for row in rows if isinstance(row, dict))
    return list(dict.fromkeys(subject for subject in named if isinstance(subject, str)))


def _proposal(key: str, schema: Any, subject: str) -> dict[str, Any]:
    found = find_interest(subject)
    fields = schema.get("properties") if isinstance(schema, dict) else None
    if isinstance(fields, dict) and "interest" in fields:
        value: Any = {name: found[name] for name in fields if name in found}
    else:
        value = fill_schema(schema if isinstance(schema, dict) else {}, f"{key}\0{subject}", found["finding"])
    sure = 0.6 + min(found["pages"], 30) / 100
    evidence = {"source": "simulated web search", "pages": found["pages"]}
    return {
        "key": key,
        "subject": subject,
        "value": value,
        "confidence": round(sure, 2),
        "evidence": evidence,
    }
