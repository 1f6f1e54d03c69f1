"""Lineage of real jobs: why each thing stands, why the others do not, and what a tier lacks."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runtime.actions import add_fact, answer_hold, decide_conflict, decide_slot, undo_decision, withdraw_fact
from runtime.deadlines import expire_due
from runtime.lease import database_clock
from runtime.lineage import Lineage, Node, explain_slot, explain_tier, lines_of, text_of, text_of_tier
from runtime.lineage.grow import NAMED, VIEWS
from runtime.models import Conflict, Entry, Job
from tests.runtime.fixtures import Use
from tests.runtime.lineage_packs import CASES, EGG, LIGHT, SHOUT, crowd_seeds, ladder_seeds
from tests.runtime.packs import TIMED_SEEDS
from tests.runtime.stage import person, question, receipt, run, submit

pytestmark = pytest.mark.django_db

PACKS = "tests.runtime.lineage_packs"


def why(job: Job, key: str, subject: str, **more: Any) -> Lineage:
    lineage = explain_slot(job, key, subject, **more)
    assert lineage is not None
    return lineage


def text(job: Job, key: str, subject: str, **more: Any) -> str:
    return text_of(job, why(job, key, subject, **more))


def below(lineage: Lineage, node: Node) -> list[str]:
    """The slots that a node's voices rest on, as `kind key/subject`."""
    return [f"{link.kind} {link.key}/{link.subject}" for s in node.speakers for link in s.links]


@pytest.fixture
def court(use_packs: Use) -> Job:
    use_packs(f"{PACKS}:court")
    return run(submit("court", CASES))


def decide(job: Job, value: str, reason: str) -> Job:
    conflict = question(job)
    decide_conflict(
        person("otto", "operator"), conflict.pk, conflict.version, {"value": value}, reason, receipt()
    )
    return run(job)


def test_fact_is_followed_to_its_seed(court: Job) -> None:
    lineage = why(court, "sentence", "clear")
    top = lineage.top
    assert (top.status, top.value, top.speakers[0].agent, top.speakers[0].rests) == (
        "fact",
        5,
        "sentence",
        "named",
    )
    assert sorted(below(lineage, top)) == ["node case/clear", "node verdict/clear"]
    verdict = next(node for node in lineage.nodes.values() if node.key == "verdict")
    assert (verdict.speakers[0].rests, verdict.speakers[0].shown_in) == ("shown", 1)
    assert below(lineage, verdict) == ["seen case/clear"]
    case = next(node for node in lineage.nodes.values() if node.key == "case")
    assert (case.speakers[0].agent, case.speakers[0].rests, case.speakers[0].links) == ("@seed", "ground", ())
    assert not lineage.is_cut


def test_rule_that_decided_is_named_with_what_it_went_by(court: Job) -> None:
    said = text(court, "verdict", "clear")
    assert 'won by rule "clear margin": 0.90 against 0.40, leads by 0.5, the margin is 0.4' in said
    assert '- "innocent", defend on clear 0.40' in said
    assert 'lost: another side won by rule "clear margin"' in said


def test_contested_slot_tells_its_sides_and_every_rule_that_was_asked(court: Job) -> None:
    lineage = why(court, "verdict", "close")
    assert lineage.top.status == "contested"
    assert {(s.agent, s.value) for s in lineage.top.speakers} == {
        ("accuse", "guilty"),
        ("defend", "innocent"),
    }
    said = text_of(court, lineage)
    assert "Why nothing stands" in said
    assert 'rule "clear margin" did not decide: leads by 0.1, the margin is 0.4' in said
    assert 'rule "the jury" did not decide: jury abstained' in said
    assert lineage.why_not == ()


def test_decision_is_told_with_its_reason_and_what_it_overruled(court: Job) -> None:
    job = decide(court, "guilty", "seen in the CRM")
    said = text(job, "verdict", "close")
    assert 'decided by otto: "seen in the CRM" (#' in said
    assert 'overruled: otto decided "guilty": "seen in the CRM"' in said
    lineage = why(job, "sentence", "close")
    verdict = next(node for node in lineage.nodes.values() if node.key == "verdict")
    assert [reason.kind for reason in verdict.reasons] == ["decision"]


