"""What lint says of a pack, and what the pack's author says to that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["warning", "note"]
About = Literal["key", "agent", "rule", "tier", "tool", "pack"]

CODES = (
    "cannot_run",
    "key_never_written",
    "key_never_read",
    "loop",
    "agent_never_runs",
    "agent_always_refused",
    "wait_for_nothing",
    "tool_unknown",
    "tool_unused",
    "tier_never_reached",
    "tier_empty",
    "rule_never_fires",
    "rule_shadowed",
    "rule_looks_at_nothing",
    "acceptance_unused",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `kind` and `names` are what it is about (a tier is named by its number; a loop by its keys,
    sorted); `text` is for people and says what to do. Only a `warning` makes the command fail."""

    severity: Severity
    code: str
    text: str
    kind: About
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        about = {"kind": self.kind, "names": list(self.names)}
        return {"severity": self.severity, "code": self.code, "about": about, "text": self.text}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A finding that the pack's author knows of and means to keep: its code, exactly the names it is about, and why."""

    code: str
    names: tuple[str, ...]
    why: str

    def fits(self, finding: Finding) -> bool:
        """Whether this is about `finding`. A loop that has grown by a key is another finding."""
        return self.code == finding.code and sorted(self.names) == sorted(finding.names)


def quote(names: Iterable[str], word: str = "and") -> str:
    """Names as they stand in a sentence: `a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return (
        quoted[0]
        if len(quoted) == 1
        else f"{', '.join(quoted[:-1])} {word} {quoted[-1]}"
        if quoted
        else "none"
    )
