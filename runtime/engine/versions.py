"""The engine's versions: each change after which the same record would merge to another journal has a number (D2.4).

A job keeps the version it was begun with, and its journal is merged by that version for ever: when it is taken up
again, verified or replayed. So old behaviour is never taken out of the engine; it lies behind its number:

    if self.engine_version >= TOOLS_AS_WEATHER: ...

What changes neither entries nor digests needs no number. Whether a change does, tests/engine/test_versions.py tells: it
merges what every version recorded. A new version needs, in one commit:

1. a constant and a sentence here;
2. the old behaviour behind it, in the engine;
3. its golden journals: `python -m tests.engine.record_golden`, which writes those of the newest version alone.
"""

from __future__ import annotations

from typing import Final

FIRST: Final = 1
TOOLS_AS_WEATHER: Final = 2

CHANGES: Final = {
    FIRST: "The first engine.",
    TOOLS_AS_WEATHER: "An answer whose gaps differ only in how a tool failed is not published again; a spent budget of "
    "calls ends a job as `exhausted`.",
}
ENGINE_VERSION: Final = max(CHANGES)
