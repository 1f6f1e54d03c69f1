"""The fold of a journal: what its entries alone say of the job, worked out without engine, clock or database.

Everything the database keeps beside the journal is a projection of it, and must equal this.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

# What an entry about a question to people may say that leaves it open; anything else closes it.
_OPENING = {"conflict": ("opened", "changed"), "approval": ("asked",)}
_QUESTION_KIND = {"conflict": "conflict", "approval": "hold"}

Question = tuple[str, str, str]  # conflict or hold, key, subject
CallPlace = tuple[int, str, str, int]  # cycle, agent, item or "", number within the run


class Fold:
    """Takes a journal's entries in order; its attributes then say how the job stands.

    `slots` maps (key, subject) to fact, contested or held; `open` maps questions to the entry that stated them last;
    `closed` maps them to how they ended last; `told` maps inbox rows to (result, message, cycle); `calls` maps each
    call of a tool to (tool, how it failed or "").
    """

    def __init__(self) -> None:
        self.cycle = 0
        self.entries = 0
        self.slots: dict[tuple[str, str], str] = {}
        self.open: dict[Question, dict[str, Any]] = {}
        self.closed: dict[Question, str] = {}
        self.answers: list[dict[str, Any]] = []
        self.told: dict[int, tuple[str, str, int]] = {}
        self.stop: dict[str, Any] | None = None
        self.calls: dict[CallPlace, tuple[str, str]] = {}

    def add(self, cycle: int, seq: int, body: dict[str, Any]) -> None:
        """The next entry of the journal."""
        self.cycle, self.entries = cycle, seq
        kind = body["kind"]
        self.stop = body if kind == "stop" else None
        if "now" in body:
            self._show((body["key"], body["subject"]), body["now"])
        if kind in _OPENING:
            self._ask(kind, body)
        elif kind == "answer":
            self.answers.append({**body, "cycle": cycle, "seq": seq})
        elif kind == "run":
            self._count_calls(cycle, body)
        elif kind == "inbox":
            self.told[body["row"]] = (body["result"], body["message"], cycle)

    def _count_calls(self, cycle: int, body: dict[str, Any]) -> None:
        numbers: Counter[str] = Counter()
        for call in body.get("calls", ()):
            item = call.get("item", "")
            numbers[item] += 1
            self.calls[cycle, body["agent"], item, numbers[item]] = (call["tool"], call.get("cls", ""))

    def _show(self, slot: tuple[str, str], now: str) -> None:
        if now == "empty":
            self.slots.pop(slot, None)
        else:
            self.slots[slot] = now

    def _ask(self, kind: str, body: dict[str, Any]) -> None:
        question = (_QUESTION_KIND[kind], body["key"], body["subject"])
        if body["action"] in _OPENING[kind]:
            self.open[question] = body
        elif not body.get("open") and self.open.pop(question, None) is not None:
            self.closed[question] = body.get("how") or body["action"]

    def count(self, shown: str) -> int:
        """How many slots show a fact, are contested or are held."""
        return sum(status == shown for status in self.slots.values())

    @property
    def tier(self) -> int:
        """The tier reached: whenever it changes an answer is published (D4.4)."""
        return int(self.answers[-1]["tier"]) if self.answers else 0

    @property
    def stop_reason(self) -> str:
        """Why the job stopped, "" if the journal ends in the middle of a run."""
        return str(self.stop["reason"]) if self.stop else ""
