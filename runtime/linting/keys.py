"""Keys that nobody writes or reads, and loops of keys that nothing proves to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runtime.engine.compiled import Compiled
from runtime.engine.loops import loops
from runtime.engine.spec import AgentSpec
from runtime.linting.findings import Finding, quote
from runtime.linting.reach import Reach

NAMED = 5


def lint_keys(plan: Compiled, reach: Reach) -> Iterator[Finding]:
    """One finding a key: never written comes first, since who reads such a key is the lesser question."""
    read = _keys_read(plan)
    for name, key in plan.keys.items():
        writers = [a for a in plan.agents if a.shape != "aggregate" and name in a.writes]
        if not writers and name not in reach.seedable:
            yield Finding(
                "warning", "key_never_written", _never_written(plan, name, name in read), "key", (name,)
            )
        elif name not in read and not key.answers:
            text = (
                f"Nobody reads the key `{name}`, and no answer publishes it: {_wasted(writers)} there changes nothing. "
                "Let an agent read it, add it to the pack's answer, or drop it."
            )
            yield Finding("warning", "key_never_read", text, "key", (name,))


def _keys_read(plan: Compiled) -> set[str]:
    """Keys that agents are shown, go through, or that rules look up. Ruling on a key is no reading of it."""
    read = {key for shown in plan.reads for key in shown}
    read |= {agent.over for agent in plan.agents if agent.over and agent.shape != "aggregate"}
    rules = [*plan.invariants, *(rule for key in plan.keys.values() for rule in key.constraints)]
    return read | {key for rule in rules if rule.expression for key in rule.expression.keys}


def _wasted(writers: Sequence[AgentSpec]) -> str:
    if not writers:
        return "what people submit"
    return f"what {quote(a.name for a in writers)} {'says' if len(writers) == 1 else 'say'}"


def _never_written(plan: Compiled, name: str, read: bool) -> str:
    readers = [a.name for a, shown in zip(plan.agents, plan.reads, strict=True) if name in (*shown, a.over)]
    waits = f", though {quote(readers[:NAMED])} read{'s' if len(readers) == 1 else ''} it" if readers else ""
    advice = "let an agent write it, declare it a seed, or drop it" if read or readers else "drop it"
    return (
        f"No agent writes the key `{name}` and it is no seed{waits}: it is only there where a person adds it by hand. "
        f"{advice.capitalize()}."
    )


def lint_loops(plan: Compiled) -> Iterator[Finding]:
    """Each loop of keys. What agents compute is not known here, so no loop is proven to end (D3.9)."""
    edges = [(_inputs(agent, shown), agent.writes or (agent.over,)) for agent, shown in _with_reads(plan)]
    for loop in loops(edges):
        yield Finding("warning", "loop", _loop_text(plan, loop), "key", tuple(loop))


def _loop_text(plan: Compiled, loop: Sequence[str]) -> str:
    inside = set(loop)
    agents = [
        (agent, shown)
        for agent, shown in _with_reads(plan)
        if inside & set(_inputs(agent, shown)) and inside & set(agent.writes or (agent.over,))
    ]
    names = [agent.name for agent, _ in agents]
    answer = "answers itself" if len(names) == 1 else "answer each other"
    what = (
        f"The key `{loop[0]}` follows from itself"
        if len(loop) == 1
        else f"The keys {quote(loop)} follow from each other"
    )
    own = [agent for agent, shown in agents if not inside & {*agent.reads, *_over(agent)}]
    through = f" (`{own[0].name}` is shown it by a constraint on what it writes)" if own else ""
    accept = ", ".join(f'"{part}"' for part in ("loop", *loop))
    return (
        f"{what}: {quote(names)} {answer}{through}, and nothing in the pack proves that the values come to rest. A job "
        "may swing until it is stopped as oscillating. Let the agents round what they iterate on; if they do, say so "
        f"in the pack's code: pack.accepts_lint({accept}, why=…)."
    )


def _with_reads(plan: Compiled) -> list[tuple[AgentSpec, tuple[str, ...]]]:
    return list(zip(plan.agents, plan.reads, strict=True))


def _inputs(agent: AgentSpec, shown: tuple[str, ...]) -> tuple[str, ...]:
    """What an agent's words follow from. A ruling changes no side, so its own key is none of an aggregation agent's."""
    return (*shown, *_over(agent))


def _over(agent: AgentSpec) -> tuple[str, ...]:
    return (agent.over,) if agent.over and agent.shape != "aggregate" else ()
