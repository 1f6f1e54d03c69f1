"""An agent's runs in one cycle, in words: how many ran and said what, what failed and on which tool, what it cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from converge_site.fragments.amounts import cost_words, count_words, list_words
from converge_site.fragments.failure_words import look_of_failure
from converge_site.fragments.words import Look


@dataclass(frozen=True, slots=True)
class FailedItem:
    """One run that failed. `attempts` are the requests it sent, 0 if it sent none."""

    item: str
    look: Look
    message: str
    tool: str
    attempts: int
    transient: bool

    @property
    def attempts_words(self) -> str:
        """ "3 attempts"; for a run that asked nobody, "not sent" where it names a tool, else nothing."""
        if self.attempts:
            return count_words(self.attempts, "attempt")
        return "not sent" if self.tool else ""


@dataclass(frozen=True, slots=True)
class CallView:
    """One call of a tool, as recorded. `look` is None for one that went well."""

    item: str
    tool: str
    attempts: int
    look: Look | None
    tokens_in: int
    tokens_out: int
    cost: float


@dataclass(frozen=True, slots=True)
class ToolUse:
    """What the runs of one entry asked of one tool."""

    tool: str
    words: str


@dataclass(frozen=True, slots=True)
class RunView:
    """What a run entry says beyond its one line."""

    failures: list[FailedItem] = field(default_factory=list)
    calls: list[CallView] = field(default_factory=list)
    uses: list[ToolUse] = field(default_factory=list)

    @property
    def told(self) -> list[FailedItem]:
        """The failures that a row lists: those of tools; the line itself tells the others."""
        return [failure for failure in self.failures if failure.tool]


def read_run(body: dict[str, Any]) -> RunView:
    """The failures and calls of a run entry."""
    calls = [_call(call) for call in body.get("calls") or ()]
    failures = [_failure(one, calls) for one in body.get("failed") or ()]
    tools = dict.fromkeys(call.tool for call in calls)
    uses = [ToolUse(tool, _use_words([call for call in calls if call.tool == tool])) for tool in tools]
    return RunView(failures, calls, uses)


def _call(call: dict[str, Any]) -> CallView:
    cls = str(call.get("cls") or "")
    return CallView(
        item=str(call.get("item") or ""),
        tool=str(call.get("tool") or ""),
        attempts=int(call.get("attempts") or 0),
        look=look_of_failure(cls) if cls else None,
        tokens_in=int(call.get("tokens_in") or 0),
        tokens_out=int(call.get("tokens_out") or 0),
        cost=float(call.get("cost") or 0),
    )


def _failure(one: dict[str, Any], calls: list[CallView]) -> FailedItem:
    item, tool = str(one.get("item") or ""), str(one.get("tool") or "")
    return FailedItem(
        item=item,
        look=look_of_failure(str(one.get("cls") or "")),
        message=str(one.get("message") or ""),
        tool=tool,
        attempts=sum(call.attempts for call in calls if (call.item, call.tool) == (item, tool)),
        transient=bool(one.get("transient")),
    )


def _use_words(calls: list[CallView]) -> str:
    attempts = sum(call.attempts for call in calls)
    tokens_in, tokens_out = sum(c.tokens_in for c in calls), sum(c.tokens_out for c in calls)
    cost = sum(call.cost for call in calls)
    parts = [count_words(len(calls), "call")]
    if attempts != len(calls):
        parts.append(count_words(attempts, "attempt"))
    if tokens_in or tokens_out:
        parts.append(f"{tokens_in:,} tokens in, {tokens_out:,} out")
    if cost:
        parts.append(f"cost {cost_words(cost)}")
    return ", ".join(parts)


def words_of_run(body: dict[str, Any]) -> str:
    """The entry's one line."""
    ran, failed = int(body.get("ran", 1)), body.get("failed") or []
    parts = []
    if ran:
        parts.append(_voices(ran, body.get("said"), len(failed)))
    if body.get("silenced"):
        item = f"{body['item']} is gone" if body.get("item") else "what it reads is gone"
        parts.append(f"{item}, silenced")
    if failed:
        parts.append(_failures(failed))
    abstained = [str(item) for item in body.get("abstained") or ()]
    if abstained:
        parts.append(f"abstained on {list_words(abstained)}")
    if body.get("rebased"):
        parts.append(f"{count_words(len(body['rebased']), 'statement')} repeated on new premises")
    return "; ".join(parts)


def _voices(ran: int, said: int | None, failed: int) -> str:
    """How many ran, and what they said; nothing is known of the number for an agent that only adds."""
    if failed >= ran:
        return f"{count_words(ran, 'voice')} ran"
    told = "" if said is None else f", said {said}" if said else ", nothing to say"
    return f"{count_words(ran, 'voice')} ran{told}"


def _failures(failed: list[dict[str, Any]]) -> str:
    """The classes of failure with how often each, and the first message."""
    classes = Counter(look_of_failure(str(one.get("cls") or "")).word for one in failed)
    named = ", ".join(name if len(classes) == 1 else f"{times} {name}" for name, times in classes.items())
    first = failed[0]
    item = f" on {first['item']}" if first.get("item") else ""
    message = f" ({str(first.get('message', '')).rstrip('.')}{item})" if first.get("message") else ""
    return f"{len(failed)} failed: {named}{message}"
