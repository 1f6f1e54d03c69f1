"""What the commands that score a pack share: reading files and figures, and saying what is wrong with them."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from django.core.management.base import CommandError

BAD_INPUT = 2  # exit status
SHOWN_PROBLEMS = 20

T = TypeVar("T")


def number_between(low: float, high: float) -> Callable[[str], float]:
    """A reader of an option's number, for argparse."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:  # a NaN is not, either
            raise ArgumentTypeError(f"{text!r} is no number from {low:g} to {high:g}")
        return number

    return read


def read_text_file(path: Path, read: Callable[[str], T]) -> T:
    """What `read` makes of a text file. Raises CommandError (exit status 2) if there is no such text."""
    try:
        return read(path.read_text("utf-8-sig"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=BAD_INPUT) from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 text: byte {error.start}.", returncode=BAD_INPUT) from None


def refuse_file(path: Path, problems: Iterable[str]) -> CommandError:
    """The error for a file with lines that cannot be read; the first few are told."""
    lines = "\n  ".join(list(problems)[:SHOWN_PROBLEMS])
    return CommandError(f"{path} cannot be scored.\n  {lines}", returncode=BAD_INPUT)
