"""Writing the packs that code declares into rows, where an admin can see and change them.

What an admin changed is named in a row's `changed_fields` and stays as it is. What code no longer has is
disabled and kept, for jobs and audit records still speak of it; it comes back when the code does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from runtime.actions import pack_specs
from runtime.actions.pack_specs import Fields
from runtime.actions.rule_places import settle_positions
from runtime.actions.rule_versions import SAID, begin_versions, write_version
from runtime.actions.sync_tools import sync_tools
from runtime.actions.syncing import SyncReport, bring_in_line, disable_row, is_off, record_sync
from runtime.agents import TOOL_KINDS, Pack, PackFault, all_packs, pack_faults
from runtime.engine.compiled import compile_pack
from runtime.engine.lint import PackError
from runtime.engine.spec import PackSpec
from runtime.models import Agent, GovernanceRule, Tool
from runtime.models import Pack as PackRow


def sync_packs(packs: Sequence[Pack] | None = None, faults: Iterable[PackFault] | None = None) -> SyncReport:
    """Bring the rows in line with the packs that were discovered (or with `packs` and `faults`, where given).

    Their tools come first. Each pack is one transaction, with an audit record if it changed anything. Running
    jobs froze their pack and notice nothing.
    """
    found = all_packs() if packs is None else packs
    report = SyncReport()
    with transaction.atomic():  # tools first: agents name them
        report.add(sync_tools(found))
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
        bring_in_line(row, {**pack_specs.pack_fields(spec), "enabled": True}, f"pack {spec.name}", done)
        _sync_parts(row, spec, done)
    PackRow.objects.filter(pk=row.pk).update(digest=digest, synced_at=timezone.now())
    _check_it_runs(row, done)
    record_sync(f"pack:{spec.name}", done)
    report.add(done)


def _sync_parts(row: PackRow, spec: PackSpec, report: SyncReport) -> None:
    agents = pack_specs.agent_fields(spec)
    _sync_rows(
        row, Agent, {name: {**fields, "enabled": True} for name, fields in agents.items()}, "agent", report
    )
    _sync_rows(row, GovernanceRule, pack_specs.rule_fields(spec), "rule", report)
    settle_positions(row)


def _sync_rows(
    pack: PackRow,
    model: type[Agent] | type[GovernanceRule],
    wanted: dict[str, Fields],
    what: str,
    report: SyncReport,
) -> None:
    there: dict[str, Any] = {row.name: row for row in model._default_manager.filter(pack=pack)}
    if model is GovernanceRule:
        _begin_versions(pack)
    for name, fields in wanted.items():
        named = f"{what} {pack.name}/{name}"
        row = there.get(name)
        if row is None:
            made = model._default_manager.create(pack=pack, name=name, **fields)
            if isinstance(made, GovernanceRule):
                write_version(made, None, "declared in the pack's code", is_new=True)
            report.created.append(named)
        elif row.origin == "admin":
            report.left_alone.append(f"{named}: an admin made one of this name; the code's is not used")
        else:
            before = bring_in_line(row, fields, named, report)
            if isinstance(row, GovernanceRule) and {*before} & {*SAID, "state"}:
                write_version(row, None, "changed in the pack's code", was=before)
    for name, row in there.items():
        if name not in wanted and row.origin == "code" and not is_off(row):
            disable_row(row, f"{what} {pack.name}/{name}: the code no longer has it", report)


def _begin_versions(pack: PackRow) -> None:
    """Rules that are older than their versions are kept as they are now."""
    for rule in pack.rules.filter(versions=None):
        begin_versions(rule)


def _disable_packs_but(names: set[str], report: SyncReport) -> None:
    for row in (
        PackRow.objects.select_for_update().filter(enabled=True).exclude(name__in=names).order_by("name")
    ):
        done = SyncReport()
        disable_row(row, f"pack {row.name}: no code for it is installed", done)
        record_sync(f"pack:{row.name}", done)
        report.add(done)


def _check_it_runs(row: PackRow, report: SyncReport) -> None:
    """What an admin set may not fit the new code; jobs would be refused, so it is said now."""
    try:
        compile_pack(pack_specs.pack_spec_from_rows(row))
    except PackError as error:
        report.problems.append(f"pack {row.name} cannot run as it is configured: {error}")
    kinds = dict(Tool.objects.values_list("name", "kind"))
    for agent in row.agents.filter(enabled=True, kind__in=TOOL_KINDS).order_by("position", "id"):
        tool = str(agent.config.get("tool"))
        if kinds.get(tool) != agent.kind:
            what = f"is of kind {kinds[tool]}" if tool in kinds else "is not there; an admin can add it"
            report.problems.append(f"agent {row.name}/{agent.name} calls the tool {tool}, which {what}")
