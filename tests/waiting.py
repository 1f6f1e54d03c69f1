"""Waiting for other processes, which tell nobody when they are done."""

import threading
import time
from collections.abc import Callable


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Returns whether `holds()` became true within `seconds`."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        pause.wait(0.05)
    return holds()
