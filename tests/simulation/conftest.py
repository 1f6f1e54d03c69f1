"""A bench to simulate on, for one file of tests at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulation.injection import Bench, injected


@pytest.fixture(scope="module")
def bench(django_db_blocker: Any) -> Iterator[Bench]:
    """Production code wired to a simulated world; its database is none of the tests' others."""
    with django_db_blocker.unblock(), injected() as wired:
        yield wired
