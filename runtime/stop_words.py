"""Why a job stopped, as a sentence: told when it stops, and told again to whoever looks back at that moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.engine.tiers import MAX_NAMED


def words_of_stop(reason: str, causes: Sequence[Mapping[str, Any]], tier: int, top_tier: int) -> str:
    """The first cause and how many more there are; for a job that converged, the tier. "" if there is nothing to say.

    `reason` and `causes` are those of the stop entry; `tier` is what was reached of `top_tier`.
    """
    if reason == "converged":
        return f"Every agent has had its say; tier {tier} of {top_tier} is reached."
    if not causes:
        return "Cancelled." if reason == "cancelled" else ""
    first = str(causes[0].get("text", ""))
    # A long list of one kind ends in a cause that counts them all.
    more = sum(int(c["count"]) - MAX_NAMED if "count" in c else 1 for c in causes[1:])
    text = first[:1].upper() + first[1:]
    return f"{text}{f'; and {more:,} more' if more else ''}."
