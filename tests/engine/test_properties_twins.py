"""The engine beside the naive model: after every cycle both say the same (property a)."""

from __future__ import annotations

from hypothesis import given

from tests.engine.packs_strategy import Case, cases
from tests.engine.twins import Twins


@given(cases())
def test_engine_and_naive_model_agree_after_every_cycle(case: Case) -> None:
    Twins(case).run()
