"""A backtest names exactly what is different when a job is really run under the changed rules.

The real run parts from the record where the first thing differs: what agents would say after that is not on record. Up
to and including that cycle the two must agree in every slot; where agents read nothing, to the very end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.backtest import CannotCompare, Flip, RuleChange, change_pack, compare, scope_of
from runtime.engine import Commit, Core, InboxRow, PackError, PackSpec, RuleSpec, Run
from runtime.engine.expiry import rule_that_asks
from runtime.engine.spec import CLOCK
from runtime.engine.state import CONTESTED, EMPTY, HELD
from runtime.engine.state import Slot as EngineSlot
from tests.engine.lockstep import Acts, effect_of, recorded, seeds_of
from tests.engine.naive_sides import text
from tests.engine.packs_strategy import Case, cases, desks, rules

Slot = tuple[str, str]
Saying = tuple[str, str, str, str, str]  # agent, item, key, subject, value
RESOLVING = ("dominance", "newer", "confidence", "operator", "aggregation", "approval")
BY_LOOKING_AT_SIDES = ("dominance", "newer", "confidence", "operator", "approval")
DEEDS = {"respond": "decide", "reverse": "undo"}
POLICY = ("groups", "exclude_submitter")
DEAF_ACTS = ("decide", "none", "undo", "add_fact", "withdraw_fact", "expire")
NO_LOOKUP = ("confidence >= 0.5", "value != 2", 'agent == "a0" || subject != "s"')


@st.composite
def changes(draw: Any, pack: PackSpec, kinds: Sequence[str]) -> RuleChange:
    """A draft of one of these kinds, which may take the place of a rule; or a rule that is taken away."""
    there = [rule for rule in pack.rules if rule.enabled and rule.kind in kinds]
    named = (draw(st.sampled_from(there)).name,) if there and draw(st.booleans()) else ()
    if named and draw(st.booleans()):
        return RuleChange(None, named)
    draft = draw(rules("draft", list(pack.agents), len(pack.tiers)).filter(lambda rule: rule.kind in kinds))
    return RuleChange(replace(draft, enabled=True), named)


@st.composite
def pairs(draw: Any, kinds: Sequence[str]) -> tuple[Case, RuleChange]:
    """A job and a change of its rules."""
    case = draw(st.one_of(cases(), desks()) if "approval" in kinds else cases())
    return case, draw(changes(case.pack, kinds))


@st.composite
def deaf(draw: Any) -> tuple[Case, RuleChange]:
    """A job whose agents read nothing, so that no rule changes what they say; people speak, decide and take back."""
    case: Case = draw(st.one_of(cases(), desks()))
    toys = {name: replace(toy, how="say", because="nothing", errs=0) for name, toy in case.toys.items()}
    agents = tuple(
        replace(a, shape="whole", reads=(), over="", group_by="", writes=a.writes or ("k.a",), append=False)
        for a in case.pack.agents
    )
    said = [replace(a, act=DEEDS.get(a.act, a.act), stale=False) for a in case.acts]
    acts = tuple(a for a in said if a.act in DEAF_ACTS)
    kept = [r for r in case.pack.rules if r.kind not in ("aggregation", "constraint")]
    plain = Case(replace(case.pack, agents=agents, rules=tuple(map(anybodys, kept))), toys, case.seeds, acts)
    change = draw(changes(plain.pack, BY_LOOKING_AT_SIDES))
    return plain, change._replace(add=change.add and anybodys(change.add))


def anybodys(rule: RuleSpec) -> RuleSpec:
    """A rule under which everybody may answer: whoever did under one rule may under another. Deadlines stay."""
    params = {name: value for name, value in rule.params.items() if name not in POLICY}
    return replace(rule, params=params) if rule.kind in ("operator", "approval") else rule


@dataclass
class Course:
    """A job as recorded, and beside it the job anew under the changed rules, until they part.

    `differing` holds for each cycle the slots that show something else; False for those that were told something else.
    """

    was: Core
    then: Core
    recorded: list[Commit] = field(default_factory=list)
    differing: list[dict[Slot, bool]] = field(default_factory=list)
    tiers: list[tuple[int, int]] = field(default_factory=list)
    refused: list[tuple[dict[Saying, str], dict[Saying, str]]] = field(default_factory=list)
    parted: bool = False

    translated: list[Any] = field(default_factory=list)

    def hear(self, rows: list[Any]) -> None:
        """What the other job is told, which must be asked before the record goes on."""
        told = [self._translate(row) if is_of_clock(row) else row for row in rows]
        self.translated = [row for row in told if row is not None]

    def _translate(self, row: InboxRow) -> InboxRow | None:
        """What the clock tells the other job: the same of the same question, by whatever rule that asks it."""
        one, two = slot_of(self.was, (row.key, row.subject)), slot_of(self.then, (row.key, row.subject))
        mine, others = rule_that_asks(self.was.ledger, one), rule_that_asks(self.then.ledger, two)
        is_over = mine is not None and mine.params.get("outcome", "stay") != "stay"
        is_same = (one.status, one.would) == (two.status, two.would)
        return replace(row, on=others.name) if is_over and is_same and others is not None else None

    def follow(self, case: Case, runs: list[Run], commit: Commit) -> None:
        """The cycle that was recorded, under the changed rules; if the same agents are at work."""
        others = self.then.begin(self.translated)
        if [(r.agent.name, r.item) for r in runs] != [(r.agent.name, r.item) for r in others]:
            self.parted = True
            return
        other = self.then.finish([effect_of(case, run) for run in others])
        self.tiers.append((self.was.tier, self.then.tier))
        self.refused.append((refusals(commit), refusals(other)))
        found: dict[Slot, bool] = {}
        for slot in sorted(slots_of(self.was) | slots_of(self.then)):
            one, two = slot_of(self.was, slot), slot_of(self.then, slot)
            if told_to(one) != told_to(two):
                found[slot] = False
            elif look(one) != look(two):
                found[slot] = True
            self.parted |= one.strength != two.strength
        self.differing.append(found)
        self.parted |= bool(found)


def play(case: Case, changed: PackSpec, to_the_end: bool = False) -> Course:
    """Runs the job to its end, and beside it the changed one."""
    course, acts = Course(Core(case.pack), Core(changed)), Acts(case.acts)
    rows: list[Any] = [*seeds_of(case), *acts.due(course.was, stopped=False)]
    while True:
        rows = [row for row in rows if not is_of_clock(row) or asks_now(course.was, row)]
        if to_the_end or not course.parted:
            course.hear(rows)
        runs = course.was.begin(rows)
        effects = [effect_of(case, run) for run in runs]
        commit = course.was.finish(effects)
        course.recorded.append(commit)
        if to_the_end or not course.parted:
            course.follow(case, runs, commit)
        if commit.stop is not None and not acts.left:
            return course
        rows = acts.due(course.was, commit.stop is not None)
        if to_the_end:  # whatever the other job shows, it is told the same
            rows = [replace(row, version="") for row in rows]


def is_of_clock(row: Any) -> bool:
    return isinstance(row, InboxRow) and row.act == "expire"


def asks_now(core: Core, row: InboxRow) -> bool:
    """Whether a deadline is that of a question which was open when the cycle began: no other one is ever over."""
    slot = slot_of(core, (row.key, row.subject)) if row.key in core.ledger.keys else None
    rule = rule_that_asks(core.ledger, slot) if slot is not None else None
    return rule is not None and rule.name == row.on


def slots_of(core: Core) -> set[Slot]:
    return {(key, subject) for key, state in core.ledger.keys.items() for subject in state.slots}


def slot_of(core: Core, slot: Slot) -> EngineSlot:
    return core.ledger.keys[slot[0]].slots.get(slot[1]) or EngineSlot(*slot)


def look(slot: EngineSlot) -> tuple[int, bytes | None]:
    return slot.status, slot.would if slot.status == HELD else slot.raw


def told_to(slot: EngineSlot) -> Any:
    """All that what stands is worked out from, but for what the clock says: that follows from the rules."""
    said = sorted((c.voice.agent, str(c.voice.item), c.raw, c.conf, c.evidence) for c in slot.cands)
    desk = slot.desk
    if desk is None:
        return said, None, {}, {}, {}
    is_said = desk.verdict is not None and desk.verdict.by != CLOCK
    verdict = (desk.verdict.raw, desk.verdict.by) if is_said and desk.verdict is not None else None
    refused = {raw: by for raw, by in desk.refusals.items() if by != CLOCK}
    rulings = {at: (r.raw, r.conf, r.refused) for at, r in desk.rulings.items()}
    return said, verdict, desk.approvals, refused, rulings


def refusals(commit: Commit) -> dict[Saying, str]:
    """What was refused in a cycle, of agents, seeds and people, with the rule that did it."""
    bodies = [json.loads(e.body) for e in commit.entries]
    found = {}
    for body in bodies:
        place = (body.get("item", ""), body.get("key", ""), body.get("subject", ""))
        if body["kind"] == "rejected":
            found[body["agent"], *place, text(body.get("value"))] = body.get("rule", "")
        elif body["kind"] == "inbox" and body["result"] == "refused":
            who = "@operator" if body["act"] == "decide" else "@person"
            found[who, *place, text(body.get("choice"))] = body["message"].partition(":")[0]
    return found


def compared(case: Case, change: RuleChange, to_the_end: bool = False) -> tuple[Course, list[Flip]]:
    """The real difference, and what the backtest of the record says."""
    try:
        course = play(case, change_pack(case.pack, change), to_the_end)
    except (CannotCompare, PackError):
        assume(False)
        raise
    return course, compare(case.pack, recorded(course.recorded), change)


@given(pairs(RESOLVING))
def test_flips_are_what_differs_when_the_job_is_run_anew(pair: tuple[Case, RuleChange]) -> None:
    course, flips = compared(*pair)
    scope = scope_of(pair[0].pack, pair[1])
    said = [e for c in course.recorded for e in c.entries if e.key in scope.keys]
    felt = [e for e in said if (e.now or not scope.shown) and (e.kind in scope.kinds or not scope.kinds)]
    assert felt or not flips, "a job in which nothing was said about the keys need not be merged again"
    for cycle, differing in enumerate(course.differing, 1):
        loose = {slot for slot, is_real in differing.items() if not is_real}
        unheard = {(f.key, f.subject) for f in flips if f.kind == "unknown" and f.cycle <= cycle}
        named = {(f.key, f.subject) for f in flips if f.kind != "unknown" and f.cycle == cycle}
        assert named - loose - unheard == differing.keys() - loose - unheard
        for slot in unheard - loose:
            # Whoever would be asked is asked at the earliest in the next cycle; or people are, until a deadline.
            status = slot_of(course.then, slot).status
            assert status in (CONTESTED, HELD) or len(course.differing) > cycle
        if unheard:
            return


@given(deaf())
def test_where_nobody_reacts_flips_hold_to_the_end(pair: tuple[Case, RuleChange]) -> None:
    course, flips = compared(*pair, to_the_end=True)
    unknown = {(flip.key, flip.subject) for flip in flips if flip.kind == "unknown"}
    first: dict[Slot, int] = {}
    for cycle, differing in enumerate(course.differing, 1):
        assert all(is_real for slot, is_real in differing.items() if slot not in unknown)
        for slot in differing.keys() - unknown:
            first.setdefault(slot, cycle)
    flips = [flip for flip in flips if (flip.key, flip.subject) not in unknown]
    named: dict[Slot, int] = {}
    for flip in flips:
        slot = (flip.key, flip.subject)
        named[slot] = min(flip.cycle, named.get(slot, flip.cycle))
    assert named == first
    for flip in flips:
        slot = (flip.key, flip.subject)
        if flip.kind != "decision":
            assert flip.lasting == (slot in course.differing[-1])


@given(deaf())
def test_a_decision_is_told_where_the_rule_would_have_asked_nobody(pair: tuple[Case, RuleChange]) -> None:
    course, flips = compared(*pair, to_the_end=True)
    told = {(f.key, f.subject): f for f in flips if f.kind == "decision"}
    for slot, flip in told.items():
        bodies = [json.loads(e.body) for c in course.recorded for e in c.entries]
        said = [b for b in bodies if b["kind"] == "inbox" and (b.get("key"), b.get("subject")) == slot]
        assert any(b["act"] == "decide" and b["result"] == "applied" for b in said)
        assert (flip.turn == "same") == (
            flip.before.get("value") == flip.after.get("value")
            and ("none" in flip.before) == (flip.after["status"] == "empty")
        )


plain_constraints = st.builds(
    RuleSpec,
    name=st.just("draft"),
    kind=st.just("constraint"),
    keys=st.sampled_from([("k.a",), ("k.b",), ("k.*",), ("k.a", "m.a")]),
    expression=st.sampled_from(NO_LOOKUP),
)


@given(cases(), plain_constraints, st.booleans())
def test_refusals_are_what_a_constraint_really_refuses(case: Case, draft: RuleSpec, takes_away: bool) -> None:
    rest = replace(case.pack, rules=tuple(r for r in case.pack.rules if r.kind != "aggregation"))
    rulers = [a.name for a in rest.agents if a.shape == "aggregate"]
    change = RuleChange(draft)
    if takes_away:
        rest, change = replace(rest, rules=(*rest.rules, draft)), RuleChange(None, ("draft",))
    course, flips = compared(replace(case, pack=rest), change)
    for cycle, (before, after) in enumerate(course.refused, 1):
        mine, others = (before, after) if takes_away else (after, before)
        real = {
            (said[0], *said[2:4]) for said, rule in mine.items() if rule == "draft" and said not in others
        }
        named = {(f.before["agent"], f.key, f.subject) for f in flips if f.cycle == cycle}
        if outside := {name for name in real | named if name[0].startswith("@")}:
            # What came from outside is refused before anybody is shown it.
            assert slots_named(named & outside) == slots_named(real & outside)
            return
        assert slots_named({name for name in named if name[0] not in rulers}) == slots_named(real)
        if real or named:
            return


def slots_named(names: set[tuple[str, str, str]]) -> set[Slot]:
    return {(key, subject) for _, key, subject in names}


@given(pairs(("invariant",)))
def test_tiers_are_those_that_are_really_reached_or_missed(pair: tuple[Case, RuleChange]) -> None:
    course, flips = compared(*pair, to_the_end=True)
    first: dict[int, int] = {}
    differs: set[int] = set()
    for cycle, (was, then) in enumerate(course.tiers, 1):
        differs = {tier for tier in range(1, 4) if (tier <= was) != (tier <= then)}
        for tier in differs:
            first.setdefault(tier, cycle)
    assert {f.before["tier"]: f.cycle for f in flips} == first
    assert {f.before["tier"] for f in flips if f.lasting} == differs & {f.before["tier"] for f in flips}


def test_an_empty_slot_looks_like_one_nobody_spoke_of() -> None:
    assert look(EngineSlot("k", "s")) == (EMPTY, None)
