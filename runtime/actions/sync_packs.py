"""Writing the packs that code declares into rows, where an admin can see and change them.

What an admin changed is named in a row's `changed_fields` and stays as it is. What code no longer has is
disabled and kept, for jobs and audit records still speak of it; it comes back when the code does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from runtime.actions import pack_specs
from runtime.actions.audit import record_act
from runtime.actions.pack_specs import Fields
from runtime.agents import Pack, PackFault, all_packs, pack_faults
from runtime.engine.compiled import compile_pack
from runtime.engine.lint import PackError
from runtime.engine.spec import PackSpec
from runtime.models import Agent, GovernanceRule
from runtime.models import Pack as PackRow


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


def sync_packs(packs: Sequence[Pack] | None = None, faults: Iterable[PackFault] | None = None) -> SyncReport:
    """Bring the rows in line with the packs that were discovered (or with `packs` and `faults`, where given).

    Each pack is one transaction, with an audit record if it changed anything. Running jobs froze their pack
    and notice nothing.
    """
    found = all_packs() if packs is None else packs
    report = SyncReport()
    for pack in found:
        with transaction.atomic():
            _sync_pack(pack.spec(), report)
    with transaction.atomic():
        _disable_packs_but({pack.name for pack in found}, report)
    for fault in pack_faults() if faults is None else faults:
        report.problems.append(f"{fault.source} could not be loaded: {fault.message}")
    return report


def _sync_pack(spec: PackSpec, report: SyncReport) -> None:
    done = SyncReport()
    digest = pack_specs.spec_digest(spec)
    row = PackRow.objects.select_for_update().filter(name=spec.name).first()
    if row is None:
        row = PackRow.objects.create(name=spec.name, digest=digest, **pack_specs.pack_fields(spec))
        counts = f"{len(spec.agents)} agents, {len(spec.rules)} rules"
        done.created.append(f"pack {spec.name} ({counts})")
        _sync_parts(row, spec, SyncReport())
    else:
        _bring_in_line(row, {**pack_specs.pack_fields(spec), "enabled": True}, f"pack {spec.name}", done)
        _sync_parts(row, spec, done)
    PackRow.objects.filter(pk=row.pk).update(digest=digest, synced_at=timezone.now())
    _check_it_runs(row, done)
    _audit(spec.name, done)
    _append(report, done)


def _sync_parts(row: PackRow, spec: PackSpec, report: SyncReport) -> None:
    agents = pack_specs.agent_fields(spec)
    _sync_rows(
        row, Agent, {name: {**fields, "enabled": True} for name, fields in agents.items()}, "agent", report
    )
    _sync_rows(row, GovernanceRule, pack_specs.rule_fields(spec), "rule", report)


def _sync_rows(
    pack: PackRow,
    model: type[Agent] | type[GovernanceRule],
    wanted: dict[str, Fields],
    what: str,
    report: SyncReport,
) -> None:
    there: dict[str, Any] = {row.name: row for row in model._default_manager.filter(pack=pack)}
    for name, fields in wanted.items():
        named = f"{what} {pack.name}/{name}"
        row = there.get(name)
        if row is None:
            model._default_manager.create(pack=pack, name=name, **fields)
            report.created.append(named)
        elif isinstance(row, GovernanceRule) and row.origin == "admin":
            report.left_alone.append(f"{named}: an admin made a rule of this name; the code's is not used")
        else:
            _bring_in_line(row, fields, named, report)
    for name, row in there.items():
        of_code = getattr(row, "origin", "code") == "code"
        if name not in wanted and of_code and row.enabled:
            _disable(row, f"{what} {pack.name}/{name}: the code no longer has it", report)


def _bring_in_line(row: models.Model, fields: Fields, named: str, report: SyncReport) -> None:
    """Write what the code says now, but for what an admin set."""
    changed: list[str] = row.changed_fields  # type: ignore[attr-defined]
    differing = [name for name, value in fields.items() if getattr(row, name) != value]
    for name in differing:
        if name in changed:
            here, there = _short(getattr(row, name)), _short(fields[name])
            report.left_alone.append(
                f"{named}: {name} is {here} here and {there} in the code; an admin set it"
            )
    free = [name for name in differing if name not in changed]
    if not free:
        return
    for name in free:
        setattr(row, name, fields[name])
    row.save(update_fields=free)
    report.updated.append(f"{named}: {', '.join(free)}")


def _disable(row: Any, why: str, report: SyncReport) -> None:
    row.enabled = False
    row.save(update_fields=["enabled"])
    report.disabled.append(why)


def _disable_packs_but(names: set[str], report: SyncReport) -> None:
    for row in (
        PackRow.objects.select_for_update().filter(enabled=True).exclude(name__in=names).order_by("name")
    ):
        done = SyncReport()
        _disable(row, f"pack {row.name}: no code for it is installed", done)
        _audit(row.name, done)
        _append(report, done)


def _check_it_runs(row: PackRow, report: SyncReport) -> None:
    """What an admin set may not fit the new code; jobs would be refused, so it is said now."""
    try:
        compile_pack(pack_specs.pack_spec_from_rows(row))
    except PackError as error:
        report.problems.append(f"pack {row.name} cannot run as it is configured: {error}")


def _audit(pack_name: str, done: SyncReport) -> None:
    if done.changed:
        created, updated, disabled = done.created, done.updated, done.disabled
        target = f"pack:{pack_name}"
        record_act(None, "sync_packs", target, created=created, updated=updated, disabled=disabled)


def _append(report: SyncReport, done: SyncReport) -> None:
    for name in ("created", "updated", "left_alone", "disabled", "problems"):
        getattr(report, name).extend(getattr(done, name))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
