"""Whether what settled a question is still in force, and may be undone: a decision, or a refusal of what was held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User

from converge_site.fragments.conflicts import Card
from converge_site.fragments.slot_version import answers_in_force, decision_in_force, version_of
from converge_site.fragments.voices import fold_voices
from runtime.actions.permissions import Verdict, may
from runtime.engine.versions import REFUSALS_ARE_UNDONE
from runtime.models import Decision, Entry
from runtime.store import slot_history


@dataclass(frozen=True, slots=True)
class Undoing:
    """`version` is that of the slot, on which an undo is made; `pending` an act on the slot that waits to be applied;
    `is_known` whether the form was sent before."""

    is_in_force: bool
    version: str = ""
    pending: Decision | None = None
    is_known: bool = False


def may_undo(user: User, card: Card) -> Verdict:
    """Whether this person may undo what settled a question: whoever might have answered it."""
    if card.conflict.kind == "hold":
        return may(user, "approve", conflict=card.conflict)
    return may(user, "decide", card.job, card.conflict)


def read_undoing(card: Card, receipt: str = "") -> Undoing:
    """Looks at the slot of a settled question."""
    conflict, answer = card.conflict, card.answer
    if receipt and Decision.objects.filter(receipt=receipt).exists():
        return Undoing(False, is_known=True)
    if conflict.status == "open" or answer is None or answer.act not in ("decide", "refuse", "expire"):
        return Undoing(False)
    entries = slot_history(card.job, conflict.key, conflict.subject)
    if answer.pk not in _rows_in_force(card, entries):
        return Undoing(False)
    sent = Decision.objects.filter(job=card.job, key=conflict.key, subject=conflict.subject)
    pending = sent.filter(status="pending", act__in=("decide", "undo")).order_by("-id").first()
    candidates = [voice for voice in fold_voices(entries) if not voice.ruling]
    return Undoing(True, version_of(conflict.key, conflict.subject, entries, candidates), pending)


def _rows_in_force(card: Card, entries: Sequence[Entry]) -> list[int]:
    """The rows of the inbox that an undo would take back now."""
    if card.conflict.kind == "hold":
        undoable = card.job.engine_version >= REFUSALS_ARE_UNDONE
        return answers_in_force(entries) if undoable else []
    ruling = decision_in_force(entries)
    return [ruling.data["row"]] if ruling is not None else []