def test_undone_decision_is_among_what_does_not_stand(court: Job) -> None:
    job = decide(court, "guilty", "seen")
    undo_decision(person("ada", "admin"), job.pk, "verdict", "close", "seen wrongly", receipt())
    job = run(job)
    row = next(row for row in why(job, "verdict", "close").why_not if row.outcome == "undone")
    assert (row.who, row.value) == ("otto", "guilty")
    assert 'undone by ada: "seen wrongly"' in row.text


def test_decision_that_nothing_stands_is_the_reason_for_it(court: Job) -> None:
    conflict = question(court)
    decide_conflict(
        person("otto", "operator"), conflict.pk, conflict.version, {"none": True}, "no", receipt()
    )
    said = text(run(court), "verdict", "close")
    assert "verdict / close: nothing stands" in said
    assert 'decided that nothing stands by otto: "no"' in said


def test_held_value_tells_the_rule_that_asks(court: Job) -> None:
    assert '50 waits for approval under rule "the king signs"' in text(court, "sentence", "grave")


@pytest.mark.parametrize(
    ("approves", "says"),
    [(True, 'approved by ada (1 of 1): "long live" (#'), (False, '50 was refused by ada: "long live" (#')],
)
def test_answered_hold_tells_who_answered_and_why(court: Job, approves: bool, says: str) -> None:
    hold = question(court, "hold")
    answer_hold(person("ada", "admin"), hold.pk, hold.version, approves, "long live", receipt())
    assert says in text(run(court), "sentence", "grave")


@pytest.mark.parametrize(
    ("seeds", "slot", "says"),
    [
        (TIMED_SEEDS, ("price", "bread"), 'decided by the deadline: "nobody answered'),
        (
            [{"key": "spend", "subject": "x", "value": 7}],
            ("spend", "x"),
            "7 was refused by the deadline",
        ),
    ],
)
def test_what_the_clock_ruled_is_told_as_the_deadlines_doing(
    use_packs: Use, seeds: list[dict[str, Any]], slot: tuple[str, str], says: str
) -> None:
    use_packs("timed")
    job = run(submit("timed", seeds))
    Conflict.objects.filter(job=job).update(deadline_at=database_clock() - 1)
    expire_due()
    lineage = why(run(job), *slot)
    assert says in text_of(job, lineage)
    assert (lineage.top.value == 3) == (slot[0] == "price")


def test_rejected_proposal_tells_the_constraint_and_its_message(court: Job) -> None:
    lineage = why(court, "sentence", "mad")
    row = lineage.why_not[0]
    assert (lineage.top.status, row.outcome, row.value) == ("empty", "rejected", 500)
    assert row.text.startswith('rejected by constraint "no harsh words": a hundred years is enough')


def test_ruling_is_followed_to_what_the_aggregation_agent_was_shown(use_packs: Use) -> None:
    use_packs(f"{PACKS}:court")
    job = run(submit("court", [*CASES, {"key": "mood", "subject": "jury", "value": "innocent"}]))
    lineage = why(job, "verdict", "close")
    ruler = lineage.top.speakers[0]
    assert (ruler.agent, ruler.ruling, below(lineage, lineage.top)[0]) == ("jury", True, "node mood/jury")
    assert 'won by rule "the jury": jury ruled' in text_of(job, lineage)
    assert [row.outcome for row in lineage.why_not] == ["lost"]


def test_what_a_person_said_is_ground_and_what_was_withdrawn_says_why(court: Job) -> None:
    otto = person("otto", "operator")
    add_fact(otto, court.pk, "mood", "jury", "unclear", 0.8, "", receipt())
    job = run(court)
    speaker = why(job, "mood", "jury").top.speakers[0]
    assert (speaker.agent, speaker.item, speaker.rests) == ("@person", "otto", "ground")
    withdraw_fact(otto, job.pk, "mood", "jury", "", receipt())
    lineage = why(run(job), "mood", "jury")
    assert lineage.top.status == "empty"
    assert "withdrawn by who said it" in lineage.why_not[0].text


def test_earlier_entry_shows_the_lineage_of_then(court: Job) -> None:
    before = court.entries
    job = decide(court, "guilty", "seen")
    assert why(job, "verdict", "close").top.value == "guilty"
    assert why(job, "verdict", "close", at=before).top.status == "contested"
    assert explain_slot(job, "verdict", "close", at=1) is None


