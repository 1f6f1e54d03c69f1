"""Random packs, toy agents, seeds and inbox scripts for the property tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from runtime.engine.spec import AgentSpec, Budget, KeySpec, PackSpec, RuleSpec, TierSpec
from tests.engine.expressions import APPROVALS, CONDITIONS, CONSTRAINTS, INVARIANTS
from tests.engine.toys import Toy

KEYS = ("k.a", "k.b", "m.a")
SUBJECTS = ("s", "t", "n")
PEOPLE = ("ada", "otto", "ivy")
SUBMITTER = "otto"

keys = st.sampled_from(KEYS)
subjects = st.sampled_from(("s", "s", *SUBJECTS))
NUMBERS = (0, 1, 2, 1.0)
OBJECTS = ({"g": "x", "n": 1}, {"g": "x", "n": 2}, {"g": "y", "n": 1}, {"g": 1}, {"g": None})
values = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(NUMBERS),
    st.sampled_from(OBJECTS),
    st.sampled_from([True, "a", None, [1]]),
)
confidences = st.sampled_from([0.3, 0.6, 0.7, 0.9, 1.0])
evidences = st.sampled_from([{}, {"observed_at": 1}, {"observed_at": 2}, {"source": "src", "observed_at": 2}])
patterns = st.sampled_from([*KEYS, "k.*"])
SCHEMAS: tuple[Mapping[str, Any], ...] = (
    {},
    {},
    {},
    {},
    {"type": "integer"},
    {"type": ["integer", "object", "string"]},
)


@dataclass(frozen=True)
class Act:
    """One thing a person does at the start of a cycle; `pick` chooses among the slots the act can be about.

    `respond` is whatever is asked of people: an answer to a hold, a decision on a conflict, else a fact.
    `reverse` takes back what people did: a decision or a fact.
    """

    cycle: int
    act: str
    pick: int
    by: str
    value: Any = None
    confidence: float = 1.0
    stale: bool = False


@dataclass(frozen=True)
class Case:
    """A whole run: pack, how its agents behave, what was submitted and what people do when."""

    pack: PackSpec
    toys: Mapping[str, Toy]
    seeds: tuple[tuple[str, str, Any, float, Mapping[str, Any]], ...]
    acts: tuple[Act, ...]


statements = st.lists(st.tuples(keys, subjects, values, confidences), min_size=2, max_size=4).map(tuple)
toys = st.builds(
    Toy,
    how=st.sampled_from(["copy", "copy", "turn", "say", "dice", "dice", "count", "best"]),
    statements=statements,
    because=st.sampled_from(["shown", "shown", "named", "nothing"]),
    fails=st.sampled_from([0, 0, 0, 2, 3]),
    errs=st.sampled_from([0, 0, 0, 2]),
    fault=st.sampled_from(["foreign", "twice", "unshown", "limits"]),
    salt=st.integers(0, 3),
    transient=st.booleans(),
)
key_sets = st.one_of(
    st.tuples(keys),
    st.tuples(keys),
    st.just(()),
    st.lists(keys, unique=True, min_size=2, max_size=3).map(tuple),
)
seeds = st.lists(st.tuples(keys, subjects, values, confidences, evidences), min_size=2, max_size=6).map(tuple)
acts = st.builds(
    Act,
    cycle=st.integers(1, 8),
    act=st.sampled_from(
        ["respond"] * 6
        + ["reverse"] * 4
        + ["decide", "none", "undo", "approve", "refuse", "add_fact", "add_fact"]
        + ["withdraw_fact", "retry", "retry_due", "give_up", "give_up"]
        + ["expire"] * 4
    ),
    pick=st.integers(0, 11),
    by=st.sampled_from(PEOPLE),
    value=values,
    confidence=confidences,
    stale=st.sampled_from([False, False, False, True]),
)


@st.composite
def agents(draw: Callable[..., Any], name: str, tiers: int) -> AgentSpec:
    """One agent of any shape."""
    shape = draw(st.sampled_from(["whole", "whole", "each", "grouped", "aggregate"]))
    over = draw(keys) if shape != "whole" else ""
    siblings = draw(st.sampled_from([False, False, False, True]))
    return AgentSpec(
        name=name,
        shape=shape,
        reads=tuple(k for k in draw(key_sets) if k != over or siblings),
        writes=()
        if shape == "aggregate"
        else draw(st.lists(keys, unique=True, min_size=1, max_size=2).map(tuple)),
        over=over,
        group_by="g" if shape == "grouped" else "",
        tier=draw(st.integers(1, tiers)),
        required=draw(st.booleans()),
        wait=draw(st.sampled_from([0.0, 0.0, 60.0])),
        append=shape != "aggregate" and draw(st.sampled_from([False, False, False, True])),
    )


policies = st.sampled_from(
    [
        {},
        {},
        {"outcome": "reject", "deadline": 60},
        {"outcome": "strongest", "deadline": 60},
        {"outcome": "stay", "deadline": 60},
        {"exclude_submitter": True, "outcome": "strongest", "deadline": 60},
        {"groups": ["legal"], "deadline": 60},
    ]
)


@st.composite
def rules(draw: Callable[..., Any], name: str, pack_agents: list[AgentSpec], tiers: int) -> RuleSpec:
    """One rule of any kind the engine merges by."""
    aggregators = [a for a in pack_agents if a.shape == "aggregate"]
    kinds = ["dominance", "newer", "confidence", "operator", "constraint", "approval", "invariant"]
    kind = draw(st.sampled_from(kinds + ["aggregation"] * 5 * bool(aggregators)))
    covered = tuple(draw(st.lists(patterns, unique=True, min_size=1, max_size=2)))
    params: dict[str, Any] = {}
    choices: Mapping[str, Any] = {}
    if kind in ("dominance", "newer", "confidence", "operator", "aggregation"):
        choices = CONDITIONS
    if kind == "dominance":
        params = draw(
            st.sampled_from(
                [
                    {"agents": (pack_agents[0].name,)},
                    {"agents": ("@seed",)},
                    {"sources": ("src",)},
                    {"evidence": {"observed_at": 1}},
                ]
            )
        )
    elif kind == "newer":
        params = {"field": "observed_at"}
    elif kind == "confidence":
        params = {"margin": draw(st.sampled_from([0.0, 0.1, 0.3]))}
    elif kind == "aggregation":
        agent = draw(st.sampled_from(aggregators))
        params, covered = {"agent": agent.name}, (agent.over,)
        choices = {} if draw(st.booleans()) else choices
    elif kind == "approval":
        params = {
            "count": draw(st.integers(1, 2)),
            "exclude_submitter": draw(st.booleans()),
            **draw(policies),
        }
        choices = APPROVALS
    elif kind == "operator":
        params = draw(policies)
    elif kind == "invariant":
        params, choices = {"tier": draw(st.integers(1, tiers))}, INVARIANTS
    else:
        choices = CONSTRAINTS if kind == "constraint" else choices
    optional = kind not in ("constraint", "invariant")
    expression = draw(st.sampled_from(([""] * (2 * len(choices) + 1) if optional else []) + list(choices)))
    return RuleSpec(
        name=name,
        kind=kind,
        keys=covered,
        priority=draw(st.sampled_from([10, 20, 100])),
        params=params,
        expression=expression,
        enabled=draw(st.sampled_from([True, True, True, False])),
    )


@st.composite
def cases(draw: Callable[..., Any], max_agents: int = 4, max_rules: int = 5, max_acts: int = 5) -> Case:
    """A random run."""
    tiers = draw(st.integers(1, 3))
    chosen = [draw(agents(f"a{i}", tiers)) for i in range(draw(st.integers(2, max_agents)))]
    asked = [a for a in chosen if a.shape == "aggregate" and draw(st.sampled_from([True, True, True, False]))]
    ruling = [RuleSpec(f"ask {a.name}", "aggregation", (a.over,), 15, {"agent": a.name}) for a in asked]
    made = ruling + [draw(rules(f"r{i}", chosen, tiers)) for i in range(draw(st.integers(1, max_rules)))]
    pack = PackSpec(
        name="random",
        keys=tuple(KeySpec(k, schema=draw(st.sampled_from(SCHEMAS)), seed=True) for k in KEYS),
        agents=tuple(chosen),
        rules=tuple(made),
        tiers=tuple(TierSpec(f"T{i}") for i in range(1, tiers + 1)),
        budget=Budget(cycles=draw(st.sampled_from([60, 60, 60, 4]))),
        submitter=SUBMITTER,
    )
    return Case(
        pack,
        {a.name: draw(toys) for a in chosen},
        draw(seeds),
        tuple(draw(st.lists(acts, max_size=max_acts))),
    )


@st.composite
def circles(draw: Callable[..., Any]) -> Case:
    """Agents that repeat each other in circles, with people who speak, decide and take back: D3.5's last sentences."""
    names = [f"a{i}" for i in range(draw(st.integers(2, 4)))]
    chosen = []
    for name in names:
        read, write = draw(keys), draw(keys)
        each = draw(st.booleans())
        chosen.append(
            AgentSpec(
                name=name,
                shape="each" if each else "whole",
                reads=() if each else draw(st.sampled_from([(read,), (read,), KEYS])),
                writes=(write,),
                over=read if each else "",
                append=draw(st.sampled_from([False, False, True])),
                tier=draw(st.integers(1, 2)),
            )
        )
    behave = st.builds(
        Toy,
        how=st.sampled_from(["copy", "copy", "copy", "best", "turn"]),
        because=st.sampled_from(["named", "named", "shown"]),
        fails=st.sampled_from([0, 0, 0, 3]),
        salt=st.integers(0, 3),
    )
    made = [draw(rules(f"r{i}", chosen, 2)) for i in range(draw(st.integers(0, 2)))]
    deeds = draw(
        st.lists(
            st.builds(
                Act,
                cycle=st.integers(1, 6),
                act=st.sampled_from(["add_fact", "reverse", "reverse", "respond", "retry"]),
                pick=st.integers(0, 11),
                by=st.sampled_from(PEOPLE[:2]),
                value=st.sampled_from([1, 2]),
                confidence=confidences,
            ),
            min_size=2,
            max_size=6,
        )
    )
    pack = PackSpec(
        name="circles",
        keys=tuple(KeySpec(k) for k in KEYS),
        agents=tuple(chosen),
        rules=tuple(made),
        tiers=(TierSpec("T1"), TierSpec("T2")),
        budget=Budget(cycles=40),
        submitter=SUBMITTER,
    )
    sown = st.lists(st.tuples(keys, subjects, st.sampled_from([1, 2]), confidences, evidences), max_size=2)
    return Case(pack, {name: draw(behave) for name in names}, tuple(draw(sown)), tuple(deeds))


