"""The fold of a journal: what its entries alone say of the job, worked out without engine, clock or database.

Everything the database keeps beside the journal is a projection of it, and must equal this.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import orjson

# What an entry about a question to people may say that leaves it open; anything else closes it.
_OPENING = {"conflict": ("opened", "changed"), "approval": ("asked",)}
_QUESTION_KIND = {"conflict": "conflict", "approval": "hold"}

Question = tuple[str, str, str]  # conflict or hold, key, subject
CallPlace = tuple[int, str, str, int]  # cycle, agent, item or "", number within the run


Shown = tuple[str, bytes, int]  # fact, contested, held or empty; value and strength of a fact
NOTHING: Shown = ("empty", b"", 0)


class Closed(NamedTuple):
    """A question that was open at the end of a cycle, and at that of `cycle` no more; `body` stated it last."""

    question: Question
    opened: int
    body: dict[str, Any]
    cycle: int
    outcome: str


class CycleFold(NamedTuple):
    """What a cycle's entries say of it: voices that ran, slots that show something else than before, the tier reached.

    A tier at work is not claimed, and no entry says so: where `is_judged` is False, `tier` is the most that it can be.
    """

    runs: int
    changes: int
    tier: int
    is_judged: bool


class Fold:
    """Takes a journal's entries in order; its attributes then say how the job stands.

    `slots` maps (key, subject) to fact, contested or held; `open` maps questions to the entry that stated them last;
    `told` maps inbox rows to (entry, cycle); `calls` maps each call of a tool to (tool, how it failed or ""). `closed`
    and `cycles` tell of whole cycles: call `end` when there are no more entries.
    """

    def __init__(self) -> None:
        self.cycle = 0
        self.entries = 0
        self.slots: dict[tuple[str, str], str] = {}
        self.open: dict[Question, dict[str, Any]] = {}
        self.closed: list[Closed] = []
        self.answers: list[dict[str, Any]] = []
        self.told: dict[int, tuple[dict[str, Any], int]] = {}
        self.stop: dict[str, Any] | None = None
        self.calls: dict[CallPlace, tuple[str, str]] = {}
        self.cycles: dict[int, CycleFold] = {}
        self._shown: dict[tuple[str, str], Shown] = {}
        self._reached: dict[int, bool] = {}
        self._asked: dict[
            Question, tuple[int, dict[str, Any]]
        ] = {}  # open at the end of a cycle, and since which
        self._begin()

    def _begin(self) -> None:
        self._before: dict[tuple[str, str], Shown] = {}
        self._said: dict[Question, dict[str, Any]] = {}  # the last entry of this cycle about each question
        self._runs = 0
        self._is_judged = False

    def end(self) -> None:
        """The cycle is over."""
        for question, body in self._said.items():
            if body["action"] in _OPENING[body["kind"]]:
                self._asked[question] = (self._asked.get(question, (self.cycle,))[0], body)
            elif not body.get("open") and (asked := self._asked.pop(question, None)) is not None:
                outcome = body.get("how") or body["action"]
                self.closed.append(Closed(question, *asked, self.cycle, outcome))
        changes = sum(self._shown.get(slot, NOTHING) != before for slot, before in self._before.items())
        tier = self.tier if self._is_judged else self._most_reached()
        self.cycles[self.cycle] = CycleFold(self._runs, changes, tier, self._is_judged)
        self._begin()

    def _most_reached(self) -> int:
        tier = 0
        while self._reached.get(tier + 1):
            tier += 1
        return tier

    def add(self, cycle: int, seq: int, body: dict[str, Any]) -> None:
        """The next entry of the journal."""
        if self.cycle and cycle != self.cycle:
            self.end()
        self.cycle, self.entries = cycle, seq
        kind = body["kind"]
        self.stop = body if kind == "stop" else None
        if "now" in body:
            self._show((body["key"], body["subject"]), body["now"], body)
        if kind in _OPENING:
            self._ask(kind, body)
        elif kind == "answer":
            self.answers.append({**body, "cycle": cycle, "seq": seq})
            self._is_judged = True
        elif kind == "run":
            self._runs += body["ran"]
            self._count_calls(cycle, body)
        elif kind == "inbox":
            self.told[body["row"]] = (body, cycle)
        elif kind == "tier":
            self._reached[body["tier"]] = body["reached"]
        elif kind == "stop":
            self._is_judged = True

    def _count_calls(self, cycle: int, body: dict[str, Any]) -> None:
        numbers: Counter[str] = Counter()
        for call in body.get("calls", ()):
            item = call.get("item", "")
            numbers[item] += 1
            self.calls[cycle, body["agent"], item, numbers[item]] = (call["tool"], call.get("cls", ""))

    def _show(self, slot: tuple[str, str], now: str, body: dict[str, Any]) -> None:
        self._before.setdefault(slot, self._shown.get(slot, NOTHING))
        if now == "empty":
            self.slots.pop(slot, None)
            self._shown.pop(slot, None)
            return
        self.slots[slot] = now
        value = orjson.dumps(body["value"], option=orjson.OPT_SORT_KEYS) if now == "fact" else b""
        self._shown[slot] = (now, value, body.get("strength", body.get("conf", 0)) if now == "fact" else 0)

    def _ask(self, kind: str, body: dict[str, Any]) -> None:
        question = (_QUESTION_KIND[kind], body["key"], body["subject"])
        self._said[question] = body
        if body["action"] in _OPENING[kind]:
            self.open[question] = body
        elif not body.get("open"):
            self.open.pop(question, None)

    def count(self, shown: str) -> int:
        """How many slots show a fact, are contested or are held."""
        return sum(status == shown for status in self.slots.values())

    @property
    def tier(self) -> int:
        """The tier of the newest answer: that reached, unless a tier is at work (D4.4)."""
        return int(self.answers[-1]["tier"]) if self.answers else 0

    @property
    def stop_reason(self) -> str:
        """Why the job stopped, "" if the journal ends in the middle of a run."""
        return str(self.stop["reason"]) if self.stop else ""
