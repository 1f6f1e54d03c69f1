"""The simulated tools that the sample packs call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.tools.flaky import TOOLS, FlakyTools


@pytest.fixture
def tools(flaky_tools: FlakyTools) -> Iterator[FlakyTools]:
    """The simulator, counting from zero, and well again afterwards."""
    flaky_tools.forget()
    yield flaky_tools
    for tool in TOOLS:
        flaky_tools.mode(tool, "ok")
