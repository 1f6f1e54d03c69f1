"""How tests are shared out among processes (`make test` runs three): whole files, and what takes longest begins first.

A file stays together because its fixtures may be dear. All journeys stay together because they share one running stack.
Whoever begins last decides when the run ends, so the journeys and the files marked `early` do not come last.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling


def is_journey(file: str) -> bool:
    """Whether its tests share the running stack: the name of the file says so."""
    return "journey" in file.rpartition("/")[2]


def sendable(said: Any) -> Any:
    """A report such that it can be sent from process to process: what no encoding can write is written as its number.

    What a test logged goes along, and tests log what is not to be had in UTF-8.
    """
    if isinstance(said, str):
        return said.encode("utf-8", "backslashreplace").decode()
    if isinstance(said, dict):
        return {sendable(name): sendable(value) for name, value in said.items()}
    if isinstance(said, (list, tuple)):
        return type(said)(sendable(part) for part in said)
    return said


def rank(item: pytest.Item) -> int:
    """By what to sort: the journeys, then what is marked `early`, then the others as ever."""
    if is_journey(str(item.path)):
        return 0
    return 1 if item.get_closest_marker("early") else 2


class ByScope(LoadFileScheduling):
    """Hands out scope by scope, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        """The file of a test; all journeys are one scope."""
        file = nodeid.partition("::")[0]
        return "journeys" if is_journey(file) else file
