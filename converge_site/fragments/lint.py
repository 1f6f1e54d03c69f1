"""What lint says of a pack as it stands in the database, each finding with links to what it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.urls import reverse

from converge_site.fragments.graph import anchor
from converge_site.fragments.words import Look
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.agents import find_pack
from runtime.lint_pack import Finding, accepted_findings, lint_pack
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
    spec, declared = pack_spec_from_rows(pack), find_pack(pack.name)
    named = {str(agent.config.get("tool")) for agent in spec.agents if agent.config.get("tool")}
    tools = {*Tool.objects.filter(name__in=named).values_list("name", flat=True)}
    if declared is not None:
        tools |= set(declared.tools)
    accepted = declared.accepted if declared is not None else []
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


def _line(finding: Finding, look: str, tools: Collection[str], why: str = "") -> LintLine:
    cut = finding.text.split("`")
    parts = [Part(text, at % 2 == 1) for at, text in enumerate(cut) if text]
    return LintLine(_LOOKS[look], parts, list(_links(finding, tools)), why)


def _links(finding: Finding, tools: Collection[str]) -> Iterable[Link]:
    for name in finding.names:
        if finding.kind in _ON_PAGE:
            shown = f"tier {name}" if finding.kind == "tier" else name
            yield Link(f"#{anchor(finding.kind, name)}", shown, f"Show on this page the {finding.kind} ")
        elif finding.kind == "tool" and name in tools:
            yield Link(reverse("tool", args=[name]), name, "The tool ")


def _count(warnings: int, notes: int) -> str:
    parts = [(warnings, "warning"), (notes, "note")]
    return ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in parts if number)
