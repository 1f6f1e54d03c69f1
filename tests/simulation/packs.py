"""Three tiny packs, each for what the others have not: many cycles, people, a tool that fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runtime.agents import Budget, Pack, propose
from runtime.agents.failing import describe_error
from runtime.engine import Effect, Fact, Proposal, Run, View
from runtime.engine.inputs import Call
from runtime.models import ToolCall
from runtime.tool_calls import recorded_from_row
from runtime.tools.failures import from_failure
from runtime.tools.session import current
from tests.simulation.outside import Oracle
from tests.simulation.turns import Turns

# A process may be stopped for minutes: no time limit is what these jobs are about.
LONG = Budget(seconds=1e6, lifetime_cycles=100_000, recovery_seconds=120.0)
TIMEOUT = 3600.0


class Scene:
    """Where the agents of this thread's simulation are."""

    turns: Turns
    oracle: Oracle
    work_seconds = 0.0


def _work() -> None:
    """An agent takes its time, in which others do theirs."""
    Scene.turns.sleep(Scene.work_seconds, "agent")


relay = Pack("relay", tiers=["Run"], answer=["step"], budget=LONG)
relay.key("step", schema={"type": "integer"}, seed=True)
LAST = 3


@relay.each("step", writes=["step"], required=True, timeout=TIMEOUT)
def go_on(step: Fact, view: View) -> Proposal | None:
    """One step a cycle."""
    _work()
    return propose("step", str(step.value + 1), step.value + 1, because=[step]) if step.value < LAST else None


panel = Pack("panel", tiers=["Judged", "Planned"], answer=["verdict", "plan"], budget=LONG)
panel.key("case", schema={"type": "integer"}, seed=True)
panel.key("verdict", schema={"type": "string"})
panel.key("plan", schema={"type": "integer"})
panel.operator("people decide", keys=["verdict"], deadline=25.0, outcome="strongest", remind=10.0)
panel.approval(
    "one other signs",
    keys=["plan"],
    count=1,
    exclude_submitter=True,
    groups=["operator"],
    deadline=40.0,
    outcome="reject",
)


@panel.each("case", writes=["verdict"], required=True, timeout=TIMEOUT)
def lenient(case: Fact, view: View) -> Proposal:
    """Says yes."""
    _work()
    return propose("verdict", case.subject, "yes", 0.6)


@panel.each("case", writes=["verdict"], required=True, timeout=TIMEOUT)
def strict(case: Fact, view: View) -> Iterator[Proposal]:
    """Says no, but to each third case."""
    if case.value % 3:
        yield propose("verdict", case.subject, f"no to {case.value}", 0.9)


@panel.agent(reads=["verdict"], writes=["plan"], tier=2, required=True, timeout=TIMEOUT)
def count(view: View) -> Proposal:
    """Counts what was said yes to."""
    _work()
    return propose("plan", "all", sum(verdict.value == "yes" for verdict in view["verdict"]))


TOOL = "oracle"
asker = Pack("asker", tiers=["Counted", "Asked"], answer=["length", "opinion", "gloss"], budget=LONG)
asker.tool(TOOL, url="http://127.0.0.1:9/", attempts=1, allow=["127.0.0.1"], timeout=300.0)
asker.key("question", schema={"type": "integer"}, seed=True)
asker.key("length", schema={"type": "integer"})
asker.key("opinion")
asker.key("gloss")


@asker.each("question", writes=["length"], required=True, timeout=TIMEOUT)
def measure(question: Fact, view: View) -> Proposal:
    """Needs nobody."""
    return propose("length", question.subject, question.value)


@asker.each("question", writes=["opinion"], tier=2, required=True, timeout=TIMEOUT)
async def ask(question: Fact, view: View) -> Proposal:
    """Asks the tool about one question."""
    answer = await current().call(TOOL, Scene.oracle.send, {"about": question.value})
    return propose("opinion", question.subject, answer["said"])


@asker.each("question", writes=["gloss"], tier=2, wait=30.0, timeout=TIMEOUT)
async def explain(question: Fact, view: View) -> Proposal:
    """One that the tier waits for, for a while."""
    answer = await current().call(TOOL, Scene.oracle.send, {"explain": question.value})
    return propose("gloss", question.subject, answer["said"])


ASKING = {"ask": "opinion", "explain": "gloss"}
PACKS = {pack.name: pack for pack in (asker, panel, relay)}
SEEDED = {"asker": "question", "panel": "case", "relay": "step"}


def make_seeds(pack: str, number: int, first: int) -> list[dict[str, Any]]:
    """`number` seeds, with values from `first` on."""
    key = SEEDED[pack]
    return [{"key": key, "subject": f"s{n}", "value": n} for n in range(first, first + number)]


def effect_on_record(run: Run, rows: Sequence[ToolCall]) -> Effect:
    """What an agent that asks the tool gives if its call comes to what is recorded."""
    name, item = run.agent.name, run.item or ""
    row = next(r for r in rows if (r.agent, r.item) == (name, item) and r.status != "started")
    ended = recorded_from_row(row)
    cls = ended.failure.cls if ended.failure is not None else ""
    calls = [Call(row.tool, ended.attempts, cls)]
    if ended.failure is not None:
        return Effect(name, run.item, (), describe_error(run, from_failure(ended.failure)), calls)
    assert run.item is not None
    return Effect(name, run.item, [propose(ASKING[name], run.item, ended.value["said"])], None, calls)
