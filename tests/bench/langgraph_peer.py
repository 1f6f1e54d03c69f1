"""The same shapes in LangGraph: a node for each agent, and one dict of facts with a reducer.

Importing this module raises ImportError where LangGraph is not installed; the benchmarks then run without it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph

from tests.bench.shapes import VALUE

NAME = "LangGraph"


class State(TypedDict):
    """What the nodes share. Facts of one step are joined into the dict."""

    facts: Annotated[dict[str, str], operator.or_]


def chain(length: int, **options: Any) -> Any:
    """A compiled graph of `length` nodes in a row, each adding one fact."""
    graph = StateGraph(State)
    for at in range(length):
        graph.add_node(f"a{at}", _node(f"k{at + 1}"))
        graph.add_edge(f"a{at - 1}" if at else START, f"a{at}")
    graph.add_edge(f"a{length - 1}", END)
    return graph.compile(**options)


def fan_out(width: int) -> Any:
    """A compiled graph of `width` nodes side by side, each adding one fact."""
    graph = StateGraph(State)
    for at in range(width):
        graph.add_node(f"a{at}", _node(f"k{at + 1}"))
        graph.add_edge(START, f"a{at}")
        graph.add_edge(f"a{at}", END)
    return graph.compile()


def run(graph: Any, size: int, thread: str = "", **options: Any) -> None:
    """One invocation, which must bring `size` facts."""
    config: dict[str, Any] = {"recursion_limit": size + 10}
    if thread:
        config["configurable"] = {"thread_id": thread}
    state = graph.invoke({"facts": {"k0": VALUE}}, config, **options)
    assert len(state["facts"]) == size + 1


def _node(key: str) -> Callable[[State], dict[str, dict[str, str]]]:
    return lambda state: {"facts": {key: VALUE}}
