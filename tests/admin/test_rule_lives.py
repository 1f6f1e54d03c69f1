"""Draft, active, retired: who may move a rule on, what is kept of each step, and what happens when two do so."""

from __future__ import annotations

import datetime as dt
import re
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from runtime.actions import Refused, submit_job
from runtime.actions.agents import add_agent
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.rule_guards import may_change
from runtime.actions.rules import (
    activate_rule,
    change_draft,
    delete_draft,
    draft_from,
    draft_rule,
    retire_rule,
)
from runtime.actions.sync_packs import sync_packs
from runtime.agents import find_pack
from runtime.models import AuditRecord, GovernanceRule, Pack, RuleVersion
from tests.admin.cast import LOOKUP, follow, person, retire, rule, search

MINE: dict[str, Any] = {"name": "mine", "kind": "operator", "keys": ["stance"], "priority": 5}


def frozen(pack: Pack) -> list[str]:
    """The names of the rules that a job submitted now would freeze."""
    return [found.name for found in pack_spec_from_rows(pack).rules]


def versions(found: GovernanceRule) -> list[tuple[int, str, str, str]]:
    rows = RuleVersion.objects.filter(rule=found).order_by("number")
    return [(row.number, row.state, row.by_name, row.reason) for row in rows]


def acts(count: int) -> list[str]:
    return [record.act for record in AuditRecord.objects.all()[:count]][::-1]


def test_a_rule_lives_from_draft_to_retirement_and_each_step_is_kept(
    ada: User, otto: User, growth: Pack
) -> None:
    draft = draft_rule(otto, growth.pk, MINE, "people should look")
    assert (draft.state, draft.origin, draft.version) == ("draft", "admin", 1)
    assert "mine" not in frozen(growth)
    change_draft(otto, draft.pk, {"priority": 7}, "later", version=1)
    activate_rule(ada, draft.pk, " it is time ", version=2)
    assert "mine" in frozen(growth)
    retire_rule(ada, draft.pk, "no longer", version=3)
    assert "mine" not in frozen(growth)
    assert versions(draft) == [
        (1, "draft", "otto", "people should look"),
        (2, "draft", "otto", "later"),
        (3, "active", "ada", "it is time"),
        (4, "retired", "ada", "no longer"),
    ]
    assert rule("mine").version == 4
    assert acts(4) == ["draft_rule", "change_draft", "activate_rule", "retire_rule"]
    record = AuditRecord.objects.all()[1]
    assert (record.target, record.reason) == ("rule:growth/mine", "it is time")
    said = RuleVersion.objects.filter(rule=draft).order_by("number").values_list("said", flat=True)
    assert [row["priority"] for row in said] == [5, 7, 7, 7]
    assert set(said[0]) == {
        *("name", "kind", "keys", "priority", "params", "expression", "message", "expires_at")
    }


def test_a_draft_takes_the_place_of_an_active_rule_in_one_step(ada: User, otto: User, growth: Pack) -> None:
    old = rule("clear margin")
    draft = draft_from(otto, old.pk, "too careful")
    assert (draft.name, draft.replaces, draft.params) == ("clear margin 2", old, {"margin": 0.4})
    assert draft_from(otto, old.pk) == draft, "a double click makes one draft"
    assert draft_from(ada, old.pk).name == "clear margin 3"
    change_draft(otto, draft.pk, {"params": {"margin": 0.1}})
    assert draft_from(otto, old.pk).name == "clear margin 4"
    activate_rule(ada, draft.pk, "agreed", version=2, retires=old.pk)
    assert "clear margin" not in frozen(growth) and "clear margin 2" in frozen(growth)
    last = versions(old)[-1]
    assert last == (2, "retired", "ada", "“clear margin 2” takes its place: agreed")
    assert acts(2) == ["retire_rule", "activate_rule"]


