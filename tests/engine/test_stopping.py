"""Why a run stops: a closed set, the first that applies (D4.5); budgets and oscillation end every run (D2.7, D2.8)."""

from __future__ import annotations

import pytest

from runtime.engine import STOP_REASONS, Budget, Failure, Run, Stop
from tests.engine.jobs import BROKEN, Job, pack, rule, say, whole


def swap(a: int = 0, b: int = 1) -> Job:
    """Two agents that copy each other, and start out with unequal values."""

    def copy(read: str, write: str):  # type: ignore[no-untyped-def]
        def says(run: Run) -> list:
            return [say(write, "s", f.value, because=[]) for f in run.view[read]]

        return says

    spec = pack(whole("a", "right", "left"), whole("b", "left", "right"), keys=["left", "right"])
    it = Job(spec, {"a": [say("left", "s", a, because=[])], "b": [say("right", "s", b, because=[])]})
    it.step(it.row("add_fact", "left", "zz", 9), it.row("add_fact", "right", "zz", 9))
    it.says = {
        "a": lambda run: [say("left", "s", run.view.fact("right", "s").value, because=[])],
        "b": lambda run: [say("right", "s", run.view.fact("left", "s").value, because=[])],
    }
    return it


def test_two_agents_that_copy_each_other_swap_and_are_found_out() -> None:
    it = swap()
    stop = it.run()
    assert stop.reason == "oscillating"
    cause = stop.causes[0]
    assert cause["period"] == 2
    assert cause["agents"] == ["a", "b"]
    assert [(s["key"], s["subject"]) for s in cause["slots"]] == [("left", "s"), ("right", "s")]
    assert len(it.commits) <= 6


def test_a_decision_on_a_swinging_slot_settles_it() -> None:
    it = swap()
    it.run()
    assert it.run(it.row("decide", "left", "s", 1)).reason == "converged"
    assert (it.value("left", "s"), it.value("right", "s")) == (1, 1)


def test_a_loop_that_repeats_a_value_ends() -> None:
    it = swap(1, 1)
    assert it.run().reason == "converged"


def test_a_retry_over_several_tiers_is_no_oscillation() -> None:
    spec = pack(*(whole(f"a{n}", "in out", "out", tier=n) for n in (1, 2, 3)), tiers=3)
    it = Job(spec, {f"a{n}": lambda run: BROKEN for n in (1, 2, 3)})
    it.run(it.seed("in", "x", 1))
    assert it.run(it.row("retry")).reason == "converged"
    assert [e["agent"] for e in it.all("run")] == ["a1", "a2", "a3"] * 2


def test_outside_input_makes_states_new() -> None:
    it = swap()
    it.run()
    cycles = len(it.commits)
    assert it.run(it.row("add_fact", "left", "other", 1)).reason == "oscillating"
    assert len(it.commits) >= cycles + 3


def test_a_loop_whose_values_never_repeat_exhausts_its_cycles_and_answers_with_what_it_has() -> None:
    spec = pack(whole("a", "n", "n"), keys=["n"], budget=Budget(cycles=7))
    it = Job(spec, {"a": lambda run: [say("n", "mine", sum(f.value for f in run.view["n"]))]})
    stop = it.run(it.seed("n", "seed", 1))
    assert stop.reason == "exhausted"
    assert stop.causes[0]["budget"] == "cycles"
    assert len(it.commits) == 7
    assert it.last("answer")
    assert "eligible" in it.gaps()


def test_the_cycle_count_restarts_at_outside_input_under_a_lifetime_cap() -> None:
    spec = pack(whole("a", "n", "n"), keys=["n"], budget=Budget(cycles=5, lifetime_cycles=8))
    it = Job(spec, {"a": lambda run: [say("n", "mine", sum(f.value for f in run.view["n"]))]})
    it.run(it.seed("n", "seed", 1))
    stop = it.run(it.row("add_fact", "n", "x", 1))
    assert stop.causes[0]["budget"] == "lifetime_cycles"
    assert len(it.commits) == 8


def test_too_many_facts_exhaust_the_budget() -> None:
    spec = pack(whole("a", "go", "k"), whole("b", "k", "out"), budget=Budget(facts=10))
    it = Job(spec, {"a": [say("k", str(n), n) for n in range(20)]})
    stop = it.run(it.seed("go", "x", 1))
    assert (stop.reason, stop.causes[0]["budget"]) == ("exhausted", "facts")


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(BROKEN, "partial"), (Failure("timeout", "no answer within 30 s", transient=True), "recovering")],
)
def test_a_required_failure_recovers_if_it_may_be_tried_again(failure: Failure, reason: str) -> None:
    it = Job(pack(whole("a", "in", "k", required=True)), {"a": lambda run: failure})
    stop = it.run(it.seed("in", "x", 1))
    assert stop.reason == reason
    assert stop.causes[0]["what"] == "failed"


def test_a_broken_invariant_is_invalid_and_one_that_may_only_be_waiting_is_not() -> None:
    demand = (rule("invariant", "", 'fact("k", "s") == 1', tier=1),)
    it = Job(pack(keys=["k"], rules=demand))
    assert it.run(it.seed("k", "s", 2)).reason == "invalid"
    it = Job(pack(keys=["k"], rules=demand))
    assert it.run(it.seed("k", "s", 2), it.seed("k", "s", 1)).reason == "waiting"


def test_a_stop_from_outside_is_ranked_with_the_engines_own() -> None:
    it = Job(pack(whole("a", "", "k")))
    it.core.begin()
    commit = it.core.finish(
        [it._effect(r) for r in it.core._work.runs], stop=Stop("failed", [{"what": "pack", "text": "gone"}])
    )
    assert commit.stop is not None
    assert commit.stop.reason == "failed"
    assert commit.stop.reason in STOP_REASONS


@pytest.mark.parametrize("reason", ["failed", "exhausted", "partial"])
def test_of_two_stops_the_first_of_the_closed_set_applies(reason: str) -> None:
    it = swap()
    while True:
        effects = [it._effect(run) for run in it.core.begin()]
        commit = it.core.finish(effects, stop=Stop(reason, []) if it.core.cycle == 4 else None)
        if it.core.cycle == 4:
            break
        assert commit.stop is None
    assert commit.stop is not None
    assert commit.stop.reason == ("failed" if reason == "failed" else "oscillating")


def test_a_stopped_job_goes_on_with_new_input() -> None:
    it = Job(pack(whole("a", "in", "k")), {"a": lambda run: [say("k", "s", len(run.view["in"]))]})
    it.run(it.seed("in", "x", 1))
    it.run(it.row("add_fact", "in", "y", 1))
    assert it.value("k", "s") == 2
    seqs = [n for c in it.commits for n in range(c.first_seq, c.first_seq + len(c.entries))]
    assert seqs == list(range(1, len(seqs) + 1)), "entries are numbered without a gap (D6.1)"
