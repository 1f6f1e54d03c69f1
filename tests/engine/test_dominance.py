"""Dominance: named agents, sources or evidence; decides if exactly one side has a dominant voice (D3.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.jobs import Job, pack, rule


@pytest.mark.parametrize(
    "params",
    [
        {"sources": ("registry",)},
        {"evidence": {"rank": 1}},
        {"sources": ("x",), "evidence": {"no": 1, "rank": 1.0}},
    ],
)
def test_the_side_with_a_dominant_voice_stands_however_weak(params: dict[str, Any]) -> None:
    it = Job(pack(rules=(rule("dominance", "k", **params),)))
    it.run(
        it.seed("k", "s", "old", 1.0, source="blog", rank=True),
        it.seed("k", "s", "new", 0.1, source="registry", rank=1),
    )
    assert it.value("k", "s") == "new"


def test_two_dominant_sides_decide_nothing() -> None:
    it = Job(pack(rules=(rule("dominance", "k", sources=("registry",)),)))
    it.run(it.seed("k", "s", 1, source="registry"), it.seed("k", "s", 2, source="registry"))
    assert it.status("k", "s") == "contested"


def test_dominance_may_name_an_agent() -> None:
    it = Job(pack(rules=(rule("dominance", "k", agents=("@person",)),)))
    it.run(it.seed("k", "s", 1), it.row("add_fact", "k", "s", 2))
    assert it.value("k", "s") == 2
