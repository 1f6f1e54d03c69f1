"""Reading the config of an agent, with refusals that name the agent and the part."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runtime.agents.errors import DeclarationError

_TOOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}\Z")
_PATH = re.compile(r"(/[\w.~!$&'()*+,;=:@%-]*)*(\?[\w.~!$&'()*+,;=:@%/?-]*)?\Z", re.ASCII)
LONGEST_PATH = 500


def check_parts(config: Mapping[str, Any], known: Iterable[str], named: str) -> None:
    """Refuses a part that agents of this kind do not have: it would be ignored and nobody would notice."""
    unknown = sorted(str(part) for part in set(config) - set(known))
    if unknown:
        raise DeclarationError(
            f"{named} has the unknown part {unknown[0]!r}; it may have {', '.join(known)}."
        )


def read_tool(config: Mapping[str, Any], named: str) -> str:
    """The name of the tool that an agent calls."""
    tool = config.get("tool")
    if not isinstance(tool, str) or not _TOOL.match(tool):
        raise DeclarationError(
            f"tool of {named} is {tool!r}; give the name of a tool: letters, digits, - and _, at most 50."
        )
    return tool


def read_path(config: Mapping[str, Any], named: str) -> str:
    """What is put behind the tool's address, "" for nothing."""
    path = config.get("path", "")
    fits = isinstance(path, str) and len(path) <= LONGEST_PATH and _PATH.match(path)
    if not fits or path.startswith("//") or ".." in path.split("?")[0].split("/"):
        raise DeclarationError(
            f"path of {named} is {path!r}; give what follows the tool's address, as in /v1/agent, or leave it out."
        )
    return str(path)


def read_text(
    config: Mapping[str, Any], part: str, named: str, *, needed: bool = False, most: int = 500
) -> str:
    """A text, "" if it is left out."""
    text = config.get(part, "")
    if not isinstance(text, str) or len(text) > most:
        raise DeclarationError(f"{part} of {named} must be text of at most {most:,} characters.")
    if needed and not text.strip():
        raise DeclarationError(f"{named} does not say its {part}; give {part} as text.")
    return text


def read_number(
    config: Mapping[str, Any], part: str, named: str, low: float, high: float, *, whole: bool = False
) -> float | int | None:
    """A number from `low` to `high`; None if it is left out or null."""
    number = config.get(part)
    kinds = (int,) if whole else (int, float)
    if number is None or (type(number) in kinds and low <= number <= high):
        return number
    what = "a whole number" if whole else "a number"
    raise DeclarationError(f"{part} of {named} is {number!r}; give {what} from {low:g} to {high:g}.")
