"""Declaring tools, and agents that call them, in a pack's code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from runtime.agents.agent_declarations import AgentDeclarations
from runtime.agents.errors import DeclarationError
from runtime.agents.http_agents import KIND as HTTP
from runtime.agents.llm_agents import KIND as LLM
from runtime.agents.llm_agents import SEED, TEMPERATURE
from runtime.agents.mapping import compile_mapping
from runtime.agents.mcp_agents import KIND as MCP
from runtime.engine.spec import Shape
from runtime.tools.spec import KINDS, ToolSpec

TIMEOUT = 120.0  # seconds one run of such an agent may take, all attempts and waits of its calls included
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}\Z")
_URL = re.compile(r"(https?://[^\s/]|\{flaky_tools\})", re.IGNORECASE)
_MORE_THAN_ZERO = (
    "timeout",
    "attempts",
    "window",
    "open_seconds",
    "failure_threshold",
    "probes",
    "concurrency",
)


@dataclass(frozen=True, slots=True)
class PackTool:
    """A tool as a pack declares it: its settings, and what people read about it."""

    spec: ToolSpec
    title: str
    description: str = ""


class ToolDeclarations(AgentDeclarations):
    """The tools of a pack, and its agents that call one.

    What these agents have in common: `writes` are the keys they may propose, `reads` those they are shown whole.
    Without more they are called once on all of that; with `over=` once for each changed fact of that key, with
    `over=` and `by=` once for each group of facts that share the field `by`, and with `settles=` for each slot of
    that key whose sides disagree (its rule comes with it: `priority`, `when`, `rule` as in `pack.aggregate`). `wait`
    is how many seconds the tier waits for an optional one to recover, `timeout` what one run may take in all.
    """

    def __init__(self, name: str, tiers: Sequence[str | tuple[str, str]]) -> None:
        super().__init__(name, tiers)
        self.tools: dict[str, PackTool] = {}

    def tool(self, name: str, *, title: str = "", description: str = "", **settings: Any) -> None:
        """Declare an external dependency; `settings` are those of `ToolSpec`, an admin may change them."""
        if name in self.tools:
            raise DeclarationError(f"The tool {name!r} of pack {self.name!r} is declared twice; drop one.")
        known = [field.name for field in fields(ToolSpec) if field.name != "name"]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise DeclarationError(
                f"Tool {name!r} has the unknown setting {unknown[0]!r}; it may have {', '.join(known)}."
            )
        if "allow" in settings:
            settings["allow"] = tuple(settings["allow"])
        spec = ToolSpec(name, **settings)
        _check_tool(spec)
        spoken = title or name.replace("-", " ").replace("_", " ").capitalize()
        self.tools[name] = PackTool(spec, spoken, description)

    def http(self, name: str, *, tool: str, path: str = "", **options: Any) -> None:
        """An agent behind an address, in any language: the view goes there as JSON, proposals come back."""
        self._declare_outside(name, HTTP, {"tool": tool, **({"path": path} if path else {})}, **options)

    def llm(
        self,
        name: str,
        *,
        tool: str,
        prompt: str,
        system: str = "",
        subject: str = "",
        temperature: float | None = TEMPERATURE,
        seed: int | None = SEED,
        max_tokens: int | None = None,
        confidence: float | None = None,
        **options: Any,
    ) -> None:
        """A prompt to a language model. `prompt` and `system` are templates over the view; `subject` names whom a whole
        agent speaks about; `confidence` is that of all it proposes (else the model says, else 0.5)."""
        given = [
            ("system", system),
            ("subject", subject),
            ("max_tokens", max_tokens),
            ("confidence", confidence),
        ]
        config: dict[str, Any] = {part: value for part, value in given if value not in ("", None)}
        config |= {"tool": tool, "prompt": prompt, "temperature": temperature, "seed": seed}
        self._declare_outside(name, LLM, config, **options)

    def mcp(
        self,
        name: str,
        *,
        tool: str,
        call: str,
        value: str,
        subject: str = "",
        arguments: Mapping[str, str] | None = None,
        each: str = "",
        key: str = "",
        confidence: float | str = "",
        evidence: str = "",
        reads: Iterable[str] = (),
        **options: Any,
    ) -> None:
        """A tool `call` on an MCP server. All parts are CEL: `arguments` over what the agent is shown, the others over
        its `result` too; `each` lists the things of the result that are said one by one, as `it`."""
        parts = [("each", each), ("key", key), ("subject", subject), ("value", value), ("evidence", evidence)]
        config: dict[str, Any] = {part: text for part, text in parts if text}
        if confidence != "":
            config["confidence"] = str(confidence)
        config |= {"tool": tool, "call": call, "arguments": dict(arguments or {})}
        self._declare_outside(name, MCP, config, reads=reads, **options)

    def _declare_outside(
        self,
        name: str,
        kind: str,
        config: Mapping[str, Any],
        *,
        writes: Iterable[str] = (),
        reads: Iterable[str] = (),
        over: str = "",
        by: str = "",
        settles: str = "",
        tier: int | None = None,
        priority: int = 100,
        when: str = "",
        rule: str = "",
        **options: Any,
    ) -> None:
        named = f"Agent {name!r} of pack {self.name!r}"
        if config["tool"] not in self.tools:
            known = ", ".join(self.tools) or "none yet"
            raise DeclarationError(
                f"{named} calls the tool {config['tool']!r}, which is not declared (declared: {known}). "
                f"Declare it above with pack.tool({config['tool']!r}, ...), or correct the name."
            )
        if self.tools[config["tool"]].spec.kind != kind:
            raise DeclarationError(
                f"{named} is of kind {kind!r} and its tool of another; use a tool of kind {kind!r}."
            )
        spec = self._make_spec(
            name,
            _shape(named, over, by, settles),
            kind=kind,
            config=config,
            reads=reads,
            writes=writes or ([settles] if settles else []),
            over=over or settles,
            group_by=by,
            tier=tier if tier is not None else self.tier_of(settles),
            **{"timeout": TIMEOUT, **options},
        )
        if kind == MCP:
            own = (over, settles)
            looks_up = [key for key in compile_mapping(spec, named).looks_up if key not in own]
            spec = replace(spec, reads=tuple(dict.fromkeys([*spec.reads, *looks_up])))
        self._add(spec)
        if settles:
            self._add_ruling(name, settles, priority, when, rule)


def _shape(named: str, over: str, by: str, settles: str) -> Shape:
    if (over and settles) or (by and not over):
        raise DeclarationError(
            f"{named} goes over a key with over=, and by= makes groups of it; or it settles the conflicts of a key "
            f"with settles=. It cannot do both."
        )
    if settles:
        return "aggregate"
    if by:
        return "grouped"
    return "each" if over else "whole"


def _check_tool(spec: ToolSpec) -> None:
    """Refuse here what no tool can be; what an admin changes is checked where admins change things."""
    if not _NAME.match(spec.name):
        raise DeclarationError(
            f"A tool cannot be named {spec.name!r}: use letters, digits, - and _, at most 50."
        )
    named = f"Tool {spec.name!r}"
    if spec.kind not in KINDS:
        raise DeclarationError(f"{named} is of kind {spec.kind!r}; it must be one of {', '.join(KINDS)}.")
    if not _URL.match(spec.url):
        raise DeclarationError(
            f"{named} has the address {spec.url!r}; give one that begins with https:// or http://."
        )
    for setting in _MORE_THAN_ZERO:
        if not getattr(spec, setting) > 0:
            raise DeclarationError(f"{setting} of {named} is {getattr(spec, setting)!r}; give more than 0.")
