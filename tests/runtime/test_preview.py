"""A preview of a decision on a real job: it equals what then comes, writes nothing, and sends nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from redis import Redis

from runtime import preview as previewing
from runtime import store
from runtime.actions import Refused, answer_hold, decide_conflict
from runtime.actions.deciding import check_decision
from runtime.actions.sync_packs import sync_packs
from runtime.agents import Pack, find_pack, propose
from runtime.engine import Fact, InboxRow, Proposal, View
from runtime.forecast import Forecast
from runtime.models import Agent, Conflict, Job, Tool
from runtime.preview import preview, row_for
from runtime.tools.flaky import FlakyTools
from runtime.tools.gate import shared_gate
from tests.runtime.fixtures import Use
from tests.runtime.packs import ASKER_SEEDS, PANEL_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def growth(flaky_tools: FlakyTools, empty_queue: Redis) -> Job:
    """The growth sample, waiting for two decisions."""
    for tool in ("search", "writer"):
        flaky_tools.mode(tool, "ok")
        shared_gate().reset(tool)
    sync_packs()
    pack = find_pack("growth")
    assert pack is not None
    return run(submit("growth", pack.sample_seeds()))


@pytest.fixture
def panel(use_packs: Use, empty_queue: Redis) -> Job:
    """Two judges who disagree about one case."""
    use_packs("panel")
    return run(submit("panel", PANEL_SEEDS))


@pytest.fixture
def asker(use_packs: Use, empty_queue: Redis) -> Iterator[FlakyTools]:
    use_packs("asker")
    with FlakyTools() as simulator:
        Tool.objects.filter(name="oracle").update(url=f"{simulator.url}/search")
        Agent.objects.filter(name="explain").update(enabled=False)
        yield simulator


def foresee(conflict: Conflict, by: User, choice: dict[str, Any]) -> Forecast:
    found, made = check_decision(by, conflict.pk, conflict.version, choice)
    return preview(found.job, row_for(by, found, conflict.version, made)).forecast


def everything() -> dict[str, list[Any]]:
    """Every row of every table."""
    return {m._meta.db_table: sorted(map(repr, m._default_manager.values_list())) for m in apps.get_models()}


Facts = dict[tuple[str, str], tuple[Any, float]]


def facts_of(job: Job) -> Facts:
    rows = store.standing(job)
    return {(r.key, r.subject): (r.value, r.confidence) for r in rows if r.status == "fact"}


def foreseen_facts(now: Facts, said: Forecast) -> Facts:
    found = dict(now)
    for change in said.changes:
        found.pop((change.key, change.subject), None)
        if change.after.status == "fact":
            found[change.key, change.subject] = (change.after.value, change.after.confidence)
    return found


def assert_came_true(job: Job, now: Facts, asked: set[tuple[str, str, str]], said: Forecast) -> None:
    """The job, after the decision was applied, is what was foreseen, wherever that did not call itself unknown."""

    def known(facts: Facts) -> Facts:
        return {slot: fact for slot, fact in facts.items() if slot[0] not in said.unknown_keys}

    assert known(foreseen_facts(now, said)) == known(facts_of(job))
    assert min(job.tier, said.sure_tier) == min(said.tier_after, said.sure_tier)
    assert job.status == said.stop_after
    gone, come = {q[:3] for q in said.closed}, {q[:3] for q in said.opened}
    assert asked - gone | come == open_questions(job)


def open_questions(job: Job) -> set[tuple[str, str, str]]:
    rows = Conflict.objects.filter(job=job, status="open")
    return set(rows.values_list("kind", "key", "subject"))


@pytest.mark.parametrize(
    "choice", [{"value": "saturated"}, {"value": "promising"}, {"value": "fading"}, {"none": True}]
)
def test_growth_comes_as_foreseen_at_every_question(
    growth: Job, flaky_tools: FlakyTools, choice: dict[str, Any]
) -> None:
    otto = person("otto", "operator")
    answered = 0
    for _ in range(3):
        conflict = Conflict.objects.filter(job=growth, status="open").order_by("id").first()
        if conflict is None:
            break
        hold = conflict.kind == "hold"
        made = {"approve": True} if hold else choice
        now, asked = facts_of(growth), open_questions(growth)
        sent = flaky_tools.requests("search") + flaky_tools.requests("writer")
        said = foresee(conflict, otto, made)
        assert flaky_tools.requests("search") + flaky_tools.requests("writer") == sent
        assert said.stop_before == "waiting" and said.result == "applied"
        if hold:
            answer_hold(otto, conflict.pk, conflict.version, True, receipt=receipt())
        else:
            decide_conflict(otto, conflict.pk, conflict.version, made, receipt=receipt())
        assert_came_true(run(growth), now, asked, said)
        answered += 1
    assert answered == 3 if "value" in choice else answered


def test_an_agent_that_would_ask_something_new_is_named_with_all_that_follows(growth: Job) -> None:
    otto = person("otto", "operator")
    first, second = Conflict.objects.filter(job=growth, status="open").order_by("id")
    decide_conflict(otto, first.pk, first.version, {"value": "saturated"}, receipt=receipt())
    run(growth)
    said = foresee(second, otto, {"value": "saturated"})
    assert [agent.agent for agent in said.unknown] == ["write-summary"]
    assert said.unknown_keys == ("summary",)
    assert not said.is_sure
    assert (said.stop_after, said.sure_tier) == (
        "waiting",
        2,
    )  # the plan waits to be signed, whatever is written
    assert "write-summary" not in str(said.causes)  # left out, not failed
    assert {c.key for c in said.changes if c.unknown} <= {"summary"}
    assert {"strategy", "plan.split"} <= {c.key for c in said.changes if not c.unknown}


def test_nothing_is_written_and_nothing_is_queued(growth: Job, empty_queue: Redis) -> None:
    otto = person("otto", "operator")
    empty_queue.flushall()
    before = everything()
    for conflict in Conflict.objects.filter(job=growth, status="open"):
        for choice in ({"value": "saturated"}, {"value": "fading"}, {"none": True}):
            foresee(conflict, otto, choice)
    assert everything() == before
    assert empty_queue.keys("*rq*") == []


def test_a_question_asked_before_is_answered_from_the_record(asker: FlakyTools) -> None:
    job = run(submit("asker", ASKER_SEEDS))
    row = InboxRow(0, "add_fact", "otto", "question", "new", "is it new?")
    sent = asker.requests("search")
    said = preview(job, row).forecast
    assert [(agent.agent, agent.items) for agent in said.unknown] == [("ask", ("new",))]
    assert said.sure_tier == 1 and said.unknown_keys == ("opinion",)

    gone = InboxRow(0, "decide", "otto", "question", "big", none=True)
    tell(job, "decide", "otto", key="question", subject="big", payload={"none": True})
    job = run(job)
    assert (job.facts, job.tier) == (3, 2)
    back = preview(job, InboxRow(0, "undo", "otto", "question", "big"))
    assert back.recalled == ("ask",)
    assert back.forecast.is_sure
    assert {(c.key, c.how) for c in back.forecast.changes} == {
        ("question", "added"),
        ("length", "added"),
        ("opinion", "added"),
    }
    assert preview(job, gone).forecast.changes == []
    assert asker.requests("search") == sent


def test_a_recorded_failure_that_may_pass_is_no_answer(asker: FlakyTools) -> None:
    asker.mode("search", "down")
    job = run(submit("asker", ASKER_SEEDS))
    assert job.status == "recovering"
    said = preview(job, InboxRow(0, "retry", "otto")).forecast
    assert [agent.agent for agent in said.unknown] == ["ask"]
    assert (said.stop_before, said.stop_after) == ("recovering", "")


def test_acts_that_wait_are_applied_first_and_are_no_part_of_the_difference(panel: Job) -> None:
    conflict = question(panel)
    tell(panel, "add_fact", "ada", key="case", subject="another", payload={"value": {}})
    said = preview(panel, row_for(person("ivy", "operator"), conflict, conflict.version, {"value": "yes"}))
    assert said.waiting == 1
    assert {(c.key, c.subject) for c in said.forecast.changes} == {("verdict", "doubtful")}
    assert [q.kind for q in said.forecast.moved] == ["hold"]  # of a plan that counts one more


def test_a_stale_row_is_said_to_do_nothing(panel: Job) -> None:
    conflict = question(panel)
    said = preview(panel, row_for(person("ivy", "operator"), conflict, "0" * 16, {"value": "yes"})).forecast
    assert said.result == "stale"
    assert said.changes == [] and said.closed == []


def test_what_an_action_refuses_is_refused_before_anything_runs(panel: Job) -> None:
    conflict, ivy = question(panel), person("ivy", "operator")
    for user, version, choice, code in (
        (person("vera", "viewer"), conflict.version, {"value": "yes"}, "forbidden"),
        (ivy, "0" * 16, {"value": "yes"}, "stale"),
        (ivy, conflict.version, {"value": "perhaps"}, "invalid"),
        (person("otto", "operator"), None, {"approve": True}, "forbidden"),
    ):
        about = question(panel, "hold") if "approve" in choice else conflict
        with pytest.raises(Refused) as refused:
            check_decision(user, about.pk, version or about.version, choice)
        assert refused.value.code == code


def test_an_approval_that_is_not_the_last_changes_nothing_yet(panel: Job) -> None:
    hold = question(panel, "hold")
    said = foresee(hold, person("ivy", "operator"), {"approve": True})
    assert (said.result, said.message) == ("applied", "approved, 1 of 2")
    assert said.changes == [] and said.closed == []
    refused = foresee(hold, person("ivy", "operator"), {"approve": False})
    assert [q.kind for q in refused.closed] == ["hold"]


def test_a_job_that_has_ended_has_no_preview(panel: Job) -> None:
    conflict = question(panel)
    tell(panel, "cancel", "otto")
    row = row_for(person("ivy", "operator"), conflict, conflict.version, {"none": True})
    with pytest.raises(Refused) as refused:
        preview(run(panel), row)
    assert refused.value.code == "gone"


# Code that misbehaves

trap = Pack("trap", tiers=["Sprung"], answer=["seen"])
trap.key("bait", seed=True)
trap.key("seen")
trap.key("note")
springs: dict[str, Callable[[], object]] = {}


@trap.each("bait", writes=["seen"], required=True, timeout=60)
def spring(bait: Fact, view: View) -> Proposal:
    """Does what a test left for it."""
    if bait.value in springs:
        springs[bait.value]()
    return propose("seen", bait.subject, bait.value)


@trap.agent(reads=["seen"], writes=["note"])
def note(view: View) -> Proposal:
    """Counts."""
    return propose("note", "all", len(view["seen"]))


@pytest.fixture
def trapped(use_packs: Use, empty_queue: Redis) -> Iterator[Job]:
    """A job into which a bait may be thrown that does something."""
    use_packs(f"{__name__}:trap")
    yield run(submit("trap", [{"key": "bait", "subject": "a", "value": "plain"}]))
    springs.clear()


def throw(job: Job, value: str, seconds: float = previewing.SECONDS) -> Forecast:
    return preview(job, InboxRow(0, "add_fact", "otto", "bait", "b", value), seconds).forecast


def test_an_agent_that_does_not_come_back_cuts_the_preview(trapped: Job) -> None:
    def spin() -> None:
        while True:
            pass

    springs["endless"] = spin
    said = throw(trapped, "endless", seconds=0.2)
    assert said.cut == "It took too long."
    assert [agent.agent for agent in said.unknown] == ["spring"]
    assert said.unknown_keys == ("note", "seen")
    assert (said.stop_after, said.sure_tier) == ("", 0)
    assert throw(trapped, "quick").is_sure  # its place is free again


def test_an_agent_that_blocks_is_left_behind(trapped: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    springs["stuck"] = lambda: free.wait(60)
    monkeypatch.setattr(previewing, "GRACE", 0.1)
    with pytest.raises(Refused, match="take too long"):
        throw(trapped, "stuck", seconds=0.1)
    free.set()


def test_an_agent_that_reaches_outside_by_itself_is_stopped_and_unknown(trapped: Job) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def call() -> None:
            socket.create_connection(server.getsockname(), timeout=5).close()

        springs["impure"] = call
        said = throw(trapped, "impure")
        with pytest.raises(TimeoutError):
            server.accept()
        call()  # anywhere else it may
    assert [agent.agent for agent in said.unknown] == ["spring"]
    assert said.unknown_keys == ("note", "seen")


def test_a_job_that_goes_on_for_ever_is_cut_by_cycles(use_packs: Use, empty_queue: Redis) -> None:
    use_packs("walk")
    job = run(submit("walk", [{"key": "step", "subject": "100", "value": 100}]))
    row = InboxRow(0, "add_fact", "otto", "step", "1", 1)
    case = previewing.read_case(job)
    make = lambda: previewing.RecordedRuns(  # noqa: E731
        case, previewing.functions_for(case.pack), previewing.RecordedCalls(()), float("inf")
    )
    said = previewing.forecast(case.restore, case.waiting, row, make, most_cycles=3)
    assert said.cut == "It was not at its end after 3 cycles."
    assert [agent.agent for agent in said.unknown] == ["go-on"]
    assert said.stop_after == ""


def test_a_job_that_moves_while_it_is_read_is_read_again(panel: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    read = store.pending_rows
    moves = iter([2, 1])

    def move(job_id: int) -> list[InboxRow]:
        if next(moves, 0):
            tell(panel, "add_fact", "ada", key="case", subject=receipt(), payload={"value": {}})
            run(Job.objects.get(pk=panel.pk))
        return read(job_id)

    monkeypatch.setattr(store, "pending_rows", move)
    case = previewing.read_case(Job.objects.get(pk=panel.pk))
    assert len(case.cycles) == Job.objects.get(pk=panel.pk).cycle
    assert connection.vendor and case.restore().cycle == len(case.cycles)
