"""Newer: by a named evidence field present on every side, never by arrival (D3.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.jobs import Job, pack, rule


def job(*times: Any) -> Job:
    it = Job(pack(rules=(rule("newer", "k", field="at"),)))
    it.run(*(it.seed("k", "s", n, **({} if at is None else {"at": at})) for n, at in enumerate(times)))
    return it


@pytest.mark.parametrize(
    ("times", "winner"),
    [
        (("2024-01-02", "2024-01-01"), 0),
        (("2024-01-01", "2024-01-02"), 1),
        (("2024-01-01T00:30:00+02:00", "2023-12-31T23:00:00Z"), 1),
        (("2024-01-01T00:30:00-02:00", "2024-01-01T01:00:00Z"), 0),
        (("2024-02-29", "2024-03-01T00:00:00.5Z", "2024-03-01"), 1),
        ((3, 20, 10), 1),
    ],
)
def test_the_newest_side_stands_whatever_came_first(times: tuple[Any, ...], winner: int) -> None:
    assert job(*times).value("k", "s") == winner


@pytest.mark.parametrize(
    "times",
    [
        ("2024-01-01", None),
        ("2024-01-01", "2024-01-01T00:00:00Z"),
        ("2024-01-01", "yesterday"),
        (True, 1),
        ("2024-13-01", "2024-01-01"),
        ("2024-02-30", "2024-01-01"),
    ],
)
def test_a_missing_equal_or_unreadable_time_decides_nothing(times: tuple[Any, ...]) -> None:
    assert job(*times).status("k", "s") == "contested"


def test_a_side_is_as_new_as_its_newest_voice() -> None:
    it = Job(pack(rules=(rule("newer", "k", field="at"),)))
    it.run(
        it.seed("k", "s", 1, at=1),
        it.seed("k", "s", 2, at=5),
        it.seed("k", "s", 1, at=9),
        it.seed("k", "s", 2),
    )
    assert it.value("k", "s") == 1
