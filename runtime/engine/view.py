"""The frozen view: what a run is shown, in canonical order, read-only and valid for its cycle (D2.2).

Nothing is copied: agents run before anything is merged, so the state itself is the frozen view.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from runtime.engine.state import ABSENT, CONTESTED, FACT, HELD, STATUS_NAMES, KeyState, Slot
from runtime.engine.values import THOUSAND, parse


class Fact:
    """What stands in a slot. `value` is a fresh copy each time it is asked for; `confidence` is 0..1."""

    __slots__ = ("_slot", "confidence", "key", "subject")

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.key = slot.key
        self.subject = slot.subject
        self.confidence = slot.strength / THOUSAND

    @property
    def value(self) -> Any:
        """The JSON value."""
        return parse(self._slot.raw or b"null")

    @property
    def seq(self) -> int:
        """The journal entry since which it stands."""
        return self._slot.seq

    def __repr__(self) -> str:
        return f"Fact({self.key!r}, {self.subject!r}, {self.value!r}, {self.confidence})"


class SideVoice(NamedTuple):
    """One voice of a side. Confidence 0..1."""

    agent: str
    item: str | None
    confidence: float
    evidence: dict[str, Any]


class Side(NamedTuple):
    """Candidates of equal value in a disputed slot. `confidence` is that of the strongest."""

    value: Any
    confidence: float
    voices: list[SideVoice]


class Sides(NamedTuple):
    """A disputed slot as its aggregation agent sees it."""

    key: str
    subject: str
    sides: list[Side]


class Group(NamedTuple):
    """The items of one group, in canonical order."""

    name: str
    items: list[Fact]


class Facts:
    """The facts of one key in canonical order of subject."""

    __slots__ = ("_state",)

    def __init__(self, state: KeyState) -> None:
        self._state = state

    def __iter__(self) -> Iterator[Fact]:
        slots = self._state.slots
        for subject in self._state.in_order():
            slot = slots[subject]
            if slot.status == FACT:
                yield Fact(slot)

    def __len__(self) -> int:
        state = self._state
        return state.shown - len(state.contested) - len(state.held)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __contains__(self, subject: str) -> bool:
        return self.get(subject) is not None

    def get(self, subject: str) -> Fact | None:
        """The fact about `subject`, None if nothing stands there."""
        slot = self._state.slots.get(subject)
        return Fact(slot) if slot is not None and slot.status == FACT else None

    def canonical(self) -> list[tuple[str, bytes]]:
        """(subject, canonical JSON of the value) of every fact, in order: for agents that remember by content."""
        slots = self._state.slots
        found = ((s, slots[s]) for s in self._state.in_order())
        return [(s, slot.raw) for s, slot in found if slot.status == FACT and slot.raw is not None]

    @property
    def contested(self) -> list[str]:
        """Subjects whose sides disagree and nothing decides, sorted."""
        return sorted(s.subject for s in self._state.contested)

    @property
    def held(self) -> list[str]:
        """Subjects whose value waits for approval, sorted."""
        return sorted(s.subject for s in self._state.held)


class View:
    """What one run is shown: the facts of the keys it reads, and its own item, group or sides."""

    __slots__ = ("_keys", "_open", "group", "item", "sides")

    def __init__(
        self,
        keys: dict[str, KeyState],
        item: Fact | None = None,
        group: Group | None = None,
        sides: Sides | None = None,
    ) -> None:
        self._keys = keys
        self._open = True
        self.item = item
        self.group = group
        self.sides = sides

    def __getitem__(self, key: str) -> Facts:
        self._check_open()
        try:
            return Facts(self._keys[key])
        except KeyError:
            raise KeyError(
                f"this agent does not read `{key}`; it reads {', '.join(self._keys) or 'nothing'}"
            ) from None

    def fact(self, key: str, subject: str) -> Fact | None:
        """The fact in a slot, None if nothing stands there. Raises KeyError for a key the agent does not read."""
        return self[key].get(subject)

    def status(self, key: str, subject: str) -> str | None:
        """`fact`, `contested`, `held`, or None."""
        self[key]
        slot = self._keys[key].slots.get(subject)
        shown = slot.shown() if slot is not None else ABSENT
        return STATUS_NAMES[shown[0]] if shown[0] in (FACT, CONTESTED, HELD) else None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are shown whole."""
        return tuple(self._keys)

    def close(self) -> None:
        """Ends the view: what its cycle changes must not be seen by a run that outlived it."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("this view belongs to a cycle that is over")
