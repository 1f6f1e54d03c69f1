"""Failures that may pass: who is tried again, who is waited for, and when nobody is any more (D4.3, D5.2, D5.4)."""

from __future__ import annotations

from runtime.engine import Budget, Call, Effect, Failure
from runtime.engine.replay import replay
from tests.engine.jobs import BROKEN, Job, each, pack, say, whole
from tests.engine.lockstep import recorded

DOWN = Failure("server_error", "search answered 503", True, "search")
FINE = [say("out", "s", 1)]


def failing(failure: Failure = DOWN, **agent: object) -> Job:
    """A job whose only agent fails, run to its stop."""
    it = Job(pack(whole("a", "in", "out", **agent)), {"a": lambda run: failure})
    it.run(it.seed("in", "x", 1))
    return it


def test_a_required_agents_passing_failure_makes_the_job_recover_and_names_the_tool() -> None:
    it = failing(required=True)
    assert it.core.stop is not None
    assert it.core.stop.reason == "recovering"
    gap = it.core.stop.causes[0]
    assert (gap["what"], gap["agent"], gap["cls"], gap["tool"]) == ("failed", "a", "server_error", "search")
    assert it.all("run")[0]["failed"] == [
        {"cls": "server_error", "message": "search answered 503", "transient": True, "tool": "search"}
    ]


def test_the_clock_tries_again_only_what_may_pass() -> None:
    spec = pack(whole("a", "in", "out", required=True), whole("b", "in", "also", required=True))
    it = Job(spec, {"a": lambda run: DOWN, "b": lambda run: BROKEN})
    it.run(it.seed("in", "x", 1))
    it.step(it.row("retry_due", by="@clock"))
    assert it.ran == [("a", None)]
    it.step(it.row("retry"))
    assert it.ran == [("a", None), ("b", None)], "a person may try anything"


def test_a_tier_is_reached_once_the_retry_succeeds() -> None:
    it = failing(required=True)
    it.says["a"] = lambda run: FINE
    assert it.run(it.row("retry_due", by="@clock")).reason == "converged"


def test_what_is_given_up_ends_partial_and_says_so() -> None:
    it = failing(required=True)
    stop = it.run(it.row("give_up", by="@clock", reason="given up after 24 hours of trying"))
    assert stop.reason == "partial"
    assert stop.causes[0]["given_up"] is True
    assert stop.causes[0]["text"].endswith("given up after 24 hours of trying")
    assert it.run(it.row("add_fact", "out", "else", 1)).reason == "partial", "and stays so"


def test_a_person_who_asks_again_takes_the_giving_up_back() -> None:
    it = failing(required=True)
    it.run(it.row("give_up", by="@clock", reason="given up"))
    assert it.run(it.row("retry")).reason == "recovering"


def test_a_tool_that_is_out_in_another_way_makes_no_new_answer() -> None:
    it = failing(required=True)
    answers = len(it.all("answer"))
    it.says["a"] = lambda run: Failure("circuit_open", "search is left alone", True, "search")
    it.run(it.row("retry_due", by="@clock"))
    assert len(it.all("answer")) == answers
    it.says["a"] = lambda run: Failure("refused", "search refused", False, "search")
    it.run(it.row("retry_due", by="@clock"))
    assert len(it.all("answer")) == answers + 1, "but that it will not pass any more is news"


def test_an_agent_that_succeeded_since_is_not_given_up_any_more() -> None:
    it = failing(required=True)
    it.run(it.row("give_up", by="@clock", reason="given up"))
    it.says["a"] = lambda run: FINE
    it.run(it.row("add_fact", "in", "y", 1))
    it.says["a"] = lambda run: DOWN
    assert it.run(it.row("add_fact", "in", "z", 1)).reason == "recovering"


def test_an_optional_agents_failure_keeps_nobody_waiting() -> None:
    it = failing()
    assert it.core.stop is not None
    assert it.core.stop.reason == "converged"


