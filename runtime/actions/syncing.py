"""What a sync of packs and one of tools share: the report, and how a row follows the code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db import models

from runtime.actions.audit import record_act
from runtime.actions.pack_specs import Fields
from runtime.actions.rule_versions import write_version
from runtime.models import GovernanceRule, RuleState


@dataclass(slots=True)
class SyncReport:
    """What a sync did, as lines for people. `problems` are packs that could not be loaded, or cannot run
    now."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether any row was written."""
        return bool(self.created or self.updated or self.disabled)

    def add(self, other: SyncReport) -> None:
        """Tell what another sync did, after this one."""
        for name in ("created", "updated", "left_alone", "disabled", "problems"):
            getattr(self, name).extend(getattr(other, name))

    def lines(self) -> list[str]:
        """Everything it did, a line each."""
        parts = [
            ("created", self.created),
            ("updated", self.updated),
            ("left alone", self.left_alone),
            ("disabled", self.disabled),
            ("problem", self.problems),
        ]
        return [f"{word}: {line}" for word, lines in parts for line in lines]


def bring_in_line(row: models.Model, fields: Fields, named: str, report: SyncReport) -> Fields:
    """Write what the code says now, but for what an admin set; gives the values before of what was written."""
    changed: list[str] = row.changed_fields  # type: ignore[attr-defined]
    differing = [name for name, value in fields.items() if getattr(row, name) != value]
    for name in differing:
        if name in changed:
            here, there = _short(getattr(row, name)), _short(fields[name])
            report.left_alone.append(
                f"{named}: {name} is {here} here and {there} in the code; an admin set it"
            )
    free = [name for name in differing if name not in changed]
    before = {name: getattr(row, name) for name in free}
    if free:
        for name in free:
            setattr(row, name, fields[name])
        row.save(update_fields=free)
        report.updated.append(f"{named}: {', '.join(free)}")
    return before


def is_off(row: Any) -> bool:
    """Whether no job freezes or uses it any more."""
    return row.state == RuleState.RETIRED if isinstance(row, GovernanceRule) else not row.enabled


def disable_row(row: Any, why: str, report: SyncReport) -> None:
    """Switch off what code no longer has; it is kept."""
    if isinstance(row, GovernanceRule):
        before = {"state": row.state}
        row.state = RuleState.RETIRED
        row.save(update_fields=["state"])
        write_version(row, None, "the code no longer has it", was=before)
    else:
        row.enabled = False
        row.save(update_fields=["enabled"])
    report.disabled.append(why)


def record_sync(target: str, done: SyncReport) -> None:
    """One audit record if anything was written."""
    if done.changed:
        created, updated, disabled = done.created, done.updated, done.disabled
        record_act(None, "sync_packs", target, created=created, updated=updated, disabled=disabled)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
