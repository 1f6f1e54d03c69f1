"""The pack `claims`: many sources make claims about the same things and disagree; which are true, and whom to trust?

Every claim speaks as a candidate for its slot's verdict, so governance sees the sources side by side. `belief` (how
likely each label of a disputed slot is) and `trust` (what is known of each source) are worked out from each other in
turns, in tier 1, until neither changes; `estimate` tells the method. In tier 2 an aggregation agent rules on each
disputed slot by its belief, and abstains where the lead is below the margin the person set: those are left to the
operator. What a person decides counts as certain for trust from then on.

Whether some sources dominate, and whether newer beats older, are rules, off by default: an admin switches them on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from runtime.agents import Budget, Pack, Problem, propose, ruling
from runtime.agents.saying import Ruling
from runtime.engine import Fact, Facts, Proposal, Sides, View
from runtime.packs.claims.claim import claim_from_seed, claims_to_seeds, slot_subject, to_label
from runtime.packs.claims.estimate import Beliefs, estimate_beliefs, estimate_trust
from runtime.packs.claims.reading import Reading, read_claims_csv, read_claims_json
from runtime.packs.claims.score import pick_verdict
from runtime.packs.claims.tabulate import Table, tabulate_claims
from runtime.packs.claims.trust import Trust

MARGIN = 0.05
MARGIN_LINE = "# near-tie margin:"
CERTAIN = 1.0  # what stands in a disputed slot with full confidence was decided by a person or a rule
MOST_CERTAIN_RULING = 0.999


def read_csv(text: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Claims from CSV; a first line `# near-tie margin: 0.1` sets the margin below which people decide."""
    first, _, rest = text.removeprefix("\ufeff").partition("\n")
    if not first.lower().startswith(MARGIN_LINE):
        return _read_claims(text)
    try:
        margin = float(first[len(MARGIN_LINE) :].strip().rstrip(","))
    except ValueError:
        return [], [Problem(1, "near-tie margin", "The margin must be a number from 0 to 1, such as 0.1.")]
    seeds, problems = _read_claims(rest)
    problems = [Problem(p.line + 1 if p.line else 0, p.field, p.message) for p in problems]
    return [{"key": "setting", "subject": "near-tie margin", "value": margin}, *seeds], problems


