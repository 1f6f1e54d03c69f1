"""Agents that call a tool on an MCP server, their arguments and proposals mapped by CEL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from runtime.agents.configs import check_parts, read_text, read_tool
from runtime.agents.errors import DeclarationError
from runtime.agents.mapping import PARTS as MAPPING_PARTS
from runtime.agents.mapping import Mapped, compile_mapping
from runtime.agents.saying import Ruling
from runtime.engine import BoundsError, ExpressionError, Proposal, View
from runtime.engine.spec import AgentSpec
from runtime.engine.values import load_json
from runtime.tools.failures import bad_output

KIND = "mcp"
PARTS = ("tool", "call", "arguments", *MAPPING_PARTS)
MAX_TEXT = 4_000_000  # bytes; the tool's own limit is what binds


def check_mcp(agent: AgentSpec, named: str) -> Mapped:
    """Raises DeclarationError unless the config is one of an mcp agent; gives its expressions."""
    check_parts(agent.config, PARTS, named)
    read_tool(agent.config, named)
    read_text(agent.config, "call", named, needed=True, most=200)
    return compile_mapping(agent, named)


@dataclass(frozen=True)
class McpAgent:
    """Calls one tool of one server. Called with what its shape is shown; raises ToolFailed."""

    agent: AgentSpec
    named: str

    @cached_property
    def mapped(self) -> Mapped:
        """The expressions, compiled at the first call."""
        return check_mcp(self.agent, self.named)

    async def __call__(self, *shown: Any) -> list[Proposal] | Ruling:
        # Here: who only declares or reads packs needs no Redis client.
        from runtime.tools.session import current

        view: View = shown[-1]
        tool = read_tool(self.agent.config, self.named)
        call = read_text(self.agent.config, "call", self.named)
        try:
            arguments = self.mapped.arguments_for(view)
        except BoundsError as error:
            raise DeclarationError(f"What the arguments of {self.named} give {error}.") from None

        read: list[tuple[Any, list[Proposal] | Ruling]] = []

        def check(answer: Any) -> None:
            read[:] = [(answer, self._read(tool, view, answer))]

        said = await current().call_mcp(tool, call, arguments, check=check)
        # What stands on record is not always what was checked here: another runtime's answer may have been first.
        if read and _is_same(read[0][0], said):
            return read[0][1]
        return self._read(tool, view, said)

    def _read(self, tool: str, view: View, answer: Any) -> list[Proposal] | Ruling:
        try:
            return self.mapped.read(view, result_of(answer))
        except ExpressionError as error:
            raise bad_output(tool, f"something the agent's expressions cannot use: {error}"[:400]) from None


def _is_same(one: Any, other: Any) -> bool:
    return one is other or _bytes_of(one) == _bytes_of(other)


def _bytes_of(answer: Any) -> bytes:
    return orjson.dumps(answer, option=orjson.OPT_SORT_KEYS)


def result_of(answer: Any) -> Any:
    """What expressions see as `result`: the structured content, else the one text as JSON or as it is, else all
    texts."""
    if answer["structured"] is not None:
        return answer["structured"]
    texts = answer["content"]
    if len(texts) != 1:
        return texts
    try:
        return load_json(texts[0], MAX_TEXT)
    except BoundsError:
        return texts[0]
