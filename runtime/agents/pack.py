"""A pack, declared in code: keys first, then agents beside their functions, then rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.agents.errors import DeclarationError
from runtime.agents.seeds import CsvReader, Problem, Seeds, read_samples, read_table
from runtime.agents.tool_declarations import ToolDeclarations
from runtime.engine.compiled import compile_pack
from runtime.engine.spec import Budget, PackSpec
from runtime.linting.findings import CODES, Acceptance


class Pack(ToolDeclarations):
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
        super().__init__(name, tiers)
        self.title = title or name.replace("-", " ").replace("_", " ").capitalize()
        self.description = description
        self.version = version
        self.budget = budget or Budget()
        self.answer = tuple(answer)
        self.samples_folder = samples
        self.default_sample = sample
        self.csv_reader = csv_reader
        self.json_reader = json_reader
        self.accepted: list[Acceptance] = []

    def accepts_lint(self, code: str, *names: str, why: str) -> None:
        """Keep a finding of `lint_pack` out of its list, for a reason: its code, and exactly the names it is about.

        It is said of the code as it is, so it is not frozen with a job. Raises DeclarationError for an unknown code.
        """
        if code not in CODES:
            raise DeclarationError(
                f"Pack {self.name!r} accepts {code!r}, which lint never says; it is one of {', '.join(CODES)}."
            )
        if not names or not why.strip():
            raise DeclarationError(
                f"Pack {self.name!r} accepts {code!r}; say of what, and why=... in a sentence."
            )
        self.accepted.append(Acceptance(code, names, why))

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
