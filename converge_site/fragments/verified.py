"""What a verification found, in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from runtime.models import Job
from runtime.signing import key_id
from runtime.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Verified:
    """A verdict as the page shows it. `signed_at` and `key` are of the newest signed head, None and "" without one."""

    verdict: Verdict
    tone: str
    icon: str
    title: str
    text: str
    head: dict[str, Any] | None
    key: str
    key_id: str
    signed_at: dt.datetime | None
    unsigned_cycles: int


def read_verified(job: Job, verdict: Verdict) -> Verified:
    """The words for a verdict about `job`, as it was read."""
    tone, icon, title = _LOOKS[verdict.end]
    head = verdict.head.said if verdict.head else None
    key = verdict.head.key if verdict.head else ""
    return Verified(
        verdict,
        tone,
        icon,
        title,
        _text_of(job, verdict),
        head,
        key,
        key_id(key) if key else "",
        dt.datetime.fromisoformat(head["at"]) if head else None,
        verdict.cycles - head["cycle"] if head else verdict.cycles,
    )


_LOOKS = {
    "holds": ("good", "done", "This record holds."),
    "broken": ("bad", "failed", "This record does not hold."),
    "left": ("warn", "clock", "This job has left."),
    "unfinished": ("warn", "clock", "Not finished."),
    "busy": ("warn", "clock", "Not now."),
    "trouble": ("warn", "alert", "The signatures could not be checked."),
}


def _text_of(job: Job, verdict: Verdict) -> str:
    text = f"{verdict.text[:1].upper()}{verdict.text[1:]}."
    if verdict.end in ("broken", "left"):
        return text
    whole = f"`manage.py verify {job.pk}` and `manage.py replay {job.pk}`"
    if verdict.end == "unfinished":
        if verdict.step:
            return f"Chain and heads hold; merging it again takes longer than a page may. {whole} go to the end of it."
        return (
            f"A record of {job.entries:,} entries takes longer than a page may. {whole} go to the end of it."
        )
    if verdict.end == "busy":
        return "Other records are being verified here. Try again in a moment."
    return text if verdict.end == "trouble" else ""
