"""People and groups are changed by acts that are checked and audited, and somebody always stays admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from runtime.actions import Refused, role_of
from runtime.actions.people import (
    add_group,
    add_person,
    change_person,
    delete_group,
    rename_group,
    set_password,
)
from runtime.models import AuditRecord, Pack
from tests.admin.cast import person, rule


def acts() -> list[tuple[str, str]]:
    return [(record.act, record.target) for record in AuditRecord.objects.order_by("id")]


def test_a_person_is_added_and_changed(ada: User) -> None:
    board = add_group(ada, "board")
    vera = add_person(ada, "vera", "a long password", [board])
    change_person(ada, vera.pk, {"email": "vera@example.org"}, [], reason="moved")
    assert acts() == [
        ("add_group", "group:board"),
        ("add_person", "person:vera"),
        ("change_person", "person:vera"),
    ]
    record = AuditRecord.objects.first()
    assert record is not None
    assert record.detail["changes"]["groups"] == {"from": ["board"], "to": []}
    vera.refresh_from_db()
    assert vera.email == "vera@example.org"
    assert vera.check_password("a long password")


def test_a_password_is_set_and_not_recorded(ada: User, otto: User) -> None:
    set_password(ada, otto, "entirely new")
    otto.refresh_from_db()
    assert otto.check_password("entirely new")
    assert "entirely new" not in str(list(AuditRecord.objects.values()))
    set_password(ada, otto, None)
    assert not User.objects.get(pk=otto.pk).has_usable_password()


def test_only_an_admin_changes_people(otto: User, ada: User) -> None:
    deeds: list[Any] = [
        lambda: add_person(otto, "eve", "x"),
        lambda: change_person(otto, ada.pk, {"is_active": False}),
        lambda: set_password(otto, ada, "mine now"),
        lambda: add_group(otto, "board"),
        lambda: rename_group(otto, Group.objects.create(name="a").pk, "b"),
        lambda: delete_group(otto, Group.objects.create(name="c").pk),
    ]
    for deed in deeds:
        with pytest.raises(Refused) as refusal:
            deed()
        assert refusal.value.code == "forbidden"
    assert not AuditRecord.objects.exists()


def test_nobody_takes_the_admin_role_from_themselves(ada: User) -> None:
    person("bea", "admin")
    for changes, groups in (({}, []), ({"is_active": False}, None)):
        with pytest.raises(Refused, match="from yourself"):
            change_person(ada, ada.pk, changes, groups)
    ada.refresh_from_db()
    assert ada.is_active
    assert ada.groups.exists()


def test_somebody_stays_admin(ada: User) -> None:
    bea = person("bea", "admin")
    root = User.objects.create_superuser("root")
    change_person(root, bea.pk, {}, [])
    change_person(ada, root.pk, {"is_active": False})
    with pytest.raises(Refused, match="yourself"):
        change_person(ada, ada.pk, {"is_active": False})


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_the_three_roles_stay(ada: User, role: str) -> None:
    group = Group.objects.get_or_create(name=role)[0]
    for deed in (lambda: delete_group(ada, group.pk), lambda: rename_group(ada, group.pk, "other")):
        with pytest.raises(Refused, match="three roles"):
            deed()


def test_a_group_that_a_rule_asks_is_kept(ada: User, growth: Pack) -> None:
    board = add_group(ada, "board")
    signing = rule("somebody signs the plan")
    signing.params = {"groups": ["board"]}
    signing.save()
    with pytest.raises(Refused, match="growth/somebody signs the plan"):
        delete_group(ada, board.pk)
    signing.params = {"groups": ["operator"]}
    signing.save()
    rename_group(ada, board.pk, "council")
    delete_group(ada, board.pk)
    assert not Group.objects.filter(name="council").exists()


def test_names_are_not_taken_twice(ada: User) -> None:
    add_group(ada, "board")
    with pytest.raises(Refused, match="already"):
        add_group(ada, " board ")
    with pytest.raises(Refused, match="already"):
        add_person(ada, "ada", "x")


def test_nobody_is_called_as_the_engine_calls_its_own(ada: User, otto: User) -> None:
    """Who is called @clock would pass for the clock in journals."""
    with pytest.raises(Refused) as refused:
        add_person(ada, "@clock", None)
    assert refused.value.field == "username"
    with pytest.raises(Refused):
        change_person(ada, otto.pk, {"username": "@operator"})
    sneaked_in = User.objects.create_superuser("@clock")
    assert role_of(sneaked_in) == ""
