"""What a job would come to: its engine, merged anew from its journal, goes on in memory to the next fixed point.

Pure like the engine: journal, rows and a way to run agents in, a comparison out. Runs that nobody can make here are
left out; what follows from them is marked as unknown rather than guessed (D4.6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from runtime.engine import Core, Effect, Failure, InboxRow, Receipt, Run, Seed
from runtime.engine.eligible import is_eligible
from runtime.engine.tiers import may_recover
from runtime.snapshot import Change, Gap, Question, Snapshot, find_changes, look_at

LEFT_OUT = Failure("unreachable", "It was left out of the preview.", transient=True)
CYCLES = 200


class Execute(Protocol):
    """Runs the agents of one cycle; None for a run that cannot be made here. `out_of_time` ends the forecast."""

    @property
    def out_of_time(self) -> bool: ...

    def run(self, runs: Sequence[Run], cycle: int) -> Sequence[Effect | None]: ...


class LeftOut(NamedTuple):
    """An agent that was not run on some items (None: on the whole), and the keys it writes."""

    agent: str
    items: tuple[str | None, ...]
    keys: tuple[str, ...]


class Forecast(NamedTuple):
    """What a row would do, against what comes without it.

    `result` and `message` are what becomes of the row. `tier_after` holds for certain up to `sure_tier` only.
    `moved` are questions that stay open between other sides.
    `stop_after` is "" where it depends on what is unknown; while `unknown` names anybody it is as far as can be known.
    `unknown_keys` are all that follow from who was left out. `cut` says why the run was not carried to its end.
    """

    result: str
    message: str
    tier_before: int
    tier_after: int
    sure_tier: int
    stop_before: str
    stop_after: str
    causes: Sequence[Gap]
    answer_before: int
    answer_after: int
    changes: list[Change]
    opened: list[Question]
    moved: list[Question]
    closed: list[Question]
    unknown: list[LeftOut]
    unknown_keys: tuple[str, ...]
    cycles: int
    cut: str

    @property
    def is_sure(self) -> bool:
        """Whether nothing was left out."""
        return not self.unknown and not self.cut


class Course(NamedTuple):
    """One fork at its end: the engine, what became of the rows, who was left out where, and why it was cut."""

    core: Core
    receipts: list[Receipt]
    left_out: dict[str, dict[str | None, None]]
    cycles: int
    cut: str


def forecast(
    restore: Callable[[], Core],
    waiting: Sequence[Seed | InboxRow],
    row: InboxRow,
    make_execute: Callable[[], Execute],
    most_cycles: int = CYCLES,
) -> Forecast:
    """What comes of `row` after the rows that are `waiting` to be applied, against what comes of these alone.

    `restore` gives the job's engine as of its last cycle, each time a new one: to copy an engine takes four times as
    long as to merge its journal anew. A job that has settled, and for which nothing waits, is compared as it stands.
    """
    core = restore()
    before_cut = ""
    if waiting or core.stop is None:
        without = follow(core, waiting, make_execute(), most_cycles)
        before, before_cut = look_at(without.core), without.cut
        core = restore()
    else:
        before = look_at(core)
    course = follow(core, [*waiting, row], make_execute(), most_cycles)
    return compare(before, course, row, before_cut)


def follow(
    core: Core, rows: Sequence[Seed | InboxRow], execute: Execute, most_cycles: int = CYCLES
) -> Course:
    """Applies `rows` and runs cycles until the engine stops, time is up, or `most_cycles` were run."""
    receipts: list[Receipt] = []
    left_out: dict[str, dict[str | None, None]] = {}
    given, count = rows, 0
    while True:
        runs = core.begin(given)
        given = ()
        effects = []
        for run, effect in zip(runs, execute.run(runs, core.cycle), strict=True):
            if effect is None:
                left_out.setdefault(run.agent.name, {})[run.item] = None
                effect = Effect(run.agent.name, run.item, failure=LEFT_OUT)
            effects.append(effect)
        commit = core.finish(effects)
        receipts += commit.receipts
        count += 1
        cut = ""
        if execute.out_of_time:
            cut = "It took too long."
        elif commit.stop is None and count >= most_cycles:
            cut = f"It was not at its end after {count} cycles."
        if cut or commit.stop is not None:
            return Course(core, receipts, left_out, count, cut)


def compare(before: Snapshot, course: Course, row: InboxRow, before_cut: str = "") -> Forecast:
    """What is different at the end of `course`."""
    core = course.core
    after = look_at(core)
    missing = _missing_agents(course)
    keys, agents = _downstream(core, missing)
    causes = [gap for gap in after.causes if not _is_of(gap, missing)]
    receipt = next((r for r in course.receipts if r.id == row.id), None)
    cut = course.cut or before_cut
    return Forecast(
        result=receipt.result if receipt else "refused",
        message=receipt.message if receipt else "the job ends before this is applied",
        tier_before=before.tier,
        tier_after=after.tier,
        sure_tier=_sure_tier(core, keys, agents),
        stop_before=before.stop,
        stop_after=_stop_reason(after.stop, causes, bool(missing), cut),
        causes=causes,
        answer_before=before.version,
        answer_after=after.version,
        changes=find_changes(core, before, after, keys),
        opened=[q for q in after.asked() if q[:3] not in before.questions],
        moved=[q for q in after.asked() if before.questions.get(q[:3], q.version) != q.version],
        closed=[q for q in before.asked() if q[:3] not in after.questions],
        unknown=[
            LeftOut(name, tuple(course.left_out.get(name, ())), tuple(sorted(core.ledger.agents[at].writes)))
            for name, at in missing.items()
        ],
        unknown_keys=tuple(sorted(keys)),
        cycles=course.cycles,
        cut=cut,
    )


def _missing_agents(course: Course) -> dict[str, int]:
    """Agents that were left out, in pack order; of a run that was cut, also those that still had work to do."""
    ledger = course.core.ledger
    return {
        agent.spec.name: agent.at
        for agent in ledger.agents
        if agent.spec.name in course.left_out or (course.cut and is_eligible(ledger, agent))
    }


def _downstream(core: Core, missing: Mapping[str, int]) -> tuple[set[str], set[int]]:
    """The keys and agents that follow from what the missing agents may say."""
    ledger, reads = core.ledger, core.plan.reads
    keys: set[str] = set()
    agents = set(missing.values())
    todo = list(agents)
    while todo:
        keys |= ledger.agents[todo.pop()].writes
        reached = {a.at for a in ledger.agents if keys & {*reads[a.at], a.spec.over}} - agents
        agents |= reached
        todo += reached
    return keys, agents


def _sure_tier(core: Core, keys: set[str], agents: set[int]) -> int:
    """The highest tier whose judgement rests on nothing unknown."""
    plan, ledger = core.plan, core.ledger
    tiers = [ledger.agents[at].tier for at in agents] + [plan.keys[key].tier for key in keys]
    for rule in plan.invariants:
        if rule.expression is not None and keys & set(rule.expression.keys):
            tiers.append(int(rule.spec.params.get("tier", 1)))
    return min(tiers, default=plan.top_tier + 1) - 1


def _is_of(gap: Gap, missing: Mapping[str, int]) -> bool:
    """Whether a gap is there because an agent was left out, which is no failure of its own."""
    return gap.get("what") in ("failed", "awaited") and gap.get("agent") in missing


def _stop_reason(reason: str, causes: Sequence[Gap], is_unknown: bool, cut: str) -> str:
    """Why the job would stop, without counting those left out as failed; "" if that cannot be said."""
    if cut:
        return ""
    if not is_unknown or reason not in ("recovering", "waiting", "partial"):
        return reason
    if any(may_recover(dict(gap)) for gap in causes):
        return "recovering"
    return "waiting" if any(gap["what"] in ("conflict", "hold") for gap in causes) else ""