def test_a_draft_of_a_draft_or_of_a_retired_rule_replaces_nothing(ada: User, growth: Pack) -> None:
    old = retire(ada, rule("clear margin"))
    again = draft_from(ada, old.pk)
    assert (again.name, again.replaces) == ("clear margin 2", None)
    activate_rule(ada, again.pk, "back", version=1)
    assert "clear margin 2" in frozen(growth)
    assert draft_from(ada, draft_rule(ada, growth.pk, MINE).pk).replaces is None


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("rule", "rule 2"), ("rule 9", "rule 10"), ("7", "7 2"), ("x" * 100, "x" * 98 + " 2")],
)
def test_a_draft_gets_a_name_that_is_free(ada: User, growth: Pack, name: str, wanted: str) -> None:
    first = draft_rule(ada, growth.pk, {**MINE, "name": name})
    assert draft_from(ada, first.pk).name == wanted


def test_what_is_in_force_or_was_is_never_edited(ada: User, growth: Pack) -> None:
    for found in (rule("clear margin"), retire(ada, rule("an operator decides"))):
        with pytest.raises(Refused, match=r"stays as it is.*make a draft of it") as refusal:
            change_draft(ada, found.pk, {"priority": 1})
        assert refusal.value.code == "invalid"
        with pytest.raises(Refused, match="retired, not deleted"):
            delete_draft(ada, found.pk)
    assert rule("clear margin").priority == 10
    with pytest.raises(Refused, match="retired and stays as it is"):
        activate_rule(ada, rule("an operator decides").pk, "again", version=2)


def test_only_a_draft_that_no_job_can_have_frozen_is_deleted(ada: User, otto: User, growth: Pack) -> None:
    mine = draft_rule(otto, growth.pk, MINE)
    theirs = draft_rule(ada, growth.pk, {**MINE, "name": "theirs"})
    with pytest.raises(Refused, match="Somebody else drafted this") as refusal:
        delete_draft(otto, theirs.pk)
    assert refusal.value.code == "forbidden"
    delete_draft(otto, mine.pk, "not needed", version=1)
    assert not GovernanceRule.objects.filter(name="mine").exists()
    record = AuditRecord.objects.all()[0]
    assert (record.act, record.reason) == ("delete_draft", "not needed")
    assert record.detail["settings"]["kind"] == "operator"
    with pytest.raises(Refused) as gone:
        delete_draft(otto, mine.pk)
    assert gone.value.code == "gone"
    delete_draft(ada, theirs.pk)


def test_operators_draft_viewers_look_admins_activate(ada: User, otto: User, growth: Pack) -> None:
    vera = person("vera", "viewer")
    draft = draft_rule(otto, growth.pk, MINE)
    active = rule("clear margin")
    refused: list[Any] = [
        lambda: draft_rule(vera, growth.pk, {**MINE, "name": "x"}),
        lambda: draft_from(vera, active.pk),
        lambda: change_draft(vera, draft.pk, {"priority": 1}),
        lambda: delete_draft(vera, draft.pk),
        lambda: activate_rule(otto, draft.pk, "mine", version=1),
        lambda: retire_rule(otto, active.pk, "mine", version=1),
        lambda: change_draft(person("olga", "operator"), draft.pk, {"priority": 1}),
    ]
    for act in refused:
        with pytest.raises(Refused) as refusal:
            act()
        assert refusal.value.code == "forbidden"
    assert (rule("mine").state, rule("mine").version, rule("clear margin").state) == ("draft", 1, "active")
    assert may_change(otto, draft) and may_change(ada, draft) and not may_change(vera, draft)
    change_draft(ada, draft.pk, {"priority": 1})
    assert may_change(otto, rule("mine")), "it stays the draft of who drafted it"


def test_activation_and_retirement_need_a_reason(ada: User, growth: Pack) -> None:
    draft = draft_rule(ada, growth.pk, MINE)
    for act in (
        lambda: activate_rule(ada, draft.pk, "  ", version=1),
        lambda: retire_rule(ada, rule("clear margin").pk, "", version=1),
    ):
        with pytest.raises(Refused) as refusal:
            act()
        assert refusal.value.field == "reason"


