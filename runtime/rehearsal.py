"""A job run by the engine alone, in this process: no database, no queue, nothing kept.

What a worker does cycle by cycle, without the journal around it. The digest is that of the job it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runtime.agents import functions_for, run_all
from runtime.agents.functions import Function
from runtime.engine import Commit, Core, Effect, InboxRow, PackSpec, Run, Seed, Stop

if TYPE_CHECKING:
    from runtime.tools.session import ToolSession

RunAll = Callable[..., Sequence[Effect]]  # (runs, functions), and session= where there are tools


class Rehearsal:
    """One job in memory. `tell` gives it rows from outside and runs it until it stops; `commits` are its cycles.

    `functions` is the code of the agents by name, looked up in the packs installed if left out. `execute` runs the
    agents of one cycle; effects may come back in any order. `session_for` gives, by number of cycle, what agents call
    tools through; without it none can be called. Raises PackError for a pack that cannot run.
    """

    def __init__(
        self,
        spec: PackSpec,
        seeds: Iterable[Mapping[str, Any]] = (),
        functions: Mapping[str, Function] | None = None,
        execute: RunAll = run_all,
        session_for: Callable[[int], ToolSession] | None = None,
    ) -> None:
        self.core = Core(spec)
        self.commits: list[Commit] = []
        self._functions = functions_for(spec) if functions is None else functions
        self._execute = execute
        self._session_for = session_for
        self._seeds = number_seeds(seeds)

    def run(self) -> Stop:
        """Runs the job on its seeds until it stops."""
        return self.tell(*self._seeds)

    def tell(self, *rows: Seed | InboxRow) -> Stop:
        """Applies `rows` at the start of a cycle, and runs cycles until the engine says why it stopped."""
        given: tuple[Seed | InboxRow, ...] = rows
        while True:
            runs = self.core.begin(given)
            given = ()
            commit = self.core.finish(self._run(runs))
            self.commits.append(commit)
            if commit.stop is not None:
                return commit.stop

    def _run(self, runs: Sequence[Run]) -> Sequence[Effect]:
        if self._session_for is None or not runs:
            return self._execute(runs, self._functions)
        return self._execute(runs, self._functions, session=self._session_for(self.core.cycle))


def number_seeds(seeds: Iterable[Mapping[str, Any]]) -> list[Seed]:
    """Seeds as the engine takes them, numbered from 1 in the order of the submission."""
    return [
        Seed(n, s["key"], s["subject"], s["value"], s.get("confidence", 1.0), s.get("evidence"))
        for n, s in enumerate(seeds, 1)
    ]
