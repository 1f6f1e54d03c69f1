"""Rules are asked by priority, then by place in the pack; conditions keep a rule out; `operator` asks no further."""

from __future__ import annotations

import pytest

from runtime.engine import PackError, RuleSpec
from tests.engine.jobs import Job, aggregate, pack, rule, whole


def job(*rules: RuleSpec, key: str = "k.a") -> Job:
    it = Job(pack(rules=rules, keys=[key]))
    it.run(it.seed(key, "s", "strong", 0.9, at=1), it.seed(key, "s", "new", 0.2, at=2))
    return it


STRONG = rule("confidence", "k.a", margin=0.1, priority=20)


def test_the_lower_priority_number_is_asked_first() -> None:
    assert job(STRONG, rule("newer", "k.a", field="at", priority=10)).value("k.a", "s") == "new"
    assert job(STRONG, rule("newer", "k.a", field="at", priority=30)).value("k.a", "s") == "strong"


def test_rules_of_one_priority_are_asked_in_pack_order() -> None:
    assert job(STRONG, rule("newer", "k.a", field="at", priority=20)).value("k.a", "s") == "strong"
    assert job(rule("newer", "k.a", field="at", priority=20), STRONG).value("k.a", "s") == "new"


def test_operator_leaves_it_to_a_person_although_a_rule_below_would_decide() -> None:
    it = job(rule("operator", "k.a", priority=1), STRONG)
    assert it.status("k.a", "s") == "contested"
    assert it.core.stop is not None
    assert it.core.stop.reason == "waiting"


def test_a_rule_whose_condition_does_not_hold_or_fails_is_passed_over() -> None:
    assert job(rule("operator", "k.a", 'subject == "t"', 1), STRONG).value("k.a", "s") == "strong"
    assert job(rule("operator", "k.a", "sides[7].confidence > 0.5", 1), STRONG).value("k.a", "s") == "strong"
    assert (
        job(rule("operator", "k.a", "sides.all(s, size(s.voices) == 1)", 1), STRONG).status("k.a", "s")
        == "contested"
    )


def test_a_pattern_covers_the_keys_below_it_and_no_others() -> None:
    anything = rule("confidence", "k.*", margin=0.1)
    assert job(anything).value("k.a", "s") == "strong"
    assert job(anything, key="k.a.b").value("k.a.b", "s") == "strong"
    it = Job(pack(rules=(anything,), keys=["k.a", "ka", "k"]))
    it.run(
        it.seed("ka", "s", 1, 0.9),
        it.seed("ka", "s", 2, 0.1),
        it.seed("k", "s", 1, 0.9),
        it.seed("k", "s", 2, 0.1),
    )
    assert (it.status("ka", "s"), it.status("k", "s")) == ("contested", "contested")


def test_a_disabled_rule_is_not_asked() -> None:
    off = RuleSpec("off", "operator", ("k.a",), 1, enabled=False)
    assert job(off, STRONG).value("k.a", "s") == "strong"


def test_conditions_cannot_look_facts_up() -> None:
    for kind, params in (("operator", {}), ("confidence", {"margin": 0.1}), ("approval", {})):
        with pytest.raises(PackError):
            Job(pack(rules=(rule(kind, "k", 'fact("k", subject) == 1', **params),)))


def test_expressions_name_only_keys_of_the_pack() -> None:
    for kind in ("constraint", "invariant"):
        with pytest.raises(PackError, match="zz"):
            Job(pack(whole("a", "", "k"), rules=(rule(kind, "k", 'size(facts("zz")) == 0'),)))


def test_an_aggregation_rule_is_only_about_keys_its_agent_rules_on() -> None:
    with pytest.raises(PackError):
        Job(pack(aggregate("agg", "k.a"), keys=["k.b"], rules=(rule("aggregation", "k.*", agent="agg"),)))
