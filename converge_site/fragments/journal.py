"""Journal entries as rows. One template, `_entry.html`, serves the page, the push and «older entries»."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from converge_site.fragments.amounts import count_words
from converge_site.fragments.journal_filter import Filter, outcome_of, sort_of
from converge_site.fragments.moment import Moment
from converge_site.fragments.runs import RunView, read_run, words_of_run
from converge_site.fragments.words import Look, look_of_kind
from runtime.engine.policies import spoken_name
from runtime.models import Entry, Job
from runtime.store import run_calls

PAGE = 100
QUIET_KINDS = {"run", "confirmed", "withdrawn", "lost"}


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as shown: where it is, who spoke, about what, what came of it and why."""

    job_id: int
    seq: int
    cycle: int
    kind: str
    look: Look
    word: str
    agent: str = ""
    item: str = ""
    key: str = ""
    subject: str = ""
    has_value: bool = False
    value: Any = None
    confidence: float | None = None
    reason: str = ""
    quiet: bool = False
    sort: str = ""  # what the filters call its kind
    outcome: str = ""
    speaker: str = ""  # who says the value, where it is not the agent's own
    run: RunView | None = None  # for runs: what failed, and what was asked of tools


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a journal, oldest first. `older` and `newer` are whether matching entries lie beyond it.

    `last` is the newest entry that it takes into account; `moment` the moment of the past that it ends at, if any.
    """

    job_id: int
    filter: Filter
    rows: list[Row] = field(default_factory=list)
    older: bool = False
    newer: bool = False
    last: int = 0
    moment: Moment | None = None

    @property
    def first(self) -> int:
        """The seq to ask for what comes before."""
        return self.rows[0].seq if self.rows else self.last + 1

    @property
    def end(self) -> int:
        """The seq to ask for what comes after."""
        return self.rows[-1].seq if self.rows else self.last

    @property
    def query(self) -> str:
        """Filter and moment in an address."""
        return "&".join(filter(None, [self.filter.query, self.moment.query if self.moment else ""]))


def read_page(
    job: Job,
    chosen: Filter,
    before: int | None = None,
    limit: int = PAGE,
    after: int | None = None,
    moment: Moment | None = None,
) -> Page:
    """`limit` matching entries: the newest up to the job's head or to `moment`, those before seq `before`, or the first
    after seq `after`."""
    head = job.entries if moment is None else moment.seq
    if after is not None:
        return _read_onward(job, chosen, after, limit, head, moment)
    last = head if before is None else min(before - 1, head)
    matching = chosen.apply(Entry.objects.filter(job=job, seq__lte=last))
    newest = list(matching.order_by("-seq")[: limit + 1])
    rows = rows_of(reversed(newest[:limit]))
    return Page(job.pk, chosen, rows, len(newest) > limit, newer=last < head, last=last, moment=moment)


def _read_onward(job: Job, chosen: Filter, after: int, limit: int, head: int, moment: Moment | None) -> Page:
    matching = chosen.apply(Entry.objects.filter(job=job, seq__gt=after, seq__lte=head))
    found = list(matching.order_by("seq")[: limit + 1])
    rows = rows_of(found[:limit])
    last = rows[-1].seq if rows and len(found) > limit else head
    return Page(job.pk, chosen, rows, after > 0, newer=len(found) > limit, last=last, moment=moment)


def rows_of(entries: Iterable[Entry]) -> list[Row]:
    """The entries as rows."""
    return [row_of(entry) for entry in entries]


def row_of(entry: Entry) -> Row:
    """One entry as a row."""
    body = entry.data
    word, reason = _WORDING.get(entry.kind, _plain)(body)
    confidence = body.get("conf")
    return Row(
        job_id=entry.job_id,
        seq=entry.seq,
        cycle=entry.cycle,
        kind=entry.kind,
        look=_look(entry.kind, body),
        word=word or look_of_kind(entry.kind).word,
        agent=entry.agent,
        item=entry.item,
        key=entry.key,
        subject=entry.subject,
        has_value="value" in body,
        value=body.get("value"),
        confidence=None if confidence is None else confidence / 1000,
        reason=reason,
        quiet=entry.kind in QUIET_KINDS,
        sort=sort_of(entry.kind),
        outcome=outcome_of(entry.kind, body),
        speaker=_speaker(body),
        run=_run_of(entry, body) if entry.kind == "run" else None,
    )


def _run_of(entry: Entry, body: dict[str, Any]) -> RunView:
    """The run, its calls with the attempts that the record of calls has."""
    return read_run({**body, "calls": run_calls(entry)} if body.get("calls") else body)


def _speaker(body: dict[str, Any]) -> str:
    """Whose value stands after an entry that says none of its own, such as a withdrawal."""
    name, item = str(body.get("speaker") or ""), body.get("speaker_item")
    return f"{name} on {item}" if name and item else name


def _look(kind: str, body: dict[str, Any]) -> Look:
    look = look_of_kind(kind)
    if kind == "run" and body.get("failed"):
        return Look("failed", "red", look.word, "An agent ran, and some of it failed.")
    if kind == "tier" and not body.get("reached"):
        return Look("flag", "grey", look.word, look.meaning)
    if kind == "conflict" and body.get("action") == "closed":
        return Look("done", "green", look.word, look.meaning)
    if kind == "inbox" and body.get("result") != "applied":
        return Look("inbox", "red", look.word, look.meaning)
    return look


def _plain(body: dict[str, Any]) -> tuple[str, str]:
    return "", str(body.get("reason") or "")


def _run(body: dict[str, Any]) -> tuple[str, str]:
    return "run", words_of_run(body)


def _conflict(body: dict[str, Any]) -> tuple[str, str]:
    action = body.get("action", "opened")
    if action == "closed":
        return "conflict closed", str(body.get("reason") or body.get("how", ""))
    sides = len(body.get("sides") or [])
    waits = f"; {body['awaiting']} is about to rule" if body.get("awaiting") else ""
    return f"conflict {action}", str(body.get("reason") or f"{count_words(sides, 'side')}{waits}")


def _approval(body: dict[str, Any]) -> tuple[str, str]:
    text = str(body.get("reason") or "")
    if body.get("action") == "passed":
        return "approval not needed any more", f"the deadline of {body.get('rule', 'its rule')} lets it stand"
    if not text and body.get("need"):
        text = f"{body.get('have', 0)} of {body['need']}"
    if body.get("by"):
        text = f"{text} by {spoken_name(str(body['by']))}".strip()
    return f"approval {body.get('action', '')}".strip(), text


_ACTS = {
    "decide": "decided",
    "undo": "took the decision back",
    "approve": "approved",
    "refuse": "refused",
    "add_fact": "added a fact",
    "withdraw_fact": "withdrew a fact",
    "cancel": "cancelled the job",
    "retry": "asked to try again",
}
# Rows that nobody sent: the clock did.
_CLOCK_ACTS = {
    "retry_due": "tried again",
    "give_up": "gave up waiting",
    "expire": "the deadline has passed",
}


def _inbox(body: dict[str, Any]) -> tuple[str, str]:
    act = str(body.get("act", ""))
    done = body.get("result") == "applied"
    if act in _CLOCK_ACTS:
        text = f"the clock: {_CLOCK_ACTS[act]}{'' if done else ', not applied'}"
    elif done:
        text = f"{body.get('by', '')} {_ACTS.get(act, act)}"
    else:
        text = f"{body.get('by', '')} sent “{act}”, not applied"
    notes = [body.get("reason"), None if done else body.get("message")]
    return "inbox", ": ".join([text, *(str(note) for note in notes if note)])


def _tier(body: dict[str, Any]) -> tuple[str, str]:
    tier = body.get("tier", "")
    if body.get("reached"):
        return f"tier {tier} reached", str(body.get("reason") or "")
    gaps = [str(gap.get("text", "")) for gap in body.get("gaps") or []]
    more = f" (and {len(gaps) - 2} more)" if len(gaps) > 2 else ""
    return f"tier {tier} not reached", "; ".join(gaps[:2]) + more


def _answer(body: dict[str, Any]) -> tuple[str, str]:
    facts = count_words(body.get("facts", 0), "fact")
    gaps = len(body.get("gaps") or [])
    stated = f", {count_words(gaps, 'stated gap')}" if gaps else ", no gap"
    return f"answer {body.get('version', '')}", f"{facts} at tier {body.get('tier', 0)}{stated}"


def _stop(body: dict[str, Any]) -> tuple[str, str]:
    causes = [str(cause.get("text", "")) for cause in body.get("causes") or []]
    return f"stopped: {body.get('reason', '')}", "; ".join(causes[:2])


_WORDING = {
    "run": _run,
    "conflict": _conflict,
    "approval": _approval,
    "inbox": _inbox,
    "tier": _tier,
    "answer": _answer,
    "stop": _stop,
}