def test_an_optional_agent_is_waited_for_where_the_pack_says_so() -> None:
    it = failing(wait=60.0)
    assert it.core.stop is not None
    gap = it.core.stop.causes[0]
    assert (it.core.stop.reason, gap["what"], gap["wait"], gap["tool"]) == (
        "recovering",
        "awaited",
        60.0,
        "search",
    )
    assert it.core.tier == 0
    stop = it.run(it.row("give_up", by="@clock", on="a", reason="waited 60 s"))
    assert (stop.reason, it.core.tier) == ("converged", 1)


def test_an_optional_agents_lasting_failure_is_not_waited_for() -> None:
    it = failing(BROKEN, wait=60.0)
    assert it.core.stop is not None
    assert it.core.stop.reason == "converged"


def test_giving_up_one_agent_leaves_the_others() -> None:
    spec = pack(whole("a", "in", "out", required=True), whole("b", "in", "also", required=True))
    it = Job(spec, {"a": lambda run: DOWN, "b": lambda run: DOWN})
    it.run(it.seed("in", "x", 1))
    assert it.run(it.row("give_up", by="@clock", on="a", reason="given up")).reason == "recovering"
    assert it.run(it.row("give_up", by="@clock", on="b", reason="given up")).reason == "partial"


def test_calls_of_tools_are_in_the_journal_and_replay_to_the_same_digest() -> None:
    spec = pack(each("a", "in", "out"))
    it = Job(spec)
    runs = it.core.begin([it.seed("in", "x", 1), it.seed("in", "y", 1)])
    calls = [Call("search", 3, "timeout"), Call("writer", 1, "", 12, 5, 0.25)]
    effects = [Effect("a", run.item, FINE if run.item == "x" else (), None, calls) for run in runs]
    commits = [it.core.finish(effects)]
    while commits[-1].stop is None:
        runs = it.core.begin()
        commits.append(it.core.finish([Effect("a", run.item) for run in runs]))
    told = [e for c in commits for e in c.entries if e.kind == "run"]
    assert b'"cls":"timeout"' in told[0].body
    assert b"attempts" not in told[0].body, "how often it was asked is no part of what came of it"
    assert replay(spec, recorded(commits)).digest == it.core.digest


def test_days_of_trying_again_use_up_no_lifetime() -> None:
    spec = pack(
        whole("a", "in", "out", required=True), whole("b", "out", "end"), budget=Budget(lifetime_cycles=10)
    )
    it = Job(spec, {"a": lambda run: DOWN, "b": lambda run: [say("end", "s", 1)]})
    it.run(it.seed("in", "x", 1))
    for _ in range(50):
        assert it.run(it.row("retry_due", by="@clock")).reason == "recovering"
    it.says["a"] = lambda run: [say("out", "s", len(run.view["in"]))]
    assert it.run(it.row("retry_due", by="@clock")).reason == "converged"
    for n in range(10):
        stop = it.run(it.row("add_fact", "in", f"new {n}", n))
    assert stop.reason == "exhausted", "but what comes of them counts"


def test_only_the_voices_that_failed_are_given_up() -> None:
    it = Job(pack(each("a", "in", "out", required=True)), {"a": lambda run: DOWN})
    it.run(it.seed("in", "x", 1))
    assert it.run(it.row("give_up", by="@clock", reason="given up")).reason == "partial"
    assert it.run(it.row("add_fact", "in", "new", 2)).reason == "recovering"


def test_a_lasting_failure_of_one_voice_keeps_no_other_given_up() -> None:
    it = Job(
        pack(each("a", "in", "out", required=True)), {"a": lambda run: BROKEN if run.item == "bad" else DOWN}
    )
    it.run(it.seed("in", "bad", 1), it.seed("in", "x", 1))
    it.run(it.row("give_up", by="@clock", reason="given up"))
    it.says["a"] = lambda run: BROKEN if run.item == "bad" else []
    it.run(it.row("add_fact", "in", "x", 1, confidence=0.5), it.row("retry"))
    it.says["a"] = lambda run: BROKEN if run.item == "bad" else DOWN
    assert it.run(it.row("add_fact", "in", "x", 3)).reason in ("recovering", "waiting")
