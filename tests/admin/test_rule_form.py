"""The admin's form of rules: drafts are written in it, with a fault in their CEL pointed at; the rest is only read."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from runtime.actions import submit_job
from runtime.actions.rules import change_draft, draft_from, draft_rule
from runtime.models import AuditRecord, GovernanceRule, Job, Pack
from tests.admin.cast import follow, person, retire, rule
from tests.admin.pages import errors, fields, page, save

ADD = "runtime_governancerule_add"
CHANGE = "runtime_governancerule_change"
MINE: dict[str, Any] = {"name": "mine", "kind": "confidence", "keys": ["outlook"], "params": {"margin": 0.2}}


@pytest.fixture
def mine(ada: User, growth: Pack) -> GovernanceRule:
    """A draft of Ada's."""
    return draft_rule(ada, growth.pk, MINE)


def test_a_rule_is_added_as_a_draft_and_deleted(browser: Client, growth: Pack) -> None:
    given = {
        "pack": growth.pk,
        "name": "mine",
        "kind": "operator",
        "keys": "stance",
        "priority": 5,
        "params": "{}",
    }
    response = save(browser, page(ADD), **given, expires_at_0="2100-01-02", expires_at_1="03:04:00")
    assert response.status_code == 302, errors(response)
    made = rule("mine")
    assert (made.origin, made.keys, made.state, made.version) == ("admin", ["stance"], "draft", 1)
    assert made.expires_at is not None and made.expires_at.isoformat() == "2100-01-02T03:04:00+00:00"
    assert browser.post(page("runtime_governancerule_delete", made.pk), {"post": "yes"}).status_code == 302
    assert not GovernanceRule.objects.filter(name="mine").exists()
    assert [record.act for record in AuditRecord.objects.all()[:2]] == ["delete_draft", "draft_rule"]


def test_saving_a_draft_is_an_act_with_a_reason(browser: Client, mine: GovernanceRule) -> None:
    response = save(
        browser, page(CHANGE, mine.pk), params='{"margin": 0.1}', keys="outlook, stance", priority=3
    )
    assert response.status_code == 302, errors(response)
    mine.refresh_from_db()
    assert (mine.keys, mine.priority, mine.params, mine.version) == (
        ["outlook", "stance"],
        3,
        {"margin": 0.1},
        2,
    )
    record = AuditRecord.objects.all()[0]
    assert (record.act, record.who_name, record.reason) == ("change_draft", "ada", "a test")
    assert "why" in errors(save(browser, page(CHANGE, mine.pk), priority=4, why=""))


def test_saving_a_draft_unchanged_changes_nothing(
    browser: Client, growth: Pack, mine: GovernanceRule
) -> None:
    acts = AuditRecord.objects.count()
    for row in GovernanceRule.objects.filter(pack=growth, state="draft"):
        response = save(browser, page(CHANGE, row.pk))
        assert response.status_code == 302, errors(response)
        before = row.version
        row.refresh_from_db()
        assert (row.changed_fields, row.version) == ([], before)
    assert AuditRecord.objects.count() == acts


def test_what_is_in_force_is_only_read_and_a_post_is_told_why(
    browser: Client, ada: User, growth: Pack
) -> None:
    for found in (rule("clear margin"), retire(ada, rule("an operator decides"))):
        address = page(CHANGE, found.pk)
        shown = browser.get(address).content.decode()
        assert "<textarea" not in shown and 'name="_save"' not in shown
        assert f'href="{reverse("rule", args=[found.pk])}"' in shown
        response = browser.post(address, {"priority": 1, "why": "x"}, follow=True)
        assert "stays as it is, for jobs were decided by it: make a draft of it" in unescape(
            response.content.decode()
        )
        assert (
            browser.post(page("runtime_governancerule_delete", found.pk), {"post": "yes"}).status_code == 403
        )
    assert rule("clear margin").priority == 10


