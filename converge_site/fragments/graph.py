"""A pack drawn: keys and agents from left to right, agents in the bands of their tiers. SVG on the server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import quote

from converge_site.fragments.numbers import n
from runtime.models import Agent, Pack

CHAR = 7.25  # width of a character of the 12px monospace names
PAD, NODE_H, ROW, GAP, TOP, EDGE, BEND_ROW = 10, 24, 34, 38, 34, 14, 12
LONGEST = 24


@dataclass(slots=True)
class Node:
    """A key or an agent; lengths in px."""

    id: str
    name: str
    kind: str  # key | agent
    classes: str
    about: str
    column: int = 0
    row: float = 0.0
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    warned: bool = False

    @property
    def anchor(self) -> str:
        """Its id on the page."""
        return anchor(self.kind, self.name)

    @property
    def middle(self) -> float:
        """Its middle from top to bottom."""
        return self.y + self.height / 2

    @property
    def height(self) -> float:
        """How high it is; a bend in a long line takes next to nothing."""
        return 0.0 if self.kind == "bend" else NODE_H

    @property
    def label(self) -> str:
        """The name, cut to fit."""
        return self.name if len(self.name) <= LONGEST else self.name[: LONGEST - 1] + "…"

    @property
    def box(self) -> dict[str, str]:
        """The rectangle's attributes."""
        radius = NODE_H / 2 if self.kind == "agent" else 4
        return {"x": n(self.x), "y": n(self.y), "width": n(self.width), "height": n(NODE_H), "rx": n(radius)}

    @property
    def corner(self) -> dict[str, str]:
        """Where the mark of a warning is drawn: its upper right corner."""
        return {"x": n(self.x + self.width - 3), "y": n(self.y + 2), "text_y": n(self.y + 6)}

    @property
    def text_x(self) -> str:
        """The middle."""
        return n(self.x + self.width / 2)

    @property
    def text_y(self) -> str:
        """The base line of the text."""
        return n(self.y + NODE_H / 2 + 4)


@dataclass(frozen=True, slots=True)
class Edge:
    """A read or a write as the path of a curve; `back` if it closes a loop."""

    path: str
    back: bool
    words: str


@dataclass(frozen=True, slots=True)
class Band:
    """A tier's stretch."""

    name: str
    x: str
    width: str
    text_x: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything the template draws."""

    width: int = 0
    height: int = 0
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    words: str = ""


def anchor(kind: str, name: str) -> str:
    """The id of a key, agent, rule or tier on the pack's page. Names may hold anything, ids no white space."""
    return f"{kind}-{quote(name, safe='')}"


def draw_graph(pack: Pack, agents: Sequence[Agent], warned: Collection[tuple[str, str]] = ()) -> Graph:
    """The graph of a pack. Columns alternate: keys, agents, keys; an agent stands right of what it reads. `warned` are
    the (kind, name) of keys and agents that lint warns of."""
    nodes = _make_nodes(pack, agents)
    for node in nodes.values():
        node.warned = (node.kind, node.name) in warned
    links = [(f"k:{key}", f"a:{a.name}") for a in agents for key in _reads(a) if f"k:{key}" in nodes]
    links += [(f"a:{a.name}", f"k:{key}") for a in agents for key in a.writes if f"k:{key}" in nodes]
    _set_columns(nodes, agents)
    routes, bends = _route(nodes, links)
    everything = nodes | bends
    columns = _arrange(everything, [pair for route in routes for pair in pairwise(route)])
    width, height = _place(columns)
    edges = [_edge([everything[stop] for stop in route]) for route in routes]
    bands = _bands(pack, agents, nodes)
    words = f"{len(pack.keys)} keys and {len(agents)} agents in {len(pack.tiers)} tiers"
    return Graph(width, height, list(nodes.values()), edges, bands, words)


def _route(nodes: dict[str, Node], links: list[tuple[str, str]]) -> tuple[list[list[str]], dict[str, Node]]:
    """Each link as the stops of its line. Long lines from one node share a bend in every column they pass, so that
    they run as one bundle between the nodes and not across them."""
    routes, bends = [], {}
    for source, target in links:
        route = [source]
        for column in range(nodes[source].column + 1, nodes[target].column):
            name = f"b:{source}:{column}"
            bends[name] = Node(name, "", "bend", "", "", column=column)
            route.append(name)
        routes.append([*route, target])
    return routes, bends


def _reads(agent: Agent) -> list[str]:
    return [*([agent.over] if agent.over else []), *(key for key in agent.reads if key != agent.over)]


def _make_nodes(pack: Pack, agents: Sequence[Agent]) -> dict[str, Node]:
    nodes = {}
    for key in pack.keys:
        classes = (
            "key" + (" seed" if key.get("seed") else "") + (" answer" if key["name"] in pack.answer else "")
        )
        about = f"{key.get('title') or key['name']}. {key.get('description', '')}".strip()
        nodes[f"k:{key['name']}"] = Node(f"k:{key['name']}", key["name"], "key", classes, about)
    for agent in agents:
        classes = (
            "agent" + (" aggregate" if agent.shape == "aggregate" else "") + ("" if agent.enabled else " off")
        )
        about = f"{agent.title or agent.name} ({agent.shape}, tier {agent.tier}). {agent.description}".strip()
        nodes[f"a:{agent.name}"] = Node(f"a:{agent.name}", agent.name, "agent", classes, about)
    return nodes


