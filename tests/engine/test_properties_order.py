"""Order carries no meaning: not of completion (property b), not of agents in the pack (property c)."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.engine.lockstep import run_engine, standing
from tests.engine.packs_strategy import Case, cases


@given(cases(), st.integers(0, 1_000))
def test_effects_in_any_order_give_the_same_digests(case: Case, shuffle: int) -> None:
    _, straight = run_engine(case)
    _, shuffled = run_engine(case, shuffle=shuffle)
    assert [c.digest for c in shuffled] == [c.digest for c in straight]


@given(cases(), st.integers(0, 1_000))
def test_pack_order_of_agents_never_changes_what_stands(case: Case, shuffle: int) -> None:
    agents = list(case.pack.agents)
    random.Random(shuffle).shuffle(agents)
    core, commits = run_engine(case)
    other, others = run_engine(case, pack=replace(case.pack, agents=tuple(agents)))
    assert standing(other) == standing(core)
    assert [(c.tier, c.runs, c.stop and c.stop.reason) for c in others] == [
        (c.tier, c.runs, c.stop and c.stop.reason) for c in commits
    ]
