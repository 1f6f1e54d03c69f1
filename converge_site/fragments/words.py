"""Status and journal in words, icons and tones: the one place that says how each looks.

Tones: green done, red failed, amber waits on a person, blue runs, grey pending. An icon and a word go with each.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.models import STATUS_WORDS


@dataclass(frozen=True, slots=True)
class Look:
    """How something is shown: an icon of the sprite, a tone, a word, and what the word means."""

    icon: str
    tone: str
    word: str
    meaning: str = ""


_STATUS = {
    "queued": ("clock", "grey"),
    "running": ("running", "blue"),
    "waiting": ("person", "amber"),
    "recovering": ("recover", "blue"),
    "converged": ("done", "green"),
    "partial": ("half", "grey"),
    "oscillating": ("wave", "red"),
    "exhausted": ("gauge", "red"),
    "invalid": ("failed", "red"),
    "failed": ("failed", "red"),
    "cancelled": ("ban", "grey"),
}

STATUS_LOOKS = {name: Look(icon, tone, STATUS_WORDS[name]) for name, (icon, tone) in _STATUS.items()}

KIND_LOOKS = {
    "accepted": Look("merge", "green", "accepted", "It stands where nothing stood."),
    "confirmed": Look("done", "green", "confirmed", "An equal value already stood; this supports it."),
    "won": Look("merge", "green", "won", "A rule decided for it against other sides."),
    "risen": Look("up", "green", "risen", "What had lost stands now, since what stood above it went."),
    "revised": Look("swap", "blue", "revised", "The voice changed its own standing statement."),
    "lost": Look("down", "grey", "lost", "A rule decided for another side; it stays as dissent."),
    "withdrawn": Look("undo", "grey", "withdrawn", "The voice no longer says it, or what it rested on fell."),
    "overruled": Look("person", "grey", "overruled", "An operator had decided otherwise."),
    "contested": Look("split", "amber", "contested", "No rule decides between the sides."),
    "held": Look("hold", "amber", "held", "It would stand, but a person must approve it first."),
    "rejected": Look("ban", "red", "rejected", "It was refused and not said."),
    "run": Look("play", "grey", "run", "An agent ran."),
    "conflict": Look("split", "amber", "conflict", "A conflict opened, changed or closed."),
    "approval": Look("hold", "amber", "approval", "An approval was asked, given, refused, waived or lapsed."),
    "inbox": Look("inbox", "blue", "inbox", "What a person or the clock sent was applied."),
    "tier": Look("flag", "green", "tier", "A tier was judged."),
    "answer": Look("answer", "blue", "answer", "A numbered answer was published."),
    "stop": Look("stop", "grey", "stop", "The run stopped."),
}

_SLOT_WORDS = {
    "fact": Look("done", "green", "stands"),
    "contested": Look("split", "amber", "contested"),
    "held": Look("hold", "amber", "held for approval"),
    "empty": Look("dash", "grey", "nothing stands"),
}


def look_of_status(status: str) -> Look:
    """How a job's status is shown."""
    return STATUS_LOOKS[status]


def look_of_kind(kind: str) -> Look:
    """How a kind of journal entry is shown."""
    return KIND_LOOKS.get(kind, Look("dash", "grey", kind))


def look_of_slot(status: str | None) -> Look:
    """How the state of a slot is shown."""
    return _SLOT_WORDS[status or "empty"]
