"""Everything is a projection of the journal: what it folds to is what the engine holds (invariants 1, 2, 4, 11)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import given

from runtime.engine import GENESIS, KINDS, OUTCOMES, Core
from tests.engine.lockstep import run_engine, standing
from tests.engine.naive_sides import Slot, text
from tests.engine.packs_strategy import Case, cases
from tests.engine.twins import contested_slots


@given(cases())
def test_the_fold_of_the_journal_is_what_stands(case: Case) -> None:
    core, commits = run_engine(case)
    shown: dict[Slot, tuple[str, int]] = {}
    conflicts: dict[Slot, list[Any]] = {}
    holds: dict[Slot, str] = {}
    for body in (json.loads(e.body) for c in commits for e in c.entries):
        slot = (body.get("key", ""), body.get("subject", ""))
        if "now" in body:
            shown.pop(slot, None)
            if body["now"] == "fact":
                shown[slot] = (text(body["value"]), body.get("strength", body.get("conf")))
        if body["kind"] == "conflict":
            fold_conflict(conflicts, slot, body)
        if body["kind"] == "approval" and body["action"] == "asked":
            holds[slot] = text(body["value"])
        elif body["kind"] == "approval" and body["action"] == "lapsed":
            holds.pop(slot, None)
    assert shown == standing(core)
    assert set(conflicts) == contested_slots(core), "open conflicts are the contested slots"
    assert held(core).items() <= holds.items()


def fold_conflict(open_now: dict[Slot, list[Any]], slot: Slot, body: dict[str, Any]) -> None:
    """Opened, changed and closed, each only where it may."""
    assert (slot in open_now) == (body["action"] != "opened")
    if body["action"] == "closed":
        assert body["how"] in ("decided", "agreed", "ruled", "withdrawn")
        del open_now[slot]
    else:
        assert len(body["sides"]) > 1
        open_now[slot] = body["sides"]


def held(core: Core) -> dict[Slot, str]:
    """What waits for approval: slot -> value text."""
    slots = [s for state in core.ledger.keys.values() for s in state.held]
    return {(s.key, s.subject): text(json.loads(s.would or b"null")) for s in slots}


@given(cases())
def test_entries_are_numbered_without_a_gap_of_closed_kinds_and_chained(case: Case) -> None:
    core, commits = run_engine(case)
    digest, seq = GENESIS, 1
    for number, commit in enumerate(commits, 1):
        assert (commit.number, commit.first_seq) == (number, seq)
        cycle = b"[" + b",".join(e.body for e in commit.entries) + b"]"
        digest = hashlib.sha256(digest.encode() + cycle).hexdigest()
        assert commit.digest == digest
        seq += len(commit.entries)
        for entry in commit.entries:
            body = json.loads(entry.body)
            assert entry.kind in KINDS
            assert (entry.kind, entry.agent, entry.key) == (
                body["kind"],
                body.get("agent", ""),
                body.get("key", ""),
            )
            assert (
                entry.body
                == json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
            )
    assert core.last_seq == seq - 1


@given(cases())
def test_every_proposal_of_a_changed_statement_has_one_outcome_with_a_reason_if_it_failed(case: Case) -> None:
    _, commits = run_engine(case)
    for commit in commits:
        said: dict[tuple[str, Any, str, str], int] = {}
        for entry in commit.entries:
            if entry.kind in OUTCOMES:
                body = json.loads(entry.body)
                name = (entry.agent, body.get("item"), entry.key, entry.subject)
                said[name] = said.get(name, 0) + (entry.kind != "rejected")
                assert body.get("reason") or entry.kind in ("accepted", "confirmed", "revised", "won")
        assert all(times <= 1 for (agent, *_), times in said.items() if agent not in ("@person",))
