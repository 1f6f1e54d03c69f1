"""Whole numbers from outside: ids, pages, places. One reader, since `int` fails on 5,000 digits and takes "٣"."""

from __future__ import annotations

LARGEST = 10**17  # more than any id or journal gets to, and far inside a database's 64 bits
LONGEST = len(str(LARGEST))


def read_whole(text: str, most: int = LARGEST) -> int | None:
    """The number from 0 to `most` that `text` writes in ASCII digits; None for anything else."""
    if len(text) > LONGEST or not (text.isascii() and text.isdecimal()):
        return None
    number = int(text)
    return number if number <= most else None
