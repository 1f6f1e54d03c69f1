"""Declaring keys and agents: what a pack in code is made of, beside its rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from runtime.agents.cel_agents import KIND as CEL
from runtime.agents.cel_agents import compile_agent
from runtime.agents.errors import DeclarationError
from runtime.agents.functions import Function, read_function
from runtime.agents.kinds import CONFIGURED_KINDS, check_agent_config
from runtime.agents.rules import RuleDeclarations
from runtime.engine.spec import SHAPES, AgentSpec, KeySpec, PackSpec, Shape, TierSpec

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")
LONGEST_WAIT = 30 * 86_400.0  # seconds


class AgentDeclarations(RuleDeclarations):
    """The keys and agents of a pack. `functions` is the code of those that are written in Python."""

    def __init__(self, name: str, tiers: Sequence[str | tuple[str, str]]) -> None:
        super().__init__()
        if not _NAME.match(name):
            raise DeclarationError(
                f"A pack cannot be named {name!r}: use lower-case letters, digits, - and _, a letter first."
            )
        self.name = name
        self.tiers = tuple(TierSpec(*((tier,) if isinstance(tier, str) else tier)) for tier in tiers)
        self.keys: dict[str, KeySpec] = {}
        self.agents: dict[str, AgentSpec] = {}
        self.functions: dict[str, Function] = {}

    def key(
        self,
        name: str,
        *,
        title: str = "",
        description: str = "",
        schema: Mapping[str, Any] | None = None,
        seed: bool = False,
        subject_label: str = "Subject",
    ) -> None:
        """Declare a kind of thing that is said: `schema` is a JSON Schema for its values, `seed` lets
        people submit it."""
        if name in self.keys:
            raise DeclarationError(f"The key {name!r} of pack {self.name!r} is declared twice; drop one.")
        spoken = title or name.replace(".", " ").replace("_", " ").capitalize()
        self.keys[name] = KeySpec(name, spoken, description, dict(schema or {}), seed, subject_label)

    def agent(self, **options: Any) -> Callable[[F], F]:
        """A whole agent: called `(view)` once for all it reads. Options: see `_declare`."""
        return self._decorator("whole", options)

    def each(self, over: str, **options: Any) -> Callable[[F], F]:
        """An agent called `(item, view)` for each changed fact of the key `over`."""
        return self._decorator("each", {**options, "over": over})

    def grouped(self, over: str, *, by: str, **options: Any) -> Callable[[F], F]:
        """An agent called `(group, view)` for each group of facts of `over` that share the field `by`."""
        return self._decorator("grouped", {**options, "over": over, "group_by": by})

    def aggregate(
        self, key: str, *, priority: int = 100, when: str = "", rule: str = "", **options: Any
    ) -> Callable[[F], F]:
        """An aggregation agent, called `(sides, view)` for each slot of `key` whose sides disagree; its
        rule comes with it. `when` is a CEL condition under which it is asked. It returns `ruling(...)`,
        or None to abstain."""

        def declare(call: F) -> F:
            tier = self.tier_of(key)
            spec = self._declare("aggregate", call, over=key, writes=[key], **{"tier": tier, **options})
            self._add_ruling(spec.name, key, priority, when, rule)
            return call

        return declare

    def cel(
        self,
        name: str,
        *,
        over: str,
        writes: str,
        when: str,
        value: str,
        subject: str = "subject",
        confidence: float | str = 1.0,
        evidence: str = "",
        tier: int = 1,
        required: bool = False,
        title: str = "",
        description: str = "",
    ) -> None:
        """A rule agent: for each fact of `over` for which the CEL `when` is true it proposes `value`
        about `subject` in the key `writes`. All parts are CEL, so texts need quotes of their own; what
        they look up, it reads."""
        parts = [("when", when), ("subject", subject), ("value", value), ("confidence", str(confidence))]
        config = {part: text for part, text in [*parts, ("evidence", evidence)] if text}
        named = f"CEL agent {name!r} of pack {self.name!r}"
        self._add(
            self._make_spec(
                name,
                "each",
                reads=[key for key in compile_agent(writes, config, named).looks_up if key != over],
                writes=[writes],
                over=over,
                tier=tier,
                required=required,
                kind=CEL,
                title=title,
                description=description,
                config=config,
            )
        )

    def tier_of(self, key: str) -> int:
        """The lowest tier among the agents that write `key` so far, 1 if none does."""
        return min((agent.tier for agent in self.agents.values() if key in agent.writes), default=1)

    def _decorator(self, shape: Shape, options: dict[str, Any]) -> Callable[[F], F]:
        def declare(call: F) -> F:
            self._declare(shape, call, **options)
            return call

        return declare

    def _declare(
        self, shape: Shape, call: Callable[..., Any], *, name: str = "", description: str = "", **options: Any
    ) -> AgentSpec:
        """Declare an agent in Python. Its name is the function's, with dashes; further options: see `_make_spec`."""
        name = name or call.__name__.strip("_").replace("_", "-")
        description = description or " ".join((call.__doc__ or "").split("\n\n")[0].split())
        spec = self._make_spec(name, shape, description=description, **options)
        function = read_function(call, shape, f"Agent {name!r} of pack {self.name!r}")
        self._add(spec)
        self.functions[name] = function
        return spec

    def _make_spec(
        self,
        name: str,
        shape: Shape,
        *,
        reads: Iterable[str] = (),
        writes: Iterable[str] = (),
        over: str = "",
        group_by: str = "",
        tier: int = 1,
        required: bool = False,
        append: bool = False,
        kind: str = "python",
        timeout: float = 30.0,
        wait: float = 0.0,
        title: str = "",
        description: str = "",
        config: Mapping[str, Any] | None = None,
    ) -> AgentSpec:
        """An agent of any shape and kind as data. `timeout` is seconds a run; `wait` is how many seconds its tier
        waits for it to recover from failures of tools, if it is optional."""
        for option, keys in (("reads", reads), ("writes", writes)):
            if isinstance(keys, str):
                raise DeclarationError(f"{option} of agent {name!r} is the text {keys!r}; write [{keys!r}].")
        return AgentSpec(
            name=name,
            shape=shape,
            reads=tuple(reads),
            writes=tuple(writes),
            over=over,
            group_by=group_by,
            tier=tier,
            required=required,
            append=append,
            kind=kind,
            title=title or name.replace("-", " ").replace("_", " ").capitalize(),
            description=description,
            config=dict(config or {}),
            timeout=float(timeout),
            wait=float(wait),
        )

    def _add(self, spec: AgentSpec) -> None:
        """Take an agent up, after checking it against what was declared before."""
        self._check_agent(spec)
        if spec.kind in CONFIGURED_KINDS:
            check_agent_config(spec, PackSpec(self.name, keys=tuple(self.keys.values())))
        self.agents[spec.name] = spec

    def _add_ruling(self, agent: str, key: str, priority: int, when: str, rule: str) -> None:
        """The rule that comes with an aggregation agent."""
        name = rule or f"{agent} rules"
        self.add_rule(name, "aggregation", [key], priority, {"agent": agent}, expression=when)

    def _check_agent(self, agent: AgentSpec) -> None:
        """Refuse here what is seen from the declaration alone, so that the traceback points at it."""
        named = f"Agent {agent.name!r} of pack {self.name!r}"
        assert agent.shape in SHAPES
        if agent.name in self.agents:
            raise DeclarationError(f"{named} is declared twice; give one of them another name=.")
        for verb, keys in (("reads", agent.reads), ("writes", agent.writes), ("goes over", (agent.over,))):
            for key in keys:
                if key and key not in self.keys:
                    known = ", ".join(self.keys) or "none yet"
                    raise DeclarationError(
                        f"{named} {verb} the key {key!r}, which is not declared (declared: {known}). "
                        f"Declare it above with pack.key({key!r}, ...), or correct the name."
                    )
        if not agent.writes:
            raise DeclarationError(f"{named} writes no key; name what it may propose with writes=[...].")
        if agent.shape in ("each", "grouped") and agent.over in agent.reads:
            raise DeclarationError(
                f"{named} goes over {agent.over!r} and also reads it; it is shown one at a time. "
                f"Drop it from reads, or make it a whole agent with @pack.agent."
            )
        if not 1 <= agent.tier <= len(self.tiers):
            raise DeclarationError(
                f"{named} is in tier {agent.tier}, but the pack has {len(self.tiers)}; use one from 1 on."
            )
        if not 0 < agent.timeout <= 3600:
            raise DeclarationError(
                f"{named} has a timeout of {agent.timeout:g} s; give more than 0 and at most 3600."
            )
        if not 0 <= agent.wait <= LONGEST_WAIT or (agent.wait and agent.required):
            raise DeclarationError(
                f"{named} has a wait of {agent.wait:g} s; give 0 to {LONGEST_WAIT:,.0f}, "
                f"and only to an optional agent: a tier waits for its required ones anyway."
            )
