"""A simulator for a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.tools.flaky import FlakyTools


@pytest.fixture
def tools() -> Iterator[FlakyTools]:
    with FlakyTools(slow=20) as running:
        yield running
