"""What takes a rule's place is asked where that was, among rules of one priority too, whatever the code does later."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from runtime.actions import submit_job
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.rule_places import in_order
from runtime.actions.rules import activate_rule, delete_draft, draft_from, draft_rule, with_draft
from runtime.actions.sync_packs import sync_packs
from runtime.agents import Pack as PackInCode
from runtime.models import GovernanceRule, Pack
from runtime.worker import run_job
from tests.admin.cast import add_rule, follow

pytestmark = pytest.mark.django_db

SIDES = [
    {"key": "price", "subject": "bread", "value": 3, "confidence": 0.99},
    {"key": "price", "subject": "bread", "value": 4, "confidence": 0.1},
]


def release(*names: str) -> Pack:
    """A release of a pack whose rules all kept the priority that they get by default."""
    code = PackInCode("shop", tiers=["Settled"], answer=["price"])
    code.key("price", schema={"type": "integer"}, seed=True)
    code.agent(reads=["price"], writes=["price"], name="idle")(lambda view: None)
    for name in names:
        if name == "people":
            code.operator(name, keys=["price"])
        else:
            code.confidence(name, keys=["price"], margin=0.4)
    sync_packs([code], [])
    return Pack.objects.get(name="shop")


def asked(pack: Pack) -> list[str]:
    return [rule.name for rule in pack_spec_from_rows(pack).rules]


def rule(name: str) -> GovernanceRule:
    return GovernanceRule.objects.get(pack__name="shop", name=name)


def tried(draft: GovernanceRule) -> list[str]:
    """The order in which a job would ask, with a draft."""
    return [spec.name for spec in with_draft(draft, pack_spec_from_rows(draft.pack)).rules]


def mine(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "kind": "confidence", "keys": ["price"], "params": {"margin": 0.5}, **settings}


def test_an_unchanged_draft_decides_what_the_rule_decided_whose_place_it_takes(ada: User) -> None:
    pack = release("margin", "people")
    draft = draft_from(ada, rule("margin").pk)
    assert tried(draft) == ["margin 2", "people"], "as the page and the bench show it"
    activate_rule(ada, draft.pk, "the same", version=1, retires=rule("margin").pk)
    assert asked(pack) == ["margin 2", "people"]
    job = submit_job(ada, "shop", SIDES)
    run_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.conflicts_open) == ("converged", 0), "nobody is asked"


def test_whatever_is_followed_again_and_again_stays_where_it_was(ada: User) -> None:
    pack = release("first", "margin", "people")
    for number in range(2, 6):
        old = rule("margin" if number == 2 else f"margin {number - 1}")
        follow(ada, old, {"params": {"margin": number / 10}})
        assert asked(pack) == ["first", f"margin {number}", "people"]
    follow(ada, rule("first"), {"params": {"margin": 0.9}})
    assert asked(pack) == ["first 2", "margin 5", "people"]
    assert [row.name for row in in_order(pack.rules.filter(state="active"))] == asked(pack)


def test_a_tie_of_positions_is_broken_as_it_was_before(ada: User) -> None:
    """Two rules of one position are asked by age, and so is what takes the elder's place."""
    pack = release("elder", "people")
    GovernanceRule.objects.update(position=3)
    draft = draft_from(ada, rule("elder").pk)
    assert tried(draft) == ["elder 2", "people"]
    follow(ada, rule("elder"), {"params": {"margin": 0.3}})
    assert asked(pack) == ["elder 2", "people"]


def test_two_drafts_of_one_rule_both_stand_in_its_place(ada: User, otto: User) -> None:
    pack = release("margin", "people")
    drafts = [draft_from(user, rule("margin").pk) for user in (ada, otto)]
    activate_rule(ada, drafts[1].pk, "his", version=1, retires=rule("margin").pk)
    activate_rule(ada, drafts[0].pk, "hers too", version=1, retires=None)
    assert asked(pack) == ["margin 2", "margin 3", "people"]


def test_another_priority_counts_before_the_place(ada: User) -> None:
    pack = release("margin", "people", "last")
    follow(ada, rule("margin"), {"priority": 200})
    assert asked(pack) == ["people", "last", "margin 2"]
    follow(ada, rule("margin 2"), {"priority": 100})
    assert asked(pack) == ["margin 3", "people", "last"], "it has not lost its place"


def test_what_people_add_is_asked_last_and_in_the_order_in_which_they_added_it(ada: User) -> None:
    pack = release("margin")
    gone = draft_rule(ada, pack.pk, mine("gone"))
    add_rule(ada, pack, mine("zeta"))
    delete_draft(ada, gone.pk)
    add_rule(ada, pack, mine("alpha"))
    assert asked(pack) == ["margin", "zeta", "alpha"]


def test_the_next_release_moves_followers_with_what_they_follow_and_nothing_else(ada: User) -> None:
    pack = release("margin", "people")
    add_rule(ada, pack, mine("own"))
    follow(ada, rule("margin"), {"params": {"margin": 0.2}})
    assert asked(pack) == ["margin 2", "people", "own"]
    release("new", "newer", "people", "margin")
    assert asked(pack) == ["new", "newer", "people", "margin 2", "own"]
    follow(ada, rule("own"), {"params": {"margin": 0.6}})
    release("margin", "people")
    assert asked(pack) == ["margin 2", "people", "own 2"]
    by_column = pack.rules.filter(state="active").order_by("priority", "position", "id")
    assert [row.name for row in by_column] == asked(pack)


def test_a_rule_that_people_added_in_an_older_version_stays_behind_the_code(ada: User) -> None:
    """Its position was the number of rules there were, which a later release uses for its own."""
    pack = release("margin", "people")
    own = add_rule(ada, pack, mine("own"))
    GovernanceRule.objects.filter(pk=own.pk).update(position=2)
    own.refresh_from_db()
    follow(ada, own, {"params": {"margin": 0.7}})
    release("margin", "more", "most", "very most", "people")
    assert asked(pack) == ["margin", "more", "most", "very most", "people", "own 2"]
    assert not sync_lines(), "and a second sync has nothing to do"


def sync_lines() -> list[str]:
    before = dict(GovernanceRule.objects.values_list("name", "position"))
    release("margin", "more", "most", "very most", "people")
    return [name for name, at in GovernanceRule.objects.values_list("name", "position") if before[name] != at]
