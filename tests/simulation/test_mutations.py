"""A check that cannot fail proves nothing: with any one protection taken out, some seed finds it."""

from __future__ import annotations

import pytest

from tests.simulation.injection import Bench
from tests.simulation.mutations import MUTATIONS, broken
from tests.simulation.playing import play
from tests.simulation.weather import WEATHERS

pytestmark = pytest.mark.early

SEEDS = 1000


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_found(bench: Bench, name: str) -> None:
    # Where a seed is known to find it the search begins there, and stays with that seed's weather.
    first = MUTATIONS[name].found_by
    seeds = range(first, first + SEEDS, len(WEATHERS)) if first else range(SEEDS)
    with broken(name):
        assert any(play(bench, seed).violation is not None for seed in seeds), f"{name}: nobody notices"
    assert play(bench, first).violation is None
