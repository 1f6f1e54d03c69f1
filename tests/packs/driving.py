"""A pack run by the engine alone: what a worker does, without database and queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from runtime.agents import Pack, functions_for, run_all
from runtime.engine import Commit, Core, Effect, InboxRow, PackSpec, Run, Seed, Stop
from runtime.tools.gate import MemoryGate
from runtime.tools.record import MemoryRecorder
from runtime.tools.session import ToolSession

OTTO = ("operator",)
QUICK: dict[str, Any] = {
    "timeout": 5.0,
    "attempts": 1,
    "backoff": 0.01,
    "backoff_max": 0.01,
    "concurrency": 16,
}


class Played:
    """One job of a pack; `tell` gives it rows from outside and runs it until it stops.

    Its tools are those of the pack at their addresses, with no second attempts; `tools` are further settings of all.
    """

    def __init__(
        self, pack: Pack, seeds: Iterable[dict[str, Any]], spec: PackSpec | None = None, **tools: Any
    ) -> None:
        self.tools = {name: replace(tool.spec, **{**QUICK, **tools}) for name, tool in pack.tools.items()}
        self.recorder = MemoryRecorder()
        self.spec = spec or pack.spec()
        self.core = Core(self.spec)
        self.functions = functions_for(self.spec)
        self.commits: list[Commit] = []
        self.told = 0
        self.tell(
            *(
                Seed(at, seed["key"], seed["subject"], seed["value"], seed.get("confidence", 1.0))
                for at, seed in enumerate(seeds, 1)
            )
        )

    def tell(self, *rows: Seed | InboxRow) -> Stop:
        """Apply `rows` and run cycles until the engine says why it stopped."""
        given = list(rows)
        while True:
            runs = self.core.begin(given)
            given = []
            commit = self.core.finish(self._execute(runs))
            self.commits.append(commit)
            if commit.stop is not None:
                return commit.stop

    def _execute(self, runs: Sequence[Run]) -> list[Effect]:
        session = ToolSession(
            "played", self.core.cycle, self.tools, MemoryGate(), self.recorder, 10_000, 1_000_000
        )
        return run_all(runs, self.functions, session=session)

    def retry(self) -> Stop:
        """What the clock says once a tool may be well again."""
        self.told += 1
        return self.tell(InboxRow(self.told, "retry_due", ""))

    def act(self, act: str, key: str, subject: str, **more: Any) -> Stop:
        """An act of the operator Otto."""
        self.told += 1
        return self.tell(InboxRow(self.told, act, "otto", key, subject, groups=OTTO, **more))

    @property
    def stop(self) -> Stop:
        """Why it stopped last."""
        stop = self.commits[-1].stop
        assert stop is not None
        return stop

    @property
    def tier(self) -> int:
        """The tier it has reached."""
        return self.commits[-1].tier

    def entries(self, kind: str = "") -> list[dict[str, Any]]:
        """The journal, or its entries of one kind."""
        bodies = [orjson.loads(entry.body) for commit in self.commits for entry in commit.entries]
        return [body for body in bodies if not kind or body["kind"] == kind]

    def facts(self, key: str) -> dict[str, Any]:
        """The values that stand under a key, by subject."""
        return {fact.subject: fact.value for fact in self.core.facts() if fact.key == key}