def test_a_draft_is_not_retired_and_nothing_is_done_twice(ada: User, growth: Pack) -> None:
    draft = draft_rule(ada, growth.pk, MINE)
    with pytest.raises(Refused, match="delete it instead"):
        retire_rule(ada, draft.pk, "no", version=1)
    activate_rule(ada, draft.pk, "yes", version=1)
    before = AuditRecord.objects.count()
    assert activate_rule(ada, draft.pk, "yes", version=1).version == 2, "the same form, sent twice"
    with pytest.raises(Refused, match="active and stays"):
        activate_rule(ada, draft.pk, "yes", version=2)
    retire_rule(ada, draft.pk, "no", version=2)
    retire_rule(ada, draft.pk, "no", version=2)
    with pytest.raises(Refused, match="retired already"):
        retire_rule(ada, draft.pk, "no", version=3)
    assert AuditRecord.objects.count() == before + 1


def test_a_page_that_is_older_than_the_rule_is_refused(ada: User, growth: Pack) -> None:
    eve = person("eve", "admin")
    draft = draft_rule(ada, growth.pk, MINE)
    change_draft(eve, draft.pk, {"priority": 6}, version=1)
    stale: list[Any] = [
        lambda: activate_rule(ada, draft.pk, "go", version=1),
        lambda: change_draft(ada, draft.pk, {"priority": 7}, version=1),
        lambda: delete_draft(ada, draft.pk, version=1),
    ]
    activate_rule(eve, draft.pk, "go", version=2)
    stale.append(lambda: retire_rule(ada, draft.pk, "stop", version=2))
    stale.append(lambda: activate_rule(ada, draft.pk, "go", version=2))
    for act in stale:
        with pytest.raises(Refused, match="eve has changed it meanwhile") as refusal:
            act()
        assert refusal.value.code == "stale"
    assert (rule("mine").priority, rule("mine").state) == (6, "active")


def test_who_saw_another_rule_retire_looks_again(ada: User, growth: Pack) -> None:
    old = rule("clear margin")
    one = draft_from(ada, old.pk)
    other = draft_from(person("eve", "admin"), old.pk)
    for seen in (None, one.pk):
        with pytest.raises(Refused, match="takes the place of has changed") as refusal:
            activate_rule(ada, one.pk, "go", version=1, retires=seen)
        assert refusal.value.code == "stale"
    activate_rule(ada, one.pk, "go", version=1, retires=old.pk)
    with pytest.raises(Refused) as refusal:
        activate_rule(ada, other.pk, "go", version=1, retires=old.pk)
    assert refusal.value.code == "stale"
    assert frozen(growth).count("clear margin 3") == 0
    activate_rule(ada, other.pk, "beside it", version=1, retires=None)


def test_an_expired_rule_is_frozen_by_no_job_and_not_activated(ada: User, growth: Pack) -> None:
    soon = timezone.now() + dt.timedelta(hours=1)
    draft = draft_rule(ada, growth.pk, MINE, expires_at=soon)
    stored = RuleVersion.objects.get(rule=draft).said["expires_at"]
    assert dt.datetime.fromisoformat(stored) == soon.replace(microsecond=0)
    change_draft(ada, draft.pk, {"expires_at": None})
    change_draft(ada, draft.pk, {"expires_at": soon})
    assert AuditRecord.objects.all()[0].detail["changes"]["expires_at"] == {"from": None, "to": stored}
    activate_rule(ada, draft.pk, "for an hour", version=3)
    assert "mine" in frozen(growth)
    past = timezone.now() - dt.timedelta(seconds=1)
    GovernanceRule.objects.filter(pk=draft.pk).update(expires_at=past)
    assert "mine" not in frozen(growth)
    other = draft_rule(ada, growth.pk, {**MINE, "name": "other"})
    GovernanceRule.objects.filter(pk=other.pk).update(expires_at=past)
    with pytest.raises(Refused, match="expired already") as refusal:
        activate_rule(ada, other.pk, "go", version=1)
    assert refusal.value.field == "expires_at"


