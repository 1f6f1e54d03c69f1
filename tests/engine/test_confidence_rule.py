"""Confidence: the stronger side stands if the margin is at least m (D3.2); confidence is held in thousandths."""

from __future__ import annotations

import pytest

from tests.engine.jobs import Job, pack, rule


@pytest.mark.parametrize(
    ("margin", "first", "second", "winner"),
    [
        (0.3, 0.6, 0.9, 2),
        (0.3, 0.6, 0.899, None),
        (0.3, 0.6004, 0.9, 2),
        (0.0, 0.6, 0.601, 2),
        (0.0, 0.6, 0.6, None),
        (0.0, 0.6, 0.6004, None),
        (1.0, 1.0, 0.0, 1),
    ],
)
def test_the_margin_is_met_or_nothing_is_decided(
    margin: float, first: float, second: float, winner: int | None
) -> None:
    it = Job(pack(rules=(rule("confidence", "k", margin=margin),)))
    it.run(it.seed("k", "s", 1, first), it.seed("k", "s", 2, second))
    assert it.value("k", "s") == winner


def test_a_side_is_as_strong_as_its_strongest_voice_and_not_as_many() -> None:
    it = Job(pack(rules=(rule("confidence", "k", margin=0.1),)))
    it.run(*(it.seed("k", "s", 1, 0.5) for _ in range(5)), it.seed("k", "s", 2, 0.6))
    assert it.value("k", "s") == 2


def test_the_margin_is_between_the_strongest_two_sides() -> None:
    it = Job(pack(rules=(rule("confidence", "k", margin=0.2),)))
    it.run(it.seed("k", "s", 1, 0.9), it.seed("k", "s", 2, 0.1), it.seed("k", "s", 3, 0.8))
    assert it.status("k", "s") == "contested"


@pytest.mark.parametrize(
    ("confidence", "held"), [(0.0005, 0), (0.0015, 2), (0.9995, 1000), (1, 1000), (0, 0)]
)
def test_confidence_is_rounded_to_thousandths_half_to_even(confidence: float, held: int) -> None:
    it = Job(pack(keys=["k"]))
    it.run(it.seed("k", "s", 1, confidence))
    assert it.last("accepted")[0]["conf"] == held
