"""Lineage is read from the journal; the engine knows. What lineage says of premises, and of what fell, must be what
the engine holds, for every fact of jobs in which things moved."""

from __future__ import annotations

import pytest

from runtime.actions import add_fact, decide_conflict, decide_slot, undo_decision
from runtime.agents import find_pack
from runtime.engine import Core
from runtime.engine.premises import _was_fact, provisional_facts, standing_ruling
from runtime.engine.state import FACT, Candidate, Premises, Slot
from runtime.lineage import Speaker, explain_slot
from runtime.lineage.explain import VOICES
from runtime.lineage.grow import NAMED
from runtime.models import Conflict, Job
from runtime.store import load_core
from tests.runtime.fixtures import Use
from tests.runtime.lineage_packs import CASES, LIGHT, SHOUT
from tests.runtime.stage import person, receipt, run, submit

pytestmark = pytest.mark.django_db

PACKS = "tests.runtime.lineage_packs"


def facts_of(core: Core) -> list[Slot]:
    return [
        slot for state in core.ledger.keys.values() for slot in state.slots.values() if slot.status == FACT
    ]


def check_all(job: Job, most: int = 10_000) -> int:
    """Compares every fact of a job with the engine that was merged anew; gives how many."""
    core = load_core(job)
    provisional = provisional_facts(core.ledger)
    facts = facts_of(core)[:most]
    for slot in facts:
        lineage = explain_slot(job, slot.key, slot.subject, depth=1)
        assert lineage is not None
        where = f"{slot.key} / {slot.subject}"
        assert lineage.top.status == "fact", where
        assert round((lineage.top.confidence or 0) * 1000) == slot.strength, where
        assert lineage.top.seq == slot.seq, where
        assert lineage.top.provisional == (slot in provisional), where
        said = {(c.voice.agent, c.voice.item or ""): c for c in slot.cands if c.raw == slot.raw}
        told = {(s.agent, s.item): s for s in lineage.top.speakers if not s.ruling}
        assert len(told) == min(len(said), VOICES - sum(s.ruling for s in lineage.top.speakers)), where
        for name, speaker in told.items():
            check_voice(core, said[name], speaker, {n.seq: n.fallen for n in lineage.nodes.values()}, where)
        if slot.desk is None or slot.desk.verdict is None:
            ruled = standing_ruling(core.ledger, slot) is not None
            assert any(s.ruling for s in lineage.top.speakers) == ruled, where
    return len(facts)


def check_block(
    core: Core, premises: Premises, speaker: Speaker, own: set[tuple[str, str]], where: str
) -> None:
    """How many facts of each key the run was shown. One that said so again may have been shown more since."""
    block = premises.block
    for key in block.keys if block is not None else ():
        slots = core.ledger.keys[key].slots.values()
        held = sum(_was_fact(block, slot) for slot in slots)
        rest = next((rest for rest in speaker.rest if rest.key == key), None)
        links = [link for link in speaker.links if link.key == key and (key, link.subject) not in own]
        told = rest.count if rest else len(links)
        assert (told >= held) if speaker.again else (told == held), (where, key, told, held)


def check_voice(core: Core, cand: Candidate, speaker: Speaker, fallen: dict[int, bool], where: str) -> None:
    premises = cand.premises
    named = {(slot.key, slot.subject) for slot, _ in premises.pairs}
    links = {(link.key, link.subject) for link in speaker.links}
    if speaker.rests == "ground":
        assert not named and premises.block is None, where
        return
    if premises.default:
        assert speaker.rests == "shown", where
        assert named <= links, where
        check_block(core, premises, speaker, named, where)
    elif len(named) <= NAMED:
        assert (speaker.rests, links) == ("named", named), where
    fell = any(fallen.get(link.seq) for link in speaker.links) or any(rest.fallen for rest in speaker.rest)
    assert fell == (not premises.hold()), where


def test_growth_job_through_decisions(use_packs: Use) -> None:
    from runtime.actions.sync_packs import sync_packs

    sync_packs()
    otto = person("otto", "operator")
    pack = find_pack("growth")
    assert pack is not None
    job = run(submit("growth", pack.sample_seeds()))
    assert check_all(job) > 50
    for row in Conflict.objects.filter(job=job, status="open", kind="conflict"):
        decide_conflict(otto, row.pk, row.version, {"value": "saturated"}, "so I think", receipt())
    job = run(job)
    assert check_all(job) > 50
    undo_decision(otto, job.pk, "outlook", "Trade fairs", "no", receipt())
    seed = next(s for s in pack.sample_seeds() if s["key"] == "channel")
    add_fact(otto, job.pk, "channel", "Balloons", {**seed["value"]}, 0.9, "new", receipt())
    assert check_all(run(job)) > 50


def test_incident_job(use_packs: Use) -> None:
    from runtime.actions.sync_packs import sync_packs

    sync_packs()
    pack = find_pack("incident")
    assert pack is not None
    assert check_all(run(submit("incident", pack.sample_seeds()))) > 30


@pytest.mark.parametrize("again", [False, True])
def test_loop(use_packs: Use, again: bool) -> None:
    use_packs(f"{PACKS}:echoes")
    job = run(submit("echoes", SHOUT))
    if again:
        add_fact(person("otto", "operator"), job.pk, "shout", "hill", 8, 0.9, "", receipt())
        job = run(job)
    assert check_all(job) == 3


def test_premises_that_fell(use_packs: Use) -> None:
    use_packs(f"{PACKS}:frail")
    otto = person("otto", "operator")
    job = run(submit("frail", [*LIGHT, {"key": "light", "subject": "roof", "value": "sun"}]))
    check_all(job)
    from converge_site.fragments.slots import read_slot

    for value in ("dark", "lamp", "candle", "dark"):
        view = read_slot(job, "light", "hall", why=False)
        assert view is not None
        decide_slot(otto, job.pk, "light", "hall", view.version, {"value": value}, "", receipt())
        job = run(job)
        assert check_all(job) == 6


def test_court(use_packs: Use) -> None:
    use_packs(f"{PACKS}:court")
    otto = person("otto", "operator")
    job = run(submit("court", [*CASES, {"key": "mood", "subject": "jury", "value": "innocent"}]))
    check_all(job)
    for mood in ("unclear", "guilty"):
        add_fact(otto, job.pk, "mood", "jury", mood, 1.0, "", receipt())
        job = run(job)
        check_all(job)
