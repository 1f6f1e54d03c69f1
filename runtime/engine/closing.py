"""The end of a cycle: judge tiers, publish an answer, and say whether and why the run stops (D4.2, D4.4, D4.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from runtime.engine.answers import count_answer_facts, marks
from runtime.engine.eligible import lowest_tier
from runtime.engine.ledger import Ledger
from runtime.engine.oscillation import Oscillation
from runtime.engine.premises import provisional_facts
from runtime.engine.state import Slot
from runtime.engine.tiers import Gap, invariant_gap, invariant_is_open, judge_tiers, may_recover
from runtime.engine.versions import TOOLS_AS_WEATHER

STOP_REASONS: Final = (
    "cancelled",
    "failed",
    "invalid",
    "oscillating",
    "exhausted",
    "converged",
    "recovering",
    "waiting",
    "partial",
)


class Stop(NamedTuple):
    """Why a run stopped: one of STOP_REASONS, and each further cause, shaped like a gap."""

    reason: str
    causes: Sequence[Mapping[str, Any]]


def _lack(gap: Gap) -> Gap:
    """What a gap says is missing, without how it came to be."""
    if gap["what"] not in ("failed", "awaited"):
        return gap
    return {name: value for name, value in gap.items() if name not in ("text", "cls")}


class Closing:
    """What was judged and published last, and the budget since the last outside input."""

    def __init__(self, ledger: Ledger, engine_version: int) -> None:
        self.ledger = ledger
        self.engine_version = engine_version
        self.idle = 0  # cycles in which the clock had something tried again, and nothing came of it
        self.tier = 0
        self.cancelled = False
        self.cycles = 0
        self.version = 0
        self.provisional: dict[Slot, None] = {}
        self._judged: dict[int, bytes] = {}
        self._gaps: list[list[Gap]] = [[] for _ in range(ledger.plan.top_tier)]
        self._published: bytes | None = None

    def restart(self) -> None:
        """Outside input: the cycle count starts again (D2.7)."""
        self.cycles = 0

    def close(
        self, ran: int, swing: Oscillation | None, outside: Stop | None, changed: Iterable[Slot] = ()
    ) -> Stop | None:
        """Settles what can be settled after a cycle in which tier `ran` worked; gives the stop, None to go on.

        `changed` are the slots that show something else than before the cycle.
        """
        ledger = self.ledger
        self.cycles += 1
        for at, item in [*ledger.given_up]:
            failure = ledger.agents[at].failed.get(item)
            if failure is None or not failure.transient:
                del ledger.given_up[at, item]
        due = lowest_tier(ledger)
        halted = self._halted(due, swing, outside)
        if due and not halted and due <= ran:
            self._judge_below(due, changed)
            return None
        top = ledger.plan.top_tier
        upto = top if not due or halted else due - 1
        if upto == 0:
            return None
        self.provisional = provisional_facts(ledger)
        self._judge(upto)
        self._publish(upto)
        if due and not halted:
            return None
        stop = halted or self._at_fixed_point()
        causes = list(stop.causes)
        ledger.log.add({"kind": "stop", "reason": stop.reason, "causes": causes, "cycles": self.cycles})
        return stop

    def _judge_below(self, due: int, changed: Iterable[Slot]) -> None:
        """A tier at work is not claimed, nor one below it whose keys it has changed without a new judgement (D4.6)."""
        ledger = self.ledger
        unjudged = due > 1 and due - 1 not in self._judged
        if due > 1 and (unjudged or ledger.shaken or any(self._matters_below(due, s.key) for s in changed)):
            self.provisional = provisional_facts(ledger)
            self._judge(due - 1)
        self.tier = min(self.tier, due - 1)

    def _matters_below(self, due: int, key: str) -> bool:
        """Whether a change of `key` may change how tiers below `due` are judged."""
        plan = self.ledger.plan
        return plan.keys[key].tier < due or any(
            int(rule.spec.params.get("tier", 1)) < due
            and rule.expression is not None
            and key in rule.expression.keys
            for rule in plan.invariants
        )

    def _halted(self, due: int, swing: Oscillation | None, outside: Stop | None) -> Stop | None:
        """A stop before the fixed point, the first that applies."""
        if self.cancelled:
            return Stop("cancelled", [])
        if swing is None and outside is None:
            return self._spent() if due else None
        if outside is not None and not due and outside.reason != "failed":
            outside = None  # it is done; running out at the same moment changes nothing
        found = [
            s for s in (outside, self._swinging(swing) if due else None, self._spent() if due else None) if s
        ]
        return min(found, key=lambda s: STOP_REASONS.index(s.reason)) if found else None

    def _swinging(self, swing: Oscillation | None) -> Stop | None:
        if swing is None:
            return None
        slots = [{"key": k, "subject": s} for k, s in swing.slots[:50]]
        text = (
            f"the same state came back after {swing.period} "
            f"{'cycle' if swing.period == 1 else 'cycles'}: {', '.join(swing.agents)} swing; "
            "a decision on one of these slots can settle it"
        )
        cause = {
            "what": "oscillation",
            "text": text,
            "period": swing.period,
            "slots": slots,
            "agents": swing.agents,
        }
        return Stop("oscillating", [cause])

    def _spent(self) -> Stop | None:
        budget = self.ledger.plan.pack.budget
        if (
            self.cycles < budget.cycles
            and self.ledger.cycle - self.idle < budget.lifetime_cycles
            and self.ledger.standing <= budget.facts
        ):
            return None
        for name, have, limit in (
            ("cycles", self.cycles, budget.cycles),
            ("lifetime_cycles", self.ledger.cycle - self.idle, budget.lifetime_cycles),
            ("facts", self.ledger.standing, budget.facts),
        ):
            if have >= limit if name != "facts" else have > limit:
                text = f"the budget of {limit:,} {name.replace('_', ' ')} is used up"
                return Stop("exhausted", [{"what": "budget", "text": text, "budget": name, "limit": limit}])
        return None

    def _judge(self, upto: int) -> None:
        """Judges tiers 1..upto, and writes an entry for each whose judgement changed."""
        gaps = judge_tiers(self.ledger, upto, self.provisional)
        self._gaps[:upto] = gaps
        reached = 0
        for tier in range(1, upto + 1):
            if reached == tier - 1 and not gaps[tier - 1]:
                reached = tier
            stated = list(gaps[tier - 1])
            if reached != tier and not stated:
                stated = [{"what": "tier", "text": f"tier {reached + 1} is not reached", "tier": reached + 1}]
            fields = {"kind": "tier", "tier": tier, "reached": reached == tier, "gaps": stated}
            form = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
            if self._judged.get(tier) != form:
                self._judged[tier] = form
                self.ledger.log.add(fields)
        self.tier = reached

    def _publish(self, upto: int) -> None:
        """Publishes an answer if tier, facts, gaps or marks differ from the last one's.

        That a tool which was out is still out, in another of the ways a tool can be out, is no news.
        """
        ledger = self.ledger
        gaps = [g for tier in self._gaps[:upto] for g in tier]
        if upto < ledger.plan.top_tier:
            gaps.append(
                {"what": "tier", "text": f"tier {upto + 1} is still being worked on", "tier": upto + 1}
            )
        marked = marks(ledger, self.provisional)
        told = [_lack(g) for g in gaps] if self.engine_version >= TOOLS_AS_WEATHER else gaps
        form = orjson.dumps([self.tier, told, marked], option=orjson.OPT_SORT_KEYS)
        if form == self._published and not ledger.unanswered:
            return
        self._published = form
        ledger.unanswered.clear()
        self.version += 1
        ledger.log.add(
            {
                "kind": "answer",
                "version": self.version,
                "tier": self.tier,
                "facts": count_answer_facts(ledger),
                "gaps": gaps,
                "marks": marked,
            }
        )

    def _at_fixed_point(self) -> Stop:
        """Why nobody has anything to do any more, the first that applies (D4.5)."""
        ledger = self.ledger
        gaps = [g for tier in self._gaps for g in tier]
        broken = [
            g
            for r in ledger.plan.invariants
            if not invariant_is_open(ledger, r)
            for g in invariant_gap(ledger, r)
        ]
        if broken:
            return Stop("invalid", broken + [g for g in gaps if g not in broken])
        if self.tier == ledger.plan.top_tier:
            return Stop("converged", [])
        spent = [g for g in gaps if g.get("cls") == "over_budget"]
        if spent and self.engine_version >= TOOLS_AS_WEATHER:
            return Stop("exhausted", spent + [g for g in gaps if g not in spent])
        if any(may_recover(g) for g in gaps):
            return Stop("recovering", gaps)
        if any(g["what"] in ("conflict", "hold") for g in gaps):
            return Stop("waiting", gaps)
        return Stop("partial", gaps)
