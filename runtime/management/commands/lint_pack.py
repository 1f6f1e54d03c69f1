"""`manage.py lint_pack`: what in a pack's code does nothing, or can never happen."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from runtime.agents import Pack, PackFault, all_packs, find_pack, pack_faults
from runtime.lint_pack import Finding, accepted_findings, lint_pack

WARNED = 1
NO_SUCH_PACK = 2


class Linted(NamedTuple):
    """A pack with what there is to say of it, and what its author accepts, with the reason."""

    name: str
    findings: list[Finding]
    accepted: list[tuple[Finding, str]]

    @property
    def warnings(self) -> int:
        """How many findings are more than a note."""
        return sum(finding.severity == "warning" for finding in self.findings)


class Command(BaseCommand):
    help = (
        "Looks through packs as their code declares them, without a database: keys nobody writes or reads, agents that "
        "never run, tiers that cannot be reached, loops that may oscillate, rules that never fire or are shadowed. "
        "What an admin changed is looked at on the pack's page. Exit status: 0 no warning, 1 some, 2 no such pack."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "pack", metavar="PACK", nargs="?", default="", help="its name (default: all packs)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        packs = [_named(options["pack"])] if options["pack"] else all_packs()
        faults = [] if options["pack"] else pack_faults()
        linted = [_lint(pack) for pack in packs]
        if options["json"]:
            self.stdout.write(orjson.dumps(_as_json(linted, faults)).decode())
        else:
            self._tell(linted, faults)
        warned = sum(one.warnings for one in linted) + len(faults)
        if warned:
            raise CommandError(f"{warned} warning{'' if warned == 1 else 's'}.", returncode=WARNED)

    def _tell(self, linted: list[Linted], faults: list[PackFault]) -> None:
        for fault in faults:
            self.stdout.write(self.style.WARNING(f"{fault.source}: cannot be loaded. {fault.message}"))
        for one in linted:
            self.stdout.write(f"{one.name}: {_count(one)}")
            for finding in one.findings:
                line = f"  {finding.severity:8} {finding.code:21} {finding.text}"
                self.stdout.write(self.style.WARNING(line) if finding.severity == "warning" else line)
            for finding, why in one.accepted:
                self.stdout.write(f"  accepted {finding.code:21} {', '.join(finding.names)}: {why}")


def _named(name: str) -> Pack:
    pack = find_pack(name)
    if pack is None:
        known = ", ".join(pack.name for pack in all_packs())
        raise CommandError(f"There is no pack {name!r}; installed here: {known}.", returncode=NO_SUCH_PACK)
    return pack


def _lint(pack: Pack) -> Linted:
    spec, tools = pack.spec(), list(pack.tools)
    findings = lint_pack(spec, tools=tools, accepted=pack.accepted)
    return Linted(pack.name, findings, accepted_findings(spec, pack.accepted, tools=tools))


def _count(linted: Linted) -> str:
    notes = len(linted.findings) - linted.warnings
    parts = [(linted.warnings, "warning"), (notes, "note")]
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in parts if n) or "no findings"


def _as_json(linted: list[Linted], faults: list[PackFault]) -> dict[str, Any]:
    return {
        "warnings": sum(one.warnings for one in linted) + len(faults),
        "packs": [
            {
                "pack": one.name,
                "findings": [finding.to_json() for finding in one.findings],
                "accepted": [{**finding.to_json(), "why": why} for finding, why in one.accepted],
            }
            for one in linted
        ],
        "faults": [{"source": fault.source, "message": fault.message} for fault in faults],
    }
