"""One job under other rules: merged again from its record, with somebody watching what the change is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from runtime.backtest.changes import CannotCompare, RuleChange, compile_changed
from runtime.backtest.flips import Flip
from runtime.backtest.refusals import RefusalWatch
from runtime.backtest.remembering import remember_invariants
from runtime.backtest.slots import SlotWatch
from runtime.backtest.tiers import TierWatch
from runtime.engine import ENGINE_VERSION, Commit, Core, PackSpec
from runtime.engine.compiled import Compiled
from runtime.engine.replay import RecordedCycle, merge_again
from runtime.engine.spec import RESOLUTION_KINDS, RuleSpec

ON_SLOTS = (*RESOLUTION_KINDS, "approval")


class Watch(Protocol):
    """Somebody who looks on while a record is merged again."""

    def look(self, commit: Commit) -> None:
        """Is told at the end of each cycle."""
        ...

    def flips(self) -> Iterable[Flip]:
        """What it found, when the record has ended."""
        ...


def compare(
    pack: PackSpec,
    cycles: Sequence[RecordedCycle],
    change: RuleChange,
    engine_version: int = ENGINE_VERSION,
    is_late: Callable[[], bool] = lambda: False,
) -> list[Flip]:
    """What would have been different in a job of this record, by cycle, key and subject.

    `is_late` is asked now and then. Raises CannotCompare where the pack lacks what the change is about, or when it is
    late; ReplayError for a record that cannot be merged again; PackError for a pack that cannot be run.
    """

    def hurry() -> None:
        if is_late():
            raise CannotCompare("to merge it again takes too long")

    changed = compile_changed(pack, change)
    core = Core(pack, engine_version)
    remember_invariants(core)
    if not _oscillates(cycles):
        core.watch = None  # it costs a quarter of the merging, and the digests tell if it was needed
    watches = _watches(core, changed, change, hurry)
    if not watches:
        return []
    for commit in merge_again(core, cycles):
        for watch in watches:
            watch.look(commit)
        hurry()
    found = [flip for watch in watches for flip in watch.flips()]
    return sorted(found, key=lambda f: (f.cycle, f.key, f.subject, f.kind))


def _oscillates(cycles: Sequence[RecordedCycle]) -> bool:
    """Whether the job ever stopped because it went in circles."""
    return any(cycle.bodies and b'"oscillating"' in cycle.bodies[-1] for cycle in cycles)


# Two sides in a slot have left one of these: whoever came second was told so, or somebody acted on the slot.
OF_TWO_SIDES = frozenset(
    ("overruled", "contested", "held", "lost", "won", "revised", "risen", "conflict", "approval", "inbox")
)


class Scope(NamedTuple):
    """Where a change can be felt: in all of a job (`everywhere`), or where something was said about `keys`. Then only
    where that changed what a slot shows, if `shown`; and only by entries of these `kinds`, if there are any."""

    everywhere: bool
    keys: frozenset[str]
    shown: bool
    kinds: frozenset[str]


def scope_of(pack: PackSpec, change: RuleChange) -> Scope:
    """What must be in a job's record for anything to be different. A discount lowers published figures alone, so it is
    felt nowhere; rules between sides are felt where there were two."""
    rules = [rule for rule in change.rules_of(pack) if rule.kind != "discount"]
    kinds = {rule.kind for rule in rules}
    between = kinds <= {*RESOLUTION_KINDS}
    shown = "constraint" not in kinds and not between  # what was refused, and what lost, never showed
    return Scope("invariant" in kinds, _covered(pack, rules), shown, OF_TWO_SIDES if between else frozenset())


def _covered(pack: PackSpec, rules: Iterable[RuleSpec]) -> frozenset[str]:
    return frozenset(key.name for key in pack.keys for rule in rules if rule.covers(key.name))


def _watches(core: Core, changed: Compiled, change: RuleChange, hurry: Callable[[], None]) -> list[Watch]:
    rules = change.rules_of(core.pack)
    slots = _covered(core.pack, [rule for rule in rules if rule.kind in ON_SLOTS])
    checked = _covered(core.pack, [rule for rule in rules if rule.kind == "constraint"])
    watches: list[Watch] = []
    if slots:
        watches.append(SlotWatch(core, changed, slots))
    if checked:
        watches.append(RefusalWatch(core, changed, checked, hurry))
    if any(rule.kind == "invariant" for rule in rules):
        watches.append(TierWatch(core, changed))
    return watches
