"""A pack, declared in code: keys first, then agents beside their functions, then rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from runtime.agents.cel_agents import KIND as CEL
from runtime.agents.cel_agents import cel_function, compile_agent
from runtime.agents.errors import DeclarationError
from runtime.agents.functions import Function, read_function
from runtime.agents.rules import RuleDeclarations
from runtime.agents.seeds import CsvReader, Problem, Seeds, read_samples, read_table
from runtime.engine.compiled import compile_pack
from runtime.engine.spec import SHAPES, AgentSpec, Budget, KeySpec, PackSpec, Shape, TierSpec

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")


class Pack(RuleDeclarations):
    """A named kind of decision.

    `tiers` are the rungs of the answer from the lowest: names, or (name, description). `answer` are the keys
    that an answer publishes; left out, all that agents write. `samples` is a folder of seed files, JSON or
    CSV, and `sample` the name of the one to take by default (else the first). `csv_reader` turns CSV text
    into seeds and problems where the columns that `read_table` knows do not do; `json_reader` does so for a
    JSON list whose items are no seeds, its problems by the item's number.
    """

    def __init__(
        self,
        name: str,
        *,
        title: str = "",
        description: str = "",
        version: str = "1",
        tiers: Sequence[str | tuple[str, str]] = ("Answer",),
        budget: Budget | None = None,
        answer: Sequence[str] = (),
        samples: Path | None = None,
        sample: str = "",
        csv_reader: CsvReader | None = None,
        json_reader: CsvReader | None = None,
    ) -> None:
        super().__init__()
        if not _NAME.match(name):
            raise DeclarationError(
                f"A pack cannot be named {name!r}: use lower-case letters, digits, - and _, a letter first."
            )
        self.name = name
        self.title = title or name.replace("-", " ").replace("_", " ").capitalize()
        self.description = description
        self.version = version
        self.tiers = tuple(TierSpec(*((tier,) if isinstance(tier, str) else tier)) for tier in tiers)
        self.budget = budget or Budget()
        self.answer = tuple(answer)
        self.samples_folder = samples
        self.default_sample = sample
        self.csv_reader = csv_reader
        self.json_reader = json_reader
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
            tier = min((agent.tier for agent in self.agents.values() if key in agent.writes), default=1)
            spec = self._declare("aggregate", call, over=key, writes=[key], **{"tier": tier, **options})
            name = rule or f"{spec.name} rules"
            self.add_rule(name, "aggregation", [key], priority, {"agent": spec.name}, expression=when)
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
        reads = [key for key in compile_agent(writes, config, named).looks_up if key != over]
        spec = AgentSpec(
            name=name,
            shape="each",
            reads=tuple(reads),
            writes=(writes,),
            over=over,
            tier=tier,
            required=required,
            kind=CEL,
            title=title or name.replace("-", " ").capitalize(),
            description=description,
            config=config,
        )
        self._add(spec, cel_function(writes, tuple(sorted(config.items())), named))

    def spec(self) -> PackSpec:
        """The pack as frozen data, its agents by tier and then as declared.

        Raises PackError if its parts do not fit together.
        """
        spec = PackSpec(
            name=self.name,
            version=self.version,
            title=self.title,
            description=self.description,
            keys=tuple(self.keys.values()),
            agents=tuple(sorted(self.agents.values(), key=lambda agent: agent.tier)),
            rules=tuple(self.rules.values()),
            tiers=self.tiers,
            budget=self.budget,
            answer=self.answer,
        )
        compile_pack(spec)
        return spec

    def samples(self) -> dict[str, Path]:
        """The pack's sample files by name, in alphabetical order."""
        files = sorted(self.samples_folder.iterdir()) if self.samples_folder else []
        return {path.stem: path for path in files if path.suffix in (".json", ".csv")}

    def sample_seeds(self, name: str = "") -> Seeds:
        """The seeds of the sample `name`, of the default or the first one; none if the pack ships no sample.

        Raises DeclarationError if there is none of that name.
        """
        found = self.samples()
        if not found:
            return []
        name = name or self.default_sample or next(iter(found))
        if name not in found:
            raise DeclarationError(f"Pack {self.name!r} has no sample {name!r}; it has {', '.join(found)}.")
        return read_samples(found[name], self.read_csv)

    def read_csv(self, text: str) -> tuple[Seeds, list[Problem]]:
        """Seeds from CSV text, and what is wrong with it by line."""
        if self.csv_reader is not None:
            return self.csv_reader(text)
        return read_table(text, list(self.keys.values()))

    def _decorator(self, shape: Shape, options: dict[str, Any]) -> Callable[[F], F]:
        def declare(call: F) -> F:
            self._declare(shape, call, **options)
            return call

        return declare

    def _declare(
        self,
        shape: Shape,
        call: Callable[..., Any],
        *,
        reads: Iterable[str] = (),
        writes: Iterable[str] = (),
        over: str = "",
        group_by: str = "",
        tier: int = 1,
        required: bool = False,
        append: bool = False,
        timeout: float = 30.0,
        name: str = "",
        title: str = "",
        description: str = "",
    ) -> AgentSpec:
        """Declare an agent of any shape. `timeout` is seconds a call; the name is the function's, with
        dashes."""
        name = name or call.__name__.strip("_").replace("_", "-")
        title = title or name.replace("-", " ").capitalize()
        description = description or " ".join((call.__doc__ or "").split("\n\n")[0].split())
        for option, keys in (("reads", reads), ("writes", writes)):
            if isinstance(keys, str):
                raise DeclarationError(f"{option} of agent {name!r} is the text {keys!r}; write [{keys!r}].")
        spec = AgentSpec(
            name=name,
            shape=shape,
            reads=tuple(reads),
            writes=tuple(writes),
            over=over,
            group_by=group_by,
            tier=tier,
            required=required,
            append=append,
            title=title,
            description=description,
            timeout=float(timeout),
        )
        return self._add(spec, read_function(call, shape, f"Agent {name!r} of pack {self.name!r}"))

    def _add(self, spec: AgentSpec, function: Function) -> AgentSpec:
        self._check_agent(spec)
        self.agents[spec.name] = spec
        self.functions[spec.name] = function
        return spec

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
