"""The test bench: what the rules of a pack make of candidates that somebody made up, by the engine's own merge.

Nothing is run and nothing is written: a slot is filled by hand, and it is told who was refused, which rules were asked
in which order, and what stands. Pure over the frozen pack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runtime.engine import AgentSpec, Effect, InboxRow, PackSpec, Proposal, RuleSpec, Run, Seed
from runtime.engine.compiled import Compiled, compile_pack
from runtime.engine.desk import apply_row, apply_seed
from runtime.engine.flush import flush
from runtime.engine.ledger import Ledger
from runtime.engine.merge import merge_run
from runtime.engine.policies import asked_by
from runtime.engine.prepare import Prepared, Rejected, prepare
from runtime.engine.resolve import Standing, resolve
from runtime.engine.spec import PERSON, SEED
from runtime.engine.state import CONTESTED, FACT, GROUND, HELD, Slot
from runtime.engine.values import THOUSAND, parse
from runtime.engine.view import View

MOST_CANDIDATES = 50
MOST_FACTS = 500

Ending = Literal["nothing", "stands", "contested", "held"]


@dataclass(frozen=True, slots=True)
class Made:
    """One candidate that somebody made up: a value, how sure (0..1), of which agent (or @seed, @person), on which item,
    and with what evidence."""

    value: Any
    confidence: float = 1.0
    agent: str = SEED
    item: str = ""
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A candidate that is not said, by its place in what was given; `rule` is the constraint that refused it, if one
    did."""

    at: int
    made: Made
    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class BenchVoice:
    """Who says what a side says. `confidence` is 0..1."""

    agent: str
    item: str | None
    confidence: float
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BenchSide:
    """One of the values said, the strongest first; `wins` if it is what stands, or would with an approval."""

    value: Any
    confidence: float
    voices: tuple[BenchVoice, ...]
    wins: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A rule in the order asked. `asked` is False for those below the one that ended it."""

    rule: RuleSpec
    asked: bool
    decided: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of it. `rule` is the one that decided or holds, "" if none was needed; `held_by` the approval rule
    that holds the value, `people` the operator rule by whose policy people are asked. `waits_for` is an aggregation
    agent that would be asked and is not run here. `facts_refused` are the given facts that were not said, with why."""

    ending: Ending
    value: Any
    confidence: float
    rule: str
    people: RuleSpec | None
    waits_for: str
    sides: tuple[BenchSide, ...]
    steps: tuple[Step, ...]
    held_by: RuleSpec | None
    refused: tuple[Refusal, ...]
    facts_refused: tuple[str, ...]


def try_out(
    pack: PackSpec, key: str, subject: str, candidates: Sequence[Made], facts: Sequence[Seed] = ()
) -> Verdict:
    """What stands in `key` for `subject` when all `candidates` are said at once, beside `facts`.

    Raises PackError if no job could run under the pack, KeyError for a key that it has not.
    """
    plan = compile_pack(pack)
    ledger = Ledger(plan)
    ledger.slot(key, subject)
    by_agent = {agent.name: agent for agent in plan.agents}
    facts_refused = [why for fact in facts for why in _say_fact(ledger, fact)]
    refused = _say_rows(ledger, key, subject, candidates, len(facts) + 1)
    flush(ledger)  # from here on agents are shown it
    runs = _runs_of(ledger, by_agent, candidates)
    prepared = [_prepare(ledger, run, key, subject, said) for run, said in runs]
    for (_, said), done in zip(runs, prepared, strict=True):
        refused += [
            Refusal(at, made, why.reason, why.rule)
            for (at, made), why in zip(said, done.said, strict=True)
            if isinstance(why, Rejected)
        ]
        merge_run(ledger, done)
    refused += _nobodies(by_agent, candidates)
    slot = ledger.slot(key, subject)
    standing = resolve(slot, plan.keys[key], plan.index, pack.submitter)
    return _verdict(plan, slot, standing, refused, facts_refused)


def _said_by_person(at: int, made: Made, key: str, subject: str) -> InboxRow:
    """Each is another person, or the later would take the earlier one's words back."""
    return InboxRow(
        id=at,
        act="add_fact",
        by=made.item or f"person {at + 1}",
        key=key,
        subject=subject,
        value=made.value,
        confidence=made.confidence,
    )


def _say_fact(ledger: Ledger, fact: Seed) -> list[str]:
    """Says a fact; gives why not, if it is refused."""
    rejected = _rejected_by(ledger, fact)
    return [f"{fact.key} / {fact.subject}: {rejected['reason']}"] if rejected else []