def test_a_form_that_is_older_than_the_draft_is_refused(
    browser: Client, growth: Pack, mine: GovernanceRule
) -> None:
    address = page(CHANGE, mine.pk)
    sent = fields(browser.get(address), priority=3)
    change_draft(person("eve", "admin"), mine.pk, {"message": "hers"})
    response = browser.post(address, sent)
    assert "eve has changed it meanwhile" in str(errors(response))  # type: ignore[arg-type]
    mine.refresh_from_db()
    assert (mine.priority, mine.message) == (100, "hers")


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"params": '{"margin": 4}'}, "params", "give a number from 0 to 1"),
        ({"params": '{"margin": '}, "params", "line 1, column"),
        ({"params": '{"margin": 0.1, "margin": 0.2}'}, "params", "twice"),
        ({"params": "[1]"}, "params", "JSON object"),
        ({"keys": "outlooks"}, "keys", "has company"),
        ({"expression": "sides.size() <"}, "expression", "line 1, column 15"),
        ({"expression": "side == 1"}, "expression", "at character 1, before"),
        ({"kind": "constraint", "params": "{}"}, "expression", "Say in CEL"),
        ({"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}, "expires_at", "has passed"),
        ({"name": "clear margin"}, "name", "already"),
    ],
)
def test_what_is_wrong_with_a_draft_is_said_beside_the_field(
    browser: Client, mine: GovernanceRule, changes: dict[str, Any], field: str, words: str
) -> None:
    response = save(browser, page(CHANGE, mine.pk), **changes)
    assert words in str(errors(response)[field])
    mine.refresh_from_db()
    assert mine.version == 1


def test_a_fault_in_an_expression_is_pointed_at(browser: Client, mine: GovernanceRule) -> None:
    typed = "sides.size() == 2 &&\r\n  side.size() > 1"
    shown = save(browser, page(CHANGE, mine.pk), expression=typed).content.decode()
    assert "line 2, column 3" in shown
    drawn = re.search(r"<pre[^>]*>([^<]*)</pre>", shown)
    assert drawn is not None
    line, caret = drawn[1].splitlines()
    assert line == "  side.size() &gt; 1" and caret.index("^") == 2
    assert "side.size() &gt; 1</textarea>" in shown, "what was typed is kept"


def test_the_editor_tells_what_can_be_named_and_has_no_script_in_line(
    browser: Client, mine: GovernanceRule
) -> None:
    shown = unescape(browser.get(page(CHANGE, mine.pk)).content.decode())
    assert "cel_editor.js" in shown and f'data-pack="{mine.pack_id}"' in shown
    for kind in ("constraint", "invariant", "approval", "confidence", "operator"):
        assert f'data-cel-kind="{kind}"' in shown
    assert 'facts("company")' in shown, "examples look up a key of the pack"
    editor = shown[shown.index('class="cel"') : shown.index("data-cel-kind")]
    assert "<script" not in editor and " on" not in re.sub(r">[^<]*<", "><", editor)


def test_a_followed_rule_changes_what_the_next_job_freezes(browser: Client, ada: User, growth: Pack) -> None:
    company = {"goal": "profit", "budget": 1000, "risk": "balanced", "horizon": 6}
    seeds = [{"key": "company", "subject": "A", "value": company}]
    before = submit_job(ada, "growth", seeds)
    draft = draft_from(ada, rule("clear margin").pk)
    assert save(browser, page(CHANGE, draft.pk), params='{"margin": 0.1}').status_code == 302
    assert '"margin":0.1' not in Job.objects.get(pk=submit_job(ada, "growth", seeds).pk).spec
    follow(ada, rule("clear margin"), {"params": {"margin": 0.1}})
    after = submit_job(ada, "growth", seeds)
    assert '"margin":0.4' in Job.objects.get(pk=before.pk).spec
    assert '"margin":0.1' in Job.objects.get(pk=after.pk).spec
