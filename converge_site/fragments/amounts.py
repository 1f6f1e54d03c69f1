"""Amounts in words: how many of what, what it cost, how long it took."""

from __future__ import annotations

from collections.abc import Sequence


def count_words(number: int, noun: str) -> str:
    """ "1 call", "1,200 calls"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def cost_words(cost: float) -> str:
    """A cost in the currency of the tools' prices: two decimals, or four where it is small."""
    if 0 < cost < 0.0001:
        return "under 0.0001"
    return f"{cost:,.2f}" if cost >= 10 or cost == 0 else f"{cost:,.4f}"


def ms_words(milliseconds: float | None) -> str:
    """Milliseconds as people read them: 84 ms, 1.2 s, 65 s."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"


def list_words(names: Sequence[str], most: int = 3) -> str:
    """ "a, b, c and 2 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
