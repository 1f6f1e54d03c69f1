"""An agent declared `append` only adds, and must say what each statement rests on (D3.5)."""

from __future__ import annotations

from tests.engine.jobs import BROKEN, Job, pack, say, whole

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
