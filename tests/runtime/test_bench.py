"""The test bench asks the engine: what it says of made-up candidates is what a job would do with them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bench import Made, Verdict, try_out
from runtime.engine import AgentSpec, Core, KeySpec, PackError, PackSpec, Proposal, RuleSpec, Seed
from runtime.engine.inputs import Effect

COLOUR = KeySpec("colour", schema={"type": "string"}, seed=True)
LIMIT = KeySpec("limit", seed=True)
AGENTS = (
    AgentSpec("eye", "whole", writes=("colour",)),
    AgentSpec("ear", "whole", writes=("colour",)),
    AgentSpec("hand", "each", over="limit", writes=("colour",)),
    AgentSpec("judge", "aggregate", over="colour"),
    AgentSpec("other", "whole", writes=("limit",)),
)
MARGIN = RuleSpec("margin", "confidence", ("colour",), 10, {"margin": 0.3})
PEOPLE = RuleSpec("people", "operator", ("colour",), 90, {"groups": ["operator"], "deadline": 3600})


def pack(*rules: RuleSpec) -> PackSpec:
    return PackSpec("colours", keys=(COLOUR, LIMIT), agents=AGENTS, rules=rules)


def tried(rules: Sequence[RuleSpec], *made: Made, facts: Sequence[Seed] = ()) -> Verdict:
    return try_out(pack(*rules), "colour", "wall", made, facts)


RED, BLUE = Made("red", 0.9, "eye"), Made("blue", 0.5, "ear")


def test_the_rule_that_decides_is_named_with_those_asked_before_it() -> None:
    loud = RuleSpec("loud", "dominance", ("colour",), 5, {"agents": ["other"]})
    found = tried((MARGIN, PEOPLE, loud), RED, BLUE)
    assert (found.ending, found.value, found.rule, found.confidence) == ("stands", "red", "margin", 0.9)
    steps = [(s.rule.name, s.asked, s.decided, s.why) for s in found.steps]
    assert steps == [
        ("loud", True, False, "no side has a dominant voice"),
        ("margin", True, True, "leads by 0.4, the margin is 0.3"),
        ("people", False, False, ""),
    ]
    assert [(side.value, side.wins) for side in found.sides] == [("red", True), ("blue", False)]
    assert [voice.agent for voice in found.sides[0].voices] == ["eye"]


def test_what_agrees_stands_and_no_rule_is_asked() -> None:
    found = tried((MARGIN, PEOPLE), RED, Made("red", 0.2, "ear"))
    assert (found.ending, found.value, found.rule) == ("stands", "red", "")
    assert not any(step.asked for step in found.steps)
    assert len(found.sides[0].voices) == 2


def test_a_rule_leaves_it_to_people_by_its_policy() -> None:
    found = tried((MARGIN, PEOPLE), RED, Made("blue", 0.8, "ear"))
    assert (found.ending, found.value) == ("contested", None)
    assert found.people is not None and found.people.params["deadline"] == 3600
    alone = tried((MARGIN,), RED, Made("blue", 0.8, "ear"))
    assert (alone.ending, alone.people) == ("contested", None)


def test_an_aggregation_agent_would_be_asked_and_is_not_run() -> None:
    judged = RuleSpec("judged", "aggregation", ("colour",), 20, {"agent": "judge"})
    found = tried((MARGIN, judged, PEOPLE), RED, Made("blue", 0.8, "ear"))
    assert (found.ending, found.waits_for, found.people) == ("contested", "judge", None)
    assert [step.asked for step in found.steps] == [True, True, False]
    never = RuleSpec("judged", "aggregation", ("colour",), 20, {"agent": "judge"}, "sides.size() > 5")
    found = tried((MARGIN, never), RED, Made("blue", 0.8, "ear"))
    assert found.waits_for == "", "its condition keeps it out"


def test_what_needs_approval_is_held_by_the_rule_that_asks() -> None:
    signed = RuleSpec("signed", "approval", ("colour",), 100, {"count": 2}, 'value == "red"')
    found = tried((MARGIN, signed), RED, BLUE)
    assert (found.ending, found.value) == ("held", "red")
    assert found.held_by is not None and found.held_by.name == "signed"
    assert [step.rule.name for step in found.steps if step.decided] == ["margin"]
    assert found.sides[0].wins
    assert tried((MARGIN, signed), Made("blue")).ending == "stands"


def test_who_is_refused_is_no_side_and_is_told_why() -> None:
    most = RuleSpec("most", "constraint", ("colour",), 100, {}, 'fact("limit", subject) != value')
    loud = RuleSpec("loud", "constraint", ("colour",), 100, {}, "confidence > 0.1", "Speak up.")
    made = (RED, Made(3, 1.0, "ear"), Made("blue"), Made("grey", 0.05), Made("x", 1.0, "nobody"))
    more = (
        Made("x", 1.0, "judge"),
        Made("x", 1.0, "other"),
        Made("blue", 1.0, "@person"),
        Made(2, 1.0, "@person"),
    )
    found = tried((MARGIN, most, loud), *made, *more, facts=[Seed(1, "limit", "wall", "blue")])
    assert (found.ending, found.value) == ("stands", "red")
    refused = {refusal.at: (refusal.reason, refusal.rule) for refusal in found.refused}
    assert refused[1][0] == '3 is not of type "string"'
    assert refused[2] == ('most: breaks the constraint: fact("limit", subject) != value', "most")
    assert refused[3] == ("loud: Speak up.", "loud")
    assert "no agent `nobody`" in refused[4][0]
    assert "rules on conflicts of `colour`" in refused[5][0]
    assert refused[6][0] == "`other` may not write `colour`; it writes limit"
    assert refused[7][0].startswith("most:")
    assert "string" in refused[8][0]
    assert sorted(refused) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_what_is_said_together_is_not_seen_by_constraints() -> None:
    """They see the frozen view (D3.3), so that the order of candidates means nothing."""
    first = RuleSpec("first", "constraint", ("colour",), 100, {}, 'fact("colour", subject) == null')
    assert not tried((MARGIN, first), RED, BLUE).refused


def test_a_fact_that_is_refused_is_told() -> None:
    found = tried((MARGIN,), RED, facts=[Seed(1, "limits", "wall", 1), Seed(2, "colour", "x", 1)])
    assert len(found.facts_refused) == 2 and "`limits` is no key" in found.facts_refused[0]


def test_one_voice_says_one_thing() -> None:
    found = tried((MARGIN,), RED, Made("blue", 1.0, "eye"))
    assert [refusal.reason for refusal in found.refused] == ["the slot is said twice in one run"] * 2
    several = tried(
        (PEOPLE,), Made("a", 1.0, "hand"), Made("b", 1.0, "hand"), Made("c"), Made("d", 1.0, "@person")
    )
    assert (several.ending, len(several.sides)) == ("contested", 4)


def test_nothing_comes_of_nothing() -> None:
    assert tried((MARGIN,)).ending == "nothing"
    assert tried((MARGIN,), Made(3, 1.0, "eye")).ending == "nothing"


def test_values_that_are_no_json_and_packs_that_cannot_run() -> None:
    assert "NaN" in tried((MARGIN,), Made(float("nan"), 1.0, "eye")).refused[0].reason
    assert "no Unicode" in tried((MARGIN,), Made("\ud800")).refused[0].reason
    with pytest.raises(PackError):
        tried((RuleSpec("broken", "constraint", ("colour",), 100, {}, "1 +"),), RED)


SAID = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 1000))
VOICES = st.dictionaries(st.sampled_from(["eye", "ear"]), SAID)
RULES = st.lists(
    st.sampled_from(
        [
            MARGIN,
            PEOPLE,
            RuleSpec("eyes first", "dominance", ("colour",), 50, {"agents": ["eye"]}),
            RuleSpec("sure", "confidence", ("colour",), 20, {"margin": 0.0}, "sides.size() == 2"),
            RuleSpec("signed", "approval", ("colour",), 100, {"count": 1}, "confidence < 0.7"),
            RuleSpec("no c", "constraint", ("colour",), 100, {}, 'value != "c"'),
        ]
    ),
    unique_by=lambda rule: rule.name,
)


@given(st.lists(SAID, max_size=2), VOICES, RULES)
def test_it_is_what_a_job_would_do(
    seeds: list[tuple[str, int]], voices: dict[str, tuple[str, int]], rules: list[RuleSpec]
) -> None:
    spec = pack(*rules)
    said = [Made(value, conf / 1000) for value, conf in seeds]
    said += [Made(value, conf / 1000, agent) for agent, (value, conf) in voices.items()]
    found = try_out(spec, "colour", "wall", said)
    core = Core(spec)
    seeds_said = [made for made in said if made.agent == "@seed"]
    runs = core.begin(
        [Seed(at, "colour", "wall", m.value, m.confidence) for at, m in enumerate(seeds_said, 1)]
    )
    by_agent = {m.agent: m for m in said}
    core.finish([_effect(run.agent.name, run.item, by_agent) for run in runs])
    slot = core.ledger.slot("colour", "wall")
    names = {0: "nothing", 1: "stands", 2: "contested", 3: "held"}
    assert found.ending == names[slot.status]
    fact = core.fact("colour", "wall")
    if fact is not None:
        assert (found.value, found.confidence) == (fact.value, fact.confidence)


def _effect(agent: str, item: str | None, said: dict[str, Made]) -> Effect:
    made = said.get(agent)
    proposals = [Proposal("colour", "wall", made.value, made.confidence)] if made else []
    return Effect(agent, item, proposals)