@st.composite
def desks(draw: Callable[..., Any]) -> Case:
    """Much that people are asked, under policies: what they answer, what they take back, and deadlines that pass."""
    copier = AgentSpec("copy", reads=("k.a",), writes=("k.b",), required=draw(st.booleans()))
    ruler = AgentSpec("ruler", "aggregate", over="k.a")
    chosen = [copier, *([ruler] if draw(st.booleans()) else [])]
    made = [
        RuleSpec(
            f"people {n}",
            draw(st.sampled_from(["operator", "operator", "approval"])),
            (draw(patterns),),
            draw(st.sampled_from([10, 20])),
            draw(policies),
            draw(st.sampled_from(["", "", 'subject == "s"'])),
        )
        for n in range(draw(st.integers(1, 3)))
    ]
    if len(chosen) == 2:
        made.append(
            RuleSpec("ask", "aggregation", ("k.a",), draw(st.sampled_from([5, 15])), {"agent": "ruler"})
        )
    deeds = st.builds(
        Act,
        cycle=st.integers(1, 5),
        act=st.sampled_from(
            ["expire"] * 4 + ["respond", "respond", "decide", "none", "undo", "approve", "add_fact"]
        ),
        pick=st.integers(0, 11),
        by=st.sampled_from(PEOPLE),
        value=st.sampled_from(NUMBERS),
        confidence=confidences,
        stale=st.sampled_from([False] * 5 + [True]),
    )
    pack = PackSpec(
        name="desks",
        keys=tuple(KeySpec(k, seed=True) for k in KEYS),
        agents=tuple(chosen),
        rules=tuple(made),
        budget=Budget(cycles=40),
        submitter=SUBMITTER,
    )
    sown = st.lists(
        st.tuples(
            st.sampled_from(("k.a", "k.a", "m.a")),
            st.just("s"),
            st.sampled_from(NUMBERS),
            confidences,
            evidences,
        ),
        min_size=2,
        max_size=5,
    )
    acting = draw(st.lists(deeds, min_size=2, max_size=6))
    return Case(pack, {a.name: draw(toys) for a in chosen}, tuple(draw(sown)), tuple(acting))
