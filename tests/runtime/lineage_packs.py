"""Packs whose lineage is known by heart: `court`, in which everything that can happen to a statement happens to one;
`ladder`, a chain as deep as a test wants; `crowd`, one sum over as many facts as a test wants; `echoes`, a loop;
`twins`, who speak in one cycle; and `frail`, whose agent fails when its item says so."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.agents import Budget, Pack, propose, ruling
from runtime.agents.saying import Ruling
from runtime.engine import Fact, Proposal, Sides, View

court = Pack("court", tiers=["Heard", "Settled"], answer=["verdict", "sentence"])
court.key("case", schema={"type": "object"}, seed=True)
court.key("mood", schema={"type": "string"}, seed=True)
court.key("verdict", schema={"enum": ["guilty", "innocent", "unclear"]})
court.key("sentence", schema={"type": "integer"})
court.confidence("clear margin", keys=["verdict"], margin=0.4, priority=10)
court.constraint(
    "no harsh words", keys=["sentence"], expression="value <= 100.0", message="a hundred years is enough"
)
court.approval("the king signs", keys=["sentence"], when="value > 10.0")


@court.each("case", writes=["verdict"], required=True)
def accuse(case: Fact, view: View) -> Proposal:
    """As sure as the case says."""
    return propose("verdict", case.subject, "guilty", case.value["guilt"], evidence={"source": "witness"})


@court.each("case", writes=["verdict"], required=True)
def defend(case: Fact, view: View) -> Proposal:
    """As sure as the case says."""
    return propose("verdict", case.subject, "innocent", case.value["doubt"], because=[case])


@court.aggregate("verdict", reads=["mood"], required=True, priority=20, rule="the jury")
def jury(sides: Sides, view: View) -> Ruling | None:
    """Goes by its mood, if it has one."""
    mood = view.fact("mood", "jury")
    return ruling(mood.value, 0.7) if mood and any(s.value == mood.value for s in sides.sides) else None


@court.agent(reads=["verdict", "case"], writes=["sentence"], tier=2, required=True)
def sentence(view: View) -> Iterator[Proposal]:
    """Years for the guilty."""
    for verdict in view["verdict"]:
        case = view.fact("case", verdict.subject)
        if verdict.value == "guilty" and case is not None:
            yield propose("sentence", verdict.subject, case.value.get("years", 5), because=[verdict, case])


def case_seed(name: str, guilt: float, doubt: float, **more: object) -> dict[str, object]:
    """A case in which one agent is so sure and the other so."""
    return {"key": "case", "subject": name, "value": {"guilt": guilt, "doubt": doubt, **more}}


CASES = [
    case_seed("clear", 0.9, 0.4),  # won by the margin; five years stand
    case_seed("close", 0.6, 0.5),  # contested
    case_seed("grave", 0.9, 0.1, years=50),  # held: the king must sign
    case_seed("mad", 0.9, 0.1, years=500),  # refused by the constraint
]


ladder = Pack(
    "ladder", tiers=["Climbed"], answer=["rung"], budget=Budget(cycles=1_000, lifetime_cycles=2_000)
)
ladder.key("rung", schema={"type": "integer"}, seed=True)
ladder.key("top", schema={"type": "integer"}, seed=True)


@ladder.each("rung", reads=["top"], writes=["rung"], required=True)
def climb(rung: Fact, view: View) -> Iterator[Proposal]:
    """One rung a cycle, up to the top."""
    top = view.fact("top", "of all")
    if top is not None and rung.value < top.value:
        yield propose("rung", str(rung.value + 1), rung.value + 1, because=[rung])


def ladder_seeds(height: int) -> list[dict[str, object]]:
    """A ladder of so many rungs."""
    return [
        {"key": "top", "subject": "of all", "value": height},
        {"key": "rung", "subject": "1", "value": 1},
    ]


crowd = Pack("crowd", tiers=["Counted"], answer=["total"], budget=Budget(facts=100_000))
crowd.key("head", schema={"type": "integer"}, seed=True)
crowd.key("total", schema={"type": "integer"})
crowd.key("named", schema={"type": "integer"})


@crowd.agent(reads=["head"], writes=["total"], required=True)
def total(view: View) -> Proposal:
    """Rests on all it is shown."""
    return propose("total", "all", sum(head.value for head in view["head"]))


@crowd.agent(reads=["head"], writes=["named"], required=True)
def names(view: View) -> Proposal:
    """Names every head it rests on."""
    return propose("named", "all", len(view["head"]), because=list(view["head"]))


def crowd_seeds(count: int) -> list[dict[str, object]]:
    """So many heads."""
    return [{"key": "head", "subject": f"head {n:05}", "value": n} for n in range(count)]


echoes = Pack("echoes", tiers=["Quiet"], answer=["loud", "soft"])
echoes.key("shout", schema={"type": "number"}, seed=True)
echoes.key("loud", schema={"type": "number"})
echoes.key("soft", schema={"type": "number"})


@echoes.agent(reads=["shout", "soft"], writes=["loud"], required=True)
def louder(view: View) -> Proposal:
    """The shout, and half of its echo."""
    shout = view.fact("shout", "hill")
    soft = view.fact("soft", "hill")
    return propose("loud", "hill", round((shout.value if shout else 0) + (soft.value / 2 if soft else 0), 1))


@echoes.agent(reads=["loud"], writes=["soft"], required=True)
def softer(view: View) -> Proposal:
    """Half of what is loud."""
    loud = view.fact("loud", "hill")
    return propose("soft", "hill", round(loud.value / 2, 1) if loud else 0)


SHOUT = [{"key": "shout", "subject": "hill", "value": 8}]


twins = Pack("twins", tiers=["Born"], answer=["left", "right"])
twins.key("egg", schema={"type": "integer"}, seed=True)
twins.key("left", schema={"type": "integer"})
twins.key("right", schema={"type": "integer"})


@twins.agent(reads=["egg", "right"], writes=["left"], required=True)
def be_left(view: View) -> Proposal:
    """Does not mind the other."""
    return propose("left", "x", 1)


@twins.agent(reads=["egg", "left"], writes=["right"], required=True)
def be_right(view: View) -> Proposal:
    """Does not mind the other."""
    return propose("right", "x", 2)


EGG = [{"key": "egg", "subject": "x", "value": 1}]


frail = Pack("frail", tiers=["Seen"], answer=["sight"])
frail.key("light", schema={"type": "string"}, seed=True)
frail.key("sight", schema={"type": "string"})
frail.key("tale", schema={"type": "string"})


@frail.agent(reads=["light"], writes=["sight"], required=True)
def look(view: View) -> Iterator[Proposal]:
    """What is lit; it cannot look into the dark."""
    if any(light.value == "dark" for light in view["light"]):
        raise RuntimeError("it is too dark to see")
    for light in view["light"]:
        yield propose("sight", light.subject, f"seen by {light.value}")


@frail.each("sight", writes=["tale"])
def tell(sight: Fact, view: View) -> Proposal:
    """Tells of it."""
    return propose("tale", sight.subject, f"once, {sight.value}")


LIGHT = [{"key": "light", "subject": "hall", "value": "candle"}]
