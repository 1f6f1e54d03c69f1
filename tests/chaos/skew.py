"""A process whose clock is wrong. Only the database's time counts (D7.1), so nothing may come of it."""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any


def skew_clock(seconds: float) -> None:
    """Shifts what this process takes for the time: `time.time`, Django's and RQ's now. Not the monotonic clock."""
    if not seconds:
        return
    import django.utils.timezone
    import rq.utils

    real, theirs = time.time, rq.utils.now

    def now(*_: Any) -> dt.datetime:
        return dt.datetime.fromtimestamp(real() + seconds, dt.UTC)

    time.time = lambda: real() + seconds
    django.utils.timezone.now = now
    for name, module in list(sys.modules.items()):
        if name.startswith("rq.") and getattr(module, "now", None) is theirs:
            module.now = now  # type: ignore[attr-defined]
