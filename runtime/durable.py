"""Names on the disk that outlive a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Makes names that were given or taken in a directory outlive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes what a file holds outlive a power cut, whoever wrote it, and its name. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Makes a directory for its owner alone, and those above it that lack; their names outlive a power cut.

    Raises OSError.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in reversed(missing):
        sync_directory(one.parent)
