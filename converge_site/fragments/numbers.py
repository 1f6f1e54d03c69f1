"""Numbers in drawings: short, and the same on every machine."""

from __future__ import annotations


def n(number: float) -> str:
    """A length with at most one decimal."""
    return f"{number:.1f}".removesuffix(".0")
