"""Packs in code become rows, and what an admin changed stays."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.sync_packs import SyncReport, sync_packs
from runtime.agents import Pack, PackFault, all_packs
from runtime.models import Agent, AuditRecord, GovernanceRule
from runtime.models import Pack as PackRow

pytestmark = pytest.mark.django_db


def pets(*, tier: int = 1, agents: tuple[str, ...] = ("choose", "doubt"), margin: float = 0.4) -> Pack:
    """A small pack, as it may look in one release or the next."""
    pack = Pack("pets", tiers=["Signals", "Choice"])
    pack.key("pet", seed=True, schema={"type": "object", "properties": {"b": {}, "a": {}}})
    pack.key("choice")
    for name in agents:
        pack.agent(reads=["pet"], writes=["choice"], name=name, tier=tier)(lambda view: None)
    pack.confidence("clear", keys=["choice"], margin=margin)
    pack.dominance("vet", keys=["choice"], sources=["vet"], enabled=False)
    return pack


def sync(*packs: Pack) -> SyncReport:
    return sync_packs(packs, [])


def set_by_admin(row: Any, **fields: Any) -> None:
    """What the action of an admin leaves in a row."""
    for name, value in fields.items():
        setattr(row, name, value)
    row.changed_fields = [*row.changed_fields, *fields]
    row.save()


def agent(name: str = "choose") -> Agent:
    return Agent.objects.get(pack__name="pets", name=name)


def test_every_pack_that_ships_survives_the_way_through_the_rows() -> None:
    sync_packs()
    for pack in all_packs():
        spec = pack.spec()
        frozen = pack_spec_from_rows(PackRow.objects.get(name=pack.name))
        assert frozen.agents == spec.agents
        assert frozen.keys == spec.keys
        assert (frozen.tiers, frozen.budget, frozen.answer) == (spec.tiers, spec.budget, spec.answer)
        enabled = [rule for rule in spec.rules if rule.enabled]
        assert sorted(frozen.rules, key=lambda r: r.name) == sorted(enabled, key=lambda r: r.name)


def test_a_first_sync_creates_and_a_second_does_nothing() -> None:
    first = sync(pets())
    assert first.created == ["pack pets (2 agents, 2 rules)"]
    assert not sync(pets()).lines()


def test_new_code_is_written_and_told_field_by_field() -> None:
    sync(pets())
    report = sync(pets(tier=2, margin=0.5))
    assert report.updated == ["agent pets/choose: tier", "agent pets/doubt: tier", "rule pets/clear: params"]
    assert agent().tier == 2
    assert PackRow.objects.get().digest


def test_what_an_admin_set_is_left_alone_and_told() -> None:
    sync(pets())
    set_by_admin(agent(), tier=2, enabled=False)
    report = sync(pets(tier=1))
    assert agent().tier == 2
    assert not agent().enabled
    assert "agent pets/choose: tier is 2 here and 1 in the code; an admin set it" in report.left_alone
    assert not report.updated


def test_other_fields_of_a_changed_row_still_follow_the_code() -> None:
    sync(pets())
    set_by_admin(agent(), required=True)
    sync(pets(tier=2))
    assert (agent().tier, agent().required) == (2, True)


def test_what_the_code_dropped_is_disabled_and_comes_back_with_it() -> None:
    sync(pets())
    report = sync(pets(agents=("choose",)))
    assert report.disabled == ["agent pets/doubt: the code no longer has it"]
    assert not agent("doubt").enabled
    assert not sync(pets(agents=("choose",))).lines()
    assert sync(pets()).updated == ["agent pets/doubt: enabled"]


def test_what_an_admin_disabled_does_not_come_back_by_itself() -> None:
    sync(pets())
    set_by_admin(agent("doubt"), enabled=False)
    sync(pets(agents=("choose",)))
    sync(pets())
    assert not agent("doubt").enabled


def test_a_pack_without_code_is_disabled_and_its_rows_stay() -> None:
    sync(pets())
    report = sync()
    assert report.disabled == ["pack pets: no code for it is installed"]
    assert not PackRow.objects.get().enabled
    assert Agent.objects.count() == 2
    assert sync(pets()).updated == ["pack pets: enabled"]


def test_a_rule_of_an_admin_is_never_touched() -> None:
    sync(pets())
    row = PackRow.objects.get()
    mine = {"pack": row, "origin": "admin", "kind": "operator", "keys": ["choice"]}
    GovernanceRule.objects.create(name="mine", **mine)
    GovernanceRule.objects.filter(name="clear").delete()
    GovernanceRule.objects.create(name="clear", **mine)
    report = sync(pets())
    assert GovernanceRule.objects.get(name="clear").kind == "operator"
    assert GovernanceRule.objects.get(name="mine").is_active
    assert [line for line in report.left_alone if "pets/clear" in line]


def test_a_rule_that_is_off_in_code_is_off_and_not_frozen() -> None:
    sync(pets())
    assert GovernanceRule.objects.get(name="vet").state == "draft"
    assert [rule.name for rule in pack_spec_from_rows(PackRow.objects.get()).rules] == ["clear"]


def test_new_code_that_does_not_fit_what_an_admin_set_is_a_problem_told_at_once() -> None:
    sync(pets())
    set_by_admin(agent(), tier=2)
    one_tier = pets()
    one_tier.tiers = one_tier.tiers[:1]
    report = sync(one_tier)
    assert any("pets cannot run as it is configured" in line and "tier 2" in line for line in report.problems)


def test_a_pack_that_could_not_be_loaded_is_told() -> None:
    report = sync_packs([pets()], [PackFault("guest = guest.pack:pack", "ImportError: no")])
    assert report.problems == ["guest = guest.pack:pack could not be loaded: ImportError: no"]


def test_a_sync_that_changed_something_is_in_the_audit_log() -> None:
    sync(pets())
    sync(pets())
    (record,) = AuditRecord.objects.all()
    assert (record.who_name, record.act, record.target) == ("system", "sync_packs", "pack:pets")


def test_a_half_synced_pack_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("runtime.actions.sync_packs._check_it_runs", breaks)
    with pytest.raises(RuntimeError):
        sync(pets())
    assert not PackRow.objects.exists()
    assert not Agent.objects.exists()


def test_the_command_says_what_it_did() -> None:
    def run(**options: Any) -> str:
        out = StringIO()
        call_command("sync_packs", stdout=out, **options)
        return out.getvalue()

    assert "created: pack growth" in run()
    assert run() == ""
    assert "as the code says" in run(verbosity=2)


@pytest.mark.parametrize("change", [lambda p: p.key("more"), lambda p: setattr(p, "version", "2")])
def test_a_changed_pack_has_another_digest(change: Callable[[Pack], Any]) -> None:
    sync(pets())
    before = PackRow.objects.get().digest
    other = pets()
    change(other)
    sync(other)
    assert PackRow.objects.get().digest != before
