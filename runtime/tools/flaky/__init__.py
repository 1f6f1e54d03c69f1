"""A simulator of tools that fail: a web search and a language model, each of which can be told to misbehave.

    with FlakyTools() as tools:
        tools.mode("search", "down")
        ...                              # calls of tools.url + "/search" get a 503 now
        assert tools.requests("search") == 3

`manage.py flaky_tools` serves it for a whole installation. What it answers depends on what is asked alone, never on
time or order, so a job that was answered twice was answered the same.
"""

from runtime.tools.flaky.modes import FAILING, MODES, UnknownMode
from runtime.tools.flaky.server import TOOLS, Asked, FlakyTools

__all__ = ["FAILING", "MODES", "TOOLS", "Asked", "FlakyTools", "UnknownMode"]
