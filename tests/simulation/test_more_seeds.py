"""The second half of the thousand histories; see test_seeds.py."""

from __future__ import annotations

import pytest

from tests.simulation.injection import Bench
from tests.simulation.playing import play_all

pytestmark = pytest.mark.early


def test_another_five_hundred_seeds_break_nothing(bench: Bench) -> None:
    play_all(bench, range(500, 1000))
