"""What a preview says is what then comes: for random jobs, any choice, and any agents that cannot be asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.engine import Commit, Core, Effect, InboxRow, Run
from runtime.engine.premises import provisional_facts
from runtime.engine.replay import replay
from runtime.forecast import Forecast, compare, follow, forecast
from runtime.snapshot import look_at
from tests.engine.lockstep import effect_of, recorded, row_of, run_engine, standing
from tests.engine.naive_sides import text
from tests.engine.packs_strategy import Act, Case, acts, cases, confidences, values

telling = st.builds(  # acts after which agents run
    Act,
    cycle=st.just(1),
    act=st.sampled_from(["respond", "respond", "respond", "add_fact", "reverse"]),
    pick=st.integers(0, 11),
    by=st.sampled_from(["ada", "ivy"]),
    value=values,
    confidence=confidences,
)


jobs = cases()
ENDS = ("exhausted", "oscillating", "cancelled", "invalid")


class Toys:
    """Runs the case's toys; those in `absent` cannot be asked."""

    out_of_time = False

    def __init__(self, case: Case, absent: Sequence[str] = ()) -> None:
        self.case, self.absent = case, absent

    def run(self, runs: Sequence[Run], cycle: int) -> list[Effect | None]:
        return [None if run.agent.name in self.absent else effect_of(self.case, run) for run in runs]


def choice_for(core: Core, act: Act) -> InboxRow:
    """The row that a person's act would be, as a preview takes it."""
    return replace(row_of(core, 1, act), id=0)


def decide(case: Case, core: Core, row: InboxRow) -> list[Commit]:
    """Really decides: the running engine goes on with the row until it stops."""
    commits: list[Commit] = []
    rows = [row]
    while not commits or commits[-1].stop is None:
        runs = core.begin(rows)
        rows = []
        commits.append(core.finish([effect_of(case, run) for run in runs]))
    return commits


def foresee(case: Case, commits: Sequence[Commit], row: InboxRow, absent: Sequence[str] = ()) -> Forecast:
    journal = recorded(commits)
    return forecast(lambda: replay(case.pack, journal), (), row, lambda: Toys(case, absent))


def contents(commits: Sequence[Commit]) -> list[list[dict[str, Any]]]:
    return [[json.loads(entry.body) for entry in commit.entries] for commit in commits]


@given(jobs, acts)
def test_a_preview_equals_what_then_comes(case: Case, act: Act) -> None:
    core, commits = run_engine(case)
    row = choice_for(core, act)
    said = foresee(case, commits, row)
    before, stood = look_at(core), facts_of(core)
    done = decide(case, core, row)
    after = look_at(core)

    assert (said.result, said.message) == done[0].receipts[0][1:]
    assert (said.tier_before, said.tier_after, said.sure_tier) == (
        before.tier,
        after.tier,
        core.plan.top_tier,
    )
    assert (said.stop_before, said.stop_after) == (before.stop, after.stop)
    assert list(said.causes) == list(after.causes)
    assert (said.answer_before, said.answer_after) == (before.version, after.version)
    assert said.cycles == len(done)
    assert said.is_sure and said.unknown_keys == ()
    assert apply_changes(stood, said) == facts_of(core)
    asked = {q[:3] for q in before.asked()} - {q[:3] for q in said.closed} | {q[:3] for q in said.opened}
    assert asked == {q[:3] for q in after.asked()}
    assert {q for q in after.asked() if q not in before.asked()} == {*said.opened, *said.moved}


@given(jobs, acts)
def test_a_fork_writes_the_very_entries_that_the_journal_then_gets(case: Case, act: Act) -> None:
    core, commits = run_engine(case)
    row = choice_for(core, act)
    fork = replay(case.pack, recorded(commits))
    course = follow(fork, [row], Toys(case))
    done = decide(case, core, row)
    assert (fork.digest, fork.last_seq, course.receipts) == (core.digest, core.last_seq, done[0].receipts)
    assert contents([done[-1]]) == [[json.loads(entry.body) for entry in fork.ledger.log.entries]]


@given(jobs, telling, st.integers(1, 3))
def test_what_does_not_rest_on_agents_left_out_comes_as_foreseen(case: Case, act: Act, pick: int) -> None:
    core, commits = run_engine(case)
    names = [agent.name for agent in case.pack.agents]
    absent = [name for at, name in enumerate(names) if pick >> at & 1]
    row = choice_for(core, act)
    said = foresee(case, commits, row, absent)
    stood = facts_of(core)
    decide(case, core, row)
    after = look_at(core)
    # A run that is cut short, and where, may depend on anything.
    assume(said.stop_after not in ENDS and after.stop not in ENDS)
    assert set(absent) >= {agent.agent for agent in said.unknown}

    def known(facts: dict[Any, Any]) -> dict[Any, Any]:
        return {slot: look for slot, look in facts.items() if slot[0] not in said.unknown_keys}

    assert known(apply_changes(stood, said)) == known(facts_of(core))
    assert min(said.tier_after, said.sure_tier) == min(after.tier, said.sure_tier)
    for question in said.opened + said.moved:
        assert question.key in said.unknown_keys or question in after.asked()
    for question in said.closed:
        assert question.key in said.unknown_keys or question[:3] not in after.questions


@given(jobs, acts)
def test_a_preview_leaves_the_engine_it_came_from_alone(case: Case, act: Act) -> None:
    core, commits = run_engine(case)
    row = choice_for(core, act)
    before = look_at(core), core.digest, core.last_seq
    first = foresee(case, commits, row)
    assert foresee(case, commits, row) == first
    assert (look_at(core), core.digest, core.last_seq) == before


Facts = dict[tuple[str, str], tuple[str, int, bool]]


def facts_of(core: Core) -> Facts:
    """What stands, read from the engine itself: value, confidence in thousandths, provisional or not."""
    loose = {(slot.key, slot.subject) for slot in provisional_facts(core.ledger)}
    return {slot: (*look, slot in loose) for slot, look in standing(core).items()}


def apply_changes(facts: Facts, said: Forecast) -> Facts:
    """The facts there would be: those there are, with every change made."""
    facts = dict(facts)
    for change in said.changes:
        slot = (change.key, change.subject)
        assert (slot in facts) == (change.before.status == "fact")
        facts.pop(slot, None)
        if change.after.status == "fact":
            look = change.after
            facts[slot] = (text(look.value), round(look.confidence * 1000), look.provisional)
    return facts


def test_compare_is_told_about_rows_that_were_never_applied() -> None:
    """After a cancel in the same inbox nothing is answered."""
    from tests.engine.jobs import Job, pack, whole

    job = Job(pack(whole("a", writes="k")))
    job.run()
    before = look_at(job.core)
    row = InboxRow(0, "decide", "otto", "k", "s", 1)

    class Nobody:
        out_of_time = False

        def run(self, runs: Sequence[Run], cycle: int) -> list[Effect | None]:
            return [None for _ in runs]

    course = follow(job.core, [InboxRow(1, "cancel", "ada"), row], Nobody())
    said = compare(before, course, row)
    assert (said.result, said.stop_after) == ("refused", "cancelled")
