"""A run speaks for its voice; what falls lets others rise (D3.5, D2.6)."""

from __future__ import annotations

from tests.engine.jobs import Job, each, grouped, pack, rule, say, whole


def test_what_a_run_does_not_say_again_is_withdrawn() -> None:
    it = Job(pack(whole("a", "go", "k")), {"a": [say("k", "s", 1), say("k", "t", 1)]})
    it.run(it.seed("go", "x", 1))
    it.says["a"] = [say("k", "t", 1)]
    it.run(it.row("add_fact", "go", "y", 1))
    assert (it.status("k", "s"), it.value("k", "t")) == ("empty", 1)
    assert [(e["subject"], e["now"]) for e in it.last("withdrawn")] == [("s", "empty")]


def test_a_loser_rises_when_the_winner_is_withdrawn() -> None:
    spec = pack(whole("a", "go", "k"), rules=(rule("confidence", "k", margin=0.1),))
    it = Job(spec, {"a": [say("k", "s", "mine", 0.9)]})
    it.run(it.seed("go", "x", 1), it.seed("k", "s", "dissent", 0.2))
    assert it.value("k", "s") == "mine"
    it.says["a"] = []
    it.run(it.row("add_fact", "go", "y", 1))
    assert it.value("k", "s") == "dissent"
    risen = it.last("risen")[0]
    assert (risen["agent"], risen["item"], risen["conf"], risen["now"]) == ("@seed", "2", 200, "fact")


def test_a_conflict_closes_by_itself_when_a_side_falls_away() -> None:
    it = Job(pack(keys=["k"]))
    it.run(it.seed("k", "s", 1), it.row("add_fact", "k", "s", 2))
    it.run(it.row("withdraw_fact", "k", "s"))
    assert it.value("k", "s") == 1
    assert [(e["action"], e.get("how")) for e in it.all("conflict")] == [
        ("opened", None),
        ("closed", "agreed"),
    ]


def test_withdrawals_come_before_proposals_of_a_run() -> None:
    it = Job(pack(whole("a", "go", "k")), {"a": [say("k", "t", 1)]})
    it.run(it.seed("go", "x", 1))
    it.says["a"] = [say("k", "a", 1)]
    it.run(it.row("add_fact", "go", "y", 1))
    assert [e["kind"] for e in it.last("withdrawn", "accepted") if e["agent"] == "a"] == [
        "withdrawn",
        "accepted",
    ]


def test_a_gone_item_silences_its_voice_without_a_call() -> None:
    it = Job(pack(each("a", "item", "k")), {"a": lambda run: [say("k", run.item or "", 1)]})
    it.run(it.seed("item", "x", 1), it.row("add_fact", "item", "y", 1))
    it.run(it.row("withdraw_fact", "item", "y"))
    assert it.status("k", "y") == "empty"
    assert it.value("k", "x") == 1
    assert ("a", "y") not in it.ran
    assert [(e["ran"], e["silenced"]) for e in it.all("run") if e.get("silenced")] == [(0, 1)]


def test_a_contested_item_silences_its_voice_and_its_return_asks_again() -> None:
    it = Job(pack(each("a", "item", "k")), {"a": lambda run: [say("k", run.item or "", run.view.item.value)]})
    it.run(it.seed("item", "x", 1))
    it.run(it.row("add_fact", "item", "x", 2))
    assert it.status("k", "x") == "empty"
    it.run(it.row("withdraw_fact", "item", "x"))
    assert it.value("k", "x") == 1


def test_a_group_that_empties_is_silenced_and_one_that_changes_is_asked() -> None:
    it = Job(
        pack(grouped("a", "item", "team", "k")),
        {"a": lambda run: [say("k", run.item or "", len(run.view.group.items))]},
    )
    it.run(it.seed("item", "x", {"team": "red"}), it.row("add_fact", "item", "y", {"team": "blue"}))
    assert (it.value("k", "red"), it.value("k", "blue")) == (1, 1)
    it.run(it.row("add_fact", "item", "y", {"team": "red"}))
    assert (it.value("k", "red"), it.status("k", "blue")) == (2, "empty")


def test_a_whole_agent_with_nothing_left_to_read_is_silenced() -> None:
    it = Job(pack(whole("a", "go", "k", required=True)), {"a": [say("k", "s", 1)]})
    it.run(it.row("add_fact", "go", "x", 1))
    assert it.core.tier == 1
    assert it.run(it.row("withdraw_fact", "go", "x")).reason == "partial"
    assert it.status("k", "s") == "empty"
    assert it.gaps() == ["nothing_to_read"]


def test_people_withdraw_only_their_own() -> None:
    it = Job(pack(keys=["k"]))
    commit = it.step(it.seed("k", "s", 1), it.row("withdraw_fact", "k", "s"))
    assert commit.receipts[0].result == "refused"
    commit = it.step(it.row("add_fact", "k", "t", 1, by="ada"), it.row("withdraw_fact", "k", "t", by="otto"))
    assert [r.result for r in commit.receipts] == ["applied", "refused"]
    assert (it.value("k", "s"), it.value("k", "t")) == (1, 1)
