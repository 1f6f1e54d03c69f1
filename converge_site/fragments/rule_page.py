"""One rule in full: where it stands among the others of each key, what lint says of it, and every version it had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from converge_site.fragments.lint import LintLine, accepted_by_author, known_tools, lint_lines
from converge_site.fragments.rule_words import RuleView, rule_views
from converge_site.fragments.value_diff import FieldChange, diff_values
from converge_site.fragments.words import Look
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.rule_places import in_order
from runtime.actions.rules import replaced_by, with_draft
from runtime.engine import PackSpec, RuleSpec
from runtime.engine.spec import RESOLUTION_KINDS
from runtime.lint_pack import Finding, lint_pack
from runtime.models import GovernanceRule, Pack, RuleState, RuleVersion

_ORDER_SAYS = {
    "constraint": "Each of them must hold, or the proposal is refused.",
    "approval": "Each of them that applies must be satisfied before the value stands.",
    "invariant": "Each of them must hold, or the tier is not reached.",
    "discount": "Each of them that applies reduces the published confidence.",
}
_ASKED = "Where sides disagree these are asked in this order, until one decides."


@dataclass(frozen=True, slots=True)
class Place:
    """One rule among those of a key; `here` is the one the page is about, `shadowed` if lint says it has no say."""

    view: RuleView
    here: bool
    shadowed: bool


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """The rules of one kind that are about a key (or a tier, or everything), in the order in which they count."""

    title: str
    key: str
    places: list[Place]


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version, with what it changed against the one before."""

    row: RuleVersion
    changes: list[FieldChange]
    state: Look
    is_first: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What lint says: of this rule, of others because of it, and what it said of others and would not any more."""

    own: list[LintLine]
    caused: list[LintLine]
    mended: list[LintLine]

    def __bool__(self) -> bool:
        return bool(self.own or self.caused or self.mended)


@dataclass(frozen=True, slots=True)
class RulePage:
    """All of it. `old` is the rule that retires when this draft is activated; `fault` why that cannot be."""

    rule: GovernanceRule
    view: RuleView
    scope: list[str]
    order_says: str
    orders: list[KeyOrder]
    findings: Findings
    versions: list[VersionView]
    old: GovernanceRule | None
    drafts: list[GovernanceRule]
    last: RuleVersion | None


def read_page(rule: GovernanceRule) -> RulePage:
    """The page of a rule: a draft is looked at as if it were active, a retired rule among those that are."""
    spec = pack_spec_from_rows(rule.pack)
    counted = with_draft(rule, spec) if rule.state == RuleState.DRAFT else spec
    versions = list(rule.versions.order_by("number"))
    shadowed = _shadowed(rule.pack, counted)
    return RulePage(
        rule=rule,
        view=rule_views([rule])[0],
        scope=[key.name for key in spec.keys if rule_spec(rule).covers(key.name)],
        order_says=_ORDER_SAYS.get(rule.kind, _ASKED),
        orders=_orders(rule, counted, shadowed),
        findings=_findings(rule, spec, counted),
        versions=_versions(versions),
        old=replaced_by(rule) if rule.state == RuleState.DRAFT else None,
        drafts=list(rule.drafts.filter(state=RuleState.DRAFT).order_by("id")),
        last=versions[-1] if versions else None,
    )


def rule_spec(rule: GovernanceRule) -> RuleSpec:
    """What the rule is about, for its keys."""
    return RuleSpec(rule.name, rule.kind, tuple(rule.keys))  # type: ignore[arg-type]  # a kind that was checked


def shadowed_rules(findings: Sequence[Finding]) -> set[str]:
    """The names of the rules that others leave nothing to decide."""
    return {name for f in findings if f.code == "rule_shadowed" for name in f.names}


def _shadowed(pack: Pack, spec: PackSpec) -> set[str]:
    return shadowed_rules(lint_pack(spec, accepted=accepted_by_author(pack)))


def in_force_first(pack: Pack) -> list[GovernanceRule]:
    """The rules of a pack in the order they count; what is not in force after them, the retired last."""
    rank = {RuleState.ACTIVE: 0, RuleState.DRAFT: 1, RuleState.RETIRED: 2}
    return sorted(in_order(pack.rules.all()), key=lambda rule: rank[RuleState(rule.state)])


def resolution_orders(pack: Pack) -> tuple[list[KeyOrder], set[str]]:
    """For each key that resolution rules are about, these in the order asked; and the names of all rules that are
    shadowed."""
    spec = pack_spec_from_rows(pack)
    shadowed = _shadowed(pack, spec)
    rows = {row.name: row for row in pack.rules.all()}
    asked = sorted((r for r in spec.rules if r.kind in RESOLUTION_KINDS), key=lambda r: r.priority)
    orders = []
    for key in spec.keys:
        views = rule_views(rows[r.name] for r in asked if r.covers(key.name))
        places = [Place(view, False, view.rule.name in shadowed) for view in views]
        if places:
            orders.append(KeyOrder(key.title or key.name, key.name, places))
    return orders, shadowed


def _orders(rule: GovernanceRule, spec: PackSpec, shadowed: set[str]) -> list[KeyOrder]:
    rows = {row.name: row for row in rule.pack.rules.select_related("pack")}
    kinds = RESOLUTION_KINDS if rule.kind in RESOLUTION_KINDS else (rule.kind,)
    alike = sorted((r for r in spec.rules if r.kind in kinds and r.enabled), key=lambda r: r.priority)

    def order(title: str, key: str, rules: Sequence[RuleSpec]) -> KeyOrder:
        views = rule_views(rows[r.name] for r in rules)
        places = [Place(v, v.rule.pk == rule.pk, v.rule.name in shadowed) for v in views]
        return KeyOrder(title, key, places)

    if rule.kind == "invariant":
        tier = int(rule.params.get("tier", 0) or 0)
        own = [r for r in alike if int(r.params.get("tier", 0) or 0) == tier]
        return [order(f"tier {tier}" if tier else "every tier", "", own)]
    if rule.kind == "discount":
        return [order("answers", "", alike)]
    keys = [key.name for key in spec.keys if rule_spec(rule).covers(key.name)]
    return [order(key, key, [r for r in alike if r.covers(key)]) for key in keys]


def _findings(rule: GovernanceRule, spec: PackSpec, counted: PackSpec) -> Findings:
    if rule.state == RuleState.RETIRED:
        return Findings([], [], [])
    tools, accepted = known_tools(rule.pack, spec), accepted_by_author(rule.pack)
    with_it = lint_pack(counted, tools=tools, accepted=accepted)
    own = [f for f in with_it if f.kind == "rule" and rule.name in f.names]
    page = reverse("pack", args=[rule.pack.name])
    if rule.state == RuleState.ACTIVE:
        caused = [f for f in with_it if f not in own and f"`{rule.name}`" in f.text]
        return Findings(lint_lines(own, page), lint_lines(caused, page), [])
    before = lint_pack(spec, tools=tools, accepted=accepted)
    caused = [f for f in with_it if f not in own and f not in before]
    gone = replaced_by(rule)
    mended = [f for f in before if f not in with_it and (gone is None or gone.name not in f.names)]
    return Findings(lint_lines(own, page), lint_lines(caused, page), lint_lines(mended, page))


def _versions(rows: Sequence[RuleVersion]) -> list[VersionView]:
    """The newest first, each against the one before it."""
    found = []
    for at, row in enumerate(rows):
        before = rows[at - 1] if at else None
        changes = diff_values(before.said, row.said) if before is not None else []
        found.append(VersionView(row, changes, _STATES[row.state], at == 0))
    return found[::-1]


_STATES = {
    "draft": Look("pen", "grey", "draft"),
    "active": Look("done", "green", "active"),
    "retired": Look("ban", "grey", "retired"),
}
