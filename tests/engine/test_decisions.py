"""A decision stands until a person undoes it; it is a compare-and-set on what the person saw (D3.7, D9.2)."""

from __future__ import annotations

import pytest

from tests.engine.jobs import Job, pack, say, whole


def contested() -> Job:
    it = Job(
        pack(whole("a", "k", "out"), keys=["k"]),
        {"a": lambda run: [say("out", f.subject, f.value) for f in run.view["k"]]},
    )
    assert it.run(it.seed("k", "s", 1), it.seed("k", "s", 2)).reason == "waiting"
    return it


def test_a_decision_lets_the_job_go_on() -> None:
    it = contested()
    assert (
        it.run(
            it.row("decide", "k", "s", 2, version=it.version("k", "s"), reason="the contract says so")
        ).reason
        == "converged"
    )
    assert (it.value("k", "s"), it.value("out", "s")) == (2, 2)
    assert it.core.fact("k", "s").confidence == 1.0
    assert it.all("inbox")[0]["reason"] == "the contract says so"
    assert it.all("conflict")[-1]["how"] == "decided"


def test_none_of_these_lets_nothing_stand_and_is_no_conflict() -> None:
    it = contested()
    assert it.run(it.row("decide", "k", "s", none=True)).reason == "converged"
    assert it.status("k", "s") == "empty"
    it.run(it.row("add_fact", "k", "s", 2))
    assert it.outcomes("@person") == ["overruled"]


def test_a_value_nobody_proposed_may_be_decided() -> None:
    it = contested()
    it.run(it.row("decide", "k", "s", 3))
    assert it.value("k", "s") == 3


def test_null_may_be_decided_and_is_not_none() -> None:
    it = contested()
    it.run(it.row("decide", "k", "s", None))
    assert it.status("k", "s") == "fact"


def test_undoing_brings_the_conflict_back() -> None:
    it = contested()
    it.run(it.row("decide", "k", "s", 2))
    assert it.run(it.row("undo", "k", "s")).reason == "waiting"
    assert it.status("k", "s") == "contested"
    assert it.status("out", "s") == "empty"
    assert it.step(it.row("undo", "k", "s")).receipts[0].result == "refused"


def test_a_late_decision_is_refused_and_changes_nothing() -> None:
    it = contested()
    version = it.version("k", "s")
    it.run(it.row("add_fact", "k", "s", 3))
    commit = it.step(it.row("decide", "k", "s", 2, version=version))
    assert commit.receipts[0].result == "stale"
    assert commit.receipts[0].message
    assert it.status("k", "s") == "contested"


def test_of_two_decisions_on_one_state_the_second_is_stale() -> None:
    it = contested()
    version = it.version("k", "s")
    commit = it.step(
        it.row("decide", "k", "s", 1, by="ada", version=version),
        it.row("decide", "k", "s", 2, by="otto", version=version),
    )
    assert [r.result for r in commit.receipts] == ["applied", "stale"]
    assert it.value("k", "s") == 1


def test_confidence_and_support_alone_do_not_make_a_decision_late() -> None:
    """A conflict's version is the set of its sides' values (D3.4)."""
    it = contested()
    version = it.version("k", "s")
    it.run(it.row("add_fact", "k", "s", 2.0, confidence=0.1))
    assert it.step(it.row("decide", "k", "s", 2, version=version)).receipts[0].result == "applied"


@pytest.mark.parametrize("act", ["decide", "approve", "refuse", "add_fact", "withdraw_fact", "undo"])
def test_a_row_about_no_key_of_the_pack_is_refused_in_words(act: str) -> None:
    it = contested()
    commit = it.step(it.row(act, "nowhere", "s", 1))
    assert commit.receipts[0].result == "refused"
    assert "nowhere" in commit.receipts[0].message


@pytest.mark.parametrize("value", [float("nan"), "\ud800", [[]] * 20_000, 10**30 + 1])
def test_a_value_out_of_bounds_is_refused_in_words(value: object) -> None:
    it = contested()
    commit = it.step(it.row("decide", "k", "s", value), it.row("add_fact", "k", "t", value))
    assert [r.result for r in commit.receipts] == ["refused", "refused"]
    assert all(r.message for r in commit.receipts)
    assert it.status("k", "s") == "contested"


def test_cancel_ends_the_job_whatever_is_left_to_do() -> None:
    it = contested()
    assert it.run(it.row("decide", "k", "s", 2), it.row("cancel")).reason == "cancelled"
