"""An agent declared `append` only adds, and must say what each statement rests on (D3.5)."""

from __future__ import annotations

from runtime.engine import Proposal, Run
from runtime.engine.replay import replay
from tests.engine.jobs import BROKEN, Job, each, pack, rule, say, whole
from tests.engine.lockstep import recorded

NAMED = [("in", "x")]


def job() -> Job:
    it = Job(pack(whole("a", "in", "log", append=True)), {"a": [say("log", "first", 1, because=NAMED)]})
    it.run(it.row("add_fact", "in", "x", 1, by="ada"))
    return it


def test_what_it_does_not_repeat_stays_while_its_premises_hold() -> None:
    it = job()
    it.says["a"] = [say("log", "second", 1, because=NAMED)]
    it.run(it.row("add_fact", "in", "y", 1, by="otto"))
    assert (it.value("log", "first"), it.value("log", "second")) == (1, 1)


def test_what_it_does_not_repeat_goes_when_a_premise_fell() -> None:
    it = job()
    it.says["a"] = [say("log", "second", 1, because=NAMED)]
    it.run(it.row("add_fact", "in", "x", 2, by="ada"))
    assert (it.status("log", "first"), it.value("log", "second")) == ("empty", 1)


def test_what_it_repeats_after_a_premise_fell_rests_on_the_new_ones() -> None:
    it = job()
    it.run(it.row("add_fact", "in", "x", 2, by="ada"))
    assert it.value("log", "first") == 1
    assert it.provisional() == set()


def test_it_must_name_premises_and_may_name_none() -> None:
    it = job()
    it.says["a"] = [say("log", "second", 1), say("log", "third", 1, because=[])]
    it.run(it.row("add_fact", "in", "y", 1, by="otto"))
    assert it.outcomes("a") == ["rejected", "accepted"]


def test_a_failed_run_takes_nothing_back() -> None:
    it = job()
    it.says["a"] = lambda run: BROKEN
    it.run(it.row("add_fact", "in", "x", 2, by="ada"))
    assert it.value("log", "first") == 1
    assert it.provisional() == {("log", "first")}


def test_what_is_refused_is_not_said_here_either() -> None:
    it = job()
    it.says["a"] = [say("log", "first", 2, 7.0, because=NAMED)]
    it.run(it.row("add_fact", "in", "y", 1, by="otto"))
    assert it.status("log", "first") == "empty"


def test_what_an_appending_agent_leaves_unsaid_is_not_said_by_a_replay() -> None:
    """A constraint came to refuse it since; said again it would be withdrawn."""
    limit = rule("constraint", "k", 'facts("m").size() < 2', name="no more")
    spec = pack(each("a", "in", "k", append=True), whole("b", "in", "m"), rules=[limit])
    told: list[bool] = []

    def adds(run: Run) -> list[Proposal]:
        if run.item != "x" or told:
            return []
        told.append(True)
        return [say("k", "s", 1, because=[("in", "x")])]

    it = Job(spec, {"a": adds, "b": lambda run: [say("m", f.subject, 1) for f in run.view["in"]]})
    it.run(it.seed("in", "x", 1))
    it.run(it.row("add_fact", "in", "y", 1))
    it.run(it.row("add_fact", "in", "x", 1, confidence=0.5), it.row("add_fact", "in", "z", 1))
    assert it.value("k", "s") == 1
    assert replay(spec, recorded(it.commits)).digest == it.core.digest