def _set_columns(nodes: dict[str, Node], agents: Sequence[Agent]) -> None:
    """Keys in even columns, agents in odd ones; a tier begins right of the tier below it."""
    written = {key for agent in agents if agent.shape != "aggregate" for key in agent.writes}
    column = {node.id: 0 for node in nodes.values() if node.kind == "key" and node.name not in written}
    base = 1
    for tier in sorted({agent.tier for agent in agents}):
        inside = [agent for agent in agents if agent.tier == tier]
        # As many passes as there are agents: a loop stops growing then, and its closing edge runs back.
        for agent in inside:
            column[f"a:{agent.name}"] = base
        for _ in range(min(len(inside), 6)):
            for agent in inside:
                own = set(agent.writes)
                fed = [column.get(f"k:{key}", 0) for key in _reads(agent) if key not in own]
                column[f"a:{agent.name}"] = max([base, *(at + 1 for at in fed if at + 1 <= base + 8)])
                for key in agent.writes:
                    if agent.shape != "aggregate":
                        column[f"k:{key}"] = max(column.get(f"k:{key}", 0), column[f"a:{agent.name}"] + 1)
        base = max(column[f"a:{agent.name}"] for agent in inside) + 2
    for name, node in nodes.items():
        node.column = column.get(name, 0)


def _arrange(nodes: dict[str, Node], links: list[tuple[str, str]]) -> list[list[Node]]:
    """Nodes by column, each column sorted towards the middle of its neighbours, a few sweeps to and fro."""
    near = defaultdict(list)
    for source, target in links:
        near[source].append(target)
        near[target].append(source)
    columns: dict[int, list[Node]] = defaultdict(list)
    for node in nodes.values():
        columns[node.column].append(node)
    ordered = [columns[number] for number in sorted(columns)]
    for column in ordered:
        _number(column)
    for sweep in range(8):
        for column in ordered if sweep % 2 == 0 else reversed(ordered):
            middles = {
                node.id: _middle([nodes[other].row for other in near[node.id]], node.row) for node in column
            }
            column.sort(key=lambda node: (middles[node.id], node.row))
            _number(column)
    return ordered


def _number(column: list[Node]) -> None:
    for place, node in enumerate(column):
        node.row = place - (len(column) - 1) / 2


def _middle(rows: list[float], own: float) -> float:
    return sum(rows) / len(rows) if rows else own


def _place(columns: list[list[Node]]) -> tuple[int, int]:
    """Gives every node its place; returns width and height of the whole."""
    heights = [sum(map(_room, column)) for column in columns]
    tallest = max(heights, default=float(ROW))
    x = float(EDGE)
    for column, height in zip(columns, heights, strict=True):
        width = max(len(node.label) for node in column) * CHAR + 2 * PAD
        y = TOP + (tallest - height) / 2
        for node in column:
            node.width, node.x, node.y = width, x, y + (_room(node) - node.height) / 2
            y += _room(node)
        x += width + GAP
    return round(x - GAP + EDGE), round(TOP + tallest + 8)


def _room(node: Node) -> float:
    return BEND_ROW if node.kind == "bend" else ROW


def _edge(stops: list[Node]) -> Edge:
    source, target = stops[0], stops[-1]
    reads = target.kind == "agent"
    words = f"{target.name} reads {source.name}" if reads else f"{source.name} writes {target.name}"
    if source.column >= target.column:
        return Edge(_backwards(source, target), True, words)
    path = f"M{n(source.x + source.width)} {n(source.middle)}"
    for one, other in pairwise(stops):
        x1, x2 = one.x + one.width, other.x - (2 if other is target else 0)
        bend = (x2 - x1) / 2
        path += f"C{n(x1 + bend)} {n(one.middle)} {n(x2 - bend)} {n(other.middle)} {n(x2)} {n(other.middle)}"
        if other.kind == "bend":
            path += f"H{n(other.x + other.width)}"
    return Edge(path, False, words)


def _backwards(source: Node, target: Node) -> str:
    """Out of the bottom, into the bottom."""
    x1, x2 = source.x + source.width / 2, target.x + target.width / 2
    y1, y2 = source.y + NODE_H, target.y + NODE_H
    low = max(y1, y2) + 22
    return f"M{n(x1)} {n(y1)}C{n(x1)} {n(low)} {n(x2)} {n(low)} {n(x2)} {n(y2 + 2)}"


def _bands(pack: Pack, agents: Sequence[Agent], nodes: dict[str, Node]) -> list[Band]:
    bands = []
    for number, tier in enumerate(pack.tiers, start=1):
        inside = [nodes[f"a:{agent.name}"] for agent in agents if agent.tier == number]
        if inside:
            left = min(node.x for node in inside) - GAP / 2 + 6
            right = max(node.x + node.width for node in inside) + GAP / 2 - 6
            name = f"{number}. {tier['name']}"
            bands.append(Band(name, n(left), n(right - left), n(left + 10)))
    return bands