def read_json(text: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Claims from a JSON list of objects with the fields that CSV has as columns."""
    return _to_seeds(read_claims_json(text))


def _read_claims(text: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    return _to_seeds(read_claims_csv(text))


def _to_seeds(reading: Reading) -> tuple[list[dict[str, Any]], list[Problem]]:
    problems = [Problem(p.line, p.field, p.message) for p in reading.problems]
    return claims_to_seeds(reading.claims), problems


pack = Pack(
    "claims",
    title="Which claims are true?",
    description="Sources disagree about the same things. Weighs them by how far each can be trusted, says what is "
    "most likely true, and leaves near-ties to people.",
    tiers=[
        ("Trust", "Sources are weighed against each other"),
        ("Verdicts", "Every disputed claim is settled"),
    ],
    budget=Budget(cycles=500, lifetime_cycles=5_000, facts=500_000, seconds=1_800),
    answer=["verdict"],
    samples=Path(__file__).parent / "samples",
    sample="polls",
    csv_reader=read_csv,
    json_reader=read_json,
)
pack.key(
    "claim",
    title="Claims",
    description="What one source says about one attribute of one object.",
    seed=True,
    subject_label="Source on object/attribute",
    schema={
        "type": "object",
        "required": ["source", "object", "attribute", "value"],
        "properties": {
            "source": {"type": "string", "title": "Source", "minLength": 1, "maxLength": 150},
            "object": {"type": "string", "title": "Object", "minLength": 1, "maxLength": 150},
            "attribute": {"type": "string", "title": "Attribute", "minLength": 1, "maxLength": 150},
            "value": {"title": "Value"},
            "observed_at": {"type": "string", "title": "Observed at", "description": "ISO 8601"},
            "confidence": {"type": "number", "title": "Confidence", "minimum": 0, "maximum": 1},
            "evidence": {"type": "object", "title": "Evidence"},
        },
        "additionalProperties": False,
    },
)
pack.key(
    "setting",
    title="Settings",
    description="`near-tie margin`: where the likeliest value leads by less than this, people decide.",
    seed=True,
    subject_label="Setting",
    schema={"type": "number", "minimum": 0, "maximum": 1, "default": MARGIN, "title": "Margin"},
)
pack.key("trust", title="Trust", description="What is known of each source.", subject_label="Source")
pack.key("trust.summary", title="Trust in all", description="What the sources have in common.")
pack.key("belief", title="Beliefs", description="How likely each value is.", subject_label="Object/attribute")
pack.key(
    "verdict", title="Verdicts", description="What is taken to be true.", subject_label="Object/attribute"
)


@pack.agent(
    reads=["claim", "belief", "trust", "trust.summary", "verdict"],
    writes=["trust", "trust.summary"],
    tier=1,
    required=True,
    timeout=120,
)
def weigh_sources(view: View) -> Iterator[Proposal]:
    """Judges every source by how its claims compare with what is believed and decided."""
    table = _tabulate(view["claim"])
    trust = estimate_trust(table, _beliefs(view), _trust(view), _decided(view, table))
    for source, known in trust.sources.items():
        yield propose("trust", source, known)
    yield propose("trust.summary", "all sources", trust.summary)


@pack.agent(
    reads=["claim", "belief", "trust", "trust.summary", "verdict"],
    writes=["belief"],
    tier=1,
    required=True,
    timeout=120,
)
def weigh_claims(view: View) -> Iterator[Proposal]:
    """Weighs the claims about every disputed thing by the trust in their sources."""
    table = _tabulate(view["claim"])
    beliefs = estimate_beliefs(table, _trust(view), _beliefs(view), _decided(view, table))
    for subject, belief in beliefs.items():
        yield propose("belief", subject, belief, max(belief.values()))


@pack.each("claim", writes=["verdict"], tier=2, required=True)
def state_claim(claim: Fact, view: View) -> Iterator[Proposal]:
    """Lets each claim speak for itself as a candidate for the verdict."""
    said = claim.value
    evidence = {**said.get("evidence", {}), "source": said["source"]}
    if said.get("observed_at"):
        evidence["observed_at"] = said["observed_at"]
    subject = slot_subject(said["object"], said["attribute"])
    yield propose(
        "verdict", subject, said["value"], said.get("confidence", CERTAIN), evidence=evidence, because=[claim]
    )


pack.dominance("Trusted sources dominate", keys=["verdict"], sources=[], priority=10, enabled=False)
pack.newer("Newer beats older", keys=["verdict"], field="observed_at", priority=20, enabled=False)


@pack.aggregate(
    "verdict", reads=["belief", "setting"], tier=2, required=True, priority=50, rule="The likeliest value"
)
def rule_on_verdict(sides: Sides, view: View) -> Ruling | None:
    """Rules for the likeliest value, unless its lead is below the near-tie margin."""
    belief = view.fact("belief", sides.subject)
    setting = view.fact("setting", "near-tie margin")
    if belief is None:
        return None
    verdict = pick_verdict(belief.value)
    if verdict.lead < (setting.value if setting else MARGIN):
        return None
    value = next((s.value for s in sides.sides if to_label(s.value) == verdict.labels[0]), None)
    return None if value is None else ruling(value, min(verdict.confidence, MOST_CERTAIN_RULING))


pack.operator("Near-ties are for people", keys=["verdict"], priority=90)

pack.accepts_lint(
    "loop",
    *("belief", "trust", "trust.summary", "verdict"),
    why="Figures are rounded, and move only by more than a band that widens with the rounds until nothing moves; a "
    "verdict feeds back only where it was decided for certain, and no ruling of this pack says so.",
)


def _tabulate(facts: Facts) -> Table:
    return _tabulate_raw(tuple(raw for _, raw in facts.canonical()))


@lru_cache(maxsize=4)
def _tabulate_raw(raws: tuple[bytes, ...]) -> Table:
    """The claims laid out for counting. Kept by content: the same claims are asked for once a round."""
    return tabulate_claims(claim_from_seed(orjson.loads(raw)) for raw in raws)


def _beliefs(view: View) -> Beliefs:
    return {fact.subject: fact.value for fact in view["belief"]}


def _trust(view: View) -> Trust:
    summary = view.fact("trust.summary", "all sources")
    return Trust({f.subject: f.value for f in view["trust"]}, summary.value if summary else {})


def _decided(view: View, table: Table) -> dict[str, str]:
    """Disputed slots that a person or a rule settled; rulings of this pack never claim full confidence."""
    verdicts = view["verdict"]
    found = ((slot.subject, verdicts.get(slot.subject)) for slot in table.slots if slot.disputed)
    return {subject: to_label(fact.value) for subject, fact in found if fact and fact.confidence == CERTAIN}
