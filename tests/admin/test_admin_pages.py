"""The admin's pages: for admins only, and every write through an action."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from converge_site.admin.site import site
from runtime.actions import submit_job
from runtime.models import Agent, AuditRecord, GovernanceRule, Pack, Tool
from tests.admin.cast import agent, person
from tests.admin.pages import errors, page, save


def test_every_page_opens_for_an_admin(browser: Client, ada: User, growth: Pack) -> None:
    submit_job(ada, "growth", [{"key": "company", "subject": "A", "value": company()}])
    assert browser.get(page("index")).status_code == 200
    for model in site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        assert browser.get(page(f"{name}_changelist")).status_code == 200, name
        assert browser.get(page(f"{name}_changelist"), {"q": "1"}).status_code == 200, name
        for row in model._default_manager.all()[:2]:
            assert browser.get(page(f"{name}_change", row.pk)).status_code == 200, name
        adds = browser.get(page(f"{name}_add")).status_code
        assert adds == (200 if model in (Agent, GovernanceRule, Tool, User, Group) else 403), name


def company() -> dict[str, Any]:
    return {"goal": "profit", "budget": 1000, "risk": "balanced", "horizon": 6}


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_nobody_else_gets_in(client: Client, growth: Pack, role: str) -> None:
    client.force_login(person("vera", role))
    addresses = [
        page("index"),
        page("runtime_agent_changelist"),
        page("runtime_agent_change", agent("split").pk),
    ]
    for address in addresses:
        response = client.get(address, follow=True)
        assert response.status_code == 403, address
    client.post(page("runtime_agent_change", agent("split").pk), {"tier": 1, "timeout": 1, "why": "x"})
    assert agent("split").tier == 3


def test_a_stranger_signs_in_first(client: Client, db: Any) -> None:
    response = client.get(page("index"), follow=True)
    assert response.redirect_chain[-1][0].startswith(reverse("sign_in"))


def test_saving_an_agent_is_an_act_with_a_reason(browser: Client, growth: Pack) -> None:
    address = page("runtime_agent_change", agent("momentum").pk)
    assert save(browser, address, tier=2, required=None, timeout="12.5").status_code == 302
    changed = agent("momentum")
    assert (changed.tier, changed.required, changed.timeout) == (2, False, 12.5)
    assert changed.changed_fields == ["required", "tier", "timeout"]
    record = AuditRecord.objects.first()
    assert record is not None
    assert (record.act, record.who_name, record.reason) == ("change_agent", "ada", "a test")


def test_a_reason_is_asked_for(browser: Client, growth: Pack) -> None:
    response = save(browser, page("runtime_agent_change", agent("momentum").pk), tier=2, why="")
    assert "why" in errors(response)
    assert agent("momentum").tier == 1


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"tier": 9}, "tier", "tiers 1 to 3"),
        ({"timeout": 0}, "timeout", "3,600"),
        ({"tier": ""}, "tier", "required"),
    ],
)
def test_an_agents_limits_are_said_beside_the_field(
    browser: Client, growth: Pack, changes: dict[str, Any], field: str, words: str
) -> None:
    response = save(browser, page("runtime_agent_change", agent("momentum").pk), **changes)
    assert words in str(errors(response)[field])
    assert not agent("momentum").changed_fields


def test_disabling_an_agent_that_a_rule_needs_is_explained(browser: Client, growth: Pack) -> None:
    response = save(browser, page("runtime_agent_change", agent("weigh").pk), enabled=None)
    assert "small stakes are weighed" in str(errors(response)["enabled"])
    assert agent("weigh").enabled


def test_saving_a_form_unchanged_changes_nothing(browser: Client, growth: Pack) -> None:
    acts = AuditRecord.objects.count()
    assert save(browser, page("runtime_pack_change", growth.pk)).status_code == 302
    assert AuditRecord.objects.count() == acts


def test_a_packs_limits_are_set_and_bounded(browser: Client, growth: Pack) -> None:
    address = page("runtime_pack_change", growth.pk)
    assert "1,000,000" in str(errors(save(browser, address, facts=10**8))["facts"])
    assert save(browser, address, cycles=12).status_code == 302
    growth.refresh_from_db()
    assert growth.budget["cycles"] == 12
    assert growth.changed_fields == ["budget"]


def test_records_cannot_be_written(browser: Client, ada: User, growth: Pack) -> None:
    job = submit_job(ada, "growth", [{"key": "company", "subject": "A", "value": company()}])
    record = AuditRecord.objects.all()[0]
    for name, pk in (("runtime_job", job.pk), ("runtime_auditrecord", record.pk)):
        assert browser.post(page(f"{name}_change", pk), {"title": "x"}).status_code == 403
        assert browser.post(page(f"{name}_delete", pk), {"post": "yes"}).status_code == 403
        assert browser.get(page(f"{name}_add")).status_code == 403
        form = browser.get(page(f"{name}_change", pk)).context["adminform"].form
        assert not form.fields or "why" not in form.fields


def test_a_person_is_added_changed_and_given_a_password(browser: Client, ada: User) -> None:
    operators = Group.objects.get_or_create(name="operator")[0]
    new = {
        "username": "olga",
        "password1": "a long one 9",
        "password2": "a long one 9",
        "usable_password": "true",
    }
    response = save(browser, page("auth_user_add"), **new, groups=[operators.pk])
    assert response.status_code == 302, errors(response)
    olga = User.objects.get(username="olga")
    assert olga.check_password("a long one 9")
    assert list(olga.groups.all()) == [operators]
    response = save(browser, page("auth_user_change", olga.pk), email="olga@example.org", groups=[])
    assert response.status_code == 302, errors(response)
    olga.refresh_from_db()
    assert olga.email == "olga@example.org"
    assert not olga.groups.exists()
    password = {"password1": "another one 8", "password2": "another one 8", "usable_password": "true"}
    assert browser.post(page("auth_user_password_change", olga.pk), password).status_code == 302
    olga.refresh_from_db()
    assert olga.check_password("another one 8")
    acts = [record.act for record in AuditRecord.objects.order_by("id")]
    assert acts == ["add_person", "change_person", "set_password"]


def test_changing_ones_own_password_keeps_one_signed_in(browser: Client, ada: User) -> None:
    password = {"password1": "another one 8", "password2": "another one 8", "usable_password": "true"}
    browser.post(page("auth_user_password_change", ada.pk), password)
    assert browser.get(page("index")).status_code == 200


def test_nobody_drops_their_own_admin_role_here(browser: Client, ada: User) -> None:
    response = save(browser, page("auth_user_change", ada.pk), groups=[], follow=True)
    assert response.status_code == 302
    shown = browser.get(response["Location"]).content.decode()
    assert "cannot take the admin role from yourself" in shown
    assert ada.groups.exists()


def test_groups_that_are_roles_stay(browser: Client, ada: User) -> None:
    group = Group.objects.get(name="admin")
    response = browser.post(page("auth_group_delete", group.pk), {"post": "yes"})
    shown = browser.get(response["Location"]).content.decode()
    assert "one of the three roles" in shown
    assert Group.objects.filter(name="admin").exists()


def test_what_people_and_agents_said_is_shown_as_text(browser: Client, growth: Pack) -> None:
    AuditRecord.objects.create(
        who_name="<script>x</script>", act="a", target="t", detail={"<b>": "</pre><script>"}
    )
    record = AuditRecord.objects.all()[0]
    shown = browser.get(page("runtime_auditrecord_change", record.pk)).content.decode()
    assert "<script>x" not in shown
    assert "</pre><script>" not in shown
