"""A sync keeps a version of every rule that the code makes, changes or drops."""

from __future__ import annotations

import pytest
from django.utils import timezone

from runtime.models import GovernanceRule, RuleVersion
from tests.packs.test_sync_packs import pets, set_by_admin, sync

pytestmark = pytest.mark.django_db


def clear() -> GovernanceRule:
    return GovernanceRule.objects.get(name="clear")


def versions(name: str = "clear") -> list[tuple[int, str, str, str]]:
    rows = RuleVersion.objects.filter(rule__name=name).order_by("number")
    return [(row.number, row.state, row.by_name, row.reason) for row in rows]


def test_what_the_code_declares_is_the_first_version() -> None:
    sync(pets())
    assert versions() == [(1, "active", "code", "declared in the pack's code")]
    assert versions("vet") == [(1, "draft", "code", "declared in the pack's code")]
    said = RuleVersion.objects.get(rule__name="clear").said
    assert (said["params"], said["expires_at"]) == ({"margin": 0.4}, None)
    sync(pets())
    assert len(versions()) == 1


def test_what_the_code_changes_is_another_version_and_where_it_stands_is_none() -> None:
    sync(pets())
    sync(pets(margin=0.5))
    assert versions()[1:] == [(2, "active", "code", "changed in the pack's code")]
    assert clear().version == 2
    GovernanceRule.objects.update(position=9)
    sync(pets(margin=0.5))
    assert clear().position != 9 and len(versions()) == 2


def test_what_the_code_drops_is_retired_and_comes_back_with_it() -> None:
    sync(pets())
    without = pets()
    del without.rules["clear"]
    report = sync(without)
    assert report.disabled == ["rule pets/clear: the code no longer has it"]
    assert versions()[-1] == (2, "retired", "code", "the code no longer has it")
    assert not sync(without).lines()
    assert "rule pets/clear: state" in sync(pets()).updated
    assert versions()[-1] == (3, "active", "code", "changed in the pack's code")


def test_what_an_admin_retired_stays_so_and_gets_no_version() -> None:
    sync(pets())
    set_by_admin(clear(), state="retired")
    report = sync(pets())
    assert any("state is 'retired' here and 'active' in the code" in line for line in report.left_alone)
    assert (clear().state, len(versions())) == ("retired", 1)


def test_an_expiry_is_no_matter_of_the_code() -> None:
    sync(pets())
    ends = timezone.now()
    GovernanceRule.objects.filter(name="clear").update(expires_at=ends)
    assert not sync(pets()).lines()
    assert clear().expires_at == ends


def test_rules_that_are_older_than_versions_are_kept_as_they_are() -> None:
    sync(pets())
    RuleVersion.objects.all().delete()
    GovernanceRule.objects.create(
        pack=clear().pack, name="mine", kind="operator", keys=["choice"], origin="admin"
    )
    report = sync(pets(margin=0.5))
    assert report.updated == ["rule pets/clear: params"]
    assert versions() == [
        (1, "active", "code", "as it was when versions began"),
        (2, "active", "code", "changed in the pack's code"),
    ]
    assert versions("mine") == [(1, "active", "system", "as it was when versions began")]
    first = RuleVersion.objects.get(rule__name="clear", number=1)
    assert first.said["params"] == {"margin": 0.4}
