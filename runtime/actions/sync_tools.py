"""Writing the tools that packs declare in code into rows, where an admin can see and change them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runtime.actions.pack_specs import Fields, tool_fields
from runtime.actions.refusals import Refused
from runtime.actions.syncing import SyncReport, bring_in_line, disable_row, record_sync
from runtime.actions.tool_checks import check_tool
from runtime.agents import Pack
from runtime.models import Tool


@dataclass(frozen=True, slots=True)
class _Declared:
    pack: str
    fields: Fields


def sync_tools(packs: Iterable[Pack]) -> SyncReport:
    """Bring the rows in line with the tools that `packs` declare. Call it in a transaction.

    What an admin set, and a tool that an admin made, is left alone. Of two packs that declare a tool differently the
    first one is followed. A tool that no code declares any more is disabled and kept.
    """
    report = SyncReport()
    wanted = _declared(packs, report)
    there = {row.name: row for row in Tool.objects.select_for_update().order_by("name")}
    for name, declared in wanted.items():
        row = there.get(name)
        if row is None:
            Tool.objects.create(name=name, origin="code", **declared.fields)
            report.created.append(f"tool {name}")
        elif row.origin == "admin":
            report.left_alone.append(f"tool {name}: an admin made one of this name; the code's is not used")
        else:
            bring_in_line(row, declared.fields, f"tool {name}", report)
    for name, row in there.items():
        if name not in wanted and row.origin == "code" and row.enabled:
            disable_row(row, f"tool {name}: no code declares it any more", report)
    record_sync("tools", report)
    return report


def _declared(packs: Iterable[Pack], report: SyncReport) -> dict[str, _Declared]:
    """The tools as the first pack that names them declares them; what cannot be is told and left out."""
    found: dict[str, _Declared] = {}
    for pack in packs:
        for name, tool in pack.tools.items():
            fields = {"title": tool.title, "description": tool.description, **tool_fields(tool.spec)}
            if name in found:
                first = found[name]
                if first.fields != fields:
                    report.problems.append(
                        f"tool {name} is declared by the packs {first.pack} and {pack.name} with different settings; "
                        f"those of {first.pack} are used"
                    )
                continue
            try:
                check_tool(tool.spec, tool.title, tool.description)
            except Refused as refusal:
                report.problems.append(f"tool {name} of pack {pack.name}, {refusal.field}: {refusal.message}")
                continue
            found[name] = _Declared(pack.name, fields)
    return found
