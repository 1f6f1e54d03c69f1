"""Deciding conflicts and holds: permission, a compare-and-set on the version, an inbox row (D9.2)."""

from __future__ import annotations

from functools import partial
from typing import Any

import jsonschema_rs
from django.db.models import Max, QuerySet

from runtime.actions.audit import Person
from runtime.actions.inbox import add_row, check_slot, check_value, find_job
from runtime.actions.permissions import require, rules_that_ask
from runtime.actions.refusals import Refused
from runtime.actions.texts import shorten
from runtime.engine import KeySpec, PackSpec
from runtime.engine.values import canonical
from runtime.models import Conflict, Decision, Job

Choice = dict[str, Any]


def decide_conflict(
    user: Person,
    conflict_id: int,
    version: str,
    choice: Choice,
    reason: str = "",
    receipt: str = "",
    *,
    batch: str = "",
) -> Decision:
    """Decides an open conflict: `{"value": v}` lets v stand, `{"none": True}` lets nothing stand.

    `batch` is the receipt of a form that decides several at once (`runtime.actions.bulk`).
    Raises Refused: forbidden; stale (it was decided or has changed: `version` is no longer current); invalid; gone.
    """
    conflict = find_conflict(conflict_id)
    require(user, "decide", conflict.job, conflict)
    if conflict.kind != "conflict":
        raise Refused("This waits for an approval, not for a choice between sides.", code="invalid")
    _check_reason(conflict.job, conflict.key, reason, conflict)
    payload = _check_choice(conflict.job, conflict.key, choice)
    return add_row(
        user,
        conflict.job,
        "decide",
        receipt,
        reason,
        partial(_check_current, conflict, version),
        conflict=conflict,
        kept=speakers_kept(conflict, payload),
        batch=batch,
        **_asked(conflict, version, payload),
    )


def decide_slot(
    user: Person,
    job_id: int,
    key: str,
    subject: str,
    version: str,
    choice: Choice,
    reason: str = "",
    receipt: str = "",
) -> Decision:
    """Decides any slot of a job, contested or not: how an oscillation is settled (D2.8). `version` "" skips the
    comparison. Raises Refused as `decide_conflict` does."""
    job = find_job(job_id)
    check_slot(key, subject)
    question = _last_question(job, key, subject)
    require(user, "decide", job, question, key)
    find_key(job, key)
    _check_reason(job, key, reason, question)
    payload = _check_choice(job, key, choice)
    if question is not None and question.status == "open" and question.kind == "conflict":
        check = partial(_check_current, question, version or question.version)
        said = {"conflict": question, "kept": speakers_kept(question, payload)}
        return add_row(
            user, job, "decide", receipt, reason, check, **said, **_asked(question, version, payload)
        )
    return add_row(
        user, job, "decide", receipt, reason, key=key, subject=subject, version=version, payload=payload
    )


def undo_decision(
    user: Person,
    job_id: int,
    key: str,
    subject: str,
    reason: str = "",
    receipt: str = "",
    *,
    version: str = "",
) -> Decision:
    """Takes the decision on a slot back, as a new decision (D3.7); where there is none, what was refused there, or let
    pass at a deadline. `version` "" skips the comparison."""
    job = find_job(job_id)
    check_slot(key, subject)
    decided = _decision_in_force(job, key, subject)
    refused = None if decided is not None else _answered_hold(job, key, subject)
    question = decided.conflict if decided is not None else refused
    require(user, "approve" if refused is not None else "decide", job, question, key)
    find_key(job, key)
    _check_reason(job, key, reason, question)
    return add_row(user, job, "undo", receipt, reason, key=key, subject=subject, version=version)


def answer_hold(
    user: Person,
    conflict_id: int,
    version: str,
    approve: bool,
    reason: str = "",
    receipt: str = "",
    *,
    batch: str = "",
) -> Decision:
    """Approves or refuses the very value that is held. Raises Refused as `decide_conflict` does."""
    conflict = find_conflict(conflict_id)
    require(user, "approve", conflict.job, conflict)
    if conflict.kind != "hold":
        raise Refused("This is a conflict to decide, not a value to approve.", code="invalid")
    _check_reason(conflict.job, conflict.key, reason, conflict)
    return add_row(
        user,
        conflict.job,
        "approve" if approve else "refuse",
        receipt,
        reason,
        partial(_check_answerable, conflict, version, user, approve),
        conflict=conflict,
        key=conflict.key,
        subject=conflict.subject,
        version=version,
        batch=batch,
    )


def check_decision(user: Person, conflict_id: int, version: str, choice: Choice) -> tuple[Conflict, Choice]:
    """Refuses what `decide_conflict` and `answer_hold` would, and writes nothing: for whoever wants to look ahead.

    For a hold the choice is {"approve": bool}. Gives the conflict, and the choice as it would be put in the inbox.
    """
    conflict = find_conflict(conflict_id)
    if conflict.kind == "hold":
        require(user, "approve", conflict.job, conflict)
        if "approve" not in choice:
            raise Refused("Approve or refuse the value that is held.", field="choice", code="invalid")
        _check_answerable(conflict, version, user, choice["approve"])
        return conflict, choice
    require(user, "decide", conflict.job, conflict)
    _check_current(conflict, version)
    return conflict, _check_choice(conflict.job, conflict.key, choice)


def side_kept(conflict: Conflict, choice: Choice) -> int | None:
    """The place of the side whose value is chosen; None for another value, or for none."""
    if "value" not in choice:
        return None
    chosen = canonical(choice["value"])
    values = (canonical(side["value"]) for side in conflict.sides)
    return next((place for place, value in enumerate(values) if value == chosen), None)


