"""What a rule may not be: each refusal names the field, the limit and the way out, and nothing is written."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from runtime.actions import Refused
from runtime.actions.rules import activate_rule, change_draft, draft_rule
from runtime.models import AuditRecord, GovernanceRule, Pack, RuleVersion
from tests.admin.cast import rule

FINE: dict[str, Any] = {"name": "mine", "kind": "confidence", "keys": ["outlook"], "params": {"margin": 0.2}}

RULES: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "vote"}, "kind", "kinds are constraint"),
    ({"name": ""}, "name", "1 to 100 characters"),
    ({"name": "clear margin"}, "name", "already"),
    ({"keys": []}, "keys", "at least one key"),
    ({"keys": ["outlooks"]}, "keys", "'outlooks'; it has company"),
    ({"keys": ["outlook.*"]}, "keys", "covers several"),
    ({"priority": 10**6}, "priority", "10,000"),
    ({"params": {"margin": 4}}, "params", "margin is 4; give a number from 0 to 1"),
    ({"params": {"margin": True}}, "params", "margin is True"),
    ({"params": {}}, "params", "margin is missing: by how much"),
    ({"params": {"margins": 0.1}}, "params", "no parameter 'margins'; it has margin"),
    ({"params": [1]}, "params", "JSON object"),
    ({"kind": "newer", "params": {"field": 3}}, "params", "name of an evidence field"),
    ({"kind": "dominance", "params": {}}, "params", "Name who dominates"),
    ({"kind": "dominance", "params": {"agents": ["nobody"]}}, "params", "'nobody'; the pack has the agents"),
    ({"kind": "dominance", "params": {"sources": "crm"}}, "params", "a list of names"),
    ({"kind": "aggregation", "params": {"agent": "momentum"}}, "params", "aggregation agents are: weigh"),
    (
        {"kind": "aggregation", "keys": ["plan"], "params": {"agent": "weigh"}},
        "keys",
        "weigh rules on 'outlook'",
    ),
    ({"kind": "approval", "params": {"count": 0}}, "params", "whole number from 1 to 20"),
    ({"kind": "approval", "params": {"groups": []}}, "params", "name a group"),
    ({"kind": "approval", "params": {"exclude_submitter": "yes"}}, "params", "true or false"),
    ({"kind": "invariant", "params": {"tier": 9}, "expression": "true"}, "params", "tiers 1 to 3"),
    ({"kind": "discount", "params": {"incomplete": 2}}, "params", "0 to 1"),
    ({"kind": "constraint", "params": {}}, "expression", "Say in CEL"),
    ({"expression": "sides.size() <"}, "expression", "This is no CEL: line 1, column 1"),
    (
        {"expression": "side.size() < 3"},
        "expression",
        "unknown name `side`.*at character 1, before `side.size",
    ),
    (
        {"kind": "invariant", "params": {}, "expression": 'facts("plans").size() > 0'},
        "expression",
        "looks up 'plans'",
    ),
    (
        {"expression": 'fact("plan", subject) == 1'},
        "expression",
        "Only a constraint or an invariant can look",
    ),
    ({"kind": "discount", "params": {}, "expression": "true"}, "expression", "takes no expression"),
    ({"expression": "x" * 3000}, "expression", "2,048"),
    ({"message": "x" * 501}, "message", "limit is 500"),
    ({"message": "a\x00b"}, "message", "NUL"),
    ({"name": "\ud800"}, "name", "surrogate"),
    ({"kind": "dominance", "params": {"evidence": {"a": "\x00"}}}, "params", "NUL"),
    ({"kind": "dominance", "params": {"evidence": {"a": ["x" * 20_000]}}}, "params", "the limit is 16,384"),
    ({"expires_at": "tomorrow"}, "expires_at", "day and time"),
    ({"expires_at": timezone.now() - dt.timedelta(seconds=1)}, "expires_at", "has passed"),
    ({"enabled": True}, "enabled", "cannot be set here"),
]


@pytest.mark.parametrize(("given", "field", "words"), RULES)
def test_a_rule_that_cannot_be_names_field_limit_and_way_out(
    ada: User, growth: Pack, given: dict[str, Any], field: str, words: str
) -> None:
    counts = [model.objects.count() for model in (GovernanceRule, RuleVersion, AuditRecord)]
    settings = {**FINE, **given}
    expires_at = settings.pop("expires_at", None)
    with pytest.raises(Refused) as refusal:
        draft_rule(ada, growth.pk, settings, "", expires_at=expires_at)
    assert refusal.value.field == field
    assert re.search(words, refusal.value.message), refusal.value.message
    assert [model.objects.count() for model in (GovernanceRule, RuleVersion, AuditRecord)] == counts


@pytest.mark.parametrize(("given", "field", "words"), RULES[::4])
def test_a_change_of_a_draft_is_held_to_the_same(
    ada: User, growth: Pack, given: dict[str, Any], field: str, words: str
) -> None:
    draft = draft_rule(ada, growth.pk, FINE)
    with pytest.raises(Refused) as refusal:
        change_draft(ada, draft.pk, given)
    assert refusal.value.field == field
    assert re.search(words, refusal.value.message), refusal.value.message
    draft.refresh_from_db()
    assert (draft.version, draft.params) == (1, {"margin": 0.2})


def test_a_draft_that_fitted_once_is_looked_at_again_when_it_is_activated(ada: User, growth: Pack) -> None:
    draft = draft_rule(
        ada, growth.pk, {**FINE, "kind": "invariant", "params": {"tier": 3}, "expression": "true"}
    )
    Pack.objects.filter(pk=growth.pk).update(tiers=growth.tiers[:2])
    with pytest.raises(Refused, match="tiers 1 to 2") as refusal:
        activate_rule(ada, draft.pk, "it is time", version=1)
    assert refusal.value.field == "params"
    assert rule("mine").state == "draft"


def test_a_reason_is_bounded_and_readable(ada: User, growth: Pack) -> None:
    for reason, words in (("x" * 501, "limit is 500"), ("a\x00", "NUL"), ("\ud800", "surrogate")):
        with pytest.raises(Refused, match=words) as refusal:
            draft_rule(ada, growth.pk, FINE, reason)
        assert refusal.value.field == "reason"
