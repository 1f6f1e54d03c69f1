"""A decision turned into a rule: scoped to questions of its shape, with an end, as a draft that a person activates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils import timezone

from runtime.actions.audit import Person
from runtime.actions.backtests import start_backtest
from runtime.actions.deciding import find_conflict
from runtime.actions.pack_specs import active_rules, rule_spec_from_row
from runtime.actions.permissions import require
from runtime.actions.refusals import Refused
from runtime.actions.rule_checks import PRIORITIES
from runtime.actions.rule_places import in_order, is_in_place_of
from runtime.actions.rule_versions import first_author
from runtime.actions.rules import draft_rule
from runtime.engine.spec import RESOLUTION_KINDS
from runtime.engine.values import canonical
from runtime.learned_rules import CannotLearn, Said, rule_from_decision, value_under
from runtime.models import Conflict, Decision, Entry, GovernanceRule, RuleState
from runtime.precedents import overturned_by
from runtime.shapes import side_like

DAYS = 30
MOST_DAYS = 365
LAST = 100  # the priority of a rule where no other is about the key


@dataclass(frozen=True, slots=True)
class Learned:
    """What a decision says as a rule. `settings` are those of a draft; `kept` is the place of the side that wins.

    `place` is the rule directly before which it is asked, None if it is asked last. `before` and `after` name the rules
    that are asked about the key earlier and later than it.
    """

    conflict: Conflict
    decision: Decision
    settings: dict[str, Any]
    kept: int
    place: GovernanceRule | None
    before: tuple[str, ...]
    after: tuple[str, ...]


def read_learned(conflict_id: int, *, only_subject: bool = False) -> Learned:
    """The rule that the last decision on a question amounts to. Raises Refused, in words, where no rule can say it."""
    conflict = find_conflict(conflict_id)
    decision = _decision_on(conflict)
    sides = [side.get("speakers", ()) for side in conflict.sides]
    try:
        settings = rule_from_decision(
            conflict.key, conflict.subject, sides, decision.kept, only_subject=only_subject
        )
    except CannotLearn as error:
        raise Refused(f"{_why_not(decision)}{error}", code="invalid") from None
    place = side_like(decision.kept, sides)
    assert place is not None  # or nothing was learned
    rules = in_order(_asked_about(conflict))
    at = _place_in(rules, conflict)
    asked = rules[at] if at < len(rules) else None
    settings["priority"] = asked.priority if asked is not None else _last_priority(rules)
    _check_it_decides(conflict, place, settings)
    before, after = (tuple(rule.name for rule in part) for part in (rules[:at], rules[at:]))
    return Learned(conflict, decision, settings, place, asked, before, after)


def learn_rule(
    user: Person,
    conflict_id: int,
    *,
    name: str,
    expires_at: dt.datetime,
    reason: str,
    only_subject: bool = False,
    priority: int | None = None,
) -> GovernanceRule:
    """Drafts the rule that the last decision on a question amounts to, and has it tried on past jobs. The same form
    sent again is the same draft. Raises Refused, with the field at fault."""
    conflict = find_conflict(conflict_id)
    require(user, "propose_rule", conflict.job, conflict)
    learned = read_learned(conflict_id, only_subject=only_subject)
    if not reason.strip():
        raise Refused("Say why this shall be a rule.", field="reason")
    if expires_at > timezone.now() + dt.timedelta(days=MOST_DAYS + 1):
        raise Refused("Let it end within a year; who still wants it then can renew it.", field="expires_at")
    settings = learned.settings | {"name": name.strip()}
    before = learned.place
    if priority is not None and priority != settings["priority"]:
        settings["priority"], before = priority, None  # somewhere else, so after all that are there
    pack = conflict.job.pack
    drafts = GovernanceRule.objects.filter(pack=pack, name=settings["name"], state=RuleState.DRAFT)
    known = drafts.filter(learned_from=conflict).first()
    if known is not None and first_author(known) == user.pk:
        return known
    rule = draft_rule(
        user,
        pack.pk,
        settings,
        reason.strip(),
        expires_at=expires_at,
        learned_from=conflict,
        shape="" if only_subject else conflict.shape,  # of one subject it is not about the other questions
        before=before,
    )
    with suppress(Refused):  # the draft is there all the same, and can be tried from its page
        start_backtest(user, rule.pk, receipt=f"learned-{rule.pk}")
    return rule


def rules_about(conflict: Conflict) -> list[GovernanceRule]:
    """The drafts and active rules that were made for questions of this shape, or for such about this subject alone."""
    if not conflict.shape:
        return []
    of_subject = Q(learned_from__shape=conflict.shape, learned_from__subject=conflict.subject)
    rules = GovernanceRule.objects.filter(Q(shape=conflict.shape) | of_subject, pack=conflict.job.pack)
    return list(rules.exclude(state=RuleState.RETIRED).order_by("id"))


def _decision_on(conflict: Conflict) -> Decision:
    if conflict.kind == "hold":
        raise Refused("An approval is of one value; what may stand without one is for an admin to say.")
    said = conflict.decisions.filter(act="decide").exclude(status__in=("refused", "stale"))
    decision = said.order_by("-id").first()
    if decision is None:
        raise Refused("Nobody has decided this, so there is nothing to make a rule of.")
    overturning = overturned_by(decision)
    if overturning is not None:
        how = "undone" if overturning.act == "undo" else "decided anew"
        raise Refused(f"This decision was {how} by {overturning.by_name}, so no rule is made of it.")
    return decision


def _why_not(decision: Decision) -> str:
    """What was decided, where that is why no rule can say it."""
    if decision.kept:
        return ""
    what = "rejected all" if decision.payload.get("none") else "gave another value"
    return f"{decision.by_name} {what}. "


def _check_it_decides(conflict: Conflict, place: int, settings: dict[str, Any]) -> None:
    """Refuses a rule that would leave this very question open: another side names the same source, say."""
    voices = [(side, voice) for side in conflict.sides for voice in side["voices"]]
    entries = Entry.objects.filter(job=conflict.job, seq__in=[voice["seq"] for _, voice in voices])
    evidence = {entry.seq: entry.data.get("evidence") or {} for entry in entries}
    said = [
        Said(
            voice["agent"],
            voice.get("item") or "",
            side["value"],
            voice["conf"] / 1000,
            evidence.get(voice["seq"], {}),
        )
        for side, voice in voices
    ]
    wanted = canonical(conflict.sides[place]["value"])
    if value_under(settings, conflict.key, conflict.subject, said) != wanted:
        raise Refused(
            "A voice on another side names the same source, so no rule can tell the sides apart by it."
        )


def _place_in(rules: Sequence[GovernanceRule], conflict: Conflict) -> int:
    """Where among the rules, in their order, a rule learned from the question belongs: directly before the one that
    asked people, or what took its place since, so that whatever is asked before that is asked before this too. Last
    where every rule was asked and none did."""
    asking = conflict.job.pack.rules.filter(name=conflict.rule).first() if conflict.rule else None
    if asking is None:
        return len(rules)
    return next((at for at, rule in enumerate(rules) if is_in_place_of(rule, asking)), len(rules))


def _last_priority(rules: Sequence[GovernanceRule]) -> int:
    return min(PRIORITIES[1], max((rule.priority for rule in rules), default=LAST - 1) + 1)


def _asked_about(conflict: Conflict) -> list[GovernanceRule]:
    """The rules that jobs of today ask about the key."""
    rules = active_rules(conflict.job.pack).filter(kind__in=RESOLUTION_KINDS)
    return [rule for rule in rules if rule_spec_from_row(rule).covers(conflict.key)]
