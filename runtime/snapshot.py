"""How a job stands at a moment, and in what two moments differ: facts, questions to people, tier, stop. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runtime.engine import Core
from runtime.engine.desk import slot_version
from runtime.engine.state import FACT, HELD, STATUS_NAMES
from runtime.engine.values import THOUSAND, parse

Gap = Mapping[str, Any]
SlotName = tuple[str, str]
_Look = tuple[int, bytes | None, int, bool]


class Shown(NamedTuple):
    """What a slot shows: `status` is fact, contested, held or empty; `value` that of a fact, or the one held;
    `confidence` 0..1, undiscounted."""

    status: str
    value: Any = None
    confidence: float = 0.0
    provisional: bool = False


class Change(NamedTuple):
    """A slot whose fact would differ. `how`: added, changed, withdrawn, surer, less sure, provisional, firm.

    `unknown`: it rests on agents that could not be asked, so `after` may be another.
    """

    key: str
    subject: str
    how: str
    before: Shown
    after: Shown
    in_answer: bool
    unknown: bool


class Question(NamedTuple):
    """A conflict or a hold."""

    kind: str
    key: str
    subject: str
    version: str


class Snapshot(NamedTuple):
    """How a job stands: everything a forecast compares."""

    tier: int
    stop: str
    causes: Sequence[Gap]
    version: int
    slots: dict[SlotName, _Look]
    questions: dict[tuple[str, str, str], str]

    def asked(self) -> list[Question]:
        """The open questions, by kind, key and subject."""
        return [Question(*name, version) for name, version in sorted(self.questions.items())]


def look_at(core: Core) -> Snapshot:
    """How a job stands now."""
    slots: dict[SlotName, _Look] = {}
    questions: dict[tuple[str, str, str], str] = {}
    provisional = core.closing.provisional
    for key, state in core.ledger.keys.items():
        for subject, slot in state.slots.items():
            if slot.status:
                raw = slot.would if slot.status == HELD else slot.raw
                slots[key, subject] = (slot.status, raw, slot.strength, slot in provisional)
        for kind, asked in (("conflict", state.contested), ("hold", state.held)):
            questions.update({(kind, key, slot.subject): slot_version(slot) for slot in asked})
    stop = core.stop
    return Snapshot(
        core.tier,
        stop.reason if stop else "",
        stop.causes if stop else (),
        core.closing.version,
        slots,
        questions,
    )


def find_changes(core: Core, before: Snapshot, after: Snapshot, unknown: set[str]) -> list[Change]:
    """Slots whose fact differs, by key in pack order, then subject."""
    differ = [s for s in {**before.slots, **after.slots} if before.slots.get(s) != after.slots.get(s)]
    place = {key: at for at, key in enumerate(core.plan.keys)}
    found = []
    for key, subject in sorted(differ, key=lambda s: (place[s[0]], s[1])):
        old, new = before.slots.get((key, subject)), after.slots.get((key, subject))
        how = _how(old, new)
        if how:
            in_answer = core.plan.keys[key].answers
            found.append(Change(key, subject, how, _shown(old), _shown(new), in_answer, key in unknown))
    return found


def _how(old: _Look | None, new: _Look | None) -> str:
    """In which way a fact changed; "" if there is none before or after."""
    stood, stands = old is not None and old[0] == FACT, new is not None and new[0] == FACT
    if not (stood and stands):
        return "withdrawn" if stood else "added" if stands else ""
    assert old is not None and new is not None
    if old[1] != new[1]:
        return "changed"
    if old[2] != new[2]:
        return "surer" if new[2] > old[2] else "less sure"
    return "provisional" if new[3] else "firm"


def _shown(look: _Look | None) -> Shown:
    if look is None:
        return Shown("empty")
    status, raw, strength, provisional = look
    return Shown(
        STATUS_NAMES[status], parse(raw) if raw is not None else None, strength / THOUSAND, provisional
    )
