"""What makes two questions alike: the same kind of thing, and the same voices on each side, whatever the values are.

Like questions can be decided at once, and what people decide again and again can become a rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runtime.engine.spec import PERSON, SEED
from runtime.engine.values import canonical


def speaker_of(agent: str, evidence: Mapping[str, Any] | None = None) -> str:
    """The name of a voice among like questions: its agent; a seed by its evidence field `source`; people are alike."""
    if agent == SEED:
        source = (evidence or {}).get("source")
        return f"{SEED}:{source}" if isinstance(source, str) and source else SEED
    return PERSON if agent == PERSON else agent


def speakers_of(voices: Iterable[tuple[str, Mapping[str, Any] | None]]) -> list[str]:
    """The speakers of one side, from (agent, evidence) of its voices: sorted, each once."""
    return sorted({speaker_of(agent, evidence) for agent, evidence in voices})


def shape_of(pack: str, kind: str, key: str, rule: str, sides: Iterable[Sequence[str]]) -> str:
    """A digest that is equal for like questions: of one pack and key, and with the same speakers on each side.

    For a hold, `rule` is what asks for the approval, and its sides do not matter.
    """
    who = [] if kind == "hold" else sorted(sorted(side) for side in sides)
    named = [pack, kind, key, rule if kind == "hold" else "", who]
    return hashlib.sha256(canonical(named)).hexdigest()


def side_like(kept: Sequence[str], sides: Sequence[Sequence[str]]) -> int | None:
    """The place of the side whose speakers are those of `kept`; None if none is, or more than one."""
    found = [at for at, speakers in enumerate(sides) if sorted(speakers) == sorted(kept)]
    return found[0] if len(found) == 1 else None
