"""Calling an agent's function, and reading what it gave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from itertools import islice
from typing import Any

from runtime.agents.failing import bad_output, no_proposal
from runtime.agents.saying import Ruling
from runtime.engine import Failure, Malformed, Proposal, Run

Outcome = list[Proposal | Malformed] | Failure

MOST_PROPOSALS = 200_000  # of one run: a generator that never ends must not fill the memory


def call_agent(run: Run, call: Callable[..., Any]) -> Any:
    """Call an agent's function with what its shape is shown."""
    view = run.view
    shape = run.agent.shape
    if shape == "whole":
        return call(view)
    if shape == "each":
        return call(view.item, view)
    if shape == "grouped":
        return call(view.group, view)
    return call(view.sides, view)


def gather(run: Run, said: Any) -> Outcome:
    """What an agent returned as proposals, or the failure that says what it returned instead.

    Something in a list that is no proposal is kept as Malformed: the engine rejects it and merges the others.
    """
    if said is None:
        return []
    kind = type(said)
    if kind is Proposal or kind is Ruling:
        said = (said,)
    elif isinstance(said, str | bytes | Mapping) or not hasattr(said, "__iter__") or hasattr(said, "_fields"):
        return bad_output(run, said)
    found: list[Proposal | Malformed] = []
    for one in islice(said, MOST_PROPOSALS + 1):
        kind = type(one)
        if kind is Proposal:
            found.append(one)
        elif kind is Ruling and run.item is not None:
            found.append(Proposal(run.agent.over, run.item, one.value, one.confidence, one.evidence, None))
        else:
            found.append(Malformed(no_proposal(run, one)))
    if len(found) > MOST_PROPOSALS:
        return Failure("bad_output", f"It proposed more than {MOST_PROPOSALS:,} facts in one run.", False)
    if len(found) > 1 and run.agent.shape == "aggregate":
        message = f"It gave {len(found)} rulings on one slot; return one ruling(), or None to abstain."
        return Failure("bad_output", message, False)
    return found


async def drain(said: AsyncIterator[Any]) -> list[Any]:
    """All that an async generator yields, up to one more than a run may propose."""
    found: list[Any] = []
    async for one in said:
        found.append(one)
        if len(found) > MOST_PROPOSALS:
            break
    return found
