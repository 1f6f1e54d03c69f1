"""What a version of the engine recorded, it merges again for ever; and nothing it does changes without a new version.

Journals were recorded by the engine of their version (tests/engine/record_golden.py); bundles by a whole installation
of that time: `growth_1` with decisions, an approval, an undo and a cancel; `asker_2` with calls of tools that failed
first; `spent_2` with more calls than its budget.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.bundle import read_bundle
from runtime.engine import ENGINE_VERSION, KINDS, STOP_REASONS, Core, PackError, PackSpec
from runtime.engine.replay import RecordedCycle, ReplayError, replay
from runtime.engine.versions import CHANGES
from runtime.verifying import RecordBroken, replay_record, verify_record
from tests.engine.record_golden import GOLDEN, path_of, shown_by

BUNDLES = {"growth_1": 1, "asker_2": 2, "spent_2": 2}
CHANGED = """
Version {version} of the engine merges a golden journal to something else than it did when it recorded it:

    {error}

Jobs out there were begun with it, and could not be taken up, verified or replayed any more. If the change is not meant,
it is a defect. If it is, runtime/engine/versions.py says what to do: a new number, the old behaviour behind it, and
`python -m tests.engine.record_golden` for the new one. Never record an old version again."""


def journals(version: int) -> list[dict[str, Any]]:
    """The golden journals of a version."""
    recorded = json.loads(path_of(version).read_text(encoding="utf-8"))
    assert recorded["engine_version"] == version
    found: list[dict[str, Any]] = recorded["journals"]
    return found


def replayed(journal: dict[str, Any], version: int) -> Core:
    """A journal merged again by the engine of a version."""
    cycles = [
        RecordedCycle(c["number"], c["first_seq"], c["digest"], [body.encode() for body in c["entries"]])
        for c in journal["cycles"]
    ]
    return replay(PackSpec.from_json(journal["pack"]), cycles, version)


def cases() -> Iterator[Any]:
    for version in CHANGES:
        for number, journal in enumerate(journals(version) if path_of(version).exists() else ()):
            yield pytest.param(version, journal, id=f"version {version}, journal {number}")


def test_every_version_has_its_golden_journals() -> None:
    missing = [version for version in CHANGES if not path_of(version).exists()]
    assert missing == [], "record them: python -m tests.engine.record_golden"
    assert [*CHANGES] == [*range(1, ENGINE_VERSION + 1)]
    assert all(len(what) > 10 for what in CHANGES.values())


@pytest.mark.parametrize(("version", "journal"), [*cases()])
def test_a_version_merges_what_it_recorded(version: int, journal: dict[str, Any]) -> None:
    try:
        core = replayed(journal, version)
    except (ReplayError, PackError) as error:
        pytest.fail(CHANGED.format(version=version, error=error), pytrace=False)
    assert core.digest == journal["cycles"][-1]["digest"]


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_of_before_is_verified_and_replayed(name: str) -> None:
    record = read_bundle((GOLDEN / f"{name}.json").read_bytes(), name)
    assert record.job["engine_version"] == BUNDLES[name]
    assert (record.seal is None) == (name == "growth_1")  # format 1 knew no signatures
    fold = verify_record(record)
    try:
        core = replay_record(record)
    except RecordBroken as error:
        pytest.fail(CHANGED.format(version=BUNDLES[name], error=error), pytrace=False)
    assert (core.digest, core.last_seq) == (record.job["digest"], fold.entries)


def test_golden_records_show_everything_there_is() -> None:
    """A kind of entry or a way to stop that no golden record holds could change unseen."""
    shown = set().union(*(shown_by(journal) for journal in journals(ENGINE_VERSION)))
    for name in BUNDLES:
        record = read_bundle((GOLDEN / f"{name}.json").read_bytes(), name)
        bodies = [line.body.decode() for cycle in record.cycles() for line in cycle.lines]
        shown |= shown_by({"cycles": [{"entries": bodies}]})
    assert [kind for kind in KINDS if not any(one.startswith(f"{kind}(") for one in shown)] == []
    # What ends as failed could not be run at all: no engine writes it.
    assert [reason for reason in STOP_REASONS if f"stop {reason}" not in shown] == ["failed"]
    for what in ("over_budget", "server_error", "timeout"):
        assert any(f"cls={what}" in one for one in shown), what
    for act in (
        "decide",
        "undo",
        "approve",
        "refuse",
        "add_fact",
        "withdraw_fact",
        "cancel",
        "retry",
        "give_up",
        "expire",
    ):
        assert f"inbox.act={act}" in shown, act


def test_a_version_that_is_not_known_merges_nothing(tmp_path: Path) -> None:
    journal = journals(ENGINE_VERSION)[0]
    for version in (0, ENGINE_VERSION + 1):
        with pytest.raises(PackError, match=f"engine version {version} is not known here, only "):
            replayed(journal, version)
    data = json.loads((GOLDEN / "growth_1.json").read_bytes())
    data["job"]["engine_version"] = 99
    with pytest.raises(RecordBroken, match="engine version 99 is not known here"):
        replay_record(read_bundle(json.dumps(data).encode(), "of later"))
