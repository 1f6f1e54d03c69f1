"""Reads what a run returned, against the frozen view: what is refused here was never said (D3, D3.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from runtime.engine.compiled import KeyPlan
from runtime.engine.eligible import Run
from runtime.engine.expr import ExpressionError
from runtime.engine.inputs import Call, Effect, Failure, Malformed, Proposal
from runtime.engine.ledger import AgentState, Ledger
from runtime.engine.state import FACT, Premises, Slot
from runtime.engine.values import (
    MAX_KEY,
    MAX_NAME,
    THOUSAND,
    BoundsError,
    canonical,
    check_name,
    parse,
    thousandths,
)

MAX_PROPOSALS = 200_000
MAX_EVIDENCE_BYTES = 16 * 1024

_new = tuple.__new__  # see log.py


class Statement(NamedTuple):
    """A proposal in good order. `because` are the entries it names, None for all it was shown."""

    key: str
    subject: str
    raw: bytes
    conf: int
    evidence: bytes
    premises: Premises
    because: list[int] | None


class Rejected(NamedTuple):
    """A proposal that is refused, with as much of it as can be written down."""

    key: str
    subject: str
    raw: bytes | None
    conf: int | None
    evidence: bytes
    because: list[int] | None
    reason: str
    rule: str = ""
    malformed: bool = False


class Prepared(NamedTuple):
    """One run with its statements and rejections in the order proposed, or its failure; and its calls of tools."""

    run: Run
    agent: AgentState
    said: list[Statement | Rejected]
    failure: Failure | None
    calls: Sequence[Call]


def prepare(ledger: Ledger, run: Run, effect: Effect) -> Prepared:
    """Checks every proposal of a run. Nothing is changed."""
    agent = ledger.agents[run.voice.at]
    if effect.failure is not None:
        return Prepared(run, agent, [], effect.failure, effect.calls)
    proposals = effect.proposals
    if len(proposals) > MAX_PROPOSALS:
        message = f"returned {len(proposals):,} proposals; the limit of one run is {MAX_PROPOSALS:,}"
        return Prepared(run, agent, [], Failure("bad_output", message), effect.calls)
    checked: list[Statement | Rejected] = []
    for proposal in proposals:  # one run often says one thing: a comprehension would cost as much again
        checked.append(check_proposal(ledger, agent, run, proposal))
    said = checked if len(checked) < 2 else _refuse_twice_said(checked)
    return _new(Prepared, (run, agent, said, None, effect.calls))


def check_proposal(
    ledger: Ledger, agent: AgentState, run: Run, proposal: Proposal | Malformed
) -> Statement | Rejected:
    """One proposal as a statement, or why not."""
    if type(proposal) is not Proposal:
        if isinstance(proposal, Malformed):
            return _malformed(*proposal)
        return _malformed(f"is a {type(proposal).__name__}, not a proposal")
    key, subject, value, confidence, evidence_given, because_given = proposal
    try:
        if (
            type(key) is not str
            or key not in agent.writes
            or type(subject) is not str
            or not subject.isprintable()
            or not 0 < len(subject) <= MAX_NAME
        ):
            check_name("key", key, MAX_KEY)
            check_name("subject", subject)
        conf = (
            round(confidence * 1000)
            if type(confidence) is float and 0 <= confidence <= 1
            else thousandths(confidence)
        )
        raw = canonical(value)
        evidence = _check_evidence(evidence_given) if evidence_given else b""
    except BoundsError as error:
        at = (key, subject) if type(key) is str and type(subject) is str else ("", "")
        return _malformed(str(error), *at)
    premises, because = run.premises, None
    refusal = ""
    if because_given is not None:
        premises, because, refusal = _named_premises(ledger, run, because_given)
        if refusal:
            return _malformed(refusal, key, subject, raw, conf, evidence)
    elif agent.spec.append:
        refusal = "an agent that only adds must name what each statement rests on (because=)"
    if not refusal and key not in agent.writes:
        refusal = f"`{agent.spec.name}` may not write `{key}`; it writes {', '.join(sorted(agent.writes))}"
    rule = ""
    if not refusal and ledger.plan.keys[key].is_checked:
        refusal, rule = check_value(ledger, agent.spec.name, key, subject, raw, conf, evidence)
    if not refusal and agent.spec.shape == "aggregate" and subject != run.item:
        refusal = f"a ruling on `{run.item}` cannot speak about `{subject}`"
    if refusal:
        return Rejected(key, subject, raw, conf, evidence, because, refusal, rule)
    return _new(Statement, (key, subject, raw, conf, evidence, premises, because))


def _malformed(
    reason: str,
    key: str = "",
    subject: str = "",
    raw: bytes | None = None,
    conf: int | None = None,
    evidence: bytes = b"",
) -> Rejected:
    """Bounded, so that what is written down about nonsense is no nonsense itself."""
    clean = [
        t if t.isprintable() and len(t) <= most else "" for t, most in ((key, MAX_KEY), (subject, MAX_NAME))
    ]
    printable = "".join(c if c.isprintable() else "�" for c in reason[:500])
    return Rejected(clean[0], clean[1], raw, conf, evidence, None, printable, malformed=True)


def _check_evidence(evidence: Any) -> bytes:
    plain = dict(evidence) if not isinstance(evidence, dict) else evidence
    return canonical(plain, MAX_EVIDENCE_BYTES)


def _named_premises(ledger: Ledger, run: Run, named: Any) -> tuple[Premises, list[int] | None, str]:
    """Premises an agent named: each must be a fact it was shown."""
    pairs: dict[Slot, bytes] = {}
    own = dict(run.premises.pairs)
    try:
        for key, subject in named:
            state = ledger.keys.get(key)
            slot = state.slots.get(subject) if state is not None else None
            if (
                slot is None
                or slot.status != FACT
                or slot.raw is None
                or not (slot in own or key in run.view.keys)
            ):
                return run.premises, None, f"rests on ({key}, {subject}), a fact it was not shown"
            pairs[slot] = slot.raw
    except (TypeError, ValueError):
        return run.premises, None, "because= must list (key, subject) pairs or facts"
    seqs = sorted({slot.seq for slot in pairs})
    ordered = tuple(sorted(pairs.items(), key=lambda p: (p[0].key, p[0].subject)))
    return Premises(ordered, None, False), seqs, ""


def check_value(
    ledger: Ledger, agent: str, key: str, subject: str, raw: bytes, conf: int, evidence: bytes
) -> tuple[str, str]:
    """Schema and constraints, which bind agents, seeds and people alike. Gives (why refused or "", the rule)."""
    plan = ledger.plan.keys[key]
    if plan.schema is not None:
        error = next(iter(plan.schema.iter_errors(parse(raw))), None)
        if error is not None:
            where = "/".join(str(part) for part in error.instance_path)
            return f"{'at ' + where + ': ' if where else ''}{error.message}"[:500], ""
    return (
        _check_constraints(ledger, plan, agent, subject, raw, conf, evidence)
        if plan.constraints
        else ("", "")
    )


def _check_constraints(
    ledger: Ledger, plan: KeyPlan, agent: str, subject: str, raw: bytes, conf: int, evidence: bytes
) -> tuple[str, str]:
    names = {
        "agent": agent,
        "key": plan.spec.name,
        "subject": subject,
        "value": parse(raw),
        "confidence": conf / THOUSAND,
        "evidence": parse(evidence or b"{}"),
    }
    for rule in plan.constraints:
        assert rule.expression is not None
        try:
            if rule.expression.holds(names, ledger.lookups()):
                continue
            why = rule.spec.message or f"breaks the constraint: {rule.spec.expression}"
        except ExpressionError as error:
            why = f"the constraint could not be evaluated, so it denies: {error}"
        return f"{rule.spec.name}: {why}"[:500], rule.spec.name
    return "", ""


def _refuse_twice_said(checked: list[Statement | Rejected]) -> list[Statement | Rejected]:
    """A run that says two things about one slot has said nothing about it that can be trusted."""
    counts = Counter((s.key, s.subject) for s in checked if s.subject)
    if len(counts) == len(checked):
        return checked
    return [
        Rejected(s.key, s.subject, s.raw, s.conf, s.evidence, s.because, "the slot is said twice in one run")
        if type(s) is Statement and counts[s.key, s.subject] > 1
        else s
        for s in checked
    ]
