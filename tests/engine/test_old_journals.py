"""Journals written by earlier versions of the engine merge again as they did then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.engine import ENGINE_VERSION, PackSpec
from runtime.engine.replay import RecordedCycle, ReplayError, replay

GOLDEN = json.loads((Path(__file__).parent / "golden" / "version_1.json").read_text())


def cycles(name: str) -> list[RecordedCycle]:
    return [
        RecordedCycle(c["number"], c["first_seq"], c["digest"], [body.encode() for body in c["bodies"]])
        for c in GOLDEN["journals"][name]
    ]


@pytest.mark.parametrize("name", GOLDEN["journals"])
def test_journal_of_version_1_replays_under_version_1_and_not_under_today_s(name: str) -> None:
    pack = PackSpec.from_json(GOLDEN["pack"])
    recorded = cycles(name)
    assert replay(pack, recorded, engine_version=1).digest == recorded[-1].digest
    assert ENGINE_VERSION > 1
    with pytest.raises(ReplayError):
        replay(pack, recorded)
