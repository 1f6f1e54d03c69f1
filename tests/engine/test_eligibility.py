"""Who is asked, and when: net-zero changes are free, failed input is not tried again unasked (D2.1, D2.6)."""

from __future__ import annotations

import pytest

from tests.engine.jobs import BROKEN, Job, each, grouped, pack, say, whole


def reader(*more: object) -> Job:
    it = Job(pack(whole("a", "k", "out"), *more), {"a": [say("out", "s", 1)]})  # type: ignore[arg-type]
    it.run(it.seed("k", "x", 1, 0.5))
    return it


def test_a_voice_runs_once_on_an_input() -> None:
    it = reader()
    assert it.all("run") == [{"agent": "a", "kind": "run", "ran": 1, "said": 1}]


def test_a_net_zero_change_is_free() -> None:
    it = reader()
    it.run(it.row("add_fact", "k", "y", 1), it.row("withdraw_fact", "k", "y"))
    assert it.ran == []


def test_a_change_that_is_undone_while_a_lower_tier_works_is_free() -> None:
    spec = pack(whole("low", "go", "mid"), whole("high", "mid", "out", tier=2), tiers=2)
    it = Job(spec, {"low": lambda run: [say("mid", "s", len(run.view["go"]) % 2)]})
    it.run(it.seed("go", "x", 1))
    it.step(it.row("add_fact", "go", "y", 1))
    assert it.ran == [("low", None)]
    it.run(it.row("withdraw_fact", "go", "y"))
    assert it.ran == [("low", None)], "mid is what it was when `high` last ran"


@pytest.mark.parametrize(
    ("value", "confidence", "asked"), [(1, 0.5, False), (1.0, 0.4, False), (1, 0.6, True), (2, 0.5, True)]
)
def test_status_value_and_confidence_are_shown_but_not_support(
    value: object, confidence: float, asked: bool
) -> None:
    it = reader()
    it.step(it.row("add_fact", "k", "x", value, confidence=confidence))
    assert it.ran == ([("a", None)] if asked else [])


def test_a_key_it_does_not_read_wakes_nobody() -> None:
    it = reader(whole("other", "else", "thing"))
    it.step(it.row("add_fact", "out", "else", 1))
    assert it.ran == []


def test_a_failed_run_is_not_repeated_on_the_same_input() -> None:
    it = Job(pack(whole("a", "k", "out")), {"a": lambda run: BROKEN})
    it.run(it.seed("k", "x", 1))
    assert [e["ran"] for e in it.all("run")] == [1]
    assert it.all("run")[0]["failed"][0]["cls"] == "agent_error"


def test_a_retry_asks_exactly_the_failed_voices_again() -> None:
    it = Job(pack(each("a", "k", "out")), {"a": lambda run: BROKEN if run.item == "x" else []})
    it.run(it.seed("k", "x", 1), it.seed("k", "y", 1))
    it.says["a"] = lambda run: [say("out", run.item or "", 1)]
    it.step(it.row("retry"))
    assert it.ran == [("a", "x")]
    assert it.value("out", "x") == 1
    it.step(it.row("retry"))
    assert it.ran == []


def test_an_item_is_shown_without_its_siblings() -> None:
    shown = []
    it = Job(
        pack(each("a", "k", "out", reads="also")),
        {"a": lambda run: shown.append((run.view.item.value, run.view.keys)) or []},
    )
    it.run(it.seed("k", "x", 1), it.seed("k", "y", 2))
    assert shown == [(1, ("also",)), (2, ("also",))]
    it.step(it.row("add_fact", "k", "z", 3))
    assert it.ran == [("a", "z")]
    it.step(it.row("add_fact", "also", "x", 3))
    assert it.ran == [("a", "x"), ("a", "y"), ("a", "z")]


def test_a_group_is_shown_its_items_in_order_and_others_are_left_out() -> None:
    shown = {}
    says = {"a": lambda run: shown.update({run.item: [f.subject for f in run.view.group.items]}) or []}
    it = Job(pack(grouped("a", "k", "team", "out")), says)
    it.run(
        it.seed("k", "b", {"team": "red"}),
        it.seed("k", "a", {"team": "red"}),
        it.seed("k", "c", {"team": 7}),
        it.seed("k", "d", "no object"),
        it.seed("k", "e", {"colour": 1}),
    )
    assert shown == {"red": ["a", "b"], "7": ["c"]}


def test_views_are_in_canonical_order_and_values_are_copies() -> None:
    it = Job(pack(whole("a", "k", "out")))
    seen = []

    def spoil(run):  # type: ignore[no-untyped-def]
        seen.extend(f.subject for f in run.view["k"])
        next(iter(run.view["k"])).value["x"] = 2
        return []

    it.says["a"] = spoil
    it.run(*(it.seed("k", s, {"x": 1}) for s in ("b", "a", "Z", "é", "10", "9")))
    assert seen == sorted(seen)
    assert it.value("k", "10") == {"x": 1}


def test_a_view_ends_with_its_cycle_and_knows_what_it_may_show() -> None:
    kept = []
    it = Job(pack(whole("a", "k", "out")), {"a": lambda run: kept.append(run.view) or []})
    it.core.begin([it.seed("k", "x", 1)])
    view = it.core._work.runs[0].view
    with pytest.raises(KeyError, match="does not read"):
        view["out"]
    it.core.finish([it._effect(run) for run in it.core._work.runs])
    with pytest.raises(RuntimeError, match="over"):
        view["k"]


def test_nobody_sees_anothers_proposals_of_the_same_cycle() -> None:
    seen = []
    spec = pack(whole("a", "go", "k"), whole("b", "go k", "out"))
    it = Job(spec, {"a": [say("k", "s", 1)], "b": lambda run: seen.append(len(run.view["k"])) or []})
    it.run(it.seed("go", "x", 1))
    assert seen == [0, 1]


def test_an_agent_that_reads_nothing_runs_once() -> None:
    it = Job(pack(whole("a", "", "k")), {"a": [say("k", "s", 1)]})
    it.run()
    it.run(it.row("add_fact", "k", "t", 1))
    assert [e["ran"] for e in it.all("run")] == [1]


def test_one_effect_for_each_run_or_an_error() -> None:
    it = Job(pack(whole("a", "", "k")))
    it.core.begin()
    with pytest.raises(ValueError, match="effect"):
        it.core.finish([])