def test_fallen_premise_makes_its_fact_provisional_and_says_what_stands_there_now(use_packs: Use) -> None:
    use_packs(f"{PACKS}:frail")
    job = run(submit("frail", LIGHT))
    assert not why(job, "sight", "hall").top.provisional
    version = _version(job, "light", "hall")
    decide_slot(
        person("otto", "operator"), job.pk, "light", "hall", version, {"value": "dark"}, "", receipt()
    )
    job = run(job)
    assert (job.status, job.tier) == ("partial", 0)
    lineage = why(job, "sight", "hall")
    light = next(node for node in lineage.nodes.values() if node.key == "light")
    assert (light.fallen, light.value, light.now.split(" (")[0]) == (
        True,
        "candle",
        '"dark" stands there now',
    )
    assert lineage.top.provisional
    assert "provisional: something it rests on does not stand any more" in text_of(job, lineage)
    tier = text_of_tier(job, explain_tier(job, 1))  # type: ignore[arg-type]
    assert "sight / hall is provisional" in tier
    assert 'does not stand any more; "dark" stands there now' in tier


def _version(job: Job, key: str, subject: str) -> str:
    from converge_site.fragments.slots import read_slot

    view = read_slot(job, key, subject, why=False)
    assert view is not None
    return view.version


def test_repeated_statement_rests_on_what_the_later_run_was_shown(use_packs: Use) -> None:
    """`soft` is said again unchanged after `loud` moved under it: no entry of its own says so."""
    use_packs(f"{PACKS}:echoes")
    job = run(submit("echoes", SHOUT))
    lineage = why(job, "soft", "hill")
    speaker = lineage.top.speakers[0]
    last = Entry.objects.filter(job=job, kind="run", agent="softer").order_by("-seq")[0]
    assert (speaker.again, speaker.shown_in) == (True, last.cycle)
    assert speaker.cycle < last.cycle
    assert not any(node.fallen for node in lineage.nodes.values())
    assert not lineage.top.provisional


def test_what_was_merged_in_its_own_cycle_is_no_premise(use_packs: Use) -> None:
    use_packs(f"{PACKS}:twins")
    job = run(submit("twins", EGG))
    for key in ("left", "right"):
        lineage = why(job, key, "x")
        assert below(lineage, lineage.top) == ["node egg/x"]


def test_loop_ends_in_a_reference_back(use_packs: Use) -> None:
    use_packs(f"{PACKS}:echoes")
    lineage = why(run(submit("echoes", SHOUT)), "loud", "hill", depth=40)
    soft = next(node for node in lineage.nodes.values() if node.key == "soft")
    assert below(lineage, soft) == ["back loud/hill"]
    assert not lineage.is_cut


def test_chain_of_two_hundred_is_told_as_deep_as_asked_and_no_deeper(use_packs: Use) -> None:
    use_packs(f"{PACKS}:ladder")
    job = run(submit("ladder", ladder_seeds(200)))
    assert (job.status, job.facts) == ("converged", 201)
    for depth, nodes in ((0, 1), (4, 5), (40, 41), (10_000, 41)):
        lineage = why(job, "rung", "200", depth=depth)
        assert (len(lineage.nodes), lineage.is_cut) == (nodes, True)
        assert max((line.depth for line in lines_of(lineage)), default=0) <= 41
    foot = why(job, "rung", "3")
    assert [node.subject for node in foot.nodes.values()] == ["3", "2", "1"]
    assert not foot.is_cut


@pytest.mark.parametrize("count", [5, 400])
def test_wide_premises_are_counted_and_not_listed(use_packs: Use, count: int) -> None:
    use_packs(f"{PACKS}:crowd")
    job = run(submit("crowd", crowd_seeds(count)))
    shown, named = why(job, "total", "all"), why(job, "named", "all")
    if count <= NAMED:
        assert len(shown.nodes) == len(named.nodes) == count + 1
        return
    rest = shown.top.speakers[0].rest[0]
    assert (rest.key, rest.count, rest.more, rest.given) == ("head", count, count, True)
    assert f"{count} facts of `head`, a key of seeds" in text_of(job, shown)
    assert len(named.nodes) == NAMED + 1
    assert f"and {count - NAMED} more premises that it named" in text_of(job, named)