def _say_rows(
    ledger: Ledger, key: str, subject: str, candidates: Sequence[Made], first: int
) -> list[Refusal]:
    """Says what seeds and people say, which comes before any agent speaks. Seeds are numbered from `first`."""
    refused = []
    for at, made in enumerate(candidates):
        if made.agent == SEED:
            seed = Seed(first + at, key, subject, made.value, made.confidence, made.evidence)
            rejected = _rejected_by(ledger, seed)
            if rejected:
                refused.append(Refusal(at, made, rejected["reason"], rejected.get("rule", "")))
        elif made.agent == PERSON:
            receipt = apply_row(ledger, _said_by_person(at, made, key, subject))
            if receipt.result != "applied":
                refused.append(Refusal(at, made, receipt.message))
    return refused


def _rejected_by(ledger: Ledger, seed: Seed) -> dict[str, Any]:
    """Says a seed; gives the entry that tells of its refusal, {} if there is none."""
    before = len(ledger.log.entries)
    apply_seed(ledger, seed)
    found = [parse(entry.body) for entry in ledger.log.entries[before:] if entry.kind == "rejected"]
    return found[0] if found else {}


def _runs_of(
    ledger: Ledger, by_agent: Mapping[str, AgentSpec], candidates: Sequence[Made]
) -> list[tuple[Run, list[tuple[int, Made]]]]:
    """A run for each voice, with what it says. An agent that goes over items speaks on another one each time, unless
    the item is given."""
    found: dict[tuple[str, str | None], list[tuple[int, Made]]] = {}
    for at, made in enumerate(candidates):
        spec = by_agent.get(made.agent)
        if spec is not None and spec.shape != "aggregate":
            item = None if spec.shape == "whole" else made.item or f"item {at + 1}"
            found.setdefault((spec.name, item), []).append((at, made))
    states = {state.spec.name: state for state in ledger.agents}
    return [
        (Run(states[name].spec, item, View({}), states[name].voice(item), None, GROUND), said)
        for (name, item), said in found.items()
    ]


def _prepare(ledger: Ledger, run: Run, key: str, subject: str, said: Sequence[tuple[int, Made]]) -> Prepared:
    """Resting on nothing: premises are not what is tried here."""
    proposals = [
        Proposal(key, subject, made.value, made.confidence, made.evidence, because=()) for _, made in said
    ]
    return prepare(ledger, run, Effect(run.agent.name, run.item, proposals))


def _nobodies(by_agent: Mapping[str, AgentSpec], candidates: Sequence[Made]) -> list[Refusal]:
    """Candidates of who does not speak as a side at all."""
    found = []
    for at, made in enumerate(candidates):
        spec = by_agent.get(made.agent)
        if made.agent in (SEED, PERSON) or (spec is not None and spec.shape != "aggregate"):
            continue
        why = (
            f"`{made.agent}` rules on conflicts of `{spec.over}`; what it says is no side"
            if spec is not None
            else f"the pack has no agent `{made.agent}` that is switched on; it has {', '.join(by_agent)}"
        )
        found.append(Refusal(at, made, why))
    return found


def _verdict(
    plan: Compiled, slot: Slot, standing: Standing, refused: Sequence[Refusal], facts_refused: Sequence[str]
) -> Verdict:
    key = plan.keys[slot.key]
    trace = standing.trace or []
    asked = {step["rule"]: step for step in trace}
    rules = [rule.spec for rule in key.resolution]
    contested = standing.status == CONTESTED
    leaves = asked_by(trace) if contested else ""
    shown = standing.raw if standing.raw is not None else standing.would
    return Verdict(
        ending=_ENDINGS.get(standing.status, "nothing"),
        value=parse(shown) if shown is not None else None,
        confidence=standing.strength / THOUSAND,
        rule=standing.rule or "",
        people=next((rule for rule in rules if rule.name == leaves), None),
        waits_for=plan.agents[standing.asked[-1]].name if contested and standing.asked else "",
        sides=_sides(slot, shown),
        steps=tuple(_step(rule, asked.get(rule.name)) for rule in rules),
        held_by=next((r.spec for r in key.approvals if r.spec.name == standing.rule), None),
        refused=tuple(sorted(refused, key=lambda refusal: refusal.at)),
        facts_refused=tuple(facts_refused),
    )


_ENDINGS: dict[int, Ending] = {FACT: "stands", CONTESTED: "contested", HELD: "held"}


def _step(rule: RuleSpec, said: Mapping[str, Any] | None) -> Step:
    if said is None:
        return Step(rule, asked=False)
    return Step(rule, asked=True, decided=bool(said["decided"]), why=str(said["why"]))


def _sides(slot: Slot, shown: bytes | None) -> tuple[BenchSide, ...]:
    found = [
        BenchSide(
            value=parse(raw),
            confidence=max(cand.conf for cand in cands) / THOUSAND,
            voices=tuple(
                BenchVoice(c.voice.agent, c.voice.item, c.conf / THOUSAND, parse(c.evidence or b"{}"))
                for c in cands
            ),
            wins=raw == shown,
        )
        for raw, cands in slot.sides().items()
    ]
    return tuple(sorted(found, key=lambda side: -side.confidence))
