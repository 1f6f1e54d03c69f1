"""The kinds of agents that are configured without code: what their config must be, and their functions."""

from __future__ import annotations

from runtime.agents.cel_agents import KIND as CEL
from runtime.agents.cel_agents import cel_function, compile_agent
from runtime.agents.errors import DeclarationError
from runtime.agents.functions import Function
from runtime.agents.http_agents import KIND as HTTP
from runtime.agents.http_agents import HttpAgent, check_http
from runtime.agents.llm_agents import KIND as LLM
from runtime.agents.llm_agents import LlmAgent, check_llm
from runtime.agents.mcp_agents import KIND as MCP
from runtime.agents.mcp_agents import McpAgent, check_mcp
from runtime.engine.spec import AgentSpec, PackSpec

TOOL_KINDS = (HTTP, LLM, MCP)  # each calls the one tool that its config names
CONFIGURED_KINDS = (CEL, *TOOL_KINDS)
TITLES = {CEL: "CEL agent", HTTP: "HTTP agent", LLM: "LLM agent", MCP: "MCP agent"}


def check_agent_config(spec: AgentSpec, pack: PackSpec) -> None:
    """Raises DeclarationError, naming the part at fault, unless `spec` can be run in `pack` by its config alone.

    Looks at the config only: whether its keys and its tier exist is for `compile_pack`, whether its tool does for
    whoever knows the tools. An agent of the kind `python` has no config to look at.
    """
    if spec.kind == "python" and not spec.config:
        return
    if spec.kind not in CONFIGURED_KINDS:
        raise DeclarationError(
            f"Agent {spec.name!r} of kind {spec.kind!r} takes no config; "
            f"kinds that do are {', '.join(CONFIGURED_KINDS)}."
        )
    named = name_agent(spec, pack.name)
    if not spec.writes:
        raise DeclarationError(f"{named} writes no key; name what it may propose in `writes`.")
    if spec.kind == HTTP:
        check_http(spec, named)
    elif spec.kind == LLM:
        check_llm(spec, named)
    else:
        _check_lookups(
            spec, named, check_mcp(spec, named).looks_up if spec.kind == MCP else _cel(spec, named)
        )


def make_function(agent: AgentSpec, pack: PackSpec) -> Function:
    """The callable of an agent of a configured kind. An http, llm or mcp agent with a config that cannot be is found
    out when it is called, and fails alone."""
    named = name_agent(agent, pack.name)
    if agent.kind == CEL:
        return cel_function(agent.writes[0], tuple(sorted(_texts(agent).items())), named)
    tool = str(agent.config.get("tool", ""))
    if agent.kind == MCP:
        return Function(McpAgent(agent, named), True, tool)
    keys = {key.name: key for key in pack.keys}
    made = HttpAgent if agent.kind == HTTP else LlmAgent
    return Function(made(agent, keys, named), True, tool)


def name_agent(agent: AgentSpec, pack_name: str) -> str:
    """How messages name an agent of a configured kind."""
    return f"{TITLES[agent.kind]} {agent.name!r} of pack {pack_name!r}"


def _texts(agent: AgentSpec) -> dict[str, str]:
    return {part: str(text) for part, text in agent.config.items()}


def _cel(agent: AgentSpec, named: str) -> tuple[str, ...]:
    if agent.shape != "each" or len(agent.writes) != 1:
        raise DeclarationError(
            f"{named} goes through one key and writes one; set `over` and a single key to write."
        )
    return compile_agent(agent.writes[0], _texts(agent), named).looks_up


def _check_lookups(agent: AgentSpec, named: str, looks_up: tuple[str, ...]) -> None:
    for key in looks_up:
        if key not in agent.reads:
            own = (
                " It goes through that key one at a time and cannot look it up." if key == agent.over else ""
            )
            raise DeclarationError(
                f"{named} looks up the key {key!r}, which it does not read; add it to `reads`.{own}"
            )