def test_questions_to_the_database_do_not_grow_with_the_job(use_packs: Use) -> None:
    use_packs(f"{PACKS}:crowd")
    counts = []
    for size in (3, 40, 600):
        job = run(submit("crowd", crowd_seeds(size)))
        for key in ("total", "named"):
            with CaptureQueriesContext(
                connection,
            ) as asked:
                why(job, key, "all")
            counts.append(len(asked))
    assert max(counts) - min(counts) <= 3, counts
    use_packs(f"{PACKS}:ladder")
    job = run(submit("ladder", ladder_seeds(60)))
    with CaptureQueriesContext(connection) as asked:
        why(job, "rung", "60", depth=8)
    assert len(asked) <= 6 + 8 * 7 + VIEWS


def test_slot_nobody_spoke_of_has_no_lineage(court: Job) -> None:
    assert explain_slot(court, "verdict", "nobody") is None
    assert explain_slot(court, "nothing", "clear") is None


def test_tier_tells_each_missing_thing_one_step_down(court: Job) -> None:
    tier = explain_tier(court, 2)
    assert tier is not None
    assert not tier.is_reached
    heard, settled = tier.tiers
    assert [(one.what, one.key, one.subject) for one in heard.missing] == [("conflict", "verdict", "close")]
    conflict = heard.missing[0].lineage
    assert conflict is not None
    assert {s.value for s in conflict.top.speakers} == {"guilty", "innocent"}
    assert {(one.what, one.subject) for one in settled.missing} == {("hold", "grave"), ("rejected", "mad")}
    refused = next(one for one in settled.missing if one.what == "rejected")
    assert refused.lineage is not None
    assert refused.lineage.why_not[0].value == 500


def test_reached_tier_tells_since_when_and_the_runs_that_prove_it(court: Job) -> None:
    job = decide(court, "guilty", "")
    tier = explain_tier(job, 1)
    assert tier is not None
    entry = Entry.objects.filter(job=job, kind="tier").order_by("-seq")
    judged = next(e for e in entry if e.data["tier"] == 1)
    assert (tier.top.state, tier.top.cycle, tier.top.seq) == ("reached", judged.cycle, judged.seq)
    assert [proof.agent for proof in tier.top.proof] == ["accuse", "defend", "jury"]
    assert all(proof.seq for proof in tier.top.proof)


def test_failed_agent_is_named_with_class_and_tool(use_packs: Use) -> None:
    from tests.runtime.packs import ASKER_SEEDS

    use_packs("asker")
    job = run(submit("asker", ASKER_SEEDS))
    tier = explain_tier(job, 2)
    assert tier is not None
    (failed,) = tier.top.missing
    assert (failed.what, failed.agent, failed.tool) == ("failed", "ask", "oracle")
    assert failed.notes[0].startswith("So it did on 1 more")
    assert "It may recover, and is tried again by itself." in failed.notes


def test_tier_of_a_job_without_a_cycle_is_not_judged(use_packs: Use) -> None:
    use_packs(f"{PACKS}:court")
    job = submit("court", CASES)
    tier = explain_tier(job, 2)
    assert tier is not None
    assert [story.state for story in tier.tiers] == ["unjudged", "unjudged"]
    assert "It waits for a runtime." in text_of_tier(job, tier)
    assert explain_tier(job, 0) is None
    assert explain_tier(job, 3) is None


def test_claim_dropped_since_the_judgement_is_not_called_reached(court: Job) -> None:
    job = decide(court, "guilty", "")
    Job.objects.filter(pk=job.pk).update(tier=0, status="running")  # as the engine does while the tier works
    job.refresh_from_db()
    tier = explain_tier(job, 1)
    assert tier is not None
    assert (tier.is_reached, tier.top.state) == (False, "stale")


def test_text_shows_no_control_or_direction_characters(use_packs: Use) -> None:
    use_packs("echo")
    job = run(submit("echo", [{"key": "said", "subject": "hill", "value": "a\x1b[31m\u202eb\nc"}]))
    said = text(job, "echo", "hill")
    assert all(c.isprintable() or c == "\n" for c in said)
    assert "\\u202e" in said
