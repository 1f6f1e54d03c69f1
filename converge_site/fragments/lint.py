"""What lint says of a pack as it stands in the database, each finding with links to what it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.urls import reverse

from converge_site.fragments.graph import anchor
from converge_site.fragments.words import Look
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.agents import find_pack
from runtime.engine import PackSpec
from runtime.lint_pack import Acceptance, Finding, accepted_findings, lint_pack
from runtime.models import Pack, Tool

_LOOKS = {
    "warning": Look("alert", "amber", "warning", "A job would not do what the pack's author meant."),
    "note": Look("question", "grey", "note", "It may be meant so; look whether it is."),
    "accepted": Look("done", "grey", "accepted", "The pack's author knows of it, and says why it stays."),
}
_ON_PAGE = ("key", "agent", "rule", "tier")


class Part(NamedTuple):
    """A stretch of a sentence; `is_code` for names and expressions."""

    text: str
    is_code: bool


class Link(NamedTuple):
    """To what a finding is about. `words` say where it leads, for who cannot see that."""

    href: str
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class LintLine:
    """A finding as shown. `why` is the author's reason for one that is accepted, else ""."""

    look: Look
    parts: list[Part]
    links: list[Link]
    why: str = ""


@dataclass(frozen=True, slots=True)
class LintPanel:
    """All of it. `count` says how many there are, in words; `warned` are the (kind, name) that warnings are about."""

    lines: list[LintLine]
    accepted: list[LintLine]
    warnings: int
    count: str
    warned: frozenset[tuple[str, str]]


def lint_panel(pack: Pack) -> LintPanel:
    """What `lint_pack` says of the pack as a job would freeze it now, by the admin's changes too."""
    spec = pack_spec_from_rows(pack)
    tools, accepted = known_tools(pack, spec), accepted_by_author(pack)
    findings = lint_pack(spec, tools=tools, accepted=accepted)
    known = {*Tool.objects.filter(name__in=tools).values_list("name", flat=True)}
    warnings = [finding for finding in findings if finding.severity == "warning"]
    return LintPanel(
        lines=[_line(finding, finding.severity, known) for finding in findings],
        accepted=[
            _line(f, "accepted", known, why) for f, why in accepted_findings(spec, accepted, tools=tools)
        ],
        warnings=len(warnings),
        count=_count(len(warnings), len(findings) - len(warnings)),
        warned=frozenset((finding.kind, name) for finding in warnings for name in finding.names),
    )


def known_tools(pack: Pack, spec: PackSpec) -> set[str]:
    """The names of the tools that are declared for a pack, in its code or by an admin."""
    named = {str(agent.config.get("tool")) for agent in spec.agents if agent.config.get("tool")}
    declared = find_pack(pack.name)
    return {
        *Tool.objects.filter(name__in=named).values_list("name", flat=True),
        *(declared.tools if declared is not None else ()),
    }


def accepted_by_author(pack: Pack) -> Sequence[Acceptance]:
    """The findings that the pack's author knows of and means to keep."""
    declared = find_pack(pack.name)
    return declared.accepted if declared is not None else []


def lint_lines(findings: Iterable[Finding], page: str) -> list[LintLine]:
    """Findings for another page than the pack's, whose address is `page`."""
    return [_line(finding, finding.severity, (), page=page) for finding in findings]


def _line(finding: Finding, look: str, tools: Collection[str], why: str = "", page: str = "") -> LintLine:
    cut = finding.text.split("`")
    parts = [Part(text, at % 2 == 1) for at, text in enumerate(cut) if text]
    return LintLine(_LOOKS[look], parts, list(_links(finding, tools, page)), why)


def _links(finding: Finding, tools: Collection[str], page: str) -> Iterable[Link]:
    for name in finding.names:
        if finding.kind in _ON_PAGE:
            shown = f"tier {name}" if finding.kind == "tier" else name
            where = "on the pack's page" if page else "on this page"
            yield Link(f"{page}#{anchor(finding.kind, name)}", shown, f"Show {where} the {finding.kind} ")
        elif finding.kind == "tool" and name in tools:
            yield Link(reverse("tool", args=[name]), name, "The tool ")


def _count(warnings: int, notes: int) -> str:
    parts = [(warnings, "warning"), (notes, "note")]
    return ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in parts if number)
