"""What the changed constraints would have refused, or let in: asked wherever the engine asks one, on the same view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from runtime.backtest.flips import Flip, value_told
from runtime.engine import Commit, Core
from runtime.engine.compiled import Compiled, Rule
from runtime.engine.expr import Expression, ExpressionError
from runtime.engine.log import OUTCOMES, Entry
from runtime.engine.spec import OPERATOR, RuleSpec
from runtime.engine.state import Slot
from runtime.engine.values import THOUSAND, canonical, parse

Names = Mapping[str, Any]
Lookups = Mapping[str, Callable[..., Any]] | None
Place = tuple[str, str, str]  # agent, key, subject


class Judged(NamedTuple):
    """One statement of which the changed constraints would have thought otherwise."""

    agent: str
    key: str
    subject: str
    raw: bytes
    conf: float
    turn: str
    why: str


class RefusalWatch:
    """Listens in on the judging of statements. It is there as a constraint that everything satisfies: the engine asks
    it first, and the record stays as it was."""

    def __init__(
        self, core: Core, changed: Compiled, keys: frozenset[str], hurry: Callable[[], None]
    ) -> None:
        self.core, self.hurry = core, hurry
        self._now: list[Judged] = []
        self._found: dict[tuple[str, str], Flip] = {}
        self._others: dict[tuple[str, str], dict[tuple[str, bytes], str]] = {}
        for key in sorted(keys):
            mine, theirs = core.plan.keys[key].constraints, changed.keys[key].constraints
            gone = [r for r in mine if not any(r.spec == other.spec for other in theirs)]
            come = [r for r in theirs if not any(r.spec == other.spec for other in mine)]
            stay = [r for r in mine if r not in gone]
            listener = _Listener(self, gone, come, stay)
            mine.insert(0, Rule(RuleSpec("backtest", "constraint", (key,)), listener))

    def note(self, names: Names, turn: str, why: str) -> None:
        """Hears how a statement would have been judged otherwise; `turn` is "" where it would not have been."""
        raw = canonical(names["value"])
        agent, key, subject = names["agent"], names["key"], names["subject"]
        others = self._others.setdefault((key, subject), {})
        others.pop((agent, raw), None)
        if turn:
            others[agent, raw] = turn
            self._now.append(Judged(agent, key, subject, raw, names["confidence"], turn, why))

    def look(self, commit: Commit) -> None:
        """Keeps what was judged otherwise in this cycle and was not refused for another reason anyway."""
        if not self._now:
            return
        twice, refused = _said_twice(commit.entries), _refused(commit.entries)
        for one in self._now:
            place = (one.agent, one.key, one.subject)
            is_moot = place in twice or (one.turn == "refused" and (*place, one.raw) in refused)
            if not is_moot:
                self._found.setdefault((one.key, one.subject), _flip(one, commit.number))
        self._now = []

    def flips(self) -> Iterator[Flip]:
        """All flips, each with whether it lasts."""
        for (key, subject), flip in self._found.items():
            yield flip._replace(lasting=self._lasts(key, subject, flip.turn))

    def _lasts(self, key: str, subject: str, turn: str) -> bool:
        """Whether such a statement is still made, or still refused, where the record ends."""
        others = [name for name, how in self._others[key, subject].items() if how == turn]
        slot = self.core.ledger.keys[key].slots.get(subject)
        if turn == "refused":
            return slot is not None and any(name in _live(self.core, slot) for name in others)
        return any(self._is_refused(agent, key, subject) for agent, _ in others)

    def _is_refused(self, name: str, key: str, subject: str) -> bool:
        """Whether the latest word of an agent on a slot was refused. Seeds and people are not asked again."""
        at = self.core.plan.index.get(name)
        rows = self.core.ledger.agents[at].refused.values() if at is not None else ()
        return at is None or any((k, s) == (key, subject) for said in rows for k, s, _ in said)


class _Listener(Expression):
    """The expression of the constraint that always holds."""

    __slots__ = ("come", "gone", "stay", "watch")

    def __init__(self, watch: RefusalWatch, gone: list[Rule], come: list[Rule], stay: list[Rule]) -> None:
        super().__init__("true", None, ())
        self.watch, self.gone, self.come, self.stay = watch, gone, come, stay

    def holds(self, variables: Names, functions: Lookups = None) -> bool:
        """True; and tells the watch what other constraints would have said."""
        self.watch.hurry()
        was, would = _refusal(self.gone, variables, functions), _refusal(self.come, variables, functions)
        is_other = bool(was) != bool(would) and not _refusal(self.stay, variables, functions)
        turn = ("refused" if would else "let in") if is_other else ""
        self.watch.note(variables, turn, would or was)
        return True


def _refusal(rules: list[Rule], names: Names, lookups: Lookups) -> str:
    """Why the first of these constraints refuses; "" if all hold. What cannot be evaluated denies."""
    for rule in rules:
        assert rule.expression is not None
        try:
            if rule.expression.holds(names, lookups):
                continue
            why = rule.spec.message or f"breaks the constraint: {rule.spec.expression}"
        except ExpressionError as error:
            why = f"the constraint could not be evaluated, so it denies: {error}"
        return f"{rule.spec.name}: {why}"[:500]
    return ""


def _said_twice(entries: list[Entry]) -> set[Place]:
    """The places about which a voice said more than one thing in one run: all of it is refused."""
    counts = Counter((e.agent, e.item, e.key, e.subject) for e in entries if e.kind in OUTCOMES)
    return {(agent, key, subject) for (agent, _, key, subject), count in counts.items() if count > 1}


def _refused(entries: list[Entry]) -> set[tuple[str, str, str, bytes]]:
    """What this cycle refused, whatever for."""
    rows = [(e, parse(e.body)) for e in entries if e.kind == "rejected"]
    return {(e.agent, e.key, e.subject, canonical(body["value"])) for e, body in rows if "value" in body}


def _flip(one: Judged, cycle: int) -> Flip:
    said = {"status": "said", "agent": one.agent, "confidence": round(one.conf * THOUSAND) / THOUSAND}
    refused = {"status": "refused", "agent": one.agent, "why": one.why}
    before, after = (said, refused) if one.turn == "refused" else (refused, said)
    before |= value_told(one.raw)
    return Flip("refusal", one.turn, one.key, one.subject, cycle, before, after)


def _live(core: Core, slot: Slot) -> set[tuple[str, bytes]]:
    """Who says what in a slot: voices, rulings and whoever decided it."""
    found = {(cand.voice.agent, cand.raw) for cand in slot.cands}
    if slot.desk is not None:
        rulings = slot.desk.rulings.items()
        found |= {(core.plan.agents[at].name, r.raw) for at, r in rulings if r.raw is not None}
        verdict = slot.desk.verdict
        if verdict is not None and verdict.raw is not None:
            found.add((OPERATOR, verdict.raw))
    return found
