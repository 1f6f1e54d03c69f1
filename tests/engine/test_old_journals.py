"""What version 2 of the engine changed: journals of the same jobs, which only their own version merges again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.engine import PackSpec
from runtime.engine.replay import RecordedCycle, ReplayError, replay
from tests.engine.record_golden import GOLDEN


def told(version: int) -> dict[str, Any]:
    """The same jobs as a version merged them."""
    found: dict[str, Any] = json.loads((GOLDEN / f"version_{version}.json").read_text())
    assert found["engine_version"] == version
    return found


def cycles(version: int, name: str) -> list[RecordedCycle]:
    return [
        RecordedCycle(c["number"], c["first_seq"], c["digest"], [body.encode() for body in c["bodies"]])
        for c in told(version)["journals"][name]
    ]


@pytest.mark.parametrize("name", told(1)["journals"])
@pytest.mark.parametrize(("version", "other"), [(1, 2), (2, 1)])
def test_journal_replays_under_its_version_and_not_under_the_other(
    version: int, other: int, name: str
) -> None:
    pack = PackSpec.from_json(told(version)["pack"])
    recorded = cycles(version, name)
    assert replay(pack, recorded, version).digest == recorded[-1].digest
    with pytest.raises(ReplayError):
        replay(pack, recorded, other)
