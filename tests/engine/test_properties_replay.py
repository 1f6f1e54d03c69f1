"""Replay equals run: pack and journal alone lead to the same digests and the same state (property f, D6.3)."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.engine import PackSpec
from runtime.engine.replay import ReplayError, replay, verify_chain
from tests.engine.lockstep import recorded, run_engine, standing
from tests.engine.packs_strategy import Case, cases


def stored(pack: PackSpec) -> PackSpec:
    """The pack as a job freezes it."""
    return PackSpec.from_json(json.loads(json.dumps(pack.to_json())))


@given(cases())
def test_replay_of_the_journal_equals_the_run(case: Case) -> None:
    core, commits = run_engine(case)
    assert verify_chain(recorded(commits)) == core.digest
    again = replay(stored(case.pack), recorded(commits))
    assert (again.digest, again.last_seq, again.tier) == (core.digest, core.last_seq, core.tier)
    assert standing(again) == standing(core)


@given(cases(), st.integers(0, 20))
def test_a_job_taken_up_from_its_journal_goes_on_as_if_undisturbed(case: Case, crash: int) -> None:
    _, commits = run_engine(case)
    _, resumed = run_engine(case, crash_at=1 + crash % len(commits))
    assert [c.digest for c in resumed] == [c.digest for c in commits]


@given(cases(), st.data())
def test_a_changed_record_is_found_out(case: Case, data: st.DataObject) -> None:
    _, commits = run_engine(case)
    cycles = recorded(commits)
    at = data.draw(st.integers(0, len(cycles) - 1))
    bodies = list(cycles[at].bodies)
    assume(bodies)
    place = data.draw(st.integers(0, len(bodies) - 1))
    bodies[place] = bodies[place].replace(b'"kind":', b'"kind" :', 1)
    cycles[at] = cycles[at]._replace(bodies=bodies)
    with pytest.raises(ReplayError):
        verify_chain(cycles)
