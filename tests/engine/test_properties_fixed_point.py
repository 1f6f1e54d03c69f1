"""What a job that stopped may claim: a fixed point is stable (d), and no tier is claimed on doubt (e, g)."""

from __future__ import annotations

import json

from hypothesis import given

from runtime.engine import OUTCOMES, Core, Failure, InboxRow
from runtime.engine.eligible import lowest_tier
from tests.engine.lockstep import effect_of, run_engine, standing
from tests.engine.packs_strategy import Case, cases
from tests.engine.twins import Twins

UNSETTLED = ("oscillating", "exhausted", "cancelled")


def ask_everybody_again(core: Core) -> None:
    """Makes every voice that could run count as failed, so that a retry asks all of them."""
    for agent in core.ledger.agents:
        for item, voice in agent.voices.items():
            may_run = agent.spec.shape != "aggregate" or item in agent.reached
            if voice.ran and not voice.silent and may_run:
                agent.failed.setdefault(item, Failure("agent_error", "to be asked again"))


@given(cases())
def test_a_fresh_full_pass_over_a_fixed_point_changes_nothing(case: Case) -> None:
    core, commits = run_engine(case)
    if commits[-1].stop is None or commits[-1].stop.reason in UNSETTLED:
        return
    assert lowest_tier(core.ledger) == 0
    before = standing(core)
    stop = commits[-1].stop
    ask_everybody_again(core)
    rows = [InboxRow(1_000, "retry", "ada")]
    again = None
    while again is None:
        commit = core.finish([effect_of(case, run) for run in core.begin(rows)])
        rows, again = [], commit.stop
        changes = [e.kind for e in commit.entries if e.kind in (*OUTCOMES, "withdrawn", "risen", "conflict")]
        assert set(changes) <= {"rejected"}, "what was refused is refused again; nothing else is said"
    assert standing(core) == before
    assert (again.reason, commit.tier) == (stop.reason, commits[-1].tier)


@given(cases())
def test_no_tier_is_claimed_with_doubt_in_it(case: Case) -> None:
    """By the model's own look at the candidates, not by what the engine says of itself."""
    twins = Twins(case)
    rows = [*twins.first_rows()]
    while True:
        commit = twins.step(rows)
        if any(e.kind == "tier" for e in commit.entries) or commit.stop is not None:
            assert_nothing_doubtful(twins, commit.tier)
        if commit.stop is not None and not twins.acts.left:
            break
        rows = [*twins.people(commit.stop is not None)]
    tiers = [json.loads(e.body) for c in twins.commits for e in c.entries if e.kind == "tier"]
    assert all(not t["gaps"] for t in tiers if t["reached"])
    assert all(t["gaps"] for t in tiers if not t["reached"]), "what is missing is named"


def assert_nothing_doubtful(twins: Twins, tier: int) -> None:
    """Up to `tier`: nobody eligible, nothing open, every fact on premises that stand."""
    model = twins.model
    assert all(model.agent_tier(name) > tier for name, _ in model.eligible())
    stands = model.everything()
    for slot, found in stands.items():
        if model.key_tier(slot[0]) > tier:
            continue
        assert found.status in ("fact", "empty")
        if found.side is not None and found.status == "fact":
            candidates = found.sides[found.side].values()
            assert any(all(stands[s].is_fact(v) for s, v in said.premises) for said in candidates), slot