def speakers_kept(conflict: Conflict, choice: Choice) -> list[str]:
    """Who speaks on the side that is chosen, as `runtime.shapes` names them; [] if none of the sides is."""
    place = side_kept(conflict, choice)
    return [] if place is None else list(conflict.sides[place].get("speakers", ()))


def find_conflict(conflict_id: int) -> Conflict:
    """The conflict or hold. Raises Refused(code="gone") if there is none."""
    conflict = Conflict.objects.select_related("job", "job__pack").filter(pk=conflict_id).first()
    if conflict is None:
        raise Refused("There is no such conflict.", code="gone")
    return conflict


def _last_question(job: Job, key: str, subject: str) -> Conflict | None:
    """What people are asked about a slot, or were asked when they decided it; None if they were not."""
    decided = _decision_in_force(job, key, subject)
    if decided is not None:
        return decided.conflict
    waiting = Conflict.objects.filter(job=job, key=key, subject=subject, status="open")
    return waiting.select_related("job").first()


def _decision_in_force(job: Job, key: str, subject: str) -> Decision | None:
    """The decision that stands on a slot, a person's or that of a deadline."""
    on_slot = Decision.objects.filter(job=job, key=key, subject=subject, status="applied")
    rows = on_slot.filter(act__in=("decide", "undo", "expire")).exclude(act="expire", conflict__kind="hold")
    last = rows.select_related("conflict__job").order_by("-id").first()
    return last if last is not None and last.act != "undo" else None


def _answered_hold(job: Job, key: str, subject: str) -> Conflict | None:
    """The last approval that was refused on a slot, or that a deadline let pass."""
    answered = Conflict.objects.filter(job=job, kind="hold", key=key, subject=subject, status="closed")
    return answered.filter(outcome__in=("refused", "passed")).select_related("job").order_by("-id").first()


def _asked(conflict: Conflict, version: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The columns of a row that answers a question: under another rule, with another policy, it is another one."""
    said = {**payload, "on": conflict.rule} if conflict.policy else payload
    return {"key": conflict.key, "subject": conflict.subject, "version": version, "payload": said}


def _check_reason(job: Job, key: str, reason: str, conflict: Conflict | None = None) -> None:
    """Refuses an answer without a reason where a rule that asks for it wants one."""
    if any(letter.isprintable() and not letter.isspace() for letter in reason):
        return
    pack = PackSpec.from_json(job.frozen_spec())
    for rule in rules_that_ask(pack, key, conflict):
        if rule.params.get("reason"):
            raise Refused(
                f"The rule “{rule.name}” asks for a reason; say why.", field="reason", code="invalid"
            )


def _check_current(conflict: Conflict, version: str) -> None:
    """A stale decision is refused before it is written; the engine compares once more when it applies the row.

    The job's row is locked by now: neither a runtime nor another person changes what is read here.
    """
    conflict.refresh_from_db(fields=["status", "version", "outcome", "closed_cycle"])
    earlier = _valid_rows(conflict, conflict.version, "decide", "refuse", "expire").first()
    if earlier is not None and earlier.act == "expire":
        raise Refused("Its deadline has passed, and what the rule says for that is done.", code="stale")
    if earlier is not None:
        raise Refused(f"{earlier.by_name} has decided this already.", code="stale")
    if conflict.status != "open":
        how = f" ({conflict.outcome})" if conflict.outcome else ""
        raise Refused(f"This is closed{how} since cycle {conflict.closed_cycle}.", code="stale")
    if version != conflict.version:
        raise Refused(
            "The candidates changed while you were looking; here they are as they stand now.", code="stale"
        )


def _check_answerable(conflict: Conflict, version: str, user: Person, approve: bool) -> None:
    _check_current(conflict, version)
    if approve and _valid_rows(conflict, version, "approve").filter(by_id=user.pk).exists():
        raise Refused("You have approved this already.", code="stale")


def _valid_rows(conflict: Conflict, version: str, *acts: str) -> QuerySet[Decision]:
    """What people said about this version of a conflict that counts, or will when it is applied; oldest first."""
    void = ("refused", "stale")
    on_slot = Decision.objects.filter(job_id=conflict.job_id, key=conflict.key, subject=conflict.subject)
    undone = on_slot.filter(act="undo", status="applied").aggregate(last=Max("id"))["last"] or 0
    rows = Decision.objects.filter(conflict=conflict, version=version, act__in=acts, id__gt=undone)
    return rows.exclude(status__in=void).order_by("id")


def _check_choice(job: Job, key: str, choice: Choice) -> dict[str, Any]:
    if choice.get("none"):
        return {"none": True}
    if "value" not in choice:
        raise Refused("Choose one of the candidates, give another value, or reject all.", field="choice")
    try:
        value = choice["value"]
    except RecursionError:
        raise Refused("The value is nested too deep to be read.", field="value") from None
    check_value("value", value)
    check_fits_key(job, key, value)
    return {"value": value}


def find_key(job: Job, key: str) -> KeySpec:
    """A key of the job's frozen pack. Raises Refused if it has none of that name."""
    keys = PackSpec.from_json(job.frozen_spec()).keys
    spec = next((k for k in keys if k.name == key), None)
    if spec is None:
        known = ", ".join(k.name for k in keys)
        raise Refused(f"The key {key!r} is unknown; this job has {known}.", field="key")
    return spec


def check_fits_key(job: Job, key: str, value: Any) -> None:
    """Refuses a value that does not fit the schema of its key in the job's frozen pack."""
    spec = find_key(job, key)
    if not spec.schema:
        return
    error = next(iter(jsonschema_rs.validator_for(dict(spec.schema)).iter_errors(value)), None)
    if error is not None:
        path = "/".join(str(p) for p in error.instance_path)
        said = shorten(f"{path}: {error.message}" if path else error.message)
        raise Refused(f"The value does not fit {key}: {said}.", field="value")
