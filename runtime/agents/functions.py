"""The callable behind an agent, and how it must be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.agents.errors import DeclarationError
from runtime.engine.spec import Shape

TAKES: dict[Shape, tuple[str, ...]] = {
    "whole": ("view",),
    "each": ("item", "view"),
    "grouped": ("group", "view"),
    "aggregate": ("sides", "view"),
}


@dataclass(frozen=True, slots=True)
class Function:
    """An agent's code. It is called with what `TAKES` lists for its shape, and gives proposals in any
    form that `calling.gather` knows. `tool` is the one tool it calls, "" if that is not known beforehand."""

    call: Callable[..., Any]
    is_async: bool = False
    tool: str = ""


def read_function(call: Callable[..., Any], shape: Shape, named: str) -> Function:
    """Wrap `call`, after checking that it takes what an agent of this shape is called with.

    Raises DeclarationError naming the agent (`named`) otherwise.
    """
    wanted = TAKES[shape]
    try:
        inspect.signature(call).bind(*wanted)
    except TypeError:
        raise DeclarationError(
            f"{named} is called with ({', '.join(wanted)}) because its shape is {shape!r}; "
            f"its function takes {inspect.signature(call)}. Give it exactly those parameters."
        ) from None
    return Function(call, inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call))