def test_a_rule_with_which_the_pack_could_not_run_is_not_activated(ada: User, growth: Pack) -> None:
    search(ada)
    judge = {"name": "judge", "shape": "aggregate", "over": "stance", "reads": [], "writes": ["stance"]}
    agent = add_agent(ada, growth.pk, {**LOOKUP, **judge})
    draft = draft_rule(
        ada,
        growth.pk,
        {"name": "judged", "kind": "aggregation", "keys": ["stance"], "params": {"agent": "judge"}},
    )
    agent.enabled = False
    agent.save()
    with pytest.raises(Refused, match="aggregation agents are: weigh"):
        activate_rule(ada, draft.pk, "go", version=1)
    assert rule("judged").state == "draft"


def test_a_draft_of_the_code_is_activated_and_a_sync_leaves_it(ada: User, growth: Pack) -> None:
    shipped = rule("clear margin")
    GovernanceRule.objects.filter(pk=shipped.pk).update(state="draft")
    RuleVersion.objects.filter(rule=shipped).update(state="draft")
    with pytest.raises(Refused, match="comes with the pack's code"):
        delete_draft(ada, shipped.pk)
    with pytest.raises(Refused, match="keeps its name"):
        change_draft(ada, shipped.pk, {"name": "other"})
    change_draft(ada, shipped.pk, {"priority": 3})
    assert rule("clear margin").changed_fields == ["priority"]
    activate_rule(ada, shipped.pk, "as the code has it", version=2)
    assert rule("clear margin").changed_fields == ["priority"], "that state is the code's own"
    retire_rule(ada, shipped.pk, "not here", version=3)
    assert rule("clear margin").changed_fields == ["priority", "state"]
    assert any("state is 'retired' here" in line for line in sync_packs().left_alone)
    assert (rule("clear margin").state, rule("clear margin").version) == ("retired", 4)


def test_a_rule_without_versions_keeps_what_it_said_before(ada: User, growth: Pack) -> None:
    old = rule("clear margin")
    RuleVersion.objects.filter(rule=old).delete()
    retire(ada, old)
    assert versions(old) == [
        (1, "active", "code", "as it was when versions began"),
        (2, "retired", "ada", "a test"),
    ]


def test_a_running_job_keeps_the_rule_that_was_active(ada: User, growth: Pack) -> None:
    pack = find_pack("growth")
    assert pack is not None
    job = submit_job(ada, "growth", pack.sample_seeds())
    follow(ada, rule("clear margin"), {"params": {"margin": 0.1}})
    job.refresh_from_db()
    assert {found["name"] for found in job.frozen_spec()["rules"]} >= {"clear margin"}
    after = submit_job(ada, "growth", pack.sample_seeds())
    assert "clear margin" not in {found["name"] for found in after.frozen_spec()["rules"]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["activate", "change"])
def test_of_two_at_the_same_moment_one_is_refused(how: str) -> None:
    ada, eve = person("ada", "admin"), person("eve", "admin")
    sync_packs()
    pack = Pack.objects.get(name="growth")
    draft = draft_rule(ada, pack.pk, MINE)
    start = threading.Barrier(2)
    ended: list[str] = []

    def act(user: User) -> None:
        start.wait(10)
        try:
            if how == "activate":
                activate_rule(user, draft.pk, f"by {user}", version=1)
            else:
                change_draft(user, draft.pk, {"message": f"by {user}"}, version=1)
            ended.append("done")
        except Refused as refused:
            ended.append(refused.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=(user,)) for user in (ada, eve)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(ended) == ["done", "stale"]
    assert [row[0] for row in versions(draft)] == [1, 2]
    assert re.fullmatch("activate_rule|change_draft", AuditRecord.objects.all()[0].act)
