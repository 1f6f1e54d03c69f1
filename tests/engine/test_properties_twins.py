"""The engine beside the naive model: after every cycle both say the same (properties a and h)."""

from __future__ import annotations

from hypothesis import given, settings

from tests.engine.packs_strategy import Case, cases, circles, desks
from tests.engine.twins import Twins


@given(cases())
def test_engine_and_naive_model_agree_after_every_cycle(case: Case) -> None:
    Twins(case).run()


@given(circles())
def test_engine_and_naive_model_agree_about_circles(case: Case) -> None:
    Twins(case).run()


@settings(max_examples=300)
@given(desks())
def test_engine_and_naive_model_agree_about_deadlines(case: Case) -> None:
    Twins(case).run()
