"""One `up` per home: a lock that the kernel drops when its holder ends, in whatever way."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class HomeInUse(Exception):
    """Another process holds the home. `holder` is what it wrote about itself."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def hold_home(home: Path, about: str) -> Iterator[None]:
    """Holds `home` for the length of the block.

    `about`: a line on who holds it, shown to whoever comes second.

    Raises:
        HomeInUse: somebody has it.
    """
    descriptor = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HomeInUse(os.pread(descriptor, 1000, 0).decode("utf-8", "replace").strip()) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, about.encode(), 0)
        yield
    finally:
        os.close(descriptor)
