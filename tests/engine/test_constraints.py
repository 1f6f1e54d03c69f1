"""Constraints see the proposal and the frozen view; what is refused is not said (D3.3)."""

from __future__ import annotations

import pytest

from runtime.engine import KeySpec
from tests.engine.jobs import Job, each, pack, rule, say, whole


def test_a_constraint_never_sees_half_merged_slots() -> None:
    """Two agents each add one entry while none stands: both pass; totals belong in invariants."""
    spec = pack(
        whole("a", "", "k"), whole("b", "", "k"), rules=(rule("constraint", "k", 'size(facts("k")) < 1'),)
    )
    it = Job(spec, {"a": [say("k", "s", 1)], "b": [say("k", "t", 1)]})
    it.step()
    assert {f.subject for f in it.core.facts()} == {"s", "t"}


def test_refusal_names_the_rule_and_is_a_gap_of_a_required_agent() -> None:
    spec = pack(
        whole("a", "", "k", required=True), rules=(rule("constraint", "k", "value < 10", name="small"),)
    )
    it = Job(spec, {"a": [say("k", "s", 11)]})
    assert it.run().reason == "partial"
    assert it.last("rejected")[0]["rule"] == "small"
    assert it.gaps() == ["rejected"]
    assert it.core.tier == 0


def test_refusal_of_an_optional_agent_is_no_gap() -> None:
    it = Job(
        pack(whole("a", "", "k"), rules=(rule("constraint", "k", "value < 10"),)), {"a": [say("k", "s", 11)]}
    )
    assert it.run().reason == "converged"


def test_an_error_in_evaluation_denies() -> None:
    it = Job(
        pack(whole("a", "", "k"), rules=(rule("constraint", "k", "value.total < 10"),)),
        {"a": [say("k", "s", 11)]},
    )
    it.run()
    assert it.outcomes("a") == ["rejected"]
    assert "denies" in it.last("rejected")[0]["reason"]


def test_keys_it_mentions_count_as_reads_of_the_writing_agents() -> None:
    spec = pack(
        whole("a", "", "k"), keys=["open"], rules=(rule("constraint", "k", 'fact("open", "door") == true'),)
    )
    it = Job(spec, {"a": [say("k", "s", 1)]})
    it.run()
    assert it.status("k", "s") == "empty"
    it.run(it.row("add_fact", "open", "door", True))
    assert it.value("k", "s") == 1
    it.run(it.row("withdraw_fact", "open", "door"))
    assert it.status("k", "s") == "empty"


def test_mentioned_siblings_of_an_item_count_as_reads_too() -> None:
    spec = pack(each("a", "item", "k"), rules=(rule("constraint", "k", 'size(facts("item")) < 2'),))
    it = Job(spec, {"a": lambda run: [say("k", run.item or "", 1)]})
    it.run(it.seed("item", "x", 1), it.row("add_fact", "item", "y", 1))
    assert it.status("k", "x") == "empty"
    it.run(it.row("withdraw_fact", "item", "y"))
    assert it.value("k", "x") == 1


@pytest.mark.parametrize("bound_by", ["schema", "constraint"])
def test_constraints_and_schemas_bind_people_and_seeds_too(bound_by: str) -> None:
    rules = (rule("constraint", "k", "value < 10"),) if bound_by == "constraint" else ()
    schema = {"type": "integer", "maximum": 9} if bound_by == "schema" else {}
    it = Job(pack(keys=[KeySpec("k", schema=schema)], rules=rules))
    commit = it.step(
        it.seed("k", "s", 10),
        it.row("add_fact", "k", "s", 11),
        it.row("decide", "k", "s", 12),
        it.row("decide", "k", "s", 9),
    )
    assert [(r.result, bool(r.message)) for r in commit.receipts] == [
        ("refused", True),
        ("refused", True),
        ("applied", True),
    ]
    assert it.outcomes("@seed") == ["rejected"]
    assert it.value("k", "s") == 9


def test_it_sees_agent_confidence_and_evidence() -> None:
    text = 'agent == "a" && confidence >= 0.5 && evidence.source == "x" && key == "k" && subject == "s"'
    spec = pack(whole("a", "", "k"), rules=(rule("constraint", "k", text),))
    it = Job(
        spec,
        {
            "a": [
                say("k", "s", 1, 0.5, evidence={"source": "x"}),
                say("k", "t", 1, 0.5, evidence={"source": "x"}),
            ]
        },
    )
    it.run()
    assert sorted(it.outcomes("a")) == ["accepted", "rejected"]
