"""The forms on a slot's page: decide it, say something, withdraw what one said; and a new fact from the job's page."""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User

from converge_site.forms.decide import Option, name_of_value
from converge_site.forms.receipts import new_receipt
from converge_site.forms.typed_values import read_typed_value, words_of_schema
from converge_site.fragments.slots import SlotView
from converge_site.fragments.voices import Voice, form_of, same_value
from runtime.actions import Refused
from runtime.actions.audit import name_of
from runtime.actions.permissions import may
from runtime.models import Decision, Job

SAY_FIELDS = ("value", "confidence", "reason")


@dataclass(frozen=True, slots=True)
class SayForm:
    """What a person says about a slot. `key` and `subject` are inputs only on the form for a new fact."""

    receipt: str
    key: str = ""
    subject: str = ""
    value: str = ""
    confidence: str = "1"
    reason: str = ""
    takes: str = ""
    refused: Refused | None = None

    @property
    def general(self) -> str:
        """What was refused and is about no field of the form."""
        known = self.refused is None or self.refused.field in (*SAY_FIELDS, "key", "subject")
        return "" if known or self.refused is None else self.refused.message


@dataclass(frozen=True, slots=True)
class SlotForms:
    """What this person may do here, and after a refusal what was typed. `cannot` says why there is no form."""

    cannot: str
    pending: Decision | None
    may_undo: bool
    version: str
    options: list[Option] = field(default_factory=list)
    choice: str = ""
    value: str = ""
    reason: str = ""
    decide_receipt: str = ""
    say: SayForm | None = None
    said: Voice | None = None
    other_receipt: str = ""
    refused: Refused | None = None
    act: str = ""

    @property
    def general(self) -> str:
        """What was refused and is about no field of the form."""
        if self.refused is None:
            return ""
        fields = {"decide": ("choice", "value", "reason"), "say": SAY_FIELDS}.get(self.act, ())
        return "" if self.refused.field in fields else self.refused.message


def make_slot_forms(
    user: User,
    view: SlotView,
    act: str = "",
    refused: Refused | None = None,
    typed: Mapping[str, str] | None = None,
) -> SlotForms:
    """The forms for one person; `act` is the form that was `refused` with what was `typed` in it."""
    typed = typed or {}
    if view.job.is_ended:
        return SlotForms(
            "The job has ended; nothing more can be asked of it.", None, False, "", refused=refused
        )
    verdict = may(user, "decide", view.job)
    if not verdict.allowed:
        return SlotForms(verdict.why, None, False, "", refused=refused)
    deciding = typed if act == "decide" else {}
    return SlotForms(
        cannot="",
        pending=pending_decision(view),
        may_undo=view.decided,
        version=view.version,
        # An open conflict brings its own form, on its card.
        options=[] if view.is_contested else _options(view),
        choice=deciding.get("choice", ""),
        value=deciding.get("value", ""),
        reason=deciding.get("reason", ""),
        decide_receipt=new_receipt(),
        say=make_say_form(view.job, view.key, view.subject, typed if act == "say" else {}, refused),
        said=own_voice(user, view),
        other_receipt=new_receipt(),
        refused=refused,
        act=act,
    )


def make_say_form(
    job: Job, key: str, subject: str, typed: Mapping[str, str], refused: Refused | None = None
) -> SayForm:
    """The form to say something in a slot, or in one that is still to be named."""
    spec = next((spec for spec in job.frozen_spec()["keys"] if spec["name"] == key), None)
    return SayForm(
        receipt=new_receipt(),
        key=key,
        subject=subject,
        value=typed.get("value", ""),
        confidence=typed.get("confidence", "1"),
        reason=typed.get("reason", ""),
        takes=words_of_schema(spec.get("schema") or {}) if spec else "",
        refused=refused if typed else None,
    )


def own_voice(user: User, view: SlotView) -> Voice | None:
    """What this person says in the slot now."""
    name = name_of(user)
    return next((v for v in view.voices if (v.agent, v.item) == ("@person", name)), None)


def pending_decision(view: SlotView) -> Decision | None:
    """A decision on the slot that waits to be applied."""
    return next((row for row in view.sent if row.status == "pending" and row.act in ("decide", "undo")), None)


def check_current(view: SlotView, posted: Mapping[str, str]) -> None:
    """Refuses a decision on what is no longer so; the engine compares once more when it applies the row.

    A receipt that is known is no new decision: the action gives the row it made.
    """
    if _is_known(posted.get("receipt", "")):
        return
    pending = pending_decision(view)
    if pending is not None:
        raise Refused(f"{pending.by_name} has decided this already.", code="stale")
    if posted.get("version", "") != view.version:
        message = "What is said here changed while you were looking; here it is as it stands now."
        raise Refused(message, code="stale")


def check_own_voice(user: User, view: SlotView, receipt: str) -> None:
    """Refuses to withdraw what the person does not say, or not any more."""
    if own_voice(user, view) is None and not _is_known(receipt):
        raise Refused("You say nothing here that could be withdrawn.", code="stale")


def _is_known(receipt: str) -> bool:
    return Decision.objects.filter(receipt=receipt).exists()


def read_slot_choice(view: SlotView, posted: Mapping[str, str]) -> dict[str, Any]:
    """What a POST chose: {"value": v} or {"none": True}. Raises Refused, with the field at fault."""
    choice = posted.get("choice", "")
    if choice == "none":
        return {"none": True}
    if choice == "other":
        return {"value": read_typed_value(view.job, view.key, posted.get("value", ""))}
    for value in _choices(view):
        if choice == name_of_value(value):
            return {"value": value}
    raise Refused("Choose one of the answers first.", field="choice")


def read_confidence(text: str) -> float:
    """A confidence as typed. Raises Refused."""
    try:
        confidence = float(text.strip().replace(",", "."))
    except ValueError:
        confidence = -1.0
    if not 0 <= confidence <= 1:
        raise Refused("Give a number from 0 to 1, like 0.8.", field="confidence")
    return confidence


def _options(view: SlotView) -> list[Option]:
    said = {form_of(value) for value in view.sides}
    options = [
        Option(name_of_value(value), _label(view, value, said), has_value=True, value=value)
        for value in _choices(view)
    ]
    return [*options, Option("none", "Nothing stands"), Option("other", "Another value")]


def _choices(view: SlotView) -> list[Any]:
    """The values said now; what stands without being said (a decision, a ruling); and what stood before."""
    said = {form_of(value) for value in view.sides}
    unsaid = [view.value] if view.status == "fact" and form_of(view.value) not in said else []
    return [*view.sides, *unsaid, *view.earlier]


def _label(view: SlotView, value: Any, said: Container[Hashable]) -> str:
    if view.status == "fact" and same_value(value, view.value):
        return "Stands now:"
    return "Said now:" if form_of(value) in said else "Stood before:"
