"""A declaration that cannot be is refused where it is written, in a sentence that names the thing and the
way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.agents import DeclarationError, Pack
from runtime.engine.compiled import compile_pack
from runtime.engine.lint import PackError
from runtime.engine.spec import RULE_KINDS, PackSpec


def pets() -> Pack:
    """A pack with two keys and two tiers."""
    pack = Pack("pets", tiers=["Signals", "Choice"])
    pack.key("pet", seed=True)
    pack.key("choice")
    return pack


def whole(view: Any) -> None:
    """Chooses a pet.

    Second paragraph.
    """


def two(item: Any, view: Any) -> None: ...


REFUSED: dict[str, tuple[Callable[[Pack], Any], list[str]]] = {
    "reads an unknown key": (
        lambda p: p.agent(reads=["pets"], writes=["choice"])(whole),
        ["'whole'", "reads the key 'pets'", "declared: pet, choice", "pack.key('pets'"],
    ),
    "writes an unknown key": (
        lambda p: p.agent(reads=["pet"], writes=["verdict"])(whole),
        ["'whole'", "writes the key 'verdict'"],
    ),
    "goes over an unknown key": (
        lambda p: p.each("dog", writes=["choice"])(two),
        ["goes over the key 'dog'"],
    ),
    "writes nothing": (lambda p: p.agent(reads=["pet"])(whole), ["writes no key", "writes=[...]"]),
    "reads as text": (lambda p: p.agent(reads="pet", writes=["choice"])(whole), ["reads", "write ['pet']"]),
    "tier out of range": (
        lambda p: p.agent(writes=["choice"], tier=3)(whole),
        ["'whole'", "tier 3", "pack has 2", "from 1 on"],
    ),
    "timeout out of range": (lambda p: p.agent(writes=["choice"], timeout=0)(whole), ["timeout of 0 s"]),
    "agent twice": (
        lambda p: [p.agent(writes=["choice"])(whole), p.agent(writes=["choice"])(whole)],
        ["'whole'", "declared twice", "another name="],
    ),
    "key twice": (lambda p: p.key("pet"), ["'pet'", "declared twice"]),
    "rule twice": (
        lambda p: [p.operator("ask", keys=["choice"]), p.operator("ask", keys=["choice"])],
        ["'ask'", "declared twice"],
    ),
    "reads its own items": (
        lambda p: p.each("pet", reads=["pet"], writes=["choice"])(two),
        ["goes over 'pet' and also reads it", "Drop it"],
    ),
    "wrong parameters": (
        lambda p: p.each("pet", writes=["choice"])(whole),
        ["'whole'", "(item, view)", "takes (view", "Give it exactly"],
    ),
    "unknown option": (lambda p: p.agent(reeds=["pet"], writes=["choice"])(whole), ["reeds"]),
    "CEL that cannot be read": (
        lambda p: p.cel("thin", over="pet", writes="choice", when="value.margin <", value="1"),
        ["when of CEL agent 'thin'", "line 1, column"],
    ),
    "CEL with an unknown name": (
        lambda p: p.cel("thin", over="pet", writes="choice", when="valu > 1", value="1"),
        ["`valu`", "value"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_at_once(case: str) -> None:
    declare, words = REFUSED[case]
    with pytest.raises((DeclarationError, TypeError)) as refusal:
        declare(pets())
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


UNFIT: dict[str, tuple[Callable[[Pack], Any], str]] = {
    "rule on an unknown key": (lambda p: p.operator("ask", keys=["dog"]), "dog"),
    "margin out of range": (lambda p: p.confidence("clear", keys=["pet"], margin=40), "margin"),
    "rule that cannot be read": (lambda p: p.constraint("c", keys=["pet"], expression="value <"), "rule `c`"),
    "invariant of no tier": (lambda p: p.invariant("i", tier=9, expression="true"), "tier"),
    "answer with an unknown key": (lambda p: setattr(p, "answer", ("dog",)), "dog"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_parts_that_do_not_fit_together_are_refused_when_the_pack_is_read(case: str) -> None:
    declare, word = UNFIT[case]
    pack = pets()
    declare(pack)
    with pytest.raises(PackError, match=word):
        pack.spec()


@pytest.mark.parametrize("name", ["", "Pets", "my pets", "9lives", "pets\n"])
def test_a_pack_needs_a_plain_name(name: str) -> None:
    with pytest.raises(DeclarationError, match="lower-case"):
        Pack(name)


def test_a_declaration_becomes_a_spec_that_survives_json() -> None:
    pack = pets()
    pack.agent(reads=["pet"], writes=["choice"], tier=2, required=True, timeout=5)(whole)
    pack.each("pet", writes=["choice"], name="taster")(two)
    pack.grouped("pet", by="kind", writes=["choice"], append=True, name="herder")(two)
    pack.aggregate("choice", priority=7, when="sides.size() < 5", name="weigh")(two)
    pack.cel("cheap", over="pet", writes="choice", when="value.cost < 5", value='"cheap"', confidence=0.9)
    pack.confidence("clear", keys=["choice"], margin=0.4, priority=1)
    pack.dominance("vet", keys=["choice"], sources=["vet"], enabled=False)
    pack.newer("news", keys=["choice"])
    pack.operator("ask", keys=["choice"], priority=200)
    pack.approval("sign", keys=["choice"], count=2, groups=["admin"], exclude_submitter=True)
    pack.constraint("cost", keys=["choice"], expression="true")
    pack.invariant("one", tier=2, expression='facts("choice").size() == 1')
    pack.discount("doubt", incomplete=0.8)
    spec = pack.spec()
    assert PackSpec.from_json(spec.to_json()) == spec
    agents = {agent.name: agent for agent in spec.agents}
    assert agents["whole"].title == "Whole"
    assert agents["whole"].description == "Chooses a pet."
    assert (agents["weigh"].over, agents["weigh"].writes, agents["weigh"].shape) == (
        "choice",
        ("choice",),
        "aggregate",
    )
    assert (agents["herder"].group_by, agents["herder"].append) == ("kind", True)
    rules = {rule.name: rule for rule in spec.rules}
    assert rules["weigh rules"].params == {"agent": "weigh"}
    assert rules["weigh rules"].priority == 7
    assert not rules["vet"].enabled
    assert {rule.kind for rule in spec.rules} == set(RULE_KINDS)


def test_an_aggregation_agent_lies_in_the_tier_of_its_key() -> None:
    pack = pets()
    pack.agent(writes=["choice"], tier=2)(whole)
    pack.aggregate("choice")(two)
    assert {agent.name: agent.tier for agent in pack.spec().agents} == {"whole": 2, "two": 2}


def test_agents_come_by_tier_and_then_as_declared() -> None:
    pack = pets()
    for name, tier in (("late", 2), ("b", 1), ("a", 1)):
        pack.agent(writes=["choice"], tier=tier, name=name)(whole)
    assert [agent.name for agent in pack.spec().agents] == ["b", "a", "late"]


def test_a_decorated_function_stays_the_function_it_was() -> None:
    assert pets().agent(writes=["choice"])(whole) is whole


def compile_asked(policy: dict[str, Any]) -> None:
    pack = Pack("asked", tiers=["One"])
    pack.key("k", seed=True)
    pack.operator("people", keys=["k"], **policy)
    compile_pack(pack.spec())


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"groups": "legal"}, "groups is the text 'legal'; write ['legal']"),
        ({"deadline": "soon"}, "`deadline` is 'soon'; it must be seconds from 1 to"),
        ({"deadline": -5}, "`deadline` is -5"),
        (
            {"deadline": 60, "outcome": "aprove"},
            "`outcome` is 'aprove'; it must be one of stay, reject, strongest",
        ),
        ({"remind": 60}, "`remind` is about a deadline; give one"),
        ({"deadline": 60, "remind": 90}, "`remind` is 90 seconds before a deadline of 60"),
    ],
)
def test_policy_that_nobody_could_answer_under_is_told_before_any_job(
    policy: dict[str, Any], said: str
) -> None:
    with pytest.raises((DeclarationError, PackError)) as refused:
        compile_asked(policy)
    assert said in str(refused.value)
